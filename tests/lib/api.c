#include "lib/api.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct rpc_client *api_open(const struct cluster *cluster)
{
	struct rpc_client *client = NULL;
	struct error err;
	if (rpc_open(&client, cluster->address, &err) != 0)
		fail_msg("%s", err.text);
	return client;
}

int api_try(struct rpc_client *client, const char *method, const ProtobufCMessage *request,
	    const ProtobufCMessageDescriptor *type, void *response, struct error *err)
{
	*(void **)response = NULL;
	return rpc_call(client, method, request, type, API_PATIENCE_MS, NULL, response, err);
}

static void *must(struct rpc_client *client, const char *method, const ProtobufCMessage *request,
		  const ProtobufCMessageDescriptor *type)
{
	struct error err = { 0 };
	void *response = NULL;
	if (api_try(client, method, request, type, &response, &err) != 0)
		fail_msg("%s: %s: %s", method, error_name(err.code), err.text);
	return response;
}

Kindred__V1__RecommendResponse *api_recommend(struct rpc_client *client, const char *definition, const char *user,
					      uint32_t count)
{
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	request.definition = (char *)definition;
	request.user_id = (char *)user;
	request.count = count;
	return must(client, "/kindred.v1.RecommendationService/Recommend", &request.base,
		    &kindred__v1__recommend_response__descriptor);
}

bool api_same_items(const Kindred__V1__RecommendResponse *a, const Kindred__V1__RecommendResponse *b)
{
	if (a->n_items != b->n_items)
		return false;
	for (size_t i = 0; i < a->n_items; i++)
		if (strcmp(a->items[i]->item_id, b->items[i]->item_id) != 0 ||
		    a->items[i]->score != b->items[i]->score || a->items[i]->source != b->items[i]->source)
			return false;
	return true;
}

int api_position(const Kindred__V1__RecommendResponse *answer, const char *item_id)
{
	for (size_t i = 0; i < answer->n_items; i++)
		if (strcmp(answer->items[i]->item_id, item_id) == 0)
			return (int)i;
	return -1;
}

int api_try_ingest(struct rpc_client *client, const char *catalog, const char *user, const char *item, const char *type,
		   const char *event_id, Kindred__V1__Outcome *outcome)
{
	Kindred__V1__Event event = KINDRED__V1__EVENT__INIT;
	Kindred__V1__Event *events[] = { &event };
	Kindred__V1__IngestEventsRequest request = KINDRED__V1__INGEST_EVENTS_REQUEST__INIT;
	Kindred__V1__IngestEventsResponse *response = NULL;
	struct error err;
	event.user_id = (char *)user;
	event.item_id = (char *)item;
	event.type = (char *)type;
	event.event_id = event_id ? (char *)event_id : (char *)protobuf_c_empty_string;
	request.catalog = (char *)catalog;
	request.events = events;
	request.n_events = 1;
	int code = api_try(client, "/kindred.v1.EventService/IngestEvents", &request.base,
			   &kindred__v1__ingest_events_response__descriptor, &response, &err);
	if (code != 0)
		return code;
	assert_int_equal(response->n_outcomes, 1);
	*outcome = response->outcomes[0];
	kindred__v1__ingest_events_response__free_unpacked(response, NULL);
	return 0;
}

Kindred__V1__Outcome api_ingest(struct rpc_client *client, const char *catalog, const char *user, const char *item,
				const char *type, const char *event_id)
{
	Kindred__V1__Outcome outcome = 0;
	int code = api_try_ingest(client, catalog, user, item, type, event_id, &outcome);
	if (code != 0)
		fail_msg("ingest of one event: %s", error_name(code));
	return outcome;
}

Kindred__V1__GetStatusResponse *api_status(struct rpc_client *client)
{
	Kindred__V1__GetStatusRequest request = KINDRED__V1__GET_STATUS_REQUEST__INIT;
	return must(client, "/kindred.v1.StatusService/GetStatus", &request.base,
		    &kindred__v1__get_status_response__descriptor);
}

struct fresh_status {
	struct rpc_client *client;
	Kindred__V1__GetStatusResponse *status;
};

/*
 * A worker that did not answer within the server's patience, as on a machine with much else to do, is there with what
 * it said before.
 */
static bool all_answered(void *context)
{
	struct fresh_status *fresh = context;
	Kindred__V1__GetStatusResponse *status = api_status(fresh->client);
	bool all = true;
	for (size_t i = 0; i < status->n_workers; i++)
		all = all && status->workers[i]->silent_ms == 0;
	if (all)
		fresh->status = status;
	else
		kindred__v1__get_status_response__free_unpacked(status, NULL);
	return all;
}

struct api_totals api_totals(struct rpc_client *client)
{
	struct api_totals totals = { 0 };
	struct fresh_status fresh = { .client = client };
	wait_until("all workers answer", all_answered, &fresh);
	Kindred__V1__GetStatusResponse *status = fresh.status;
	for (size_t i = 0; i < status->n_shards; i++) {
		totals.users += status->shards[i]->users;
		totals.accepted += status->shards[i]->accepted;
		totals.kept += status->shards[i]->kept;
		totals.duplicates += status->shards[i]->duplicates;
		totals.dropped += status->shards[i]->dropped;
		totals.refused += status->shards[i]->refused;
	}
	kindred__v1__get_status_response__free_unpacked(status, NULL);
	return totals;
}

uint64_t api_active_generation(struct rpc_client *client)
{
	Kindred__V1__GetStatusResponse *status = api_status(client);
	uint64_t generation = status->active_generation;
	kindred__v1__get_status_response__free_unpacked(status, NULL);
	return generation;
}

uint32_t api_history_size(struct rpc_client *client, const char *user)
{
	Kindred__V1__ListUserEventsRequest request = KINDRED__V1__LIST_USER_EVENTS_REQUEST__INIT;
	request.user_id = (char *)user;
	Kindred__V1__ListUserEventsResponse *response =
		must(client, "/kindred.v1.EventService/ListUserEvents", &request.base,
		     &kindred__v1__list_user_events_response__descriptor);
	uint32_t size = response->total_size;
	kindred__v1__list_user_events_response__free_unpacked(response, NULL);
	return size;
}

struct rpc_stream *api_open_many(struct rpc_client *client)
{
	struct rpc_stream *stream;
	struct error err;
	if (rpc_stream_open(&stream, client, "/kindred.v1.RecommendationService/RecommendMany",
			    &kindred__v1__recommend_many_response__descriptor, RPC_FOREVER, &err))
		fail_msg("%s", err.text);
	return stream;
}

void api_send_many(struct rpc_stream *stream, const char *definition, char **users, size_t user_count, uint32_t count,
		   bool with_names)
{
	Kindred__V1__RecommendManyRequest request = KINDRED__V1__RECOMMEND_MANY_REQUEST__INIT;
	struct error err;
	request.definition = (char *)definition;
	request.n_user_ids = user_count;
	request.user_ids = users;
	request.count = count;
	request.with_names = with_names;
	if (rpc_stream_send(stream, &request.base, &err) != 0)
		fail_msg("%s", err.text);
}
