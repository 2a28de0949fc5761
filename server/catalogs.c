#include "server/catalogs.h"

#include "common/clock.h"
#include "kindred/internal/link.pb-c.h"
#include "kindred/v1/catalogs.pb-c.h"
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

static int create(struct job *job)
{
	const Kindred__V1__CreateCatalogRequest *request = (const void *)job->request;
	Kindred__V1__CreateCatalogResponse *reply = job_reply(job, &kindred__v1__create_catalog_response__descriptor);

	if (!reply)
		return job->code;
	if (!request->catalog)
		return error_set(&job->err, E_INVALID, "catalog: missing; its name is needed");
	return control_catalog_create(job->server->control, request->catalog, clock_wall_ms(), &reply->catalog,
				      &job->err);
}

/* The registry's copy and the workers' follow the store. */
static void catalog_changed(struct job *job, const Kindred__V1__Catalog *catalog, uint64_t first_version)
{
	struct server *server = job->server;
	const struct buffer *frame = registry_catalog_set(&server->registry, catalog, first_version);

	if (frame)
		supervisor_tell(&server->supervisor, frame->data, frame->bytes);
	else
		job->code = error_set(&job->err, E_EXHAUSTED,
				      "out of memory: catalog %s is stored, but served only after a restart",
				      catalog->name);
}

static void created(struct job *job)
{
	const Kindred__V1__CreateCatalogResponse *reply = (const void *)job->reply;

	if (!job->code)
		catalog_changed(job, reply->catalog, reply->catalog->version);
	round_job_answer(job);
}

void catalogs_create(struct call *call, const uint8_t *data, size_t bytes)
{
	run(call, &kindred__v1__create_catalog_request__descriptor, data, bytes, create, created);
}

static int get(struct job *job)
{
	const Kindred__V1__GetCatalogRequest *request = (const void *)job->request;
	Kindred__V1__GetCatalogResponse *reply = job_reply(job, &kindred__v1__get_catalog_response__descriptor);

	if (!reply)
		return job->code;
	return control_catalog_get(job->server->control, request->name, &reply->catalog, &job->err);
}

void catalogs_get(struct call *call, const uint8_t *data, size_t bytes)
{
	run(call, &kindred__v1__get_catalog_request__descriptor, data, bytes, get, NULL);
}

static int list(struct job *job)
{
	const Kindred__V1__ListCatalogsRequest *request = (const void *)job->request;
	Kindred__V1__ListCatalogsResponse *reply = job_reply(job, &kindred__v1__list_catalogs_response__descriptor);
	size_t size;
	bool more = false;
	int rc;

	if (!reply)
		return job->code;
	rc = page_size(request->page_size, LIST_MAX, &size, &job->err);
	if (!rc)
		rc = control_catalog_list(job->server->control, request->page_token, size, &reply->catalogs,
					  &reply->n_catalogs, &more, &job->err);
	if (!rc)
		reply->n_catalogs =
			page_cut((ProtobufCMessage **)reply->catalogs, reply->n_catalogs, PAGE_BYTES, &more, NULL);
	if (!rc && more && !(reply->next_page_token = strdup(reply->catalogs[reply->n_catalogs - 1]->name)))
		rc = error_set(&job->err, E_EXHAUSTED, "out of memory for the answer");
	return rc;
}

void catalogs_list(struct call *call, const uint8_t *data, size_t bytes)
{
	run(call, &kindred__v1__list_catalogs_request__descriptor, data, bytes, list, NULL);
}

static int update(struct job *job)
{
	const Kindred__V1__UpdateCatalogRequest *request = (const void *)job->request;
	Kindred__V1__UpdateCatalogResponse *reply = job_reply(job, &kindred__v1__update_catalog_response__descriptor);

	if (!reply)
		return job->code;
	return control_catalog_add_attributes(job->server->control, request->name, request->n_add_attributes,
					      request->add_attributes, clock_wall_ms(), &reply->catalog, &job->err);
}

static void updated(struct job *job)
{
	const Kindred__V1__UpdateCatalogResponse *reply = (const void *)job->reply;

	if (!job->code)
		catalog_changed(job, reply->catalog,
				registry_first_version(&job->server->registry, reply->catalog->name));
	round_job_answer(job);
}

void catalogs_update(struct call *call, const uint8_t *data, size_t bytes)
{
	run(call, &kindred__v1__update_catalog_request__descriptor, data, bytes, update, updated);
}

static int delete (struct job *job)
{
	const Kindred__V1__DeleteCatalogRequest *request = (const void *)job->request;
	Kindred__Internal__Drop drop = KINDRED__INTERNAL__DROP__INIT;
	int rc = control_catalog_delete(job->server->control, request->name, &job->err);

	drop.name = request->name;
	if (!rc && buffer_frame(&job->frames, FRAME_CATALOG_DROP, &drop.base))
		rc = error_set(&job->err, E_EXHAUSTED, "out of memory");
	return rc;
}

static void deleted(struct job *job)
{
	struct server *server = job->server;

	if (!job->code) {
		registry_catalog_drop(&server->registry, ((Kindred__V1__DeleteCatalogRequest *)job->request)->name);
		supervisor_tell(&server->supervisor, job->frames.data, job->frames.bytes);
	}
	round_job_answer(job);
}

void catalogs_delete(struct call *call, const uint8_t *data, size_t bytes)
{
	run(call, &kindred__v1__delete_catalog_request__descriptor, data, bytes, delete, deleted);
}
