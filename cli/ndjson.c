#include "cli/ndjson.h"
#include "cli/text.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_SEPARATOR "|"

static json_t *parse(const char *line, size_t bytes, struct error *err)
{
	json_error_t why;
	json_t *object = json_loadb(line, bytes, 0, &why);
	if (object == NULL) {
		error_set(err, E_INVALID, "not JSON: %s", why.text);
		return NULL;
	}
	if (!json_is_object(object)) {
		json_decref(object);
		error_set(err, E_INVALID, "not a JSON object: each line is one, like {\"user_id\": \"u1\", ...}");
		return NULL;
	}
	return object;
}

static int key_add(const char *key, char ***columns, size_t *count, size_t max, struct error *err)
{
	for (size_t i = 0; i < *count; i++) {
		if (strcmp((*columns)[i], key) == 0)
			return 0;
	}
	if (*count == max)
		return error_set(err, E_INVALID, "more than %zu different keys", max);
	if (strlen(key) > SOURCE_COLUMN_NAME_MAX)
		return error_set(err, E_INVALID, "a key is longer than %d bytes", SOURCE_COLUMN_NAME_MAX);
	char **grown = reallocarray(*columns, *count + 1, sizeof *grown);
	if (grown == NULL)
		return error_set(err, E_EXHAUSTED, "no memory for columns");
	*columns = grown;
	grown[*count] = strdup(key);
	if (grown[*count] == NULL)
		return error_set(err, E_EXHAUSTED, "no memory for columns");
	++*count;
	return 0;
}

int ndjson_keys(const char *text, size_t bytes, char ***columns, size_t *count, size_t max, struct error *err)
{
	int code = 0;
	bool cr_alone = memchr(text, '\r', bytes) != NULL && memchr(text, '\n', bytes) == NULL;
	while (bytes > 0 && code == 0) {
		const char *end = memchr(text, '\n', bytes);
		size_t length = end != NULL ? (size_t)(end - text) : bytes;
		/* A line that is cut off, or not JSON, is left to the reading of rows. */
		json_t *object = parse(text, length, NULL);
		const char *key;
		json_t *value;
		json_object_foreach(object, key, value)
		{
			code = key_add(key, columns, count, max, err);
			if (code != 0)
				break;
		}
		json_decref(object);
		text += length + (end != NULL);
		bytes -= length + (end != NULL);
	}
	if (code == 0 && *count == 0)
		code = error_set(err, E_DATA_LOSS,
				 "no JSON object in it: each line is one, like {\"user_id\": \"u1\", ...}%s",
				 cr_alone ? "; its lines end with CR alone: convert it by `tr '\\r' '\\n'`" : "");
	return code;
}

/* A scalar as text; NULL: it is none. room: TEXT_MAX bytes. */
static const char *scalar_text(const json_t *value, char *room, size_t *bytes)
{
	switch (json_typeof(value)) {
	case JSON_STRING:
		*bytes = json_string_length(value);
		return json_string_value(value);
	case JSON_INTEGER:
		*bytes = (size_t)snprintf(room, TEXT_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return room;
	case JSON_REAL:
		*bytes = strlen(text_number(json_real_value(value), room));
		return room;
	case JSON_TRUE:
		*bytes = 4;
		return "true";
	case JSON_FALSE:
		*bytes = 5;
		return "false";
	case JSON_NULL:
		*bytes = 0;
		return "";
	case JSON_OBJECT:
	case JSON_ARRAY:
		break;
	}
	return NULL;
}

static int list_add(const json_t *list, struct row_text *row)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	if (out == NULL)
		return E_EXHAUSTED;
	bool scalars = true;
	for (size_t i = 0; i < json_array_size(list) && scalars; i++) {
		char room[TEXT_MAX];
		size_t length;
		const char *element = scalar_text(json_array_get(list, i), room, &length);
		scalars = element != NULL;
		if (scalars)
			fprintf(out, "%s%.*s", i > 0 ? LIST_SEPARATOR : "", (int)length, element);
	}
	int code = fclose(out) != 0 ? E_EXHAUSTED : 0;
	if (code == 0 && !scalars)
		code = E_INVALID;
	if (code == 0)
		code = row_text_add(row, text, bytes);
	free(text);
	return code;
}

static int text_add(const json_t *value, struct row_text *row)
{
	char room[TEXT_MAX];
	size_t bytes;
	if (value == NULL)
		return row_text_add(row, "", 0);
	const char *text = scalar_text(value, room, &bytes);
	if (text != NULL)
		return row_text_add(row, text, bytes);
	if (json_is_array(value)) {
		int code = list_add(value, row);
		if (code != E_INVALID)
			return code;
	}
	char *dump = json_dumps(value, JSON_COMPACT);
	int code = dump == NULL ? E_EXHAUSTED : row_text_add(row, dump, strlen(dump));
	free(dump);
	return code;
}

static int value_add(const json_t *value, struct row_text *row)
{
	int code = text_add(value, row);
	if (code == 0 && value != NULL && row->count <= SOURCE_COLUMNS_MAX)
		row->fields[row->count - 1].odd =
			!json_is_string(value) && !json_is_integer(value) && !json_is_null(value);
	return code;
}

int ndjson_row(const char *line, size_t bytes, const char *const *columns, size_t count, struct row_text *row,
	       struct error *err)
{
	json_t *object = parse(line, bytes, err);
	if (object == NULL)
		return E_INVALID;
	int code = 0;
	for (size_t i = 0; i < count && code == 0; i++)
		code = value_add(json_object_get(object, columns[i]), row);
	json_decref(object);
	return code == 0 ? 0 : error_set(err, code, "no memory for a row");
}
