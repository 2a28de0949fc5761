/*
 * What a definition makes of one generation, asked of the real kindred-worker: repeats, cold items, exploring, context.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/relation.h"
#include "lib/model_fixture.h"
#include "lib/shop_rules.h"
#include "lib/worker_calls.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct worker_process process;
static struct shop_rules rules;

static int setup(void **state)
{
	(void)state;
	worker_process_init(&process);
	shop_rules_init(&rules);
	worker_start(&process);
	worker_set_shop(&process);
	worker_set_definition(&process, &rules.definition);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	worker_process_fini(&process);
	return 0;
}

static struct fixture_model *new_shop(void)
{
	char key[RELATION_KEY_MAX];
	relation_key(&rules.definition, key);
	return fixture_shop_new(key, 0);
}

/* Frees the model. */
static void serve(struct fixture_model *fixture, uint64_t number)
{
	char directory[128], path[PATH_MAX];
	snprintf(directory, sizeof directory, "%s/models", process.home.path);
	mkdir(directory, 0700);
	fixture_model_write(fixture, directory, number, path);
	fixture_model_free(fixture);
	worker_serve_generation(&process, path, number);
}

/* The next version of the rules, as they are now. */
static void update_rules(void)
{
	rules.definition.version++;
	worker_set_definition(&process, &rules.definition);
}

static void expect(const char *user, uint32_t count, const char *items)
{
	assert_string_equal(worker_recommends(&process, user, "next", count), items);
}

/* --- repeats --- */

static void repeat(Kindred__V1__Repeat how)
{
	rules.definition.repeat = how;
	update_rules();
}

static void test_repeats_of_a_model_without_self_weight(void **state)
{
	(void)state;
	serve(new_shop(), 1);
	worker_ingest_one(&process, "john", "item-0", "Purchased", 1000);
	expect("john", 3, "item-1 item-2 item-3");
	repeat(KINDRED__V1__REPEAT__REPEAT_OFF);
	expect("john", 3, "item-1 item-2 item-3");
	/* it counts as much as its best neighbour; of equal ones the more popular is first */
	repeat(KINDRED__V1__REPEAT__REPEAT_ON);
	expect("john", 3, "item-0 item-1 item-2");
	Kindred__V1__RecommendResponse *response = worker_recommend(&process, "john", "next", 2);
	assert_int_equal(response->items[0]->score, 60000);
	assert_int_equal(response->items[1]->score, 60000);
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	/* exclusions are stronger */
	rules.definition.exclude_seen = true;
	update_rules();
	expect("john", 3, "item-1 item-2 item-3");
}

static void test_repeats_of_a_model_with_self_weight(void **state)
{
	(void)state;
	struct fixture_model *fixture = new_shop();
	fixture_self_weight(fixture, 0.5);
	serve(fixture, 1);
	worker_ingest_one(&process, "john", "item-0", "Purchased", 1000);
	expect("john", 8, "item-1 item-2 item-3 item-4 item-5 item-6 item-7 item-0");
	/* on: the model's own weight */
	repeat(KINDRED__V1__REPEAT__REPEAT_ON);
	Kindred__V1__RecommendResponse *response = worker_recommend(&process, "john", "next", 8);
	assert_string_equal(response->items[7]->item_id, "item-0");
	assert_int_equal(response->items[7]->score, 30000);
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	/* off: only the fallback knows it */
	repeat(KINDRED__V1__REPEAT__REPEAT_OFF);
	expect("john", 8, "item-1 item-2 item-3 item-4 item-5 item-6 item-7 item-0*");
	/* but a neighbour of another of the user's items is one whoever has it */
	worker_ingest_one(&process, "john", "item-7", "Purchased", 2000);
	expect("john", 8, "item-1 item-2 item-3 item-4 item-5 item-6 item-0 item-7");
}

/* --- cold items --- */

/*
 * The shop of which item-7 is cold: item-0 is like it, and a little of it was learnt with item-1.
 * Nothing else leads to it, or from it.
 */
