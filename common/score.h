/*
 * Scoring: from a user's profile (common/profile.h) to a ranked list of rows of the model. Integer
 * arithmetic with a total order on ties, so that the same input gives the same answer on any machine.
 * The builder's evaluation uses this very code. Pure: no I/O, no clock.
 *
 * score(j) = (sum over profile items i of (profile weight(i) x neighbour weight(i -> j)) >> 12) x multiplier(j) >> 12
 *
 * A relation may be served with two more summands, which come before the multiplier:
 *
 *   self_weight: a profile item j gives itself (profile weight(j) x its best neighbour's weight) >> 12, times
 *     self_weight (for the newest one times self_newest too), at most 65535. An item without neighbours, such as
 *     one that nobody had when the model was built, is taken to have a best neighbour of average weight.
 *   blend: each of the BLEND_ROWS most popular rows of late gets blend x the greatest sum of any row that may be
 *     shown x its own popularity, in shares of the popularity of number BLEND_AT, counted from 0 (of the middle
 *     one, when there are fewer than 2 x BLEND_AT), at most SERVING_BLEND_MAX times that greatest sum. In shares
 *     of the most popular one, blend would mean something else in a week with one great hit than in a week with
 *     ten. Without candidates there is nothing to blend with.
 *
 * Neighbour weights have 16 bits, so every summand but the blend is at most 65535, and up to 65,536 of
 * them fit 32 bits. Every summand is shifted by itself: the parts of an explanation add up to exactly
 * the sum. Order: score descending, then row ascending (rows are in order of popularity).
 */
#ifndef KINDRED_SCORE_H
#define KINDRED_SCORE_H

#include "common/profile.h"

#include <stdbool.h>
#include <stdint.h>

#define BLEND_ROWS 300u
#define BLEND_AT 20u

/* The greatest of the multipliers, for model_relation; multipliers NULL: SCORE_ONE. */
uint32_t multiplier_max(const uint16_t *multipliers, uint32_t items);

struct scorer; /* an accumulator per row and the list of rows touched; one a thread */

struct scored {
	uint32_t row;
	uint32_t score;
	bool popular; /* only blended in: nothing in the profile led to it */
	/*
	 * A profile item that is not cold led to it, or it is one itself. False: not known, as in a
	 * relation that does not tell which items are cold.
	 */
	bool by_warm;
};

struct scorer *scorer_new(uint32_t rows); /* NULL: no memory */
void scorer_free(struct scorer *scorer);
int scorer_resize(struct scorer *scorer, uint32_t rows); /* before a larger model is used; 0 or E_EXHAUSTED */

/*
 * Says which profile is scored after the next one: while scorer_top() works on another, this one's
 * lists, which lie all over a large file, are prefetched. Changes no answer. Good for the next
 * scorer_top() alone.
 */
void scorer_next(struct scorer *scorer, const struct model_relation *relation, const struct profile_item *profile,
		 uint32_t count);

/* Whether a row may be shown, or why not. */
enum score_verdict {
	SCORE_SHOW,
	SCORE_EXCLUDED, /* by the user's own events */
	SCORE_FILTERED, /* by the definition's filter */
	SCORE_FILTERED_BY_CALL, /* by the filter of this call alone */
	SCORE_UNAVAILABLE,
	SCORE_VERDICTS
};
typedef enum score_verdict (*score_judge)(void *context, uint32_t row);

struct score_counts {
	/* exact when fewer than n were found; with n, not all are looked at */
	uint32_t candidates; /* rows that something in the profile led to, or that were blended in */
	uint32_t judged[SCORE_VERDICTS]; /* of those that the judge was asked about, by what it said */
};

/*
 * The best n rows for the profile. judge (NULL: show all) is asked only for rows that would enter the
 * list (and, to blend, for those that may be the best). top: room for n. Returns how many. The scorer
 * is clean again afterwards.
 */
uint32_t scorer_top(struct scorer *scorer, const struct model_relation *relation, const struct profile_item *profile,
		    uint32_t profile_count, uint32_t n, score_judge judge, void *context, struct scored *top,
		    struct score_counts *counts);

#endif
