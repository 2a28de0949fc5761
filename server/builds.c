#include "server/builds.h"

#include "common/clock.h"
#include "common/cores.h"
#include "common/log.h"
#include "server/moves.h"
#include "server/server.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TICK_MS 1000
#define DEFINITIONS_REST_MS 3000 /* after the last new definition; several often come together */
#define CALM_PATIENCE_MS 60000
#define QUIET_TICKS 3
#define RETRY_MS INT64_C(30000)
#define RETRY_MAX_MS INT64_C(3600000)
#define LINE_MAX_BYTES 65536
#define NICE 10
#define SERVE_TRIES 5
/* linux/ioprio.h: class idle, for a process */
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_IDLE (3 << 13)

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

static void why_it_ended(struct builds *builds)
{
	if (builds->err.code)
		return; /* it said so itself */
	if (builds->exit_signal)
		error_set(&builds->err, E_ABORTED, "the builder was killed by signal %d (%s)", builds->exit_signal,
			  strsignal(builds->exit_signal));
	else
		error_set(&builds->err, E_INTERNAL,
			  "the builder exited with code %" PRId64 "; its own words are in the log",
			  builds->exit_status);
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

	memcpy(note.worse, builds->worse, sizeof note.worse);
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
		    builds->number, builds->worse, server_active(builds->server), builds->number, builds->number);
	move(builds, BUILDS_IDLE);
}

/* Marked before the state says that the build is over, so that who waits for that sees the mark. */
static void hold_back(struct builds *builds)
{
	write_note(builds, write_mark);
	swap_prune(&builds->server->swap, on_held_back, builds);
}

/* The process is reaped and its output read to the end. */
static void on_over(struct builds *builds)
{
	struct server *server = builds->server;

	if (!builds->process_gone || !builds->output_gone)
		return;
	if (builds->stopping) {
		move(builds, BUILDS_FAILED); /* what it has finished is there after the next start */
		return;
	}
	if (builds->exit_status || builds->exit_signal || !builds->said_done) {
		why_it_ended(builds);
		failed(builds);
		return;
	}
	builds->progress = 1;
	write_note(builds, write_accepted);
	if (builds->request.keep_inactive) {
		builds->failures = 0;
		move(builds, BUILDS_IDLE);
		swap_prune(&server->swap, NULL, NULL); /* the limit on generations kept holds for it too */
		return;
	}
	if (*builds->worse && !builds->request.promote) {
		hold_back(builds);
		return;
	}
	if (*builds->worse)
		log_warning("builds: generation %" PRIu64 " is served, as was asked for, though it is worse: %s",
			    builds->number, builds->worse);
	move(builds, BUILDS_ACTIVATING);
	builds->serve_tries = 0;
	swap_start(&server->swap, builds->number, on_served, builds);
}

static void on_process_closed(uv_handle_t *handle)
{
	struct builds *builds = handle->data;

	builds->process_gone = true;
	on_over(builds);
}

static void on_process_exit(uv_process_t *process, int64_t status, int signal)
{
	struct builds *builds = process->data;

	builds->exit_status = status;
	builds->exit_signal = signal;
	uv_close((uv_handle_t *)process, on_process_closed);
}

static void on_output_closed(uv_handle_t *handle)
{
	struct builds *builds = handle->data;

	builds->output_gone = true;
	on_over(builds);
}

/* --- what it says --- */

static void take_line(struct builds *builds, const char *line, size_t bytes)
{
	json_error_t json_err;
	json_t *json = json_loadb(line, bytes, 0, &json_err);
	const char *text;

	if (!json_is_object(json)) {
		log_warning("builds: the builder said what is no JSON: %.*s", (int)(bytes < 200 ? bytes : 200), line);
		json_decref(json);
		return;
	}
	text = json_string_value(json_object_get(json, "note"));
	if (text)
		snprintf(builds->phase, sizeof builds->phase, "%s", text);
	if (json_is_number(json_object_get(json, "progress")))
		builds->progress = json_number_value(json_object_get(json, "progress"));
	text = json_string_value(json_object_get(json, "error"));
	if (text)
		error_set(&builds->err, E_ABORTED, "%s", text);
	text = json_string_value(json_object_get(json, "worse"));
	if (text)
		snprintf(builds->worse, sizeof builds->worse, "%s", text);
	if (json_is_true(json_object_get(json, "done")))
		builds->said_done = true;
	json_decref(json);
}

static void take_lines(struct builds *builds)
{
	char *from = (char *)builds->line.data, *end = from + builds->line.bytes, *newline;

	while ((newline = memchr(from, '\n', (size_t)(end - from)))) {
		if (newline > from)
			take_line(builds, from, (size_t)(newline - from));
		from = newline + 1;
	}
	builds->line.bytes = (size_t)(end - from);
	memmove(builds->line.data, from, builds->line.bytes);
	if (builds->line.bytes > LINE_MAX_BYTES)
		builds->line.bytes = 0;
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *room)
{
	static char space[4096];

	(void)handle;
	(void)suggested;
	*room = uv_buf_init(space, sizeof space);
}

