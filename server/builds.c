#include "server/builds.h"

#include "common/clock.h"
#include "common/log.h"
#include "server/moves.h"
#include "server/server.h"

#include <inttypes.h>
#include <string.h>

#define TICK_MS 1000
#define DEFINITIONS_REST_MS 3000 /* after the last new definition; several often come together */
#define CALM_PATIENCE_MS 60000
#define QUIET_TICKS 3
#define RETRY_MS INT64_C(30000)
#define RETRY_MAX_MS INT64_C(3600000)
#define SERVE_TRIES 5

static const unsigned moves[] = {
	[BUILDS_IDLE] = 1u << BUILDS_STARTING,
	[BUILDS_STARTING] = 1u << BUILDS_RUNNING | 1u << BUILDS_FAILED,
	[BUILDS_RUNNING] = 1u << BUILDS_ACTIVATING | 1u << BUILDS_IDLE | 1u << BUILDS_FAILED,
	[BUILDS_ACTIVATING] = 1u << BUILDS_IDLE | 1u << BUILDS_FAILED,
	[BUILDS_FAILED] = 1u << BUILDS_STARTING,
};
static const char *const state_names[] = { "idle", "starting", "running", "activating", "failed" };

static void move(struct builds *builds, enum builds_state to)
{
	moves_check(moves, state_names, builds->state, to);
	log_debug("builds: %s -> %s", state_names[builds->state], state_names[to]);
	builds->state = to;
}

bool builds_running(const struct builds *builds)
{
	return builds->state == BUILDS_STARTING || builds->state == BUILDS_RUNNING ||
	       builds->state == BUILDS_ACTIVATING;
}

Kindred__V1__BuildState builds_api_state(const struct builds *builds)
{
	switch (builds->state) {
	case BUILDS_IDLE:
		return KINDRED__V1__BUILD_STATE__BUILD_STATE_IDLE;
	case BUILDS_STARTING:
	case BUILDS_RUNNING:
		return KINDRED__V1__BUILD_STATE__BUILD_STATE_RUNNING;
	case BUILDS_ACTIVATING:
		return KINDRED__V1__BUILD_STATE__BUILD_STATE_ACTIVATING;
	case BUILDS_FAILED:
		return KINDRED__V1__BUILD_STATE__BUILD_STATE_FAILED;
	}
	return KINDRED__V1__BUILD_STATE__BUILD_STATE_UNSPECIFIED;
}

/* A number once given is not given again: a generation that failed may have been named in a log or an answer. */
static uint64_t next_number(const struct builds *builds)
{
	uint64_t highest = kept_newest(&builds->server->kept);

	return (builds->number > highest ? builds->number : highest) + 1;
}

uint64_t builds_learning(const struct builds *builds)
{
	if (builds->state == BUILDS_STARTING)
		return builds->request.refresh ? next_number(builds) : 0;
	return builds_running(builds) ? builds->number : 0;
}

/* --- the end of a build --- */

static void failed(struct builds *builds)
{
	int64_t wait = builds->failures > 7 ? RETRY_MAX_MS : RETRY_MS << builds->failures;

	if (!builds->request.refresh) { /* a build is not to wait for what only a refresh cannot do */
		builds->failures++;
		builds->definitions_changed = true; /* one that this build was for still waits */
		builds->retry_ms = clock_wall_ms() + (wait < RETRY_MAX_MS ? wait : RETRY_MAX_MS);
	}
	builds->server->stats.failed_builds++;
	log_error("builds: generation %" PRIu64 ": %s", builds->number, builds->err.text);
	move(builds, BUILDS_FAILED);
}

static void on_served(void *context, int code, const struct error *err)
{
	struct builds *builds = context;

	/* Every worker died under the swap: the generation is good all the same. */
	if (code == E_UNAVAILABLE && !builds->stopping && builds->serve_tries++ < SERVE_TRIES) {
		swap_start(&builds->server->swap, builds->number, on_served, builds);
		return;
	}
	if (code) {
		builds->err = *err;
		failed(builds);
		return;
	}
	builds->failures = 0;
	move(builds, BUILDS_IDLE);
}

/* What a job writes beside a generation: handed over, since another build may have begun when its turn comes. */
struct note {
	uint64_t number, accepted;
	char worse[HELD_WHY_MAX];
};

static int write_accepted(struct job *job)
{
	const struct note *note = (const void *)job->bytes;

	return generation_accepted_write(job->server->models_directory, note->number, note->accepted, &job->err);
}

static int write_mark(struct job *job)
{
	const struct note *note = (const void *)job->bytes;

	return generation_held_write(job->server->models_directory, note->number, note->worse, &job->err);
}

static void on_note_written(struct job *job)
{
	if (job->code)
		log_warning("builds: %s", job->err.text);
	job_free(job);
}

