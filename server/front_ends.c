#include "server/front_ends.h"

#include "common/cores.h"
#include "common/log.h"
#include "kindred/internal/link.pb-c.h"
#include "server/moves.h"
#include "server/round.h"
#include "server/server.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUICK_MS 5000 /* a death sooner after the start than this counts as one more in a row */
#define BACKOFF_MS 100
#define BACKOFF_MAX_MS 5000
#define FIRST_TRIES 3

/* Allowed moves, as bits by target. */
static const unsigned moves[] = {
	[FRONT_END_DOWN] = 1u << FRONT_END_STARTING,
	[FRONT_END_STARTING] = 1u << FRONT_END_UP | 1u << FRONT_END_LEAVING | 1u << FRONT_END_DOWN,
	[FRONT_END_UP] = 1u << FRONT_END_LEAVING | 1u << FRONT_END_DOWN,
	[FRONT_END_LEAVING] = 1u << FRONT_END_DOWN,
};
static const char *const state_names[] = { "down", "starting", "up", "leaving" };

static void front_end_start(struct front_end *front_end);

static void move(struct front_end *front_end, enum front_end_state to)
{
	moves_check(moves, state_names, front_end->state, to);
	log_debug("front_ends: front-end %u %s -> %s", front_end->number, state_names[front_end->state],
		  state_names[to]);
	front_end->state = to;
}

/* --- the end of one --- */

static uint64_t backoff_ms(const struct front_end *front_end)
{
	unsigned doublings = front_end->quick_deaths > 1 ? front_end->quick_deaths - 2 : 0;
	uint64_t wait = doublings > 7 ? BACKOFF_MAX_MS : (uint64_t)BACKOFF_MS << doublings;

	if (front_end->quick_deaths < 2)
		return 0;
	return wait < BACKOFF_MAX_MS ? wait : BACKOFF_MAX_MS;
}

static void on_restart(uv_timer_t *timer)
{
	front_end_start(timer->data);
}

static void on_gone(struct front_end *front_end)
{
	struct server *server = front_end->server;
	uint64_t lived = uv_now(&server->loop) - front_end->started_ms;
	struct error err;

	if (!front_end->process_gone || !front_end->link_gone)
		return;
	move(front_end, FRONT_END_DOWN);
	uv_timer_stop(&front_end->timer);
	front_end->calls = 0;
	memset(front_end->asked, 0, server->supervisor.count * sizeof *front_end->asked);
	if (server->front_ends.draining) {
		if (front_ends_gone(&server->front_ends))
			server_front_ends_left(server);
		return;
	}
	front_end->quick_deaths = lived < QUICK_MS ? front_end->quick_deaths + 1 : 0;
	if (!front_end->ever_up && front_end->quick_deaths >= FIRST_TRIES) {
		error_set(&err, E_UNAVAILABLE, "front-end %u could not be started; its own words are above",
			  front_end->number);
		server_fatal(server, &err);
		return;
	}
	front_end->restarts++;
	server->stats.front_end_restarts++;
	uv_timer_start(&front_end->timer, on_restart, backoff_ms(front_end), 0);
}

static void on_process_closed(uv_handle_t *handle)
{
	struct front_end *front_end = handle->data;

	front_end->process_gone = true;
	on_gone(front_end);
}

static void on_process_exit(uv_process_t *process, int64_t status, int signal)
{
	struct front_end *front_end = process->data;

	if (front_end->server->front_ends.draining && !status && !signal)
		log_debug("front_ends: front-end %u left", front_end->number);
	else if (signal)
		log_warning("front_ends: front-end %u (pid %d) was killed by signal %d (%s)", front_end->number,
			    front_end->pid, signal, strsignal(signal));
	else
		log_warning("front_ends: front-end %u (pid %d) exited with code %" PRId64, front_end->number,
			    front_end->pid, status);
	front_end->pid = 0;
	uv_close((uv_handle_t *)process, on_process_closed);
}

