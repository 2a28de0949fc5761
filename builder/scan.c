#include "builder/scan.h"

#include "builder/parallel.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/shard.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define USERS_A_TRANSACTION 2000
#define TYPES (UINT16_MAX + 1u)
#define DAMAGED_NAMED 10 /* of a shard; of more, only the number is logged */

/* What one shard gave for one catalog. */
struct scan_segment {
	struct pile events; /* struct event */
	struct pile counts; /* uint32_t: events of each user */
};

/* What one shard gave in all. */
struct shard_totals {
	uint64_t users, unknown, future, events, damaged;
	int64_t newest_ms, newest_future_ms;
};

struct scan_work {
	struct scan *scan;
	const struct datadir *dir;
	const struct plan *plan;
	const struct items *items;
	struct report *report;
	uint32_t future_s; /* events after it are in the future */
	_Atomic uint32_t next_shard, done_shards;
	struct shard_totals *totals; /* [shards] */
	_Atomic bool failed;
	struct error error; /* of the first shard that failed */
};

/* One shard being read. */
struct shard_scan {
	struct scan_work *work;
	struct shard_reader *reader;
	struct scan_segment *segments; /* [catalogs] */
	struct shard_totals *totals;
	/* [catalogs x TYPES], filled as types are met: number in the catalog + 2; 1: not used there; 0: not looked up yet */
	uint32_t *types;
	struct error *err;
};

static uint32_t look_up_type(struct shard_scan *s, size_t catalog, uint16_t number)
{
	const char *name = shard_read_type_name(s->reader, number);
	uint16_t type = name ? plan_type(&s->work->plan->catalogs[catalog], name) : PLAN_NO_TYPE;
	uint32_t found = type == PLAN_NO_TYPE ? 1 : type + 2u;
	s->types[catalog * TYPES + number] = found;
	return found;
}

static uint32_t whole_seconds(int64_t time_ms)
{
	if (time_ms <= 0)
		return 0;
	int64_t seconds = time_ms / 1000;
	return seconds < UINT32_MAX ? (uint32_t)seconds : UINT32_MAX - 1;
}

static int keep_event(struct shard_scan *s, size_t catalog, const struct history_entry *entry, uint32_t slot,
		      uint32_t type)
{
	struct pile *events = &s->segments[catalog].events;
	struct event *event = pile_extend(s->work->scan->space, events, sizeof *event, s->err);
	if (!event)
		return E_EXHAUSTED;
	*event = (struct event){ .item = slot, .time_s = whole_seconds(entry->time_ms), .type = (uint16_t)(type - 2) };
	if (event->time_s > s->work->future_s) {
		s->totals->future++;
		if (entry->time_ms > s->totals->newest_future_ms)
			s->totals->newest_future_ms = entry->time_ms;
	} else {
		s->totals->events++;
		if (entry->time_ms > s->totals->newest_ms)
			s->totals->newest_ms = entry->time_ms;
	}
	return 0;
}

static int scan_entry(struct shard_scan *s, const struct history_entry *entry, uint32_t *counts)
{
	bool used = false;
	for (size_t c = 0; c < s->work->plan->catalog_count; c++) {
		uint32_t type = s->types[c * TYPES + entry->type];
		if (type == 0)
			type = look_up_type(s, c, entry->type);
		if (type == 1)
			continue;
		used = true;
		uint32_t slot = items_slot(&s->work->items[c], entry->item.value);
		if (slot == MODEL_NO_ROW)
			continue;
		counts[c]++;
		return keep_event(s, c, entry, slot, type);
	}
	if (used)
		s->totals->unknown++;
	return 0;
}

static int scan_user(void *context, const char *user, size_t user_bytes, const void *row, size_t bytes)
{
	struct shard_scan *s = context;
	(void)user;
	(void)user_bytes;
	(void)bytes;
	size_t catalogs = s->work->plan->catalog_count;
	uint32_t counts[catalogs];
	memset(counts, 0, sizeof counts);
	uint32_t entries = history_count(row);
	for (uint32_t e = 0; e < entries; e++) {
		struct history_entry entry = history_entry_at(row, e);
		int code = scan_entry(s, &entry, counts);
		if (code)
			return code;
	}
	bool any = false;
	for (size_t c = 0; c < catalogs; c++) {
		if (counts[c] == 0)
			continue;
		any = true;
		uint32_t *count = pile_extend(s->work->scan->space, &s->segments[c].counts, sizeof *count, s->err);
		if (!count)
			return E_EXHAUSTED;
		*count = counts[c];
	}
	s->totals->users += any;
	return 0;
}

