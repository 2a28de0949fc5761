#include "worker/explore.h"
#include "common/clock.h"

#include <xxhash.h>

static uint64_t hash_of(const struct explore *explore, uint32_t row)
{
	return XXH3_64bits_withSeed(&explore->catalog->keys[row], sizeof explore->catalog->keys[row], explore->seed);
}

static bool before(struct explore_candidate a, struct explore_candidate b)
{
	return a.hash != b.hash ? a.hash < b.hash : a.row < b.row;
}

static void add(struct explore *explore, uint32_t row)
{
	struct explore_candidate one = { hash_of(explore, row), row };
	if (explore->count == EXPLORE_LOOK)
		return;
	uint32_t at = explore->count++;
	for (; at > 0 && before(one, explore->heap[(at - 1) / 2]); at = (at - 1) / 2)
		explore->heap[at] = explore->heap[(at - 1) / 2];
	explore->heap[at] = one;
}

static uint32_t take(struct explore *explore)
{
	uint32_t row = explore->heap[0].row, at = 0;
	struct explore_candidate moved = explore->heap[--explore->count];
	for (uint32_t child; (child = 2 * at + 1) < explore->count; at = child) {
		if (child + 1 < explore->count && before(explore->heap[child + 1], explore->heap[child]))
			child++;
		if (!before(explore->heap[child], moved))
			break;
		explore->heap[at] = explore->heap[child];
	}
	explore->heap[at] = moved;
	return row;
}

bool explore_begin(struct explore *explore, struct arena *arena, const struct model_catalog *catalog,
		   const struct model_relation *relation, const struct profile_item *profile, uint32_t profile_count,
		   struct text_view user, int64_t as_of_ms, uint64_t generation)
{
	uint64_t when[2] = { (uint64_t)(as_of_ms / DAY_MS), generation };
	*explore = (struct explore){ .catalog = catalog, .relation = relation };
	explore->seed = XXH3_64bits_withSeed(user.data, user.bytes, XXH3_64bits(when, sizeof when));
	explore->heap = arena_alloc(arena, EXPLORE_LOOK * sizeof *explore->heap);
	if (!explore->heap)
		return false;
	for (uint32_t p = 0; p < profile_count; p++)
		for (uint64_t at = relation->offsets[profile[p].row]; at < relation->offsets[profile[p].row + 1]; at++)
			if (model_bit(relation->cold, model_entry_row(relation->entries[at], relation->row_mask)))
				add(explore, model_entry_row(relation->entries[at], relation->row_mask));
	return true;
}

bool explore_next(struct explore *explore, uint32_t *row)
{
	if (explore->count == 0 && !explore->newest) {
		explore->newest = true;
		for (uint32_t n = 0; n < explore->relation->cold_count && n < EXPLORE_LOOK; n++)
			add(explore, explore->relation->cold_rows[n]);
	}
	if (explore->count == 0)
		return false;
	*row = take(explore);
	return true;
}
