#include "server/ingest.h"

#include "common/wire.h"
#include "kindred/v1/events.pb-c.h"
#include "server/server.h"
#include "server/wire.h"

#include <stdlib.h>
#include <string.h>

/* IngestEventsRequest and IngestEventStreamRequest; their answers have outcomes, refusals and batch as 1, 2, 3. */
#define EVENTS_FIELD 1
#define CATALOG_FIELD 2
#define BATCH_FIELD 3
#define USER_ID_FIELD 1 /* of an event */

#define EVENTS_MAX 10000
#define REST_MAX_BYTES (8u << 10)

struct ingest_batch;

struct ingest_part {
	struct ask ask;
	struct ingest_batch *batch;
	uint32_t worker;
	struct buffer answer;
};

struct ingest_batch {
	struct ingest_batch *next;
	struct call *call;
	size_t bytes;
	uint64_t number; /* the client's; streams */
	struct wire_split split;
	struct error err; /* code 0: fine so far */
	uint32_t waiting; /* parts not answered; 0: it can be answered, in its turn */
	uint32_t part_count;
	struct ingest_part parts[];
};

struct ingest {
	struct ingest_batch *first, *last; /* oldest first */
};

/* --- the end of batches --- */

static void batch_free(struct ingest_batch *batch)
{
	for (uint32_t i = 0; i < batch->part_count; i++) {
		ask_forget(&batch->parts[i].ask);
		buffer_fini(&batch->parts[i].answer);
	}
	wire_split_free(&batch->split);
	free(batch);
}

static bool is_stream(const struct call *call)
{
	return call->method->kind == METHOD_STREAM;
}

/* What the call owes for a message that is not answered. */
static void message_over(struct call *call, size_t bytes)
{
	if (is_stream(call))
		call_message_done(call, bytes);
	else
		call_fail(call, E_CANCELLED, "cancelled");
}

void ingest_stop(struct call *call)
{
	struct ingest *ingest = call->state;
	struct ingest_batch *batch, *next;

	if (!ingest)
		return;
	batch = ingest->first;
	ingest->first = ingest->last = NULL; /* the call may be gone after its last message is over */
	for (; batch; batch = next) {
		size_t bytes = batch->bytes;

		next = batch->next;
		batch_free(batch);
		message_over(call, bytes);
	}
}

void ingest_release(struct call *call)
{
	free(call->state);
	call->state = NULL;
}

static int make_answer(struct ingest_batch *batch, struct buffer *answer)
{
	struct ingest_share *shares;
	int rc;

	if (batch->part_count == 1) {
		*answer = batch->parts[0].answer;
		batch->parts[0].answer = (struct buffer){ 0 };
	} else {
		shares = calloc(batch->part_count, sizeof *shares);
		if (!shares)
			return error_set(&batch->err, E_EXHAUSTED, "out of memory for the answer");
		for (uint32_t i = 0; i < batch->part_count; i++) {
			const struct ingest_part *part = &batch->parts[i];

			shares[i] = (struct ingest_share){
				.indexes = batch->split.parts[part->worker].indexes,
				.count = batch->split.parts[part->worker].count,
				.answer = part->answer.data,
				.answer_bytes = part->answer.bytes,
			};
		}
		rc = ingest_merge(shares, batch->part_count, batch->split.elements, answer, &batch->err);
		free(shares);
		if (rc)
			return rc;
	}
	if (is_stream(batch->call) && buffer_number(answer, BATCH_FIELD, batch->number))
		return error_set(&batch->err, E_EXHAUSTED, "out of memory for the answer");
	return 0;
}

/*
 * Answers the batches at the head of the line that are complete. A failed one ends the call, and with it
 * those behind.
 */
static void answer_in_order(struct call *call)
{
	struct ingest *ingest = call->state;
	struct ingest_batch *batch;
	bool more = true;

	while (more && (batch = ingest->first) && !batch->waiting) {
		struct buffer answer = { 0 };
		size_t bytes = batch->bytes;

		if (batch->err.code || make_answer(batch, &answer)) {
			buffer_fini(&answer);
			if (!is_stream(call)) {
				struct error err = batch->err;

				ingest->first = ingest->last = NULL;
				batch_free(batch);
				call_fail_error(call, &err);
				return;
			}
			call_fail_error(call, &batch->err);
			ingest_stop(call);
			return;
		}
		ingest->first = batch->next;
		if (!ingest->first)
			ingest->last = NULL;
		more = ingest->first != NULL; /* after the last message the call may be gone */
		batch_free(batch);
		if (is_stream(call)) {
			call_send(call, answer.data, answer.bytes);
			call_message_done(call, bytes);
		} else {
			call_reply(call, answer.data, answer.bytes);
		}
		buffer_fini(&answer);
	}
}

static void on_answered(struct ask *ask, int code, const uint8_t *data, size_t bytes)
{
	struct ingest_part *part = (struct ingest_part *)ask;
	struct ingest_batch *batch = part->batch;

	if (code && !batch->err.code)
		error_set(&batch->err, code, "%.*s", (int)bytes, (const char *)data);
	else if (!code && buffer_add(&part->answer, data, bytes) && !batch->err.code)
		error_set(&batch->err, E_EXHAUSTED, "out of memory for the answer");
	if (batch->err.code)
		batch->waiting = 0; /* the other parts' answers change nothing */
	else
		batch->waiting--;
	if (!batch->waiting)
		answer_in_order(batch->call);
}

