#include "worker/write_call.h"
#include "common/clock.h"
#include "worker/decode.h"
#include "worker/ingest.h"
#include "worker/worker.h"

/* Copies the bytes into a call of the writer's and hands it over. */
static int submit(struct worker *worker, const struct frame_head *head, const struct write_call *what,
		  const void *payload, size_t bytes, struct error *err)
{
	struct write_call *call = writer_call(worker->writer);
	/* never without data, which the writer compares users by */
	if (call && !blob_reserve(&call->payload, bytes + 1)) {
		writer_give_back(worker->writer, call);
		call = NULL;
	}
	if (!call)
		return error_set(err, E_EXHAUSTED, "no memory for a batch of %zu bytes; send it again later", bytes);
	memcpy(call->payload.data, payload, bytes);
	call->payload.used = bytes;
	call->kind = what->kind;
	call->seed = what->seed;
	call->events = what->events;
	call->from = worker->from;
	call->call = head->call;
	call->arrived_ms = clock_wall_ms();
	call->deadline_ns = worker_deadline_ns(worker, head);
	return writer_submit(worker->writer, call, err);
}

static int ingest(struct worker *worker, const struct frame_head *head, const uint8_t *payload, struct error *err)
{
	struct write_call what = { .kind = WRITE_INGEST };
	struct text_view name;
	int code = ingest_head(payload, head->bytes, &name, &what.events, err);
	if (code)
		return code;
	const struct catalog *catalog = rules_catalog(&worker->rules, name.data, name.bytes);
	if (!catalog)
		return error_set(err, E_NOT_FOUND,
				 "catalog: there is no catalog %.*s; make it with `kindred catalog import %.*s FILE` "
				 "or CreateCatalog",
				 (int)name.bytes, name.data, (int)name.bytes, name.data);
	what.seed = catalog->seed;
	return submit(worker, head, &what, payload, head->bytes, err);
}

int delete_request_read(const void *payload, size_t bytes, struct text_view *user, struct error *err)
{
	struct wire_cursor cursor = decode_start(payload, bytes);
	struct wire_field field;
	int got;
	*user = (struct text_view){ "", 0 };
	while ((got = wire_next(&cursor, &field)) > 0)
		if (field.number == 1 && field.type == WIRE_BYTES)
			*user = decode_text(&field);
	if (got < 0)
		return error_set(err, E_INVALID, "request: not a kindred.v1.DeleteUserRequest");
	return id_check("user_id", user->data, user->bytes, USER_ID_MAX, err);
}

static int delete_user(struct worker *worker, const struct frame_head *head, const uint8_t *payload, struct error *err)
{
	struct write_call what = { .kind = WRITE_DELETE_USER, .events = 1 };
	struct text_view user;
	int code = delete_request_read(payload, head->bytes, &user, err);
	return code ? code : submit(worker, head, &what, user.data, user.bytes, err);
}

static void refuse(struct worker *worker, const struct frame_head *head, const struct error *err)
{
	uplink_send(worker->from, FRAME_REPLY, head->call, err, NULL, 0);
}

void write_call_ingest(struct worker *worker, const struct frame_head *head, const uint8_t *payload)
{
	struct error err;
	if (ingest(worker, head, payload, &err))
		refuse(worker, head, &err);
}

void write_call_delete_user(struct worker *worker, const struct frame_head *head, const uint8_t *payload)
{
	struct error err;
	if (delete_user(worker, head, payload, &err))
		refuse(worker, head, &err);
}

void write_call_done(struct worker *worker, const struct write_call *call)
{
	worker->expired_calls += call->err.code == E_DEADLINE;
	uplink_send(call->from, FRAME_REPLY, call->call, &call->err, call->reply.data, call->reply.used);
}
