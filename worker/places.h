/* Where in an answer a row is: for looking through whole lists of neighbours for the few rows that are in it. Pure. */
#ifndef KINDRED_WORKER_PLACES_H
#define KINDRED_WORKER_PLACES_H

#include "common/arena.h"
#include "worker/recommend.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Open addressing, linear. Before it a filter of a bit for each row, in two cache lines: hardly a
 * neighbour passes it.
 */
#define PLACES_FILTER_BITS 1024u
struct places {
	uint64_t filter[PLACES_FILTER_BITS / 64];
	struct recommended **slots; /* NULL: free */
	uint32_t mask;
};

/* items: different rows; they stay where they are. false: no memory in the arena, which owns the slots. */
bool places_make(struct places *places, struct arena *arena, struct recommended *items, uint32_t count);

/* false: places_find would find nothing. */
static inline bool places_may_have(const struct places *places, uint32_t row)
{
	return places->filter[row / 64 % (PLACES_FILTER_BITS / 64)] >> row % 64 & 1;
}
static inline uint32_t places_slot(const struct places *places, uint32_t row)
{
	return (row * UINT32_C(2654435769) >> 7) & places->mask; /* 2^32 / golden ratio */
}
/* The row's place in the answer; NULL: it has none. */
static inline struct recommended *places_find(const struct places *places, uint32_t row)
{
	uint32_t slot = places_slot(places, row);
	struct recommended *item;
	for (; (item = places->slots[slot]); slot = (slot + 1) & places->mask)
		if (item->row == row)
			return item;
	return NULL;
}

#endif
