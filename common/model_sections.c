#include "common/model_internal.h"
#include "common/score.h"

#include <stdlib.h>
#include <string.h>

#define ANY_COUNT UINT64_MAX

/*
 * What is being bound: the sections sorted by their place, and where in the model we are (for lookups and for
 * errors).
 */
struct binding {
	const uint8_t *bytes;
	struct model_section *sections;
	size_t section_count;
	uint16_t catalog, relation;
	uint32_t column;
	const char *where; /* the catalog's name */
	uint32_t *stamps; /* [items of the catalog]: to find rows named twice */
	uint32_t stamp;
	struct error *err;
};

static int compare_places(const void *a, const void *b)
{
	const struct model_section *x = a, *y = b;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->catalog != y->catalog)
		return x->catalog < y->catalog ? -1 : 1;
	if (x->relation != y->relation)
		return x->relation < y->relation ? -1 : 1;
	return (x->column > y->column) - (x->column < y->column);
}

static int damaged(const struct binding *b, uint32_t kind, const char *what)
{
	return error_set(b->err, E_DATA_LOSS, "catalog %s: section of kind %u (relation %u, column %u) %s", b->where,
			 kind, b->relation, b->column, what);
}

static const struct model_section *find_section(const struct binding *b, uint32_t kind)
{
	struct model_section place = {
		.kind = kind, .catalog = b->catalog, .relation = b->relation, .column = b->column
	};
	return bsearch(&place, b->sections, b->section_count, sizeof place, compare_places);
}

/* Points *data at a section of `count` elements; with ANY_COUNT the number is returned in *found. */
static int bind(const struct binding *b, uint32_t kind, size_t element_bytes, uint64_t count, void *data_pointer,
		uint64_t *found)
{
	const struct model_section *section = find_section(b, kind);
	if (!section)
		return damaged(b, kind, "is missing");
	if (section->element_bytes != element_bytes || section->bytes % element_bytes != 0)
		return damaged(b, kind, "has elements of another size");
	uint64_t elements = section->bytes / element_bytes;
	if (count != ANY_COUNT && elements != count)
		return damaged(b, kind, "has a wrong number of elements");
	if (found)
		*found = elements;
	const void *start = b->bytes + section->offset;
	memcpy(data_pointer, &start, sizeof start);
	return 0;
}

/* Offsets begin with 0, never fall, and end with `total`. */
static int check_offsets(const struct binding *b, uint32_t kind, const uint64_t *offsets, uint64_t ranges,
			 uint64_t total)
{
	if (offsets[0] != 0 || offsets[ranges] != total)
		return damaged(b, kind, "does not span what it indexes");
	for (uint64_t i = 0; i < ranges; i++) {
		if (offsets[i] > offsets[i + 1])
			return damaged(b, kind, "has offsets that fall");
		if (offsets[i + 1] - offsets[i] > UINT32_MAX)
			return damaged(b, kind, "has an element that is too long");
	}
	return 0;
}

/* Two sections: offsets (ranges + 1 of them) and the bytes they cut up. */
static int bind_texts(const struct binding *b, uint32_t offsets_kind, uint32_t bytes_kind, uint64_t ranges,
		      const uint64_t **offsets, const char **bytes)
{
	uint64_t total = 0;
	int code = bind(b, offsets_kind, sizeof **offsets, ranges + 1, offsets, NULL);
	if (!code)
		code = bind(b, bytes_kind, 1, ANY_COUNT, bytes, &total);
	if (!code)
		code = check_offsets(b, offsets_kind, *offsets, ranges, total);
	return code;
}

static int check_index(const struct binding *b, const struct model_catalog *catalog)
{
	/* Half of the places are free, so that every search ends. */
	uint64_t used = 0;
	for (uint64_t at = 0; at <= catalog->index_mask; at++) {
		const struct model_place *place = &catalog->index[at];
		if (place->row == MODEL_NO_ROW)
			continue;
		used++;
		if (place->row >= catalog->items)
			return damaged(b, MODEL_ITEM_INDEX, "names a row that is not there");
		if (place->key != catalog->keys[place->row])
			return damaged(b, MODEL_ITEM_INDEX, "has another key for an item than the item has");
	}
	if (used != catalog->items)
		return damaged(b, MODEL_ITEM_INDEX, "has not as many rows as there are items");
	for (uint32_t row = 0; row < catalog->items; row++)
		if (model_row(catalog, (struct item_key){ catalog->keys[row] }) != row)
			return damaged(b, MODEL_ITEM_INDEX, "does not find an item by its key");
	return 0;
}

