#include "server/front_end.h"

#include "common/log.h"
#include "kindred/internal/link.pb-c.h"
#include "server/methods.h"
#include "server/server.h"
#include "server/worker_socket.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SECOND_MS 1000

struct front {
	struct server server; /* first */
	struct link link; /* to the server */
	Kindred__Internal__FrontEndSetup *setup; /* NULL: not yet */
	uv_prepare_t prepare;
	uv_timer_t second, patience, cut_off;
	uv_poll_t connection; /* to the server, on which calls are passed on */
	bool started; /* takes calls */
	uint32_t calls_said;
};

/* --- the end --- */

static void fail(const struct error *err)
{
	log_error("%s", err->text);
	_exit(error_exit_code(err->code));
}

/* The server is gone, and its workers with it: no call can end well any more. */
static void on_link_broken(struct link *link, const char *why)
{
	(void)link;
	log_warning("the server is gone: %s", why);
	_exit(EXIT_FAILURE);
}

static void on_link_closed(struct link *link)
{
	(void)link;
}

/*
 * One that was stopped for long, so that its pings went unanswered; calls cannot be passed on any more:
 * it is one for the supervisor.
 */
static void on_cut_off(uv_timer_t *timer)
{
	struct error err;

	(void)timer;
	error_set(&err, E_UNAVAILABLE, "the server has closed the connection on which calls are passed on");
	fail(&err);
}

/* It may be stopping: then the link says so in a moment. */
static void on_disconnected(uv_poll_t *connection, int status, int events)
{
	struct front *front = connection->data;

	(void)status;
	(void)events;
	uv_poll_stop(connection);
	uv_timer_start(&front->cut_off, on_cut_off, SECOND_MS, 0);
}

static int watch_connection(struct front *front, struct error *err)
{
	int rc = uv_poll_init(&front->server.loop, &front->connection, dup(FRONT_END_FD));

	if (!rc)
		rc = uv_poll_start(&front->connection, UV_DISCONNECT, on_disconnected);
	return rc ? error_set(err, E_INTERNAL, "file descriptor %d: %s", FRONT_END_FD, uv_strerror(rc)) : 0;
}

/* --- counting --- */

static void send_stats(struct front *front, uint64_t call)
{
	Kindred__Internal__FrontEndStats stats = KINDRED__INTERNAL__FRONT_END_STATS__INIT;
	uint64_t counted[STATS_COUNTERS_MAX];
	struct frame_head head = { .kind = FRAME_STATS, .call = call, .timeout_ms = UINT32_MAX };
	uint32_t asked[WORKERS_MAX];
	uint8_t packed[sizeof counted * 2 + sizeof asked * 2];

	stats.n_counted = stats_take(&front->server.stats, counted);
	stats.counted = counted;
	stats.calls_in_flight = front->started ? door_calls(front->server.door) : 0;
	for (uint32_t i = 0; i < front->server.supervisor.count; i++)
		asked[stats.n_asked++] = link_asked(&front->server.supervisor.workers[i].link);
	stats.asked = asked;
	front->calls_said = stats.calls_in_flight;
	head.bytes = (uint32_t)kindred__internal__front_end_stats__pack(&stats, packed);
	link_send(&front->link, &head, sizeof head);
	link_send(&front->link, packed, head.bytes);
}

static void on_second(uv_timer_t *timer)
{
	struct front *front = timer->data;

	if (stats_counted(&front->server.stats) || front->calls_said != door_calls(front->server.door))
		send_stats(front, 0);
	door_give_back(front->server.door);
}

/* --- leaving --- */

static void on_door_stopped(struct server *server)
{
	struct front *front = (struct front *)server;

	send_stats(front, 0);
	link_send_message(&front->link, FRAME_DRAINED, NULL);
	link_flush(&front->link);
	uv_stop(&server->loop);
}

