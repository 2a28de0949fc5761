/*
 * Several front-ends on one port: a client cannot tell which of them serves it, and sees at once what
 * any of them acknowledged. What happens when one of them dies is in front_ends_deaths_test.c.
 */
#include "common/clock.h"
#include "grpc/health/v1/health.pb-c.h"
#include "kindred/v1/catalogs.pb-c.h"
#include "kindred/v1/definitions.pb-c.h"
#include "lib/api.h"
#include "lib/front_ends.h"
#include "lib/small_shop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_NS UINT64_C(1000000000) /* server/round.h */

/* --- one call, as bytes --- */

/* Whether all clients get the same code, text and answer of this call. */
static void same_for_all(const char *method, const ProtobufCMessage *request, const ProtobufCMessageDescriptor *type,
			 int code)
{
	uint8_t *first = NULL;
	size_t first_bytes = 0;
	struct error first_err = { 0 };
	for (unsigned i = 0; i < CLIENTS; i++) {
		ProtobufCMessage *answer = NULL;
		struct error err = { 0 };
		int got = api_try(front_ends_clients[i], method, request, type, &answer, &err);
		if (got != code)
			fail_msg("%s: client %u: %s: %s", method, i, error_name(got), err.text);
		size_t bytes = answer ? protobuf_c_message_get_packed_size(answer) : 0;
		uint8_t *packed = malloc(bytes + 1);
		if (answer)
			protobuf_c_message_pack(answer, packed);
		if (i == 0) {
			first = packed;
			first_bytes = bytes;
			first_err = err;
		} else {
			assert_int_equal(bytes, first_bytes);
			assert_memory_equal(packed, first, bytes);
			if (code)
				assert_string_equal(err.text, first_err.text);
			free(packed);
		}
		if (answer)
			protobuf_c_message_free_unpacked(answer, NULL);
	}
	free(first);
}

