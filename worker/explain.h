/*
 * Why a score is what it is: the summands of common/score.h one by one, kindred.v1.ScorePart. Pure.
 */
#ifndef KINDRED_WORKER_EXPLAIN_H
#define KINDRED_WORKER_EXPLAIN_H

#include "common/arena.h"
#include "common/score.h"
#include "worker/recommend.h"

#include <stdint.h>

struct explain_part {
	uint32_t kind; /* Kindred__V1__ScorePartKind */
	uint32_t row; /* of the profile's item that led there */
	uint32_t amount; /* > 0 */
};

/* The greatest parts of an item are told one by one, what further items of the profile gave as one. */
#define EXPLAIN_PARTS 10u

/* parts[].amount, rest, trend and popular add up to the item's score; all 0 when that is 0. */
struct explanation {
	struct explain_part parts[EXPLAIN_PARTS]; /* the greatest first */
	uint32_t count;
	uint32_t rest;
	int64_t trend; /* less than 0: it was taken away */
	uint32_t popular;
};

/*
 * Of each item of an answer that the profile was made for. In the arena; NULL: no memory. The profile's
 * lists are gone through once, whatever the answer's length.
 */
struct explanation *explain(struct arena *arena, const struct model_relation *relation,
			    const struct profile_item *profile, uint32_t profile_count, struct recommended *items,
			    uint32_t count);

#endif
