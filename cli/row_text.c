#include "cli/row_text.h"

#include <stdlib.h>
#include <string.h>

void row_text_free(struct row_text *text)
{
	free(text->bytes);
	free(text->fields);
	*text = (struct row_text){ 0 };
}

void row_text_clear(struct row_text *text)
{
	text->used = 0;
	text->count = 0;
}

static int bytes_grow(struct row_text *text, size_t needed)
{
	size_t capacity = text->capacity != 0 ? text->capacity : 1024;
	while (capacity < needed)
		capacity *= 2;
	char *grown = realloc(text->bytes, capacity);
	if (grown == NULL)
		return E_EXHAUSTED;
	text->bytes = grown;
	text->capacity = capacity;
	return 0;
}

static int fields_grow(struct row_text *text)
{
	size_t room = text->room != 0 ? text->room * 2 : 32;
	struct field *grown = reallocarray(text->fields, room, sizeof *grown);
	if (grown == NULL)
		return E_EXHAUSTED;
	text->fields = grown;
	text->room = room;
	return 0;
}

int row_text_add(struct row_text *text, const char *field, size_t bytes)
{
	if (text->count > SOURCE_COLUMNS_MAX) {
		text->count++;
		return 0;
	}
	if (text->used + bytes + 1 > text->capacity && bytes_grow(text, text->used + bytes + 1) != 0)
		return E_EXHAUSTED;
	if (text->count == text->room && fields_grow(text) != 0)
		return E_EXHAUSTED;
	if (bytes > 0)
		memcpy(text->bytes + text->used, field, bytes);
	text->bytes[text->used + bytes] = '\0';
	text->used += bytes + 1;
	text->fields[text->count++] = (struct field){ .bytes = bytes };
	return 0;
}

const struct field *row_text_fields(struct row_text *text)
{
	size_t at = 0;
	size_t kept = text->count <= SOURCE_COLUMNS_MAX ? text->count : SOURCE_COLUMNS_MAX + 1;
	for (size_t i = 0; i < kept; i++) {
		text->fields[i].text = text->bytes + at;
		at += text->fields[i].bytes + 1;
	}
	return text->fields;
}
