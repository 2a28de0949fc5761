#include "server/server.h"

#include "common/clock.h"
#include "common/cores.h"
#include "common/log.h"
#include "common/model.h"
#include "server/admin.h"
#include "server/methods.h"
#include "server/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define WORKERS_LEAVE_MS 10000
#define FRONT_ENDS_LEAVE_MS 2000 /* after the patience that they have with their calls */
#define LANES_LOOK_MS 5

/* --- the end --- */

static void stop_when_idle(uv_timer_t *timer)
{
	struct server *server = timer->data;

	if (!lane_idle(&server->control_lane) || !lane_idle(&server->model_lane))
		return;
	uv_timer_stop(timer);
	uv_stop(&server->loop);
}

void server_workers_left(struct server *server)
{
	/* Disk work that was begun is let end: a commit is not cut off. */
	uv_timer_start(&server->drain, stop_when_idle, 0, LANES_LOOK_MS);
}

static void let_workers_go(struct server *server)
{
	uv_timer_stop(&server->drain);
	server->state = SERVER_STOPPED;
	supervisor_drain(&server->supervisor, WORKERS_LEAVE_MS);
}

/* The server's own door is the last to be shut, since the others pass calls on to it. */
static void check_all_stopped(struct server *server)
{
	if (server->state != SERVER_DRAINING || !front_ends_gone(&server->front_ends))
		return;
	if (server->door_stopped)
		let_workers_go(server);
	else
		door_shut(server->door);
}

void server_front_ends_left(struct server *server)
{
	check_all_stopped(server);
}

static void on_door_stopped(struct server *server)
{
	server->door_stopped = true;
	check_all_stopped(server);
}

static void on_patience_over(uv_timer_t *timer)
{
	struct server *server = timer->data;

	log_warning("server: cancelling the %u calls still in work", door_calls(server->door));
	door_cancel(server->door);
}

static void begin_stop(struct server *server)
{
	uint64_t patience_ms = (uint64_t)server->config.drain_seconds * 1000;
	bool serving = server->state == SERVER_SERVING;

	if (server->state >= SERVER_DRAINING)
		return;
	server->state = SERVER_DRAINING;
	builds_stop(&server->builds);
	if (!serving) {
		let_workers_go(server);
		return;
	}
	health_set(&server->health, false);
	health_stop(&server->health);
	uv_timer_start(&server->drain, on_patience_over, patience_ms, 0);
	front_ends_drain(&server->front_ends, patience_ms + FRONT_ENDS_LEAVE_MS);
	/* Streams may go on for half of it; then there is time for what they had begun. */
	door_stop(server->door, patience_ms / 2);
	check_all_stopped(server);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct server *server = handle->data;

	if (server->signalled) {
		log_warning("server: a second %s: stopping at once", strsignal(number));
		_exit(128 + number); /* workers see the end of their links, and their parent's death */
	}
	server->signalled = true;
	log_info("server: %s: draining; once more to stop at once", strsignal(number));
	begin_stop(server);
}

void server_fatal(struct server *server, const struct error *err)
{
	if (server->state >= SERVER_DRAINING)
		return;
	log_error("server: %s", err->text);
	server->exit_code = error_exit_code(err->code);
	begin_stop(server);
}

/* --- serving begins --- */

static int write_port_file(const struct server *server, struct error *err)
{
	const char *path = server->port_file;
	char temporary[DATADIR_PATH_MAX + 4];
	FILE *file;
	int failed;

	if (!*path)
		return 0;
	snprintf(temporary, sizeof temporary, "%s.tmp", path);
	file = fopen(temporary, "we");
	if (!file)
		return error_errno(err, errno, "port_file: %s", temporary);
	fprintf(file, "grpc %u\n", door_port(server->door));
	if (server->admin)
		fprintf(file, "admin %u\n", admin_port(server->admin));
	failed = ferror(file);
	if (fclose(file) || failed || rename(temporary, path))
		return error_errno(err, errno, "port_file: %s", path);
	return 0;
}

void server_workers_up(struct server *server)
{
	uint32_t further = (uint32_t)server->config.front_ends - 1;
	struct error err;

	if (server->state != SERVER_STARTING)
		return;
	server->state = SERVER_SERVING;
	if (door_start(server->door, &err) || front_ends_start(server, further, &err))
		server_fatal(server, &err);
}

char *server_address(const struct server *server, char *text, size_t room)
{
	const char *listen = server->config.listen, *colon = strrchr(listen, ':');

	snprintf(text, room, "%.*s:%u", (int)(colon ? colon - listen : 0), listen, door_port(server->door));
	return text;
}

void server_front_ends_up(struct server *server)
{
	char address[DATADIR_PATH_MAX];
	struct error err;

	if (server->state != SERVER_SERVING || server->health.serving)
		return; /* not for the first time */
	if (write_port_file(server, &err)) {
		server_fatal(server, &err);
		return;
	}
	health_set(&server->health, true);
	builds_open(&server->builds);
	log_info("server: serving on %s data %s generation %" PRIu64 ", %u workers, %u shards, up in %" PRIu64 " ms",
		 server_address(server, address, sizeof address), server->dir.path, server_active(server),
		 server->supervisor.count, server->dir.shards, (clock_monotonic_ns() - server->start_ns) / 1000000);
}

