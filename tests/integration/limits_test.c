/* Bad input and too much of it: a clear error at once, the right status, and nothing changed. */
#include "kindred/v1/catalogs.pb-c.h"
#include "lib/api.h"
#include "lib/cluster.h"
#include "lib/small_shop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One bad event never fails its neighbours; each refusal names the field and what is allowed. */
static void test_refusals(void **state)
{
	static const struct {
		const char *user, *item, *type;
		float weight;
		int64_t seconds;
		const char *says; /* NULL: accepted */
	} cases[] = {
		{ "ok", "a1", "Viewed", 0, 1700000000, NULL },
		{ "", "a1", "Viewed", 0, 1700000000, "user_id" },
		{ "bad\xff", "a1", "Viewed", 0, 1700000000, "UTF-8" },
		{ "ok", "", "Viewed", 0, 1700000000, "item_id" },
		{ "ok", "a1", "", 0, 1700000000, "type" },
		{ "ok", "a1", "Viewed", -1, 1700000000, "weight" },
		{ "ok", "a1", "Viewed", 0, -5, "time" },
		{ "ok", "a1", "Viewed", 0, 4000000000000, "time" },
		{ "ok", "a2", "Viewed", 0, 1700000000, NULL },
	};
	enum { COUNT = sizeof cases / sizeof cases[0] };
	Kindred__V1__Event events[COUNT], *pointers[COUNT];
	Google__Protobuf__Timestamp times[COUNT];
	Kindred__V1__IngestEventsRequest request = KINDRED__V1__INGEST_EVENTS_REQUEST__INIT;
	Kindred__V1__IngestEventsResponse *response = NULL;
	struct error err;
	size_t refusal = 0;
	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		kindred__v1__event__init(&events[i]);
		google__protobuf__timestamp__init(&times[i]);
		times[i].seconds = cases[i].seconds;
		events[i].user_id = (char *)cases[i].user;
		events[i].item_id = (char *)cases[i].item;
		events[i].type = (char *)cases[i].type;
		events[i].weight = cases[i].weight;
		events[i].time = &times[i];
		pointers[i] = &events[i];
	}
	request.catalog = (char *)"shop";
	request.events = pointers;
	request.n_events = COUNT;
	assert_int_equal(api_try(shop.client, "/kindred.v1.EventService/IngestEvents", &request.base,
				 &kindred__v1__ingest_events_response__descriptor, &response, &err),
			 0);
	assert_int_equal(response->n_outcomes, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		if (!cases[i].says) {
			assert_int_equal(response->outcomes[i], KINDRED__V1__OUTCOME__OUTCOME_ACCEPTED);
			continue;
		}
		assert_int_equal(response->outcomes[i], KINDRED__V1__OUTCOME__OUTCOME_REFUSED);
		assert_true(refusal < response->n_refusals);
		assert_int_equal(response->refusals[refusal]->index, i);
		if (!strstr(response->refusals[refusal]->reason, cases[i].says))
			fail_msg("event %zu: \"%s\" does not say \"%s\"", i, response->refusals[refusal]->reason,
				 cases[i].says);
		refusal++;
	}
	assert_int_equal(refusal, response->n_refusals);
	kindred__v1__ingest_events_response__free_unpacked(response, NULL);
	assert_int_equal(api_history_size(shop.client, "ok"), 2);
}

