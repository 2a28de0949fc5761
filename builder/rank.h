/*
 * The value at a rank among many 32-bit numbers that are counted, not stored: the caller goes through them twice.
 *
 *     rank_init(&rank); for each v: rank_count(&rank, v);            rank.total is their number
 *     rank_narrow(&rank, position); for each v: rank_count(&rank, v);
 *     rank_value(&rank)                                              the number at that position in ascending
 *                                                                    order, from 0
 *
 * rank_count_all() is the loop, for many numbers and several threads.
 */
#ifndef KINDRED_BUILDER_RANK_H
#define KINDRED_BUILDER_RANK_H

#include <stdbool.h>
#include <stdint.h>

struct rank {
	uint64_t counts[65536];
	uint64_t total;
	uint32_t least; /* of all; UINT32_MAX: there are none */
	uint64_t position;
	uint32_t high; /* upper half of the value, once narrowed */
	bool narrowed;
};

void rank_init(struct rank *rank);
static inline void rank_count(struct rank *rank, uint32_t value)
{
	if (!rank->narrowed) {
		rank->counts[value >> 16]++;
		rank->total++;
		rank->least = value < rank->least ? value : rank->least;
	} else if (value >> 16 == rank->high) {
		rank->counts[value & 0xffff]++;
	}
}
/* position < total */
void rank_narrow(struct rank *rank, uint64_t position);
uint32_t rank_value(const struct rank *rank);

/* Numbers by their places in an array. */
struct rank_values {
	uint64_t places;
	/* Calls rank_count for those at [first, end). Any thread. */
	void (*count)(const void *context, struct rank *rank, uint64_t first, uint64_t end);
	const void *context;
};

/* What rank_count would have made of all of them. E_EXHAUSTED: no memory. */
int rank_count_all(struct rank *rank, const struct rank_values *values, uint32_t threads);

#endif
