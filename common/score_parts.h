/*
 * The summands of a score, as common/score.h defines them: for the sums, and for explaining one. Pure.
 */
#ifndef KINDRED_SCORE_PARTS_H
#define KINDRED_SCORE_PARTS_H

#include "common/model.h"

#include <stdbool.h>
#include <stdint.h>

/* What a neighbour gets from a profile item of that weight; entry: the neighbour in the item's list. */
static inline uint32_t score_part(uint32_t entry, uint32_t row_mask, uint32_t weight)
{
	return (uint32_t)((uint64_t)(entry & ~row_mask) * weight >> 28);
}

/*
 * What a profile item of that weight counts for itself, where the relation is served with a self weight. best: its
 * best neighbour's weight, 0: it has none. newest: it is the profile's newest.
 */
static inline uint32_t score_self_part(const struct model_relation *relation, uint32_t weight, uint32_t best,
				       bool newest)
{
	const struct model_serving *serving = &relation->serving;
	uint32_t alone = relation->best_weight ? relation->best_weight : 1;
	uint64_t part = (uint64_t)(weight * (best ? best : alone) >> 12) *
				(newest ? serving->self_newest_q12 : serving->self_q12) >>
			12;
	return part < UINT16_MAX ? (uint32_t)part : UINT16_MAX;
}

/* The score that a row gets for its sum: season and trend. */
static inline uint32_t score_multiplied(const struct model_relation *relation, uint32_t row, uint64_t sum)
{
	return relation->multipliers ? (uint32_t)(sum * relation->multipliers[row] >> 12) : (uint32_t)sum;
}

#endif
