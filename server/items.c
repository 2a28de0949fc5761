#include "server/items.h"

#include "common/clock.h"
#include "kindred/internal/link.pb-c.h"
#include "server/import_batch.h"
#include "server/page.h"
#include "server/round.h"
#include "server/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	round_job_answer(job);
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

struct taken {
	struct import_batch batch;
	enum control_change *changes; /* [batch.readable] */
	char **reasons; /* [batch.readable], of those refused */
};

static int add_error(struct job *job, Kindred__V1__ImportItemsResponse *reply, uint32_t index, const char *item_id,
		     const char *reason)
{
	Kindred__V1__ItemError *error = malloc(sizeof *error);

	if (!error)
		return error_set(&job->err, E_EXHAUSTED, "out of memory for the answer; send the batch again");
	kindred__v1__item_error__init(error);
	reply->errors[reply->n_errors++] = error;
	error->index = index;
	error->item_id = strdup(item_id);
	error->reason = strdup(reason);
	if (!error->item_id || !error->reason)
		return error_set(&job->err, E_EXHAUSTED, "out of memory for the answer; send the batch again");
	return 0;
}

static size_t count_changes(const struct taken *taken, Kindred__V1__ImportItemsResponse *reply)
{
	size_t refused = taken->batch.count - taken->batch.readable;

	for (size_t i = 0; i < taken->batch.readable; i++) {
		reply->created += taken->changes[i] == CONTROL_CREATED;
		reply->updated += taken->changes[i] == CONTROL_UPDATED;
		reply->unchanged += taken->changes[i] == CONTROL_UNCHANGED;
		refused += taken->changes[i] == CONTROL_REFUSED;
	}
	return refused;
}

/* Those that could not be read and those that the catalog refused, in the request's order. */
static int answer_errors(struct job *job, const struct taken *taken, Kindred__V1__ImportItemsResponse *reply)
{
	const struct import_batch *batch = &taken->batch;
	size_t refused = count_changes(taken, reply), item = 0;
	int rc = 0;

	reply->errors = refused ? calloc(refused, sizeof *reply->errors) : NULL;
	if (refused && !reply->errors)
		return error_set(&job->err, E_EXHAUSTED, "out of memory for the answer; send the batch again");
	for (uint32_t i = 0; !rc && i < batch->count; i++) {
		const struct import_refusal *unread = &batch->refusals[i - item];

		if (item == batch->readable || batch->indexes[item] != i) {
			rc = add_error(job, reply, i, unread->item_id, unread->reason);
			continue;
		}
		if (taken->changes[item] == CONTROL_REFUSED)
			rc = add_error(job, reply, i, batch->items[item]->id, taken->reasons[item]);
		item++;
	}
	return rc;
}

/* Without an item that can be read there is nothing to put, but the catalog must be there all the same. */
static int check_catalog(struct job *job, const char *name)
{
	Kindred__V1__Catalog *catalog;
	int rc = control_catalog_get(job->server->control, name, &catalog, &job->err);

	kindred__v1__catalog__free_unpacked(catalog, NULL);
	return rc;
}

static int put_items(struct job *job, const struct taken *taken)
{
	const struct import_batch *batch = &taken->batch;
	int rc;

	if (!batch->readable)
		return check_catalog(job, batch->catalog);
	rc = control_items_put(job->server->control, batch->catalog, batch->readable, batch->items, clock_wall_ms(),
			       taken->changes, taken->reasons, &job->err);
	for (size_t i = 0; !rc && i < batch->readable; i++)
		if (taken->changes[i] == CONTROL_CREATED || taken->changes[i] == CONTROL_UPDATED)
			rc = add_change(job, batch->catalog, batch->items[i]->id, batch->items[i],
					batch->items[i]->version);
	return rc;
}

static int import(struct job *job)
{
	struct taken taken;
	Kindred__V1__ImportItemsResponse *reply = job_reply(job, &kindred__v1__import_items_response__descriptor);
	int rc;

	if (!reply)
		return job->code;
	rc = import_batch_read(&taken.batch, job->bytes, job->size, &job->arena, &job->err);
	if (rc)
		return rc;
	reply->batch = taken.batch.number;
	taken.changes = arena_zalloc(&job->arena, taken.batch.readable * sizeof *taken.changes + 1);
	taken.reasons = arena_zalloc(&job->arena, taken.batch.readable * sizeof *taken.reasons + 1);
	if (!taken.changes || !taken.reasons)
		return error_set(&job->err, E_EXHAUSTED, "out of memory; send smaller batches");
	rc = put_items(job, &taken);
	if (!rc)
		rc = answer_errors(job, &taken, reply);
	for (size_t i = 0; i < taken.batch.readable; i++)
		free(taken.reasons[i]);
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
	/* unpacked by import(), item by item */
	run(call, NULL, data, bytes, import, imported);
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