static void on_patience_over(uv_timer_t *timer)
{
	struct front *front = timer->data;

	log_warning("cancelling the %u calls still in work", door_calls(front->server.door));
	door_cancel(front->server.door);
}

static void drain(struct front *front)
{
	uint64_t patience_ms = front->setup ? (uint64_t)front->setup->drain_seconds * 1000 : 0;

	uv_poll_stop(&front->connection); /* the server's door may be shut before ours, when it waits no longer */
	uv_timer_stop(&front->cut_off);
	if (!front->started) {
		uv_stop(&front->server.loop);
		return;
	}
	uv_timer_start(&front->patience, on_patience_over, patience_ms, 0);
	door_stop(front->server.door, patience_ms / 2);
	door_shut(front->server.door);
}

/* --- the door --- */

static int open_door(struct front *front, struct error *err)
{
	const Kindred__Internal__FrontEndSetup *setup = front->setup;
	struct door_options options = {
		.server = &front->server,
		.loop = &front->server.loop,
		.listen = setup->listen,
		.shared = true,
		.upstream_fd = FRONT_END_FD,
		.methods = methods,
		.method_count = method_count,
		.polling_thread = setup->polling_thread,
		.calls_limit = setup->calls_limit,
		.stream_window = setup->stream_window,
		.message_max_bytes = setup->message_max_mb << 20,
		.work_max_bytes = WORK_MAX_BYTES,
		.on_call = server_count_call,
		.on_end = server_count_end,
		.on_stopped = on_door_stopped,
	};

	return door_open(&front->server.door, &options, err);
}

/* --- the workers --- */

static void connect_worker(struct worker *worker)
{
	struct front *front = (struct front *)worker->server;
	struct error err;
	int fd, memory;

	error_set(&err, E_INTERNAL, "cannot make the link to worker %u", worker->number);
	if (link_init(&worker->link, &front->server.loop))
		fail(&err);
	memory = link_memory(&worker->link);
	if (worker_socket_connect(front->setup->directory, worker->number, memory, &fd, &err) ||
	    link_take(&worker->link, fd, &err))
		fail(&err);
	if (memory >= 0)
		close(memory);
}

static void on_worker_closed(struct link *link)
{
	connect_worker(link->owner);
}

static void on_worker_broken(struct link *link, const char *why)
{
	struct worker *worker = link->owner;

	log_info("lost worker %u: %s", worker->number, why);
	worker->state = WORKER_DOWN;
	link_close(link);
}

static void start_if_ready(struct front *front)
{
	struct error err;

	if (front->started || supervisor_up(&front->server.supervisor) < front->server.supervisor.count)
		return;
	/* Only now: what comes to a port that is open waits for its door. */
	if (open_door(front, &err) || door_start(front->server.door, &err))
		fail(&err);
	front->started = true;
	uv_timer_start(&front->second, on_second, SECOND_MS, SECOND_MS);
	link_send_message(&front->link, FRAME_READY, NULL);
}

static bool on_worker_frame(struct link *link, const struct frame_head *head, const uint8_t *data)
{
	struct worker *worker = link->owner;

	(void)data;
	if (head->kind != FRAME_READY)
		return false;
	worker->state = WORKER_UP;
	start_if_ready((struct front *)worker->server);
	return true;
}

/* --- the setup --- */

static int take_setup(struct front *front, const uint8_t *data, size_t bytes, struct error *err)
{
	struct server *server = &front->server;
	char name[32];
	int rc;

	front->setup = kindred__internal__front_end_setup__unpack(NULL, bytes, data);
	if (!front->setup || front->setup->link_version != LINK_VERSION)
		return error_set(err, E_PRECONDITION,
				 "the server and this front-end are of two builds; install all programs from one");
	snprintf(name, sizeof name, "front-end/%u", front->setup->front_end);
	log_init(name, log_level_now());
	server->dir.shards = front->setup->shard_total;
	server->config.calls_limit = front->setup->calls_limit;
	rc = supervisor_init(server, front->setup->workers, err);
	for (uint32_t i = 0; !rc && i < server->supervisor.count; i++) {
		struct worker *worker = &server->supervisor.workers[i];

		worker->link.on_frame = on_worker_frame;
		worker->link.on_broken = on_worker_broken;
		worker->link.on_closed = on_worker_closed;
		connect_worker(worker);
	}
	return rc;
}

