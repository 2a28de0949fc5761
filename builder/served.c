#include "builder/served.h"

#include "common/profile.h"

#include <stdlib.h>
#include <string.h>

/* Row there -> row here; MODEL_NO_ROW: the catalog has it no more. */
static uint32_t *rows_here(const struct model_catalog *catalog, const uint64_t *keys, uint32_t items)
{
	uint32_t *here = malloc(((size_t)catalog->items + 1) * sizeof *here);
	if (!here)
		return NULL;
	memset(here, 0xff, ((size_t)catalog->items + 1) * sizeof *here);
	for (uint32_t row = 0; row < items; row++) {
		uint32_t there = model_row(catalog, (struct item_key){ keys[row] });
		if (there != MODEL_NO_ROW)
			here[there] = row;
	}
	return here;
}

static int carry_neighbours(struct served *served, const struct model_catalog *catalog,
			    const struct model_relation *from, const uint32_t *here, const uint64_t *keys,
			    uint32_t items, struct error *err)
{
	uint64_t most = from->offsets[catalog->items];
	int code = region_make(served->space, &served->offsets, ((size_t)items + 1) * sizeof(uint64_t), err);
	if (!code)
		code = region_make(served->space, &served->entries, most * sizeof(uint32_t), err);
	if (code)
		return code;
	uint64_t *offsets = served->offsets.data, count = 0;
	uint32_t *entries = served->entries.data, row_mask = model_row_mask(items);
	for (uint32_t row = 0; row < items; row++) {
		uint32_t there = model_row(catalog, (struct item_key){ keys[row] });
		offsets[row] = count;
		if (there == MODEL_NO_ROW)
			continue;
		for (uint64_t at = from->offsets[there]; at < from->offsets[there + 1]; at++) {
			uint32_t to = here[model_entry_row(from->entries[at], from->row_mask)];
			if (to != MODEL_NO_ROW)
				entries[count++] = model_entry(
					to, model_entry_weight(from->entries[at], from->row_mask), row_mask);
		}
	}
	offsets[items] = count;
	served->relation.offsets = offsets;
	served->relation.entries = entries;
	served->relation.row_mask = row_mask;
	served->relation.neighbours = count;
	return 0;
}

static int carry_multipliers(struct served *served, const struct model_catalog *catalog,
			     const struct model_relation *from, const uint32_t *here, uint32_t items, struct error *err)
{
	if (!from->multipliers)
		return 0;
	int code = region_make(served->space, &served->multipliers, ((size_t)items + 1) * sizeof(uint16_t), err);
	if (code)
		return code;
	uint16_t *multipliers = served->multipliers.data;
	for (uint32_t row = 0; row < items; row++)
		multipliers[row] = SCORE_ONE;
	for (uint32_t there = 0; there < catalog->items; there++)
		if (here[there] != MODEL_NO_ROW)
			multipliers[here[there]] = from->multipliers[there];
	served->relation.multipliers = multipliers;
	return 0;
}

/* A list of rows, best first. *rows, *scores, *count: of the relation there, and then of the one here. */
static int carry_list(struct served *served, struct region *regions, const uint32_t **rows, const uint32_t **scores,
		      uint32_t *count, const uint32_t *here, struct error *err)
{
	size_t bytes = ((size_t)*count + 1) * sizeof(uint32_t);
	int code = region_make(served->space, &regions[0], bytes, err);
	if (!code)
		code = region_make(served->space, &regions[1], bytes, err);
	if (code)
		return code;
	uint32_t *rows_to = regions[0].data, *scores_to = regions[1].data, kept = 0;
	for (uint32_t r = 0; r < *count; r++) {
		rows_to[kept] = here[(*rows)[r]];
		scores_to[kept] = (*scores)[r];
		kept += rows_to[kept] != MODEL_NO_ROW;
	}
	*rows = rows_to;
	*scores = scores_to;
	*count = kept;
	return 0;
}

int served_make(struct served *served, struct space *space, const struct model_catalog *catalog,
		const struct model_relation *relation, const uint64_t *keys, uint32_t items, struct error *err)
{
	*served = (struct served){ .relation = *relation, .space = space };
	struct model_relation *to = &served->relation;
	uint32_t *here = rows_here(catalog, keys, items);
	if (!here)
		return error_set(err, E_EXHAUSTED, "no memory for %u items", catalog->items);
	int code = carry_neighbours(served, catalog, relation, here, keys, items, err);
	if (!code)
		code = carry_multipliers(served, catalog, relation, here, items, err);
	if (!code)
		code = carry_list(served, &served->lists[0], &to->popular_rows, &to->popular_scores, &to->popular_count,
				  here, err);
	if (!code)
		code = carry_list(served, &served->lists[2], &to->recent_rows, &to->recent_scores, &to->recent_count,
				  here, err);
	free(here);
	return code;
}

void served_free(struct served *served)
{
	struct region *regions[] = { &served->offsets,  &served->entries,  &served->multipliers, &served->lists[0],
				     &served->lists[1], &served->lists[2], &served->lists[3] };
	for (size_t r = 0; r < sizeof regions / sizeof *regions; r++)
		if (served->space)
			region_free(served->space, regions[r]);
	*served = (struct served){ 0 };
}
