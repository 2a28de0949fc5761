#include "server/door_private.h"

#include "common/log.h"
#include "server/cork.h"
#include "server/epoll_tap.h"

#include <assert.h>
#include <grpc/grpc_posix.h>
#include <malloc.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define DRAIN_MAX 512 /* events in one turn of the loop, so that the links get theirs */
#define EVENTS_A_LOOK 100 /* C core's epoll_wait has room for so many (MAX_EPOLL_EVENTS): fewer are all there were */
#define CATCH_ALL_STANDING 2
#define CROWD 3 /* calls in work, for which the loop rests before it waits */
#define TICK_BUSY_MS 5
#define TICK_IDLE_MS 100
#define SWEEP_MS 100
#define STREAM_IDLE_MS 1000
#define QUIET_SWEEPS 2
#define KEPT_FREE_BYTES ((size_t)128 << 20)

/* --- calls: taken, standing, given back --- */

static struct door_call *call_new(struct door *door)
{
	struct door_call *call = calloc(1, sizeof *call);

	if (!call)
		return NULL;
	call->door = door;
	call->call.server = door->options.server;
	grpc_metadata_array_init(&call->metadata);
	for (int event = 0; event < EVENT_COUNT; event++)
		call->tags[event] = (struct door_tag){ (enum door_event)event, call };
	return call;
}

static void call_free(struct door_call *call)
{
	grpc_metadata_array_destroy(&call->metadata);
	free(call);
}

/* As call_new left it, but for what gRPC may keep. */
void door_call_give(struct door_call *call)
{
	struct door *door = call->door;

	if (door->shut) {
		call_free(call);
		return;
	}
	call->next = door->free_calls;
	door->free_calls = call;
}

static struct door_call *call_take(struct door_method *method)
{
	struct door *door = method->door;
	struct door_call *call = door->free_calls;

	if (call)
		door->free_calls = call->next;
	else
		call = call_new(door);
	if (!call)
		return NULL;
	call->call.method = method->method;
	call->call.state = NULL;
	call->call.ask = (struct ask){ 0 };
	call->method = method;
	call->next = call->previous = NULL;
	call->metadata.count = 0;
	call->client_gone = 0;
	call->bytes = 0;
	call->counted = call->watched = call->reading = call->writing = call->head_written = call->half_closed =
		call->paused = false;
	call->first = call->last = NULL;
	call->unsent = 0;
	call->unsent_bytes = 0;
	call->expected_bytes = 0;
	call->code = 0;
	call->text[0] = 0;
	call->pass = NULL;
	assert(call->state == CALL_FREE && !call->posted && !call->in_work && !call->on_list);
	return call;
}

void door_call_counted(struct door *door)
{
	door->calls++;
	if (uv_timer_get_repeat(&door->tick) != TICK_BUSY_MS) {
		uv_timer_set_repeat(&door->tick, TICK_BUSY_MS);
		uv_timer_again(&door->tick);
	}
}

void door_post(struct door_method *method)
{
	struct door *door = method->door;
	struct door_call *call;
	grpc_call_error rc;

	if (door->shut)
		return;
	call = call_take(method);
	if (!call) {
		log_error("door: no memory for another standing request of %s",
			  method->method ? method->method->name : "unknown methods");
		return;
	}
	call->state = CALL_STANDING;
	if (!method->method) {
		grpc_call_details_init(&call->details);
		rc = grpc_server_request_call(door->grpc, &call->grpc, &call->details, &call->metadata, door->queue,
					      door->queue, &call->tags[EVENT_NEW]);
	} else {
		rc = grpc_server_request_registered_call(door->grpc, method->handle, &call->grpc, &call->deadline,
							 &call->metadata,
							 method->method->kind == METHOD_UNARY ? &call->in : NULL,
							 door->queue, door->queue, &call->tags[EVENT_NEW]);
	}
	if (rc != GRPC_CALL_OK) {
		log_error("door: a standing request was not taken: %s", grpc_call_error_to_string(rc));
		door_call_drop_standing(call);
	}
}

