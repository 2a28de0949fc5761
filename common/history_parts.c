#include "common/history_parts.h"

#define ENTRY sizeof(struct history_entry)

static unsigned columns_of_newest(const struct history_stored_head *head)
{
	return head->columns & ((1u << HISTORY_OLDER_SHIFT) - 1);
}

static unsigned columns_of_older(const struct history_stored_head *head)
{
	return (unsigned)head->columns >> HISTORY_OLDER_SHIFT;
}

enum history_stored history_open(struct history *history, const void *row, size_t bytes)
{
	struct history_stored_head head;
	if (bytes < sizeof head)
		return HISTORY_IS_DAMAGED;
	memcpy(&head, row, sizeof head);
	uint32_t older = head.older > head.gone ? head.older - (uint32_t)head.gone : 0;
	unsigned columns = columns_of_newest(&head), older_columns = columns_of_older(&head);
	bool divided = head.format == HISTORY_DIVIDED;
	if (divided ? older == 0 : head.format != HISTORY_WHOLE || head.older || head.gone || older_columns)
		return HISTORY_IS_DAMAGED;
	if (!history_columns_valid(columns) || !history_columns_valid(older_columns))
		return HISTORY_IS_DAMAGED;
	if (head.count + older > HISTORY_CAP_MAX || bytes != sizeof head + head.count * history_entry_bytes(columns))
		return HISTORY_IS_DAMAGED;
	*history = (struct history){ .newest = { (const char *)row + sizeof head, head.count, columns },
				     .older = { NULL, head.older, older_columns },
				     .older_count = older,
				     .count = head.count + older,
				     .gone = head.gone,
				     .floor_ms = head.floor_ms };
	return divided ? HISTORY_IS_DIVIDED : HISTORY_IS_WHOLE;
}

bool history_add_older(struct history *history, const void *row, size_t bytes)
{
	history->older.data = row;
	return bytes == history->older.count * history_entry_bytes(history->older.columns);
}

size_t history_load(void *row, const struct history *history, struct history_parts *parts)
{
	struct history_head head = { .count = history->count, .floor_ms = history->floor_ms };
	memcpy(row, &head, sizeof head);
	char *entries = (char *)row + sizeof head;
	if (history->older_count)
		history_columns_get(entries, &history->older, history->gone);
	history_columns_get(entries + history->older_count * ENTRY, &history->newest, 0);
	*parts = (struct history_parts){ .older = history->older_count,
					 .gone = history->gone,
					 .older_columns = history->older.columns,
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

/* All of the row in memory, divided anew or in one. */
static void divide_anew(struct history_division *division, const void *entries, uint32_t count,
			struct history_parts *parts)
{
	bool whole = count <= HISTORY_NEWEST_MAX;
	division->erase_older = whole && parts->has_older;
	*parts = (struct history_parts){ .older = whole ? 0 : count - HISTORY_NEWEST_KEPT, .has_older = !whole };
	if (whole)
		return;
	parts->older_columns = history_columns_of(entries, parts->older);
	division->older = entries;
	division->older_count = parts->older;
	division->older_bytes = parts->older * history_entry_bytes(parts->older_columns);
}

struct history_division history_divide(const void *row, struct history_parts *parts)
{
	struct history_division division = { .older = NULL };
	struct history_head head;
	memcpy(&head, row, sizeof head);
	const char *entries = (const char *)row + sizeof head;
	uint32_t count = head.count;
	if (parts->older == 0 || parts->gone > parts->older || count - parts->older > HISTORY_NEWEST_MAX)
		divide_anew(&division, entries, count, parts);
	uint32_t newest = count - parts->older;
	division.newest = entries + parts->older * ENTRY;
	unsigned columns = history_columns_of(division.newest, newest);
	division.head = (struct history_stored_head){
		.format = parts->has_older ? HISTORY_DIVIDED : HISTORY_WHOLE,
		.columns = (uint8_t)(columns | parts->older_columns << HISTORY_OLDER_SHIFT),
		.gone = (uint16_t)parts->gone,
		.count = (uint16_t)newest,
		.older = (uint16_t)(parts->gone + parts->older),
		.floor_ms = head.floor_ms,
	};
	division.newest_bytes = sizeof division.head + newest * history_entry_bytes(columns);
	return division;
}

void history_put_newest(const struct history_division *division, void *to)
{
	memcpy(to, &division->head, sizeof division->head);
	history_columns_put((char *)to + sizeof division->head, division->newest, division->head.count,
			    columns_of_newest(&division->head));
}

void history_put_older(const struct history_division *division, void *to)
{
	history_columns_put(to, division->older, division->older_count, columns_of_older(&division->head));
}
