#include "server/models.h"

#include "common/log.h"
#include "common/model.h"
#include "common/wire.h"
#include "kindred/v1/models.pb-c.h"
#include "server/page.h"
#include "server/server.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MAX 100
#define TUNE_SECONDS_MAX 86400

static void reply_message(struct call *call, const ProtobufCMessage *message)
{
	struct buffer packed = { 0 };

	if (buffer_pack(&packed, message))
		call_fail(call, E_EXHAUSTED, "out of memory for the answer");
	else
		call_reply(call, packed.data, packed.bytes);
	buffer_fini(&packed);
}

/* A varint field of a request that has only such; absent is 0. */
static bool number_of(struct call *call, const uint8_t *data, size_t bytes, uint32_t field, uint64_t *value)
{
	*value = 0;
	if (wire_find_number(data, bytes, field, value) >= 0)
		return true;
	call_fail(call, E_INVALID, "the request is not a valid message");
	return false;
}

/* --- BuildModel --- */

static void on_build_started(void *context, uint64_t number, const struct error *err)
{
	Kindred__V1__BuildModelResponse reply = KINDRED__V1__BUILD_MODEL_RESPONSE__INIT;

	if (err->code) {
		call_fail_error(context, err);
		return;
	}
	reply.generation = number;
	reply_message(context, &reply.base);
}

void models_build(struct call *call, const uint8_t *data, size_t bytes)
{
	static const char *const objectives[] = { NULL, "ndcg", "hit_rate" };
	uint64_t keep_inactive, tune_seconds, promote, refresh, objective, floor, no_reuse;
	struct builds_request request;
	struct error err;

	if (!number_of(call, data, bytes, 1, &keep_inactive) || !number_of(call, data, bytes, 2, &tune_seconds) ||
	    !number_of(call, data, bytes, 3, &promote) || !number_of(call, data, bytes, 4, &refresh) ||
	    !number_of(call, data, bytes, 5, &objective) || !number_of(call, data, bytes, 6, &floor) ||
	    !number_of(call, data, bytes, 7, &no_reuse))
		return;
	if (objective > 2) {
		call_fail(call, E_INVALID, "objective: %" PRIu64 "; 0 to 2 are allowed", objective);
		return;
	}
	if (floor > 1000) {
		call_fail(call, E_INVALID, "coverage_floor_permille: %" PRIu64 "; at most 1000 are allowed", floor);
		return;
	}
	if (tune_seconds > TUNE_SECONDS_MAX) {
		call_fail(call, E_INVALID, "tune_seconds: %" PRIu64 "; at most %d are allowed", tune_seconds,
			  TUNE_SECONDS_MAX);
		return;
	}
	if (refresh && tune_seconds) {
		call_fail(call, E_INVALID,
			  "refresh and tune_seconds: a refresh learns nothing; only one of them is allowed");
		return;
	}
	if (refresh && no_reuse) {
		call_fail(call, E_INVALID,
			  "refresh and no_reuse: a refresh learns nothing; only one of them is allowed");
		return;
	}
	if (keep_inactive && promote) {
		call_fail(call, E_INVALID, "keep_inactive and promote: only one of them is allowed");
		return;
	}
	request = (struct builds_request){ .keep_inactive = keep_inactive != 0,
					   .refresh = refresh != 0,
					   .promote = promote != 0,
					   .no_reuse = no_reuse != 0,
					   .tune_seconds = (uint32_t)tune_seconds,
					   .objective = objectives[objective],
					   .coverage_floor_permille = (uint32_t)floor };
	if (builds_start(&call->server->builds, &request, on_build_started, call, &err))
		call_fail_error(call, &err);
}

/* --- ListGenerations: newest first; a page's token is the last number it had --- */

