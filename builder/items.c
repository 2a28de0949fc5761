#include "builder/items.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

size_t items_value_bytes(enum value_type type)
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
	void *place = pile_extend(items->space, &column->values, items_value_bytes(column->type), NULL);
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
	uint64_t *version_place = pile_extend(items->space, &items->versions, sizeof *version_place, NULL);
	uint8_t *hidden_place = pile_extend(items->space, &items->hidden, 1, NULL);
	bool good = key_place && version_place && hidden_place && !add_text(items, &items->ids, item->id) &&
		    !add_text(items, &items->names, item->name) && !add_text(items, &items->images, item->image_url);
	size_t hint = 0;
	for (uint32_t c = 0; c < items->column_count && good; c++)
		good = !add_value(items, &items->columns[c], find_attribute(item, items->columns[c].name, &hint));
	if (!good)
		return error_set(loading->err, E_EXHAUSTED, "no memory or disk for %u items of the catalog %s",
				 items->count, items->catalog);
	*key_place = key.value;
	*version_place = item->version;
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
	    !pile_extend(space, &items->keys, 0, NULL) || !pile_extend(space, &items->versions, 0, NULL) ||
	    !pile_extend(space, &items->hidden, 0, NULL) || !pile_extend(space, &items->ids.bytes, 0, NULL) ||
	    !pile_extend(space, &items->names.bytes, 0, NULL) || !pile_extend(space, &items->images.bytes, 0, NULL))
		return error_set(err, E_EXHAUSTED, "no memory for the catalog %s", catalog);

	static const Kindred__V1__Catalog none = KINDRED__V1__CATALOG__INIT;
	Kindred__V1__Catalog *read = NULL;
	struct loading loading = { .items = items, .catalog = &read, .err = err };
	int code = control_catalog_first_version(control, catalog, &items->first_version, err);
	if (!code)
		code = control_items_scan(control, catalog, &read, load_item, &loading, err);
	if (code == E_NOT_FOUND)
		code = make_columns(items, &none);
	else if (!code && !items->columns)
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
	pile_free(items->space, &items->versions);
	pile_free(items->space, &items->hidden);
	free_texts(items, &items->ids);
	free_texts(items, &items->names);
	free_texts(items, &items->images);
	free(items->index);
	free(items->catalog);
	memset(items, 0, sizeof *items);
}
