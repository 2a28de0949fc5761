/*
 * How a history is stored: in one row, or, when it is long, in two, so that an event writes no more of
 * a long history than of a short one. Pure: no I/O.
 *
 * The row under the user's id (common/shard.h) has the newest entries; the one behind it, under a key
 * of its own, those before them. An event at the newest end changes the first row alone. What goes at
 * the oldest end stays in the second, and is only counted as gone, until that is written again: when
 * the first has more than HISTORY_NEWEST_MAX entries (all but HISTORY_NEWEST_KEPT of them move over),
 * or when more have gone than are left. An event that comes late, among the older ones, has both
 * written.
 *
 * Layout: struct history_stored_head, then the newest entries; both rows are runs of entries as in
 * common/history_columns.h. The older row is nothing but its run: that it is there and of the right size can be seen
 * without reading it.
 */
#ifndef KINDRED_HISTORY_PARTS_H
#define KINDRED_HISTORY_PARTS_H

#include "common/history.h"
#include "common/history_columns.h"

/*
 * So many lie inside a page of LMDB, with a user id of up to 214 bytes if they have all columns, of any length if they
 * have not, of up to 94 if they are not packed; a longer row has pages of its own.
 */
#define HISTORY_NEWEST_MAX 60u
#define HISTORY_NEWEST_KEPT 30u

#define HISTORY_WHOLE 1
#define HISTORY_DIVIDED 2 /* the newest part of a history, whose older part is in another row */

struct history_stored_head {
	uint8_t format; /* HISTORY_WHOLE, or HISTORY_DIVIDED */
	uint8_t columns; /* of the entries that follow; those of the other row above HISTORY_OLDER_SHIFT */
	uint16_t gone; /* HISTORY_DIVIDED: of the other row's first entries so many have gone; else 0 */
	uint16_t count; /* of the entries that follow */
	uint16_t older; /* HISTORY_DIVIDED: of the other row's entries; else 0 */
	int64_t floor_ms; /* HISTORY_NO_FLOOR: nothing ever went */
};
#define HISTORY_OLDER_SHIFT 4u
_Static_assert(sizeof(struct history_stored_head) == 16, "this is the disk format");
_Static_assert(2 * HISTORY_CAP_MAX <= UINT16_MAX,
	       "counts are 16 bits in the head, of the older row's entries those too that have gone");

/* --- reading --- */

/* A history as it is stored: points into rows that someone else keeps. */
struct history {
	struct history_run older, newest;
	uint32_t older_count; /* entries of the older run that have not gone; 0: there is no older part */
	uint32_t count; /* of both parts */
	uint32_t gone; /* so many of the older run's first entries */
	int64_t floor_ms;
};
/* index 0 is the oldest; index < count. */
static inline struct history_entry history_at(const struct history *history, uint32_t index)
{
	if (index < history->older_count)
		return history_run_at(&history->older, history->gone + index);
	return history_run_at(&history->newest, index - history->older_count);
}

enum history_stored { HISTORY_IS_DAMAGED, HISTORY_IS_WHOLE, HISTORY_IS_DIVIDED };

/*
 * The history of a user's row, where it lies. Any bytes may be given. HISTORY_IS_DIVIDED: it can be read once
 * history_add_older() has been called with the other row.
 */
enum history_stored history_open(struct history *history, const void *row, size_t bytes);
/* false: damaged, or not of this history. */
bool history_add_older(struct history *history, const void *row, size_t bytes);

/* --- writing: the history is one row in memory (history_append), and this is what of it is stored already --- */

struct history_parts {
	uint32_t older; /* the first so many entries of the row in memory stand in the older row */
	uint32_t gone; /* behind so many that have gone */
	unsigned older_columns; /* of the older row */
	bool has_older; /* there is an older row */
};

/* Copies what is stored into one row; row: room for it. Returns its bytes. */
size_t history_load(void *row, const struct history *history, struct history_parts *parts);
/* To be called after every history_append() that accepted. time_ms: of the new entry; gone: *gone_count. */
void history_parts_follow(struct history_parts *parts, const void *row, int64_t time_ms, uint32_t gone);

/* What has to be written, of the row in memory, as long as that stays as it is. */
struct history_division {
	struct history_stored_head head; /* of the user's row */
	const void *newest; /* its entries, in memory */
	size_t newest_bytes; /* of the user's row, with its head */
	const void *older; /* entries of the older row; NULL: it stays as it is, unless it has to be erased */
	uint32_t older_count;
	size_t older_bytes;
	bool erase_older;
};
/* *parts: what is stored once that is written. */
struct history_division history_divide(const void *row, struct history_parts *parts);
/* The user's row; to: newest_bytes. */
void history_put_newest(const struct history_division *division, void *to);
/* The older row, when there is one to write; to: older_bytes. */
void history_put_older(const struct history_division *division, void *to);

#endif