/* An item that cannot even be read is one error; what stands around it in the batch is taken. */
static void test_items_that_cannot_be_read(void **state)
{
	Kindred__V1__ImportItemsRequest request = KINDRED__V1__IMPORT_ITEMS_REQUEST__INIT;
	Kindred__V1__ImportItemsResponse *response = NULL;
	Kindred__V1__Item good = KINDRED__V1__ITEM__INIT, bad = KINDRED__V1__ITEM__INIT, *items[] = { &good, &bad };
	/* further items, as bytes: an id with a NUL, an attribute that ends within a tag, a good one */
	ProtobufCMessageUnknownField raw[] = {
		{ .tag = 2,
		  .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
		  .len = 6,
		  .data = (uint8_t *)"\x05\x0a\x03x\0y" },
		{ .tag = 2,
		  .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
		  .len = 8,
		  .data = (uint8_t *)"\x07\x0a\x02r3\x22\x01\x0a" },
		{ .tag = 2,
		  .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
		  .len = 5,
		  .data = (uint8_t *)"\x04\x0a\x02r4" },
	};
	struct rpc_stream *stream = NULL;
	struct error err;
	(void)state;
	good.id = (char *)"r0";
	bad.id = (char *)"r1";
	bad.name = (char *)"no \xff UTF-8";
	request.catalog = (char *)"shop";
	request.batch = 5;
	request.n_items = 2;
	request.items = items;
	request.base.n_unknown_fields = 3;
	request.base.unknown_fields = raw;
	assert_int_equal(rpc_stream_open(&stream, shop.client, "/kindred.v1.CatalogService/ImportItems",
					 &kindred__v1__import_items_response__descriptor, 60000, &err),
			 0);
	assert_int_equal(rpc_stream_send(stream, &request.base, &err), 0);
	if (rpc_stream_receive(stream, RPC_FOREVER, NULL, &response, NULL, &err) != 1)
		fail_msg("%s", err.text);
	assert_int_equal(response->batch, 5);
	assert_int_equal(response->created, 2);
	assert_int_equal(response->n_errors, 3);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(response->errors[i]->index, i + 1);
	assert_string_equal(response->errors[0]->item_id, "r1");
	assert_string_equal(response->errors[0]->reason, "name: not valid UTF-8, or with a NUL byte in it");
	assert_string_equal(response->errors[1]->reason, "id: not valid UTF-8, or with a NUL byte in it");
	assert_non_null(strstr(response->errors[2]->reason, "attributes"));
	kindred__v1__import_items_response__free_unpacked(response, NULL);

	/* the stream goes on, also when nothing of a batch can be read; but a catalog that is not there is an error */
	response = NULL;
	request.n_items = 0;
	request.base.n_unknown_fields = 2;
	assert_int_equal(rpc_stream_send(stream, &request.base, &err), 0);
	assert_int_equal(rpc_stream_receive(stream, RPC_FOREVER, NULL, &response, NULL, &err), 1);
	assert_int_equal(response->n_errors, 2);
	kindred__v1__import_items_response__free_unpacked(response, NULL);
	request.catalog = (char *)"nowhere";
	assert_int_equal(rpc_stream_send(stream, &request.base, &err), 0);
	assert_int_equal(rpc_stream_receive(stream, RPC_FOREVER, NULL, &response, NULL, &err), E_NOT_FOUND);
	rpc_stream_free(stream);
	cluster_ok(&shop.cluster, CLI("catalog", "get", "shop", "r4"));
	cluster_fails(&shop.cluster, "r1", CLI("catalog", "get", "shop", "r1"));
}

static void test_no_such_catalog(void **state)
{
	Kindred__V1__Outcome outcome;
	(void)state;
	assert_int_equal(api_try_ingest(shop.client, "nowhere", "u", "i", "Viewed", NULL, &outcome), E_NOT_FOUND);
}

static void test_too_many_in_one_message(void **state)
{
	Kindred__V1__RecommendManyRequest request = KINDRED__V1__RECOMMEND_MANY_REQUEST__INIT;
	static char *users[10001];
	struct rpc_stream *stream = NULL;
	Kindred__V1__RecommendManyResponse *response = NULL;
	struct error err;
	(void)state;
	for (unsigned i = 0; i < 10001; i++)
		users[i] = (char *)"u1";
	request.definition = (char *)"wanted-next";
	request.user_ids = users;
	request.n_user_ids = 10001;
	assert_int_equal(rpc_stream_open(&stream, shop.client, "/kindred.v1.RecommendationService/RecommendMany",
					 &kindred__v1__recommend_many_response__descriptor, 60000, &err),
			 0);
	assert_int_equal(rpc_stream_send(stream, &request.base, &err), 0);
	assert_int_equal(rpc_stream_receive(stream, RPC_FOREVER, NULL, &response, NULL, &err), E_INVALID);
	assert_non_null(strstr(err.text, "10,000"));
	rpc_stream_free(stream);
}

/* Also where there is nothing in a request to read. */
static void test_what_is_no_message(void **state)
{
	Kindred__V1__RollbackGenerationRequest request = KINDRED__V1__ROLLBACK_GENERATION_REQUEST__INIT;
	Kindred__V1__RollbackGenerationResponse *response = NULL;
	uint8_t length_without_end[] = { 0xff, 0xff };
	ProtobufCMessageUnknownField broken = { 7, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, sizeof length_without_end,
						length_without_end };
	struct error err;
	(void)state;
	request.base.n_unknown_fields = 1;
	request.base.unknown_fields = &broken;
	assert_int_equal(api_try(shop.client, "/kindred.v1.ModelService/RollbackGeneration", &request.base,
				 &kindred__v1__rollback_generation_response__descriptor, &response, &err),
			 E_INVALID);
	assert_non_null(strstr(err.text, "not a valid message"));
}

