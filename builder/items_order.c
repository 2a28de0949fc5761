#include "builder/items.h"

#include "builder/parallel.h"

#include <stdlib.h>
#include <string.h>

/* --- rows --- */

struct ranked {
	uint64_t events, key;
	uint32_t slot;
};

static int compare_ranked(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	if (x->events != y->events)
		return x->events > y->events ? -1 : 1;
	return (x->key > y->key) - (x->key < y->key);
}

/* Fixed-size elements: new[row] = old[slot_of[row]]. */
static int permute(struct items *items, struct pile *pile, size_t element_bytes, const uint32_t *slot_of)
{
	struct pile ordered = { 0 };
	char *to = pile_extend(items->space, &ordered, items->count * element_bytes, NULL);
	if (!to)
		return E_EXHAUSTED;
	const char *from = pile->region.data;
	for (uint32_t row = 0; row < items->count; row++)
		memcpy(to + row * element_bytes, from + slot_of[row] * element_bytes, element_bytes);
	pile_free(items->space, pile);
	*pile = ordered;
	return 0;
}

/* Ranges of elements cut out by offsets. */
static int permute_ranges(struct items *items, struct pile *offsets, struct pile *elements, size_t element_bytes,
			  const uint32_t *slot_of)
{
	struct pile new_offsets = { 0 }, new_elements = { 0 };
	uint64_t *at = pile_extend(items->space, &new_offsets, ((size_t)items->count + 1) * sizeof *at, NULL);
	char *to = at ? pile_extend(items->space, &new_elements, elements->used, NULL) : NULL;
	if (!to) {
		pile_free(items->space, &new_offsets);
		return E_EXHAUSTED;
	}
	const uint64_t *old = offsets->region.data;
	const char *from = elements->region.data;
	at[0] = 0;
	for (uint32_t row = 0; row < items->count; row++) {
		uint64_t first = old[slot_of[row]], count = old[slot_of[row] + 1] - first;
		memcpy(to + at[row] * element_bytes, from + first * element_bytes, count * element_bytes);
		at[row + 1] = at[row] + count;
	}
	pile_free(items->space, offsets);
	pile_free(items->space, elements);
	*offsets = new_offsets;
	*elements = new_elements;
	return 0;
}

/* What of the items is put in order, each by one thread. */
enum { KEYS, VERSIONS, HIDDEN, IDS, NAMES, IMAGES, COLUMNS };

struct permuting {
	struct items *items;
	const uint32_t *slot_of;
};

static int permute_column(struct items *items, struct item_column *column, const uint32_t *slot_of)
{
	if (column->type == VALUE_STRING_LIST)
		return permute_ranges(items, &column->list_offsets, &column->values, sizeof(uint32_t), slot_of);
	return permute(items, &column->values, items_value_bytes(column->type), slot_of);
}

static int permute_part(void *context, uint32_t thread, uint64_t part, uint64_t end)
{
	const struct permuting *p = context;
	struct items *items = p->items;
	(void)thread;
	(void)end;
	switch (part) {
	case KEYS:
		return permute(items, &items->keys, sizeof(uint64_t), p->slot_of);
	case VERSIONS:
		return permute(items, &items->versions, sizeof(uint64_t), p->slot_of);
	case HIDDEN:
		return permute(items, &items->hidden, 1, p->slot_of);
	case IDS:
		return permute_ranges(items, &items->ids.offsets, &items->ids.bytes, 1, p->slot_of);
	case NAMES:
		return permute_ranges(items, &items->names.offsets, &items->names.bytes, 1, p->slot_of);
	case IMAGES:
		return permute_ranges(items, &items->images.offsets, &items->images.bytes, 1, p->slot_of);
	default:
		return permute_column(items, &items->columns[part - COLUMNS], p->slot_of);
	}
}

int items_order(struct items *items, const uint64_t *events, uint32_t threads, uint32_t **row_of, struct error *err)
{
	struct ranked *ranked = malloc(((size_t)items->count + 1) * sizeof *ranked);
	uint32_t *slot_of = malloc(((size_t)items->count + 1) * sizeof *slot_of);
	uint32_t *rows = malloc(((size_t)items->count + 1) * sizeof *rows);
	bool good = ranked && slot_of && rows;
	if (good) {
		const uint64_t *keys = items->keys.region.data;
		for (uint32_t slot = 0; slot < items->count; slot++)
			ranked[slot] = (struct ranked){ events[slot], keys[slot], slot };
		qsort(ranked, items->count, sizeof *ranked, compare_ranked);
		for (uint32_t row = 0; row < items->count; row++) {
			slot_of[row] = ranked[row].slot;
			rows[ranked[row].slot] = row;
		}
		struct permuting permuting = { items, slot_of };
		good = !parallel_parts(threads, COLUMNS + items->column_count, 1, permute_part, &permuting);
	}
	free(ranked);
	free(slot_of);
	free(items->index);
	items->index = NULL;
	if (good)
		items->index = model_index_make(items->keys.region.data, items->count, &items->index_mask, NULL);
	if (!items->index) {
		free(rows);
		return error_set(err, E_EXHAUSTED, "no memory to put %u items in order", items->count);
	}
	*row_of = rows;
	return 0;
}

/* --- for the model --- */

static void bind_column(const struct item_column *column, struct model_attribute *attribute)
{
	const void *values = column->values.region.data;
	attribute->name = column->name;
	attribute->type = column->type;
	attribute->dictionary_offsets = column->dictionary.offsets.region.data;
	attribute->dictionary_bytes = column->dictionary.bytes.region.data;
	attribute->dictionary_count = column->dictionary.count;
	switch (column->type) {
	case VALUE_NUMBER:
		attribute->numbers = values;
		break;
	case VALUE_BOOLEAN:
		attribute->booleans = values;
		break;
	case VALUE_TIMESTAMP:
		attribute->timestamps = values;
		break;
	case VALUE_STRING:
		attribute->codes = values;
		break;
	case VALUE_STRING_LIST:
		attribute->list_codes = values;
		attribute->list_offsets = column->list_offsets.region.data;
		break;
	case VALUE_MISSING:
		break;
	}
}

int items_bind(const struct items *items, struct model_catalog *catalog, struct error *err)
{
	catalog->name = items->catalog;
	catalog->version = items->version;
	catalog->items = items->count;
	catalog->keys = items->keys.region.data;
	catalog->index = items->index;
	catalog->index_mask = items->index_mask;
	catalog->hidden = items->hidden.region.data;
	catalog->id_offsets = items->ids.offsets.region.data;
	catalog->id_bytes = items->ids.bytes.region.data;
	catalog->name_offsets = items->names.offsets.region.data;
	catalog->name_bytes = items->names.bytes.region.data;
	catalog->image_offsets = items->images.offsets.region.data;
	catalog->image_bytes = items->images.bytes.region.data;
	catalog->attributes = calloc((size_t)items->column_count + 1, sizeof *catalog->attributes);
	if (!catalog->attributes)
		return error_set(err, E_EXHAUSTED, "no memory for the attributes of %s", items->catalog);
	catalog->attribute_count = items->column_count;
	for (uint32_t c = 0; c < items->column_count; c++)
		bind_column(&items->columns[c], &catalog->attributes[c]);
	return 0;
}