#define SAME(method, request, type, code)                                                                              \
	same_for_all(method, &(request).base, &kindred__v1__##type##__descriptor, code)

/* --- tests --- */

static void test_unary_methods(void **state)
{
	Kindred__V1__ListUserEventsRequest events = KINDRED__V1__LIST_USER_EVENTS_REQUEST__INIT;
	Kindred__V1__GetCatalogRequest catalog = KINDRED__V1__GET_CATALOG_REQUEST__INIT;
	Kindred__V1__ListCatalogsRequest catalogs = KINDRED__V1__LIST_CATALOGS_REQUEST__INIT;
	Kindred__V1__GetItemRequest item = KINDRED__V1__GET_ITEM_REQUEST__INIT;
	Kindred__V1__ListItemsRequest items = KINDRED__V1__LIST_ITEMS_REQUEST__INIT;
	Kindred__V1__GetDefinitionRequest definition = KINDRED__V1__GET_DEFINITION_REQUEST__INIT;
	Kindred__V1__ListGenerationsRequest generations = KINDRED__V1__LIST_GENERATIONS_REQUEST__INIT;
	Kindred__V1__GetModelStatusRequest model = KINDRED__V1__GET_MODEL_STATUS_REQUEST__INIT;
	Kindred__V1__IngestEventsRequest ingest = KINDRED__V1__INGEST_EVENTS_REQUEST__INIT;
	Kindred__V1__Event event = KINDRED__V1__EVENT__INIT, *one[] = { &event };
	Kindred__V1__RecommendRequest recommend = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	(void)state;
	events.user_id = (char *)"u7";
	SAME("/kindred.v1.EventService/ListUserEvents", events, list_user_events_response, 0);
	events.user_id = (char *)"";
	SAME("/kindred.v1.EventService/ListUserEvents", events, list_user_events_response, E_INVALID);
	catalog.name = (char *)"shop";
	SAME("/kindred.v1.CatalogService/GetCatalog", catalog, get_catalog_response, 0);
	catalog.name = (char *)"nowhere";
	SAME("/kindred.v1.CatalogService/GetCatalog", catalog, get_catalog_response, E_NOT_FOUND);
	SAME("/kindred.v1.CatalogService/ListCatalogs", catalogs, list_catalogs_response, 0);
	item.catalog = (char *)"shop";
	item.item_id = (char *)"a3";
	SAME("/kindred.v1.CatalogService/GetItem", item, get_item_response, 0);
	items.catalog = (char *)"shop";
	SAME("/kindred.v1.CatalogService/ListItems", items, list_items_response, 0);
	definition.name = (char *)"wanted-next";
	SAME("/kindred.v1.DefinitionService/GetDefinition", definition, get_definition_response, 0);
	SAME("/kindred.v1.ModelService/ListGenerations", generations, list_generations_response, 0);
	SAME("/kindred.v1.ModelService/GetModelStatus", model, get_model_status_response, 0);
	SAME("/kindred.v1.ModelService/NoSuchMethod", model, get_model_status_response, E_UNIMPLEMENTED);
	recommend.user_id = (char *)"u7";
	recommend.definition = (char *)"nothing";
	SAME("/kindred.v1.RecommendationService/Recommend", recommend, recommend_response, E_NOT_FOUND);
	recommend.definition = (char *)"wanted-next";
	recommend.generation = 99;
	SAME("/kindred.v1.RecommendationService/Recommend", recommend, recommend_response, E_PRECONDITION);
	event.user_id = (char *)"u7";
	ingest.n_events = 1;
	ingest.events = one;
	ingest.catalog = (char *)"nowhere";
	SAME("/kindred.v1.EventService/IngestEvents", ingest, ingest_events_response, E_NOT_FOUND);
	ingest.catalog = (char *)"";
	SAME("/kindred.v1.EventService/IngestEvents", ingest, ingest_events_response, E_INVALID);
}

/* Sends the message some times on a stream and counts the answers to it. */
static unsigned stream_answers(struct rpc_client *client, const char *method, const ProtobufCMessage *request,
			       unsigned times, const ProtobufCMessageDescriptor *type)
{
	struct rpc_stream *stream;
	struct error err = { 0 };
	unsigned answers = 0;
	void *answer;
	int rc = rpc_stream_open(&stream, client, method, type, 60000, &err);
	for (unsigned i = 0; i < times && !rc; i++)
		rc = rpc_stream_send(stream, request, &err);
	if (!rc)
		rc = rpc_stream_half_close(stream, &err);
	while (!rc && (rc = rpc_stream_receive(stream, 60000, NULL, &answer, NULL, &err)) == 1) {
		protobuf_c_message_free_unpacked(answer, NULL);
		answers++;
		rc = 0;
	}
	if (rc)
		fail_msg("%s: %s", method, err.text);
	rpc_stream_free(stream);
	return answers;
}

static void test_streams(void **state)
{
	Kindred__V1__RecommendManyRequest many = KINDRED__V1__RECOMMEND_MANY_REQUEST__INIT;
	Kindred__V1__RecommendAudienceRequest audience = KINDRED__V1__RECOMMEND_AUDIENCE_REQUEST__INIT;
	Kindred__V1__IngestEventStreamRequest events = KINDRED__V1__INGEST_EVENT_STREAM_REQUEST__INIT;
	Kindred__V1__ImportItemsRequest import = KINDRED__V1__IMPORT_ITEMS_REQUEST__INIT;
	Kindred__V1__Event event = KINDRED__V1__EVENT__INIT, *one[] = { &event };
	Kindred__V1__Item item = KINDRED__V1__ITEM__INIT, *one_item[] = { &item };
	char *users[] = { (char *)"u1", (char *)"u2", (char *)"u3" };
	(void)state;
	many.definition = audience.definition = (char *)"wanted-next";
	many.user_ids = users;
	many.n_user_ids = 3;
	event.user_id = (char *)"stream-user";
	event.item_id = (char *)"a1";
	event.type = (char *)"Viewed";
	events.catalog = import.catalog = (char *)"shop";
	events.events = one;
	events.n_events = import.n_items = 1;
	item.id = (char *)"new-in-a-stream";
	import.items = one_item;
	for (unsigned i = 0; i < CLIENTS; i++) {
		assert_true(stream_answers(front_ends_clients[i], "/kindred.v1.RecommendationService/RecommendMany",
					   &many.base, 20, &kindred__v1__recommend_many_response__descriptor) >= 20);
		assert_true(stream_answers(front_ends_clients[i], "/kindred.v1.RecommendationService/RecommendAudience",
					   &audience.base, 1,
					   &kindred__v1__recommend_audience_response__descriptor) >= 1);
		assert_int_equal(stream_answers(front_ends_clients[i], "/kindred.v1.EventService/IngestEventStream",
						&events.base, 20,
						&kindred__v1__ingest_event_stream_response__descriptor),
				 20);
		assert_int_equal(stream_answers(front_ends_clients[i], "/kindred.v1.CatalogService/ImportItems",
						&import.base, 20, &kindred__v1__import_items_response__descriptor),
				 20);
	}
	assert_int_equal(api_history_size(front_ends_clients[0], "stream-user"), 20 * CLIENTS);
}

/* What one front-end acknowledged, a call that is begun then at another one knows. */
static void test_acknowledged_is_known_everywhere(void **state)
{
	Kindred__V1__RecommendResponse *answer;
	struct error err;
	char name[32], user[32];
	(void)state;
	for (unsigned i = 0; i < 60; i++) {
		Kindred__V1__CreateDefinitionRequest create = KINDRED__V1__CREATE_DEFINITION_REQUEST__INIT;
		Kindred__V1__CreateDefinitionResponse *created;
		Kindred__V1__DeleteDefinitionRequest delete = KINDRED__V1__DELETE_DEFINITION_REQUEST__INIT;
		Kindred__V1__DeleteDefinitionResponse *deleted;
		Kindred__V1__Definition definition = KINDRED__V1__DEFINITION__INIT;
		Kindred__V1__EventWeight viewed = KINDRED__V1__EVENT_WEIGHT__INIT, bought = viewed;
		Kindred__V1__EventWeight *weights[] = { &bought, &viewed };
		snprintf(name, sizeof name, "made-%u", i);
		bought.type = (char *)"Purchased";
		bought.weight = 5;
		viewed.type = (char *)"Viewed";
		viewed.weight = 1; /* as wanted-next: what the model has learnt */
		definition.name = name;
		definition.catalog = (char *)"shop";
		definition.events = weights;
		definition.n_events = 2;
		create.definition = &definition;
		if (api_try(front_ends_clients[i % CLIENTS], "/kindred.v1.DefinitionService/CreateDefinition",
			    &create.base, &kindred__v1__create_definition_response__descriptor, &created, &err))
			fail_msg("CreateDefinition: %s", err.text);
		kindred__v1__create_definition_response__free_unpacked(created, NULL);
		for (unsigned k = 1; k < CLIENTS; k++) {
			snprintf(user, sizeof user, "u%u", k);
			if (front_ends_recommend(front_ends_clients[(i + k) % CLIENTS], name, user, 0, &answer, &err))
				fail_msg("client %u does not know definition %s: %s", (i + k) % CLIENTS, name,
					 err.text);
			front_ends_free_answer(answer);
		}
		delete.name = name;
		if (api_try(front_ends_clients[i % CLIENTS], "/kindred.v1.DefinitionService/DeleteDefinition",
			    &delete.base, &kindred__v1__delete_definition_response__descriptor, &deleted, &err))
			fail_msg("DeleteDefinition: %s", err.text);
		kindred__v1__delete_definition_response__free_unpacked(deleted, NULL);
		for (unsigned k = 1; k < CLIENTS; k++) {
			assert_int_equal(front_ends_recommend(front_ends_clients[(i + k) % CLIENTS], name, "u1", 0,
							      &answer, &err),
					 E_NOT_FOUND);
			front_ends_free_answer(answer);
		}
	}
}

static void set_stock(struct rpc_client *client, bool in_stock)
{
	Kindred__V1__UpdateItemRequest request = KINDRED__V1__UPDATE_ITEM_REQUEST__INIT;
	Kindred__V1__UpdateItemResponse *answer;
	Kindred__V1__Attribute attribute = KINDRED__V1__ATTRIBUTE__INIT, *attributes[] = { &attribute };
	struct error err;
	request.catalog = (char *)"shop";
	request.item_id = (char *)"a0";
	request.n_set_attributes = 1;
	request.set_attributes = attributes;
	attribute.name = (char *)"in_stock";
	attribute.value_case = KINDRED__V1__ATTRIBUTE__VALUE_BOOLEAN_VALUE;
	attribute.boolean_value = in_stock;
	if (api_try(client, "/kindred.v1.CatalogService/UpdateItem", &request.base,
		    &kindred__v1__update_item_response__descriptor, &answer, &err))
		fail_msg("UpdateItem: %s", err.text);
	kindred__v1__update_item_response__free_unpacked(answer, NULL);
}

static void test_item_changes_are_known_everywhere(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		bool in_stock = i % 2 != 0;
		set_stock(front_ends_clients[i % CLIENTS], in_stock);
		for (unsigned k = 1; k < CLIENTS; k++) {
			Kindred__V1__RecommendResponse *answer =
				api_recommend(front_ends_clients[(i + k) % CLIENTS], "wanted-next", "nobody-yet", 40);
			assert_int_equal(api_position(answer, "a0") >= 0, in_stock);
			front_ends_free_answer(answer);
		}
	}
}

