#include "common/wire.h"
#include "common/ids.h"

#include <stdbool.h>

/* At most 10 bytes. Bits above 64 are cut off, as every reader does. */
static bool read_varint(struct wire_cursor *cursor, uint64_t *value)
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
static bool read_varint32(struct wire_cursor *cursor, uint32_t *value)
{
	const uint8_t *start = cursor->at;
	uint64_t wide;
	if (!read_varint(cursor, &wide) || wide > UINT32_MAX || cursor->at - start > 5)
		return false;
	*value = (uint32_t)wide;
	return true;
}

static bool skip(struct wire_cursor *cursor, size_t bytes)
{
	if ((size_t)(cursor->end - cursor->at) < bytes)
		return false;
	cursor->at += bytes;
	return true;
}

/* A text or message of less than 128 bytes in a field below number 16, as nearly all are. */
static bool next_short(struct wire_cursor *cursor, struct wire_field *field)
{
	const uint8_t *at = cursor->at;
	size_t left = (size_t)(cursor->end - at);
	if (left < 2 || at[0] < 1 << 3 || at[0] >= 0x80 || (at[0] & 7) != WIRE_BYTES || at[1] >= 0x80 ||
	    at[1] > left - 2)
		return false;
	*field = (struct wire_field){ .number = at[0] >> 3,
				      .type = WIRE_BYTES,
				      .whole = at,
				      .data = at + 2,
				      .whole_bytes = at[1] + 2u,
				      .data_bytes = at[1] };
	cursor->at = at + 2 + at[1];
	return true;
}

int wire_next(struct wire_cursor *cursor, struct wire_field *field)
{
	uint32_t tag, length;
	uint64_t ignored;
	if (next_short(cursor, field))
		return 1;
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

/* The last occurrence of a field; 1, 0 or E_INVALID as wire_next. */
static int find_last(const uint8_t *message, size_t bytes, uint32_t number, enum wire_type type,
		     struct wire_field *found)
{
	struct wire_cursor cursor = { message, message + bytes };
	struct wire_field field;
	int code, seen = 0;
	while ((code = wire_next(&cursor, &field)) > 0) {
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
		struct wire_cursor cursor = { found.data, found.data + found.data_bytes };
		read_varint(&cursor, value);
	}
	return code;
}

int wire_each(const uint8_t *message, size_t bytes,
	      int (*each)(void *context, uint32_t field, uint32_t wire_type, const uint8_t *whole, size_t whole_bytes,
			  const uint8_t *data, size_t data_bytes),
	      void *context)
{
	struct wire_cursor cursor = { message, message + bytes };
	struct wire_field field;
	int code;
	while ((code = wire_next(&cursor, &field)) > 0) {
		int answer = each(context, field.number, field.type, field.whole, field.whole_bytes, field.data,
				  field.data_bytes);
		if (answer)
			return answer;
	}
	return code;
}

/* --- texts --- */

/* No message of ours nests deeper; it bounds the recursion should one become recursive. */
#define TYPE_DEPTH_MAX 8

static int check_texts(const ProtobufCMessageDescriptor *type, struct wire_cursor cursor, unsigned depth,
		       struct error *err)
{
	struct wire_field field;
	int code;
	while ((code = wire_next(&cursor, &field)) > 0) {
		const ProtobufCFieldDescriptor *known = protobuf_c_message_descriptor_get_field(type, field.number);
		bool is_text = known && known->type == PROTOBUF_C_TYPE_STRING;
		bool is_message = known && known->type == PROTOBUF_C_TYPE_MESSAGE;
		if (!is_text && !is_message)
			continue;
		if (field.type != WIRE_BYTES || depth == TYPE_DEPTH_MAX)
			return error_set(err, E_INVALID, "%s: not a protobuf field of its type", known->name);
		if (is_text && !utf8_valid((const char *)field.data, field.data_bytes))
			return error_set(err, E_INVALID, "%s: not valid UTF-8, or with a NUL byte in it", known->name);
		if (!is_message)
			continue;
		struct wire_cursor inner = { field.data, field.data + field.data_bytes };
		code = check_texts(known->descriptor, inner, depth + 1, err);
		if (code) {
			if (err)
				error_prefix(err, "%s", known->name);
			return code;
		}
	}
	return code ? error_set(err, code, "not a protobuf message of its type") : 0;
}

int wire_check_texts(const ProtobufCMessageDescriptor *type, const uint8_t *message, size_t bytes, struct error *err)
{
	return check_texts(type, (struct wire_cursor){ message, message + bytes }, 0, err);
}
