#include "bench/kernel_plain.h"

#include <stdlib.h>

struct plain {
	uint32_t *sums; /* [rows], all 0 between calls */
	uint32_t *touched; /* [rows] */
};

struct plain *plain_new(uint32_t rows)
{
	struct plain *plain = calloc(1, sizeof *plain);
	if (!plain)
		return NULL;
	plain->sums = calloc((size_t)rows + 1, sizeof *plain->sums);
	plain->touched = malloc(((size_t)rows + 1) * sizeof *plain->touched);
	if (plain->sums && plain->touched)
		return plain;
	plain_free(plain);
	return NULL;
}

void plain_free(struct plain *plain)
{
	if (!plain)
		return;
	free(plain->sums);
	free(plain->touched);
	free(plain);
}

bool plain_can(const struct model_relation *relation)
{
	return !relation->serving.self_q12 && !relation->serving.blend_q12;
}

/* Two lists ahead; what follows of a longer list, the processor foresees. */
static void ask_for(const struct model_relation *relation, const struct profile_item *profile, uint32_t count,
		    uint32_t p)
{
	if (p < count)
		__builtin_prefetch(relation->entries + relation->offsets[profile[p].row]);
}

static uint32_t add_all(struct plain *plain, const struct model_relation *relation, const struct profile_item *profile,
			uint32_t profile_count)
{
	uint32_t touched = 0;
	for (uint32_t p = 0; p < profile_count; p++) {
		uint64_t end = relation->offsets[profile[p].row + 1];
		ask_for(relation, profile, profile_count, p + 2);
		for (uint64_t at = relation->offsets[profile[p].row]; at < end; at++) {
			uint32_t row = model_entry_row(relation->entries[at], relation->row_mask);
			uint32_t weight = model_entry_weight(relation->entries[at], relation->row_mask);
			uint32_t part = profile[p].weight * weight >> 12;
			plain->touched[touched] = row; /* without a branch: it cannot be foreseen */
			touched += (part != 0) & (plain->sums[row] == 0);
			plain->sums[row] += part;
		}
	}
	return touched;
}

static bool before(struct scored a, struct scored b)
{
	return a.score > b.score || (a.score == b.score && a.row < b.row);
}

/* The list stays in order; returns how many are in it now. */
static uint32_t insert(struct scored *top, uint32_t found, uint32_t n, struct scored one)
{
	uint32_t at = found < n ? found : n - 1;
	if (found == n && !before(one, top[n - 1]))
		return found;
	for (; at > 0 && before(one, top[at - 1]); at--)
		top[at] = top[at - 1];
	top[at] = one;
	return found < n ? found + 1 : n;
}

uint32_t plain_top(struct plain *plain, const struct model_relation *relation, const struct profile_item *profile,
		   uint32_t profile_count, uint32_t n, struct scored *top, uint32_t *candidates)
{
	uint32_t touched = add_all(plain, relation, profile, profile_count), found = 0;
	for (uint32_t t = 0; t < touched; t++) {
		uint32_t row = plain->touched[t];
		uint64_t sum = plain->sums[row];
		plain->sums[row] = 0;
		if (relation->multipliers)
			sum = sum * relation->multipliers[row] >> 12;
		found = insert(top, found, n, (struct scored){ .row = row, .score = (uint32_t)sum });
	}
	*candidates = touched;
	return found;
}
