/*
 * Splitting a request by worker without decoding it. common/wire.h is the rest of what is read from protobuf bytes.
 *
 * Pure; runs on the server's loop.
 */
#ifndef KINDRED_SERVER_WIRE_H
#define KINDRED_SERVER_WIRE_H

#include "common/wire.h"

/*
 * Split is a message with one repeated field (users, events). The concatenation of a message's fields
 * is the message, so a part is a message of the same type: a copy of all other fields, then its
 * elements in their order.
 *
 *     struct wire_split split;
 *     code = wire_split(&rule, server, request, request_bytes, &split, &err);
 *     for each part with count > 0: write the frame's head at part->message - rule.headroom, send both;
 *                                   element i of the part was element part->indexes[i] of the request
 *     wire_split_free(&split);
 */
struct wire_split_rule {
	uint32_t field; /* the repeated one, length-delimited */
	const char *name; /* its name, for errors */
	uint32_t elements_max;
	size_t rest_max; /* bytes of all other fields: they are copied to every part */
	uint32_t parts; /* at most 65,536 */
	size_t headroom; /* bytes left free in front of each part's message */
	/* Which part an element goes to, 0..parts-1, or an error with err set, which ends the split. */
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

/*
 * E_INVALID: malformed, too many elements or too large a rest (err says which); E_EXHAUSTED: no memory;
 * or part_of's error.
 */
int wire_split(const struct wire_split_rule *rule, void *context, const uint8_t *message, size_t bytes,
	       struct wire_split *split, struct error *err);
void wire_split_free(struct wire_split *split);

#endif