static struct fixture_model *new_shop_with_a_cold_item(void)
{
	char key[RELATION_KEY_MAX], id[16];
	relation_key(&rules.definition, key);
	struct fixture_model *fixture = fixture_model_new("shop", key);
	for (uint32_t i = 0; i < 8; i++) {
		snprintf(id, sizeof id, "item-%u", i);
		fixture_item(fixture, id, id);
		fixture_popular(fixture, i, 1000 - i);
	}
	for (uint32_t i = 1; i < 7; i++) {
		fixture_neighbour(fixture, 0, i, (uint16_t)(60000 - 1000 * i));
		fixture_neighbour(fixture, i, 0, 50000);
	}
	fixture_cold(fixture, 7);
	fixture_alike(fixture, 0, 7, 20000);
	fixture_alike(fixture, 7, 0, 30000);
	fixture_alike(fixture, 7, 2, 20000);
	fixture_neighbour(fixture, 1, 7, 10000);
	return fixture;
}

static Kindred__V1__Source source_of(const char *user, const char *item)
{
	Kindred__V1__RecommendResponse *response = worker_recommend(&process, user, "next", 8);
	Kindred__V1__Source source = KINDRED__V1__SOURCE__SOURCE_UNSPECIFIED;
	for (size_t i = 0; i < response->n_items; i++)
		if (strcmp(response->items[i]->item_id, item) == 0)
			source = response->items[i]->source;
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	return source;
}

static void test_sources_of_cold_items(void **state)
{
	(void)state;
	serve(new_shop_with_a_cold_item(), 1);
	worker_ingest_one(&process, "john", "item-0", "Viewed", 1000);
	assert_int_equal(source_of("john", "item-1"), KINDRED__V1__SOURCE__SOURCE_PERSONAL);
	assert_int_equal(source_of("john", "item-7"), KINDRED__V1__SOURCE__SOURCE_SIMILAR);
	/* learnt is stronger than alike */
	worker_ingest_one(&process, "john", "item-1", "Viewed", 2000);
	assert_int_equal(source_of("john", "item-7"), KINDRED__V1__SOURCE__SOURCE_PERSONAL);
	/* from a cold item to others: found by attributes, until something learnt leads there too */
	worker_ingest_one(&process, "jane", "item-7", "Viewed", 1000);
	assert_int_equal(source_of("jane", "item-2"), KINDRED__V1__SOURCE__SOURCE_SIMILAR);
	assert_int_equal(source_of("jane", "item-0"), KINDRED__V1__SOURCE__SOURCE_SIMILAR);
	worker_ingest_one(&process, "jane", "item-3", "Viewed", 2000);
	assert_int_equal(source_of("jane", "item-2"), KINDRED__V1__SOURCE__SOURCE_SIMILAR);
	assert_int_equal(source_of("jane", "item-0"), KINDRED__V1__SOURCE__SOURCE_PERSONAL);
}

/* --- exploring --- */

#define COLD 40u

/* item-0 .. item-9 as ever; COLD cold ones behind them, the last one newest, of which two are like item-0. */
static struct fixture_model *new_shop_to_explore(void)
{
	char key[RELATION_KEY_MAX], id[16];
	relation_key(&rules.definition, key);
	struct fixture_model *fixture = fixture_model_new("shop", key);
	fixture_attribute(fixture, "price", VALUE_NUMBER);
	for (uint32_t i = 0; i < 10 + COLD; i++) {
		snprintf(id, sizeof id, i < 10 ? "item-%u" : "cold-%u", i < 10 ? i : i - 10);
		fixture_number(fixture, fixture_item(fixture, id, id), "price", i);
	}
	for (uint32_t i = 0; i < 10; i++) {
		fixture_popular(fixture, i, 1000 - i);
		for (uint32_t j = 0; j < 10; j++)
			if (j != i)
				fixture_neighbour(fixture, i, j, (uint16_t)(50000 - 1000 * j));
	}
	for (uint32_t i = 10 + COLD; i-- > 10;)
		fixture_cold(fixture, i);
	fixture_alike(fixture, 0, 10, 2);
	fixture_alike(fixture, 0, 11, 1);
	return fixture;
}

static void explore(float share)
{
	rules.definition.explore = share;
	update_rules();
}

