#include "server/supervisor.h"

#include "common/clock.h"
#include "common/cores.h"
#include "common/ids.h"
#include "common/log.h"
#include "common/model.h"
#include "kindred/internal/link.pb-c.h"
#include "server/align.h"
#include "server/moves.h"
#include "server/server.h"
#include "server/worker_socket.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUICK_MS 5000 /* a death sooner after the start than this counts as one more in a row */
#define BACKOFF_MS 100
#define BACKOFF_MAX_MS 10000 /* of one that does not come up */
#define BACKOFF_UP_MAX_MS 400 /* of one that did: its users are to have it back within a second */
#define FIRST_TRIES 3
#define START_LATE_MS 10000 /* opening shards takes milliseconds */

/* Allowed moves, as bits by target. */
static const unsigned moves[] = {
	[WORKER_DOWN] = 1u << WORKER_STARTING,
	[WORKER_STARTING] = 1u << WORKER_LOADING | 1u << WORKER_LEAVING | 1u << WORKER_DOWN,
	[WORKER_LOADING] = 1u << WORKER_UP | 1u << WORKER_LEAVING | 1u << WORKER_DOWN,
	[WORKER_UP] = 1u << WORKER_LEAVING | 1u << WORKER_DOWN,
	[WORKER_LEAVING] = 1u << WORKER_DOWN,
};
static const char *const state_names[] = { "down", "starting", "loading", "up", "leaving" };

static void worker_start(struct worker *worker);

static void move(struct worker *worker, enum worker_state to)
{
	moves_check(moves, state_names, worker->state, to);
	log_debug("supervisor: worker %u %s -> %s", worker->number, state_names[worker->state], state_names[to]);
	worker->state = to;
}

/* --- the end of a worker --- */

static uint64_t backoff_ms(const struct worker *worker)
{
	unsigned doublings = worker->quick_deaths > 1 ? worker->quick_deaths - 2 : 0;
	uint64_t most = worker->was_up ? BACKOFF_UP_MAX_MS : BACKOFF_MAX_MS;
	uint64_t wait = doublings > 7 ? most : (uint64_t)BACKOFF_MS << doublings;

	if (worker->quick_deaths < 2)
		return 0;
	return wait < most ? wait : most;
}

static void check_all_left(struct supervisor *supervisor)
{
	for (uint32_t i = 0; i < supervisor->count; i++)
		if (supervisor->workers[i].state != WORKER_DOWN)
			return;
	if (supervisor->draining && !supervisor->announced) {
		supervisor->announced = true;
		server_workers_left(supervisor->server);
	}
}

static void on_restart(uv_timer_t *timer)
{
	worker_start(timer->data);
}

/* Its process is reaped and its link closed: nobody holds its shards any more. */
static void on_gone(struct worker *worker)
{
	struct server *server = worker->server;
	uint64_t lived = uv_now(&server->loop) - worker->started_ms;
	struct error err;

	if (!worker->process_gone || !worker->link_gone)
		return;
	move(worker, WORKER_DOWN);
	uv_timer_stop(&worker->timer);
	if (server->supervisor.draining) {
		check_all_left(&server->supervisor);
		return;
	}
	worker->quick_deaths = lived < QUICK_MS ? worker->quick_deaths + 1 : 0;
	if (!worker->ever_up && worker->quick_deaths >= FIRST_TRIES) {
		error_set(&err, E_UNAVAILABLE, "worker %u (shards %u-%u) could not be started; its own words are above",
			  worker->number, worker->first_shard, worker->first_shard + worker->shard_count - 1);
		server_fatal(server, &err);
		return;
	}
	worker->restarts++;
	server->stats.worker_restarts++;
	uv_timer_start(&worker->timer, on_restart, backoff_ms(worker), 0);
}

static void on_process_closed(uv_handle_t *handle)
{
	struct worker *worker = handle->data;

	worker->process_gone = true;
	on_gone(worker);
}

static void on_process_exit(uv_process_t *process, int64_t status, int signal)
{
	struct worker *worker = process->data;

	if (worker->server->supervisor.draining && !status && !signal)
		log_debug("supervisor: worker %u left", worker->number);
	else if (signal)
		log_warning("supervisor: worker %u (pid %d) was killed by signal %d (%s)", worker->number, worker->pid,
			    signal, strsignal(signal));
	else
		log_warning("supervisor: worker %u (pid %d) exited with code %" PRId64, worker->number, worker->pid,
			    status);
	worker->pid = 0;
	/* What it wrote before its death is still in the link, and read until its end. */
	uv_close((uv_handle_t *)process, on_process_closed);
}

static void on_link_closed(struct link *link)
{
	struct worker *worker = link->owner;

	worker->link_gone = true;
	on_gone(worker);
}

