#include "cli/item_value.h"

#include "cli/text.h"
#include "common/clock.h"
#include "google/protobuf/timestamp.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int no_memory(struct error *err)
{
	return error_set(err, E_EXHAUSTED, "no memory for an item");
}

static int bad_value(const struct field *field, const char *what, const char *help, struct error *err)
{
	char quoted[TEXT_QUOTE_MAX];
	return error_set(err, E_INVALID, "'%s' is not a %s %s", text_quote(field->text, field->bytes, quoted), what,
			 help);
}

/*
 * The part of the list that starts here, trimmed and NUL-terminated in place; *next: where the next one
 * starts, NULL: it was the last.
 */
static char *part_take(char *part, const char *separator, char **next, size_t *bytes)
{
	size_t separator_bytes = strlen(separator);
	char *found = separator_bytes > 0 ? strstr(part, separator) : NULL;
	char *end = found != NULL ? found : part + strlen(part);
	*next = found != NULL ? found + separator_bytes : NULL;
	while (part < end && *part == ' ')
		part++;
	while (end > part && end[-1] == ' ')
		end--;
	*end = '\0';
	*bytes = (size_t)(end - part);
	return part;
}

static size_t parts_count(const char *text, const char *separator)
{
	size_t count = 1, separator_bytes = strlen(separator);
	if (separator_bytes == 0)
		return count;
	for (const char *at = text; (at = strstr(at, separator)) != NULL; at += separator_bytes)
		count++;
	return count;
}

static int list_parse(Kindred__V1__Attribute *attribute, const char *text, size_t bytes, const char *separator,
		      struct arena *arena, struct error *err)
{
	char *copy = arena_strndup(arena, text, bytes);
	Kindred__V1__StringList *list = arena_alloc(arena, sizeof *list);
	if (copy == NULL || list == NULL)
		return no_memory(err);
	kindred__v1__string_list__init(list);
	list->values = arena_alloc(arena, parts_count(copy, separator) * sizeof *list->values);
	if (list->values == NULL)
		return no_memory(err);
	for (char *next = copy; next != NULL;) {
		size_t length;
		char *part = part_take(next, separator, &next, &length);
		if (length > LIST_VALUE_MAX)
			return error_set(err, E_INVALID, "a list element of %zu bytes; up to %d are allowed", length,
					 LIST_VALUE_MAX);
		if (length > 0)
			list->values[list->n_values++] = part;
	}
	if (list->n_values > LIST_VALUES_MAX)
		return error_set(err, E_INVALID, "a list of %zu elements; up to %d are allowed", list->n_values,
				 LIST_VALUES_MAX);
	attribute->value_case = KINDRED__V1__ATTRIBUTE__VALUE_LIST_VALUE;
	attribute->list_value = list;
	return 0;
}

static int timestamp_parse(Kindred__V1__Attribute *attribute, const struct field *field,
			   const struct notation *notation, struct arena *arena, struct error *err)
{
	char help[NOTATION_HELP_MAX];
	int64_t time_ms;
	if (!notation_time(notation, field->text, field->bytes, &time_ms))
		return bad_value(field, "time of the years 1 to 9999",
				 notation_time_help(notation, field->text, field->bytes, help), err);
	Google__Protobuf__Timestamp *time = arena_alloc(arena, sizeof *time);
	if (time == NULL)
		return no_memory(err);
	google__protobuf__timestamp__init(time);
	int64_t rest = ((time_ms % 1000) + 1000) % 1000;
	time->seconds = (time_ms - rest) / 1000;
	time->nanos = (int32_t)rest * 1000000;
	attribute->value_case = KINDRED__V1__ATTRIBUTE__VALUE_TIMESTAMP_VALUE;
	attribute->timestamp_value = time;
	return 0;
}

static int string_parse(Kindred__V1__Attribute *attribute, const char *text, size_t bytes, struct arena *arena,
			struct error *err)
{
	if (bytes > STRING_VALUE_MAX)
		return error_set(err, E_INVALID, "%zu bytes; up to %d are allowed", bytes, STRING_VALUE_MAX);
	attribute->value_case = KINDRED__V1__ATTRIBUTE__VALUE_STRING_VALUE;
	attribute->string_value = arena_strndup(arena, text, bytes);
	return attribute->string_value != NULL ? 0 : no_memory(err);
}

int attribute_parse(Kindred__V1__Attribute *attribute, attribute_type type, const struct field *field,
		    const char *separator, const struct notation *notation, struct arena *arena, struct error *err)
{
	char help[NOTATION_HELP_MAX];
	bool boolean;
	switch (type) {
	case TYPE_NUMBER:
		if (!notation_number(notation, field, &attribute->number_value))
			return bad_value(field, "number",
					 notation_number_help(notation, field->text, field->bytes, help), err);
		attribute->value_case = KINDRED__V1__ATTRIBUTE__VALUE_NUMBER_VALUE;
		return 0;
	case TYPE_BOOLEAN:
		if (!boolean_parse(field->text, field->bytes, &boolean))
			return bad_value(field, "boolean", "(true, false, yes, no, 1, 0)", err);
		attribute->value_case = KINDRED__V1__ATTRIBUTE__VALUE_BOOLEAN_VALUE;
		attribute->boolean_value = boolean;
		return 0;
	case TYPE_TIMESTAMP:
		return timestamp_parse(attribute, field, notation, arena, err);
	case TYPE_LIST:
		return list_parse(attribute, field->text, field->bytes, separator, arena, err);
	default:
		return string_parse(attribute, field->text, field->bytes, arena, err);
	}
}

static void list_write(FILE *out, const Kindred__V1__StringList *list)
{
	for (size_t i = 0; i < list->n_values; i++)
		fprintf(out, "%s%s", i > 0 ? ", " : "", list->values[i]);
}

char *attribute_text(const Kindred__V1__Attribute *attribute)
{
	char *text = NULL, room[64];
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	if (out == NULL)
		return NULL;
	switch (attribute->value_case) {
	case KINDRED__V1__ATTRIBUTE__VALUE_STRING_VALUE:
		fputs(attribute->string_value, out);
		break;
	case KINDRED__V1__ATTRIBUTE__VALUE_NUMBER_VALUE:
		fputs(text_number(attribute->number_value, room), out);
		break;
	case KINDRED__V1__ATTRIBUTE__VALUE_BOOLEAN_VALUE:
		fputs(attribute->boolean_value ? "true" : "false", out);
		break;
	case KINDRED__V1__ATTRIBUTE__VALUE_TIMESTAMP_VALUE:
		time_format(attribute->timestamp_value->seconds * 1000 + attribute->timestamp_value->nanos / 1000000,
			    room);
		fputs(room, out);
		break;
	case KINDRED__V1__ATTRIBUTE__VALUE_LIST_VALUE:
		list_write(out, attribute->list_value);
		break;
	case KINDRED__V1__ATTRIBUTE__VALUE__NOT_SET:
	case _KINDRED__V1__ATTRIBUTE__VALUE__CASE_IS_INT_SIZE:
		break;
	}
	fclose(out);
	return text;
}
