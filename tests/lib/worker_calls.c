#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/worker_calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A reply with status 0, unpacked. */
static void *unpack_reply(struct worker_process *process, uint64_t call, const ProtobufCMessageDescriptor *type)
{
	struct worker_frame *frame = worker_reply(process, call);
	if (frame->head.status)
		fail_msg("status %u: %s", frame->head.status, (char *)frame->payload);
	void *message = protobuf_c_message_unpack(type, NULL, frame->head.bytes, frame->payload);
	if (!message)
		fail_msg("the reply is not a %s", type->name);
	free(frame);
	return message;
}

/* --- what the server would tell it --- */

void worker_set_shop(struct worker_process *process)
{
	static const struct {
		const char *name;
		Kindred__V1__AttributeType type;
	} schema[] = {
		{ "price", KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_NUMBER },
		{ "in_stock", KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_BOOLEAN },
		{ "category", KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_STRING },
		{ "tags", KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_STRING_LIST },
	};
	Kindred__V1__AttributeSchema attributes[4], *list[4];
	Kindred__V1__Catalog catalog = KINDRED__V1__CATALOG__INIT;
	Kindred__Internal__CatalogSet set = KINDRED__INTERNAL__CATALOG_SET__INIT;
	for (size_t i = 0; i < 4; i++) {
		kindred__v1__attribute_schema__init(&attributes[i]);
		attributes[i].name = (char *)schema[i].name;
		attributes[i].type = schema[i].type;
		list[i] = &attributes[i];
	}
	catalog.name = (char *)"shop";
	catalog.n_attributes = 4;
	catalog.attributes = list;
	set.catalog = &catalog;
	worker_send_message(process, FRAME_CATALOG_SET, &set.base);
}

void worker_start_shop(struct worker_process *process)
{
	worker_start(process);
	worker_set_shop(process);
}

void worker_set_definition(struct worker_process *process, const Kindred__V1__Definition *definition)
{
	Kindred__Internal__DefinitionSet set = KINDRED__INTERNAL__DEFINITION_SET__INIT;
	set.definition = (Kindred__V1__Definition *)definition;
	worker_send_message(process, FRAME_DEFINITION_SET, &set.base);
}

static void command(struct worker_process *process, enum frame_kind kind, enum frame_kind answer, const char *path,
		    uint64_t number)
{
	Kindred__Internal__GenerationCommand message = KINDRED__INTERNAL__GENERATION_COMMAND__INIT;
	message.path = (char *)path;
	message.number = number;
	uint64_t call = worker_send_message(process, kind, &message.base);
	struct worker_frame *frame = worker_await(process, answer, call);
	if (!frame || frame->head.status)
		fail_msg("generation %llu: %s", (unsigned long long)number,
			 frame ? (char *)frame->payload : "the worker ended");
	free(frame);
}

void worker_serve_generation(struct worker_process *process, const char *path, uint64_t number)
{
	command(process, FRAME_GENERATION_LOAD, FRAME_GENERATION_LOADED, path, number);
	command(process, FRAME_GENERATION_ACTIVATE, FRAME_GENERATION_ACTIVATED, path, number);
}

/* --- calls --- */

uint64_t worker_send_events(struct worker_process *process, const struct test_event *events, size_t count)
{
	Kindred__V1__IngestEventsRequest request = KINDRED__V1__INGEST_EVENTS_REQUEST__INIT;
	Kindred__V1__Event *all = calloc(count, sizeof *all);
	Kindred__V1__Event **list = calloc(count, sizeof(Kindred__V1__Event *));
	Google__Protobuf__Timestamp *times = calloc(count, sizeof *times);
	for (size_t i = 0; i < count; i++) {
		kindred__v1__event__init(&all[i]);
		google__protobuf__timestamp__init(&times[i]);
		all[i].user_id = (char *)events[i].user;
		all[i].item_id = (char *)events[i].item;
		all[i].type = (char *)events[i].type;
		all[i].event_id = (char *)(events[i].id ? events[i].id : "");
		times[i].seconds = events[i].time_ms / 1000;
		times[i].nanos = (int32_t)(events[i].time_ms % 1000 * 1000000);
		all[i].time = events[i].time_ms ? &times[i] : NULL;
		list[i] = &all[i];
	}
	request.catalog = (char *)"shop";
	request.events = list;
	request.n_events = count;
	uint64_t call = worker_send_message(process, FRAME_CALL_INGEST, &request.base);
	free(times);
	free(list);
	free(all);
	return call;
}