static void test_events_are_known_everywhere(void **state)
{
	char user[32], item[8];
	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		char group = (char)('b' + i % 3);
		snprintf(user, sizeof user, "fresh-%u", i);
		snprintf(item, sizeof item, "%c0", group);
		assert_int_equal(api_ingest(front_ends_clients[i % CLIENTS], "shop", user, item, "Viewed", NULL),
				 KINDRED__V1__OUTCOME__OUTCOME_ACCEPTED);
		Kindred__V1__RecommendResponse *answer =
			api_recommend(front_ends_clients[(i * 7 + 1) % CLIENTS], "wanted-next", user, 3);
		assert_int_equal(answer->n_items, 3);
		for (size_t k = 0; k < 3; k++)
			assert_int_equal(answer->items[k]->item_id[0], group);
		front_ends_free_answer(answer);
	}
}

/* Activation and rollback are known at once; a call may ask for a kept generation at any front-end. */
static void test_generations_everywhere(void **state)
{
	Kindred__V1__RecommendResponse *answer;
	struct error err;
	(void)state;
	uint64_t before = api_active_generation(front_ends_clients[0]);
	cluster_ok(&front_ends_cluster, CLI("model", "build"));
	uint64_t after = api_active_generation(front_ends_clients[0]);
	assert_true(after > before);
	for (unsigned round = 0; round < 2; round++) {
		uint64_t active = round ? before : after;
		for (unsigned i = 0; i < CLIENTS; i++) {
			for (unsigned k = 0; k < 3; k++) {
				uint64_t wanted = k == 0 ? 0 : k == 1 ? before : after;
				if (front_ends_recommend(front_ends_clients[i], "wanted-next", "u5", wanted, &answer,
							 &err))
					fail_msg("generation %u: %s", (unsigned)wanted, err.text);
				assert_int_equal(answer->generation, wanted ? wanted : active);
				front_ends_free_answer(answer);
			}
		}
		if (round == 0)
			cluster_ok(&front_ends_cluster, CLI("model", "rollback"));
	}
}