static void on_output(uv_stream_t *stream, ssize_t nread, const uv_buf_t *room)
{
	struct builds *builds = stream->data;

	if (nread < 0) {
		uv_close((uv_handle_t *)stream, on_output_closed);
		return;
	}
	if (nread > 0 && !buffer_add(&builds->line, room->base, (size_t)nread))
		take_lines(builds);
}

/* --- the start of a build --- */

static int spawn(struct builds *builds)
{
	struct server *server = builds->server;
	char path[DATADIR_PATH_MAX + 32], generation[24], memory[24], threads[24], tune[24], floor[24];
	char *arguments[] = { path,
			      "--data",
			      server->dir.path,
			      "--generation",
			      generation,
			      "--memory-mb",
			      memory,
			      "--threads",
			      threads,
			      "--tune-seconds",
			      tune,
			      NULL,
			      NULL,
			      NULL,
			      NULL,
			      NULL,
			      NULL,
			      NULL };
	char **more = arguments + sizeof arguments / sizeof *arguments - 7;
	uv_stdio_container_t stdio[] = {
		{ .flags = UV_IGNORE },
		{ .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&builds->output },
		{ .flags = UV_INHERIT_FD, .data.fd = 2 },
	};
	uv_process_options_t options = {
		.exit_cb = on_process_exit,
		.file = path,
		.args = arguments,
		.stdio_count = 3,
		.stdio = stdio,
		.flags = UV_PROCESS_DETACHED,
	};
	int rc;

	snprintf(path, sizeof path, "%s/kindred-builder", server->program_directory);
	snprintf(generation, sizeof generation, "%" PRIu64, builds->number);
	snprintf(memory, sizeof memory, "%" PRId64, server->config.build_memory_mb);
	snprintf(threads, sizeof threads, "%" PRId64, server->config.build_threads);
	snprintf(tune, sizeof tune, "%" PRId64,
		 builds->request.tune_seconds ? (int64_t)builds->request.tune_seconds
					      : server->config.build_tune_seconds);
	if (builds->request.refresh)
		*more++ = "--refresh";
	if (builds->request.tune_seconds)
		*more++ = "--tune-whole";
	if (builds->request.objective) {
		*more++ = "--objective";
		*more++ = (char *)builds->request.objective;
	}
	if (builds->request.coverage_floor_permille) {
		snprintf(floor, sizeof floor, "%g", builds->request.coverage_floor_permille / 1000.0);
		*more++ = "--coverage-floor";
		*more++ = floor;
	}
	if (!builds->request.refresh && !strcmp(server->config.gate, "off"))
		*more++ = "--no-gate";
	uv_pipe_init(&server->loop, &builds->output, 0);
	builds->process.data = builds->output.data = builds;
	builds->process_gone = builds->output_gone = builds->said_done = false;
	builds->line.bytes = 0;
	cores_keep(CORES_ALL);
	rc = uv_spawn(&server->loop, &builds->process, &options);
	if (rc)
		return error_set(&builds->err, E_UNAVAILABLE, "cannot start %s: %s", path, uv_strerror(rc));
	/* Threads it makes inherit both. Not being allowed to is no reason not to build. */
	if (setpriority(PRIO_PROCESS, (id_t)builds->process.pid, NICE) ||
	    syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, builds->process.pid, IOPRIO_IDLE))
		log_debug("builds: cannot lower the builder's priority: %s", strerror(errno));
	uv_read_start((uv_stream_t *)&builds->output, on_room, on_output);
	return 0;
}

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
	builds->phase[0] = builds->worse[0] = 0;
	builds->progress = 0;
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
	} else if (spawn(builds)) {
		tell_asker(builds);
		builds->exit_status = builds->err.code;
		uv_close((uv_handle_t *)&builds->process, on_process_closed);
		uv_close((uv_handle_t *)&builds->output, on_output_closed);
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

int64_t builds_next_ms(const struct builds *builds)
{
	int64_t every_ms = builds->server->config.build_every_minutes * 60000, next_ms;

	if (!every_ms)
		return 0;
	next_ms = builds->last_ms ? builds->last_ms + every_ms : clock_wall_ms();
	return builds->failures && builds->retry_ms > next_ms ? builds->retry_ms : next_ms;
}

static bool due(const struct builds *builds)
{
	const struct server *server = builds->server;
	int64_t now_ms = clock_wall_ms();

	if (!server->config.build_every_minutes || (builds->failures && now_ms < builds->retry_ms))
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
	int64_t every_ms = server->config.refresh_every_minutes * 60000, last_ms;

	if (!every_ms || !server->active)
		return false;
	last_ms = builds->refreshed_ms > server->active->create_ms ? builds->refreshed_ms : server->active->create_ms;
	return clock_wall_ms() >= last_ms + every_ms && status_accepted(server) > builds->counted;
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
	if (builds->state == BUILDS_RUNNING && !builds->process_gone && uv_is_active((uv_handle_t *)&builds->process))
		uv_process_kill(&builds->process, SIGKILL);
}

void builds_fini(struct builds *builds)
{
	buffer_fini(&builds->line);
}
