#include "worker/writer.h"

#include <stdlib.h>
#include <string.h>

#define SPARE_CALLS 64 /* kept for the next ones */
#define SPARE_BYTES ((size_t)256 << 10) /* a buffer that grew beyond it is given back */

struct queue {
	struct write_call *first, **last;
};

struct writer {
	/* the loop thread's */
	const struct writer_handler *handler;
	void *context;
	uv_async_t wake;
	uv_thread_t thread;
	struct turns *turns;
	struct write_call *newest; /* under way */
	struct write_call *spare;
	uint32_t pending, spares;

	/* the writer thread's */
	struct group group;

	/* both, under the lock */
	uv_mutex_t lock;
	uv_cond_t work;
	struct queue waiting;
	struct queue done;
	uint32_t waiting_events;
	size_t waiting_bytes;
	bool stopping;
};

static void queue_init(struct queue *queue)
{
	queue->first = NULL;
	queue->last = &queue->first;
}

static void queue_add(struct queue *queue, struct write_call *call)
{
	call->next = NULL;
	*queue->last = call;
	queue->last = &call->next;
}

/* --- the writer thread --- */

/* Takes one group off the queue; the first call always, however large. Locked. */
static struct write_call *take_group(struct writer *writer)
{
	struct write_call *first = writer->waiting.first;
	struct write_call **end = &writer->waiting.first;
	uint32_t events = 0;
	size_t bytes = 0;
	while (*end && (events == 0 ||
			(events + (*end)->events <= GROUP_EVENTS && bytes + (*end)->payload.used <= GROUP_BYTES))) {
		events += (*end)->events;
		bytes += (*end)->payload.used;
		end = &(*end)->next;
	}
	struct write_call *rest = *end;
	*end = NULL;
	writer->waiting.first = rest;
	if (!rest)
		writer->waiting.last = &writer->waiting.first;
	writer->waiting_events -= events;
	writer->waiting_bytes -= bytes;
	return first;
}

/* Hands the calls back to the loop thread. */
static void post(struct writer *writer, struct write_call *calls)
{
	uv_mutex_lock(&writer->lock);
	for (struct write_call *call = calls, *next; call; call = next) {
		next = call->next;
		queue_add(&writer->done, call);
	}
	uv_mutex_unlock(&writer->lock);
	uv_async_send(&writer->wake);
}

static void writer_main(void *argument)
{
	struct writer *writer = argument;
	crew_yield_to_others();
	uv_mutex_lock(&writer->lock);
	for (;;) {
		while (!writer->waiting.first && !writer->stopping)
			uv_cond_wait(&writer->work, &writer->lock);
		if (!writer->waiting.first)
			break;
		struct write_call *calls = take_group(writer);
		uv_mutex_unlock(&writer->lock);
		group_run(&writer->group, calls);
		post(writer, calls);
		uv_mutex_lock(&writer->lock);
	}
	uv_mutex_unlock(&writer->lock);
}

/* --- the loop thread --- */

static void call_free(struct write_call *call)
{
	blob_fini(&call->payload);
	blob_fini(&call->reply);
	free(call);
}

void writer_give_back(struct writer *writer, struct write_call *call)
{
	if (writer->spares >= SPARE_CALLS) {
		call_free(call);
		return;
	}
	if (call->payload.room > SPARE_BYTES)
		blob_fini(&call->payload);
	if (call->reply.room > SPARE_BYTES)
		blob_fini(&call->reply);
	call->next = writer->spare;
	writer->spare = call;
	writer->spares++;
}

static void unlink_call(struct writer *writer, struct write_call *call)
{
	if (call->newer)
		call->newer->older = call->older;
	else
		writer->newest = call->older;
	if (call->older)
		call->older->newer = call->newer;
	writer->pending--;
}

