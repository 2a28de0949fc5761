#include "worker/worker.h"
#include "common/clock.h"
#include "common/log.h"
#include "worker/dispatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARENA_BYTES ((size_t)64 << 10)

bool worker_move(struct worker *worker, enum worker_state state)
{
	static const char *const names[] = { "new", "serving", "draining", "ended" };
	static const bool allowed[4][4] = {
		[WORKER_NEW] = { [WORKER_SERVING] = true, [WORKER_ENDED] = true },
		[WORKER_SERVING] = { [WORKER_DRAINING] = true, [WORKER_ENDED] = true },
		[WORKER_DRAINING] = { [WORKER_ENDED] = true },
		[WORKER_ENDED] = { false },
	};
	if (!allowed[worker->state][state])
		return false;
	log_debug("%s -> %s", names[worker->state], names[state]);
	worker->state = state;
	return true;
}

static void end(struct worker *worker, const struct error *err)
{
	if (!worker_move(worker, WORKER_ENDED))
		return;
	worker->end = *err;
	uv_stop(&worker->loop);
}

void worker_fail(struct worker *worker, const struct error *err)
{
	log_error("%s", err->text);
	end(worker, err);
}

void worker_settle(struct worker *worker)
{
	if (worker->state != WORKER_DRAINING || !many_empty(&worker->many) || writer_pending(worker->writer) ||
	    worker->drained)
		return;
	worker->drained = true;
	uplink_send(&worker->link, FRAME_DRAINED, 0, NULL, NULL, 0);
	uplink_finish(&worker->link);
}

uint64_t worker_deadline_ns(const struct worker *worker, const struct frame_head *head)
{
	if (head->timeout_ms == UINT32_MAX)
		return UINT64_MAX;
	return worker->batch_ns + (uint64_t)head->timeout_ms * 1000000;
}

/* --- the link --- */

void worker_frame(struct worker *worker, struct uplink *from, const struct frame_head *head, const uint8_t *payload)
{
	if (worker->state == WORKER_ENDED)
		return;
	if (!worker->batch_ns)
		worker->batch_ns = clock_monotonic_ns();
	dispatch(worker, from, head, payload);
}

void worker_batch(struct worker *worker)
{
	recommend_calls_answer(worker);
	worker->batch_ns = 0;
	shards_release(&worker->shards);
}

void worker_flush(struct worker *worker)
{
	uplink_flush(&worker->link);
	front_ends_flush(&worker->front_ends);
}

static void on_frame(void *context, const struct frame_head *head, const uint8_t *payload)
{
	struct worker *worker = context;
	worker_frame(worker, &worker->link, head, payload);
}

static void on_batch(void *context)
{
	worker_batch(context);
}

static void on_room(void *context)
{
	struct worker *worker = context;
	many_resume(&worker->many);
	audiences_resume(&worker->audiences);
}

static void on_end(void *context, const struct error *err)
{
	if (err->code)
		worker_fail(context, err);
	else
		end(context, err);
}

static const struct uplink_handler link_handler = {
	.frame = on_frame, .batch = on_batch, .room = on_room, .end = on_end
};

/* --- generations --- */

static void on_loaded(void *context, uint64_t call, struct generation *generation, const struct error *err)
{
	struct worker *worker = context;
	struct error failed = *err;
	if (worker->state == WORKER_ENDED)
		return;
	if (generation)
		recommender_resize(&worker->recommender, generation->rows_max, &failed);
	if (failed.code)
		log_error("%s", failed.text);
	else
		log_info("generation %llu is loaded", (unsigned long long)generation->number);
	uplink_send(&worker->link, FRAME_GENERATION_LOADED, call, &failed, NULL, 0);
	uplink_flush(&worker->link);
}

/* --- beginning and end --- */

static int begin(struct worker *worker, int fd, struct error *err)
{
	memset(worker, 0, sizeof *worker);
	int status = uv_loop_init(&worker->loop);
	if (status)
		return error_set(err, E_EXHAUSTED, "no event loop: %s", uv_strerror(status));
	uv_timer_init(&worker->loop, &worker->stats_timer);
	turns_init(&worker->turns, &worker->loop, &worker->recommend_calls.answered, TURNS_LIGHT_WORKER, SLICE_BATCH);
	many_init(&worker->many, &worker->loop, worker);
	audiences_init(&worker->audiences, &worker->loop, worker);
	generations_init(&worker->generations, &worker->loop, on_loaded, worker);
	if (arena_init(&worker->arena, ARENA_BYTES, 0))
		return error_set(err, E_EXHAUSTED, "no memory");
	int code = uplink_open(&worker->link, &worker->loop, fd, &link_handler, worker, err);
	return code || !rings_are(LINK_MEMORY_FD) ? code : uplink_memory(&worker->link, LINK_MEMORY_FD, err);
}

/* What was queued for the disk gets there first. */
static void finish(struct worker *worker)
{
	if (worker->writer)
		writer_stop(worker->writer);
	many_fini(&worker->many);
	audiences_fini(&worker->audiences);
	rules_fini(&worker->rules);
	shards_close(&worker->shards);
	/*
	 * A model still being loaded would hold us up to its end, for nothing. Nothing else is left
	 * that must be done.
	 */
	if (worker->generations.loads)
		_exit(error_exit_code(worker->end.code));
	generations_fini(&worker->generations);
	recommender_fini(&worker->recommender);
	front_ends_close(&worker->front_ends);
	uplink_close(&worker->link, NULL);
	uv_close((uv_handle_t *)&worker->stats_timer, NULL);
	turns_close(&worker->turns);
	blob_fini(&worker->stats_sent);
	arena_fini(&worker->arena);
	uv_run(&worker->loop, UV_RUN_DEFAULT);
	uv_loop_close(&worker->loop);
}

int worker_run(int fd)
{
	struct worker *worker = malloc(sizeof *worker);
	struct error err;
	if (!worker) {
		log_error("no memory");
		return error_exit_code(E_EXHAUSTED);
	}
	if (begin(worker, fd, &err)) {
		log_error("%s", err.text);
		return error_exit_code(err.code);
	}
	/* the link may have ended within begin() */
	while (worker->state != WORKER_ENDED && uv_run(&worker->loop, UV_RUN_DEFAULT))
		;
	finish(worker);
	int code = error_exit_code(worker->end.code);
	free(worker);
	return code;
}
