#include "server/definitions.h"

#include "common/clock.h"
#include "kindred/internal/link.pb-c.h"
#include "kindred/v1/definitions.pb-c.h"
#include "server/page.h"
#include "server/round.h"
#include "server/server.h"

#include <string.h>

#define LIST_MAX 1000

static void run(struct call *call, const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t bytes,
		int (*work)(struct job *job), void (*done)(struct job *job))
{
	lane_call(&call->server->control_lane, call, type, data, bytes, work, done);
}

/* The registry's copy and the workers' follow the store, and a model may be needed. */
static void definition_changed(struct job *job, const Kindred__V1__Definition *definition)
{
	struct server *server = job->server;
	const struct buffer *frame = registry_definition_set(&server->registry, definition);

	if (!frame) {
		job->code = error_set(&job->err, E_EXHAUSTED,
				      "out of memory: definition %s is stored, but served only after a restart",
				      definition->name);
		return;
	}
	supervisor_tell(&server->supervisor, frame->data, frame->bytes);
	builds_definitions_changed(&server->builds);
}

static int create(struct job *job)
{
	const Kindred__V1__CreateDefinitionRequest *request = (const void *)job->request;
	Kindred__V1__CreateDefinitionResponse *reply =
		job_reply(job, &kindred__v1__create_definition_response__descriptor);

	if (!reply)
		return job->code;
	if (!request->definition)
		return error_set(&job->err, E_INVALID, "definition: missing");
	return control_definition_create(job->server->control, request->definition, clock_wall_ms(), &reply->definition,
					 &job->err);
}

static void created(struct job *job)
{
	if (!job->code)
		definition_changed(job, ((Kindred__V1__CreateDefinitionResponse *)job->reply)->definition);
	round_job_answer(job);
}

void definitions_create(struct call *call, const uint8_t *data, size_t bytes)
{
	run(call, &kindred__v1__create_definition_request__descriptor, data, bytes, create, created);
}

static int get(struct job *job)
{
	const Kindred__V1__GetDefinitionRequest *request = (const void *)job->request;
	Kindred__V1__GetDefinitionResponse *reply = job_reply(job, &kindred__v1__get_definition_response__descriptor);

	if (!reply)
		return job->code;
	return control_definition_get(job->server->control, request->name, request->version, &reply->definition,
				      &job->err);
}

void definitions_get(struct call *call, const uint8_t *data, size_t bytes)
{
	run(call, &kindred__v1__get_definition_request__descriptor, data, bytes, get, NULL);
}

static int list(struct job *job)
{
	const Kindred__V1__ListDefinitionsRequest *request = (const void *)job->request;
	Kindred__V1__ListDefinitionsResponse *reply =
		job_reply(job, &kindred__v1__list_definitions_response__descriptor);
	size_t size;
	bool more = false;
	int rc;

	if (!reply)
		return job->code;
	rc = page_size(request->page_size, LIST_MAX, &size, &job->err);
	if (!rc)
		rc = control_definition_list(job->server->control, request->page_token, size, &reply->definitions,
					     &reply->n_definitions, &more, &job->err);
	if (!rc)
		reply->n_definitions = page_cut((ProtobufCMessage **)reply->definitions, reply->n_definitions,
						PAGE_BYTES, &more, NULL);
	if (!rc && more && !(reply->next_page_token = strdup(reply->definitions[reply->n_definitions - 1]->name)))
		rc = error_set(&job->err, E_EXHAUSTED, "out of memory for the answer");
	return rc;
}

void definitions_list(struct call *call, const uint8_t *data, size_t bytes)
{
	run(call, &kindred__v1__list_definitions_request__descriptor, data, bytes, list, NULL);
}

static int update(struct job *job)
{
	const Kindred__V1__UpdateDefinitionRequest *request = (const void *)job->request;
	Kindred__V1__UpdateDefinitionResponse *reply =
		job_reply(job, &kindred__v1__update_definition_response__descriptor);

	if (!reply)
		return job->code;
	if (!request->definition)
		return error_set(&job->err, E_INVALID, "definition: missing");
	return control_definition_update(job->server->control, request->definition, clock_wall_ms(), &reply->definition,
					 &job->err);
}

static void updated(struct job *job)
{
	if (!job->code)
		definition_changed(job, ((Kindred__V1__UpdateDefinitionResponse *)job->reply)->definition);
	round_job_answer(job);
}

void definitions_update(struct call *call, const uint8_t *data, size_t bytes)
{
	run(call, &kindred__v1__update_definition_request__descriptor, data, bytes, update, updated);
}

static int delete (struct job *job)
{
	const Kindred__V1__DeleteDefinitionRequest *request = (const void *)job->request;
	Kindred__Internal__Drop drop = KINDRED__INTERNAL__DROP__INIT;
	int rc = control_definition_delete(job->server->control, request->name, &job->err);

	drop.name = request->name;
	if (!rc && buffer_frame(&job->frames, FRAME_DEFINITION_DROP, &drop.base))
		rc = error_set(&job->err, E_EXHAUSTED, "out of memory");
	return rc;
}

static void deleted(struct job *job)
{
	struct server *server = job->server;

	if (!job->code) {
		registry_definition_drop(&server->registry,
					 ((Kindred__V1__DeleteDefinitionRequest *)job->request)->name);
		supervisor_tell(&server->supervisor, job->frames.data, job->frames.bytes);
	}
	round_job_answer(job);
}

void definitions_delete(struct call *call, const uint8_t *data, size_t bytes)
{
	run(call, &kindred__v1__delete_definition_request__descriptor, data, bytes, delete, deleted);
}