Kindred__V1__IngestEventsResponse *worker_ingest(struct worker_process *process, const struct test_event *events,
						 size_t count)
{
	uint64_t call = worker_send_events(process, events, count);
	Kindred__V1__IngestEventsResponse *response =
		unpack_reply(process, call, &kindred__v1__ingest_events_response__descriptor);
	assert_int_equal(response->n_outcomes, count);
	return response;
}

void worker_ingest_one(struct worker_process *process, const char *user, const char *item, const char *type,
		       int64_t time_ms)
{
	struct test_event event = { .user = user, .item = item, .type = type, .time_ms = time_ms };
	Kindred__V1__IngestEventsResponse *response = worker_ingest(process, &event, 1);
	if (response->outcomes[0] != KINDRED__V1__OUTCOME__OUTCOME_ACCEPTED)
		fail_msg("outcome %d: %s", (int)response->outcomes[0],
			 response->n_refusals ? response->refusals[0]->reason : "");
	kindred__v1__ingest_events_response__free_unpacked(response, NULL);
}

Kindred__V1__RecommendResponse *worker_recommend_request(struct worker_process *process,
							 const Kindred__V1__RecommendRequest *request)
{
	uint64_t call = worker_send_message(process, FRAME_CALL_RECOMMEND, &request->base);
	return unpack_reply(process, call, &kindred__v1__recommend_response__descriptor);
}

Kindred__V1__RecommendResponse *worker_recommend(struct worker_process *process, const char *user,
						 const char *definition, uint32_t count)
{
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	request.user_id = (char *)user;
	request.definition = (char *)definition;
	request.count = count;
	return worker_recommend_request(process, &request);
}

Kindred__V1__RecommendManyResponse *worker_many_reply(struct worker_process *process, uint64_t call)
{
	return unpack_reply(process, call, &kindred__v1__recommend_many_response__descriptor);
}

const char *worker_recommended(const Kindred__V1__RecommendResponse *response)
{
	static char text[8192];
	size_t used = 0;
	text[0] = '\0';
	for (size_t i = 0; i < response->n_items && used < sizeof text; i++) {
		bool personal = response->items[i]->source == KINDRED__V1__SOURCE__SOURCE_PERSONAL;
		used += (size_t)snprintf(text + used, sizeof text - used, "%s%s%s", i ? " " : "",
					 response->items[i]->item_id, personal ? "" : "*");
	}
	return text;
}

const char *worker_recommends(struct worker_process *process, const char *user, const char *definition, uint32_t count)
{
	Kindred__V1__RecommendResponse *response = worker_recommend(process, user, definition, count);
	const char *text = worker_recommended(response);
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	return text;
}

Kindred__V1__ListUserEventsResponse *worker_list(struct worker_process *process, const char *user, uint32_t page_size,
						 const char *token)
{
	Kindred__V1__ListUserEventsRequest request = KINDRED__V1__LIST_USER_EVENTS_REQUEST__INIT;
	request.user_id = (char *)user;
	request.page_size = page_size;
	request.page_token = (char *)token;
	uint64_t call = worker_send_message(process, FRAME_CALL_LIST_EVENTS, &request.base);
	return unpack_reply(process, call, &kindred__v1__list_user_events_response__descriptor);
}

uint32_t worker_kept_events(struct worker_process *process, const char *user)
{
	Kindred__V1__ListUserEventsResponse *list = worker_list(process, user, 1, "");
	uint32_t total = list->total_size;
	kindred__v1__list_user_events_response__free_unpacked(list, NULL);
	return total;
}

Kindred__Internal__WorkerStats *worker_stats(struct worker_process *process)
{
	uint64_t call = worker_send(process, FRAME_STATS_WANTED, "", 0);
	struct worker_frame *frame = worker_await(process, FRAME_STATS, call);
	assert_non_null(frame);
	Kindred__Internal__WorkerStats *stats =
		kindred__internal__worker_stats__unpack(NULL, frame->head.bytes, frame->payload);
	assert_non_null(stats);
	free(frame);
	return stats;
}