/* --- a batch comes in --- */

static int part_of(void *context, const uint8_t *event, size_t bytes, struct error *err)
{
	struct server *server = context;
	const uint8_t *user;
	size_t user_bytes;

	(void)err;
	/* An event that cannot be read, or has no user, is refused by a worker like any other bad one; by whichever. */
	if (wire_find(event, bytes, USER_ID_FIELD, &user, &user_bytes) != 1) {
		user = (const uint8_t *)"";
		user_bytes = 0;
	}
	return (int)supervisor_worker(&server->supervisor, user, user_bytes)->number;
}

/* Whether there is a catalog of this name is its workers' to say. */
static int check_catalog(const uint8_t *data, size_t bytes, struct error *err)
{
	const uint8_t *name;
	size_t name_bytes;
	int found = wire_find(data, bytes, CATALOG_FIELD, &name, &name_bytes);

	if (found < 0)
		return error_set(err, E_INVALID, "the request is not a valid message");
	if (!found || !name_bytes)
		return error_set(err, E_INVALID,
				 "catalog: missing; the name of the catalog that the items belong to is needed");
	return 0;
}

static struct ingest_batch *batch_new(struct call *call, struct wire_split *split, uint32_t workers, size_t bytes)
{
	struct ingest_batch *batch;
	uint32_t used = 0;

	for (uint32_t i = 0; i < workers; i++)
		used += split->parts[i].count > 0;
	batch = calloc(1, sizeof *batch + used * sizeof batch->parts[0]);
	if (!batch)
		return NULL;
	batch->call = call;
	batch->bytes = bytes;
	batch->split = *split;
	for (uint32_t i = 0; i < workers; i++)
		if (split->parts[i].count)
			batch->parts[batch->part_count++] = (struct ingest_part){ .batch = batch, .worker = i };
	return batch;
}

static void ask_all(struct ingest_batch *batch)
{
	struct server *server = batch->call->server;

	for (uint32_t i = 0; i < batch->part_count; i++) {
		struct ingest_part *part = &batch->parts[i];
		const struct wire_part *events = &batch->split.parts[part->worker];

		part->ask.answered = on_answered;
		if (worker_ask(&server->supervisor.workers[part->worker], &part->ask, FRAME_CALL_INGEST,
			       batch->call->deadline_ns, !is_stream(batch->call), events->message, events->bytes,
			       &batch->err)) {
			batch->waiting = 0;
			return;
		}
		batch->waiting++;
	}
}

/* 0, or why the message cannot be taken. */
static int take(struct call *call, const uint8_t *data, size_t bytes, struct ingest_batch **batch, struct error *err)
{
	struct server *server = call->server;
	struct wire_split_rule rule = {
		.field = EVENTS_FIELD,
		.name = "events",
		.elements_max = EVENTS_MAX,
		.rest_max = REST_MAX_BYTES,
		.parts = server->supervisor.count,
		.part_of = part_of,
	};
	struct wire_split split;
	int rc = check_catalog(data, bytes, err);

	if (!rc)
		rc = wire_split(&rule, server, data, bytes, &split, err);
	if (rc)
		return rc;
	if (!split.elements) {
		wire_split_free(&split);
		return error_set(err, E_INVALID, "events: none; 1 to 10,000 events a message are allowed");
	}
	*batch = batch_new(call, &split, rule.parts, bytes);
	if (!*batch) {
		wire_split_free(&split);
		return error_set(err, E_EXHAUSTED, "out of memory");
	}
	if (is_stream(call) && wire_find_number(data, bytes, BATCH_FIELD, &(*batch)->number) < 0)
		(*batch)->number = 0;
	server->stats.ingest_batches++;
	server->stats.ingest_events += split.elements;
	turns_wrote(&server->turns);
	return 0;
}

void ingest_message(struct call *call, const uint8_t *data, size_t bytes)
{
	struct ingest *ingest = call->state;
	struct ingest_batch *batch = NULL;
	struct error err = { 0 };

	if (!ingest)
		call->state = ingest = calloc(1, sizeof *ingest);
	if (!ingest || take(call, data, bytes, &batch, &err)) {
		if (!ingest)
			error_set(&err, E_EXHAUSTED, "out of memory");
		/* Batches before this one are still answered in their turn: it stands in line as a failed one. */
		if (ingest && is_stream(call))
			batch = calloc(1, sizeof *batch);
		if (!batch) {
			call_fail_error(call, &err);
			if (is_stream(call))
				call_message_done(call, bytes);
			return;
		}
		batch->call = call;
		batch->bytes = bytes;
		batch->err = err;
	}
	if (ingest->last)
		ingest->last->next = batch;
	else
		ingest->first = batch;
	ingest->last = batch;
	if (!batch->err.code)
		ask_all(batch);
	answer_in_order(call);
}
