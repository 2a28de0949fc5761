/*
 * Reading calls field by field with common/wire.h, in place: a string is a view into the payload, so it is
 * checked as it was sent (protobuf-c's strings end at the first NUL byte), nothing is copied, and a batch
 * of events needs no allocation. Pure; any thread.
 */
#ifndef KINDRED_WORKER_DECODE_H
#define KINDRED_WORKER_DECODE_H

#include "common/filter.h"
#include "common/wire.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline struct wire_cursor decode_start(const void *data, size_t bytes)
{
	return (struct wire_cursor){ data, (const uint8_t *)data + bytes };
}
static inline struct wire_cursor decode_inside(struct text_view message)
{
	return decode_start(message.data, message.bytes);
}

/* Of a WIRE_BYTES field; frames are far below 4 GB. */
static inline struct text_view decode_text(const struct wire_field *field)
{
	return (struct text_view){ (const char *)field->data, (uint32_t)field->data_bytes };
}
static inline uint64_t decode_varint(const struct wire_field *field)
{
	uint64_t value = 0;
	for (size_t i = 0; i < field->data_bytes; i++)
		value |= (uint64_t)(field->data[i] & 0x7f) << 7 * i;
	return value;
}
/* Of a WIRE_FIXED32 field. */
static inline float decode_float(const struct wire_field *field)
{
	float value;
	memcpy(&value, field->data, sizeof value);
	return value;
}

/* A google.protobuf.Timestamp. E_INVALID: malformed, or not from 0001 to 9999 with nanos from 0 to 999,999,999. */
int decode_timestamp(struct text_view message, int64_t *time_ms);

#endif