static void pass_over(struct shard_scan *s)
{
	if (s->totals->damaged++ < DAMAGED_NAMED)
		log_warning("%s", s->err->text);
	*s->err = (struct error){ 0 };
}

static int scan_users(struct shard_scan *s)
{
	struct shard_cursor cursor = { 0 };
	bool done = false;
	int code = 0;
	while (!done && !code && !atomic_load(&s->work->failed)) {
		code = shard_read_begin(s->reader, s->err);
		if (code)
			break;
		code = shard_read_users(s->reader, &cursor, USERS_A_TRANSACTION, scan_user, s, &done, s->err);
		shard_read_end(s->reader);
		if (code == E_DATA_LOSS && cursor.damaged) {
			pass_over(s);
			code = 0;
		}
	}
	return code;
}

static int scan_shard(struct scan_work *work, uint32_t number, struct error *err)
{
	char path[DATADIR_PATH_MAX];
	struct shard *shard = NULL;
	struct shard_options options = { .read_only = true };
	int code = shard_open(&shard, datadir_shard(work->dir, number, path), &options, err);
	if (code == E_NOT_FOUND)
		return 0; /* no worker has opened it yet: no events */
	if (code)
		return code;
	struct shard_scan s = { .work = work,
				.segments = work->scan->segments + number * work->plan->catalog_count,
				.totals = &work->totals[number],
				.types = calloc(work->plan->catalog_count * TYPES, sizeof *s.types),
				.err = err };
	if (!s.types)
		code = error_set(err, E_EXHAUSTED, "no memory to read %s", path);
	if (!code)
		code = shard_reader_open(shard, &s.reader, err);
	if (!code)
		code = scan_users(&s);
	if (s.reader)
		shard_reader_close(s.reader);
	shard_close(shard);
	free(s.types);
	return code;
}

static int scan_shards(void *context, uint32_t thread)
{
	struct scan_work *work = context;
	uint32_t number;
	while ((number = atomic_fetch_add(&work->next_shard, 1)) < work->dir->shards && !atomic_load(&work->failed)) {
		struct error error = { 0 };
		int code = scan_shard(work, number, &error);
		if (code) {
			if (!atomic_exchange(&work->failed, true))
				work->error = error;
			return code;
		}
		uint32_t done = atomic_fetch_add(&work->done_shards, 1) + 1;
		if (thread == 0)
			report_step(work->report, (double)done / work->dir->shards);
	}
	return 0;
}

static void add_totals(struct scan *scan, const struct scan_work *work)
{
	int64_t newest_future_ms = INT64_MIN;
	for (size_t s = 0; s < scan->shards; s++) {
		const struct shard_totals *totals = &work->totals[s];
		scan->events += totals->events;
		scan->users += totals->users;
		scan->unknown += totals->unknown;
		scan->future += totals->future;
		scan->damaged += totals->damaged;
		if (totals->newest_ms > scan->newest_ms)
			scan->newest_ms = totals->newest_ms;
		if (totals->newest_future_ms > newest_future_ms)
			newest_future_ms = totals->newest_future_ms;
	}
	scan->limit_s = work->future_s;
	if (scan->future > scan->events) {
		log_warning("scan: %llu of %llu events are in the future; they count: this machine's clock is taken to "
			    "be wrong",
			    (unsigned long long)scan->future, (unsigned long long)(scan->future + scan->events));
		scan->events += scan->future;
		scan->future = 0;
		scan->limit_s = UINT32_MAX;
		if (newest_future_ms > scan->newest_ms)
			scan->newest_ms = newest_future_ms;
	}
}