static void test_too_large_a_message(void **state)
{
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	Kindred__V1__RecommendResponse *response = NULL;
	struct error err;
	(void)state;
	char *large = malloc(5 << 20);
	memset(large, 'x', (5 << 20) - 1);
	large[(5 << 20) - 1] = '\0';
	request.user_id = large;
	request.definition = (char *)"wanted-next";
	assert_int_equal(api_try(shop.client, "/kindred.v1.RecommendationService/Recommend", &request.base,
				 &kindred__v1__recommend_response__descriptor, &response, &err),
			 E_EXHAUSTED);
	free(large);
}

static void test_count_out_of_range(void **state)
{
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	Kindred__V1__RecommendResponse *response = NULL;
	struct error err;
	(void)state;
	request.user_id = (char *)"u1";
	request.definition = (char *)"wanted-next";
	request.count = 1001;
	assert_int_equal(api_try(shop.client, "/kindred.v1.RecommendationService/Recommend", &request.base,
				 &kindred__v1__recommend_response__descriptor, &response, &err),
			 E_INVALID);
	assert_non_null(strstr(err.text, "count"));
	assert_non_null(strstr(err.text, "1001"));
}

/* A deadline that has passed is kept: the call ends, and the server goes on. */
static void test_deadline(void **state)
{
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	Kindred__V1__RecommendResponse *response = NULL;
	struct error err;
	(void)state;
	request.user_id = (char *)"u1";
	request.definition = (char *)"wanted-next";
	for (unsigned i = 0; i < 50; i++) {
		response = NULL;
		int code = rpc_call(shop.client, "/kindred.v1.RecommendationService/Recommend", &request.base,
				    &kindred__v1__recommend_response__descriptor, i % 2, NULL, &response, &err);
		assert_true(code == 0 || code == E_DEADLINE);
		if (code == 0)
			kindred__v1__recommend_response__free_unpacked(response, NULL);
	}
	response = api_recommend(shop.client, "wanted-next", "u1", 3);
	assert_int_equal(response->n_items, 3);
	kindred__v1__recommend_response__free_unpacked(response, NULL);
}

static bool metrics_say(void *context)
{
	char url[128];
	snprintf(url, sizeof url, "http://%s/metrics", shop.cluster.admin);
	struct output metrics = program_run("/usr/bin/curl", NULL, CLI("-sf", url));
	bool say = strstr(metrics.out, context) != NULL;
	output_free(&metrics);
	return say;
}

/* Asked of the admin port, which waits for no worker. */
static bool nothing_in_work(void *context)
{
	(void)context;
	return metrics_say((void *)"\nkindred_calls_in_flight 0\n");
}

/* A worker that hangs: clients that do not wait for it any more take up no place in the server. */
static void test_clients_that_leave_are_let_go(void **state)
{
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	Kindred__V1__RecommendResponse *response = NULL;
	Kindred__V1__GetStatusResponse *status = api_status(shop.client);
	struct error err;
	(void)state;
	request.user_id = (char *)"u1";
	request.definition = (char *)"wanted-next";
	for (size_t i = 0; i < status->n_workers; i++)
		assert_int_equal(kill((pid_t)status->workers[i]->pid, SIGSTOP), 0);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(rpc_call(shop.client, "/kindred.v1.RecommendationService/Recommend", &request.base,
					  &kindred__v1__recommend_response__descriptor, 40, NULL, &response, &err),
				 E_DEADLINE);
	wait_until("the calls were let go", nothing_in_work, NULL);
	for (size_t i = 0; i < status->n_workers; i++)
		assert_int_equal(kill((pid_t)status->workers[i]->pid, SIGCONT), 0);
	kindred__v1__get_status_response__free_unpacked(status, NULL);
	response = api_recommend(shop.client, "wanted-next", "u1", 3);
	assert_int_equal(response->n_items, 3);
	kindred__v1__recommend_response__free_unpacked(response, NULL);
}

static bool worker_answers(void *context)
{
	Kindred__V1__GetStatusResponse *status = api_status(shop.client);
	bool answers = status->workers[*(unsigned *)context]->silent_ms == 0;
	kindred__v1__get_status_response__free_unpacked(status, NULL);
	return answers;
}

static uint32_t worker_calls(unsigned number)
{
	Kindred__V1__GetStatusResponse *status = api_status(shop.client);
	uint32_t calls = status->workers[number]->calls_in_flight;
	kindred__v1__get_status_response__free_unpacked(status, NULL);
	return calls;
}

/* On a busy machine another worker may be late too, for a moment. */
static bool model_status_names(void *hanging)
{
	Kindred__V1__GetModelStatusRequest request = KINDRED__V1__GET_MODEL_STATUS_REQUEST__INIT;
	Kindred__V1__GetModelStatusResponse *model = NULL;
	struct error err;
	assert_int_equal(api_try(shop.client, "/kindred.v1.ModelService/GetModelStatus", &request.base,
				 &kindred__v1__get_model_status_response__descriptor, &model, &err),
			 0);
	bool named = false, alone = model->n_silent_workers == 1;
	for (size_t i = 0; i < model->n_silent_workers; i++)
		named = named || model->silent_workers[i] == *(unsigned *)hanging;
	assert_true(named);
	kindred__v1__get_model_status_response__free_unpacked(model, NULL);
	return alone;
}