/* --- counting --- */

void server_count_call(struct server *server, const struct method *method)
{
	(void)method;
	server->stats.calls++;
}

void server_count_end(struct server *server, const struct method *method, int code)
{
	(void)method;
	stats_ended(&server->stats, code);
}

static void on_second(uv_timer_t *timer)
{
	struct server *server = timer->data;

	stats_sample(&server->rates, &server->stats);
	watch_look(server);
	if (server->door)
		door_give_back(server->door);
}

static void on_prepare(uv_prepare_t *prepare)
{
	struct server *server = prepare->data;

	supervisor_receive(&server->supervisor);
	door_flush(server->door);
	supervisor_flush(&server->supervisor);
	front_ends_flush(&server->front_ends);
	door_rest(server->door);
	supervisor_wait(&server->supervisor);
}

/* --- generations --- */

void server_kept(struct server *server, struct kept *kept)
{
	kept_free(&server->kept);
	server->kept = *kept;
	*kept = (struct kept){ 0 };
}

/* The newest kept generation that is older than `below`, was not held back and can be read; NULL: there is none. */
static struct generation *read_older(struct server *server, uint64_t below)
{
	struct generation *generation = NULL;
	struct error err;

	while (!generation && (below = kept_before(&server->kept, below)))
		if (generation_read(&generation, server->models_directory, below, &err))
			log_error("server: generation %" PRIu64 " cannot be served: %s", below, err.text);
	return generation;
}

bool server_active_damaged(struct server *server, uint64_t number)
{
	struct generation *older;

	if (server_active(server) != number || swap_running(&server->swap))
		return server_active(server) != number;
	older = read_older(server, number);
	if (!older)
		return false;
	log_error("server: generation %" PRIu64 " serves instead of the damaged %" PRIu64 "; build a new one",
		  older->number, number);
	generation_release(server->active);
	server->active = older;
	return true;
}

static int find_active(struct server *server, struct error *err)
{
	uint64_t active = 0;
	int rc = kept_read(&server->kept, server->models_directory, err);

	if (rc)
		return rc;
	rc = datadir_active_read(&server->dir, &active, err);
	if (rc || !active)
		return rc;
	if (generation_read(&server->active, server->models_directory, active, err)) {
		log_error("server: generation %" PRIu64 " is active but cannot be served: %s", active, err->text);
		server->active = read_older(server, active);
	}
	return 0;
}

/* --- the start --- */

static void raise_open_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		log_warning("server: cannot raise the number of open files: %s", strerror(errno));
}

/* What is relative is so to where the server was started; the path has DATADIR_PATH_MAX bytes. */
static int make_absolute(const char *given, char *path, struct error *err)
{
	size_t bytes = 0;

	if (*given != '/') {
		if (!getcwd(path, DATADIR_PATH_MAX))
			return error_errno(err, errno, "cannot find out the working directory");
		bytes = strlen(path);
		path[bytes++] = '/';
	}
	if (bytes + strlen(given) >= DATADIR_PATH_MAX)
		return error_set(err, E_INVALID, "%s: the path is too long", given);
	strcpy(path + bytes, given);
	return 0;
}

/* Where our own executable is, or KINDRED_BIN. */
static int find_programs(struct server *server, struct error *err)
{
	const char *given = getenv("KINDRED_BIN");
	char *path = server->program_directory, *slash;
	ssize_t bytes;

	if (given && *given)
		return make_absolute(given, path, err);
	bytes = readlink("/proc/self/exe", path, sizeof server->program_directory - 1);
	if (bytes <= 0)
		return error_errno(err, errno, "cannot find the directory of kindred-worker; set KINDRED_BIN");
	path[bytes] = 0;
	slash = strrchr(path, '/');
	if (slash)
		*slash = 0;
	return 0;
}

static uint32_t worker_count(const struct server *server)
{
	long wanted = (long)server->config.workers;

	if (!wanted)
		wanted = cores_count();
	if (wanted > WORKERS_MAX)
		wanted = WORKERS_MAX;
	return wanted > (long)server->dir.shards ? server->dir.shards : (uint32_t)wanted;
}

static int open_door(struct server *server, struct error *err)
{
	const struct config *config = &server->config;
	struct door_options options = {
		.server = server,
		.loop = &server->loop,
		.listen = config->listen,
		.shared = config->front_ends > 1,
		.upstream_fd = -1,
		.methods = methods,
		.method_count = method_count,
		.polling_thread = !strcmp(config->grpc_polling, "thread"),
		.calls_limit = (uint32_t)config->calls_limit,
		.stream_window = (uint32_t)config->stream_window,
		.message_max_bytes = (uint32_t)config->message_max_mb << 20,
		.work_max_bytes = WORK_MAX_BYTES,
		.on_call = server_count_call,
		.on_end = server_count_end,
		.on_stopped = on_door_stopped,
	};
	int rc = door_open(&server->door, &options, err);

	if (!rc && *config->admin_listen)
		rc = admin_open(&server->admin, server, config->admin_listen, err);
	return rc;
}

