#include "worker/overlay.h"

#include <stdlib.h>
#include <string.h>

#define TABLE_START 64u

void overlay_init(struct overlay *overlay, const struct model_catalog *catalog)
{
	*overlay = (struct overlay){ .catalog = catalog };
}

void overlay_clear(struct overlay *overlay)
{
	for (uint32_t i = 0; overlay->table && i <= overlay->mask; i++)
		free(overlay->table[i]);
	free(overlay->table);
	free(overlay->changed);
	overlay_init(overlay, overlay->catalog);
}

void overlay_fini(struct overlay *overlay)
{
	overlay_clear(overlay);
}

/* --- the table --- */

/* The place of a key: its item, or the free place where it would go. */
static struct overlay_item **place(struct overlay_item **table, uint32_t mask, struct item_key key)
{
	uint32_t at = (uint32_t)key.value & mask;
	while (table[at] && table[at]->key.value != key.value)
		at = (at + 1) & mask;
	return &table[at];
}

const struct overlay_item *overlay_find(const struct overlay *overlay, struct item_key key)
{
	return overlay->table ? *place(overlay->table, overlay->mask, key) : NULL;
}

/* Keeps at least half of the places free. */
static bool grow(struct overlay *overlay)
{
	if (overlay->table && overlay->count < (overlay->mask + 1) / 2)
		return true;
	uint32_t mask = overlay->table ? overlay->mask * 2 + 1 : TABLE_START - 1;
	struct overlay_item **table = calloc((size_t)mask + 1, sizeof(struct overlay_item *));
	if (!table)
		return false;
	for (uint32_t i = 0; overlay->table && i <= overlay->mask; i++)
		if (overlay->table[i])
			*place(table, mask, overlay->table[i]->key) = overlay->table[i];
	free(overlay->table);
	overlay->table = table;
	overlay->mask = mask;
	return true;
}

static bool prepare(struct overlay *overlay)
{
	if (!overlay->changed)
		overlay->changed = calloc((size_t)overlay->catalog->items / 64 + 1, sizeof *overlay->changed);
	return overlay->changed && grow(overlay);
}

/* --- an item, in one piece of memory --- */

/* Where the texts and list elements of an item go while it is made. */
struct room {
	struct text_view *elements;
	char *text;
};

static struct text_view put_text(struct room *room, const char *text)
{
	size_t bytes = strlen(text);
	struct text_view view = { room->text, (uint32_t)bytes };
	memcpy(room->text, text, bytes);
	room->text += bytes;
	return view;
}

static struct text_view element_at(const void *context, uint64_t first, uint32_t index)
{
	return ((const struct text_view *)context)[first + index];
}

static struct value put_list(struct room *room, const Kindred__V1__StringList *list)
{
	struct value value = { .type = VALUE_STRING_LIST };
	value.list.at = element_at;
	value.list.context = room->elements;
	value.list.count = (uint32_t)list->n_values;
	for (size_t i = 0; i < list->n_values; i++)
		*room->elements++ = put_text(room, list->values[i]);
	return value;
}

static struct value put_value(struct room *room, const Kindred__V1__Attribute *attribute)
{
	struct value value = { .type = VALUE_MISSING };
	switch (attribute->value_case) {
	case KINDRED__V1__ATTRIBUTE__VALUE_STRING_VALUE:
		value.type = VALUE_STRING;
		value.string = put_text(room, attribute->string_value);
		break;
	case KINDRED__V1__ATTRIBUTE__VALUE_NUMBER_VALUE:
		value.type = VALUE_NUMBER;
		value.number = attribute->number_value;
		break;
	case KINDRED__V1__ATTRIBUTE__VALUE_BOOLEAN_VALUE:
		value.type = VALUE_BOOLEAN;
		value.boolean = attribute->boolean_value;
		break;
	case KINDRED__V1__ATTRIBUTE__VALUE_TIMESTAMP_VALUE:
		value.type = VALUE_TIMESTAMP;
		value.timestamp_ms =
			attribute->timestamp_value->seconds * 1000 + attribute->timestamp_value->nanos / 1000000;
		break;
	case KINDRED__V1__ATTRIBUTE__VALUE_LIST_VALUE:
		value = put_list(room, attribute->list_value);
		break;
	case KINDRED__V1__ATTRIBUTE__VALUE__NOT_SET:
	case _KINDRED__V1__ATTRIBUTE__VALUE__CASE_IS_INT_SIZE:
		break;
	}
	return value;
}

