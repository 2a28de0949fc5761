#include "server/audience_cursor.h"

#include "common/wire.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define VERSION 1
#define HEAD_BYTES 9

enum field {
	FIELD_GENERATION = 1,
	FIELD_DEFINITION_VERSION,
	FIELD_REQUEST,
	FIELD_AS_OF,
	FIELD_SHARDS,
	FIELD_SEEN,
	FIELD_TOTAL,
	FIELD_RANGE
};
enum range_field { RANGE_FIRST = 1, RANGE_END, RANGE_USER };

/* --- writing --- */

int audience_cursor_begin(struct buffer *out, const struct audience_cursor *cursor, size_t *start)
{
	uint8_t *head;

	*start = out->bytes;
	head = buffer_extend(out, HEAD_BYTES);
	if (!head)
		return E_EXHAUSTED;
	head[0] = VERSION;
	if (buffer_number(out, FIELD_GENERATION, cursor->generation) ||
	    buffer_number(out, FIELD_DEFINITION_VERSION, cursor->definition_version) ||
	    buffer_number(out, FIELD_REQUEST, cursor->request) ||
	    buffer_number(out, FIELD_AS_OF, (uint64_t)cursor->as_of_ms) ||
	    buffer_number(out, FIELD_SHARDS, cursor->shards) || buffer_number(out, FIELD_SEEN, cursor->users_seen) ||
	    buffer_number(out, FIELD_TOTAL, cursor->users_total))
		return E_EXHAUSTED;
	return 0;
}

int audience_cursor_range(struct buffer *out, const struct audience_range *range)
{
	uint8_t bytes[USER_ID_MAX + 32];
	struct buffer inner = { .data = bytes, .room = sizeof bytes }; /* large enough: it never grows */

	if (buffer_number(&inner, RANGE_FIRST, range->first) || buffer_number(&inner, RANGE_END, range->end) ||
	    (range->user_bytes && buffer_field(&inner, RANGE_USER, range->user, range->user_bytes)))
		return E_EXHAUSTED;
	return buffer_field(out, FIELD_RANGE, inner.data, inner.bytes);
}

static uint64_t hash_of(const uint8_t *cursor, size_t bytes)
{
	return XXH3_64bits(cursor + HEAD_BYTES, bytes - HEAD_BYTES);
}

void audience_cursor_end(struct buffer *out, size_t start)
{
	uint8_t *cursor = out->data + start;
	uint64_t hash = hash_of(cursor, out->bytes - start);

	for (unsigned i = 0; i < 8; i++)
		cursor[1 + i] = (uint8_t)(hash >> 8 * i);
}

/* --- reading --- */

static uint64_t number_of(const struct wire_field *field)
{
	uint64_t value = 0;

	if (field->type != WIRE_VARINT)
		return 0;
	for (size_t i = 0; i < field->data_bytes; i++)
		value |= (uint64_t)(field->data[i] & 0x7f) << 7 * i;
	return value;
}

static int read_range(const struct wire_field *whole, struct audience_range *range)
{
	struct wire_cursor cursor = { whole->data, whole->data + whole->data_bytes };
	struct wire_field field;
	uint64_t first = 0, end = 0;
	int rc;

	range->user_bytes = 0;
	while ((rc = wire_next(&cursor, &field)) == 1) {
		if (field.number == RANGE_FIRST)
			first = number_of(&field);
		else if (field.number == RANGE_END)
			end = number_of(&field);
		else if (field.number == RANGE_USER && field.type == WIRE_BYTES && field.data_bytes <= USER_ID_MAX)
			memcpy(range->user, field.data, range->user_bytes = (uint32_t)field.data_bytes);
		else
			return E_INVALID;
	}
	if (rc || first >= end || end > UINT32_MAX)
		return E_INVALID;
	range->first = (uint32_t)first;
	range->end = (uint32_t)end;
	return 0;
}

static void take_number(const struct wire_field *field, struct audience_cursor *cursor)
{
	uint64_t value = number_of(field);

	switch (field->number) {
	case FIELD_GENERATION:
		cursor->generation = value;
		break;
	case FIELD_DEFINITION_VERSION:
		cursor->definition_version = value;
		break;
	case FIELD_REQUEST:
		cursor->request = value;
		break;
	case FIELD_AS_OF:
		cursor->as_of_ms = (int64_t)value;
		break;
	case FIELD_SHARDS:
		cursor->shards = (uint32_t)value;
		break;
	case FIELD_SEEN:
		cursor->users_seen = value;
		break;
	case FIELD_TOTAL:
		cursor->users_total = value;
		break;
	default:
		break;
	}
}

/* Ranges are in order and within the data directory, so that no user can come twice. */
static int read_ranges(struct wire_cursor at, uint32_t shards, struct audience_range *ranges, size_t *count)
{
	struct wire_field field;
	uint32_t next = 0;

	*count = 0;
	while (wire_next(&at, &field) == 1) {
		struct audience_range *range = &ranges[*count];

		if (field.number != FIELD_RANGE)
			continue;
		if (field.type != WIRE_BYTES || read_range(&field, range) || range->first < next || range->end > shards)
			return E_INVALID;
		next = range->end;
		++*count;
	}
	return 0;
}

static int check_head(const uint8_t *bytes, size_t size, struct error *err)
{
	uint64_t hash = 0;

	if (size < HEAD_BYTES)
		return error_set(err, E_INVALID, "cursor: %zu bytes are none; send one as a response had it", size);
	if (bytes[0] != VERSION)
		return error_set(err, E_INVALID, "cursor: of format %u; this server knows %u; begin again without one",
				 bytes[0], VERSION);
	for (unsigned i = 0; i < 8; i++)
		hash |= (uint64_t)bytes[1 + i] << 8 * i;
	if (hash != hash_of(bytes, size))
		return error_set(err, E_INVALID, "cursor: damaged; send it byte for byte as a response had it");
	return 0;
}

int audience_cursor_read(const uint8_t *bytes, size_t size, uint32_t shards, struct audience_cursor *cursor,
			 struct audience_range **ranges, size_t *count, struct error *err)
{
	struct wire_cursor start, at;
	struct wire_field field;
	size_t most = 0;
	int rc = check_head(bytes, size, err);

	if (rc)
		return rc;
	*cursor = (struct audience_cursor){ 0 };
	start = at = (struct wire_cursor){ bytes + HEAD_BYTES, bytes + size };
	while ((rc = wire_next(&at, &field)) == 1) {
		most += field.number == FIELD_RANGE;
		take_number(&field, cursor);
	}
	if (rc || most > shards || cursor->as_of_ms < 0)
		return error_set(err, E_INVALID, "cursor: not one of this server");
	if (cursor->shards != shards)
		return error_set(err, E_PRECONDITION,
				 "cursor: from a data directory of %u shards; this one has %u, so it is another",
				 cursor->shards, shards);
	*ranges = calloc(most + 1, sizeof **ranges);
	if (!*ranges)
		return error_set(err, E_EXHAUSTED, "out of memory");
	rc = read_ranges(start, shards, *ranges, count);
	if (rc) {
		free(*ranges);
		return error_set(err, E_INVALID, "cursor: not one of this server");
	}
	return 0;
}