static int add_generation(struct job *job, Kindred__V1__ListGenerationsResponse *reply, uint64_t number,
			  uint64_t active)
{
	int rc = generation_message(&reply->generations[reply->n_generations], job->server->models_directory, number,
				    number == active, &job->err);

	if (rc == E_NOT_FOUND)
		return 0; /* removed between the look and now */
	if (rc == E_DATA_LOSS || rc == E_UNIMPLEMENTED) {
		/* A damaged one is still there: its number is shown, so that somebody wonders. */
		Kindred__V1__Generation *bare = malloc(sizeof *bare);

		log_warning("models: %s", job->err.text);
		if (!bare)
			return error_set(&job->err, E_EXHAUSTED, "out of memory for the answer");
		kindred__v1__generation__init(bare);
		bare->number = number;
		bare->active = number == active;
		reply->generations[reply->n_generations] = bare;
		rc = 0;
	}
	if (!rc)
		reply->n_generations++;
	return rc;
}

static int list(struct job *job)
{
	const Kindred__V1__ListGenerationsRequest *request = (const void *)job->request;
	Kindred__V1__ListGenerationsResponse *reply =
		job_reply(job, &kindred__v1__list_generations_response__descriptor);
	uint64_t active = (uint64_t)(uintptr_t)job->context, below = UINT64_MAX, *numbers = NULL;
	size_t size, count = 0;
	char token[24], *end;
	bool more;
	int rc;

	if (!reply)
		return job->code;
	rc = page_size(request->page_size, LIST_MAX, &size, &job->err);
	if (!rc && *request->page_token) {
		errno = 0;
		below = strtoull(request->page_token, &end, 10);
		if (errno || *end)
			rc = error_set(&job->err, E_INVALID, "page_token: not one that an answer gave");
	}
	if (!rc)
		rc = model_list(job->server->models_directory, &numbers, &count, &job->err);
	if (!rc)
		reply->generations = calloc(size, sizeof *reply->generations);
	if (!rc && !reply->generations)
		rc = error_set(&job->err, E_EXHAUSTED, "out of memory for the answer");
	while (!rc && count && reply->n_generations < size) {
		count--;
		if (numbers[count] < below)
			rc = add_generation(job, reply, numbers[count], active);
	}
	more = count > 0;
	if (!rc)
		reply->n_generations = page_cut((ProtobufCMessage **)reply->generations, reply->n_generations,
						PAGE_BYTES, &more, NULL);
	if (!rc && more && reply->n_generations) {
		snprintf(token, sizeof token, "%" PRIu64, reply->generations[reply->n_generations - 1]->number);
		reply->next_page_token = strdup(token);
		if (!reply->next_page_token)
			rc = error_set(&job->err, E_EXHAUSTED, "out of memory for the answer");
	}
	free(numbers);
	return rc;
}

void models_list(struct call *call, const uint8_t *data, size_t bytes)
{
	struct job *job = job_new(call->server, call, &kindred__v1__list_generations_request__descriptor, data, bytes,
				  list, NULL);

	if (!job) {
		call_fail(call, E_EXHAUSTED, "out of memory");
		return;
	}
	job->context = (void *)(uintptr_t)server_active(call->server);
	lane_run(&call->server->model_lane, job);
}

/* --- ActivateGeneration, RollbackGeneration: their answers are alike --- */

static int describe(struct job *job)
{
	Kindred__V1__ActivateGenerationResponse *reply =
		job_reply(job, &kindred__v1__activate_generation_response__descriptor);

	if (!reply)
		return job->code;
	return generation_message(&reply->generation, job->server->models_directory, (uint64_t)(uintptr_t)job->context,
				  true, &job->err);
}

static void on_swapped(void *context, int code, const struct error *err)
{
	struct call *call = context;
	struct job *job;

	if (code) {
		call_fail_error(call, err);
		return;
	}
	job = job_new(call->server, call, NULL, NULL, 0, describe, NULL);
	if (!job) {
		call_fail(call, E_EXHAUSTED, "out of memory for the answer");
		return;
	}
	job->context = (void *)(uintptr_t)server_active(call->server);
	lane_run(&call->server->model_lane, job);
}

/* "5, 6, 7" */
static const char *kept_numbers(const struct server *server, char *text, size_t room)
{
	size_t at = 0;

	snprintf(text, room, "none");
	for (size_t i = 0; i < server->kept.count && at + 40 < room; i++)
		at += (size_t)snprintf(text + at, room - at, "%s%" PRIu64 "%s", i ? ", " : "",
				       server->kept.list[i].number,
				       server->kept.list[i].held_back ? " (held back)" : "");
	return text;
}

