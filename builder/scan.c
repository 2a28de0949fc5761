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
	_Atomic uint64_t done_events;
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
	/*
	 * [catalogs x TYPES], filled as types are met: number in the catalog + 2; 1: not used there; 0:
	 * not looked up yet
	 */
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
	*event = (struct event){ .item = slot,
				 .time_s = whole_seconds(entry->time_ms),
				 .type = (uint16_t)(type - 2),
				 .weight = event_weight_pack(entry->weight) };
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

static int scan_user(void *context, const char *user, size_t user_bytes, const struct history *history)
{
	struct shard_scan *s = context;
	(void)user;
	(void)user_bytes;
	size_t catalogs = s->work->plan->catalog_count;
	uint32_t counts[catalogs];
	memset(counts, 0, sizeof counts);
	for (uint32_t e = 0; e < history->count; e++) {
		struct history_entry entry = history_at(history, e);
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
		const struct shard_totals *totals = &work->totals[number];
		uint64_t events = totals->events + totals->future;
		events += atomic_fetch_add(&work->done_events, events);
		double done = (double)(atomic_fetch_add(&work->done_shards, 1) + 1) / work->dir->shards;
		if (thread == 0) {
			report_amount(work->report, (double)events / done, "events");
			report_step(work->report, done);
		}
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

/* --- a catalog's events --- */

struct segments {
	const struct scan *scan;
	size_t catalog;
	uint32_t items;
	uint64_t *counts[PARALLEL_SUMS]; /* [items], of each thread */
};

static int count_segment(void *context, uint32_t thread, uint64_t shard, uint64_t end)
{
	struct segments *segments = context;
	const struct scan *scan = segments->scan;
	(void)end;
	if (!segments->counts[thread])
		segments->counts[thread] = calloc((size_t)segments->items + 1, sizeof(uint64_t));
	if (!segments->counts[thread])
		return E_EXHAUSTED;
	const struct pile *pile = &scan->segments[shard * scan->catalogs + segments->catalog].events;
	const struct event *events = pile->region.data;
	for (size_t e = 0; e < pile->used / sizeof *events; e++)
		if (events[e].time_s <= scan->limit_s)
			segments->counts[thread][events[e].item]++;
	return 0;
}

int scan_counts(const struct scan *scan, size_t catalog, uint32_t items, uint32_t threads, uint64_t *counts,
		struct error *err)
{
	struct segments segments = { .scan = scan, .catalog = catalog, .items = items };
	int code = parallel_parts(parallel_sums(threads), scan->shards, 1, count_segment, &segments);
	if (code)
		error_set(err, code, "no memory for %u items", items);
	for (uint32_t t = 0; t < PARALLEL_SUMS; t++) {
		for (uint32_t slot = 0; segments.counts[t] && slot < items; slot++)
			counts[slot] += segments.counts[t][slot];
		free(segments.counts[t]);
	}
	return code;
}

/* Where a shard's part goes. */
struct join_part {
	uint64_t first_event, first_user;
	uint64_t events, users; /* that count */
	uint32_t oldest_s, newest_s;
};

struct join {
	struct scan *scan;
	size_t catalog;
	const uint32_t *row_of;
	struct events *events;
	struct join_part *parts; /* [shards] */
};

static struct scan_segment *segment_of(const struct join *join, uint64_t shard)
{
	return &join->scan->segments[shard * join->scan->catalogs + join->catalog];
}

static int measure_segment(void *context, uint32_t thread, uint64_t shard, uint64_t end)
{
	struct join *join = context;
	(void)thread;
	(void)end;
	const struct scan_segment *segment = segment_of(join, shard);
	const uint32_t *counts = segment->counts.region.data;
	const struct event *event = segment->events.region.data;
	struct join_part part = { .oldest_s = UINT32_MAX };
	for (size_t u = 0; u < segment->counts.used / sizeof *counts; u++) {
		uint64_t before = part.events;
		for (uint32_t e = 0; e < counts[u]; e++, event++) {
			if (event->time_s > join->scan->limit_s)
				continue;
			part.events++;
			part.oldest_s = event->time_s < part.oldest_s ? event->time_s : part.oldest_s;
			part.newest_s = event->time_s > part.newest_s ? event->time_s : part.newest_s;
		}
		part.users += part.events > before;
	}
	join->parts[shard] = part;
	return 0;
}

static int join_segment(void *context, uint32_t thread, uint64_t shard, uint64_t end)
{
	struct join *join = context;
	(void)thread;
	(void)end;
	struct scan_segment *segment = segment_of(join, shard);
	const uint32_t *counts = segment->counts.region.data;
	const struct event *event = segment->events.region.data;
	uint64_t at = join->parts[shard].first_event;
	struct event *all = join->events->all.data;
	uint64_t *offsets = (uint64_t *)join->events->offsets.data + join->parts[shard].first_user;
	for (size_t u = 0; u < segment->counts.used / sizeof *counts; u++) {
		uint64_t before = at;
		for (uint32_t e = 0; e < counts[u]; e++, event++) {
			if (event->time_s > join->scan->limit_s)
				continue;
			all[at] = *event;
			all[at++].item = join->row_of[event->item];
		}
		if (at > before)
			*++offsets = at;
	}
	pile_free(join->scan->space, &segment->events);
	pile_free(join->scan->space, &segment->counts);
	return 0;
}

static int place_parts(struct join *join, struct error *err)
{
	struct events *events = join->events;
	uint64_t users = 0;
	events->oldest_s = UINT32_MAX;
	for (size_t shard = 0; shard < join->scan->shards; shard++) {
		struct join_part *part = &join->parts[shard];
		part->first_event = events->count;
		part->first_user = users;
		events->count += part->events;
		users += part->users;
		events->oldest_s = part->oldest_s < events->oldest_s ? part->oldest_s : events->oldest_s;
		events->newest_s = part->newest_s > events->newest_s ? part->newest_s : events->newest_s;
	}
	if (events->count == 0)
		events->oldest_s = 0;
	if (users >= UINT32_MAX)
		return error_set(err, E_EXHAUSTED, "%llu users: more than this builder can number",
				 (unsigned long long)users);
	events->users = (uint32_t)users;
	int code = region_take(join->scan->space, &events->all, events->count * sizeof(struct event), err);
	return code ? code : region_make(join->scan->space, &events->offsets, (users + 1) * sizeof(uint64_t), err);
}

int scan_join(struct scan *scan, size_t catalog, const uint32_t *row_of, uint32_t threads, struct events *events,
	      struct error *err)
{
	*events = (struct events){ 0 };
	struct join join = { scan, catalog, row_of, events, calloc(scan->shards + 1, sizeof *join.parts) };
	if (!join.parts)
		return error_set(err, E_EXHAUSTED, "no memory to join %zu shards", scan->shards);
	parallel_parts(threads, scan->shards, 1, measure_segment, &join);
	int code = place_parts(&join, err);
	if (!code)
		parallel_parts(threads, scan->shards, 1, join_segment, &join);
	free(join.parts);
	return code;
}

void events_free(struct space *space, struct events *events)
{
	region_free(space, &events->all);
	region_free(space, &events->offsets);
	*events = (struct events){ 0 };
}
