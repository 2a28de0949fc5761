/*
 * A dictionary of event types: name <-> number, numbers without gaps from 0. The writer of a shard and
 * each of its readers have one of their own, filled from the shard. Pure; one thread at a time.
 */
#ifndef KINDRED_EVENT_TYPES_H
#define KINDRED_EVENT_TYPES_H

#include "common/shard.h"

#include <stddef.h>
#include <stdint.h>

#define EVENT_TYPE_NONE UINT16_MAX
#define EVENT_TYPES_SLOTS 2048 /* a power of two, at least twice as many */

struct event_types {
	char *names[SHARD_TYPES_MAX]; /* NULL: not known */
	uint32_t count; /* one more than the largest known number */
	uint16_t slots[EVENT_TYPES_SLOTS]; /* open addressing by name: number + 1; 0: free */
};

void event_types_init(struct event_types *types);
void event_types_fini(struct event_types *types);

/* EVENT_TYPE_NONE: not known. */
uint16_t event_types_find(const struct event_types *types, const char *name, size_t bytes);
/*
 * Copies the name, which must have no NUL byte; known numbers keep theirs. Returns 0, E_INVALID (number
 * too large) or E_EXHAUSTED (no memory).
 */
int event_types_set(struct event_types *types, uint32_t number, const char *name, size_t bytes);
/* Forgets the numbers from count up: a transaction that added them was aborted. */
void event_types_truncate(struct event_types *types, uint32_t count);

#endif