static void on_link_broken(struct link *link, const char *why)
{
	struct worker *worker = link->owner;

	if (worker->state != WORKER_LEAVING) {
		log_warning("supervisor: lost worker %u: %s", worker->number, why);
		move(worker, WORKER_LEAVING);
	}
	worker->has_model = worker->aligning = false;
	worker->generation = 0;
	/*
	 * While draining it has said what it had to, and is flushing; otherwise it must be gone before it can
	 * be started anew.
	 */
	if (worker->pid && !worker->server->supervisor.draining)
		uv_process_kill(&worker->process, SIGKILL);
	link_close(link);
}

/* --- it serves --- */

void worker_up(struct worker *worker)
{
	struct server *server = worker->server;

	worker->aligning = false;
	worker->align_tries = 0;
	if (worker->state != WORKER_LOADING)
		return;
	move(worker, WORKER_UP);
	log_info("supervisor: worker %u up (pid %d, shards %u-%u, generation %" PRIu64 ") in %" PRIu64 " ms",
		 worker->number, worker->pid, worker->first_shard, worker->first_shard + worker->shard_count - 1,
		 worker->generation, uv_now(&server->loop) - worker->started_ms);
	worker->was_up = worker->ever_up = true;
	if (worker->listen_fd >= 0)
		link_send_message(&worker->link, FRAME_ADMIT, NULL);
	if (supervisor_up(&server->supervisor) == server->supervisor.count)
		server_workers_up(server);
}

void supervisor_align(struct supervisor *supervisor)
{
	for (uint32_t i = 0; i < supervisor->count; i++) {
		struct worker *worker = &supervisor->workers[i];

		if (worker->state == WORKER_UP && !worker->aligning)
			align_worker(worker);
	}
}

/* --- the start of a worker --- */

static bool on_frame(struct link *link, const struct frame_head *head, const uint8_t *data)
{
	struct worker *worker = link->owner;

	if (head->kind == FRAME_STATS) {
		status_update(worker, data, head->bytes);
	} else if (head->kind == FRAME_READY && worker->state == WORKER_STARTING) {
		uv_timer_stop(&worker->timer);
		move(worker, WORKER_LOADING);
		align_worker(worker);
	}
	return head->kind == FRAME_STATS || head->kind == FRAME_READY || head->kind == FRAME_DRAINED;
}

static uint32_t durability_number(const char *name)
{
	return !strcmp(name, "nosync") ? 2 : !strcmp(name, "nometasync") ? 1 : 0;
}

static void send_setup(struct worker *worker)
{
	struct server *server = worker->server;
	Kindred__Internal__Setup setup = KINDRED__INTERNAL__SETUP__INIT;

	setup.link_version = LINK_VERSION;
	setup.worker = worker->number;
	setup.data_directory = server->dir.path;
	setup.shard_total = server->dir.shards;
	setup.first_shard = worker->first_shard;
	setup.shard_count = worker->shard_count;
	setup.history_cap = (uint32_t)server->config.history_cap;
	setup.retention_days = (uint32_t)server->config.retention_days;
	setup.durability = durability_number(server->config.durability);
	setup.shard_map_bytes = (uint64_t)server->config.shard_map_gb << 30;
	setup.front_ends = worker->listen_fd >= 0;
	link_send_message(&worker->link, FRAME_SETUP, &setup.base);
	registry_send(&server->registry, &worker->link);
}

static int spawn(struct worker *worker)
{
	struct server *server = worker->server;
	int memory = link_memory(&worker->link);
	char path[DATADIR_PATH_MAX + 32];
	char *arguments[] = { path, NULL };
	uv_stdio_container_t stdio[LINK_MEMORY_FD + 1] = {
		{ .flags = UV_IGNORE },
		{ .flags = UV_INHERIT_FD,
		  .data.fd = 2 }, /* standard output is nobody's: what it prints is a log line */
		{ .flags = UV_INHERIT_FD, .data.fd = 2 },
		{ .flags = UV_CREATE_PIPE | UV_READABLE_PIPE | UV_WRITABLE_PIPE,
		  .data.stream = (uv_stream_t *)&worker->link.pipe },
		{ .flags = worker->listen_fd >= 0 ? UV_INHERIT_FD : UV_IGNORE, .data.fd = worker->listen_fd },
		{ .flags = memory >= 0 ? UV_INHERIT_FD : UV_IGNORE, .data.fd = memory },
	};
	uv_process_options_t options = {
		.exit_cb = on_process_exit,
		.file = path,
		.args = arguments,
		.stdio_count = LINK_MEMORY_FD + 1,
		.stdio = stdio,
		.flags = UV_PROCESS_DETACHED, /* Ctrl-C is for the server, which drains its workers */
	};
	int rc;

	snprintf(path, sizeof path, "%s/kindred-worker", server->program_directory);
	worker->process.data = worker;
	cores_keep(CORES_ALL);
	rc = uv_spawn(&server->loop, &worker->process, &options);
	if (memory >= 0)
		close(memory);
	if (rc)
		log_error("supervisor: cannot start %s: %s", path, uv_strerror(rc));
	return rc;
}

