/*
 * Reading protobuf bytes without decoding them: the server finds in a request what routing needs and passes the rest on as it came.
 * The wire format is https://protobuf.dev/programming-guides/encoding/. Groups, which no proto3 message has, and what protobuf-c (the reader in the
 * worker) refuses are malformed here too: tags and lengths of more than 32 bits, field number 0, truncated fields. Only the top level is looked at.
 *
 * Pure; runs on the server's loop. Nothing is copied but by wire_split.
 */
#ifndef KINDRED_WIRE_H
#define KINDRED_WIRE_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

/* https://protobuf.dev/programming-guides/encoding/#structure */
enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/*
 * The last occurrence of a length-delimited field, which is a singular field's value in proto3. 1: found, *data points into the message; 0: not there;
 * E_INVALID: the message is malformed anywhere, or the field has another wire type.
 */
int wire_find(const uint8_t *message, size_t bytes, uint32_t field, const uint8_t **data, size_t *data_bytes);

/* The same for a varint field: a number, a boolean, an enum. */
int wire_find_number(const uint8_t *message, size_t bytes, uint32_t field, uint64_t *value);

/*
 * Gives each top-level field to each(), in order. whole: tag and value; data: the payload of a length-delimited field, else the value's bytes.
 * E_INVALID when malformed (fields before that place were given), else the first non-zero value of each(), else 0.
 */
int wire_each(const uint8_t *message, size_t bytes,
	      int (*each)(void *context, uint32_t field, uint32_t wire_type, const uint8_t *whole, size_t whole_bytes,
			  const uint8_t *data, size_t data_bytes),
	      void *context);

/*
 * Splitting a message with one repeated field (users, events) by worker. The concatenation of a message's fields is the message, so a part is a
 * message of the same type: a copy of all other fields, then its elements in their order.
 *
 *     struct wire_split split;
 *     code = wire_split(&rule, server, request, request_bytes, &split, &err);
 *     for each part with count > 0: write the frame's head at part->message - rule.headroom, send both; element i of the part was
 *                                   element part->indexes[i] of the request
 *     wire_split_free(&split);
 */
struct wire_split_rule {
	uint32_t field; /* the repeated one, length-delimited */
	const char *name; /* its name, for errors */
	uint32_t elements_max;
	size_t rest_max; /* bytes of all other fields: they are copied to every part */
	uint32_t parts; /* workers; at most 65,536 */
	size_t headroom; /* bytes left free in front of each part's message */
	/* Which part an element goes to, 0..parts-1, or an error, which ends the split. */
	int (*part_of)(void *context, const uint8_t *element, size_t bytes, struct error *err);
};

struct wire_part {
	uint8_t *message; /* `headroom` bytes in front of it are free to use */
	size_t bytes;
	const uint32_t *indexes; /* [count]: which elements of the whole message it has */
	uint32_t count; /* 0: an unused part; message is NULL then */
};

struct wire_split {
	struct wire_part *parts; /* [rule->parts] */
	uint32_t elements; /* in all; 0 when the message has none, which is no error here */
	void *memory;
};

/* E_INVALID: malformed, too many elements or too large a rest (err says which); E_EXHAUSTED: no memory; or part_of's error. */
int wire_split(const struct wire_split_rule *rule, void *context, const uint8_t *message, size_t bytes,
	       struct wire_split *split, struct error *err);
void wire_split_free(struct wire_split *split);

#endif