int scan_run(struct scan *scan, struct space *space, const struct datadir *dir, const struct plan *plan,
	     const struct items *items, uint32_t threads, int64_t now_ms, struct report *report, struct error *err)
{
	*scan = (struct scan){
		.space = space, .catalogs = plan->catalog_count, .shards = dir->shards, .newest_ms = INT64_MIN
	};
	scan->segments = calloc(scan->catalogs * scan->shards, sizeof *scan->segments);
	struct scan_work work = { .scan = scan,
				  .dir = dir,
				  .plan = plan,
				  .items = items,
				  .report = report,
				  .future_s = whole_seconds(now_ms + DAY_MS),
				  .totals = calloc(scan->shards, sizeof *work.totals) };
	int code = 0;
	if (!scan->segments || !work.totals)
		code = error_set(err, E_EXHAUSTED, "no memory to scan %zu shards", scan->shards);
	for (size_t s = 0; s < scan->shards && !code; s++)
		work.totals[s].newest_ms = work.totals[s].newest_future_ms = INT64_MIN;
	if (!code)
		code = parallel_run(threads, scan_shards, &work);
	if (work.error.code) {
		code = work.error.code;
		if (err)
			*err = work.error;
	}
	if (!code)
		add_totals(scan, &work);
	free(work.totals);
	return code;
}

void scan_free(struct scan *scan)
{
	for (size_t s = 0; scan->segments && s < scan->shards * scan->catalogs; s++) {
		pile_free(scan->space, &scan->segments[s].events);
		pile_free(scan->space, &scan->segments[s].counts);
	}
	free(scan->segments);
	*scan = (struct scan){ 0 };
}

void scan_counts(const struct scan *scan, size_t catalog, uint64_t *counts)
{
	for (size_t s = 0; s < scan->shards; s++) {
		const struct pile *pile = &scan->segments[s * scan->catalogs + catalog].events;
		const struct event *events = pile->region.data;
		for (size_t e = 0; e < pile->used / sizeof *events; e++)
			if (events[e].time_s <= scan->limit_s)
				counts[events[e].item]++;
	}
}

static void join_event(struct events *events, const struct event *event, const uint32_t *row_of)
{
	struct event *place = (struct event *)events->all.data + events->count;
	*place = *event;
	place->item = row_of[event->item];
	if (events->count == 0 || event->time_s < events->oldest_s)
		events->oldest_s = event->time_s;
	if (event->time_s > events->newest_s)
		events->newest_s = event->time_s;
	events->count++;
}

static void join_segment(const struct scan *scan, const struct scan_segment *segment, const uint32_t *row_of,
			 struct events *events)
{
	const uint32_t *counts = segment->counts.region.data;
	const struct event *event = segment->events.region.data;
	uint64_t *offsets = events->offsets.data;
	for (size_t u = 0; u < segment->counts.used / sizeof *counts; u++) {
		uint64_t before = events->count;
		for (uint32_t e = 0; e < counts[u]; e++, event++)
			if (event->time_s <= scan->limit_s)
				join_event(events, event, row_of);
		if (events->count > before)
			offsets[++events->users] = events->count;
	}
}

int scan_join(struct scan *scan, size_t catalog, const uint32_t *row_of, struct events *events, struct error *err)
{
	*events = (struct events){ 0 };
	size_t event_bytes = 0, users = 0;
	for (size_t s = 0; s < scan->shards; s++) {
		event_bytes += scan->segments[s * scan->catalogs + catalog].events.used;
		users += scan->segments[s * scan->catalogs + catalog].counts.used / sizeof(uint32_t);
	}
	if (users >= UINT32_MAX)
		return error_set(err, E_EXHAUSTED, "%zu users: more than this builder can number", users);
	int code = region_make(scan->space, &events->all, event_bytes, err);
	if (!code)
		code = region_make(scan->space, &events->offsets, (users + 1) * sizeof(uint64_t), err);
	if (code)
		return code;
	for (size_t s = 0; s < scan->shards; s++) {
		struct scan_segment *segment = &scan->segments[s * scan->catalogs + catalog];
		join_segment(scan, segment, row_of, events);
		pile_free(scan->space, &segment->events);
		pile_free(scan->space, &segment->counts);
	}
	return 0;
}

void events_free(struct space *space, struct events *events)
{
	region_free(space, &events->all);
	region_free(space, &events->offsets);
	*events = (struct events){ 0 };
}