/* It may only be slow, so it is left alone; but who waits is to know for what. */
static void on_start_late(uv_timer_t *timer)
{
	struct worker *worker = timer->data;

	log_warning("supervisor: worker %u (pid %d) has not said in %d s that it is ready; see whether it is of the "
		    "same build as "
		    "the server (kindred-worker --version), and whether its disk answers",
		    worker->number, worker->pid, START_LATE_MS / 1000);
}

static void worker_start(struct worker *worker)
{
	struct server *server = worker->server;

	move(worker, WORKER_STARTING);
	worker->started_ms = uv_now(&server->loop);
	worker->incarnation++;
	worker->process_gone = worker->link_gone = false;
	worker->has_model = worker->aligning = worker->was_up = false;
	worker->align_tries = 0;
	worker->generation = 0;
	if (link_init(&worker->link, &server->loop)) {
		worker->process_gone = worker->link_gone = true;
		on_gone(worker);
		return;
	}
	if (spawn(worker)) {
		uv_close((uv_handle_t *)&worker->process, on_process_closed);
		link_close(&worker->link);
		return;
	}
	worker->pid = worker->process.pid;
	if (link_open(&worker->link, NULL)) {
		uv_process_kill(&worker->process, SIGKILL);
		link_close(&worker->link);
		return;
	}
	uv_timer_start(&worker->timer, on_start_late, START_LATE_MS, START_LATE_MS);
	send_setup(worker);
}

int supervisor_init(struct server *server, uint32_t workers, struct error *err)
{
	struct supervisor *supervisor = &server->supervisor;
	uint64_t limit = (uint64_t)server->config.calls_limit;

	supervisor->server = server;
	supervisor->workers = calloc(workers, sizeof *supervisor->workers);
	if (!supervisor->workers)
		return error_set(err, E_EXHAUSTED, "out of memory for %u workers", workers);
	supervisor->count = workers;
	uv_idle_init(&server->loop, &supervisor->more);
	/*
	 * An even load needs limit / workers; one worker may have twice that, never all, so that a stuck one
	 * leaves room for the others.
	 */
	supervisor->ask_limit = (uint32_t)(limit * 2 / (workers + 1));
	for (uint32_t i = 0; i < workers; i++) {
		struct worker *worker = &supervisor->workers[i];

		worker->server = server;
		worker->number = i;
		worker->listen_fd = -1;
		worker->first_shard = shard_run_first(i, workers, server->dir.shards);
		worker->shard_count = shard_run_first(i + 1, workers, server->dir.shards) - worker->first_shard;
		worker->link.owner = worker;
		snprintf(worker->link.down_text, sizeof worker->link.down_text,
			 "worker %u (shards %u-%u) is restarting; try again", i, worker->first_shard,
			 worker->first_shard + worker->shard_count - 1);
		uv_timer_init(&server->loop, &worker->timer);
		worker->timer.data = worker;
	}
	return 0;
}

int supervisor_start(struct supervisor *supervisor, struct error *err)
{
	struct server *server = supervisor->server;
	char tmp[DATADIR_PATH_MAX];

	datadir_tmp(&server->dir, tmp);
	for (uint32_t i = 0; i < supervisor->count; i++) {
		struct worker *worker = &supervisor->workers[i];

		if (server->config.front_ends > 1 && worker_socket_listen(tmp, i, &worker->listen_fd, err))
			return err->code;
		worker->link.on_frame = on_frame;
		worker->link.on_broken = on_link_broken;
		worker->link.on_closed = on_link_closed;
	}
	for (uint32_t i = 0; i < supervisor->count; i++)
		worker_start(&supervisor->workers[i]);
	return 0;
}

void supervisor_fini(struct supervisor *supervisor)
{
	char tmp[DATADIR_PATH_MAX];

	for (uint32_t i = 0; i < supervisor->count; i++) {
		if (supervisor->workers[i].listen_fd >= 0)
			worker_socket_close(datadir_tmp(&supervisor->server->dir, tmp), i,
					    supervisor->workers[i].listen_fd);
		link_fini(&supervisor->workers[i].link);
	}
	free(supervisor->workers);
	supervisor->workers = NULL;
	supervisor->count = 0;
}

/* --- leaving --- */

