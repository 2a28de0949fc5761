#include "builder/items.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- loading --- */

struct loading {
	struct items *items;
	Kindred__V1__Catalog **catalog; /* given by the scan before its first item */
	struct error *err;
};

static int add_text(struct items *items, struct item_texts *texts, const char *text)
{
	size_t bytes = text ? strlen(text) : 0;
	char *place = pile_extend(items->space, &texts->bytes, bytes, NULL);
	uint64_t *offset = place ? pile_extend(items->space, &texts->offsets, sizeof *offset, NULL) : NULL;
	if (!offset)
		return E_EXHAUSTED;
	if (bytes)
		memcpy(place, text, bytes);
	*offset = texts->bytes.used;
	return 0;
}

static int add_first_offset(struct items *items, struct pile *offsets)
{
	uint64_t *first = pile_extend(items->space, offsets, sizeof *first, NULL);
	if (!first)
		return E_EXHAUSTED;
	*first = 0;
	return 0;
}

static size_t value_bytes(enum value_type type)
{
	switch (type) {
	case VALUE_NUMBER:
		return sizeof(double);
	case VALUE_BOOLEAN:
		return sizeof(uint8_t);
	case VALUE_TIMESTAMP:
		return sizeof(int64_t);
	case VALUE_STRING:
		return sizeof(uint32_t);
	case VALUE_STRING_LIST:
	case VALUE_MISSING:
		break;
	}
	return 0;
}

static int64_t timestamp_ms(const Google__Protobuf__Timestamp *time)
{
	return time->seconds * 1000 + time->nanos / 1000000;
}

/* One value of an item; `given` NULL or of another type than the schema's: missing. */
static int add_number(struct item_column *column, void *place, const Kindred__V1__Attribute *given)
{
	double value = (double)NAN;
	if (given && given->value_case == KINDRED__V1__ATTRIBUTE__VALUE_NUMBER_VALUE && isfinite(given->number_value))
		value = given->number_value;
	memcpy(place, &value, sizeof value);
	(void)column;
	return 0;
}

static int add_list(struct items *items, struct item_column *column, const Kindred__V1__Attribute *given)
{
	if (given && given->value_case == KINDRED__V1__ATTRIBUTE__VALUE_LIST_VALUE && given->list_value) {
		for (size_t v = 0; v < given->list_value->n_values; v++) {
			const char *text = given->list_value->values[v];
			uint32_t code = dictionary_add(items->space, &column->dictionary, text, strlen(text), NULL);
			uint32_t *place = pile_extend(items->space, &column->values, sizeof *place, NULL);
			if (code == DICTIONARY_NO_CODE || !place)
				return E_EXHAUSTED;
			*place = code;
		}
	}
	uint64_t *offset = pile_extend(items->space, &column->list_offsets, sizeof *offset, NULL);
	if (!offset)
		return E_EXHAUSTED;
	*offset = column->values.used / sizeof(uint32_t);
	return 0;
}

static int add_value(struct items *items, struct item_column *column, const Kindred__V1__Attribute *given)
{
	if (column->type == VALUE_STRING_LIST)
		return add_list(items, column, given);
	void *place = pile_extend(items->space, &column->values, value_bytes(column->type), NULL);
	if (!place)
		return E_EXHAUSTED;
	switch (column->type) {
	case VALUE_NUMBER:
		return add_number(column, place, given);
	case VALUE_BOOLEAN: {
		bool there = given && given->value_case == KINDRED__V1__ATTRIBUTE__VALUE_BOOLEAN_VALUE;
		*(uint8_t *)place = there ? given->boolean_value != 0 : 2;
		return 0;
	}
	case VALUE_TIMESTAMP: {
		bool there = given && given->value_case == KINDRED__V1__ATTRIBUTE__VALUE_TIMESTAMP_VALUE &&
			     given->timestamp_value;
		int64_t value = there ? timestamp_ms(given->timestamp_value) : MODEL_NO_TIME;
		memcpy(place, &value, sizeof value);
		return 0;
	}
	case VALUE_STRING: {
		uint32_t value = MODEL_NO_CODE;
		if (given && given->value_case == KINDRED__V1__ATTRIBUTE__VALUE_STRING_VALUE && given->string_value) {
			value = dictionary_add(items->space, &column->dictionary, given->string_value,
					       strlen(given->string_value), NULL);
			if (value == DICTIONARY_NO_CODE)
				return E_EXHAUSTED;
		}
		memcpy(place, &value, sizeof value);
		return 0;
	}
	case VALUE_MISSING:
	case VALUE_STRING_LIST:
		break;
	}
	return 0;
}

static const Kindred__V1__Attribute *find_attribute(const Kindred__V1__Item *item, const char *name, size_t *hint)
{
	/* Items carry their attributes in the schema's order, most of the time. */
	for (size_t a = 0; a < item->n_attributes; a++) {
		size_t at = (*hint + a) % item->n_attributes;
		if (strcmp(item->attributes[at]->name, name) == 0) {
			*hint = at + 1;
			return item->attributes[at];
		}
	}
	return NULL;
}

