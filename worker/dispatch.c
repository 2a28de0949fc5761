#include "worker/dispatch.h"
#include "common/log.h"
#include "kindred/internal/link.pb-c.h"
#include "worker/front_ends.h"
#include "worker/history_call.h"
#include "worker/instructions.h"
#include "worker/recommend_call.h"
#include "worker/stats.h"
#include "worker/worker.h"
#include "worker/write_call.h"

static void on_cancel(struct worker *worker, uint64_t call)
{
	many_cancel(&worker->many, worker->from, call);
	writer_cancel(worker->writer, worker->from, call);
	worker_settle(worker);
}

static void on_drain(struct worker *worker)
{
	if (worker_move(worker, WORKER_DRAINING))
		log_info("draining: %u writes and %u messages of users to finish", writer_pending(worker->writer),
			 worker->many.calls);
	worker_settle(worker);
}

static void fail_protocol(struct worker *worker, const struct frame_head *head, const char *why)
{
	struct error err;
	error_set(&err, E_INTERNAL, "link: frame kind %u %s", (unsigned)head->kind, why);
	worker_fail(worker, &err);
}

/* A call that comes after FRAME_DRAIN. */
static bool turned_away(struct worker *worker, const struct frame_head *head)
{
	struct error err;
	if (worker->state == WORKER_SERVING)
		return false;
	error_set(&err, E_UNAVAILABLE, "the server is stopping; try again");
	uplink_send(worker->from, FRAME_REPLY, head->call, &err, NULL, 0);
	return true;
}

static void dispatch_call(struct worker *worker, const struct frame_head *head, const uint8_t *payload,
			  void (*serve)(struct worker *worker, const struct frame_head *head, const uint8_t *payload))
{
	if (!turned_away(worker, head))
		serve(worker, head, payload);
}

static void serve_many(struct worker *worker, const struct frame_head *head, const uint8_t *payload)
{
	many_take(&worker->many, head, payload);
}

static void serve_audience(struct worker *worker, const struct frame_head *head, const uint8_t *payload)
{
	audiences_open(&worker->audiences, head, payload);
}

static void serve_audience_next(struct worker *worker, const struct frame_head *head, const uint8_t *payload)
{
	audiences_next(&worker->audiences, head, payload);
}

void dispatch(struct worker *worker, struct uplink *from, const struct frame_head *head, const uint8_t *payload)
{
	worker->from = from;
	if ((worker->state == WORKER_NEW) != (head->kind == FRAME_SETUP)) {
		fail_protocol(worker, head, worker->state == WORKER_NEW ? "before the setup" : "a second time");
		return;
	}
	if (head->kind != FRAME_CALL_RECOMMEND)
		recommend_calls_answer(worker);
	switch ((enum frame_kind)head->kind) {
	case FRAME_SETUP:
		on_setup(worker, payload, head->bytes);
		break;
	case FRAME_CATALOG_SET:
		on_catalog_set(worker, payload, head->bytes);
		break;
	case FRAME_CATALOG_DROP:
		on_catalog_drop(worker, payload, head->bytes);
		break;
	case FRAME_DEFINITION_SET:
		on_definition_set(worker, payload, head->bytes);
		break;
	case FRAME_DEFINITION_DROP:
		on_definition_drop(worker, payload, head->bytes);
		break;
	case FRAME_ITEM_SET:
		on_item_set(worker, payload, head->bytes);
		break;
	case FRAME_GENERATION_LOAD:
		on_generation_load(worker, head->call, payload, head->bytes);
		break;
	case FRAME_GENERATION_ACTIVATE:
		on_generation_activate(worker, head->call, payload, head->bytes);
		break;
	case FRAME_GENERATION_DROP:
		on_generation_drop(worker, payload, head->bytes);
		break;
	case FRAME_CANCEL:
		on_cancel(worker, head->call);
		break;
	case FRAME_DRAIN:
		on_drain(worker);
		break;
	case FRAME_CALL_RECOMMEND:
		dispatch_call(worker, head, payload, recommend_call);
		break;
	case FRAME_CALL_RECOMMEND_MANY:
		dispatch_call(worker, head, payload, serve_many);
		break;
	case FRAME_CALL_INGEST:
		dispatch_call(worker, head, payload, write_call_ingest);
		break;
	case FRAME_CALL_LIST_EVENTS:
		dispatch_call(worker, head, payload, history_call);
		break;
	case FRAME_CALL_DELETE_USER:
		dispatch_call(worker, head, payload, write_call_delete_user);
		break;
	case FRAME_CALL_AUDIENCE:
		dispatch_call(worker, head, payload, serve_audience);
		break;
	case FRAME_CALL_AUDIENCE_NEXT:
		dispatch_call(worker, head, payload, serve_audience_next);
		break;
	case FRAME_AUDIENCE_CLOSE:
		audiences_close(&worker->audiences, head, payload);
		break;
	case FRAME_STATS_WANTED:
		stats_answer(worker, head->call);
		break;
	case FRAME_BARRIER:
		uplink_send(worker->from, FRAME_REPLY, head->call, NULL, NULL, 0);
		break;
	case FRAME_ADMIT:
		front_ends_admit(&worker->front_ends);
		break;
	case FRAME_GENERATION_WANTED:
	case FRAME_READY:
	case FRAME_REPLY:
	case FRAME_GENERATION_LOADED:
	case FRAME_GENERATION_ACTIVATED:
	case FRAME_STATS:
	case FRAME_DRAINED:
		fail_protocol(worker, head, "is not for a worker");
		break;
	}
}