/* On the lane that the swap, and a pruning, read it back on, before. */
static void write_note(const struct builds *builds, int (*work)(struct job *job))
{
	struct note note = { .number = builds->number, .accepted = builds->accepted };
	struct job *job;

	memcpy(note.worse, builds->builder.worse, sizeof note.worse);
	job = job_new(builds->server, NULL, NULL, (const uint8_t *)&note, sizeof note, work, on_note_written);
	if (job)
		lane_run(&builds->server->model_lane, job);
	else
		log_warning("builds: generation %" PRIu64 ": out of memory for a note beside it", builds->number);
}

static void on_held_back(void *context, int code, const struct error *err)
{
	struct builds *builds = context;

	(void)code; /* of the pruning; it is in the log */
	(void)err;
	builds->failures = 0;
	builds->server->stats.held_back_builds++;
	log_warning("builds: generation %" PRIu64 " is held back, it is worse: %s. Generation %" PRIu64
		    " goes on serving. See `kindred model show %" PRIu64 "`; `kindred model activate %" PRIu64
		    "` serves it all the same",
		    builds->number, builds->builder.worse, server_active(builds->server), builds->number,
		    builds->number);
	move(builds, BUILDS_IDLE);
}

/* Marked before the state says that the build is over, so that who waits for that sees the mark. */
static void hold_back(struct builds *builds)
{
	write_note(builds, write_mark);
	swap_prune(&builds->server->swap, on_held_back, builds);
}

static void on_over(void *context)
{
	struct builds *builds = context;
	struct server *server = builds->server;

	if (builds->stopping) { /* what it has finished is there after the next start */
		error_set(&builds->err, E_UNAVAILABLE, "the server is stopping");
		move(builds, BUILDS_FAILED);
		return;
	}
	if (builder_process_failed(&builds->builder, &builds->err)) {
		failed(builds);
		return;
	}
	builds->builder.progress = 1;
	write_note(builds, write_accepted);
	if (builds->request.keep_inactive) {
		builds->failures = 0;
		move(builds, BUILDS_IDLE);
		swap_prune(&server->swap, NULL, NULL); /* the limit on generations kept holds for it too */
		return;
	}
	if (*builds->builder.worse && !builds->request.promote) {
		hold_back(builds);
		return;
	}
	if (*builds->builder.worse)
		log_warning("builds: generation %" PRIu64 " is served, as was asked for, though it is worse: %s",
			    builds->number, builds->builder.worse);
	move(builds, BUILDS_ACTIVATING);
	builds->serve_tries = 0;
	swap_start(&server->swap, builds->number, on_served, builds);
}

/* --- the start of a build --- */

static void tell_asker(struct builds *builds)
{
	void (*started)(void *context, uint64_t number, const struct error *err) = builds->started;

	builds->started = NULL;
	if (started)
		started(builds->context, builds->number, &builds->err);
}

/* With the counts exact: events accepted from now on are new to the generation after this one. */
static void begin(void *context)
{
	struct builds *builds = context;
	struct server *server = builds->server;

	builds->number = next_number(builds);
	builds->err = (struct error){ 0 };
	builds->counted = status_accepted(server);
	if (builds->request.refresh) {
		builds->refreshed_ms = clock_wall_ms();
		/* as new to its neighbours as before */
		builds->accepted = server->active ? server->active->accepted : 0;
		builds->replaces = server->active && server->active->refreshed ? server->active->number : 0;
		server->stats.refreshes++;
	} else {
		builds->last_ms = clock_wall_ms();
		builds->definitions_changed = false;
		builds->accepted = builds->counted;
		builds->replaces = 0;
		server->stats.builds++;
	}
	move(builds, BUILDS_RUNNING);
	if (builds->stopping) {
		error_set(&builds->err, E_UNAVAILABLE, "the server is stopping");
		tell_asker(builds);
		move(builds, BUILDS_FAILED);
	} else if (builder_process_start(&builds->builder, server, builds->number, &builds->request, on_over, builds,
					 &builds->err)) {
		tell_asker(builds);
	} else {
		log_info("builds: generation %" PRIu64 " begun", builds->number);
		tell_asker(builds);
	}
}

int builds_start(struct builds *builds, const struct builds_request *request,
		 void (*started)(void *context, uint64_t number, const struct error *err), void *context,
		 struct error *err)
{
	if (builds->stopping)
		return error_set(err, E_UNAVAILABLE, "the server is stopping");
	if (builds_running(builds))
		return error_set(err, E_EXISTS, "a build runs already; `kindred model status` shows how far it is");
	if (request->refresh && !builds->server->active)
		return error_set(err, E_PRECONDITION, "no model yet, so nothing to refresh: `kindred model build`");
	if (builds->server->registry.definitions.count == 0)
		return error_set(err, E_PRECONDITION, "no definitions, so nothing to learn: `kindred define`");
	move(builds, BUILDS_STARTING);
	builds->request = *request;
	builds->started = started;
	builds->context = context;
	status_ask_all(builds->server, begin, builds);
	return 0;
}

