#include "worker/explain.h"
#include "common/score_parts.h"
#include "kindred/v1/recommend.pb-c.h"
#include "worker/places.h"

#define NEIGHBOUR KINDRED__V1__SCORE_PART_KIND__SCORE_PART_KIND_NEIGHBOUR
#define REPEAT KINDRED__V1__SCORE_PART_KIND__SCORE_PART_KIND_REPEAT

/* Keeps the greatest, of equal ones those that come first; the others are the rest. */
static void take(struct explanation *explanation, struct explain_part part)
{
	struct explain_part *parts = explanation->parts;
	uint32_t at = explanation->count;
	if (part.amount == 0)
		return;
	if (at == EXPLAIN_PARTS) {
		uint32_t least = parts[at - 1].amount;
		explanation->rest += least < part.amount ? least : part.amount;
		if (least >= part.amount)
			return;
		at--;
	} else {
		explanation->count++;
	}
	for (; at > 0 && parts[at - 1].amount < part.amount; at--)
		parts[at] = parts[at - 1];
	parts[at] = part;
}

struct walk {
	const struct model_relation *relation;
	struct places places;
	struct recommended *items;
	struct explanation *explanations;
};

/* NULL: the row is not in the answer, or the profile did not lead there. */
static struct explanation *led_to(const struct walk *walk, uint32_t row)
{
	const struct recommended *item = places_may_have(&walk->places, row) ? places_find(&walk->places, row) : NULL;
	bool led = item && (item->source == KINDRED__V1__SOURCE__SOURCE_PERSONAL ||
			    item->source == KINDRED__V1__SOURCE__SOURCE_SIMILAR);
	return led ? &walk->explanations[item - walk->items] : NULL;
}

static void walk_list(const struct walk *walk, const struct profile_item *from, bool newest)
{
	const struct model_relation *relation = walk->relation;
	uint64_t first = relation->offsets[from->row], end = relation->offsets[from->row + 1];
	struct explanation *explanation;
	for (uint64_t at = first; at < end; at++) {
		uint32_t entry = relation->entries[at];
		explanation = led_to(walk, model_entry_row(entry, relation->row_mask));
		if (explanation)
			take(explanation,
			     (struct explain_part){ .kind = NEIGHBOUR,
						    .row = from->row,
						    .amount = score_part(entry, relation->row_mask, from->weight) });
	}
	explanation = relation->serving.self_q12 ? led_to(walk, from->row) : NULL;
	if (!explanation)
		return;
	uint32_t best = first < end ? model_entry_weight(relation->entries[first], relation->row_mask) : 0;
	take(explanation, (struct explain_part){ .kind = REPEAT,
						 .row = from->row,
						 .amount = score_self_part(relation, from->weight, best, newest) });
}

/* What the profile did not give. */
static void finish(struct explanation *explanation, const struct model_relation *relation,
		   const struct recommended *item)
{
	if (item->score == 0) { /* what its parts gave is all taken away again, being less than one */
		*explanation = (struct explanation){ 0 };
		return;
	}
	uint32_t sum = explanation->rest;
	for (uint32_t i = 0; i < explanation->count; i++)
		sum += explanation->parts[i].amount;
	uint32_t multiplied = score_multiplied(relation, item->row, sum);
	explanation->trend = (int64_t)multiplied - sum;
	explanation->popular = item->score - multiplied;
}

struct explanation *explain(struct arena *arena, const struct model_relation *relation,
			    const struct profile_item *profile, uint32_t profile_count, struct recommended *items,
			    uint32_t count)
{
	struct walk walk = { .relation = relation, .items = items };
	walk.explanations = arena_zalloc(arena, (count + 1) * sizeof *walk.explanations);
	if (!walk.explanations || !places_make(&walk.places, arena, items, count))
		return NULL;
	for (uint32_t p = 0; p < profile_count; p++)
		walk_list(&walk, &profile[p], p == 0);
	for (uint32_t i = 0; i < count; i++)
		finish(&walk.explanations[i], relation, &items[i]);
	return walk.explanations;
}