static void on_drain_late(uv_timer_t *timer)
{
	struct worker *worker = timer->data;

	log_warning("supervisor: worker %u does not leave; killing it", worker->number);
	if (worker->pid)
		uv_process_kill(&worker->process, SIGKILL);
}

void supervisor_drain(struct supervisor *supervisor, uint64_t timeout_ms)
{
	supervisor->draining = true;
	for (uint32_t i = 0; i < supervisor->count; i++) {
		struct worker *worker = &supervisor->workers[i];

		uv_timer_stop(&worker->timer);
		if (worker->state == WORKER_DOWN)
			continue;
		if (worker->state != WORKER_LEAVING)
			move(worker, WORKER_LEAVING);
		link_send_message(&worker->link, FRAME_DRAIN, NULL);
		uv_timer_start(&worker->timer, on_drain_late, timeout_ms, 0);
	}
	check_all_left(supervisor);
}

/* --- for others --- */

void supervisor_flush(struct supervisor *supervisor)
{
	for (uint32_t i = 0; i < supervisor->count; i++)
		link_flush(&supervisor->workers[i].link);
}

void supervisor_receive(struct supervisor *supervisor)
{
	for (uint32_t i = 0; i < supervisor->count; i++)
		link_receive(&supervisor->workers[i].link);
}

static void on_more(uv_idle_t *idle)
{
	(void)idle; /* its being active keeps the loop from waiting */
}

void supervisor_wait(struct supervisor *supervisor)
{
	bool wait = true;

	for (uint32_t i = 0; i < supervisor->count; i++)
		wait &= link_wait(&supervisor->workers[i].link);
	if (wait)
		uv_idle_stop(&supervisor->more);
	else
		uv_idle_start(&supervisor->more, on_more);
}

void supervisor_tell(struct supervisor *supervisor, const void *frames, size_t bytes)
{
	for (uint32_t i = 0; i < supervisor->count; i++)
		link_send(&supervisor->workers[i].link, frames, bytes);
}

void supervisor_tell_items(struct supervisor *supervisor, const void *frames, size_t bytes)
{
	if (!bytes)
		return;
	for (uint32_t i = 0; i < supervisor->count; i++)
		if (supervisor->workers[i].has_model)
			link_send(&supervisor->workers[i].link, frames, bytes);
}

struct worker *supervisor_worker(struct supervisor *supervisor, const void *user_id, size_t bytes)
{
	uint32_t shards = supervisor->server->dir.shards;
	uint32_t shard = user_shard(user_id, bytes, shards);

	return &supervisor->workers[shard_worker(shard, supervisor->count, shards)];
}

uint32_t supervisor_up(const struct supervisor *supervisor)
{
	uint32_t up = 0;

	for (uint32_t i = 0; i < supervisor->count; i++)
		up += supervisor->workers[i].state == WORKER_UP;
	return up;
}

int worker_command(struct worker *worker, struct ask *ask, enum frame_kind kind, uint64_t number, struct error *err)
{
	Kindred__Internal__GenerationCommand command = KINDRED__INTERNAL__GENERATION_COMMAND__INIT;
	char path[DATADIR_PATH_MAX + 32];
	uint8_t packed[DATADIR_PATH_MAX + 64];
	size_t bytes;

	model_path(path, sizeof path, worker->server->models_directory, number);
	command.number = number;
	command.path = path;
	bytes = kindred__internal__generation_command__pack(&command, packed);
	return link_ask(&worker->link, ask, kind, UINT32_MAX, 0, packed, bytes, err);
}

int worker_ask(struct worker *worker, struct ask *ask, enum frame_kind kind, uint64_t deadline_ns, bool bounded,
	       const void *data, size_t bytes, struct error *err)
{
	bool recommending = kind == FRAME_CALL_RECOMMEND || kind == FRAME_CALL_RECOMMEND_MANY ||
			    kind == FRAME_CALL_AUDIENCE || kind == FRAME_CALL_AUDIENCE_NEXT;
	uint32_t timeout_ms = UINT32_MAX;

	if (worker->state != WORKER_UP && (worker->state != WORKER_LOADING || recommending))
		return error_set(err, E_UNAVAILABLE, "%s", worker->link.down_text);
	if (deadline_ns != UINT64_MAX) {
		uint64_t now = clock_monotonic_ns(), left_ms;

		if (deadline_ns <= now)
			return error_set(err, E_DEADLINE, "the deadline passed before the work was begun");
		left_ms = (deadline_ns - now + 999999) / 1000000;
		timeout_ms = left_ms < UINT32_MAX ? (uint32_t)left_ms : UINT32_MAX - 1;
	}
	return link_ask(&worker->link, ask, kind, timeout_ms, bounded ? worker->server->supervisor.ask_limit : 0, data,
			bytes, err);
}
