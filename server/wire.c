#include "server/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One walk measures, one copies. What the first finds: */
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

/* "10,000", as the API's documentation writes it. */
static int too_many(const struct wire_split_rule *rule, struct error *err)
{
	char most[16];
	if (rule->elements_max < 10000)
		snprintf(most, sizeof most, "%u", rule->elements_max);
	else
		snprintf(most, sizeof most, "%u,%03u", rule->elements_max / 1000, rule->elements_max % 1000);
	return error_set(err, E_INVALID, "%s: more than %s; 1 to %s are allowed in one message", rule->name, most,
			 most);
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
		return too_many(rule, err);
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
	struct wire_cursor cursor = { message, message + bytes };
	struct wire_field field;
	int code;
	while ((code = wire_next(&cursor, &field)) > 0) {
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

static void append(struct wire_part *part, const uint8_t *data, size_t bytes)
{
	memcpy(part->message + part->bytes, data, bytes);
	part->bytes += bytes;
}

/*
 * All fields but the repeated one: gathered in the first used part, and copied from there, as there may
 * be thousands of them and of parts.
 */
static void fill_rest(const struct measure *measure, struct wire_split *split, const uint8_t *message, size_t bytes)
{
	struct wire_cursor cursor = { message, message + bytes };
	struct wire_field field;
	struct wire_part *first = split->parts, *end = split->parts + measure->rule->parts;
	while (first < end && !first->message)
		first++;
	if (first == end)
		return;
	while (wire_next(&cursor, &field) > 0)
		if (field.number != measure->rule->field)
			append(first, field.whole, field.whole_bytes);
	for (struct wire_part *part = first + 1; part < end; part++)
		if (part->message)
			append(part, first->message, first->bytes);
}

/* The order of different fields means nothing; that of one field's occurrences is kept. */
static void fill_elements(const struct measure *measure, struct wire_split *split, const uint8_t *message, size_t bytes)
{
	struct wire_cursor cursor = { message, message + bytes };
	struct wire_field field;
	uint32_t element = 0;
	while (wire_next(&cursor, &field) > 0) {
		if (field.number != measure->rule->field)
			continue;
		struct wire_part *part = &split->parts[measure->part[element]];
		((uint32_t *)(uintptr_t)part->indexes)[part->count++] = element++;
		append(part, field.whole, field.whole_bytes);
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
	if (!code) {
		fill_rest(&measure, split, message, bytes);
		fill_elements(&measure, split, message, bytes);
	}
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
