#include "common/history_columns.h"

static struct history_entry entry_of(const void *entries, uint32_t index)
{
	struct history_entry entry;
	memcpy(&entry, (const char *)entries + (size_t)index * sizeof entry, sizeof entry);
	return entry;
}

unsigned history_columns_of(const void *entries, uint32_t count)
{
	const float one = 1;
	uint64_t times = 0, events = 0;
	unsigned flags = 0;
	bool weights = false;
	for (uint32_t i = 0; i < count; i++) {
		struct history_entry entry = entry_of(entries, i);
		times |= (uint64_t)entry.time_ms;
		events |= entry.event.value;
		flags |= entry.flags;
		weights |= memcmp(&entry.weight, &one, sizeof one) != 0;
	}
	if (times >> (64 - HISTORY_TIME_SHIFT))
		return 0;
	return HISTORY_PACKED | (weights ? HISTORY_WEIGHTS : 0) | (events ? HISTORY_EVENTS : 0) |
	       (flags ? HISTORY_FLAGS : 0);
}

void history_columns_put(void *to, const void *entries, uint32_t count, unsigned columns)
{
	if (!(columns & HISTORY_PACKED)) {
		memcpy(to, entries, (size_t)count * sizeof(struct history_entry));
		return;
	}
	char *packed = to;
	char *weights = packed + (size_t)count * sizeof(struct history_packed);
	char *events = weights + (columns & HISTORY_WEIGHTS ? (size_t)count * sizeof(float) : 0);
	char *flags = events + (columns & HISTORY_EVENTS ? (size_t)count * sizeof(struct event_key) : 0);
	for (uint32_t i = 0; i < count; i++) {
		struct history_entry entry = entry_of(entries, i);
		struct history_packed one = { entry.item, (uint64_t)entry.time_ms << HISTORY_TIME_SHIFT | entry.type };
		memcpy(packed + i * sizeof one, &one, sizeof one);
		if (columns & HISTORY_WEIGHTS)
			memcpy(weights + i * sizeof entry.weight, &entry.weight, sizeof entry.weight);
		if (columns & HISTORY_EVENTS)
			memcpy(events + i * sizeof entry.event, &entry.event, sizeof entry.event);
		if (columns & HISTORY_FLAGS)
			memcpy(flags + i * sizeof entry.flags, &entry.flags, sizeof entry.flags);
	}
}

/* Member by member: written and read again in other sizes, an entry on the stack would make the processor wait. */
static void unpack(char *to, const struct history_run *run, uint32_t first)
{
	for (uint32_t i = first; i < run->count; i++, to += sizeof(struct history_entry)) {
		struct history_entry entry = history_run_at(run, i);
		memcpy(to + offsetof(struct history_entry, item), &entry.item, sizeof entry.item);
		memcpy(to + offsetof(struct history_entry, time_ms), &entry.time_ms, sizeof entry.time_ms);
		memcpy(to + offsetof(struct history_entry, event), &entry.event, sizeof entry.event);
		memcpy(to + offsetof(struct history_entry, weight), &entry.weight, sizeof entry.weight);
		memcpy(to + offsetof(struct history_entry, type), &entry.type, sizeof entry.type);
		memcpy(to + offsetof(struct history_entry, flags), &entry.flags, sizeof entry.flags);
	}
}

void history_columns_get(void *entries, const struct history_run *run, uint32_t first)
{
	if (run->columns & HISTORY_PACKED)
		unpack(entries, run, first);
	else
		memcpy(entries, run->data + (size_t)first * sizeof(struct history_entry),
		       (size_t)(run->count - first) * sizeof(struct history_entry));
}