/* --- polling --- */

static void dispatch(struct door *door, struct door_tag *tag, bool ok)
{
	if (tag == &door->stopped_tag) {
		door->stopped = true;
		door->options.on_stopped(door->options.server);
		return;
	}
	door_call_event(tag->call, tag->event, ok);
}

static void on_idle(uv_idle_t *idle)
{
	(void)idle; /* its being active keeps the loop from waiting; door_flush does the work */
}

/*
 * Takes what has completed. A look at the queue with no waiting also makes C core read its sockets, but only
 * one ready socket at a time: it is empty only when its epoll_wait has just answered that there is nothing.
 * C core's descriptor is asked at most once: what comes after makes it readable, so it is the next turn's.
 */
static void drain(struct door *door)
{
	grpc_event event;
	bool empty = false;

	if (!door->readable)
		epoll_tap.quiet_fd = door->epoll_fd;
	door->dirty = door->readable = false;
	for (int i = 0; i < DRAIN_MAX && !empty; i++) {
		epoll_tap_reset();
		event = grpc_completion_queue_next(door->queue, gpr_time_0(GPR_CLOCK_MONOTONIC), NULL);
		if (epoll_tap.fd == door->epoll_fd && epoll_tap.events < EVENTS_A_LOOK)
			epoll_tap.quiet_fd = door->epoll_fd;
		if (event.type == GRPC_OP_COMPLETE)
			dispatch(door, event.tag, event.success != 0);
		else
			empty = event.type == GRPC_QUEUE_SHUTDOWN ||
				(epoll_tap.fd != EPOLL_TAP_NONE && epoll_tap.events <= 0);
	}
	epoll_tap.quiet_fd = EPOLL_TAP_NONE;
	if (empty) {
		uv_idle_stop(&door->more);
	} else {
		door->dirty = door->readable = true;
		uv_idle_start(&door->more, on_idle);
	}
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct door *door = poll->data;

	(void)status;
	(void)events;
	door->dirty = door->readable = true; /* drained in door_flush, after everything else of this turn */
}

/* Completions that come from gRPC's timer threads (deadlines) do not make the epoll descriptor readable. */
static void on_tick(uv_timer_t *tick)
{
	struct door *door = tick->data;

	door->ticks++;
	door->dirty = door->readable = true;
	door_watch_slow(door);
	if (!door->calls && uv_timer_get_repeat(tick) != TICK_IDLE_MS) {
		uv_timer_set_repeat(tick, TICK_IDLE_MS);
		uv_timer_again(tick);
	}
}

static void wait_in_thread(void *context)
{
	struct door *door = context;

	for (;;) {
		grpc_event event = grpc_completion_queue_next(door->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);

		if (event.type == GRPC_QUEUE_SHUTDOWN)
			return;
		if (event.type != GRPC_OP_COMPLETE)
			continue;
		uv_mutex_lock(&door->mutex);
		if (door->done_count == door->done_room) {
			size_t room = door->done_room ? door->done_room * 2 : 1024;
			struct door_done *done = realloc(door->done, room * sizeof *done);

			if (!done) {
				log_error("door: out of memory for completions");
				abort(); /* a lost completion would leave a call, and the drain, hanging for good */
			}
			door->done = done;
			door->done_room = room;
		}
		door->done[door->done_count++] = (struct door_done){ event.tag, event.success != 0 };
		uv_mutex_unlock(&door->mutex);
		uv_async_send(&door->wake);
	}
}

static void take_done(struct door *door)
{
	struct door_done *swap = door->taken;
	size_t count, room = door->taken_room;

	uv_mutex_lock(&door->mutex);
	count = door->done_count;
	door->taken = door->done;
	door->taken_room = door->done_room;
	door->done = swap;
	door->done_room = room;
	door->done_count = 0;
	uv_mutex_unlock(&door->mutex);
	for (size_t i = 0; i < count; i++)
		dispatch(door, door->taken[i].tag, door->taken[i].ok);
}

static void on_wake(uv_async_t *wake)
{
	take_done(wake->data);
}

