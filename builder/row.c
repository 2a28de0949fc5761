#include "builder/row.h"

#include "common/error.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#define AHEAD 4u /* lists whose entries are fetched before they are needed */
#define AHEAD_LINES 8u /* of each; what follows the processor sees coming */
#define LINE 64u

int row_init(struct row *row, const struct product *product)
{
	*row = (struct row){ .product = product,
			     .sums = calloc((size_t)product->items + 1, sizeof *row->sums),
			     .touched = malloc(((size_t)product->items + 1) * sizeof *row->touched) };
	return best_init(&row->best, product->keep) || !row->sums || !row->touched ? E_EXHAUSTED : 0;
}

void row_fini(struct row *row)
{
	free(row->sums);
	free(row->touched);
	best_fini(&row->best);
	*row = (struct row){ 0 };
}

static inline float pair_factor(const struct product *product, uint32_t older_s, uint32_t newer_s)
{
	/* Lists are in order of time, but that is not worth a crash if they are not. */
	float step = newer_s > older_s ? (float)(newer_s - older_s) * product->pair_scale : 0;
	return step < (float)(ROW_PAIR_STEPS * ROW_PAIR_TAUS) ? product->pair[(uint32_t)step] : 0;
}

/* Whether the item is new to the row cannot be foreseen: so no branch asks. */
static inline void add_pair(struct row *row, uint32_t item, float value)
{
	struct row_sum *sum = &row->sums[item];
	row->touched[row->touched_count] = item;
	row->touched_count += sum->users == 0;
	sum->value += value;
	sum->users++;
}

/* The entries of one user's list that are close enough to the own item's place in it. */
struct stretch {
	uint64_t first, own, end;
};

static inline struct stretch stretch_of(const struct product *product, const struct list_place *place)
{
	uint64_t list = place->list;
	uint32_t length = place->length, x = place->place, window = product->window;
	return (struct stretch){ .first = x > window ? list + x - window : list,
				 .own = list + x,
				 .end = length - x > window ? list + x + window + 1 : list + length };
}

static inline float own_weight(const struct product *product, const struct list_entry *own)
{
	bool as_is = own->weight >= 1 || (product->type_from >= 1 && product->type_from <= 1);
	return as_is ? own->weight : fmaxf(powf(own->weight, product->type_from), ROW_WEIGHT_MIN);
}

/* `timed` is known where this is called: two loops, one without the pair decay. */
__attribute__((always_inline)) static inline void add_list(const struct product *product, struct row *row,
							   const struct list_place *place, bool timed)
{
	const struct list_entry *entries = product->entries;
	const uint32_t *times = product->times;
	const struct stretch s = stretch_of(product, place);
	const float *gap = product->gap;
	const uint32_t own_s = timed ? times[s.own] : 0;
	const struct list_entry *own = &entries[s.own];
	float factor = product->length[place->length] * own_weight(product, own);
	if (product->back > 0) {
		/* the newer one of the pair, which gives its age, is the own item */
		float own_factor = factor * product->back * (own->aged / own->weight);
		for (uint64_t y = s.first; y < s.own; y++) {
			float value = own_factor * gap[s.own - y] * entries[y].weight;
			add_pair(row, entries[y].item, timed ? value * pair_factor(product, times[y], own_s) : value);
		}
	}
	for (uint64_t y = s.own + 1; y < s.end; y++) {
		float value = factor * gap[y - s.own] * entries[y].aged;
		add_pair(row, entries[y].item, timed ? value * pair_factor(product, own_s, times[y]) : value);
	}
}

static inline void fetch(const struct product *product, const struct list_place *place)
{
	const struct stretch s = stretch_of(product, place);
	const char *at = (const char *)&product->entries[s.first], *end = (const char *)&product->entries[s.end];
	for (uint32_t line = 0; line < AHEAD_LINES && at < end; line++, at += LINE)
		__builtin_prefetch(at);
}

__attribute__((always_inline)) static inline void add_lists(const struct product *product, struct row *row,
							    uint32_t item, bool timed)
{
	const struct list_place *place = product->places + product->item_offsets[item];
	const struct list_place *end = product->places + product->item_offsets[item + 1];
	for (uint32_t ahead = 0; ahead < AHEAD && place + ahead < end; ahead++)
		fetch(product, place + ahead);
	for (; place < end; place++) {
		if (place + AHEAD < end)
			fetch(product, place + AHEAD);
		add_list(product, row, place, timed);
	}
}

/* weight(item -> other) of builder/params.h */
static inline float score_of(const struct product *product, uint32_t item, uint32_t other, float sum)
{
	return sum / (product->from[item] * product->to[other] + product->shrink);
}

/* Leaves the sums at zero. */
static uint32_t pick_best(const struct product *product, struct row *row, uint32_t item)
{
	best_clear(&row->best);
	for (uint32_t t = 0; t < row->touched_count; t++) {
		uint32_t other = row->touched[t];
		struct row_sum sum = row->sums[other];
		row->sums[other] = (struct row_sum){ 0 };
		float score = score_of(product, item, other, sum.value);
		if (sum.users >= product->min_count && score > 0)
			best_add(&row->best, score, other);
	}
	row->touched_count = 0;
	return best_sort(&row->best);
}

uint32_t row_make(struct row *row, uint32_t item)
{
	const struct product *product = row->product;
	if (product->pair)
		add_lists(product, row, item, true);
	else
		add_lists(product, row, item, false);
	return pick_best(product, row, item);
}