static void measure(const Kindred__V1__Item *item, size_t *elements, size_t *text)
{
	*elements = 0;
	*text = strlen(item->name) + strlen(item->image_url);
	for (size_t i = 0; i < item->n_attributes; i++) {
		const Kindred__V1__Attribute *attribute = item->attributes[i];
		if (attribute->value_case == KINDRED__V1__ATTRIBUTE__VALUE_STRING_VALUE)
			*text += strlen(attribute->string_value);
		if (attribute->value_case != KINDRED__V1__ATTRIBUTE__VALUE_LIST_VALUE)
			continue;
		*elements += attribute->list_value->n_values;
		for (size_t j = 0; j < attribute->list_value->n_values; j++)
			*text += strlen(attribute->list_value->values[j]);
	}
}

static bool schema_find(const struct filter_attribute *schema, uint32_t count, const char *name, enum value_type type,
			uint32_t *index)
{
	for (uint32_t i = 0; i < count; i++) {
		if (strcmp(schema[i].name, name) == 0) {
			*index = i;
			return schema[i].type == type;
		}
	}
	return false;
}

static struct overlay_item *make_item(const struct filter_attribute *schema, uint32_t schema_count,
				      const Kindred__Internal__ItemSet *change)
{
	static const Kindred__V1__Item nothing = KINDRED__V1__ITEM__INIT;
	const Kindred__V1__Item *from = change->item && !change->deleted ? change->item : &nothing;
	size_t elements, text;
	measure(from, &elements, &text);
	size_t values_bytes = from->n_attributes * sizeof(struct overlay_value);
	struct overlay_item *item = malloc(sizeof *item + values_bytes + elements * sizeof(struct text_view) + text);
	if (!item)
		return NULL;
	*item = (struct overlay_item){ .key = { change->item_key },
				       .version = change->version,
				       .hidden = from->hidden,
				       .deleted = change->deleted };
	struct room room;
	room.elements = (struct text_view *)((char *)item->values + values_bytes);
	room.text = (char *)(room.elements + elements);
	item->name = put_text(&room, from->name);
	item->image = put_text(&room, from->image_url);
	for (size_t i = 0; i < from->n_attributes; i++) {
		struct overlay_value *value = &item->values[item->value_count];
		value->value = put_value(&room, from->attributes[i]);
		if (schema_find(schema, schema_count, from->attributes[i]->name, value->value.type, &value->attribute))
			item->value_count++;
	}
	return item;
}

int overlay_set(struct overlay *overlay, const struct filter_attribute *schema, uint32_t schema_count,
		const Kindred__Internal__ItemSet *change, struct error *err)
{
	struct item_key key = { change->item_key };
	const struct overlay_item *old = overlay_find(overlay, key);
	if (change->version <= overlay->catalog->version || (old && change->version <= old->version))
		return 0;
	struct overlay_item *item = NULL;
	if (prepare(overlay))
		item = make_item(schema, schema_count, change);
	if (!item)
		return error_set(err, E_EXHAUSTED, "catalog '%s': no memory for a changed item",
				 overlay->catalog->name);
	struct overlay_item **at = place(overlay->table, overlay->mask, key);
	overlay->count += !*at;
	free(*at);
	*at = item;
	uint32_t row = model_row(overlay->catalog, key);
	if (row != MODEL_NO_ROW)
		overlay->changed[row / 64] |= UINT64_C(1) << row % 64;
	return 0;
}

struct value overlay_value(const struct overlay_item *item, uint32_t attribute)
{
	for (uint32_t i = 0; i < item->value_count; i++)
		if (item->values[i].attribute == attribute)
			return item->values[i].value;
	return (struct value){ .type = VALUE_MISSING };
}
