#include "cli/occurrence.h"

#include <stdlib.h>
#include <string.h>

#define START 1024

/* A row seen more than once. */
struct again {
	uint64_t hash; /* 0: free */
	uint32_t count;
};

struct occurrence {
	uint64_t *slots; /* hashes; 0: free */
	size_t room, used;
	struct again *more;
	size_t more_room, more_used;
};

struct occurrence *occurrence_new(void)
{
	struct occurrence *table = calloc(1, sizeof *table);
	if (table == NULL)
		return NULL;
	table->slots = calloc(START, sizeof *table->slots);
	table->more = calloc(START, sizeof *table->more);
	table->room = table->more_room = START;
	if (table->slots == NULL || table->more == NULL) {
		occurrence_free(table);
		return NULL;
	}
	return table;
}

void occurrence_free(struct occurrence *table)
{
	if (table == NULL)
		return;
	free(table->slots);
	free(table->more);
	free(table);
}

/* A place in a table of any size, also one that is no power of two: https://lemire.me/blog/2016/06/27/ */
static size_t place(uint64_t hash, size_t room)
{
	return (size_t)(((unsigned __int128)hash * room) >> 64);
}

static uint64_t *slot_find(uint64_t *slots, size_t room, uint64_t hash)
{
	size_t at = place(hash, room);
	while (slots[at] != 0 && slots[at] != hash)
		at = at + 1 == room ? 0 : at + 1;
	return &slots[at];
}

static struct again *again_find(struct again *more, size_t room, uint64_t hash)
{
	size_t at = place(hash, room);
	while (more[at].hash != 0 && more[at].hash != hash)
		at = at + 1 == room ? 0 : at + 1;
	return &more[at];
}

static int slots_grow(struct occurrence *table)
{
	size_t room = table->room + table->room * 3 / 5;
	uint64_t *slots = calloc(room, sizeof *slots);
	if (slots == NULL)
		return E_EXHAUSTED;
	for (size_t i = 0; i < table->room; i++) {
		if (table->slots[i] != 0)
			*slot_find(slots, room, table->slots[i]) = table->slots[i];
	}
	free(table->slots);
	table->slots = slots;
	table->room = room;
	return 0;
}

static int more_grow(struct occurrence *table)
{
	size_t room = table->more_room * 2;
	struct again *more = calloc(room, sizeof *more);
	if (more == NULL)
		return E_EXHAUSTED;
	for (size_t i = 0; i < table->more_room; i++) {
		if (table->more[i].hash != 0)
			*again_find(more, room, table->more[i].hash) = table->more[i];
	}
	free(table->more);
	table->more = more;
	table->more_room = room;
	return 0;
}

int occurrence_count(struct occurrence *table, uint64_t hash, uint32_t *number)
{
	if (hash == 0)
		hash = 1;
	uint64_t *slot = slot_find(table->slots, table->room, hash);
	if (*slot == 0) {
		if (table->used >= table->room - table->room / 5) {
			if (slots_grow(table) != 0)
				return E_EXHAUSTED;
			slot = slot_find(table->slots, table->room, hash);
		}
		*slot = hash;
		table->used++;
		*number = 1;
		return 0;
	}
	struct again *again = again_find(table->more, table->more_room, hash);
	if (again->hash == 0) {
		if (table->more_used >= table->more_room / 2) {
			if (more_grow(table) != 0)
				return E_EXHAUSTED;
			again = again_find(table->more, table->more_room, hash);
		}
		*again = (struct again){ .hash = hash, .count = 1 };
		table->more_used++;
	}
	*number = ++again->count;
	return 0;
}

size_t occurrence_bytes(const struct occurrence *table)
{
	return table->room * sizeof *table->slots + table->more_room * sizeof *table->more;
}