/* How many of the answer are explored; all of them are cold, listed last and once. */
static uint32_t explored(const Kindred__V1__RecommendResponse *response)
{
	uint32_t count = 0;
	for (size_t i = 0; i < response->n_items; i++) {
		bool cold = strncmp(response->items[i]->item_id, "cold-", 5) == 0;
		if (response->items[i]->source == KINDRED__V1__SOURCE__SOURCE_EXPLORE) {
			assert_true(cold);
			count++;
		} else {
			assert_int_equal(count, 0);
		}
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(response->items[k]->item_id, response->items[i]->item_id);
	}
	return count;
}

static void test_explores_its_share_and_never_more(void **state)
{
	(void)state;
	static const struct {
		float share;
		uint32_t count, places;
	} cases[] = {
		{ 0.1f, 9, 0 }, { 0.1f, 10, 1 }, { 0.1f, 19, 1 }, { 0.29f, 8, 2 }, { 0.3f, 10, 3 }, { 0.5f, 5, 2 }
	};
	serve(new_shop_to_explore(), 1);
	worker_ingest_one(&process, "user-1", "item-3", "Viewed", 1000);
	expect("user-0", 3, "item-0* item-1* item-2*");
	for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
		bool shown[COLD] = { false };
		uint32_t different = 0;
		explore(cases[c].share);
		for (unsigned u = 0; u < 300; u++) {
			char user[16];
			snprintf(user, sizeof user, "user-%u", u);
			Kindred__V1__RecommendResponse *response =
				worker_recommend(&process, user, "next", cases[c].count);
			/* 9 or 10 others: what they leave free is not for exploring */
			assert_int_equal(explored(response), cases[c].places);
			for (size_t i = 0; i < response->n_items; i++)
				if (response->items[i]->source == KINDRED__V1__SOURCE__SOURCE_EXPLORE)
					shown[atoi(response->items[i]->item_id + 5)] = true;
			kindred__v1__recommend_response__free_unpacked(response, NULL);
		}
		for (unsigned i = 0; i < COLD; i++)
			different += shown[i];
		assert_true(cases[c].places ? different > COLD * 3 / 4 : different == 0);
	}
}

static void test_explores_what_fits_and_passes(void **state)
{
	(void)state;
	serve(new_shop_to_explore(), 1);
	explore(0.5f);
	worker_ingest_one(&process, "john", "item-0", "Viewed", 1000);
	/* what is like the user's items, before all others */
	Kindred__V1__RecommendResponse *response = worker_recommend(&process, "john", "next", 4), *again;
	assert_int_equal(explored(response), 2);
	for (size_t i = 2; i < 4; i++)
		assert_true(strcmp(response->items[i]->item_id, "cold-0") == 0 ||
			    strcmp(response->items[i]->item_id, "cold-1") == 0);
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	/* asked again on the same day: the same */
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	Google__Protobuf__Timestamp as_of = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	request.user_id = (char *)"jane";
	request.definition = (char *)"next";
	request.count = 10;
	request.as_of = &as_of;
	as_of.seconds = 86400 * 100;
	response = worker_recommend_request(&process, &request);
	as_of.seconds += 86399;
	again = worker_recommend_request(&process, &request);
	assert_int_equal(explored(response), 5);
	char first[512];
	snprintf(first, sizeof first, "%s", worker_recommended(response));
	assert_string_equal(first, worker_recommended(again));
	kindred__v1__recommend_response__free_unpacked(again, NULL);
	/* on the next one: others */
	as_of.seconds++;
	again = worker_recommend_request(&process, &request);
	unsigned same = 0;
	for (size_t i = 5; i < 10; i++)
		for (size_t k = 5; k < 10; k++)
			same += strcmp(response->items[i]->item_id, again->items[k]->item_id) == 0;
	assert_true(same < 5);
	kindred__v1__recommend_response__free_unpacked(again, NULL);
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	/* the filter and exclusions hold: 12 of the cold ones are cheap enough, two of them were bought */
	rules.definition.filter = (char *)"price < 22";
	rules.definition.n_exclude_events = 1;
	rules.definition.exclude_events = rules.exclude;
	rules.fallback.ignore_filter = true;
	update_rules();
	worker_ingest_one(&process, "jane", "cold-0", "Purchased", 1000);
	worker_ingest_one(&process, "jane", "cold-5", "Purchased", 1000);
	response = worker_recommend(&process, "jane", "next", 40);
	assert_int_equal(explored(response), 10);
	for (size_t i = 0; i < response->n_items; i++)
		if (response->items[i]->source == KINDRED__V1__SOURCE__SOURCE_EXPLORE) {
			int number = atoi(response->items[i]->item_id + 5);
			assert_true(number < 12 && number != 0 && number != 5);
		}
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	/* also of what was looked at before, as it is like the user's items */
	rules.exclude[0] = (char *)"Wished for";
	update_rules();
	worker_ingest_one(&process, "john", "cold-0", "Wished for", 1000);
	response = worker_recommend(&process, "john", "next", 40);
	assert_int_equal(explored(response), 10); /* nor cold-1, which is shown as similar */
	for (size_t i = 0; i < response->n_items; i++)
		assert_string_not_equal(response->items[i]->item_id, "cold-0");
	kindred__v1__recommend_response__free_unpacked(response, NULL);
}