static int make_columns(struct items *items, const Kindred__V1__Catalog *catalog)
{
	items->version = catalog->version;
	items->columns = calloc(catalog->n_attributes + 1, sizeof *items->columns);
	if (!items->columns)
		return E_EXHAUSTED;
	for (size_t a = 0; a < catalog->n_attributes; a++) {
		struct item_column *column = &items->columns[a];
		items->column_count++;
		column->name = strdup(catalog->attributes[a]->name);
		column->type = (enum value_type)catalog->attributes[a]->type;
		bool texts = column->type == VALUE_STRING || column->type == VALUE_STRING_LIST;
		if (!column->name || !pile_extend(items->space, &column->values, 0, NULL) ||
		    (texts && dictionary_init(items->space, &column->dictionary, NULL)) ||
		    (column->type == VALUE_STRING_LIST && add_first_offset(items, &column->list_offsets)))
			return E_EXHAUSTED;
	}
	return 0;
}

static int load_item(void *context, struct item_key key, const Kindred__V1__Item *item)
{
	struct loading *loading = context;
	struct items *items = loading->items;
	if (!items->columns && make_columns(items, *loading->catalog))
		return error_set(loading->err, E_EXHAUSTED, "no memory for the catalog %s", items->catalog);
	if (items->count == MODEL_ITEMS_MAX)
		return error_set(loading->err, E_EXHAUSTED, "catalog %s has more than %u items", items->catalog,
				 MODEL_ITEMS_MAX);
	uint64_t *key_place = pile_extend(items->space, &items->keys, sizeof *key_place, NULL);
	uint8_t *hidden_place = pile_extend(items->space, &items->hidden, 1, NULL);
	bool good = key_place && hidden_place && !add_text(items, &items->ids, item->id) &&
		    !add_text(items, &items->names, item->name) && !add_text(items, &items->images, item->image_url);
	size_t hint = 0;
	for (uint32_t c = 0; c < items->column_count && good; c++)
		good = !add_value(items, &items->columns[c], find_attribute(item, items->columns[c].name, &hint));
	if (!good)
		return error_set(loading->err, E_EXHAUSTED, "no memory or disk for %u items of the catalog %s",
				 items->count, items->catalog);
	*key_place = key.value;
	*hidden_place = item->hidden ? 1 : 0;
	items->count++;
	return 0;
}

int items_load(struct items *items, struct space *space, struct control *control, const char *catalog,
	       struct error *err)
{
	memset(items, 0, sizeof *items);
	items->space = space;
	items->catalog = strdup(catalog);
	if (!items->catalog || add_first_offset(items, &items->ids.offsets) ||
	    add_first_offset(items, &items->names.offsets) || add_first_offset(items, &items->images.offsets) ||
	    !pile_extend(space, &items->keys, 0, NULL) || !pile_extend(space, &items->hidden, 0, NULL) ||
	    !pile_extend(space, &items->ids.bytes, 0, NULL) || !pile_extend(space, &items->names.bytes, 0, NULL) ||
	    !pile_extend(space, &items->images.bytes, 0, NULL))
		return error_set(err, E_EXHAUSTED, "no memory for the catalog %s", catalog);

	Kindred__V1__Catalog *read = NULL;
	struct loading loading = { .items = items, .catalog = &read, .err = err };
	int code = control_items_scan(control, catalog, &read, load_item, &loading, err);
	if (!code && !items->columns)
		code = make_columns(items, read); /* no items */
	if (read)
		kindred__v1__catalog__free_unpacked(read, NULL);
	if (code)
		return code;
	items->index = model_index_make(items->keys.region.data, items->count, &items->index_mask, NULL);
	return items->index ? 0 : error_set(err, E_EXHAUSTED, "no memory for the catalog %s", catalog);
}

static void free_texts(struct items *items, struct item_texts *texts)
{
	pile_free(items->space, &texts->offsets);
	pile_free(items->space, &texts->bytes);
}

void items_free(struct items *items)
{
	if (!items->space)
		return;
	for (uint32_t c = 0; c < items->column_count; c++) {
		struct item_column *column = &items->columns[c];
		free(column->name);
		pile_free(items->space, &column->values);
		pile_free(items->space, &column->list_offsets);
		dictionary_fini(items->space, &column->dictionary);
	}
	free(items->columns);
	pile_free(items->space, &items->keys);
	pile_free(items->space, &items->hidden);
	free_texts(items, &items->ids);
	free_texts(items, &items->names);
	free_texts(items, &items->images);
	free(items->index);
	free(items->catalog);
	memset(items, 0, sizeof *items);
}

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

static int permute_all(struct items *items, const uint32_t *slot_of)
{
	int code = permute(items, &items->keys, sizeof(uint64_t), slot_of);
	if (!code)
		code = permute(items, &items->hidden, 1, slot_of);
	if (!code)
		code = permute_ranges(items, &items->ids.offsets, &items->ids.bytes, 1, slot_of);
	if (!code)
		code = permute_ranges(items, &items->names.offsets, &items->names.bytes, 1, slot_of);
	if (!code)
		code = permute_ranges(items, &items->images.offsets, &items->images.bytes, 1, slot_of);
	for (uint32_t c = 0; c < items->column_count && !code; c++) {
		struct item_column *column = &items->columns[c];
		if (column->type == VALUE_STRING_LIST)
			code = permute_ranges(items, &column->list_offsets, &column->values, sizeof(uint32_t), slot_of);
		else
			code = permute(items, &column->values, value_bytes(column->type), slot_of);
	}
	return code;
}

int items_order(struct items *items, const uint64_t *events, uint32_t **row_of, struct error *err)
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
		good = !permute_all(items, slot_of);
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
