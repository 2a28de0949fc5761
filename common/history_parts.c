#include "common/history_parts.h"

#define ENTRY sizeof(struct history_entry)

enum history_stored history_open(struct history *history, const void *row, size_t bytes)
{
	struct history_head head;
	if (bytes < sizeof head)
		return HISTORY_IS_DAMAGED;
	memcpy(&head, row, sizeof head);
	uint32_t older = head.older > head.gone ? head.older - (uint32_t)head.gone : 0;
	bool divided = head.format == HISTORY_DIVIDED;
	if (divided ? older == 0 : head.format != HISTORY_FORMAT || head.older || head.gone)
		return HISTORY_IS_DAMAGED;
	if (head.count + older > HISTORY_CAP_MAX || bytes != history_bytes(head.count))
		return HISTORY_IS_DAMAGED;
	*history = (struct history){ .newest = (const char *)row + sizeof head,
				     .older_count = older,
				     .count = head.count + older,
				     .gone = head.gone,
				     .floor_ms = head.floor_ms };
	return divided ? HISTORY_IS_DIVIDED : HISTORY_IS_WHOLE;
}

bool history_add_older(struct history *history, const void *row, size_t bytes)
{
	history->older = (const char *)row + history->gone * ENTRY;
	return bytes == (history->gone + history->older_count) * ENTRY;
}

size_t history_load(void *row, const struct history *history, struct history_parts *parts)
{
	char *entries = (char *)row + history_empty(row, history->floor_ms);
	struct history_head head;
	memcpy(&head, row, sizeof head);
	head.count = (uint16_t)history->count;
	memcpy(row, &head, sizeof head);
	if (history->older_count)
		memcpy(entries, history->older, history->older_count * ENTRY);
	memcpy(entries + history->older_count * ENTRY, history->newest,
	       (history->count - history->older_count) * ENTRY);
	*parts = (struct history_parts){ .older = history->older_count,
					 .gone = history->gone,
					 .has_older = history->older_count > 0 };
	return history_bytes(history->count);
}

void history_parts_follow(struct history_parts *parts, const void *row, int64_t time_ms, uint32_t gone)
{
	uint32_t of_older = gone < parts->older ? gone : parts->older;
	parts->older -= of_older;
	parts->gone += of_older;
	/*
	 * Entries are in order of time: the new one is among the older ones when it pushed a later one
	 * of them to here.
	 */
	if (parts->older && history_entry_at(row, parts->older).time_ms > time_ms)
		parts->older = 0;
}

struct history_division history_divide(const void *row, struct history_parts *parts)
{
	struct history_division division = { .older = NULL };
	memcpy(&division.head, row, sizeof division.head);
	const char *entries = (const char *)row + sizeof division.head;
	uint32_t count = division.head.count;
	if (parts->older == 0 || parts->gone > parts->older || count - parts->older > HISTORY_NEWEST_MAX) {
		bool whole = count <= HISTORY_NEWEST_MAX;
		division.erase_older = whole && parts->has_older;
		*parts =
			(struct history_parts){ .older = whole ? 0 : count - HISTORY_NEWEST_KEPT, .has_older = !whole };
		if (!whole) {
			division.older = entries;
			division.older_bytes = parts->older * ENTRY;
		}
	}
	division.head.format = parts->has_older ? HISTORY_DIVIDED : HISTORY_FORMAT;
	division.head.gone = (uint16_t)parts->gone;
	division.head.count = (uint16_t)(count - parts->older);
	division.head.older = (uint16_t)(parts->gone + parts->older);
	division.newest = entries + parts->older * ENTRY;
	division.newest_bytes = history_bytes(division.head.count);
	return division;
}

void history_put_newest(const struct history_division *division, void *to)
{
	memcpy(to, &division->head, sizeof division->head);
	memcpy((char *)to + sizeof division->head, division->newest, division->newest_bytes - sizeof division->head);
}
