/*
 * The supervisor: worker processes, from spawn to reaping. A worker's life:
 *
 *     DOWN      no process; a timer will start one
 *     STARTING  spawned; it was sent SETUP, the catalogs and the definitions, and opens its shards
 *     LOADING   said READY: takes events; is being given the active generation and the item changes since it was built
 *     UP        takes every call
 *     LEAVING   was told to drain, or is being killed
 *
 * A worker that dies is started again at once; one that keeps dying soon after its start, at growing
 * intervals. Calls in flight to it are answered with UNAVAILABLE by its link. A worker that cannot even be
 * started the first time stops the server. Loop thread.
 */
#ifndef KINDRED_SERVER_SUPERVISOR_H
#define KINDRED_SERVER_SUPERVISOR_H

#include "common/error.h"
#include "server/link.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct server;
struct call;

enum worker_state { WORKER_DOWN, WORKER_STARTING, WORKER_LOADING, WORKER_UP, WORKER_LEAVING };

struct worker {
	struct server *server;
	uint32_t number, first_shard, shard_count;
	enum worker_state state;
	struct link link;
	uv_process_t process;
	uv_timer_t timer; /* the restart; while starting, a remark; while leaving, the last resort */
	int pid; /* 0: no process */
	int listen_fd; /* where further front-ends come to it, whichever process it is; -1: there are none */
	bool process_gone, link_gone; /* both: it can be started again */
	bool ever_up, was_up; /* ever; since its last start */
	uint32_t restarts;
	uint32_t quick_deaths; /* in a row */
	uint64_t started_ms; /* loop time */
	uint64_t incarnation; /* rises with each start */
	bool has_model; /* some generation is loaded: it must hear of item changes */
	uint64_t generation; /* that it serves */
	bool aligning; /* it is being given a generation */
	uint64_t aligning_to;
	unsigned align_tries; /* that failed in a row */
	struct ask ask; /* for that */
	/* questions about its state that it has not answered, and the loop time of the oldest */
	uint32_t owing;
	uint64_t owing_ms;
	uint32_t silent_looks; /* server/watch.h: that found it silent, in a row */
	/* from its last statistics */
	uint64_t resident_bytes;
};

struct supervisor {
	struct server *server;
	struct worker *workers;
	uint32_t count;
	uint32_t ask_limit; /* calls in flight to one worker */
	bool draining, announced;
	uv_idle_t more; /* active: a worker has sent more, the loop must not wait */
};

/* Makes the table, with no process. */
int supervisor_init(struct server *server, uint32_t workers, struct error *err);
/* Starts all workers; server_workers_up follows. */
int supervisor_start(struct supervisor *supervisor, struct error *err);
void supervisor_fini(struct supervisor *supervisor);
/* Tells all to finish and flush; kills those that have not left after timeout_ms. server_workers_left follows. */
void supervisor_drain(struct supervisor *supervisor, uint64_t timeout_ms);
/* Gives every worker that serves another generation than the active one the active one. */
void supervisor_align(struct supervisor *supervisor);
/*
 * Once per turn of the loop, in this order: takes what the workers have sent; writes what was gathered
 * for them; lets the loop wait, unless there is more.
 */
void supervisor_receive(struct supervisor *supervisor);
void supervisor_flush(struct supervisor *supervisor);
void supervisor_wait(struct supervisor *supervisor);

/* Sends whole frames to every worker that is past its start: catalogs, definitions. */
void supervisor_tell(struct supervisor *supervisor, const void *frames, size_t bytes);
/* The same to those that have a model: item changes. */
void supervisor_tell_items(struct supervisor *supervisor, const void *frames, size_t bytes);

struct worker *supervisor_worker(struct supervisor *supervisor, const void *user_id, size_t bytes);
uint32_t supervisor_up(const struct supervisor *supervisor);

/*
 * Asks a worker on behalf of a client. Recommending wants a worker that is UP, everything else one that is at
 * least LOADING. `bounded`: counts against the worker's share of calls. 0, E_UNAVAILABLE, E_EXHAUSTED,
 * E_DEADLINE, with text.
 */
int worker_ask(struct worker *worker, struct ask *ask, enum frame_kind kind, uint64_t deadline_ns, bool bounded,
	       const void *data, size_t bytes, struct error *err);

/* For server/align.c: it serves the active generation, or can not be made to. */
void worker_up(struct worker *worker);

/* FRAME_GENERATION_LOAD, ACTIVATE. Errors as link_ask's. */
int worker_command(struct worker *worker, struct ask *ask, enum frame_kind kind, uint64_t number, struct error *err);

#endif
