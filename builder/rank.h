/*
 * The value at a rank among many 32-bit numbers that are counted, not stored: the caller goes through them twice.
 *
 *     rank_init(&rank); for each v: rank_count(&rank, v);            rank.total is their number
 *     rank_narrow(&rank, position); for each v: rank_count(&rank, v);
 *     rank_value(&rank)                                                the number at that position in ascending order, from 0
 *
 * Pure.
 */
#ifndef KINDRED_BUILDER_RANK_H
#define KINDRED_BUILDER_RANK_H

#include <stdbool.h>
#include <stdint.h>

struct rank {
	uint64_t counts[65536];
	uint64_t total;
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
	} else if (value >> 16 == rank->high) {
		rank->counts[value & 0xffff]++;
	}
}
/* position < total */
void rank_narrow(struct rank *rank, uint64_t position);
uint32_t rank_value(const struct rank *rank);

#endif
