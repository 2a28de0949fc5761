#include "worker/stats.h"
#include "common/event_types.h"
#include "common/log.h"
#include "kindred/internal/link.pb-c.h"
#include "worker/worker.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static uint64_t resident_bytes(void)
{
	unsigned long long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	if (!file)
		return 0;
	if (fscanf(file, "%*u %llu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static bool count_shard(struct worker *worker, uint32_t index, Kindred__Internal__ShardStats *stats)
{
	struct shard_counters counters;
	struct error err;
	struct shard_reader *reader = shards_reader(&worker->shards, index, &err);
	if (!reader || shard_read_counters(reader, &counters, &err)) {
		log_warning("stats: %s", err.text);
		return false;
	}
	kindred__internal__shard_stats__init(stats);
	stats->number = worker->shards.first + index;
	stats->users = counters.users;
	stats->accepted = counters.accepted;
	stats->kept = counters.kept;
	stats->duplicates = counters.duplicates;
	stats->dropped = counters.dropped;
	stats->refused = counters.refused;
	stats->newest_event_ms = counters.newest_event_ms;
	stats->bytes = shard_file_bytes(worker->shards.shard[index]);
	return true;
}

/* In the worker's arena. NULL: no memory. */
static Kindred__Internal__WorkerStats *count(struct worker *worker)
{
	uint32_t shards = worker->shards.count;
	Kindred__Internal__WorkerStats *stats = arena_alloc(&worker->arena, sizeof *stats);
	Kindred__Internal__ShardStats *all = arena_alloc(&worker->arena, shards * sizeof *all);
	Kindred__Internal__ShardStats **list =
		arena_alloc(&worker->arena, shards * sizeof(Kindred__Internal__ShardStats *));
	if (!stats || !all || !list)
		return NULL;
	kindred__internal__worker_stats__init(stats);
	stats->shards = list;
	for (uint32_t i = 0; i < shards; i++)
		if (count_shard(worker, i, &all[i]))
			list[stats->n_shards++] = &all[i];
	stats->generation = worker->generations.active ? worker->generations.active->number : 0;
	stats->recommend_users = worker->recommend_users;
	stats->expired_calls = worker->expired_calls;
	return stats;
}

/* What the shard knows and types has not; what is beyond a shard's own bound is left out. */
static void add_types(struct worker *worker, uint32_t index, struct event_types *types)
{
	struct error err;
	struct shard_reader *reader = shards_reader(&worker->shards, index, &err);
	const char *name;
	for (uint16_t i = 0; reader && (name = shard_read_type_name(reader, i)) != NULL; i++)
		if (event_types_find(types, name, strlen(name)) == EVENT_TYPE_NONE)
			event_types_set(types, types->count, name, strlen(name));
}

static bool send_stats(struct worker *worker, Kindred__Internal__WorkerStats *stats, uint64_t call)
{
	stats->resident_bytes = resident_bytes();
	size_t bytes = kindred__internal__worker_stats__get_packed_size(stats);
	struct blob *out = uplink_begin(&worker->link, FRAME_STATS, call);
	if (!out)
		return true; /* the link has ended */
	if (!blob_reserve(out, bytes)) {
		uplink_cancel(&worker->link);
		return false;
	}
	out->used += kindred__internal__worker_stats__pack(stats, out->data + out->used);
	uplink_end(&worker->link);
	return true;
}

/* Keeps what was sent, but for the memory, which changes by itself. True when it differs from the last time. */
static bool remember(struct worker *worker, const Kindred__Internal__WorkerStats *stats)
{
	struct blob *last = &worker->stats_sent;
	size_t bytes = kindred__internal__worker_stats__get_packed_size(stats);
	uint8_t *now = arena_alloc(&worker->arena, bytes);
	if (!now)
		return false;
	kindred__internal__worker_stats__pack(stats, now);
	if (bytes == last->used && memcmp(now, last->data, bytes) == 0)
		return false;
	last->used = 0;
	if (blob_reserve(last, bytes)) {
		memcpy(last->data, now, bytes);
		last->used = bytes;
	}
	return true;
}

void stats_answer(struct worker *worker, uint64_t call)
{
	Kindred__Internal__WorkerStats *stats = count(worker);
	struct event_types types;
	struct error err;
	event_types_init(&types);
	for (uint32_t i = 0; stats && i < worker->shards.count; i++)
		add_types(worker, i, &types);
	if (stats) {
		stats->n_event_types = types.count;
		stats->event_types = types.names;
	}
	/* every question has its answer: who asked would count us as silent else */
	if (!stats || !send_stats(worker, stats, call)) {
		error_set(&err, E_EXHAUSTED, "no memory for statistics");
		uplink_send(&worker->link, FRAME_STATS, call, &err, NULL, 0);
	}
	event_types_fini(&types);
	arena_reset(&worker->arena);
}

void stats_report(struct worker *worker)
{
	Kindred__Internal__WorkerStats *stats = count(worker);
	if (stats && remember(worker, stats))
		send_stats(worker, stats, 0);
	arena_reset(&worker->arena);
}
