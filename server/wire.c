#include "server/wire.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct cursor {
	const uint8_t *at, *end;
};

struct wire_field {
	uint32_t number;
	uint32_t type; /* enum wire_type */
	const uint8_t *whole, *data;
	size_t whole_bytes, data_bytes;
};

/* At most 10 bytes. Bits above 64 are cut off, as every reader does. */
static bool read_varint(struct cursor *cursor, uint64_t *value)
{
	uint64_t result = 0;
	for (unsigned shift = 0; shift < 70 && cursor->at < cursor->end; shift += 7) {
		uint8_t byte = *cursor->at++;
		result |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*value = result;
			return true;
		}
	}
	return false;
}

/* A tag or a length: 32 bits in at most 5 bytes. */
static bool read_varint32(struct cursor *cursor, uint32_t *value)
{
	const uint8_t *start = cursor->at;
	uint64_t wide;
	if (!read_varint(cursor, &wide) || wide > UINT32_MAX || cursor->at - start > 5)
		return false;
	*value = (uint32_t)wide;
	return true;
}

static bool skip(struct cursor *cursor, size_t bytes)
{
	if ((size_t)(cursor->end - cursor->at) < bytes)
		return false;
	cursor->at += bytes;
	return true;
}

/* 1: a field; 0: the end; E_INVALID. */
static int next_field(struct cursor *cursor, struct wire_field *field)
{
	uint32_t tag, length;
	uint64_t ignored;
	if (cursor->at == cursor->end)
		return 0;
	field->whole = cursor->at;
	if (!read_varint32(cursor, &tag) || tag >> 3 == 0)
		return E_INVALID;
	field->number = tag >> 3;
	field->type = tag & 7;
	field->data = cursor->at;

	bool complete = false;
	switch (field->type) {
	case WIRE_VARINT:
		complete = read_varint(cursor, &ignored);
		break;
	case WIRE_FIXED64:
		complete = skip(cursor, 8);
		break;
	case WIRE_FIXED32:
		complete = skip(cursor, 4);
		break;
	case WIRE_BYTES:
		complete = read_varint32(cursor, &length);
		field->data = cursor->at;
		complete = complete && skip(cursor, length);
		break;
	}
	if (!complete)
		return E_INVALID;
	field->data_bytes = (size_t)(cursor->at - field->data);
	field->whole_bytes = (size_t)(cursor->at - field->whole);
	return 1;
}

/* The last occurrence of a field; 1, 0 or E_INVALID as next_field. */
static int find_last(const uint8_t *message, size_t bytes, uint32_t number, enum wire_type type,
		     struct wire_field *found)
{
	struct cursor cursor = { message, message + bytes };
	struct wire_field field;
	int code, seen = 0;
	while ((code = next_field(&cursor, &field)) > 0) {
		if (field.number != number)
			continue;
		if (field.type != type)
			return E_INVALID;
		*found = field;
		seen = 1;
	}
	return code < 0 ? code : seen;
}

int wire_find(const uint8_t *message, size_t bytes, uint32_t field, const uint8_t **data, size_t *data_bytes)
{
	struct wire_field found;
	int code = find_last(message, bytes, field, WIRE_BYTES, &found);
	if (code > 0) {
		*data = found.data;
		*data_bytes = found.data_bytes;
	}
	return code;
}

int wire_find_number(const uint8_t *message, size_t bytes, uint32_t field, uint64_t *value)
{
	struct wire_field found;
	int code = find_last(message, bytes, field, WIRE_VARINT, &found);
	if (code > 0) {
		struct cursor cursor = { found.data, found.data + found.data_bytes };
		read_varint(&cursor, value);
	}
	return code;
}

int wire_each(const uint8_t *message, size_t bytes,
	      int (*each)(void *context, uint32_t field, uint32_t wire_type, const uint8_t *whole, size_t whole_bytes,
			  const uint8_t *data, size_t data_bytes),
	      void *context)
{
	struct cursor cursor = { message, message + bytes };
	struct wire_field field;
	int code;
	while ((code = next_field(&cursor, &field)) > 0) {
		int answer = each(context, field.number, field.type, field.whole, field.whole_bytes, field.data,
				  field.data_bytes);
		if (answer)
			return answer;
	}
	return code;
}

/* --- splitting: one walk that measures, one that copies --- */

/* What the first walk finds. */
struct measure {
	const struct wire_split_rule *rule;
	uint16_t *part; /* of each element */
	size_t *part_bytes; /* of each part's elements */
	uint32_t *part_counts;
	uint32_t elements, part_room;
	size_t rest_bytes;
};

static int malformed(struct error *err)
{
	return error_set(err, E_INVALID, "the request is not a protobuf message of its type");
}

static int grow_parts(struct measure *measure, struct error *err)
{
	uint32_t room = measure->part_room ? measure->part_room * 2 : 256;
	uint16_t *grown = realloc(measure->part, room * sizeof *grown);
	if (!grown)
		return error_set(err, E_EXHAUSTED, "no memory to split a request by worker");
	measure->part = grown;
	measure->part_room = room;
	return 0;
}

