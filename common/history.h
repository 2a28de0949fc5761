/*
 * A user's history in memory while events are added to it: a row, time-ordered, oldest first, newest last. This module
 * is the rules of appending; it does no I/O and knows no clock. How a history is stored, and how it is read where it
 * lies, is in common/history_parts.h.
 *
 * A row is struct history_head, then `count` entries. It need not be aligned: read through history_count(),
 * history_entry_at() or memcpy.
 *
 * Rules: entries are ordered by time, arrival order within equal times. At most `cap` entries, the
 * newest kept; entries older than `retention_ms` before the newest one go too. `floor_ms` is the newest
 * time of anything that ever went: an event at or before the floor that is not among the entries is
 * dropped, not inserted. So an event counts once, however often it is sent. (An event id that is sent
 * again with a later time counts as new once its first copy has gone; within the row it is a duplicate
 * at any time.)
 */
#ifndef KINDRED_HISTORY_H
#define KINDRED_HISTORY_H

#include "common/ids.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HISTORY_CAP_MAX 10000
#define HISTORY_NO_FLOOR INT64_MIN

struct history_head {
	uint32_t count; /* of the entries that follow */
	uint32_t zero; /* so that rows can be compared as bytes */
	int64_t floor_ms; /* HISTORY_NO_FLOOR: nothing ever went */
};

struct history_entry {
	struct item_key item;
	int64_t time_ms;
	struct event_key event; /* 0: no id, never a duplicate */
	float weight; /* > 0 */
	uint16_t type; /* the shard's number of the event type */
	uint16_t flags; /* HISTORY_HAS_PROPERTIES or 0; the bits above are the shard's (HISTORY_TWIN_SHIFT) */
};
_Static_assert(sizeof(struct history_entry) == 32, "this is the disk format of runs that are not packed");
#define HISTORY_HAS_PROPERTIES 1u
/*
 * Among entries with properties but no event id that are alike in all else: a number, so that each
 * finds its own properties.
 */
#define HISTORY_TWIN_SHIFT 1u

struct history_rules {
	uint32_t cap; /* 1..HISTORY_CAP_MAX */
	int64_t retention_ms; /* before the newest entry; 0: no limit */
};

enum history_outcome { HISTORY_ACCEPTED = 1, HISTORY_DUPLICATE = 2, HISTORY_DROPPED = 3 }; /* = kindred.v1.Outcome */

static inline uint32_t history_count(const void *row)
{
	struct history_head head;
	memcpy(&head, row, sizeof head);
	return head.count;
}
/* index 0 is the oldest; index < count. */
static inline struct history_entry history_entry_at(const void *row, uint32_t index)
{
	struct history_entry entry;
	memcpy(&entry, (const char *)row + sizeof(struct history_head) + (size_t)index * sizeof entry, sizeof entry);
	return entry;
}
static inline size_t history_bytes(uint32_t count)
{
	return sizeof(struct history_head) + (size_t)count * sizeof(struct history_entry);
}

/* Makes an empty row. row: at least history_bytes(0). Returns its bytes. */
size_t history_empty(void *row, int64_t floor_ms);

/*
 * Adds one entry to the row in place. row must have room for history_bytes(cap + 1), or for what it
 * holds when that is more (it was written under a larger cap; it is cut when the next entry comes in).
 * *bytes: its length, updated. gone/gone_count: the entries that the rules removed, oldest first, at
 * most `gone_room` of them are written (HISTORY_CAP_MAX gets all; gone may be NULL). Returns enum
 * history_outcome; the row is unchanged unless HISTORY_ACCEPTED.
 */
int history_append(void *row, size_t *bytes, const struct history_entry *entry, const struct history_rules *rules,
		   struct history_entry *gone, uint32_t gone_room, uint32_t *gone_count);

#endif