static void on_link_closed(struct link *link)
{
	struct front_end *front_end = link->owner;

	front_end->link_gone = true;
	on_gone(front_end);
}

static void on_link_broken(struct link *link, const char *why)
{
	struct front_end *front_end = link->owner;

	if (front_end->state != FRONT_END_LEAVING) {
		log_warning("front_ends: lost front-end %u: %s", front_end->number, why);
		move(front_end, FRONT_END_LEAVING);
	}
	if (front_end->pid && !front_end->server->front_ends.draining)
		uv_process_kill(&front_end->process, SIGKILL);
	link_close(link);
}

/* --- what one says --- */

void front_end_counted(struct front_end *front_end, const uint8_t *data, size_t bytes)
{
	Kindred__Internal__FrontEndStats *stats = kindred__internal__front_end_stats__unpack(NULL, bytes, data);

	if (!stats) {
		log_warning("front_ends: front-end %u sent statistics that cannot be read", front_end->number);
		return;
	}
	front_end->calls = stats->calls_in_flight;
	for (uint32_t i = 0; i < stats->n_asked && i < front_end->server->supervisor.count; i++)
		front_end->asked[i] = stats->asked[i];
	stats_add(&front_end->server->stats, stats->counted, stats->n_counted);
	kindred__internal__front_end_stats__free_unpacked(stats, NULL);
}

/* A generation that a front-end wants for a call of its own. It may be gone when the answer is there. */
struct wanted {
	struct pin_wait wait; /* first */
	struct front_end *front_end;
	uint64_t incarnation;
	uint64_t call;
};

static void answer_wanted(struct wanted *wanted, int code, const char *text)
{
	if (wanted->front_end->incarnation == wanted->incarnation)
		link_reply(&wanted->front_end->link, wanted->call, code, text);
	free(wanted);
}

static void on_settled(void *context)
{
	answer_wanted(context, 0, "");
}

static void on_at_hand(struct pin_wait *wait, int code, const struct error *err)
{
	struct wanted *wanted = (struct wanted *)wait;

	if (code)
		answer_wanted(wanted, code, err->text);
	else
		round_settle(wanted->front_end->server, on_settled,
			     wanted); /* the item changes it was caught up with */
}

static bool want(struct front_end *front_end, const struct frame_head *head, const uint8_t *data)
{
	Kindred__Internal__GenerationCommand *command =
		kindred__internal__generation_command__unpack(NULL, head->bytes, data);
	struct wanted *wanted = malloc(sizeof *wanted);
	struct error err;
	int rc;

	if (!command || !wanted) {
		free(wanted);
		if (command)
			kindred__internal__generation_command__free_unpacked(command, NULL);
		return false;
	}
	*wanted = (struct wanted){ .wait.ready = on_at_hand,
				   .front_end = front_end,
				   .incarnation = front_end->incarnation,
				   .call = head->call };
	rc = pins_want(&front_end->server->pins, command->number, &wanted->wait, &err);
	kindred__internal__generation_command__free_unpacked(command, NULL);
	if (rc != PIN_LATER)
		on_at_hand(&wanted->wait, rc, &err);
	return true;
}

static void front_end_up(struct front_end *front_end)
{
	struct server *server = front_end->server;

	move(front_end, FRONT_END_UP);
	front_end->ever_up = true;
	log_info("front_ends: front-end %u up (pid %d) in %" PRIu64 " ms", front_end->number, front_end->pid,
		 uv_now(&server->loop) - front_end->started_ms);
	if (front_ends_up(&server->front_ends) == server->front_ends.count)
		server_front_ends_up(server);
}

static bool on_frame(struct link *link, const struct frame_head *head, const uint8_t *data)
{
	struct front_end *front_end = link->owner;

	if (head->kind == FRAME_STATS)
		front_end_counted(front_end, data, head->bytes);
	else if (head->kind == FRAME_GENERATION_WANTED)
		return want(front_end, head, data);
	else if (head->kind == FRAME_READY && front_end->state == FRONT_END_STARTING)
		front_end_up(front_end);
	/* A generation that is not wanted any more is answered all the same, and then nobody listens. */
	return head->kind == FRAME_STATS || head->kind == FRAME_READY || head->kind == FRAME_CANCEL ||
	       head->kind == FRAME_DRAINED;
}