/* --- context --- */

static void test_context_item(void **state)
{
	(void)state;
	serve(new_shop(), 1);
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	request.user_id = (char *)"jane";
	request.definition = (char *)"next";
	request.count = 3;
	request.context_item = (char *)"item-4";
	/* nobody knows her: what goes with the item, but not the item */
	Kindred__V1__RecommendResponse *response = worker_recommend_request(&process, &request);
	assert_string_equal(worker_recommended(response), "item-5* item-6* item-7*");
	assert_int_equal(response->items[0]->score, 60000);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(response->items[i]->source, KINDRED__V1__SOURCE__SOURCE_SIMILAR);
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	request.count = 8;
	response = worker_recommend_request(&process, &request);
	assert_int_equal(response->n_items, 7);
	assert_null(strstr(worker_recommended(response), "item-4"));
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	/* it is no event, and leaves none behind */
	request.count = 2;
	request.context_item = (char *)"";
	response = worker_recommend_request(&process, &request);
	assert_string_equal(worker_recommended(response), "item-0* item-1*");
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	/* with a history: both count, and what goes with the history too is personal */
	worker_ingest_one(&process, "jane", "item-0", "Purchased", 1000);
	request.context_item = (char *)"item-4";
	response = worker_recommend_request(&process, &request);
	assert_string_equal(worker_recommended(response), "item-1 item-5");
	assert_int_equal(response->items[0]->score, 60000 + 56000);
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	/* it is the last item of the filter */
	rules.definition.filter = (char *)"category = last.category";
	update_rules();
	request.context_item = (char *)"item-3";
	request.count = 8;
	response = worker_recommend_request(&process, &request);
	assert_string_equal(worker_recommended(response), "item-1 item-5 item-7");
	kindred__v1__recommend_response__free_unpacked(response, NULL);

	request.context_item = (char *)"item-99";
	worker_expect_error(&process, worker_send_message(&process, FRAME_CALL_RECOMMEND, &request.base), 5,
			    "context_item: catalog 'shop' has no item 'item-99'");
}