/* False: the epoll descriptor cannot be found or watched. */
static bool poll_shared(struct door *door)
{
	uv_loop_t *loop = door->options.loop;

	epoll_tap_reset();
	/* Nothing has completed yet: the standing requests are posted after this. */
	(void)grpc_completion_queue_next(door->queue, gpr_time_0(GPR_CLOCK_MONOTONIC), NULL);
	door->epoll_fd = epoll_tap.fd;
	if (door->epoll_fd == EPOLL_TAP_NONE || uv_poll_init(loop, &door->poll, door->epoll_fd))
		return false;
	door->poll.data = door;
	if (uv_poll_start(&door->poll, UV_READABLE, on_readable)) {
		uv_close((uv_handle_t *)&door->poll, NULL);
		return false;
	}
	uv_idle_init(loop, &door->more);
	cork_start();
	return true;
}

static int poll_thread(struct door *door, struct error *err)
{
	door->threaded = true;
	if (uv_mutex_init(&door->mutex) || uv_async_init(door->options.loop, &door->wake, on_wake))
		return error_set(err, E_INTERNAL, "door: cannot make the hand-over to the loop");
	door->wake.data = door;
	if (uv_thread_create(&door->thread, wait_in_thread, door))
		return error_set(err, E_EXHAUSTED, "door: cannot start the thread that waits for gRPC");
	return 0;
}

void door_flush(struct door *door)
{
	if (!door->started || door->threaded)
		return;
	/*
	 * One client alone is answered before the turn is tidied up; several, at its end: who is waked
	 * early comes back in small bites.
	 */
	if (door->calls <= 1)
		cork_push();
	if (door->dirty)
		drain(door);
}

void door_rest(struct door *door)
{
	if (!door->started || door->threaded || door->calls < CROWD)
		return;
	cork_push();
	sched_yield();
}

/* It gives back by itself what is free at the end of its heap, which one small block there keeps it from. */
void door_give_back(struct door *door)
{
	if (!door->calls && mallinfo2().fordblks >= KEPT_FREE_BYTES)
		malloc_trim(0);
}

/* --- open, start --- */

static void register_methods(struct door *door)
{
	for (size_t i = 0; i + 1 < door->method_count; i++) {
		const struct method *method = door->methods[i].method;

		door->methods[i].handle = grpc_server_register_method(
			door->grpc, method->name, NULL,
			method->kind == METHOD_UNARY ? GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER
						     : GRPC_SRM_PAYLOAD_NONE,
			0);
		assert(door->methods[i].handle); /* NULL: a name twice in the table */
	}
}

/* Those served here; behind them the catch-all. */
static int list_methods(struct door *door)
{
	const struct door_options *options = &door->options;

	door->methods = calloc(options->method_count + 1, sizeof *door->methods);
	if (!door->methods)
		return E_EXHAUSTED;
	for (size_t i = 0; i < options->method_count; i++)
		if (options->methods[i].everywhere || options->upstream_fd < 0)
			door->methods[door->method_count++].method = &options->methods[i];
	door->method_count++;
	for (size_t i = 0; i < door->method_count; i++)
		door->methods[i].door = door;
	return 0;
}

int door_open(struct door **opened, const struct door_options *options, struct error *err)
{
	struct door *door = calloc(1, sizeof *door);
	int rc;

	if (!door)
		return error_set(err, E_EXHAUSTED, "out of memory");
	door->options = *options;
	if (list_methods(door)) {
		free(door);
		return error_set(err, E_EXHAUSTED, "out of memory");
	}
	rc = door_port_open(door, err);
	register_methods(door);
	if (!rc && options->upstream_fd >= 0)
		rc = door_pass_open(door, err);
	if (rc) {
		door_close(door);
		return rc;
	}
	*opened = door;
	return 0;
}

