/*
 * Appends to a user's history, read from the bytes: the cap and the retention first, then entries of 4 bytes (event id, time, item, flags), small
 * numbers so that they meet. A list kept the slow way must agree. And any bytes as a row: what history_valid takes can be read to its end.
 */
#include "common/history.h"

#include <stdlib.h>
#include <string.h>

#define CAP_MAX 20

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

static void compare(const struct slow *slow, const void *row, size_t bytes)
{
	struct history_head head;
	check(history_valid(row, bytes));
	memcpy(&head, row, sizeof head);
	check(head.count == slow->count && head.floor_ms == slow->floor_ms);
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
	size_t row_bytes = history_empty(row, HISTORY_NO_FLOOR);
	for (size_t at = 2; at + 4 <= bytes; at += 4) {
		struct history_entry entry = { .event = { data[at] },
					       .time_ms = data[at + 1],
					       .item = { data[at + 2] },
					       .weight = 1,
					       .flags = data[at + 3] };
		struct slow before = slow;
		uint32_t gone_count;
		int outcome = history_append(row, &row_bytes, &entry, &rules, gone, CAP_MAX + 1, &gone_count);
		check(outcome == slow_append(&slow, &entry, &rules));
		check(gone_count == before.count + (outcome == HISTORY_ACCEPTED) - slow.count);
		check(memcmp(gone, before.entries, gone_count * sizeof *gone) == 0);
		compare(&slow, row, row_bytes);
	}
	free(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	if (history_valid(data, bytes))
		for (uint32_t i = 0; i < history_count(data); i++)
			history_entry_at(data, i);
	if (bytes >= 2)
		fuzz_appends(data, bytes);
	return 0;
}
