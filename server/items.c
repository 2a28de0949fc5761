#include "server/items.h"

#include "common/clock.h"
#include "kindred/internal/link.pb-c.h"
#include "server/page.h"
#include "server/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_MAX 10000
#define LIST_MAX 1000
#define READ_ITEMS 50

/*
 * Whether changes must be told: some worker has a generation. Asked when the job is made. A worker that loads
 * its first one later is caught up from the control store, by a job that stands behind this one in the lane.
 */
static bool somebody_serves(const struct server *server)
{
	for (uint32_t i = 0; i < server->supervisor.count; i++)
		if (server->supervisor.workers[i].has_model)
			return true;
	return false;
}

static int add_change(struct job *job, const char *catalog, const char *item_id, const Kindred__V1__Item *item,
		      uint64_t version)
{
	Kindred__Internal__ItemSet set = KINDRED__INTERNAL__ITEM_SET__INIT;

	if (!job->context) /* nobody serves */
		return 0;
	set.catalog = (char *)catalog;
	set.item_key = item_key(catalog_seed(catalog, strlen(catalog)), item_id, strlen(item_id)).value;
	set.item = (Kindred__V1__Item *)item;
	set.deleted = !item;
	set.version = version;
	if (buffer_frame(&job->frames, FRAME_ITEM_SET, &set.base))
		return error_set(
			&job->err, E_EXHAUSTED,
			"out of memory: the catalog is changed, but recommendations know it after the next model only");
	return 0;
}

/* What was added goes out also when the job failed after its commit. */
static void told(struct job *job)
{
	supervisor_tell_items(&job->server->supervisor, job->frames.data, job->frames.bytes);
	job_answer(job);
	job_free(job);
}

static void run(struct call *call, const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t bytes,
		int (*work)(struct job *job), void (*done)(struct job *job))
{
	struct job *job = job_new(call->server, call, type, data, bytes, work, done);

	if (!job) {
		call_fail(call, E_EXHAUSTED, "out of memory");
		if (call->method->kind == METHOD_STREAM)
			call_message_done(call, bytes);
		return;
	}
	job->context = somebody_serves(call->server) ? job : NULL;
	lane_run(&call->server->control_lane, job);
}

/* --- import --- */

struct batch {
	const Kindred__V1__ImportItemsRequest *request;
	enum control_change *changes;
	char **reasons;
};

static int count_changes(struct job *job, struct batch *batch, Kindred__V1__ImportItemsResponse *reply)
{
	size_t count = batch->request->n_items, refused = 0;

	for (size_t i = 0; i < count; i++) {
		reply->created += batch->changes[i] == CONTROL_CREATED;
		reply->updated += batch->changes[i] == CONTROL_UPDATED;
		reply->unchanged += batch->changes[i] == CONTROL_UNCHANGED;
		refused += batch->changes[i] == CONTROL_REFUSED;
	}
	reply->errors = refused ? calloc(refused, sizeof *reply->errors) : NULL;
	for (size_t i = 0; i < count; i++) {
		Kindred__V1__ItemError *error;

		if (batch->changes[i] != CONTROL_REFUSED)
			continue;
		error = reply->errors ? malloc(sizeof *error) : NULL;
		if (!error)
			return error_set(&job->err, E_EXHAUSTED, "out of memory for the answer; send the batch again");
		kindred__v1__item_error__init(error);
		reply->errors[reply->n_errors++] = error;
		error->index = (uint32_t)i;
		error->item_id = strdup(batch->request->items[i]->id);
		error->reason = batch->reasons[i];
		batch->reasons[i] = NULL;
		if (!error->item_id)
			return error_set(&job->err, E_EXHAUSTED, "out of memory for the answer; send the batch again");
	}
	return 0;
}

static int import_batch(struct job *job, struct batch *batch, Kindred__V1__ImportItemsResponse *reply)
{
	const Kindred__V1__ImportItemsRequest *request = batch->request;
	int rc = control_items_put(job->server->control, request->catalog, request->n_items, request->items,
				   clock_wall_ms(), batch->changes, batch->reasons, &job->err);

	for (size_t i = 0; !rc && i < request->n_items; i++)
		if (batch->changes[i] == CONTROL_CREATED || batch->changes[i] == CONTROL_UPDATED)
			rc = add_change(job, request->catalog, request->items[i]->id, request->items[i],
					request->items[i]->version);
	return rc ? rc : count_changes(job, batch, reply);
}

static int import(struct job *job)
{
	struct batch batch = { .request = (Kindred__V1__ImportItemsRequest *)job->request };
	Kindred__V1__ImportItemsResponse *reply = job_reply(job, &kindred__v1__import_items_response__descriptor);
	size_t count = batch.request->n_items;
	int rc;

	if (!reply)
		return job->code;
	reply->batch = batch.request->batch;
	if (count < 1 || count > BATCH_MAX)
		return error_set(&job->err, E_INVALID, "items: %zu in one message; 1 to 10,000 are allowed", count);
	batch.changes = arena_zalloc(&job->arena, count * sizeof *batch.changes);
	batch.reasons = arena_zalloc(&job->arena, count * sizeof *batch.reasons);
	if (!batch.changes || !batch.reasons)
		return error_set(&job->err, E_EXHAUSTED, "out of memory; send smaller batches");
	rc = import_batch(job, &batch, reply);
	for (size_t i = 0; i < count; i++)
		free(batch.reasons[i]);
	return rc;
}