int door_start(struct door *door, struct error *err)
{
	bool thread = door->options.polling_thread;
	int rc;

	grpc_server_start(door->grpc);
	if (!thread && !poll_shared(door)) {
		log_warning("door: cannot find gRPC's epoll descriptor; a thread polls instead (grpc_polling=thread)");
		thread = true;
	}
	if (thread) {
		rc = poll_thread(door, err);
		if (rc)
			return rc;
	}
	uv_timer_init(door->options.loop, &door->tick);
	door->tick.data = door;
	uv_timer_start(&door->tick, on_tick, TICK_IDLE_MS, TICK_IDLE_MS);
	door->started = true;
	for (size_t i = 0; i < door->method_count; i++) {
		const struct method *method = door->methods[i].method;

		for (unsigned n = method ? method->standing : CATCH_ALL_STANDING; n > 0; n--)
			door_post(&door->methods[i]);
	}
	door->dirty = door->readable = true;
	return 0;
}

void door_adopt(struct door *door, int fd)
{
	grpc_server_add_channel_from_fd(door->grpc, fd, door->plain);
	door->dirty = door->readable = true;
}

uint16_t door_port(const struct door *door)
{
	return door->port;
}

uint32_t door_calls(const struct door *door)
{
	return door->calls - door->passes;
}

/* --- stop, close --- */

static void shut(struct door *door)
{
	door->shut = true;
	grpc_server_shutdown_and_notify(door->grpc, door->queue, &door->stopped_tag);
	door->dirty = door->readable = true;
}

static void on_sweep(uv_timer_t *sweep)
{
	struct door *door = sweep->data;
	uint64_t now = uv_now(door->options.loop);
	struct door_call *call, *next;

	if (!door->shut && door->may_shut)
		shut(door);
	/*
	 * Connections are told to go away and asked whether they have heard; an idle gRPC client looks at its
	 * sockets every five seconds only. With nothing in work there is nothing to wait for.
	 */
	if (door->shut && !door->calls && ++door->quiet_sweeps == QUIET_SWEEPS)
		door_cancel(door);
	if (now >= door->stop_ms)
		door->stop_all = true;
	for (call = door->streams.first; call; call = next) {
		next = call->next;
		if (door->stop_all || now - call->last_message_ms >= STREAM_IDLE_MS)
			door_stream_turn_away(call);
	}
}

void door_stop(struct door *door, uint64_t grace_ms)
{
	if (door->stopping)
		return;
	door->stopping = true;
	door->stop_ms = uv_now(door->options.loop) + grace_ms;
	uv_timer_init(door->options.loop, &door->sweep);
	door->sweep.data = door;
	/*
	 * What came before is still taken, also calls whose message is on its way behind their head: C core would
	 * end those with CANCELLED. Then it is shut, which is what tells clients to go away.
	 */
	door_port_turn_away(door);
	uv_timer_start(&door->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
	door->dirty = door->readable = true;
}

void door_shut(struct door *door)
{
	door->may_shut = true;
}

void door_cancel(struct door *door)
{
	if (!door->shut)
		shut(door);
	grpc_server_cancel_all_calls(door->grpc);
	door->dirty = door->readable = true;
}

void door_close(struct door *door)
{
	if (!door->stopped) {
		/* Never started, or given up on: the calls are gone with the process. */
		grpc_server_shutdown_and_notify(door->grpc, door->queue, &door->stopped_tag);
		grpc_server_cancel_all_calls(door->grpc);
	}
	if (!door->threaded && !door->stopped)
		door_await_stopped(door);
	grpc_server_destroy(door->grpc);
	door_pass_close(door);
	grpc_completion_queue_shutdown(door->queue);
	if (door->threaded) {
		uv_thread_join(&door->thread);
		uv_mutex_destroy(&door->mutex);
	} else {
		door_await_queue_end(door);
	}
	grpc_completion_queue_destroy(door->queue);
	grpc_server_credentials_release(door->plain);
	grpc_shutdown();
	cork_stop();
	while (door->free_calls) {
		struct door_call *call = door->free_calls;

		door->free_calls = call->next;
		call_free(call);
	}
	free(door->done);
	free(door->taken);
	free(door->methods);
	free(door);
}
