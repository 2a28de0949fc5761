/*
 * Reading the histories: all shards, by several threads, each shard in short read transactions, so that
 * no long reader holds back the reuse of pages. Events whose type no relation uses are passed over;
 * events of items that are in none of the catalogs are counted.
 *
 * Call order: scan_run -> { scan_counts -> items_order -> scan_join } for each catalog -> scan_free; events_free.
 * The order of users is that of the shards and of their keys, whoever read them.
 */
#ifndef KINDRED_BUILDER_SCAN_H
#define KINDRED_BUILDER_SCAN_H

#include "builder/items.h"
#include "builder/plan.h"
#include "builder/report.h"
#include "builder/space.h"
#include "common/datadir.h"

#include <string.h>

/* Times are whole seconds since 1970, cut off at 2106. */
struct event {
	uint32_t item; /* slot, after scan_join row */
	uint32_t time_s;
	uint16_t type; /* number in the plan's catalog */
	uint16_t weight; /* its own: event_weight() */
};

/*
 * The upper half of a float: all of its range, and two to three digits, which is as much as a weight means. 0, of an
 * event that has none, stands for 1; what would be rounded to it is the least there is.
 */
static inline uint16_t event_weight_pack(float weight)
{
	uint32_t bits;
	memcpy(&bits, &weight, sizeof bits);
	uint16_t half = (uint16_t)((bits + 0x8000) >> 16);
	return half ? half : 1;
}
static inline float event_weight(const struct event *event)
{
	uint32_t bits = (uint32_t)event->weight << 16;
	float weight;
	memcpy(&weight, &bits, sizeof weight);
	return event->weight ? weight : 1;
}

/* The events of a catalog: users one after the other, oldest event of a user first. */
struct events {
	struct region all; /* struct event[count] */
	struct region offsets; /* uint64_t[users + 1] */
	uint64_t count;
	uint32_t users; /* with at least one */
	uint32_t oldest_s, newest_s; /* 0 when there are none */
};

struct scan_segment;

struct scan {
	struct space *space;
	size_t catalogs, shards;
	struct scan_segment *segments; /* [shards x catalogs] */
	uint32_t limit_s; /* events after it are not counted: see future */
	uint64_t events; /* found, of all catalogs, the future ones not among them */
	uint64_t users; /* with such events */
	uint64_t unknown; /* events of items that are in no catalog of the plan */
	/* events more than a day ahead of now_ms. When most are, it is the clock that is wrong, and they count. */
	uint64_t future;
	/* histories that cannot be read; passed over and logged, so that they do not stop all builds for ever */
	uint64_t damaged;
	int64_t newest_ms; /* of the events that count; INT64_MIN: none */
};

/* items: [plan->catalog_count]. scan is to be freed after an error too. */
int scan_run(struct scan *scan, struct space *space, const struct datadir *dir, const struct plan *plan,
	     const struct items *items, uint32_t threads, int64_t now_ms, struct report *report, struct error *err);
void scan_free(struct scan *scan);

/* Adds to counts[slot] (of items) the events of each item. */
int scan_counts(const struct scan *scan, size_t catalog, uint32_t items, uint32_t threads, uint64_t *counts,
		struct error *err);
/* Joins the shards' parts, items by row_of[slot]; the parts are freed on the way. */
int scan_join(struct scan *scan, size_t catalog, const uint32_t *row_of, uint32_t threads, struct events *events,
	      struct error *err);
void events_free(struct space *space, struct events *events);

static inline const struct event *events_all(const struct events *events)
{
	return events->all.data;
}
static inline const uint64_t *events_offsets(const struct events *events)
{
	return events->offsets.data;
}

#endif
