/*
 * Reading protobuf bytes without decoding them: the server finds in a request what routing needs and
 * passes the rest on as it came; a worker takes the elements of a batch one by one, so that a bad one
 * does not fail its neighbours. The wire format is https://protobuf.dev/programming-guides/encoding/.
 * Groups, which no proto3 message has, and what protobuf-c refuses are malformed here too: tags and
 * lengths of more than 32 bits, field number 0, truncated fields. Only the top level is looked at, but
 * by wire_check_texts.
 *
 * Pure; nothing is copied. Any process, any thread.
 */
#ifndef KINDRED_WIRE_H
#define KINDRED_WIRE_H

#include "common/error.h"

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

/* https://protobuf.dev/programming-guides/encoding/#structure */
enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/* A place in a message; at first { message, message + bytes }. */
struct wire_cursor {
	const uint8_t *at, *end;
};

struct wire_field {
	uint32_t number;
	uint32_t type; /* enum wire_type */
	const uint8_t *whole; /* tag and value */
	const uint8_t *data; /* the payload of a length-delimited field, else the value's bytes */
	size_t whole_bytes, data_bytes;
};

/* The next top-level field. 1: there is one; 0: the end; E_INVALID: malformed from here on. */
int wire_next(struct wire_cursor *cursor, struct wire_field *field);

/*
 * The last occurrence of a length-delimited field, which is a singular field's value in proto3. 1:
 * found, *data points into the message; 0: not there; E_INVALID: the message is malformed anywhere, or
 * the field has another wire type.
 */
int wire_find(const uint8_t *message, size_t bytes, uint32_t field, const uint8_t **data, size_t *data_bytes);

/* The same for a varint field: a number, a boolean, an enum. */
int wire_find_number(const uint8_t *message, size_t bytes, uint32_t field, uint64_t *value);

/*
 * Gives each top-level field to each(), in order. whole: tag and value; data: the payload of a
 * length-delimited field, else the value's bytes. E_INVALID when malformed (fields before that place
 * were given), else the first non-zero value of each(), else 0.
 */
int wire_each(const uint8_t *message, size_t bytes,
	      int (*each)(void *context, uint32_t field, uint32_t wire_type, const uint8_t *whole, size_t whole_bytes,
			  const uint8_t *data, size_t data_bytes),
	      void *context);

/*
 * Whether every string of the message, also in the messages within it, is UTF-8 without NUL bytes.
 * protobuf-c looks at neither, and what it unpacks ends at the first NUL: two different ids become one.
 * So this comes before unpacking anything that a client sent. E_INVALID: err names the field
 * ("properties: value: not valid UTF-8"), or says that the message is malformed.
 */
int wire_check_texts(const ProtobufCMessageDescriptor *type, const uint8_t *message, size_t bytes, struct error *err);

#endif
