/*
 * RecommendMany: calls of up to 10,000 users, worked on in slices of MANY_SLICE users between which the
 * link is looked at, so that a call for one user waits for one slice (about a millisecond) at most.
 * Calls for one user go first; when they never pause, a slice is still worked on after each batch of
 * them that was read. Among themselves such calls are worked on in the order they came, the users of
 * one in the order of their shards and keys: histories that lie together are read together. Calls of an
 * uplink that is full wait, and let those of others go before.
 *
 * While many wait, a server that sleeps is waked for the answers of several calls at a time: for half of the users
 * that wait, so that it has sent for more before there is nothing left to do, or once an answer has lain there for
 * MANY_TOLD_NS. That is looked at between two slices, so no answer waits for the whole of a large message.
 *
 * A call keeps the recipe it found on arrival: a swap of generations or a change of the definition does not
 * touch it. What waits is bounded. Loop thread.
 */
#ifndef KINDRED_WORKER_MANY_H
#define KINDRED_WORKER_MANY_H

#include "common/error.h"
#include "common/filter.h"
#include "common/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define MANY_SLICE 64u
#define MANY_TOLD_NS UINT64_C(3000000)
#define MANY_CALLS 4096u
#define MANY_BYTES ((size_t)64 << 20)

struct worker;
struct uplink;
struct many_call;

/* A user of the call at work. */
struct many_user {
	struct text_view id;
	uint32_t shard; /* number; whose histories lie in one file */
};

struct many {
	uv_idle_t idle; /* runs while there is something to do */
	struct worker *worker;
	struct many_call *first, **last;
	struct many_call *spare; /* one, with its buffers */
	/* of the first call, once it has begun: as they came, and sorted by shard and key */
	struct many_user *arrived, *users; /* [user_room] each, one allocation */
	uint32_t user_room;
	uint32_t calls;
	size_t user_count, bytes; /* of the requests */
	struct uplink *untold; /* has answers of which its server may not know yet; NULL: none has */
	uint32_t untold_users; /* of these answers */
	uint64_t untold_ns; /* when the first of them was written */
};

int many_init(struct many *many, uv_loop_t *loop, struct worker *worker);
/* What waits is dropped. The loop must run once more. */
void many_fini(struct many *many);

/* A FRAME_CALL_RECOMMEND_MANY; answered now (an error) or later. */
void many_take(struct many *many, const struct frame_head *head, const uint8_t *payload);
void many_cancel(struct many *many, const struct uplink *from, uint64_t call);
/* The same for all of an uplink that is gone. */
void many_forget(struct many *many, const struct uplink *from);
/* An uplink has room for replies again. */
void many_resume(struct many *many);
static inline bool many_empty(const struct many *many)
{
	return many->first == NULL;
}

#endif
