/*
 * RecommendAudience: walks over runs of this worker's shards, in the order of shards and of user ids within
 * them, that recommend to every user whose newest event lies in a span of time. The server asks for one
 * portion after another, at most AUDIENCE_ASKED ahead: that is the flow control, and what waits is bounded.
 *
 * Worked on in slices, between which the link is looked at, so that a call for one user waits for one slice
 * (about a millisecond) at most; walks that were asked something take turns. A slice has a read transaction
 * of its own. The histories come from the walk itself, up to RECOMMEND_JOBS users are gathered and recommended
 * to together, and nothing is allocated a user.
 *
 * A walk keeps the recipe it found at its opening: a swap of generations or a change of the definition does
 * not touch it. It ends by itself at the end of its shards, or by audiences_close. Loop thread.
 */
#ifndef KINDRED_WORKER_AUDIENCE_H
#define KINDRED_WORKER_AUDIENCE_H

#include "common/error.h"
#include "common/frame.h"

#include <stdint.h>
#include <uv.h>

#define AUDIENCE_ASKED 4u
#define AUDIENCES_MAX 256u
/* A slice, and a portion, end at the first bound reached. */
#define AUDIENCE_SLICE 64u /* users answered */
#define AUDIENCE_SLICE_SEEN 4096u /* users looked at */
#define AUDIENCE_PORTION_BYTES ((size_t)256 << 10)
#define AUDIENCE_PORTION_SEEN 100000u

struct worker;
struct audience;

struct audiences {
	uv_idle_t idle; /* runs while something is asked */
	struct worker *worker;
	struct audience *first, **last; /* a walk that had its slice goes to the end */
	uint32_t count;
};

void audiences_init(struct audiences *audiences, uv_loop_t *loop, struct worker *worker);
/* All walks are forgotten. The loop must run once more. */
void audiences_fini(struct audiences *audiences);

/* FRAME_CALL_AUDIENCE; answered by the first portion, or an error, and then there is no walk. */
void audiences_open(struct audiences *audiences, const struct frame_head *head, const uint8_t *payload);
/* FRAME_CALL_AUDIENCE_NEXT. E_NOT_FOUND: no such walk. After an error the walk is over. */
void audiences_next(struct audiences *audiences, const struct frame_head *head, const uint8_t *payload);
/* FRAME_AUDIENCE_CLOSE. */
void audiences_close(struct audiences *audiences, const struct frame_head *head, const uint8_t *payload);
/* The link has room for replies again. */
void audiences_resume(struct audiences *audiences);

#endif
