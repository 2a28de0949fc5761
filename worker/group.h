/*
 * A group: the writes that one group commit puts on disk. Runs on the writer thread and its crew; it
 * knows no queue and no link.
 *
 * The events of all calls of the group are checked, ordered by shard and within a shard by user
 * (arrival order within a user), and written in one transaction a shard (several, when a bound of one
 * is reached), several shards at a time: a flush of the disk is waiting, not work. Each call's answer
 * is made after the last commit: it is positive only when every transaction that held one of its events
 * was. After a failed commit other events of the call may be on disk; it is answered with the error all
 * the same, and the client's event ids make sending it again safe.
 */
#ifndef KINDRED_WORKER_GROUP_H
#define KINDRED_WORKER_GROUP_H

#include "common/arena.h"
#include "common/error.h"
#include "common/history.h"
#include "common/ids.h"
#include "common/turns.h"
#include "worker/crew.h"
#include "worker/encode.h"
#include "worker/shards.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Threads that write shards, besides the writer's own. They help when a group is large, or the disk
 * slow: else to wake them costs more than they do.
 */
#define GROUP_HELPERS 3u
#define GROUP_LARGE 512u /* events */
#define GROUP_SLOW_NS (2 * UINT64_C(1000000)) /* a commit */
/* One transaction: what LMDB keeps of it in memory stays small, and a slow disk holds nobody for long. */
#define GROUP_EVENTS 2000u
#define GROUP_BYTES ((size_t)4 << 20)

struct uplink;

enum write_kind { WRITE_INGEST, WRITE_DELETE_USER };

/*
 * A call that writes, from the loop thread to the writer thread and back; one of them has it at any time
 * (but for `cancelled`).
 */
struct write_call {
	enum write_kind kind;
	struct uplink *from; /* the loop thread's: who gets the answer */
	uint64_t call; /* the number that it has there */
	uint64_t deadline_ns; /* monotonic; UINT64_MAX: none */
	int64_t arrived_ms;
	atomic_bool cancelled; /* set by the loop thread: not wanted any more */
	struct blob payload; /* WRITE_INGEST: the request, its head checked. WRITE_DELETE_USER: the user id, checked. */
	struct catalog_seed seed; /* WRITE_INGEST */
	uint32_t events; /* at least 1, also for a deletion */

	/* the answer */
	struct error err; /* code 0: reply holds the packed message */
	struct blob reply;
	uint32_t taken; /* events that were looked at, for the counters */

	struct write_call *next; /* queue, or list of done ones */
	struct write_call *older, *newer; /* the loop thread's list of those under way */
};

struct group {
	struct shards *shards;
	struct history_rules rules;
	const struct turns *turns;
	struct arena arena; /* of one group */
	uint64_t *refused; /* [shards->count], of this group */
	struct crew crew; /* writes shards side by side, the writer thread along with it */
	uv_mutex_t lock; /* of what the shards' threads share: the arena, the calls' errors, commit_ns, complained_ns */
	uint64_t commit_ns; /* the quickest commit of the last group that had one: what the disk takes */
	uint64_t complained_ns; /* when the log was last told that events cannot be written; 0: never */
	bool crewed;
	struct group_segment *segments; /* [shards->count]: the shards of this group */
};

/* The ops of one shard. */
struct group_segment {
	uint32_t shard, count;
	struct op **ops;
};

int group_init(struct group *group, struct shards *shards, const struct history_rules *rules, const struct turns *turns,
	       struct error *err);
void group_fini(struct group *group);

/*
 * Works on the calls, linked by `next`, in their order; fills err and reply of each. Afterwards they are
 * the caller's again.
 */
void group_run(struct group *group, struct write_call *calls);

#endif
