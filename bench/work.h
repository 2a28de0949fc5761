/* What kindred-bench sends, and what it looks for in the answers (bench/answers.h). One thread. */
#ifndef KINDRED_BENCH_WORK_H
#define KINDRED_BENCH_WORK_H

#include "bench/load.h"
#include "bench/users.h"

#include <stdint.h>

enum work_kind { WORK_NONE, WORK_RECOMMEND, WORK_MANY, WORK_AUDIENCE, WORK_INGEST, WORK_INGEST_UNARY, WORK_MIX };
#define WORK_KINDS 7
extern const char *const work_names[WORK_KINDS];
#define WORK_BATCH_MAX 10000

struct work {
	enum work_kind kind;
	struct users users;
	uint64_t items; /* to choose from, i0..iN-1, evenly */
	uint64_t batch; /* users or events a message of a stream */
	unsigned count; /* items a recommendation */
	const char *definition, *catalog;
	int64_t event_time_ms; /* of the first event (work_event_time_ms); a part of all ids */
	double ingest_share; /* WORK_MIX: of the calls; the others are Recommend */
};

/* Whether it goes over streams. */
static inline int work_streams(enum work_kind kind)
{
	return kind == WORK_MANY || kind == WORK_AUDIENCE || kind == WORK_INGEST;
}
/*
 * Of event `number` of all: each is a millisecond after the last, but none later than now, as of real events; those of
 * a long or fast load, which goes through a day in ten minutes, are of when they are sent. Its id makes an event
 * distinct, not its time.
 */
static inline int64_t work_event_time_ms(const struct work *work, uint64_t number, int64_t now_ms)
{
	int64_t ahead_ms = now_ms - work->event_time_ms;
	return ahead_ms > 0 && number < (uint64_t)ahead_ms ? work->event_time_ms + (int64_t)number : now_ms;
}
/* "users", "events" or "calls" */
const char *work_unit(enum work_kind kind);
/* For load_run; it points to the work. */
struct load_work work_load(struct work *work);

#endif