static void on_wake(uv_async_t *wake)
{
	struct writer *writer = wake->data;
	uv_mutex_lock(&writer->lock);
	struct write_call *calls = writer->done.first;
	queue_init(&writer->done);
	uv_mutex_unlock(&writer->lock);
	for (struct write_call *call = calls, *next; call; call = next) {
		next = call->next;
		unlink_call(writer, call);
		if (!atomic_load_explicit(&call->cancelled, memory_order_relaxed))
			writer->handler->done(writer->context, call);
		writer_give_back(writer, call);
	}
	if (calls)
		writer->handler->batch(writer->context);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

/* What both ends of its life release; the writer itself goes when the loop has closed its handle. */
static void release(struct writer *writer)
{
	uv_cond_destroy(&writer->work);
	uv_mutex_destroy(&writer->lock);
	group_fini(&writer->group);
	uv_close((uv_handle_t *)&writer->wake, on_closed);
}

static int init_locks(struct writer *writer)
{
	int status = uv_mutex_init(&writer->lock);
	if (status)
		return status;
	status = uv_cond_init(&writer->work);
	if (status)
		uv_mutex_destroy(&writer->lock);
	return status;
}

int writer_start(struct writer **made, uv_loop_t *loop, struct shards *shards, const struct history_rules *rules,
		 struct turns *turns, const struct writer_handler *handler, void *context, struct error *err)
{
	struct writer *writer = calloc(1, sizeof *writer);
	if (!writer)
		return error_set(err, E_EXHAUSTED, "no memory for the writer");
	writer->turns = turns;
	writer->handler = handler;
	writer->context = context;
	queue_init(&writer->waiting);
	queue_init(&writer->done);
	int code = group_init(&writer->group, shards, rules, turns, err);
	if (code) {
		free(writer);
		return code;
	}
	int status = init_locks(writer);
	if (status)
		goto fail_group;
	status = uv_async_init(loop, &writer->wake, on_wake);
	if (status)
		goto fail_locks;
	writer->wake.data = writer;
	status = uv_thread_create(&writer->thread, writer_main, writer);
	if (status) {
		release(writer);
		return error_set(err, E_EXHAUSTED, "the writer thread cannot be started: %s", uv_strerror(status));
	}
	*made = writer;
	return 0;

fail_locks:
	uv_cond_destroy(&writer->work);
	uv_mutex_destroy(&writer->lock);
fail_group:
	group_fini(&writer->group);
	free(writer);
	return error_set(err, E_EXHAUSTED, "the writer cannot be started: %s", uv_strerror(status));
}

static void free_calls(struct write_call *call)
{
	while (call) {
		struct write_call *next = call->next;
		call_free(call);
		call = next;
	}
}

void writer_stop(struct writer *writer)
{
	uv_mutex_lock(&writer->lock);
	writer->stopping = true;
	uv_cond_signal(&writer->work);
	uv_mutex_unlock(&writer->lock);
	uv_thread_join(&writer->thread);
	free_calls(writer->done.first);
	free_calls(writer->spare);
	release(writer);
}

struct write_call *writer_call(struct writer *writer)
{
	struct write_call *call = writer->spare;
	if (call) {
		writer->spare = call->next;
		writer->spares--;
		struct blob payload = call->payload, reply = call->reply;
		memset(call, 0, sizeof *call);
		call->payload = payload;
		call->reply = reply;
		call->payload.used = call->reply.used = 0;
	} else {
		call = calloc(1, sizeof *call);
	}
	if (call) {
		call->deadline_ns = UINT64_MAX;
		call->events = 1;
	}
	return call;
}

/* Whether the queue can take the call; an empty one takes any. Locked. */
static bool has_room(const struct writer *writer, const struct write_call *call)
{
	return !writer->waiting.first || (writer->waiting_events + call->events <= WRITER_QUEUE_EVENTS &&
					  writer->waiting_bytes + call->payload.used <= WRITER_QUEUE_BYTES);
}

int writer_submit(struct writer *writer, struct write_call *call, struct error *err)
{
	uv_mutex_lock(&writer->lock);
	bool room = has_room(writer, call);
	uint32_t events = writer->waiting_events;
	if (room) {
		queue_add(&writer->waiting, call);
		writer->waiting_events += call->events;
		writer->waiting_bytes += call->payload.used;
		uv_cond_signal(&writer->work);
	}
	uv_mutex_unlock(&writer->lock);
	if (!room) {
		writer_give_back(writer, call);
		return error_set(err, E_EXHAUSTED,
				 "%u events wait to be written already; send more slowly, or again later", events);
	}
	call->newer = NULL;
	call->older = writer->newest;
	if (writer->newest)
		writer->newest->newer = call;
	writer->newest = call;
	writer->pending++;
	turns_wrote(writer->turns);
	return 0;
}

static void cancel(struct write_call *call)
{
	atomic_store_explicit(&call->cancelled, true, memory_order_relaxed);
}

void writer_cancel(struct writer *writer, const struct uplink *from, uint64_t number)
{
	for (struct write_call *call = writer->newest; call; call = call->older) {
		if (call->call == number && call->from == from) {
			cancel(call);
			return;
		}
	}
}

void writer_forget(struct writer *writer, const struct uplink *from)
{
	for (struct write_call *call = writer->newest; call; call = call->older)
		if (call->from == from)
			cancel(call);
}

uint32_t writer_pending(const struct writer *writer)
{
	return writer->pending;
}
