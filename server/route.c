#include "server/route.h"

#include "common/wire.h"
#include "kindred/v1/events.pb-c.h"
#include "server/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The user id is field 1 of every request that comes here. */
#define USER_ID_FIELD 1
#define GENERATION_FIELD 7 /* of a RecommendRequest */

static struct call *call_of(struct ask *ask)
{
	return (struct call *)((char *)ask - offsetof(struct call, ask));
}

static void forward(struct call *call, enum frame_kind kind, const uint8_t *data, size_t bytes,
		    void (*answered)(struct ask *ask, int code, const uint8_t *data, size_t bytes))
{
	struct worker *worker;
	const uint8_t *user;
	size_t user_bytes;
	struct error err;
	int found = wire_find(data, bytes, USER_ID_FIELD, &user, &user_bytes);

	if (found < 0) {
		call_fail(call, E_INVALID, "the request is not a valid message");
		return;
	}
	if (!found || !user_bytes) {
		call_fail(call, E_INVALID, "user_id: missing; 1 to %d bytes of UTF-8 are allowed", USER_ID_MAX);
		return;
	}
	worker = supervisor_worker(&call->server->supervisor, user, user_bytes);
	call->ask.answered = answered;
	if (worker_ask(worker, &call->ask, kind, call->deadline_ns, true, data, bytes, &err))
		call_fail_error(call, &err);
}

void route_stop(struct call *call)
{
	if (!call->ask.link)
		return; /* a lane has it, or it waits for a generation: that ends by itself */
	ask_forget(&call->ask);
	call_fail(call, E_CANCELLED, "cancelled");
}

static bool failed(struct call *call, int code, const uint8_t *data, size_t bytes)
{
	if (code)
		call_fail(call, code, "%.*s", (int)bytes, (const char *)data);
	return code != 0;
}

/* --- Recommend --- */

static void on_recommended(struct ask *ask, int code, const uint8_t *data, size_t bytes)
{
	struct call *call = call_of(ask);

	if (!failed(call, code, data, bytes))
		call_reply(call, data, bytes);
}

/* A call that waits until the generation it asks for is loaded. */
struct pinned {
	struct pin_wait wait;
	struct call *call;
	size_t bytes;
	uint8_t data[];
};

static void on_pinned(struct pin_wait *wait, int code, const struct error *err)
{
	struct pinned *pinned = (struct pinned *)wait;

	if (code)
		call_fail_error(pinned->call, err);
	else
		forward(pinned->call, FRAME_CALL_RECOMMEND, pinned->data, pinned->bytes, on_recommended);
	free(pinned);
}

/* Whether the generation the call asks for is at hand. Else the call has ended, or goes on by itself. */
static bool at_hand(struct call *call, uint64_t generation, const uint8_t *data, size_t bytes)
{
	struct pinned *pinned = malloc(sizeof *pinned + bytes);
	struct error err;
	int rc;

	if (!pinned) {
		call_fail(call, E_EXHAUSTED, "out of memory");
		return false;
	}
	*pinned = (struct pinned){ .wait.ready = on_pinned, .call = call, .bytes = bytes };
	memcpy(pinned->data, data, bytes);
	rc = pins_want(&call->server->pins, generation, &pinned->wait, &err);
	if (rc == PIN_LATER)
		return false;
	free(pinned);
	if (rc)
		call_fail_error(call, &err);
	return rc == 0;
}

void route_recommend(struct call *call, const uint8_t *data, size_t bytes)
{
	uint64_t generation = 0;

	call->server->stats.recommend_calls++;
	call->server->recommends++;
	if (wire_find_number(data, bytes, GENERATION_FIELD, &generation) == 1 && generation &&
	    !at_hand(call, generation, data, bytes))
		return;
	forward(call, FRAME_CALL_RECOMMEND, data, bytes, on_recommended);
}

/* Here all ways end, also that of a call that was refused at the door: only now it is known which it took. */
void route_recommend_release(struct call *call)
{
	struct stats *stats = &call->server->stats;

	if (call_went_through(call))
		stats->recommend_users++;
	else
		stats->recommend_failed_users++;
}

/* --- ListUserEvents: the worker knows keys, the control store knows ids and names --- */

/* Puts id, name and catalog of the item into the event. An item that no catalog has stays without. */
static int name_item(struct control *control, Kindred__V1__StoredEvent *event, struct error *err)
{
	struct item_key key = { .value = strtoull(event->item_key, NULL, 16) };
	Kindred__V1__Item *item = NULL;
	const char *catalog = NULL;
	int rc = control_item_find(control, key, &item, &catalog, err);

	if (rc == E_NOT_FOUND)
		return 0;
	if (rc)
		return rc;
	/*
	 * Empty strings of an unpacked message are protobuf-c's own and not to be freed; a worker leaves
	 * these three empty.
	 */
	event->item_id = item->id;
	event->item_name = item->name;
	event->catalog = strdup(catalog);
	item->id = item->name = (char *)protobuf_c_empty_string;
	kindred__v1__item__free_unpacked(item, NULL);
	return event->catalog ? 0 : error_set(err, E_EXHAUSTED, "out of memory");
}

static int name_items(struct job *job)
{
	Kindred__V1__ListUserEventsResponse *response;
	int rc = 0;

	response = kindred__v1__list_user_events_response__unpack(NULL, job->size, job->bytes);
	if (!response)
		return error_set(&job->err, E_INTERNAL, "the worker's answer cannot be read");
	job->reply = &response->base;
	for (size_t i = 0; i < response->n_events && !rc; i++)
		rc = name_item(job->server->control, response->events[i], &job->err);
	return rc;
}

static void on_listed(struct ask *ask, int code, const uint8_t *data, size_t bytes)
{
	struct call *call = call_of(ask);

	if (!failed(call, code, data, bytes))
		lane_call(&call->server->control_lane, call, NULL, data, bytes, name_items, NULL);
}

void route_list_events(struct call *call, const uint8_t *data, size_t bytes)
{
	forward(call, FRAME_CALL_LIST_EVENTS, data, bytes, on_listed);
}

/* --- DeleteUser: the worker forgets, the server knows which models may have learnt from the user --- */

static void on_deleted(struct ask *ask, int code, const uint8_t *data, size_t bytes)
{
	struct call *call = call_of(ask);
	struct server *server = call->server;
	struct buffer answer = { 0 };
	uint64_t existed = 0, learning = builds_learning(&server->builds);
	bool whole;

	if (failed(call, code, data, bytes))
		return;
	/* A message's fields may come in pieces: the generations are added behind what the worker said. */
	whole = !buffer_add(&answer, data, bytes);
	if (wire_find_number(data, bytes, 1, &existed) == 1 && existed) {
		for (size_t i = 0; i < server->kept.count; i++)
			whole = whole && !buffer_number(&answer, 3, server->kept.list[i].number);
		/* One being made, or made and not yet listed among those. */
		if (learning > kept_newest(&server->kept))
			whole = whole && !buffer_number(&answer, 3, learning);
	}
	if (whole)
		call_reply(call, answer.data, answer.bytes);
	else
		call_fail(call, E_EXHAUSTED, "out of memory");
	buffer_fini(&answer);
}

void route_delete_user(struct call *call, const uint8_t *data, size_t bytes)
{
	forward(call, FRAME_CALL_DELETE_USER, data, bytes, on_deleted);
}
