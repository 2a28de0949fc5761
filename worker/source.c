#include "worker/source.h"
#include "kindred/v1/recommend.pb-c.h"
#include "worker/places.h"

#include <string.h>

#define PERSONAL KINDRED__V1__SOURCE__SOURCE_PERSONAL
#define SIMILAR KINDRED__V1__SOURCE__SOURCE_SIMILAR

/* The profile's lists that count, those of cold items last: what is learnt is hardly ever found there. */
struct lists {
	const struct model_relation *relation;
	uint32_t rows[PROFILE_MAX]; /* whose they are */
	bool selves[PROFILE_MAX]; /* the item counts for itself */
	uint32_t count;
	bool any_cold;
};

static bool is_cold(const struct model_relation *relation, uint32_t row)
{
	return relation->cold && model_bit(relation->cold, row);
}

static void add_list(struct lists *lists, const struct profile_item *profile, uint32_t number)
{
	const struct model_serving *serving = &lists->relation->serving;
	lists->rows[lists->count] = profile[number].row;
	lists->selves[lists->count++] = number == 0 ? serving->self_newest_q12 : serving->self_q12;
}

static void lists_make(struct lists *lists, const struct model_relation *relation, const struct profile_item *profile,
		       uint32_t profile_count, uint32_t context_row)
{
	lists->relation = relation;
	lists->count = 0;
	for (uint32_t p = 0; p < profile_count; p++)
		if (profile[p].row != context_row && !is_cold(relation, profile[p].row))
			add_list(lists, profile, p);
	uint32_t warm = lists->count;
	for (uint32_t p = 0; relation->cold && p < profile_count; p++)
		if (profile[p].row != context_row && is_cold(relation, profile[p].row))
			add_list(lists, profile, p);
	lists->any_cold = lists->count > warm;
}

/*
 * Whether neighbour number `at`, of the item `from`, is learnt. Only cold items have neighbours by
 * attributes, or are such neighbours, as far as it is told who is cold: of others the bit, which is in
 * no cache, need not be read.
 */
static bool is_learnt(const struct model_relation *relation, uint32_t from, uint64_t at, uint32_t row)
{
	if (!relation->by_attributes || (relation->cold && !is_cold(relation, from) && !is_cold(relation, row)))
		return true;
	return !model_bit(relation->by_attributes, at);
}

/*
 * The rows of the answer that are taken for similar and that one list leads to as learnt: they are
 * personal from now on. Returns how many.
 */
static uint32_t turn_list(const struct places *places, const struct model_relation *relation, uint32_t list)
{
	uint32_t turned = 0;
	for (uint64_t at = relation->offsets[list]; at < relation->offsets[list + 1]; at++) {
		uint32_t row = model_entry_row(relation->entries[at], relation->row_mask);
		if (!places_may_have(places, row))
			continue;
		struct recommended *item = places_find(places, row);
		if (item && item->source == SIMILAR && is_learnt(relation, list, at, row)) {
			item->source = PERSONAL;
			turned++;
		}
	}
	return turned;
}

/* Four words at once; both compilers make what the processor has of it. */
typedef uint32_t four __attribute__((vector_size(16), aligned(4), may_alias));
#define FOUR 4u

/* Whether a list has the row among its learnt neighbours. Nearly always it has it not at all. */
static bool learnt_in(const struct model_relation *relation, uint32_t list, uint32_t row)
{
	const uint32_t *entries = relation->entries;
	uint64_t at = relation->offsets[list], end = relation->offsets[list + 1];
	four found = { 0 };
	for (; end - at >= FOUR; at += FOUR)
		found |= (four)((*(const four *)(entries + at) & relation->row_mask) == row);
	bool any = found[0] | found[1] | found[2] | found[3];
	for (; at < end; at++)
		any |= model_entry_row(entries[at], relation->row_mask) == row;
	for (at = relation->offsets[list]; any && at < end; at++)
		if (model_entry_row(entries[at], relation->row_mask) == row)
			return is_learnt(relation, list, at, row);
	return false;
}

/* Whether the profile leads to the row by itself or by something learnt. */
static bool learnt_leads(const struct lists *lists, uint32_t row)
{
	for (uint32_t i = 0; i < lists->count; i++)
		if ((lists->rows[i] == row && lists->selves[i]) || learnt_in(lists->relation, lists->rows[i], row))
			return true;
	return false;
}

/* Once through all lists, whatever the answer's length; ends when none is taken for similar any more. */
static void turn_all(const struct places *places, const struct lists *lists, uint32_t similar)
{
	for (uint32_t i = 0; similar && i < lists->count; i++) {
		struct recommended *own = lists->selves[i] ? places_find(places, lists->rows[i]) : NULL;
		if (own && own->source == SIMILAR) {
			own->source = PERSONAL;
			similar--;
		}
		similar -= turn_list(places, lists->relation, lists->rows[i]);
	}
}

#define FEW 16u /* for so many the lists are looked through one by one; for more once for all */

/*
 * Something led to each item. So what nothing learnt led to is similar, and only where by attributes
 * something can have led has to be looked.
 */
bool source_find(struct arena *arena, const struct model_relation *relation, const struct profile_item *profile,
		 uint32_t profile_count, uint32_t context_row, struct recommended *items, uint32_t count)
{
	bool context = context_row != MODEL_NO_ROW, told = relation->by_attributes && relation->cold;
	uint32_t unknown = 0, similar = 0;
	struct lists lists;
	struct places places;
	for (uint32_t i = 0; i < count; i++)
		unknown += items[i].source == KINDRED__V1__SOURCE__SOURCE_UNSPECIFIED;
	if (!unknown)
		return true;
	lists_make(&lists, relation, profile, profile_count, context_row);
	for (uint32_t i = 0; i < count; i++) {
		if (items[i].source != KINDRED__V1__SOURCE__SOURCE_UNSPECIFIED)
			continue;
		bool may_be = context || (told && (lists.any_cold || is_cold(relation, items[i].row)));
		items[i].source = may_be ? SIMILAR : PERSONAL;
		similar += may_be;
	}
	if (similar > FEW) {
		if (!places_make(&places, arena, items, count))
			return false;
		turn_all(&places, &lists, similar);
		return true;
	}
	for (uint32_t i = 0; similar && i < count; i++)
		if (items[i].source == SIMILAR && learnt_leads(&lists, items[i].row))
			items[i].source = PERSONAL;
	return true;
}