static bool on_frame(struct link *link, const struct frame_head *head, const uint8_t *data)
{
	struct front *front = link->owner;
	struct error err;

	if (head->kind == FRAME_SETUP && !front->setup) {
		if (take_setup(front, data, head->bytes, &err))
			fail(&err);
	} else if (head->kind == FRAME_DRAIN) {
		drain(front);
	} else if (head->kind == FRAME_STATS_WANTED) {
		send_stats(front, head->call);
	} else {
		return false;
	}
	return true;
}

/* --- the process --- */

static void on_prepare(uv_prepare_t *prepare)
{
	struct front *front = prepare->data;
	struct server *server = &front->server;

	supervisor_receive(&server->supervisor);
	if (server->door)
		door_flush(server->door);
	supervisor_flush(&server->supervisor);
	link_flush(&front->link);
	if (server->door)
		door_rest(server->door);
	supervisor_wait(&server->supervisor);
}

/* The server says when to stop; a signal to the whole group must not come before it. */
static void ignore_signals(void)
{
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
}

static int open_loop(struct front *front, struct error *err)
{
	uv_loop_t *loop = &front->server.loop;

	if (uv_loop_init(loop) || uv_prepare_init(loop, &front->prepare) || uv_timer_init(loop, &front->second) ||
	    uv_timer_init(loop, &front->patience) || uv_timer_init(loop, &front->cut_off))
		return error_set(err, E_INTERNAL, "cannot make the event loop");
	front->connection.data = front->prepare.data = front->second.data = front->patience.data = front->link.owner =
		front;
	turns_init(&front->server.turns, loop, &front->server.recommends, TURNS_LIGHT_FRONT_END, SLICE_SHORT);
	uv_prepare_start(&front->prepare, on_prepare);
	front->link.on_frame = on_frame;
	front->link.on_broken = on_link_broken;
	front->link.on_closed = on_link_closed;
	strcpy(front->link.down_text, "the server is gone");
	if (link_init(&front->link, loop))
		return error_set(err, E_INTERNAL, "cannot make the link");
	pins_init_elsewhere(&front->server.pins, &front->link);
	if (watch_connection(front, err))
		return err->code;
	return link_take(&front->link, LINK_FD, err);
}

static void close_handle(uv_handle_t *handle, void *context)
{
	(void)context;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void clean_up(struct front *front)
{
	struct server *server = &front->server;

	uv_walk(&server->loop, close_handle, NULL);
	uv_run(&server->loop, UV_RUN_DEFAULT);
	uv_loop_close(&server->loop);
	if (server->door)
		door_close(server->door);
	supervisor_fini(&server->supervisor);
	link_fini(&front->link);
	if (front->setup)
		kindred__internal__front_end_setup__free_unpacked(front->setup, NULL);
}

int front_end_run(void)
{
	const char *level = getenv("KINDRED_LOG_LEVEL");
	struct front *front = calloc(1, sizeof *front);
	struct error err;

	log_init("front-end", level ? (enum log_level)log_level_parse(level) : LOG_INFO);
	/* The link says so too, but not to one that is stopped: it would keep the port from the next server. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ignore_signals();
	if (!front || open_loop(front, &err)) {
		if (!front)
			error_set(&err, E_EXHAUSTED, "out of memory");
		fail(&err);
	}
	uv_run(&front->server.loop, UV_RUN_DEFAULT);
	clean_up(front);
	free(front);
	return EXIT_SUCCESS;
}
