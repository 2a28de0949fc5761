/*
 * Why an item is there: whether something that was learnt led to it, or only what it shares with the user's items (attributes, words of the name).
 * Pure.
 */
#ifndef KINDRED_WORKER_SOURCE_H
#define KINDRED_WORKER_SOURCE_H

#include "common/model.h"
#include "common/score.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * A Kindred__V1__Source for a row that the profile led to: SOURCE_SIMILAR when every neighbour relation that led to it is by attributes
 * alone, or from the item being looked at (context_row, MODEL_NO_ROW: there is none), else SOURCE_PERSONAL. Lists are looked through only for rows and profiles that have to do with cold items or a context.
 */
uint32_t source_of(const struct model_relation *relation, const struct profile_item *profile, uint32_t profile_count,
		   uint32_t context_row, uint32_t row);

#endif