static void test_popular_by_context(void **state)
{
	(void)state;
	serve(new_shop(), 1);
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	Kindred__V1__ContextValue odd = KINDRED__V1__CONTEXT_VALUE__INIT, low = KINDRED__V1__CONTEXT_VALUE__INIT;
	Kindred__V1__ContextValue *values[9] = { &odd, &low, &low, &low, &low, &low, &low, &low, &low };
	odd.attribute = (char *)"category";
	odd.value = (char *)"odd";
	low.attribute = (char *)"tags";
	low.value = (char *)"low";
	request.user_id = (char *)"jane";
	request.definition = (char *)"next";
	request.count = 6;
	request.context = values;
	request.n_context = 1;
	Kindred__V1__RecommendResponse *response = worker_recommend_request(&process, &request);
	assert_string_equal(worker_recommended(response), "item-1* item-3* item-5* item-7* item-0* item-2*");
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	/* all must hold */
	request.n_context = 2;
	response = worker_recommend_request(&process, &request);
	assert_string_equal(worker_recommended(response), "item-1* item-3* item-0* item-2* item-4* item-5*");
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	/* the filter still holds, and so do exclusions; each row counts once */
	rules.definition.filter = (char *)"in_stock = true";
	update_rules();
	request.count = 8;
	response = worker_recommend_request(&process, &request);
	assert_string_equal(worker_recommended(response), "item-1* item-0* item-2* item-4* item-5* item-6* item-7*");
	assert_int_equal(response->shortfall->candidates, 8);
	assert_int_equal(response->shortfall->filtered, 1);
	kindred__v1__recommend_response__free_unpacked(response, NULL);

	request.n_context = 9;
	worker_expect_error(&process, worker_send_message(&process, FRAME_CALL_RECOMMEND, &request.base), 3,
			    "context: more than 8 values");
	request.n_context = 1;
	odd.attribute = (char *)"price";
	worker_expect_error(&process, worker_send_message(&process, FRAME_CALL_RECOMMEND, &request.base), 3,
			    "'price' holds no texts");
	odd.attribute = (char *)"colour";
	worker_expect_error(&process, worker_send_message(&process, FRAME_CALL_RECOMMEND, &request.base), 3,
			    "'colour' is no attribute of catalog 'shop'");
}

/* What was asked in one write is answered together; each answer is that of its own call. */
static void test_calls_together_keep_their_context(void **state)
{
	enum { CALLS = 4 };
	(void)state;
	serve(new_shop(), 1);
	Kindred__V1__RecommendRequest requests[CALLS];
	Kindred__V1__ContextValue odd = KINDRED__V1__CONTEXT_VALUE__INIT, *values[1] = { &odd };
	const char *const expected[CALLS] = { "item-0* item-1* item-2*", "item-5* item-6* item-7*",
					      "item-0* item-1* item-2*", "item-1* item-3* item-5*" };
	uint8_t bytes[CALLS * 128];
	size_t used = 0;
	odd.attribute = (char *)"category";
	odd.value = (char *)"odd";
	for (uint32_t i = 0; i < CALLS; i++) {
		kindred__v1__recommend_request__init(&requests[i]);
		requests[i].user_id = (char *)"jane";
		requests[i].definition = (char *)"next";
		requests[i].count = 3;
	}
	requests[1].context_item = (char *)"item-4";
	requests[3].context = values;
	requests[3].n_context = 1;
	for (uint32_t i = 0; i < CALLS; i++) {
		struct frame_head head = { .kind = FRAME_CALL_RECOMMEND, .call = 1000 + i, .timeout_ms = UINT32_MAX };
		assert_true(used + sizeof head + kindred__v1__recommend_request__get_packed_size(&requests[i]) <=
			    sizeof bytes);
		head.bytes = (uint32_t)kindred__v1__recommend_request__pack(&requests[i], bytes + used + sizeof head);
		memcpy(bytes + used, &head, sizeof head);
		used += sizeof head + head.bytes;
	}
	worker_send_bytes(&process, bytes, used);
	for (uint32_t i = 0; i < CALLS; i++) {
		struct worker_frame *frame = worker_reply(&process, 1000 + i);
		assert_int_equal(frame->head.status, 0);
		Kindred__V1__RecommendResponse *response =
			kindred__v1__recommend_response__unpack(NULL, frame->head.bytes, frame->payload);
		assert_non_null(response);
		assert_string_equal(worker_recommended(response), expected[i]);
		kindred__v1__recommend_response__free_unpacked(response, NULL);
		free(frame);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_repeats_of_a_model_without_self_weight, setup, teardown),
		cmocka_unit_test_setup_teardown(test_repeats_of_a_model_with_self_weight, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sources_of_cold_items, setup, teardown),
		cmocka_unit_test_setup_teardown(test_explores_its_share_and_never_more, setup, teardown),
		cmocka_unit_test_setup_teardown(test_explores_what_fits_and_passes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_context_item, setup, teardown),
		cmocka_unit_test_setup_teardown(test_popular_by_context, setup, teardown),
		cmocka_unit_test_setup_teardown(test_calls_together_keep_their_context, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