static int bind_items(const struct binding *b, struct model_catalog *catalog)
{
	uint64_t items = catalog->items, places = 0;
	int code = bind(b, MODEL_ITEM_KEYS, sizeof *catalog->keys, items, &catalog->keys, NULL);
	if (!code)
		code = bind(b, MODEL_ITEM_INDEX, sizeof *catalog->index, ANY_COUNT, &catalog->index, &places);
	if (code)
		return code;
	if (places < 2 || places < 2 * items || places > UINT32_MAX || (places & (places - 1)) != 0)
		return damaged(b, MODEL_ITEM_INDEX, "has a wrong number of elements");
	catalog->index_mask = (uint32_t)(places - 1);
	code = check_index(b, catalog);
	if (!code)
		code = bind_texts(b, MODEL_ITEM_ID_OFFSETS, MODEL_ITEM_ID_BYTES, items, &catalog->id_offsets,
				  &catalog->id_bytes);
	if (!code)
		code = bind_texts(b, MODEL_ITEM_NAME_OFFSETS, MODEL_ITEM_NAME_BYTES, items, &catalog->name_offsets,
				  &catalog->name_bytes);
	if (!code)
		code = bind_texts(b, MODEL_ITEM_IMAGE_OFFSETS, MODEL_ITEM_IMAGE_BYTES, items, &catalog->image_offsets,
				  &catalog->image_bytes);
	if (!code)
		code = bind(b, MODEL_ITEM_HIDDEN, 1, items, &catalog->hidden, NULL);
	return code;
}

static int bind_dictionary(const struct binding *b, struct model_attribute *attribute)
{
	const struct model_section *offsets = find_section(b, MODEL_ATTRIBUTE_DICTIONARY_OFFSETS);
	if (!offsets || offsets->bytes < sizeof(uint64_t))
		return damaged(b, MODEL_ATTRIBUTE_DICTIONARY_OFFSETS, "is missing");
	uint64_t count = offsets->bytes / sizeof(uint64_t) - 1;
	if (count >= MODEL_NO_CODE)
		return damaged(b, MODEL_ATTRIBUTE_DICTIONARY_OFFSETS, "has too many elements");
	attribute->dictionary_count = (uint32_t)count;
	return bind_texts(b, MODEL_ATTRIBUTE_DICTIONARY_OFFSETS, MODEL_ATTRIBUTE_DICTIONARY_BYTES, count,
			  &attribute->dictionary_offsets, &attribute->dictionary_bytes);
}

static int bind_strings(const struct binding *b, struct model_attribute *attribute, uint32_t items)
{
	int code = bind_dictionary(b, attribute);
	if (!code)
		code = bind(b, MODEL_ATTRIBUTE_STRING, sizeof *attribute->codes, items, &attribute->codes, NULL);
	if (code)
		return code;
	for (uint32_t row = 0; row < items; row++)
		if (attribute->codes[row] != MODEL_NO_CODE && attribute->codes[row] >= attribute->dictionary_count)
			return damaged(b, MODEL_ATTRIBUTE_STRING, "has a code that is not in the dictionary");
	return 0;
}

static int bind_lists(const struct binding *b, struct model_attribute *attribute, uint32_t items)
{
	uint64_t total = 0;
	int code = bind_dictionary(b, attribute);
	if (!code)
		code = bind(b, MODEL_ATTRIBUTE_LIST_OFFSETS, sizeof *attribute->list_offsets, (uint64_t)items + 1,
			    &attribute->list_offsets, NULL);
	if (!code)
		code = bind(b, MODEL_ATTRIBUTE_LIST_CODES, sizeof *attribute->list_codes, ANY_COUNT,
			    &attribute->list_codes, &total);
	if (!code)
		code = check_offsets(b, MODEL_ATTRIBUTE_LIST_OFFSETS, attribute->list_offsets, items, total);
	if (code)
		return code;
	for (uint64_t i = 0; i < total; i++)
		if (attribute->list_codes[i] >= attribute->dictionary_count)
			return damaged(b, MODEL_ATTRIBUTE_LIST_CODES, "has a code that is not in the dictionary");
	return 0;
}