/*
 * The status when the call that asks for it is the only one in work: one whose client has its answer may not be over
 * yet. An answer that took longer than a front-end is waited for may be without what that one counted.
 */
static bool status_alone(void *context)
{
	Kindred__V1__GetStatusResponse **status = context;
	uint64_t begun_ns = clock_monotonic_ns();
	*status = api_status(front_ends_clients[1]);
	bool exact = clock_monotonic_ns() - begun_ns < PATIENCE_NS;
	if (exact && (*status)->calls_in_flight == 1)
		return true;
	kindred__v1__get_status_response__free_unpacked(*status, NULL);
	return false;
}

/* Calls are counted over all front-ends, each once, and exactly when somebody asks. */
static void test_counts(void **state)
{
	Kindred__V1__GetStatusResponse *before, *after;
	(void)state;
	wait_until("nothing else is in work", status_alone, &before);
	for (unsigned i = 0; i < CLIENTS * 4; i++)
		front_ends_free_answer(api_recommend(front_ends_clients[i % CLIENTS], "wanted-next", "u9", 2));
	wait_until("nothing else is in work", status_alone, &after);
	assert_int_equal(after->recommend_calls - before->recommend_calls, CLIENTS * 4);
	assert_int_equal(after->recommend_users - before->recommend_users, CLIENTS * 4);
	kindred__v1__get_status_response__free_unpacked(before, NULL);
	kindred__v1__get_status_response__free_unpacked(after, NULL);
}