/*
 * Nobody who asks how the server is waits for a worker that hangs: it is named instead, and the others' figures are
 * exact.
 */
static void test_a_worker_that_hangs_is_named(void **state)
{
	Kindred__V1__GetStatusResponse *status;
	unsigned hanging = 1, other = 0;
	(void)state;
	/* The tests before stopped both. */
	wait_until("both workers answer", worker_answers, &hanging);
	wait_until("both workers answer", worker_answers, &other);
	status = api_status(shop.client);
	assert_true(status->n_workers > 1);
	pid_t pid = (pid_t)status->workers[hanging]->pid;
	kindred__v1__get_status_response__free_unpacked(status, NULL);
	assert_int_equal(kill(pid, SIGSTOP), 0);

	/* It says nothing before it is let go on, below: who waited for it would not come back. */
	status = api_status(shop.client);
	assert_true(status->workers[hanging]->silent_ms >= 1000);
	assert_true(status->workers[hanging]->up && status->workers[hanging]->pid == pid);
	kindred__v1__get_status_response__free_unpacked(status, NULL);

	wait_until("the other answers", worker_answers, &other);

	/* That is known from then on, and nobody waits at all: it is not even asked. */
	uint32_t asked = worker_calls(hanging);
	for (unsigned i = 0; i < 10; i++)
		wait_until("it alone is named", model_status_names, &hanging);
	assert_int_equal(worker_calls(hanging), asked);
	struct output table = cluster_run(&shop.cluster, CLI("status"));
	assert_non_null(strstr(table.out, "no answer for "));
	output_free(&table);
	table = cluster_run(&shop.cluster, CLI("model", "status"));
	assert_non_null(strstr(table.out, "worker 1"));
	output_free(&table);
	wait_until("the metrics name no other", metrics_say,
		   (void *)"\nkindred_worker_silent_seconds{worker=\"0\"} 0\n");
	assert_false(metrics_say("\nkindred_worker_silent_seconds{worker=\"1\"} 0\n"));

	assert_int_equal(kill(pid, SIGCONT), 0);
	wait_until("it answers again", worker_answers, &hanging);
	wait_until("the metrics say so too", metrics_say, (void *)"\nkindred_worker_silent_seconds{worker=\"1\"} 0\n");
	status = api_status(shop.client);
	assert_int_equal(status->workers[hanging]->pid, pid);
	kindred__v1__get_status_response__free_unpacked(status, NULL);
}

/* Rows that are wrong are named by line and column; the others are taken, or, with abort, nothing is. */
static void test_catalog_errors(void **state)
{
	char path[256];
	(void)state;
	snprintf(path, sizeof path, "%s/bad.csv", shop.cluster.home);
	FILE *file = fopen(path, "w");
	fprintf(file, "id,name,price\nx1,One,5\nx2,Two,cheap\n,Three,7\nx4,Four,9\n");
	fclose(file);
	cluster_fails(&shop.cluster,
		      ":3:", CLI("catalog", "import", "bad", path, "--type", "price=number", "--on-error", "abort"));
	cluster_fails(&shop.cluster, "bad", CLI("catalog", "get", "bad"));
	struct output skipped = cluster_run(
		&shop.cluster, CLI("catalog", "import", "bad", path, "--type", "price=number", "--on-error", "skip"));
	assert_non_null(strstr(skipped.err, ":3:"));
	assert_non_null(strstr(skipped.err, "price"));
	assert_non_null(strstr(skipped.err, ":4:"));
	output_free(&skipped);
	cluster_ok(&shop.cluster, CLI("catalog", "get", "bad", "x4"));
	cluster_fails(&shop.cluster, "x2", CLI("catalog", "get", "bad", "x2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_items_that_cannot_be_read),
		cmocka_unit_test(test_no_such_catalog),
		cmocka_unit_test(test_too_many_in_one_message),
		cmocka_unit_test(test_what_is_no_message),
		cmocka_unit_test(test_too_large_a_message),
		cmocka_unit_test(test_count_out_of_range),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_clients_that_leave_are_let_go),
		cmocka_unit_test(test_a_worker_that_hangs_is_named),
		cmocka_unit_test(test_catalog_errors),
	};
	return cmocka_run_group_tests(tests, small_shop_set_up, small_shop_tear_down);
}