/* --- the start of one --- */

static void send_setup(struct front_end *front_end)
{
	struct server *server = front_end->server;
	const struct config *config = &server->config;
	Kindred__Internal__FrontEndSetup setup = KINDRED__INTERNAL__FRONT_END_SETUP__INIT;
	char tmp[DATADIR_PATH_MAX], address[DATADIR_PATH_MAX];

	setup.link_version = LINK_VERSION;
	setup.front_end = front_end->number;
	setup.listen = server_address(server, address, sizeof address);
	setup.directory = (char *)datadir_tmp(&server->dir, tmp);
	setup.shard_total = server->dir.shards;
	setup.workers = server->supervisor.count;
	setup.calls_limit = (uint32_t)config->calls_limit;
	setup.stream_window = (uint32_t)config->stream_window;
	setup.message_max_mb = (uint32_t)config->message_max_mb;
	setup.drain_seconds = (uint32_t)config->drain_seconds;
	setup.polling_thread = !strcmp(config->grpc_polling, "thread");
	link_send_message(&front_end->link, FRAME_SETUP, &setup.base);
}

static int spawn(struct front_end *front_end, int connection)
{
	struct server *server = front_end->server;
	char path[DATADIR_PATH_MAX + 32];
	char *arguments[] = { path, (char *)FRONT_END_ARGUMENT, NULL };
	uv_stdio_container_t stdio[FRONT_END_FD + 1] = {
		{ .flags = UV_IGNORE },
		{ .flags = UV_INHERIT_FD, .data.fd = 2 },
		{ .flags = UV_INHERIT_FD, .data.fd = 2 },
		{ .flags = UV_CREATE_PIPE | UV_READABLE_PIPE | UV_WRITABLE_PIPE,
		  .data.stream = (uv_stream_t *)&front_end->link.pipe },
		{ .flags = UV_INHERIT_FD, .data.fd = connection },
	};
	uv_process_options_t options = {
		.exit_cb = on_process_exit,
		.file = path,
		.args = arguments,
		.stdio_count = FRONT_END_FD + 1,
		.stdio = stdio,
		.flags = UV_PROCESS_DETACHED, /* Ctrl-C is for the server, which drains it */
	};
	int rc;

	snprintf(path, sizeof path, "%s/kindred-server", server->program_directory);
	front_end->process.data = front_end;
	cores_keep(CORES_ALL);
	rc = uv_spawn(&server->loop, &front_end->process, &options);
	if (rc)
		log_error("front_ends: cannot start %s: %s", path, uv_strerror(rc));
	return rc;
}

/* One end for it, the other for our door. False: there is no process. */
static bool spawn_connected(struct front_end *front_end)
{
	int ends[2];
	int rc;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends)) {
		log_error("front_ends: no socket for front-end %u: %s", front_end->number, strerror(errno));
		front_end->process_gone = true;
		return false;
	}
	rc = spawn(front_end, ends[0]);
	close(ends[0]);
	if (rc) {
		close(ends[1]);
		uv_close((uv_handle_t *)&front_end->process, on_process_closed);
		return false;
	}
	door_adopt(front_end->server->door, ends[1]);
	return true;
}

static void front_end_start(struct front_end *front_end)
{
	struct server *server = front_end->server;

	move(front_end, FRONT_END_STARTING);
	front_end->started_ms = uv_now(&server->loop);
	front_end->incarnation++;
	front_end->process_gone = front_end->link_gone = false;
	if (link_init(&front_end->link, &server->loop)) {
		front_end->process_gone = front_end->link_gone = true;
		on_gone(front_end);
		return;
	}
	if (!spawn_connected(front_end)) {
		link_close(&front_end->link);
		return;
	}
	front_end->pid = front_end->process.pid;
	if (link_open(&front_end->link, NULL)) {
		uv_process_kill(&front_end->process, SIGKILL);
		link_close(&front_end->link);
		return;
	}
	send_setup(front_end);
}

