/*
 * Scoring: from a user's events to a ranked list of rows of the model. Integer arithmetic with a total order on ties, so that the same
 * input gives the same answer on any machine. The builder's evaluation uses this very code. Pure: no I/O, no clock.
 *
 * profile: the last L distinct items, newest first; weight (Q12: 4096 is 1.0) = event weight x decay^rank / (1 + slope x rank)
 *   x 2^-(age / half-life).
 *   Weights of event types are scaled so that the largest among the profile's own events is 4096: where a purchase counts a thousand looks, who
 *   only looked is not left with nothing.
 * score(j) = sum over profile items i of (profile weight(i) x neighbour weight(i -> j)) >> 12, then x multiplier(j) >> 12.
 *   Two more summands, when the relation is served with them, before the multiplier:
 *     self_weight: a profile item j gives itself (profile weight(j) x its best neighbour's weight) >> 12, x self_weight
 *     (the newest one: x self_newest too), at most 65535. One without neighbours, such as what the model knows nobody to have had, is taken to have
 *     what others have on average.
 *     blend: the BLEND_ROWS most popular rows of late get blend x the greatest sum of any row that may be shown x their popularity
 *     in shares of that of number BLEND_AT (of the middle one, when there are few), at most SERVING_BLEND_MAX times the sum. Measured against the one most popular row, it would mean something else in a week
 *     with one great hit than in a week with ten. With no candidates there is nothing to blend with.
 *   Neighbour weights are 16 bit, so every summand but the last is at most 65535 and up to 65,536 of them fit 32 bits.
 *   Every summand is shifted by itself: the parts add up to exactly the sum.
 * order: score descending, then row ascending (rows are in order of popularity).
 */
#ifndef KINDRED_SCORE_H
#define KINDRED_SCORE_H

#include "common/model.h"

#include <stdbool.h>
#include <stdint.h>

#define SCORE_ONE 4096u /* 1.0 in Q12 */
#define PROFILE_MAX 256
#define BLEND_ROWS 300u
#define BLEND_AT 20u

/* One event of the user that the definition counts, its item found in the model. */
struct profile_event {
	uint32_t row;
	uint32_t weight; /* Q12, 1..SCORE_ONE: of the event's type within the definition */
	int64_t time_ms;
};

struct profile_item {
	uint32_t row;
	uint32_t weight; /* Q12, > 0 */
};

/* Fills the integers of params from its numbers (the reader of a model does it; the builder for parameters of its own). */
void serving_prepare(struct model_serving *params);

/* The greatest of the multipliers, for model_relation; multipliers NULL: SCORE_ONE. */
uint32_t multiplier_max(const uint16_t *multipliers, uint32_t items);

/*
 * events: newest first. Distinct items keep their newest place and their largest event weight among the events looked at. Ages count from events[0].time_ms. profile: room for PROFILE_MAX.
 * Returns the number of items. Looks at no more than 4 x params->profile_items events.
 */
uint32_t profile_make(const struct model_serving *params, const struct profile_event *events, uint32_t count,
		      struct profile_item *profile);

struct scorer; /* an accumulator per row and the list of rows touched; one a thread */

struct scored {
	uint32_t row;
	uint32_t score;
	bool popular; /* only blended in: nothing in the profile led to it */
	bool by_warm; /* a profile item that is not cold led to it, or it is one itself; false: not known, as of a relation that does not tell who is cold */
};

struct scorer *scorer_new(uint32_t rows); /* NULL: no memory */
void scorer_free(struct scorer *scorer);
int scorer_resize(struct scorer *scorer, uint32_t rows); /* before a larger model is used; 0 or E_EXHAUSTED */

/*
 * Says whose turn is next: while scorer_top() scores another profile, the lists of this one are asked for, which lie all over a large file. Changes no
 * answer. Good for the next scorer_top() alone.
 */
void scorer_next(struct scorer *scorer, const struct model_relation *relation, const struct profile_item *profile,
		 uint32_t count);

/* Why a row may not be shown. */
enum score_verdict { SCORE_SHOW, SCORE_EXCLUDED, SCORE_FILTERED, SCORE_UNAVAILABLE };
typedef enum score_verdict (*score_judge)(void *context, uint32_t row);

struct score_counts {
	/* exact when fewer than n were found; with n, not all are looked at */
	uint32_t candidates; /* rows that something in the profile led to, or that were blended in */
	uint32_t excluded, filtered, unavailable; /* of those judged */
};

/*
 * The best n rows for the profile. judge (NULL: show all) is asked only for rows that would enter the list (and, to blend, for
 * those that may be the best). top: room for n. Returns how many. The scorer is clean again afterwards.
 */
uint32_t scorer_top(struct scorer *scorer, const struct model_relation *relation, const struct profile_item *profile,
		    uint32_t profile_count, uint32_t n, score_judge judge, void *context, struct scored *top,
		    struct score_counts *counts);

#endif
