#include "common/history.h"

#define ENTRY sizeof(struct history_entry)

size_t history_empty(void *row, int64_t floor_ms)
{
	struct history_head head = { .floor_ms = floor_ms };
	memcpy(row, &head, sizeof head);
	return sizeof head;
}

static int64_t time_at(const char *entries, uint32_t index)
{
	int64_t time_ms;
	memcpy(&time_ms, entries + index * ENTRY + offsetof(struct history_entry, time_ms), sizeof time_ms);
	return time_ms;
}

/*
 * From the newest end, where the copies of an event that is sent twice are. An event id may come back
 * with another time, so the whole row is looked through; eight at a time, as nearly always nothing is
 * found.
 */
static bool has_event(const char *entries, uint32_t count, struct event_key event)
{
	const char *keys = entries + offsetof(struct history_entry, event);
	uint64_t key;
	while (count >= 8) {
		count -= 8;
		bool found = false;
		for (uint32_t i = 0; i < 8; i++) {
			memcpy(&key, keys + (count + i) * ENTRY, sizeof key);
			found |= key == event.value;
		}
		if (found)
			return true;
	}
	while (count > 0) {
		memcpy(&key, keys + --count * ENTRY, sizeof key);
		if (key == event.value)
			return true;
	}
	return false;
}

/* Behind all entries that are not newer. */
static uint32_t place_of(const char *entries, uint32_t count, int64_t time_ms)
{
	if (count == 0 || time_at(entries, count - 1) <= time_ms)
		return count;
	uint32_t low = 0, high = count - 1;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (time_at(entries, middle) <= time_ms)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * How many of the oldest go once the new one is in at `place`: what is over the cap, and what is older
 * than the retention before the newest. More than `place` means that the new one would go itself.
 */
static uint32_t surplus(const char *entries, uint32_t count, uint32_t place, int64_t time_ms,
			const struct history_rules *rules)
{
	uint32_t drop = count + 1 > rules->cap ? count + 1 - rules->cap : 0;
	int64_t newest_ms = place == count ? time_ms : time_at(entries, count - 1);
	int64_t oldest_ms;
	if (rules->retention_ms <= 0 || __builtin_sub_overflow(newest_ms, rules->retention_ms, &oldest_ms))
		return drop;
	if (time_ms < oldest_ms)
		return place + 1;
	while (drop < place && time_at(entries, drop) < oldest_ms)
		drop++;
	return drop;
}

int history_append(void *row, size_t *bytes, const struct history_entry *entry, const struct history_rules *rules,
		   struct history_entry *gone, uint32_t gone_room, uint32_t *gone_count)
{
	struct history_head head;
	memcpy(&head, row, sizeof head);
	char *entries = (char *)row + sizeof head;
	uint32_t count = head.count;
	*gone_count = 0;
	if (entry->event.value && has_event(entries, count, entry->event))
		return HISTORY_DUPLICATE;
	if (entry->time_ms <= head.floor_ms)
		return HISTORY_DROPPED;
	uint32_t place = place_of(entries, count, entry->time_ms);
	uint32_t drop = surplus(entries, count, place, entry->time_ms, rules);
	if (drop > place)
		return HISTORY_DROPPED;
	if (drop > 0) {
		int64_t newest_gone_ms = time_at(entries, drop - 1);
		if (newest_gone_ms > head.floor_ms)
			head.floor_ms = newest_gone_ms;
		*gone_count = drop;
		if (gone)
			memcpy(gone, entries, (drop < gone_room ? drop : gone_room) * ENTRY);
		memmove(entries, entries + drop * ENTRY, (place - drop) * ENTRY);
	}
	if (drop != 1)
		memmove(entries + (place + 1 - drop) * ENTRY, entries + place * ENTRY, (count - place) * ENTRY);
	memcpy(entries + (place - drop) * ENTRY, entry, ENTRY);
	head.count = count + 1 - drop;
	memcpy(row, &head, sizeof head);
	*bytes = history_bytes(count + 1 - drop);
	return HISTORY_ACCEPTED;
}