int front_ends_start(struct server *server, uint32_t count, struct error *err)
{
	struct front_ends *front_ends = &server->front_ends;

	front_ends->server = server;
	front_ends->list = calloc(count + 1, sizeof *front_ends->list);
	if (!front_ends->list)
		return error_set(err, E_EXHAUSTED, "out of memory for %u front-ends", count);
	for (uint32_t i = 0; i < count; i++) {
		struct front_end *front_end = &front_ends->list[i];

		front_end->asked = calloc(server->supervisor.count, sizeof *front_end->asked);
		if (!front_end->asked)
			return error_set(err, E_EXHAUSTED, "out of memory for %u front-ends", count);
		front_ends->count++;
		front_end->server = server;
		front_end->number = i + 1;
		front_end->link.owner = front_end;
		front_end->link.on_frame = on_frame;
		front_end->link.on_broken = on_link_broken;
		front_end->link.on_closed = on_link_closed;
		snprintf(front_end->link.down_text, sizeof front_end->link.down_text,
			 "front-end %u is restarting; try again", front_end->number);
		uv_timer_init(&server->loop, &front_end->timer);
		front_end->timer.data = front_end;
	}
	for (uint32_t i = 0; i < count; i++)
		front_end_start(&front_ends->list[i]);
	if (!count)
		server_front_ends_up(server);
	return 0;
}

void front_ends_fini(struct front_ends *front_ends)
{
	for (uint32_t i = 0; i < front_ends->count; i++) {
		free(front_ends->list[i].asked);
		link_fini(&front_ends->list[i].link);
	}
	free(front_ends->list);
	front_ends->list = NULL;
	front_ends->count = 0;
}

/* --- leaving --- */

static void on_drain_late(uv_timer_t *timer)
{
	struct front_end *front_end = timer->data;

	log_warning("front_ends: front-end %u does not leave; killing it", front_end->number);
	if (front_end->pid)
		uv_process_kill(&front_end->process, SIGKILL);
}

void front_ends_drain(struct front_ends *front_ends, uint64_t timeout_ms)
{
	front_ends->draining = true;
	for (uint32_t i = 0; i < front_ends->count; i++) {
		struct front_end *front_end = &front_ends->list[i];

		uv_timer_stop(&front_end->timer);
		if (front_end->state == FRONT_END_DOWN)
			continue;
		if (front_end->state != FRONT_END_LEAVING)
			move(front_end, FRONT_END_LEAVING);
		link_send_message(&front_end->link, FRAME_DRAIN, NULL);
		uv_timer_start(&front_end->timer, on_drain_late, timeout_ms, 0);
	}
}

/* --- for others --- */

void front_ends_flush(struct front_ends *front_ends)
{
	for (uint32_t i = 0; i < front_ends->count; i++)
		link_flush(&front_ends->list[i].link);
}

bool front_ends_gone(const struct front_ends *front_ends)
{
	for (uint32_t i = 0; i < front_ends->count; i++)
		if (front_ends->list[i].state != FRONT_END_DOWN)
			return false;
	return true;
}

uint32_t front_ends_up(const struct front_ends *front_ends)
{
	uint32_t up = 0;

	for (uint32_t i = 0; i < front_ends->count; i++)
		up += front_ends->list[i].state == FRONT_END_UP;
	return up;
}

uint32_t front_ends_calls(const struct front_ends *front_ends)
{
	uint32_t calls = 0;

	for (uint32_t i = 0; i < front_ends->count; i++)
		calls += front_ends->list[i].calls;
	return calls;
}

uint32_t front_ends_asked(const struct front_ends *front_ends, uint32_t worker)
{
	uint32_t asked = 0;

	for (uint32_t i = 0; i < front_ends->count; i++)
		asked += front_ends->list[i].asked[worker];
	return asked;
}
