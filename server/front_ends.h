/*
 * The further front-ends, as the server sees them: front_ends - 1 processes of the same program
 * (server/front_end.h) that listen on the same address and feed the workers themselves. A front-end's
 * life:
 *
 *     DOWN      no process; a timer will start one
 *     STARTING  spawned and sent SETUP; it waits for all workers to let it in, and opens the port
 *     UP        takes calls
 *     LEAVING   was told to drain, or is being killed
 *
 * Two sockets lead to each: a link, and a connection of gRPC's on which it passes on the calls that are
 * the server's alone (server/methods.c): to the door they are calls of one more client.
 *
 * One that dies is started again, as a worker is; one that cannot be started the first time stops the server. Its
 * clients see their connections end, and come back to any of the others. Loop thread.
 */
#ifndef KINDRED_SERVER_FRONT_ENDS_H
#define KINDRED_SERVER_FRONT_ENDS_H

#include "common/error.h"
#include "server/link.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct server;

/* The one argument that makes a kindred-server a further front-end. */
#define FRONT_END_ARGUMENT "--further-front-end"

enum front_end_state { FRONT_END_DOWN, FRONT_END_STARTING, FRONT_END_UP, FRONT_END_LEAVING };

struct front_end {
	struct server *server;
	uint32_t number; /* from 1: the server itself is 0 */
	enum front_end_state state;
	struct link link;
	uv_process_t process;
	uv_timer_t timer; /* the restart; while leaving, the last resort */
	int pid; /* 0: no process */
	bool process_gone, link_gone; /* both: it can be started again */
	bool ever_up;
	uint32_t restarts;
	uint32_t quick_deaths; /* in a row */
	uint64_t started_ms; /* loop time */
	uint64_t incarnation; /* rises with each start */
	/* questions that it has not answered, and the loop time of the oldest */
	uint32_t owing;
	uint64_t owing_ms;
	uint32_t silent_looks; /* server/watch.h: that found it silent, in a row */
	/* as it said last: */
	uint32_t calls; /* in work */
	uint32_t *asked; /* [supervisor.count]: calls in flight to each worker */
};

struct front_ends {
	struct server *server;
	struct front_end *list;
	uint32_t count; /* 0: the server is the only one */
	bool draining;
};

/* Starts `count`, once the door is open; server_front_ends_up follows, at once when there are none to start. */
int front_ends_start(struct server *server, uint32_t count, struct error *err);
void front_ends_fini(struct front_ends *front_ends);
/*
 * Tells all to drain; kills those that have not left after timeout_ms. server_front_ends_left follows,
 * unless there are none.
 */
void front_ends_drain(struct front_ends *front_ends, uint64_t timeout_ms);
/* Writes what was gathered for them. Once per turn of the loop. */
void front_ends_flush(struct front_ends *front_ends);
/* No process is left. */
bool front_ends_gone(const struct front_ends *front_ends);
uint32_t front_ends_up(const struct front_ends *front_ends);
/* Calls in work at all of them, as they said last. */
uint32_t front_ends_calls(const struct front_ends *front_ends);

/* Calls in flight to a worker from all of them, as they said last. */
uint32_t front_ends_asked(const struct front_ends *front_ends, uint32_t worker);

/* A front-end's FRAME_STATS. */
void front_end_counted(struct front_end *front_end, const uint8_t *data, size_t bytes);

#endif
