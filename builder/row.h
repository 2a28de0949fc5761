/*
 * One row of the sparse product of builder/cooccur.h: what the lists of the users who have an item give
 * to all the others, summed up in one dense accumulator a thread, and the best of it. This is where a
 * build spends most of its time.
 *
 *     row_init(&row, product); for each item: count = row_make(&row, item); .. row.best ..; row_fini(&row)
 *
 * The product's tables are shared by the threads and do not change; a row is one thread's.
 */
#ifndef KINDRED_BUILDER_ROW_H
#define KINDRED_BUILDER_ROW_H

#include "builder/best.h"
#include "builder/lists.h"

#define ROW_PAIR_STEPS 64u /* of the pair decay's table, a tau */
#define ROW_PAIR_TAUS 16u /* beyond them a pair counts nothing */
/* What the rarest of event types counts at least: the product of two must still be a float that is not 0. */
#define ROW_WEIGHT_MIN 1e-12f

/* What a row is made from, by the formula of builder/params.h. */
struct product {
	const struct list_entry *entries;
	const uint32_t *times; /* of the entries */
	const struct list_place *places;
	const uint64_t *item_offsets;
	uint32_t items, window, keep;
	float back, shrink;
	float type_from; /* exponent of what is weight^type_to */
	uint32_t min_count;
	float *gap; /* [longest list]: by places apart */
	float *length; /* [longest list + 1]: by length */
	float *pair; /* [ROW_PAIR_STEPS x ROW_PAIR_TAUS], by time apart; NULL: no pair decay */
	float pair_scale; /* seconds to steps */
	float *from, *to; /* [items]: n^norm_from, n^norm_to */
};

struct row_sum {
	float value;
	uint32_t users;
};

struct row {
	const struct product *product;
	struct row_sum *sums; /* [items], zero between rows */
	uint32_t *touched; /* [items + 1]: others with a sum, as they came; one more than there can be */
	uint32_t touched_count;
	struct best best; /* of the row made last */
};

/* 0 or E_EXHAUSTED. */
int row_init(struct row *row, const struct product *product);
void row_fini(struct row *row);
/* Leaves the item's best neighbours in row->best, sorted; returns how many. */
uint32_t row_make(struct row *row, uint32_t item);

#endif
