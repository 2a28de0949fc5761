/*
 * A run of a history's entries as it is stored: in columns, the first of which is all that recommending reads of most
 * events. What no entry of the run has is left out: 30 events without ids take 480 bytes, with ids 720.
 *
 * Layout (little endian) of `count` entries, one column behind the other:
 *
 *     HISTORY_PACKED    16 bytes each: the item's key, then the time << 16 | the type
 *     HISTORY_WEIGHTS   4 bytes each: the weight; else all weigh 1
 *     HISTORY_EVENTS    8 bytes each: the event's key; else no entry has one
 *     HISTORY_FLAGS     2 bytes each; else all are 0
 *
 * Without HISTORY_PACKED a run is `count` times struct history_entry, 32 bytes each: what versions before wrote, and
 * entries whose time is outside 0..2^48 - 1. Pure: no I/O.
 */
#ifndef KINDRED_HISTORY_COLUMNS_H
#define KINDRED_HISTORY_COLUMNS_H

#include "common/history.h"

#define HISTORY_WEIGHTS 1u
#define HISTORY_EVENTS 2u
#define HISTORY_FLAGS 4u
#define HISTORY_PACKED 8u

/* Where it lies, not aligned. */
struct history_run {
	const char *data;
	uint32_t count;
	unsigned columns;
};

struct history_packed {
	struct item_key item;
	uint64_t time_and_type;
};
#define HISTORY_TIME_SHIFT 16u
_Static_assert(sizeof(struct history_packed) == 16, "this is the disk format");

/* No set of columns but such is ever written. */
static inline bool history_columns_valid(unsigned columns)
{
	return columns == 0 || (columns >= HISTORY_PACKED && columns < 2 * HISTORY_PACKED);
}

static inline size_t history_entry_bytes(unsigned columns)
{
	if (!(columns & HISTORY_PACKED))
		return sizeof(struct history_entry);
	return sizeof(struct history_packed) + (columns & HISTORY_WEIGHTS ? sizeof(float) : 0) +
	       (columns & HISTORY_EVENTS ? sizeof(struct event_key) : 0) +
	       (columns & HISTORY_FLAGS ? sizeof(uint16_t) : 0);
}

/* What these entries need; they may be unaligned. */
unsigned history_columns_of(const void *entries, uint32_t count);
/* to: count * history_entry_bytes(columns). */
void history_columns_put(void *to, const void *entries, uint32_t count, unsigned columns);
/* The run's entries from `first` on; entries: (run->count - first) * sizeof(struct history_entry), may be unaligned. */
void history_columns_get(void *entries, const struct history_run *run, uint32_t first);

/* index < count. Who does not look at a member does not read its column. */
static inline struct history_entry history_run_at(const struct history_run *run, uint32_t index)
{
	struct history_entry entry = { .weight = 1 };
	if (!(run->columns & HISTORY_PACKED)) {
		memcpy(&entry, run->data + (size_t)index * sizeof entry, sizeof entry);
		return entry;
	}
	struct history_packed packed;
	memcpy(&packed, run->data + (size_t)index * sizeof packed, sizeof packed);
	entry.item = packed.item;
	entry.time_ms = (int64_t)(packed.time_and_type >> HISTORY_TIME_SHIFT);
	entry.type = (uint16_t)packed.time_and_type;
	const char *column = run->data + (size_t)run->count * sizeof packed;
	if (run->columns & HISTORY_WEIGHTS) {
		memcpy(&entry.weight, column + (size_t)index * sizeof entry.weight, sizeof entry.weight);
		column += (size_t)run->count * sizeof entry.weight;
	}
	if (run->columns & HISTORY_EVENTS) {
		memcpy(&entry.event, column + (size_t)index * sizeof entry.event, sizeof entry.event);
		column += (size_t)run->count * sizeof entry.event;
	}
	if (run->columns & HISTORY_FLAGS)
		memcpy(&entry.flags, column + (size_t)index * sizeof entry.flags, sizeof entry.flags);
	return entry;
}

#endif