static int bind_attribute(const struct binding *b, struct model_attribute *a, uint32_t items)
{
	switch (a->type) {
	case VALUE_MISSING:
		break;
	case VALUE_STRING:
		return bind_strings(b, a, items);
	case VALUE_NUMBER:
		return bind(b, MODEL_ATTRIBUTE_NUMBER, sizeof *a->numbers, items, &a->numbers, NULL);
	case VALUE_BOOLEAN:
		return bind(b, MODEL_ATTRIBUTE_BOOLEAN, sizeof *a->booleans, items, &a->booleans, NULL);
	case VALUE_TIMESTAMP:
		return bind(b, MODEL_ATTRIBUTE_TIMESTAMP, sizeof *a->timestamps, items, &a->timestamps, NULL);
	case VALUE_STRING_LIST:
		return bind_lists(b, a, items);
	}
	return damaged(b, 0, "belongs to an attribute of an unknown type");
}

/*
 * A row is there and was not named with this stamp before: the scorer's sums and its list of rows touched rely on
 * both.
 */
static int check_row(const struct binding *b, uint32_t kind, uint32_t row, uint32_t items)
{
	if (row >= items)
		return damaged(b, kind, "names a row that is not there");
	if (b->stamps[row] == b->stamp)
		return damaged(b, kind, "names a row twice");
	b->stamps[row] = b->stamp;
	return 0;
}

static int check_rows(struct binding *b, uint32_t kind, const uint32_t *rows, uint64_t count, uint32_t items)
{
	int code = 0;
	b->stamp++;
	for (uint64_t i = 0; i < count && !code; i++)
		code = check_row(b, kind, rows[i], items);
	return code;
}

static int check_neighbours(struct binding *b, const uint32_t *entries, uint64_t count, uint32_t row_mask,
			    uint32_t items)
{
	uint32_t before = UINT16_MAX;
	int code = 0;
	b->stamp++;
	for (uint64_t i = 0; i < count && !code; i++) {
		uint32_t weight = model_entry_weight(entries[i], row_mask);
		code = check_row(b, MODEL_NEIGHBOURS, model_entry_row(entries[i], row_mask), items);
		if (!code && weight == 0)
			code = damaged(b, MODEL_NEIGHBOURS, "has a weight of 0");
		else if (!code && weight > before)
			code = damaged(b, MODEL_NEIGHBOURS, "has a weight that rises within an item");
		before = weight;
	}
	return code;
}

static int bind_neighbours(struct binding *b, struct model_relation *relation, uint32_t items)
{
	uint64_t total = 0;
	int code = bind(b, MODEL_NEIGHBOUR_OFFSETS, sizeof *relation->offsets, (uint64_t)items + 1, &relation->offsets,
			NULL);
	if (!code)
		code = bind(b, MODEL_NEIGHBOURS, sizeof *relation->entries, ANY_COUNT, &relation->entries, &total);
	if (!code)
		code = check_offsets(b, MODEL_NEIGHBOUR_OFFSETS, relation->offsets, items, total);
	relation->row_mask = model_row_mask(items);
	for (uint32_t row = 0; row < items && !code; row++)
		code = check_neighbours(b, relation->entries + relation->offsets[row],
					relation->offsets[row + 1] - relation->offsets[row], relation->row_mask, items);
	if (!code)
		relation->best_weight = model_best_weight(relation, items);
	return code;
}

static int bind_multipliers(struct binding *b, struct model_relation *relation, uint32_t items)
{
	if (!find_section(b, MODEL_MULTIPLIERS))
		return 0;
	int code = bind(b, MODEL_MULTIPLIERS, sizeof *relation->multipliers, items, &relation->multipliers, NULL);
	if (!code)
		relation->multiplier_max = multiplier_max(relation->multipliers, items);
	return code;
}

static int bind_popular(struct binding *b, uint32_t rows_kind, uint32_t scores_kind, uint32_t items,
			const uint32_t **rows, const uint32_t **scores, uint32_t *count)
{
	uint64_t total = 0;
	int code = bind(b, rows_kind, sizeof **rows, ANY_COUNT, rows, &total);
	if (!code && total > MODEL_POPULAR_MAX)
		code = damaged(b, rows_kind, "has too many elements");
	if (!code)
		code = bind(b, scores_kind, sizeof **scores, total, scores, NULL);
	if (!code)
		code = check_rows(b, rows_kind, *rows, total, items);
	if (!code)
		*count = (uint32_t)total;
	return code;
}

