/*
 * Appends to a user's history, read from the bytes: the cap and the retention first, then entries of 4 bytes (event
 * id, time, item, flags, the highest of which is for a weight), small numbers so that they meet. A list kept the slow
 * way must agree, also after the history has been stored and loaded as a shard does it, which the item's lowest bit
 * asks for. And any bytes as the rows of a history: what is taken can be read to its end.
 */
#include "common/history_parts.h"

#include <stdlib.h>
#include <string.h>

#define CAP_MAX 100 /* so that some are divided */

static void check(bool holds)
{
	if (!holds)
		abort();
}

struct slow {
	struct history_entry entries[CAP_MAX + 1];
	uint32_t count;
	int64_t floor_ms;
};

static bool slow_has(const struct slow *slow, struct event_key event)
{
	for (uint32_t i = 0; i < slow->count; i++)
		if (event.value && slow->entries[i].event.value == event.value)
			return true;
	return false;
}

/* The rules of history.h, an entry at a time. */
static int slow_append(struct slow *slow, const struct history_entry *entry, const struct history_rules *rules)
{
	struct slow next = *slow;
	if (slow_has(slow, entry->event))
		return HISTORY_DUPLICATE;
	if (entry->time_ms <= slow->floor_ms)
		return HISTORY_DROPPED;
	uint32_t place = next.count;
	for (; place > 0 && next.entries[place - 1].time_ms > entry->time_ms; place--)
		next.entries[place] = next.entries[place - 1];
	next.entries[place] = *entry;
	next.count++;
	for (;;) {
		int64_t newest_ms = next.entries[next.count - 1].time_ms, oldest_ms = next.entries[0].time_ms;
		bool old = rules->retention_ms && oldest_ms < newest_ms - rules->retention_ms;
		if (next.count <= rules->cap && !old)
			break;
		if (place == 0)
			return HISTORY_DROPPED;
		place--;
		next.floor_ms = oldest_ms;
		next.count--;
		memmove(next.entries, next.entries + 1, next.count * sizeof *next.entries);
	}
	*slow = next;
	return HISTORY_ACCEPTED;
}

/* The rows of a shard. */
struct stored {
	char newest[sizeof(struct history_stored_head) + CAP_MAX * sizeof(struct history_entry)];
	char older[CAP_MAX * sizeof(struct history_entry)];
	size_t newest_bytes, older_bytes; /* older_bytes 0: there is none */
};

static void store(struct stored *stored, const char *row, struct history_parts *parts)
{
	struct history_division division = history_divide(row, parts);
	check(division.newest_bytes <= sizeof stored->newest && division.older_bytes <= sizeof stored->older);
	stored->newest_bytes = division.newest_bytes;
	history_put_newest(&division, stored->newest);
	if (division.older) {
		history_put_older(&division, stored->older);
		stored->older_bytes = division.older_bytes;
	}
	if (division.erase_older) {
		check(stored->older_bytes);
		stored->older_bytes = 0;
	}
	check(parts->has_older == (stored->older_bytes > 0));
}

static size_t load(const struct stored *stored, char *row, struct history_parts *parts)
{
	struct history history;
	enum history_stored found = history_open(&history, stored->newest, stored->newest_bytes);
	check(found == (stored->older_bytes ? HISTORY_IS_DIVIDED : HISTORY_IS_WHOLE));
	if (stored->older_bytes)
		check(history_add_older(&history, stored->older, stored->older_bytes));
	memset(row, 0xa5, history_bytes(history.count)); /* what is not loaded is told */
	return history_load(row, &history, parts);
}

static void compare(const struct slow *slow, const void *row, size_t bytes)
{
	struct history_head head;
	memcpy(&head, row, sizeof head);
	check(head.count == slow->count && head.floor_ms == slow->floor_ms && bytes == history_bytes(head.count));
	for (uint32_t i = 0; i < slow->count; i++) {
		struct history_entry entry = history_entry_at(row, i);
		check(memcmp(&entry, &slow->entries[i], sizeof entry) == 0);
	}
}

static void fuzz_appends(const uint8_t *data, size_t bytes)
{
	struct history_rules rules = { .cap = 1 + data[0] % CAP_MAX, .retention_ms = data[1] };
	struct slow slow = { .floor_ms = HISTORY_NO_FLOOR };
	char *row = malloc(history_bytes(rules.cap + 1));
	struct history_entry gone[CAP_MAX + 1];
	struct history_parts parts = { 0 };
	struct stored stored = { .older_bytes = 0 };
	size_t row_bytes = history_empty(row, HISTORY_NO_FLOOR);
	for (size_t at = 2; at + 4 <= bytes; at += 4) {
		struct history_entry entry = { .event = { data[at] },
					       .time_ms = data[at + 1],
					       .item = { data[at + 2] },
					       .weight = data[at + 3] & 0x80 ? 2 : 1,
					       .flags = data[at + 3] };
		struct slow before = slow;
		uint32_t gone_count;
		int outcome = history_append(row, &row_bytes, &entry, &rules, gone, CAP_MAX + 1, &gone_count);
		check(outcome == slow_append(&slow, &entry, &rules));
		check(gone_count == before.count + (outcome == HISTORY_ACCEPTED) - slow.count);
		check(memcmp(gone, before.entries, gone_count * sizeof *gone) == 0);
		if (outcome == HISTORY_ACCEPTED)
			history_parts_follow(&parts, row, entry.time_ms, gone_count);
		if (data[at + 2] & 1) {
			store(&stored, row, &parts);
			row_bytes = load(&stored, row, &parts);
		}
		compare(&slow, row, row_bytes);
	}
	free(row);
}

/* data: the row of the newest entries, and behind it, if that is divided, the other. */
static void fuzz_rows(const uint8_t *data, size_t bytes)
{
	struct history history;
	struct history_stored_head head;
	size_t newest = bytes;
	if (bytes < sizeof head)
		return;
	memcpy(&head, data, sizeof head);
	size_t of_newest = sizeof head + head.count * history_entry_bytes(head.columns & (HISTORY_PACKED * 2 - 1));
	if (head.format == HISTORY_DIVIDED && of_newest < bytes)
		newest = of_newest;
	enum history_stored stored = history_open(&history, data, newest);
	if (stored == HISTORY_IS_DAMAGED ||
	    (stored == HISTORY_IS_DIVIDED && !history_add_older(&history, data + newest, bytes - newest)))
		return;
	for (uint32_t i = 0; i < history.count; i++)
		history_at(&history, i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	fuzz_rows(data, bytes);
	if (bytes >= 2)
		fuzz_appends(data, bytes);
	return 0;
}
