/*
 * The state of a worker process, and its life. All of it belongs to the loop thread; the writer thread
 * (worker/writer.h) and libuv's work threads (worker/generations.h) get what they need by hand-over.
 *
 *     NEW --FRAME_SETUP--> SERVING --FRAME_DRAIN--> DRAINING --all done--> ENDED
 *     any --link closed or broken--> ENDED     (what was queued for the disk is still written before the exit)
 */
#ifndef KINDRED_WORKER_H
#define KINDRED_WORKER_H

#include "common/arena.h"
#include "common/turns.h"
#include "worker/audience.h"
#include "worker/front_ends.h"
#include "worker/generations.h"
#include "worker/many.h"
#include "worker/recommend_call.h"
#include "worker/rules.h"
#include "worker/shards.h"
#include "worker/uplink.h"
#include "worker/writer.h"

#include <stdint.h>
#include <uv.h>

enum worker_state { WORKER_NEW, WORKER_SERVING, WORKER_DRAINING, WORKER_ENDED };

struct worker {
	uv_loop_t loop;
	struct uplink link; /* to the server */
	struct front_ends front_ends; /* further ones, with links of their own */
	struct uplink *from; /* whose frame is being worked on */
	enum worker_state state;
	struct error end; /* why it ended; code 0: as it should */
	bool drained; /* FRAME_DRAINED is said */
	uint64_t batch_ns; /* when the frames now at work arrived; 0: between batches */

	struct shards shards;
	struct turns turns;
	struct writer *writer; /* NULL in state NEW */
	struct rules rules;
	struct generations generations;
	struct recommender recommender;
	struct recommend_calls recommend_calls;
	struct many many;
	struct audiences audiences;
	struct arena arena; /* of one control frame or one page of events */

	uv_timer_t stats_timer;
	struct blob stats_sent; /* the last ones, without what changes by itself */
	uint64_t recommend_users, expired_calls;
};

/* Runs on the link on fd until it ends. Returns the process's exit code. */
int worker_run(int fd);

/* Goes to another state; false, and nothing happens, when the table of moves does not have it. */
bool worker_move(struct worker *worker, enum worker_state state);
/* Ends with an error that the server's log will show. */
void worker_fail(struct worker *worker, const struct error *err);
/* While draining: says so and ends once nothing is left to do. Called whenever something got done. */
void worker_settle(struct worker *worker);

/*
 * A whole frame of the server's or of a further front-end's; the end of a batch of them; writes what
 * was gathered for all.
 */
void worker_frame(struct worker *worker, struct uplink *from, const struct frame_head *head, const uint8_t *payload);
void worker_batch(struct worker *worker);
void worker_flush(struct worker *worker);

/* When a call of this head has to be done; UINT64_MAX: whenever. Monotonic. */
uint64_t worker_deadline_ns(const struct worker *worker, const struct frame_head *head);

#endif