void models_activate(struct call *call, const uint8_t *data, size_t bytes)
{
	struct server *server = call->server;
	uint64_t number;
	char text[256];

	if (!number_of(call, data, bytes, 1, &number))
		return;
	if (kept_has(&server->kept, number))
		swap_start(&server->swap, number, on_swapped, call);
	else
		call_fail(call, E_NOT_FOUND, "generation %" PRIu64 " is not kept; those kept: %s", number,
			  kept_numbers(server, text, sizeof text));
}

void models_rollback(struct call *call, const uint8_t *data, size_t bytes)
{
	uint64_t none;

	/* An empty message, but one. */
	if (number_of(call, data, bytes, 1, &none))
		swap_back(&call->server->swap, on_swapped, call);
}

/* --- GetModelStatus --- */

/* Returns how many. numbers: room for all workers. */
static size_t silent_workers(const struct supervisor *supervisor, uint32_t *numbers)
{
	size_t count = 0;

	for (uint32_t i = 0; i < supervisor->count; i++)
		if (status_silent_ms(&supervisor->workers[i]))
			numbers[count++] = i;
	return count;
}

static char *text_of(const json_t *object, const char *field)
{
	const char *text = json_string_value(json_object_get(object, field));

	return (char *)(text ? text : "");
}

/* Fills reply->unchanged, whose texts stay the builder's; it and what is returned are to be freed. No memory: none. */
static Kindred__V1__UnchangedRelation *unchanged_of(const struct builds *builds,
						    Kindred__V1__GetModelStatusResponse *reply)
{
	const json_t *said = builds->builder.unchanged;
	size_t count = json_array_size(said);
	Kindred__V1__UnchangedRelation *relations = calloc(count + 1, sizeof *relations);

	reply->unchanged = calloc(count + 1, sizeof *reply->unchanged);
	for (size_t i = 0; relations && reply->unchanged && i < count; i++) {
		const json_t *one = json_array_get(said, i);

		kindred__v1__unchanged_relation__init(&relations[i]);
		relations[i].catalog = text_of(one, "catalog");
		relations[i].key = text_of(one, "key");
		relations[i].definition = text_of(one, "definition");
		relations[i].since_generation = (uint64_t)json_integer_value(json_object_get(one, "since"));
		reply->unchanged[reply->n_unchanged++] = &relations[i];
	}
	return relations;
}

static void answer_status(void *context)
{
	struct call *call = context;
	struct server *server = call->server;
	const struct builds *builds = &server->builds;
	Kindred__V1__GetModelStatusResponse reply = KINDRED__V1__GET_MODEL_STATUS_RESPONSE__INIT;
	Google__Protobuf__Timestamp last = GOOGLE__PROTOBUF__TIMESTAMP__INIT, next = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Kindred__V1__UnchangedRelation *unchanged = unchanged_of(builds, &reply);
	uint32_t silent[WORKERS_MAX];

	reply.silent_workers = silent;
	reply.n_silent_workers = silent_workers(&server->supervisor, silent);
	reply.state = builds_api_state(builds);
	reply.generation = builds->number;
	if (builds_running(builds)) {
		reply.phase = (char *)builds->builder.phase;
		reply.progress = (float)builds->builder.progress;
	}
	if (builds->state == BUILDS_FAILED) {
		reply.error = (char *)builds->err.text;
		reply.error_code = (uint32_t)error_grpc_status(builds->err.code);
	}
	reply.active_generation = server_active(server);
	reply.held_back_generation = kept_held(&server->kept);
	if (reply.held_back_generation)
		reply.held_back_reason = (char *)server->kept.held_why;
	reply.events_since = status_events_since(server);
	last.seconds = builds->last_ms / 1000;
	next.seconds = builds_next_ms(builds) / 1000;
	if (builds->last_ms)
		reply.last_build_time = &last;
	if (next.seconds)
		reply.next_build_time = &next;
	reply_message(call, &reply.base);
	free(unchanged);
	free(reply.unchanged);
}

void models_status(struct call *call, const uint8_t *data, size_t bytes)
{
	(void)data; /* an empty message */
	(void)bytes;
	status_ask_all(call->server, answer_status, call);
}