static int open_loop(struct server *server, struct error *err)
{
	uv_loop_t *loop = &server->loop;

	signal(SIGPIPE, SIG_IGN);
	if (uv_loop_init(loop) || uv_prepare_init(loop, &server->prepare) || uv_signal_init(loop, &server->terminate) ||
	    uv_signal_init(loop, &server->interrupt) || uv_timer_init(loop, &server->second) ||
	    uv_timer_init(loop, &server->drain) || rounds_init(&server->rounds, server))
		return error_set(err, E_INTERNAL, "cannot make the event loop");
	server->prepare.data = server->terminate.data = server->interrupt.data = server;
	server->second.data = server->drain.data = server;
	uv_signal_start(&server->terminate, on_signal, SIGTERM);
	uv_signal_start(&server->interrupt, on_signal, SIGINT);
	uv_timer_start(&server->second, on_second, 1000, 1000);
	turns_init(&server->turns, loop, &server->recommends, TURNS_LIGHT_FRONT_END, SLICE_SHORT);
	lane_init(&server->control_lane, loop);
	lane_init(&server->model_lane, loop);
	pins_init(&server->pins, server);
	return 0;
}

/*
 * Notes of generations that are gone go (datadir_open has removed what else was left by who was
 * killed); then what is on disk is read.
 */
static int open_data(struct server *server, struct error *err)
{
	char path[DATADIR_PATH_MAX];
	int rc;

	rc = datadir_enter(&server->dir, err);
	if (rc)
		return rc;
	datadir_models(&server->dir, server->models_directory);
	generation_sweep(server->models_directory);
	rc = datadir_check_whole(&server->dir, false, err);
	if (!rc)
		rc = control_open(&server->control, datadir_control(&server->dir, path),
				  (uint64_t)server->config.shard_map_gb << 30, false, err);
	if (!rc)
		rc = registry_load(&server->registry, server->control, err);
	if (!rc)
		rc = datadir_check_whole(&server->dir, server->registry.catalogs.count > 0, err);
	if (!rc)
		rc = find_active(server, err);
	server->shards = calloc(server->dir.shards, sizeof *server->shards);
	if (!rc && !server->shards)
		rc = error_set(err, E_EXHAUSTED, "out of memory for %u shards", server->dir.shards);
	for (uint32_t i = 0; !rc && i < server->dir.shards; i++)
		server->shards[i].newest_event_ms = INT64_MIN;
	/* for the log: no client hears it */
	return rc ? error_prefix(err, "%s", server->dir.path) : 0;
}

int server_open(struct server *server, struct error *err)
{
	uint32_t workers = worker_count(server);
	int rc;

	server->start_ms = clock_wall_ms();
	server->start_ns = clock_monotonic_ns();
	raise_open_files();
	rc = open_loop(server, err);
	if (!rc)
		rc = find_programs(server, err);
	if (!rc && *server->config.port_file)
		rc = make_absolute(server->config.port_file, server->port_file, err);
	if (!rc)
		rc = open_data(server, err);
	if (!rc)
		rc = supervisor_init(server, workers, err);
	if (!rc)
		pins_linger(&server->pins);
	if (!rc)
		rc = swap_init(&server->swap, server, workers, err);
	if (!rc)
		rc = builds_init(&server->builds, server, err);
	/* The ports before the workers: a second server on them is to fail before it starts anything. */
	if (!rc)
		rc = open_door(server, err);
	if (rc)
		return rc;
	setenv("KINDRED_LOG_LEVEL", server->config.log_level, 1); /* for workers and builder */
	uv_prepare_start(&server->prepare, on_prepare);
	return supervisor_start(&server->supervisor, err);
}

int server_run(struct server *server)
{
	uv_run(&server->loop, UV_RUN_DEFAULT);
	if (!server->exit_code)
		log_info("server: stopped");
	return server->exit_code;
}

static void close_handle(uv_handle_t *handle, void *context)
{
	(void)context;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

/* Handles live in what is freed next. */
static void close_loop(struct server *server)
{
	uv_walk(&server->loop, close_handle, NULL);
	uv_run(&server->loop, UV_RUN_DEFAULT);
	uv_loop_close(&server->loop);
}

void server_close(struct server *server)
{
	close_loop(server);
	if (server->door)
		door_close(server->door);
	admin_close(server->admin);
	front_ends_fini(&server->front_ends);
	supervisor_fini(&server->supervisor);
	swap_fini(&server->swap);
	pins_fini(&server->pins);
	builds_fini(&server->builds);
	registry_fini(&server->registry);
	generation_release(server->active);
	if (server->control)
		control_close(server->control);
	kept_free(&server->kept);
	event_types_fini(&server->event_types);
	free(server->shards);
}
