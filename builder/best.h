/*
 * The best few of many scored rows, best first; equal scores by row.
 *
 *     best_init(&best, 100);
 *     for each: best_add(&best, score, row);
 *     count = best_sort(&best);               then best_row, best_score; best_clear
 *
 * A row and its positive score are one number, of which the larger is the better. What is not above the
 * worst of the best is passed over; the rest is collected and cut down to the best whenever there is no
 * more room. Pure.
 */
#ifndef KINDRED_BUILDER_BEST_H
#define KINDRED_BUILDER_BEST_H

#include <stdint.h>
#include <string.h>

struct best {
	uint64_t *keys; /* [2 x room], the upper half for sorting */
	uint64_t floor; /* nothing up to it is among the best */
	uint32_t count, room, keep;
};

/* keep: at least 1. 0 or E_EXHAUSTED. */
int best_init(struct best *best, uint32_t keep);
void best_fini(struct best *best);
/* Drops what is not among the best. */
void best_trim(struct best *best);
/* Drops what is not among the best and sorts the rest. Returns how many there are. */
uint32_t best_sort(struct best *best);

static inline void best_clear(struct best *best)
{
	best->count = 0;
	best->floor = 0;
}

/* score > 0 */
static inline void best_add(struct best *best, float score, uint32_t row)
{
	uint32_t bits; /* of positive floats, in their order */
	memcpy(&bits, &score, sizeof bits);
	uint64_t key = (uint64_t)bits << 32 | (UINT32_MAX - row);
	if (key <= best->floor)
		return;
	best->keys[best->count++] = key;
	if (best->count == best->room)
		best_trim(best);
}

static inline uint32_t best_row(const struct best *best, uint32_t place)
{
	return UINT32_MAX - (uint32_t)best->keys[place];
}

static inline float best_score(const struct best *best, uint32_t place)
{
	uint32_t bits = (uint32_t)(best->keys[place] >> 32);
	float score;
	memcpy(&score, &bits, sizeof score);
	return score;
}

#endif
