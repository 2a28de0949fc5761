/*
 * The door: the port that clients come in by, on gRPC's C core. The only place (door*.c) that
 * knows gRPC; the rest of the server sees server/call.h.
 *
 * Everything runs on the loop thread. With polling "shared" the loop itself drives gRPC: libuv watches the
 * epoll descriptor on which C core waits (server/epoll_tap.h finds it), and the completion queue is drained
 * without waiting. With "thread" a thread waits on the completion queue and hands its events to the loop.
 *
 * The door of a further front-end passes on to the server, on a connection of its own, what it does not serve
 * (door_pass.c): messages and statuses as they come, both ways, so that a client cannot tell who serves it.
 *
 * Call order: door_open (binds; a port that is taken fails here) -> door_start -> door_flush, door_rest once
 * per turn of the loop, before it waits -> door_stop -> door_shut -> [door_cancel] -> on_stopped -> door_close.
 */
#ifndef KINDRED_SERVER_DOOR_H
#define KINDRED_SERVER_DOOR_H

#include "common/error.h"
#include "server/call.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct door;

struct door_options {
	struct server *server;
	uv_loop_t *loop;
	const char *listen; /* host:port; port 0 takes a free one */
	bool shared; /* other processes of ours open the same port, and share what comes */
	/*
	 * a further front-end's connection to the server, which takes all methods not served
	 * everywhere; -1: none
	 */
	int upstream_fd;
	const struct method *methods;
	size_t method_count;
	bool polling_thread;
	uint32_t calls_limit;
	uint32_t stream_window;
	uint32_t message_max_bytes;
	/* of requests in work and replies unsent, in all; beyond it calls are refused and streams not read */
	size_t work_max_bytes;
	void (*on_call)(struct server *server, const struct method *method); /* a call was taken */
	void (*on_end)(struct server *server, const struct method *method, int code); /* 0 or why it failed */
	void (*on_stopped)(struct server *server); /* after door_stop: the last call is over */
};

int door_open(struct door **door, const struct door_options *options, struct error *err);
/*
 * Takes calls from now on. E_UNAVAILABLE never: a loop that cannot drive gRPC falls back to the thread, with
 * a warning.
 */
int door_start(struct door *door, struct error *err);
uint16_t door_port(const struct door *door);
/* After door_start: a connected socket, of which calls come as from a client that came by the port. Takes it over. */
void door_adopt(struct door *door, int fd);
/* Takes what clients have sent, and hands it to the handlers. */
void door_flush(struct door *door);
/*
 * Sends the replies of this turn. With several calls in work it then lets those run who wait for this
 * core: clients and workers that were just given something. What they bring meanwhile is one turn's
 * work, not one wake-up each. Costs nothing where cores are free.
 */
void door_rest(struct door *door);
/*
 * Once a second. What the C library keeps of much memory that was freed goes back to the system when no call is in
 * work, since that takes the loop some tens of milliseconds a gigabyte.
 */
void door_give_back(struct door *door);
/*
 * No new calls: they are answered with UNAVAILABLE. Unary calls end by themselves. Streams that have been idle for a
 * second are ended with UNAVAILABLE, busy ones so at the next message after grace_ms.
 */
void door_stop(struct door *door, uint64_t grace_ms);
/*
 * Nobody passes calls on to it any more, of whom it would not be known why they end. A moment later clients are told to
 * go away; when the last call is over on_stopped comes.
 */
void door_shut(struct door *door);
/* Cancels all calls; they end soon. */
void door_cancel(struct door *door);
/* After on_stopped, when the loop runs no more. */
void door_close(struct door *door);

/* Calls in work now, without those passed on. */
uint32_t door_calls(const struct door *door);

#endif
