#include "common/event_types.h"
#include "common/error.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

void event_types_init(struct event_types *types)
{
	memset(types, 0, sizeof *types);
}

void event_types_fini(struct event_types *types)
{
	for (uint32_t i = 0; i < types->count; i++)
		free(types->names[i]);
	event_types_init(types);
}

static bool same(const char *known, const char *name, size_t bytes)
{
	return strlen(known) == bytes && memcmp(known, name, bytes) == 0;
}

/* The slot that holds the name, or the free one where it would be put. */
static uint32_t slot_of(const struct event_types *types, const char *name, size_t bytes)
{
	uint32_t slot = (uint32_t)XXH3_64bits(name, bytes) % EVENT_TYPES_SLOTS;
	while (types->slots[slot] && !same(types->names[types->slots[slot] - 1], name, bytes))
		slot = (slot + 1) % EVENT_TYPES_SLOTS;
	return slot;
}

uint16_t event_types_find(const struct event_types *types, const char *name, size_t bytes)
{
	uint16_t found = types->slots[slot_of(types, name, bytes)];
	return found ? (uint16_t)(found - 1) : EVENT_TYPE_NONE;
}

int event_types_set(struct event_types *types, uint32_t number, const char *name, size_t bytes)
{
	if (number >= SHARD_TYPES_MAX)
		return E_INVALID;
	if (types->names[number])
		return 0;
	char *copy = strndup(name, bytes);
	if (!copy)
		return E_EXHAUSTED;
	types->names[number] = copy;
	types->slots[slot_of(types, name, bytes)] = (uint16_t)(number + 1);
	if (number >= types->count)
		types->count = number + 1;
	return 0;
}

void event_types_truncate(struct event_types *types, uint32_t count)
{
	if (count >= types->count)
		return;
	for (uint32_t i = count; i < types->count; i++) {
		free(types->names[i]);
		types->names[i] = NULL;
	}
	types->count = count;
	memset(types->slots, 0, sizeof types->slots);
	for (uint32_t i = 0; i < count; i++)
		if (types->names[i])
			types->slots[slot_of(types, types->names[i], strlen(types->names[i]))] = (uint16_t)(i + 1);
}