static void imported(struct job *job)
{
	Kindred__V1__ImportItemsResponse *reply = (Kindred__V1__ImportItemsResponse *)job->reply;

	if (reply)
		job->server->stats.import_items += reply->created + reply->updated + reply->unchanged;
	told(job);
}

/* --- one item --- */

static int get(struct job *job)
{
	Kindred__V1__GetItemRequest *request = (Kindred__V1__GetItemRequest *)job->request;
	Kindred__V1__GetItemResponse *reply = job_reply(job, &kindred__v1__get_item_response__descriptor);

	if (!reply)
		return job->code;
	return control_item_get(job->server->control, request->catalog, request->item_id, &reply->item, &job->err);
}

static int update(struct job *job)
{
	Kindred__V1__UpdateItemRequest *request = (Kindred__V1__UpdateItemRequest *)job->request;
	Kindred__V1__UpdateItemResponse *reply = job_reply(job, &kindred__v1__update_item_response__descriptor);
	int rc;

	if (!reply)
		return job->code;
	rc = control_item_update(job->server->control, request, clock_wall_ms(), &reply->item, &job->err);
	return rc ? rc : add_change(job, request->catalog, request->item_id, reply->item, reply->item->version);
}

static int delete (struct job *job)
{
	Kindred__V1__DeleteItemRequest *request = (Kindred__V1__DeleteItemRequest *)job->request;
	uint64_t version = 0;
	int rc = control_item_delete(job->server->control, request->catalog, request->item_id, clock_wall_ms(),
				     &version, &job->err);

	return rc ? rc : add_change(job, request->catalog, request->item_id, NULL, version);
}

/* --- list --- */

/* The token is the key of the last item, in hex; "": from the start. */
static int token_read(const char *token, struct item_key *after, struct error *err)
{
	char *end = NULL;

	after->value = 0;
	if (!*token)
		return 0;
	after->value = strtoull(token, &end, 16);
	if (strlen(token) != 16 || *end)
		return error_set(err, E_INVALID, "page_token: '%.32s' is not one of this list's", token);
	return 0;
}

static struct item_key key_of(const char *catalog, const Kindred__V1__Item *item)
{
	return item_key(catalog_seed(catalog, strlen(catalog)), item->id, strlen(item->id));
}

/* Reads on until the page has `size` items or as many bytes as it may. An item can have 800 kB, so a few at a time. */
static int fill_page(struct job *job, Kindred__V1__ListItemsResponse *reply, const char *catalog, struct item_key after,
		     size_t size, bool *more)
{
	size_t bytes = PAGE_BYTES;

	*more = true;
	while (*more && reply->n_items < size) {
		size_t left = size - reply->n_items, count = 0, kept, used;
		Kindred__V1__Item **items = NULL;
		int rc = control_item_list(job->server->control, catalog, after, left < READ_ITEMS ? left : READ_ITEMS,
					   &items, &count, more, &job->err);

		if (rc)
			return rc;
		if (!count)
			return 0;
		kept = page_cut((ProtobufCMessage **)items, count, bytes, more, &used);
		memcpy(reply->items + reply->n_items, items, kept * sizeof *items);
		reply->n_items += kept;
		free(items);
		if (kept < count || used >= bytes)
			return 0;
		bytes -= used;
		after = key_of(catalog, reply->items[reply->n_items - 1]);
	}
	return 0;
}

static int list(struct job *job)
{
	Kindred__V1__ListItemsRequest *request = (Kindred__V1__ListItemsRequest *)job->request;
	Kindred__V1__ListItemsResponse *reply = job_reply(job, &kindred__v1__list_items_response__descriptor);
	struct item_key after;
	char token[17];
	bool more = false;
	size_t size;
	int rc;

	if (!reply)
		return job->code;
	rc = page_size(request->page_size, LIST_MAX, &size, &job->err);
	if (!rc)
		rc = token_read(request->page_token, &after, &job->err);
	if (rc)
		return rc;
	reply->items = calloc(size, sizeof *reply->items);
	if (!reply->items)
		return error_set(&job->err, E_EXHAUSTED, "out of memory for the answer");
	rc = fill_page(job, reply, request->catalog, after, size, &more);
	if (rc || !more || !reply->n_items)
		return rc;
	snprintf(token, sizeof token, "%016" PRIx64, key_of(request->catalog, reply->items[reply->n_items - 1]).value);
	reply->next_page_token = strdup(token);
	return reply->next_page_token ? 0 : error_set(&job->err, E_EXHAUSTED, "out of memory for the answer");
}

void items_import(struct call *call, const uint8_t *data, size_t bytes)
{
	run(call, &kindred__v1__import_items_request__descriptor, data, bytes, import, imported);
}

void items_get(struct call *call, const uint8_t *data, size_t bytes)
{
	run(call, &kindred__v1__get_item_request__descriptor, data, bytes, get, NULL);
}

void items_list(struct call *call, const uint8_t *data, size_t bytes)
{
	run(call, &kindred__v1__list_items_request__descriptor, data, bytes, list, NULL);
}

void items_update(struct call *call, const uint8_t *data, size_t bytes)
{
	run(call, &kindred__v1__update_item_request__descriptor, data, bytes, update, told);
}

void items_delete(struct call *call, const uint8_t *data, size_t bytes)
{
	run(call, &kindred__v1__delete_item_request__descriptor, data, bytes, delete, told);
}
