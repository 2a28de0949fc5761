#include "worker/context.h"
#include "worker/decode.h"

#include <string.h>

enum context_field { CONTEXT_ATTRIBUTE = 1, CONTEXT_VALUE = 2 };

int context_take(struct context *context, struct text_view message, struct error *err)
{
	static const struct text_view none = { "", 0 };
	struct context_value value = { .attribute = none, .value = none };
	struct wire_cursor cursor = decode_inside(message);
	struct wire_field field;
	int got;
	while ((got = wire_next(&cursor, &field)) > 0) {
		if (field.type != WIRE_BYTES)
			continue;
		if (field.number == CONTEXT_ATTRIBUTE)
			value.attribute = decode_text(&field);
		else if (field.number == CONTEXT_VALUE)
			value.value = decode_text(&field);
	}
	if (got < 0)
		return error_set(err, E_INVALID, "context: not a kindred.v1.ContextValue");
	if (context->count == CONTEXT_VALUES_MAX)
		return error_set(err, E_INVALID, "context: more than %u values", CONTEXT_VALUES_MAX);
	context->values[context->count++] = value;
	return 0;
}

static bool same_text(struct text_view a, struct text_view b)
{
	return a.bytes == b.bytes && memcmp(a.data, b.data, a.bytes) == 0;
}

static int find_attribute(struct context_value *value, const struct recipe *recipe, struct error *err)
{
	for (uint32_t i = 0; i < recipe->column_count; i++) {
		if (recipe->columns[i] == RECIPE_NO_COLUMN)
			continue;
		const struct model_attribute *attribute = &recipe->catalog->attributes[recipe->columns[i]];
		if (strlen(attribute->name) != value->attribute.bytes ||
		    memcmp(attribute->name, value->attribute.data, value->attribute.bytes) != 0)
			continue;
		value->number = i;
		if (attribute->type == VALUE_STRING || attribute->type == VALUE_STRING_LIST)
			return 0;
		return error_set(
			err, E_INVALID,
			"context.attribute: '%s' holds no texts; attributes of strings and of lists of strings "
			"are allowed",
			attribute->name);
	}
	return error_set(err, E_INVALID,
			 "context.attribute: '%.*s' is no attribute of catalog '%s' in model generation %llu",
			 (int)(value->attribute.bytes < 64 ? value->attribute.bytes : 64), value->attribute.data,
			 recipe->catalog->name, (unsigned long long)recipe->generation->number);
}

int context_resolve(struct context *context, const struct recipe *recipe, struct error *err)
{
	if (context->item.bytes) {
		int code = id_check("context_item", context->item.data, context->item.bytes, ITEM_ID_MAX, err);
		if (code)
			return code;
		context->key = item_key(recipe->seed, context->item.data, context->item.bytes);
		if (model_row(recipe->catalog, context->key) == MODEL_NO_ROW &&
		    !overlay_find(recipe->overlay, context->key))
			return error_set(err, E_NOT_FOUND, "context_item: catalog '%s' has no item '%.*s'",
					 recipe->catalog->name, (int)context->item.bytes, context->item.data);
	}
	for (uint32_t v = 0; v < context->count; v++) {
		int code = find_attribute(&context->values[v], recipe, err);
		if (code)
			return code;
	}
	return 0;
}

static bool has(struct value value, struct text_view text)
{
	if (value.type == VALUE_STRING)
		return same_text(value.string, text);
	if (value.type != VALUE_STRING_LIST)
		return false;
	for (uint32_t i = 0; i < value.list.count; i++)
		if (same_text(value.list.at(value.list.context, value.list.first, i), text))
			return true;
	return false;
}

bool context_matches(const struct context *context, const struct recipe_item *item)
{
	for (uint32_t v = 0; v < context->count; v++)
		if (!has(recipe_value(item, context->values[v].number), context->values[v].value))
			return false;
	return true;
}
