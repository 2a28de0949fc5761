/*
 * Writing answers as protobuf bytes (https://protobuf.dev/programming-guides/encoding) straight into the
 * link's buffer. Not with protobuf-c, because item ids lie without a terminating NUL in the model's file
 * and would be copied twice to get there.
 *
 * blob_reserve for the most that a message can take, then its fields; of an embedded one the size first, or
 * message_begin .. message_end. Pure; any thread. Field numbers below 16.
 */
#ifndef KINDRED_WORKER_ENCODE_H
#define KINDRED_WORKER_ENCODE_H

#include "common/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A growable run of bytes. Zeroed: empty. Owned by whoever holds it. */
struct blob {
	uint8_t *data;
	size_t used, room;
};

/* blob_reserve's, where there is not enough room already. */
bool blob_grow(struct blob *buffer, size_t extra);
/* Makes room for `extra` bytes after data + used. False: no memory. */
static inline bool blob_reserve(struct blob *buffer, size_t extra)
{
	return extra <= buffer->room - buffer->used || blob_grow(buffer, extra);
}
void blob_fini(struct blob *buffer);

static inline size_t varint_bytes(uint64_t value)
{
	return value < 0x80 ? 1 : (size_t)(70 - __builtin_clzll(value)) / 7;
}
/* Of a whole field; 0 for a value that proto3 leaves out. */
static inline size_t uint_bytes(uint64_t value)
{
	return value ? 1 + varint_bytes(value) : 0;
}
static inline size_t text_bytes(size_t bytes)
{
	return bytes ? 1 + varint_bytes(bytes) + bytes : 0;
}
/* Of an embedded message, which is there even when empty. */
static inline size_t message_bytes(size_t bytes)
{
	return 1 + varint_bytes(bytes) + bytes;
}
#define FLOAT_BYTES 5u
/* At most: a field of a number of 32 bits; tag and length of a text or a message of less than 4 GiB. */
#define UINT32_BYTES_MAX 6u
#define HEAD_BYTES_MAX 6u

/* These write at `at`, where room was made before, and return the end. */
static inline uint8_t *put_varint(uint8_t *at, uint64_t value)
{
	while (value >= 0x80) {
		*at++ = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	*at++ = (uint8_t)value;
	return at;
}
static inline uint8_t *put_uint(uint8_t *at, uint32_t number, uint64_t value)
{
	if (!value)
		return at;
	*at++ = (uint8_t)(number << 3 | WIRE_VARINT);
	return put_varint(at, value);
}
/* Tag and length; the message's fields follow. */
static inline uint8_t *put_message(uint8_t *at, uint32_t number, size_t bytes)
{
	*at++ = (uint8_t)(number << 3 | WIRE_BYTES);
	return put_varint(at, bytes);
}
/*
 * An embedded message whose size shows only when it is written: its fields go behind `head` bytes that are left for
 * tag and length, which message_end puts there; the fields are moved when these take more or less (head: 2 for less
 * than 128 bytes, 3 for less than 16 KiB). Room for HEAD_BYTES_MAX is needed.
 */
static inline uint8_t *message_begin(uint8_t *at, unsigned head)
{
	return at + head;
}
/* begin: where message_begin was asked for; at: behind the last field. Returns the message's end. */
static inline uint8_t *message_end(uint8_t *begin, unsigned head, uint32_t number, uint8_t *at)
{
	size_t bytes = (size_t)(at - begin) - head, needed = 1 + varint_bytes(bytes);
	if (needed != head)
		memmove(begin + needed, begin + head, bytes);
	put_message(begin, number, bytes);
	return begin + needed + bytes;
}
static inline uint8_t *put_text(uint8_t *at, uint32_t number, const void *text, size_t bytes)
{
	if (!bytes)
		return at;
	at = put_message(at, number, bytes);
	memcpy(at, text, bytes);
	return at + bytes;
}
static inline uint8_t *put_float(uint8_t *at, uint32_t number, float value)
{
	*at++ = (uint8_t)(number << 3 | WIRE_FIXED32);
	memcpy(at, &value, sizeof value); /* little endian, as all machines we run on */
	return at + sizeof value;
}

#endif
