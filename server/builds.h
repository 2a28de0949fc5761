/*
 * Builds: starts the builder, one at a time and at low priority, follows what it says, and has the swap serve
 * what it made.
 *
 *     IDLE -> STARTING (exact counts are asked for) -> RUNNING -> ACTIVATING -> IDLE, or FAILED
 *
 * What the builder's gate found worse than what is served is not activated but held back (server/kept.h),
 * unless the request says otherwise. The old generation goes on serving, and the schedule goes on.
 *
 * On its own it builds when build_every_minutes have passed since the last build and build_min_events
 * new events came, and a few seconds after a definition came that the active generation has no relation
 * for; not in the middle of an import, though. After a failure it waits longer each time. When
 * refresh_every_minutes have passed without either, and events came, it refreshes: the same, but the
 * builder learns nothing. A builder may be killed at any moment: nothing it has written is read before
 * it says that it is done. Loop thread.
 */
#ifndef KINDRED_SERVER_BUILDS_H
#define KINDRED_SERVER_BUILDS_H

#include "common/error.h"
#include "kindred/v1/models.pb-c.h"
#include "server/builder_process.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct server;

enum builds_state { BUILDS_IDLE, BUILDS_STARTING, BUILDS_RUNNING, BUILDS_ACTIVATING, BUILDS_FAILED };

struct builds_request {
	bool keep_inactive; /* do not serve it */
	bool refresh; /* learn nothing (builder/refresh.h) */
	bool promote; /* serve it, even when it is worse */
	bool no_reuse; /* learn also what did not change (builder/reuse.h) */
	uint32_t tune_seconds; /* a whole search; 0: as configured */
	const char *objective; /* "ndcg", "hit_rate", static; NULL: as before */
	uint32_t coverage_floor_permille; /* 0: as before */
};

struct builds {
	struct server *server;
	enum builds_state state;
	uint64_t number; /* being built, or built last; 0: none since the start */
	uint64_t accepted; /* events that had ever been accepted when it began */
	struct builds_request request;
	uint64_t replaces; /* of a refresh that is being served: the refresh whose place it takes; 0: none */
	int64_t refreshed_ms; /* wall time of the last refresh's start; 0: none since the start */
	uint64_t counted; /* events accepted when the last build or refresh began */
	struct error err; /* of the last build */
	int64_t last_ms; /* wall time of the last build's start; 0: never */
	int64_t retry_ms; /* wall time before which the schedule does not try again */
	unsigned failures; /* in a row */
	unsigned serve_tries;
	bool definitions_changed;
	uint64_t definitions_changed_ms; /* loop time */
	uint64_t ingested; /* server->stats.ingest_events at the last tick */
	unsigned quiet_ticks; /* in a row without events */
	uint64_t due_ms; /* loop time since when one is due; 0: none is */
	uv_timer_t timer;
	struct builder_process builder; /* the one running, or what the last one said */
	bool stopping;
	/* who asked for it, while STARTING */
	void (*started)(void *context, uint64_t number, const struct error *err);
	void *context;
};

int builds_init(struct builds *builds, struct server *server, struct error *err);
void builds_fini(struct builds *builds);
/* The schedule begins. */
void builds_open(struct builds *builds);
/* No more builds; one that runs is killed. */
void builds_stop(struct builds *builds);
/* A definition was made or changed. */
void builds_definitions_changed(struct builds *builds);
/*
 * Builds or refreshes now. started: once, later: with the number, or with why not. E_EXISTS: one runs already.
 * E_PRECONDITION: a refresh, and no generation is active.
 */
int builds_start(struct builds *builds, const struct builds_request *request,
		 void (*started)(void *context, uint64_t number, const struct error *err), void *context,
		 struct error *err);
bool builds_running(const struct builds *builds);
/*
 * The generation being made that may have learnt from a user who is deleted now: a build from when it
 * reads the histories, a refresh, which copies what was learnt, from when it is asked for. 0: none.
 */
uint64_t builds_learning(const struct builds *builds);
/* 0: the schedule is off. */
int64_t builds_next_ms(const struct builds *builds);
Kindred__V1__BuildState builds_api_state(const struct builds *builds);

#endif