/* --- the schedule --- */

void builds_definitions_changed(struct builds *builds)
{
	builds->definitions_changed = true;
	builds->definitions_changed_ms = uv_now(&builds->server->loop);
}

static bool definition_waits(const struct builds *builds)
{
	struct server *server = builds->server;

	return builds->definitions_changed &&
	       uv_now(&server->loop) - builds->definitions_changed_ms >= DEFINITIONS_REST_MS &&
	       status_accepted(server) > 0 && registry_lacks(&server->registry, generation_has, server->active);
}

/* A clock that was ahead has been set right: what was noted by it, perhaps years from now, is not waited for. */
static int64_t not_ahead(int64_t time_ms, int64_t latest_ms)
{
	return time_ms <= latest_ms ? time_ms : 0;
}

/* 0: no build has failed. */
static int64_t retry_ms(const struct builds *builds, int64_t now_ms)
{
	return builds->failures ? not_ahead(builds->retry_ms, now_ms + RETRY_MAX_MS) : 0;
}

int64_t builds_next_ms(const struct builds *builds)
{
	int64_t every_ms = builds->server->config.build_every_minutes * 60000, now_ms = clock_wall_ms();
	int64_t last_ms = not_ahead(builds->last_ms, now_ms), again_ms = retry_ms(builds, now_ms), next_ms;

	if (!every_ms)
		return 0;
	next_ms = last_ms ? last_ms + every_ms : now_ms;
	return again_ms > next_ms ? again_ms : next_ms;
}

static bool due(const struct builds *builds)
{
	const struct server *server = builds->server;
	int64_t now_ms = clock_wall_ms();

	if (!server->config.build_every_minutes || now_ms < retry_ms(builds, now_ms))
		return false;
	if (!server->registry.definitions.count)
		return false; /* there would be nothing to learn for */
	if (definition_waits(builds))
		return true;
	return now_ms >= builds_next_ms(builds) &&
	       status_events_unseen(server) >= (uint64_t)server->config.build_min_events;
}

static bool refresh_due(const struct builds *builds)
{
	const struct server *server = builds->server;
	int64_t every_ms = server->config.refresh_every_minutes * 60000, now_ms = clock_wall_ms(), last_ms, built_ms;

	if (!every_ms || !server->active)
		return false;
	last_ms = not_ahead(builds->refreshed_ms, now_ms);
	built_ms = not_ahead(server->active->create_ms, now_ms);
	return now_ms >= (last_ms > built_ms ? last_ms : built_ms) + every_ms &&
	       status_accepted(server) > builds->counted;
}

/*
 * Not in the middle of an import: a model of the first part of it would be all there is until the next one is
 * due. Where events never stop coming, a build waits for a minute in vain and then begins.
 */
static bool calm(struct builds *builds)
{
	uint64_t now_ms = uv_now(&builds->server->loop);

	if (!builds->due_ms)
		builds->due_ms = now_ms;
	return builds->quiet_ticks >= QUIET_TICKS || now_ms - builds->due_ms >= CALM_PATIENCE_MS;
}

static void on_tick(uv_timer_t *timer)
{
	static const struct builds_request as_configured = { 0 }, refresh = { .refresh = true };
	struct builds *builds = timer->data;
	struct server *server = builds->server;
	uint64_t ingested = server->stats.ingest_events;

	builds->quiet_ticks = ingested == builds->ingested ? builds->quiet_ticks + 1 : 0;
	builds->ingested = ingested;
	if (server->state != SERVER_SERVING || builds_running(builds) || swap_running(&server->swap)) {
		builds->due_ms = 0;
	} else if (due(builds)) {
		if (calm(builds))
			builds_start(builds, &as_configured, NULL, NULL, NULL);
	} else {
		builds->due_ms = 0;
		if (refresh_due(builds))
			builds_start(builds, &refresh, NULL, NULL, NULL);
	}
}

int builds_init(struct builds *builds, struct server *server, struct error *err)
{
	*builds = (struct builds){ .server = server };
	if (uv_timer_init(&server->loop, &builds->timer))
		return error_set(err, E_INTERNAL, "builds: no timer");
	builds->timer.data = builds;
	return 0;
}

void builds_open(struct builds *builds)
{
	struct server *server = builds->server;

	if (server->active)
		builds->last_ms = server->active->create_ms;
	builds_definitions_changed(builds); /* one may have come just before the last stop */
	uv_timer_start(&builds->timer, on_tick, TICK_MS, TICK_MS);
}

void builds_stop(struct builds *builds)
{
	builds->stopping = true;
	uv_timer_stop(&builds->timer);
	if (builds->state == BUILDS_RUNNING)
		builder_process_kill(&builds->builder);
}

void builds_fini(struct builds *builds)
{
	builder_process_fini(&builds->builder);
}
