/*
 * Why an item is there: whether something that was learnt led to it, or only what it shares with the
 * user's items (attributes, words of the name). Pure.
 */
#ifndef KINDRED_WORKER_SOURCE_H
#define KINDRED_WORKER_SOURCE_H

#include "common/arena.h"
#include "common/model.h"
#include "common/score.h"
#include "worker/recommend.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Gives each item whose source is not told yet (SOURCE_UNSPECIFIED) its own; the profile led to all of
 * these. SOURCE_SIMILAR when every neighbour relation that led to the item is by attributes alone, or
 * from the item being looked at (context_row, MODEL_NO_ROW: there is none), else SOURCE_PERSONAL.
 * items: different rows.
 *
 * The lists of the profile's items are gone through at most once for a long answer, and until something
 * learnt is found for each item of a short one; and only when the answer or the profile has to do with
 * cold items or there is a context. false: no memory in the arena.
 */
bool source_find(struct arena *arena, const struct model_relation *relation, const struct profile_item *profile,
		 uint32_t profile_count, uint32_t context_row, struct recommended *items, uint32_t count);

#endif