static int bind_cold(struct binding *b, struct model_relation *relation, uint32_t items)
{
	uint64_t total = 0;
	int code = bind(b, MODEL_COLD, sizeof *relation->cold, ((uint64_t)items + 63) / 64, &relation->cold, NULL);
	if (!code)
		code = bind(b, MODEL_COLD_ROWS, sizeof *relation->cold_rows, ANY_COUNT, &relation->cold_rows, &total);
	if (!code && total > MODEL_COLD_MAX)
		code = damaged(b, MODEL_COLD_ROWS, "has too many elements");
	if (!code)
		code = check_rows(b, MODEL_COLD_ROWS, relation->cold_rows, total, items);
	if (!code)
		relation->cold_count = (uint32_t)total;
	return code;
}

static int bind_relation(struct binding *b, struct model_relation *relation, uint32_t items)
{
	int code = bind_neighbours(b, relation, items);
	if (!code)
		code = bind_multipliers(b, relation, items);
	if (!code && find_section(b, MODEL_BY_ATTRIBUTES))
		code = bind(b, MODEL_BY_ATTRIBUTES, sizeof *relation->by_attributes,
			    (relation->offsets[items] + 63) / 64, &relation->by_attributes, NULL);
	if (!code && find_section(b, MODEL_COLD))
		code = bind_cold(b, relation, items);
	if (!code)
		code = bind_popular(b, MODEL_POPULAR_ROWS, MODEL_POPULAR_SCORES, items, &relation->popular_rows,
				    &relation->popular_scores, &relation->popular_count);
	if (!code)
		code = bind_popular(b, MODEL_RECENT_ROWS, MODEL_RECENT_SCORES, items, &relation->recent_rows,
				    &relation->recent_scores, &relation->recent_count);
	return code;
}

static int bind_catalog(struct binding *b, struct model_catalog *catalog)
{
	b->where = catalog->name;
	b->relation = 0;
	b->column = 0;
	int code = bind_items(b, catalog);
	for (size_t a = 0; a < catalog->attribute_count && !code; a++) {
		b->column = (uint32_t)a;
		code = bind_attribute(b, &catalog->attributes[a], catalog->items);
	}
	if (code)
		return code;

	/* Each stamp is used once: at most items + 4 of them a relation. */
	b->column = 0;
	b->stamps = malloc(((size_t)catalog->items + 1) * sizeof *b->stamps);
	if (!b->stamps)
		return error_set(b->err, E_EXHAUSTED, "no memory to check a model of %u items", catalog->items);
	for (size_t r = 0; r < catalog->relation_count && !code; r++) {
		b->relation = (uint16_t)r;
		b->stamp = 0;
		memset(b->stamps, 0, ((size_t)catalog->items + 1) * sizeof *b->stamps);
		code = bind_relation(b, &catalog->relations[r], catalog->items);
	}
	free(b->stamps);
	b->stamps = NULL;
	return code;
}

int model_sections_bind(struct model *model, const uint8_t *bytes, struct error *err)
{
	struct binding b = { .bytes = bytes, .section_count = model->head->sections, .err = err, .where = "" };
	b.sections = malloc(b.section_count * sizeof *b.sections);
	if (!b.sections)
		return error_set(err, E_EXHAUSTED, "no memory for %zu sections", b.section_count);
	memcpy(b.sections, model->head + 1, b.section_count * sizeof *b.sections);
	qsort(b.sections, b.section_count, sizeof *b.sections, compare_places);
	int code = 0;
	for (size_t s = 1; s < b.section_count && !code; s++)
		if (compare_places(&b.sections[s - 1], &b.sections[s]) == 0)
			code = error_set(err, E_DATA_LOSS, "section of kind %u is there twice", b.sections[s].kind);
	for (size_t c = 0; c < model->catalog_count && !code; c++) {
		b.catalog = (uint16_t)c;
		code = bind_catalog(&b, &model->catalogs[c]);
	}
	free(b.sections);
	return code;
}