/* A second message fails a watch, which then is no call in work any more, although its client stays. */
static void test_a_watch_takes_one_message(void **state)
{
	enum { WATCHES = 8 };
	Grpc__Health__V1__HealthCheckRequest watch = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	(void)state;
	for (unsigned i = 0; i < WATCHES; i++) {
		struct rpc_stream *stream;
		struct error err;
		void *answer = NULL;
		int got = 0;
		assert_int_equal(
			rpc_stream_open(&stream, front_ends_clients[i % CLIENTS], "/grpc.health.v1.Health/Watch",
					&grpc__health__v1__health_check_response__descriptor, API_PATIENCE_MS, &err),
			0);
		assert_int_equal(rpc_stream_send(stream, &watch.base, &err), 0);
		assert_int_equal(rpc_stream_send(stream, &watch.base, &err), 0);
		while ((got = rpc_stream_receive(stream, RPC_FOREVER, NULL, &answer, NULL, &err)) == 1)
			protobuf_c_message_free_unpacked(answer, NULL);
		assert_int_equal(got, E_INVALID);
		rpc_stream_free(stream);
	}
	Kindred__V1__GetStatusResponse *after;
	wait_until("only the call that asks is in work", status_alone, &after);
	kindred__v1__get_status_response__free_unpacked(after, NULL);
}

/* A deadline is kept by whoever serves it, and what comes after is not disturbed. */
static void test_deadlines(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CLIENTS; i++) {
		Grpc__Health__V1__HealthCheckRequest watch = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
		struct rpc_stream *stream;
		struct error err;
		void *answer;
		assert_int_equal(rpc_stream_open(&stream, front_ends_clients[i], "/grpc.health.v1.Health/Watch",
						 &grpc__health__v1__health_check_response__descriptor, 150, &err),
				 0);
		assert_int_equal(rpc_stream_send(stream, &watch.base, &err), 0);
		assert_int_equal(rpc_stream_receive(stream, RPC_FOREVER, NULL, &answer, NULL, &err), 1);
		protobuf_c_message_free_unpacked(answer, NULL);
		assert_int_equal(rpc_stream_receive(stream, RPC_FOREVER, NULL, &answer, NULL, &err), E_DEADLINE);
		rpc_stream_free(stream);
		assert_int_equal(front_ends_health(front_ends_clients[i]),
				 GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);
	}
}

/* Clients that watch the health keep a call open each. However many come to one front-end, it has room for others. */
static void test_many_watches(void **state)
{
	enum { WATCHERS = 6, WATCHES = 700 };
	static struct rpc_stream *streams[WATCHERS * WATCHES];
	Grpc__Health__V1__HealthCheckRequest watch = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	struct error err;
	void *answer;
	(void)state;
	for (unsigned i = 0; i < WATCHERS * WATCHES; i++) {
		assert_int_equal(
			rpc_stream_open(&streams[i], front_ends_clients[i % WATCHERS], "/grpc.health.v1.Health/Watch",
					&grpc__health__v1__health_check_response__descriptor, RPC_FOREVER, &err),
			0);
		assert_int_equal(rpc_stream_send(streams[i], &watch.base, &err), 0);
	}
	for (unsigned i = 0; i < WATCHERS * WATCHES; i++) {
		assert_int_equal(rpc_stream_receive(streams[i], API_PATIENCE_MS, NULL, &answer, NULL, &err), 1);
		protobuf_c_message_free_unpacked(answer, NULL);
	}
	for (unsigned i = 0; i < WATCHERS; i++) {
		assert_int_equal(front_ends_health(front_ends_clients[i]),
				 GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);
		kindred__v1__get_status_response__free_unpacked(api_status(front_ends_clients[i]), NULL);
	}
	for (unsigned i = 0; i < WATCHERS * WATCHES; i++)
		rpc_stream_free(streams[i]);
}

static void test_port_is_not_shared_with_others(void **state)
{
	struct cluster other;
	char data[192];
	(void)state;
	cluster_init(&other);
	snprintf(data, sizeof data, "%s/data", other.home);
	struct output second = program_run(
		"kindred-server", NULL,
		CLI("--data", data, "--listen", front_ends_cluster.address, "--admin-listen", "", "--front-ends", "2"));
	assert_int_not_equal(second.code, 0);
	assert_non_null(strstr(second.err, "cannot open"));
	output_free(&second);
	cluster_fini(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unary_methods),
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_acknowledged_is_known_everywhere),
		cmocka_unit_test(test_item_changes_are_known_everywhere),
		cmocka_unit_test(test_events_are_known_everywhere),
		cmocka_unit_test(test_generations_everywhere),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_a_watch_takes_one_message),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_many_watches),
		cmocka_unit_test(test_port_is_not_shared_with_others),
	};
	return cmocka_run_group_tests(tests, front_ends_set_up, front_ends_tear_down);
}
