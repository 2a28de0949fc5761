/*
 * What the server counts about itself, and knows of each worker: one table each, from which the fields,
 * /metrics and the reference come. To add a counter, add a line. Counters rise from the start of the
 * process; gauges are filled by status_gauges() before they are read. Loop thread.
 */
#ifndef KINDRED_SERVER_STATS_H
#define KINDRED_SERVER_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* COUNTER(name, unit, prose)   GAUGE(name, unit, prose) */
#define STATS_TABLE(COUNTER, GAUGE)                                                                                    \
	COUNTER(calls, "calls", "gRPC calls taken, of any method")                                                     \
	COUNTER(failed_calls, "calls", "Calls that ended with another status than OK")                                 \
	COUNTER(refused_calls, "calls", "Of those, refused with RESOURCE_EXHAUSTED")                                   \
	COUNTER(cancelled_calls, "calls", "Of those, cancelled by the client or past their deadline")                  \
	COUNTER(recommend_calls, "calls", "Recommend calls, RecommendMany streams and RecommendAudience calls taken")  \
	COUNTER(recommend_users, "users", "Users answered, one by one, in streams and in audiences")                   \
	COUNTER(recommend_failed_users, "users",                                                                       \
		"Users asked about who were refused or got an error, or whose call or stream ended before their "      \
		"answer")                                                                                              \
	COUNTER(ingest_batches, "batches", "Batches of events taken")                                                  \
	COUNTER(ingest_events, "events", "Events in them")                                                             \
	COUNTER(import_items, "items", "Catalog items taken by ImportItems")                                           \
	COUNTER(worker_restarts, "processes", "Workers started again after a death")                                   \
	COUNTER(front_end_restarts, "processes", "Further front-ends started again after a death")                     \
	COUNTER(builds, "builds", "Builds begun")                                                                      \
	COUNTER(refreshes, "refreshes", "Refreshes begun")                                                             \
	COUNTER(failed_builds, "builds", "Builds and refreshes that failed")                                           \
	COUNTER(held_back_builds, "builds",                                                                            \
		"Builds whose generation was held back, because it is worse than the active one")                      \
	COUNTER(swaps, "swaps", "Generations activated, rollbacks among them")                                         \
	GAUGE(calls_in_flight, "calls", "Calls in work now")                                                           \
	GAUGE(calls_limit, "calls",                                                                                    \
	      "Calls in work beyond which RESOURCE_EXHAUSTED is answered, of all front-ends together")                 \
	GAUGE(front_ends, "processes", "Front-end processes there should be, the server among them")                   \
	GAUGE(front_ends_up, "processes", "Front-end processes that take calls")                                       \
	GAUGE(workers, "processes", "Worker processes there should be")                                                \
	GAUGE(workers_up, "processes", "Worker processes that serve")                                                  \
	GAUGE(active_generation, "number", "The model generation being served; 0: none")                               \
	GAUGE(held_back_generation, "number",                                                                          \
	      "The newest generation, when it is held back because it is worse than the active one; 0: it is not")     \
	GAUGE(build_running, "boolean", "1 while a build runs")                                                        \
	GAUGE(events_since_build, "events", "Events accepted since the active generation's build began")               \
	GAUGE(users, "users", "Users with a history")                                                                  \
	GAUGE(events_accepted, "events", "Events ever accepted, each once")                                            \
	GAUGE(events_kept, "events", "Events in histories")                                                            \
	GAUGE(events_duplicate, "events", "Events sent again and recognised")                                          \
	GAUGE(events_dropped, "events", "Events older than what is kept")                                              \
	GAUGE(events_refused, "events", "Events that were not valid")                                                  \
	GAUGE(shard_bytes, "bytes", "Size of the shards' files")                                                       \
	GAUGE(disk_free_bytes, "bytes",                                                                                \
	      "Free on the file system that holds the data directory, without what is kept for root")                  \
	GAUGE(disk_bytes, "bytes", "Size of that file system; 0: not known")                                           \
	GAUGE(worker_resident_bytes, "bytes", "Resident memory of all workers")

struct stats {
#define STATS_FIELD(name, unit, prose) uint64_t name;
	STATS_TABLE(STATS_FIELD, STATS_FIELD)
#undef STATS_FIELD
};

/* GAUGE(name, unit, prose): of one worker, which is a label. */
#define STATS_WORKER_TABLE(GAUGE)                                                                                      \
	GAUGE(worker_up, "boolean", "1 while the worker serves")                                                       \
	GAUGE(worker_silent_seconds, "seconds", "How long the worker has not answered; 0: it answers")                 \
	GAUGE(worker_calls_in_flight, "calls", "Calls the worker has not answered")

struct stats_worker {
#define STATS_FIELD(name, unit, prose) double name;
	STATS_WORKER_TABLE(STATS_FIELD)
#undef STATS_FIELD
};

/*
 * What was counted by another process since the last time: the counters in the order of the table
 * (stats_take gives them).
 */
void stats_add(struct stats *stats, const uint64_t *counted, size_t count);
/*
 * Moves the counters to counted, which has room for STATS_COUNTERS_MAX, and sets them to 0. Returns how
 * many there are.
 */
size_t stats_take(struct stats *stats, uint64_t *counted);
#define STATS_COUNTERS_MAX (sizeof(struct stats) / sizeof(uint64_t))

/* Whether any counter is not 0. */
bool stats_counted(const struct stats *stats);
/* A call ended: 0, or why it failed. */
void stats_ended(struct stats *stats, int code);

/* Rates over the last ten seconds: give it the counters once a second. */
#define STATS_SECONDS 10
struct stats_rates {
	uint64_t recommend[STATS_SECONDS + 1], ingest[STATS_SECONDS + 1];
	unsigned samples; /* taken so far */
};

void stats_sample(struct stats_rates *rates, const struct stats *stats);
double stats_recommend_rate(const struct stats_rates *rates);
double stats_ingest_rate(const struct stats_rates *rates);

/* Prometheus' text format: "kindred_<name>_total" for counters, "kindred_<name>" for gauges. */
void stats_metrics(const struct stats *stats, FILE *out);
/* The same of the workers, the first is worker 0: "kindred_<name>{worker="0"}". */
void stats_workers_metrics(const struct stats_worker *workers, size_t count, FILE *out);
/* Both tables in Markdown. */
void stats_reference(FILE *out);

#endif
