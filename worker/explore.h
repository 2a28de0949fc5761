/*
 * Exploring: which items with too few events a user may be shown, so that somebody finds out about
 * them. First those that go with the user's own items (by attributes, or by the little that was
 * learnt), then the newest of the catalog; within each in an order that a hash of user, day and
 * generation gives: the same answer when asked again, another one for another user and another day.
 * Pure.
 *
 *     explore_begin(&explore, ..);
 *     while (explore_next(&explore, &row)) ..     a row may come twice
 */
#ifndef KINDRED_WORKER_EXPLORE_H
#define KINDRED_WORKER_EXPLORE_H

#include "common/arena.h"
#include "common/filter.h"
#include "common/model.h"
#include "common/score.h"

#include <stdbool.h>
#include <stdint.h>

#define EXPLORE_LOOK 500u /* candidates of each kind that are looked at */

struct explore_candidate {
	uint64_t hash;
	uint32_t row;
};

struct explore {
	const struct model_catalog *catalog;
	const struct model_relation *relation;
	uint64_t seed;
	struct explore_candidate *heap; /* [EXPLORE_LOOK], least hash on top */
	uint32_t count;
	bool newest; /* those of the catalog have had their turn */
};

/* Memory comes from the arena. false: there is none. The profile is read now and not kept. */
bool explore_begin(struct explore *explore, struct arena *arena, const struct model_catalog *catalog,
		   const struct model_relation *relation, const struct profile_item *profile, uint32_t profile_count,
		   struct text_view user, int64_t as_of_ms, uint64_t generation);
bool explore_next(struct explore *explore, uint32_t *row);

/* Places of a list that a share (in millionths) gives. */
static inline uint32_t explore_places(uint32_t share, uint32_t count)
{
	return (uint32_t)((uint64_t)share * count / 1000000);
}

#endif
