#include "worker/source.h"
#include "kindred/v1/recommend.pb-c.h"

#include <string.h>

#define PERSONAL KINDRED__V1__SOURCE__SOURCE_PERSONAL
#define SIMILAR KINDRED__V1__SOURCE__SOURCE_SIMILAR

/* Where the answer's rows are: open addressing, linear. Before it a filter of a bit for each of them, in two cache lines: hardly a neighbour passes it. */
#define FILTER_BITS 1024u
struct places {
	uint64_t filter[FILTER_BITS / 64];
	struct recommended **slots; /* NULL: free */
	uint32_t mask;
};

static uint32_t slot_of(const struct places *places, uint32_t row)
{
	return (row * UINT32_C(2654435769) >> 7) & places->mask;
}

static bool places_make(struct places *places, struct arena *arena, struct recommended *items, uint32_t count)
{
	uint32_t size = 16;
	while (size < 4 * count)
		size *= 2;
	memset(places->filter, 0, sizeof places->filter);
	places->mask = size - 1;
	places->slots = arena_zalloc(arena, size * sizeof *places->slots);
	if (!places->slots)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t slot = slot_of(places, items[i].row);
		while (places->slots[slot])
			slot = (slot + 1) & places->mask;
		places->slots[slot] = &items[i];
		places->filter[items[i].row / 64 % (FILTER_BITS / 64)] |= UINT64_C(1) << items[i].row % 64;
	}
	return true;
}

static inline bool may_have(const struct places *places, uint32_t row)
{
	return places->filter[row / 64 % (FILTER_BITS / 64)] >> row % 64 & 1;
}

/* The row's place in the answer; NULL: it has none. */
static struct recommended *place_of(const struct places *places, uint32_t row)
{
	struct recommended *item;
	for (uint32_t slot = slot_of(places, row); (item = places->slots[slot]); slot = (slot + 1) & places->mask)
		if (item->row == row)
			return item;
	return NULL;
}

static bool is_by_attributes(const struct model_relation *relation, uint64_t at)
{
	return relation->by_attributes && model_bit(relation->by_attributes, at);
}

/*
 * The rows of the answer that one list leads to, by attributes or as learnt, and that have the one source: they have the other from now on.
 * Returns how many. The bit is read last: hardly a neighbour is in the answer, and the bit in a cache.
 */
static uint32_t turn_list(const struct places *places, const struct model_relation *relation, uint32_t list,
			  bool by_attributes, uint32_t from, uint32_t to)
{
	uint32_t turned = 0;
	for (uint64_t at = relation->offsets[list]; at < relation->offsets[list + 1]; at++) {
		uint32_t row = model_entry_row(relation->entries[at], relation->row_mask);
		if (!may_have(places, row))
			continue;
		struct recommended *item = place_of(places, row);
		if (item && item->source == from && is_by_attributes(relation, at) == by_attributes) {
			item->source = to;
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
			return !is_by_attributes(relation, at);
	return false;
}

/* Whether the profile leads to the row by itself or by something learnt. What is looked at does not count. */
static bool learnt_leads(const struct model_relation *relation, const struct profile_item *profile,
			 uint32_t profile_count, uint32_t context_row, uint32_t row)
{
	for (uint32_t p = 0; p < profile_count; p++)
		if (profile[p].row != context_row &&
		    (profile[p].row == row || learnt_in(relation, profile[p].row, row)))
			return true;
	return false;
}

#define FEW 16u /* for so many the lists are looked through one by one; for more once for all */

/*
 * An item is taken for similar as soon as it may be, and for personal again when something learnt is found to lead to it. It may be when there is a
 * context; else only cold items have neighbours by attributes, or are such neighbours.
 */
bool source_find(struct arena *arena, const struct model_relation *relation, const struct profile_item *profile,
		 uint32_t profile_count, uint32_t context_row, struct recommended *items, uint32_t count)
{
	bool told = relation->by_attributes && relation->cold, context = context_row != MODEL_NO_ROW;
	uint32_t similar = 0, cold = 0;
	struct places places;
	for (uint32_t i = 0; i < count; i++) {
		if (items[i].source != KINDRED__V1__SOURCE__SOURCE_UNSPECIFIED)
			continue;
		bool may_be = context || (told && model_bit(relation->cold, items[i].row));
		items[i].source = may_be ? SIMILAR : PERSONAL;
		similar += may_be;
	}
	for (uint32_t p = 0; told && !context && p < profile_count; p++) {
		if (!model_bit(relation->cold, profile[p].row))
			continue;
		cold++;
		/* turn_list reads some of this list's bits, and they are in no cache */
		__builtin_prefetch((const char *)relation->by_attributes + relation->offsets[profile[p].row] / 8);
	}
	if (!similar && !cold)
		return true;
	if ((cold || similar > FEW) && !places_make(&places, arena, items, count))
		return false;
	for (uint32_t p = 0; cold && p < profile_count; p++)
		if (model_bit(relation->cold, profile[p].row))
			similar += turn_list(&places, relation, profile[p].row, true, PERSONAL, SIMILAR);
	if (similar <= FEW) {
		for (uint32_t i = 0; i < count; i++)
			if (items[i].source == SIMILAR &&
			    learnt_leads(relation, profile, profile_count, context_row, items[i].row))
				items[i].source = PERSONAL;
		return true;
	}
	for (uint32_t p = 0; similar && p < profile_count; p++) {
		if (profile[p].row == context_row)
			continue;
		struct recommended *own = place_of(&places, profile[p].row);
		if (own && own->source == SIMILAR) {
			own->source = PERSONAL;
			similar--;
		}
		similar -= turn_list(&places, relation, profile[p].row, false, SIMILAR, PERSONAL);
	}
	return true;
}