static int measure_element(struct measure *measure, void *context, const struct wire_field *field, struct error *err)
{
	const struct wire_split_rule *rule = measure->rule;
	if (field->type != WIRE_BYTES)
		return malformed(err);
	if (measure->elements == rule->elements_max)
		return error_set(err, E_INVALID, "%s: more than %u; 1 to %u are allowed in one message", rule->name,
				 rule->elements_max, rule->elements_max);
	int code = measure->elements == measure->part_room ? grow_parts(measure, err) : 0;
	if (code)
		return code;
	int part = rule->part_of(context, field->data, field->data_bytes, err);
	if (part < 0)
		return part;
	if ((uint32_t)part >= rule->parts)
		return error_set(err, E_INTERNAL, "%s: there is no part %d of %u", rule->name, part, rule->parts);
	measure->part[measure->elements++] = (uint16_t)part;
	measure->part_bytes[part] += field->whole_bytes;
	measure->part_counts[part]++;
	return 0;
}

static int measure_all(struct measure *measure, void *context, const uint8_t *message, size_t bytes, struct error *err)
{
	const struct wire_split_rule *rule = measure->rule;
	struct cursor cursor = { message, message + bytes };
	struct wire_field field;
	int code;
	while ((code = next_field(&cursor, &field)) > 0) {
		if (field.number == rule->field) {
			code = measure_element(measure, context, &field, err);
			if (code)
				return code;
		} else {
			measure->rest_bytes += field.whole_bytes;
		}
	}
	if (code)
		return malformed(err);
	if (measure->rest_bytes > rule->rest_max)
		return error_set(err, E_INVALID, "the fields beside %s take %zu bytes; at most %zu are allowed",
				 rule->name, measure->rest_bytes, rule->rest_max);
	return 0;
}

static size_t aligned(size_t bytes)
{
	return (bytes + 15) / 16 * 16;
}

/* One allocation: the parts, all indexes, then each used part's headroom and message. */
static int make_parts(const struct measure *measure, struct wire_split *split, struct error *err)
{
	const struct wire_split_rule *rule = measure->rule;
	size_t indexes_at = aligned(rule->parts * sizeof *split->parts);
	size_t messages_at = indexes_at + aligned(measure->elements * sizeof(uint32_t)), total = messages_at;
	for (uint32_t i = 0; i < rule->parts; i++)
		if (measure->part_counts[i])
			total += aligned(rule->headroom + measure->rest_bytes + measure->part_bytes[i]);
	uint8_t *memory = malloc(total);
	if (!memory)
		return error_set(err, E_EXHAUSTED, "no memory to split a request by worker");

	split->memory = memory;
	split->parts = (void *)memory;
	split->elements = measure->elements;
	uint32_t *indexes = (void *)(memory + indexes_at);
	uint8_t *place = memory + messages_at;
	for (uint32_t i = 0; i < rule->parts; i++) {
		split->parts[i] = (struct wire_part){ 0 };
		if (!measure->part_counts[i])
			continue;
		split->parts[i].message = place + rule->headroom;
		split->parts[i].indexes = indexes;
		indexes += measure->part_counts[i];
		place += aligned(rule->headroom + measure->rest_bytes + measure->part_bytes[i]);
	}
	return 0;
}

static void append(struct wire_part *part, const struct wire_field *field)
{
	memcpy(part->message + part->bytes, field->whole, field->whole_bytes);
	part->bytes += field->whole_bytes;
}

/* The order of different fields means nothing; that of one field's occurrences is kept. */
static void fill_parts(const struct measure *measure, struct wire_split *split, const uint8_t *message, size_t bytes)
{
	struct cursor cursor = { message, message + bytes };
	struct wire_field field;
	uint32_t element = 0;
	while (next_field(&cursor, &field) > 0) {
		if (field.number == measure->rule->field) {
			struct wire_part *part = &split->parts[measure->part[element]];
			((uint32_t *)(uintptr_t)part->indexes)[part->count++] = element++;
			append(part, &field);
			continue;
		}
		for (uint32_t i = 0; i < measure->rule->parts; i++)
			if (split->parts[i].message)
				append(&split->parts[i], &field);
	}
}

int wire_split(const struct wire_split_rule *rule, void *context, const uint8_t *message, size_t bytes,
	       struct wire_split *split, struct error *err)
{
	*split = (struct wire_split){ 0 };
	struct measure measure = { .rule = rule,
				   .part_bytes = calloc(rule->parts, sizeof *measure.part_bytes),
				   .part_counts = calloc(rule->parts, sizeof *measure.part_counts) };
	int code;
	if (!measure.part_bytes || !measure.part_counts)
		code = error_set(err, E_EXHAUSTED, "no memory to split a request by worker");
	else
		code = measure_all(&measure, context, message, bytes, err);
	if (!code)
		code = make_parts(&measure, split, err);
	if (!code)
		fill_parts(&measure, split, message, bytes);
	free(measure.part);
	free(measure.part_bytes);
	free(measure.part_counts);
	return code;
}

void wire_split_free(struct wire_split *split)
{
	free(split->memory);
	*split = (struct wire_split){ 0 };
}
