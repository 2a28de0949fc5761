/*
 * The main job: what is recommended follows what was done, at once; rules, filters, exclusion, fallback
 * and the catalog's changes hold.
 */
#include "lib/api.h"
#include "lib/cluster.h"
#include "lib/small_shop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_new_user_gets_popular(void **state)
{
	(void)state;
	Kindred__V1__RecommendResponse *answer = api_recommend(shop.client, "wanted-next", "nobody", 5);
	assert_int_equal(answer->n_items, 5);
	assert_string_equal(answer->items[0]->item_id, "a0");
	for (size_t i = 0; i < answer->n_items; i++)
		assert_int_equal(answer->items[i]->source, KINDRED__V1__SOURCE__SOURCE_POPULAR);
	kindred__v1__recommend_response__free_unpacked(answer, NULL);
}

/* Read your writes, many times, for users of both workers: the call after an acked event knows it. */
static void test_next_call_knows_the_event(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		char user[32], item[8];
		char group = (char)('b' + i % 3);
		snprintf(user, sizeof user, "fresh-%u", i);
		snprintf(item, sizeof item, "%c0", group);
		assert_int_equal(api_ingest(shop.client, "shop", user, item, "Viewed", NULL),
				 KINDRED__V1__OUTCOME__OUTCOME_ACCEPTED);
		Kindred__V1__RecommendResponse *answer = api_recommend(shop.client, "wanted-next", user, 3);
		assert_int_equal(answer->n_items, 3);
		for (size_t k = 0; k < 3; k++) {
			assert_int_equal(answer->items[k]->source, KINDRED__V1__SOURCE__SOURCE_PERSONAL);
			assert_int_equal(answer->items[k]->item_id[0], group);
		}
		kindred__v1__recommend_response__free_unpacked(answer, NULL);
	}
}

static void test_excludes_what_was_bought(void **state)
{
	(void)state;
	api_ingest(shop.client, "shop", "buyer", "c1", "Viewed", NULL);
	Kindred__V1__RecommendResponse *answer = api_recommend(shop.client, "wanted-next", "buyer", 5);
	assert_true(api_position(answer, "c0") >= 0);
	kindred__v1__recommend_response__free_unpacked(answer, NULL);
	api_ingest(shop.client, "shop", "buyer", "c0", "Purchased", NULL);
	answer = api_recommend(shop.client, "wanted-next", "buyer", 40);
	assert_int_equal(api_position(answer, "c0"), -1);
	assert_int_equal(answer->n_items, 39);
	assert_non_null(answer->shortfall);
	assert_int_equal(answer->shortfall->wanted, 40);
	assert_int_equal(answer->shortfall->excluded, 1);
	kindred__v1__recommend_response__free_unpacked(answer, NULL);
}

/* The live overlay: a change of the catalog acts on the next call, on personal and popular items, and back again. */
static void test_catalog_change_acts_at_once(void **state)
{
	(void)state;
	api_ingest(shop.client, "shop", "overlay", "d1", "Viewed", NULL);
	for (unsigned round = 0; round < 3; round++) {
		cluster_ok(&shop.cluster, CLI("catalog", "set", "shop", "d0", "in_stock=false"));
		Kindred__V1__RecommendResponse *answer = api_recommend(shop.client, "wanted-next", "overlay", 40);
		assert_int_equal(api_position(answer, "d0"), -1);
		assert_int_equal(answer->shortfall->filtered, 1);
		kindred__v1__recommend_response__free_unpacked(answer, NULL);
		cluster_ok(&shop.cluster, CLI("catalog", "set", "shop", "d0", "in_stock=true"));
		answer = api_recommend(shop.client, "wanted-next", "overlay", 40);
		assert_true(api_position(answer, "d0") >= 0);
		kindred__v1__recommend_response__free_unpacked(answer, NULL);
	}
	cluster_ok(&shop.cluster, CLI("catalog", "set", "shop", "d0", "--hide"));
	Kindred__V1__RecommendResponse *answer = api_recommend(shop.client, "wanted-next", "overlay", 40);
	assert_int_equal(api_position(answer, "d0"), -1);
	kindred__v1__recommend_response__free_unpacked(answer, NULL);
	cluster_ok(&shop.cluster, CLI("catalog", "set", "shop", "d0", "--show"));
}

/* Whether what was bought comes back is the definition's to say: two of them on one model. */
static void test_repeats(void **state)
{
	(void)state;
	cluster_ok(&shop.cluster, CLI("define", "again", "--catalog", "shop", "--event", "Purchased=5", "--event",
				      "Viewed=1", "--repeat", "on"));
	cluster_ok(&shop.cluster, CLI("define", "never-again", "--catalog", "shop", "--event", "Purchased=5", "--event",
				      "Viewed=1", "--repeat", "off"));
	api_ingest(shop.client, "shop", "repeating", "d7", "Purchased", NULL);
	Kindred__V1__RecommendResponse *again = api_recommend(shop.client, "again", "repeating", 5);
	Kindred__V1__RecommendResponse *never = api_recommend(shop.client, "never-again", "repeating", 5);
	assert_true(api_position(again, "d7") >= 0);
	assert_int_equal(api_position(never, "d7"), -1);
	kindred__v1__recommend_response__free_unpacked(again, NULL);
	kindred__v1__recommend_response__free_unpacked(never, NULL);
	json_t *shown = cluster_json(&shop.cluster, CLI("definitions", "get", "again", "--json"));
	assert_string_equal(json_string_value(json_object_get(shown, "repeat")), "REPEAT_ON");
	json_decref(shown);
	cluster_fails(&shop.cluster, "best, on or off",
		      CLI("define", "again", "--catalog", "shop", "--event", "Viewed", "--repeat", "always"));
}

/* What a page knows, and nobody in the history: the item being looked at, the category. */
static void test_contexts(void **state)
{
	(void)state;
	json_t *answer = cluster_json(&shop.cluster, CLI("recommend", "wanted-next", "stranger", "--context-item", "c3",
							 "--count", "3", "--json"));
	for (size_t i = 0; i < 3; i++) {
		json_t *item = json_array_get(json_object_get(answer, "items"), i);
		assert_int_equal(json_string_value(json_object_get(item, "item_id"))[0], 'c');
		assert_string_equal(json_string_value(json_object_get(item, "source")), "SOURCE_SIMILAR");
	}
	json_decref(answer);
	answer = cluster_json(&shop.cluster, CLI("recommend", "wanted-next", "stranger", "--context", "category=d",
						 "--count", "3", "--json"));
	for (size_t i = 0; i < 3; i++) {
		json_t *item = json_array_get(json_object_get(answer, "items"), i);
		assert_int_equal(json_string_value(json_object_get(item, "item_id"))[0], 'd');
		assert_string_equal(json_string_value(json_object_get(item, "source")), "SOURCE_POPULAR");
	}
	json_decref(answer);
	cluster_fails(&shop.cluster, "is no attribute",
		      CLI("recommend", "wanted-next", "stranger", "--context", "weather=rain"));
	cluster_fails(&shop.cluster, "has no item",
		      CLI("recommend", "wanted-next", "stranger", "--context-item", "z1"));

	/* many users in one message have the same context */
	char path[160];
	snprintf(path, sizeof path, "%s/strangers", shop.cluster.home);
	FILE *file = fopen(path, "w");
	for (unsigned u = 0; u < 50; u++)
		fprintf(file, "stranger-%u\n", u);
	fclose(file);
	struct output output = cluster_run(&shop.cluster, CLI("recommend", "wanted-next", "--users-file", path,
							      "--count", "1", "--context", "category=d"));
	unsigned lines = 0;
	assert_int_equal(output.code, 0);
	for (const char *at = output.out; (at = strstr(at, "\"d0\"")); at++)
		lines++;
	assert_int_equal(lines, 50);
	output_free(&output);
}

/* New items come into lists by what they share with others, and by exploring; from the next build on. */
static void test_new_items(void **state)
{
	char path[160];
	(void)state;
	snprintf(path, sizeof path, "%s/new.csv", shop.cluster.home);
	FILE *file = fopen(path, "w");
	fprintf(file, "id,name,price,in_stock,category\n");
	for (unsigned i = 0; i < 5; i++)
		fprintf(file, "new-%u,Quite new %u,%u,true,b\n", i, i, 100 + i);
	fclose(file);
	cluster_ok(&shop.cluster, CLI("catalog", "import", "shop", path));
	cluster_ok(&shop.cluster, CLI("define", "dear", "--catalog", "shop", "--event", "Purchased=5", "--event",
				      "Viewed=1", "--filter", "price >= 100", "--fallback", "none"));
	cluster_ok(&shop.cluster, CLI("define", "curious", "--catalog", "shop", "--event", "Purchased=5", "--event",
				      "Viewed=1", "--explore", "20%"));
	cluster_ok(&shop.cluster, CLI("model", "build"));
	api_ingest(shop.client, "shop", "curious", "b3", "Viewed", NULL);
	/* alike by category: they are behind what was learnt, and a filter brings them out */
	Kindred__V1__RecommendResponse *answer = api_recommend(shop.client, "dear", "curious", 5);
	assert_true(answer->n_items >= 1);
	for (size_t i = 0; i < answer->n_items; i++)
		assert_int_equal(answer->items[i]->source, KINDRED__V1__SOURCE__SOURCE_SIMILAR);
	kindred__v1__recommend_response__free_unpacked(answer, NULL);
	bool shown = false;
	for (unsigned u = 0; u < 50; u++) {
		char user[32];
		unsigned explored = 0;
		snprintf(user, sizeof user, "curious-%u", u);
		answer = api_recommend(shop.client, "curious", user, 10);
		for (size_t i = 0; i < answer->n_items; i++)
			explored += answer->items[i]->source == KINDRED__V1__SOURCE__SOURCE_EXPLORE;
		assert_int_equal(explored, 2);
		shown |= api_position(answer, "new-1") >= 8;
		kindred__v1__recommend_response__free_unpacked(answer, NULL);
	}
	assert_true(shown);
}

static void test_filters(void **state)
{
	(void)state;
	cluster_ok(&shop.cluster,
		   CLI("define", "same-and-cheap", "--catalog", "shop", "--event", "Viewed", "--event", "Purchased",
		       "--filter", "category = last.category AND price < 6", "--exclude-seen", "--fallback", "none"));
	cluster_ok(&shop.cluster, CLI("model", "build"));
	api_ingest(shop.client, "shop", "filtered", "b3", "Viewed", NULL);
	Kindred__V1__RecommendResponse *answer = api_recommend(shop.client, "same-and-cheap", "filtered", 10);
	assert_true(answer->n_items > 0 &&
		    answer->n_items <= 4); /* b0 b1 b2 b4: b3 was seen, the others cost 6 and more */
	for (size_t i = 0; i < answer->n_items; i++) {
		assert_int_equal(answer->items[i]->item_id[0], 'b');
		assert_true(answer->items[i]->item_id[1] < '5' && answer->items[i]->item_id[1] != '3');
	}
	assert_non_null(answer->shortfall);
	kindred__v1__recommend_response__free_unpacked(answer, NULL);
	cluster_fails(
		&shop.cluster, "character",
		CLI("define", "broken", "--catalog", "shop", "--event", "Viewed", "--filter", "price < \"cheap\""));
	cluster_fails(&shop.cluster, "prise",
		      CLI("define", "broken", "--catalog", "shop", "--event", "Viewed", "--filter", "prise < 5"));
}

static void test_once(void **state)
{
	(void)state;
	struct api_totals before = api_totals(shop.client);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(api_ingest(shop.client, "shop", "once", "a1", "Viewed", "the-same"),
				 i == 0 ? KINDRED__V1__OUTCOME__OUTCOME_ACCEPTED
					: KINDRED__V1__OUTCOME__OUTCOME_DUPLICATE);
	assert_int_equal(api_history_size(shop.client, "once"), 1);
	struct api_totals after = api_totals(shop.client);
	assert_int_equal(after.accepted, before.accepted + 1);
	assert_int_equal(after.duplicates, before.duplicates + 4);
}

static void test_forgetting(void **state)
{
	(void)state;
	api_ingest(shop.client, "shop", "leaver", "a1", "Viewed", "e1");
	api_ingest(shop.client, "shop", "leaver", "a2", "Viewed", "e2");
	assert_int_equal(api_history_size(shop.client, "leaver"), 2);
	cluster_ok(&shop.cluster, CLI("user", "delete", "leaver", "--yes"));
	assert_int_equal(api_history_size(shop.client, "leaver"), 0);
	/* an old event that is sent again stays out */
	Kindred__V1__Event event = KINDRED__V1__EVENT__INIT;
	Google__Protobuf__Timestamp past = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Kindred__V1__Event *events[] = { &event };
	Kindred__V1__IngestEventsRequest request = KINDRED__V1__INGEST_EVENTS_REQUEST__INIT;
	Kindred__V1__IngestEventsResponse *response = NULL;
	struct error err;
	past.seconds = 1700000000;
	event.user_id = (char *)"leaver";
	event.item_id = (char *)"a1";
	event.type = (char *)"Viewed";
	event.event_id = (char *)"e1";
	event.time = &past;
	request.catalog = (char *)"shop";
	request.events = events;
	request.n_events = 1;
	assert_int_equal(api_try(shop.client, "/kindred.v1.EventService/IngestEvents", &request.base,
				 &kindred__v1__ingest_events_response__descriptor, &response, &err),
			 0);
	assert_int_equal(response->outcomes[0], KINDRED__V1__OUTCOME__OUTCOME_DROPPED);
	kindred__v1__ingest_events_response__free_unpacked(response, NULL);
	assert_int_equal(api_history_size(shop.client, "leaver"), 0);
}

/* as_of: the answer of the past, though the user has done more since. */
static void test_as_of(void **state)
{
	(void)state;
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	Google__Protobuf__Timestamp as_of = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	struct error err;
	Kindred__V1__RecommendResponse *answer = NULL;
	api_ingest(shop.client, "shop", "traveller", "b1", "Viewed", NULL);
	as_of.seconds = 1700000000; /* long before */
	request.user_id = (char *)"traveller";
	request.definition = (char *)"wanted-next";
	request.count = 5;
	request.as_of = &as_of;
	assert_int_equal(api_try(shop.client, "/kindred.v1.RecommendationService/Recommend", &request.base,
				 &kindred__v1__recommend_response__descriptor, &answer, &err),
			 0);
	for (size_t i = 0; i < answer->n_items; i++)
		assert_int_equal(answer->items[i]->source, KINDRED__V1__SOURCE__SOURCE_POPULAR);
	kindred__v1__recommend_response__free_unpacked(answer, NULL);
}

static void expect_explained(const json_t *item)
{
	json_int_t sum = 0;
	json_t *part;
	size_t i;
	json_array_foreach(json_object_get(item, "parts"), i, part) sum +=
		json_integer_value(json_object_get(part, "amount"));
	assert_true(json_array_size(json_object_get(item, "parts")) > 0);
	assert_int_equal(sum, json_integer_value(json_object_get(item, "score")));
	/* the price of an item is its number and one */
	assert_true(json_string_value(json_object_get(item, "item_id"))[1] < '4');
}

/* A filter of the call alone and the parts of scores, for one user and for a file of them. */
static void test_filter_and_explain(void **state)
{
	char path[256];
	(void)state;
	snprintf(path, sizeof path, "%s/two.txt", shop.cluster.home);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "u7\nu8\n");
	fclose(file);
	for (unsigned way = 0; way < 2; way++) {
		struct output output =
			cluster_run(&shop.cluster, way ? CLI("recommend", "wanted-next", "--users-file", path,
							     "--filter", "price < 5", "--explain", "--quiet")
						       : CLI("recommend", "wanted-next", "u7", "u8", "--filter",
							     "price < 5", "--explain", "--json"));
		assert_int_equal(output.code, 0);
		unsigned users = 0;
		char *save = NULL;
		for (char *line = strtok_r(output.out, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
			json_t *json = json_loads(line, 0, NULL), *item;
			size_t i;
			assert_non_null(json);
			json_array_foreach(json_object_get(json, "items"), i, item) expect_explained(item);
			users += i > 0;
			json_decref(json);
		}
		assert_int_equal(users, 2);
		output_free(&output);
	}
	cluster_fails(&shop.cluster, "there is no attribute 'prize'",
		      CLI("recommend", "wanted-next", "u7", "--filter", "prize < 5"));
}

/* A definition's update is a new version, and acts on the next call. */
static void test_definition_versions(void **state)
{
	(void)state;
	cluster_ok(&shop.cluster, CLI("define", "versioned", "--catalog", "shop", "--event", "Purchased=5", "--event",
				      "Viewed=1", "--count", "4"));
	Kindred__V1__RecommendResponse *answer = api_recommend(shop.client, "versioned", "u3", 0);
	assert_int_equal(answer->n_items, 4);
	assert_int_equal(answer->definition_version, 1);
	kindred__v1__recommend_response__free_unpacked(answer, NULL);
	cluster_ok(&shop.cluster, CLI("define", "versioned", "--catalog", "shop", "--event", "Purchased=5", "--event",
				      "Viewed=1", "--count", "2", "--filter", "category = \"c\""));
	answer = api_recommend(shop.client, "versioned", "u3", 0);
	assert_int_equal(answer->definition_version, 2);
	assert_int_equal(answer->n_items, 2);
	assert_int_equal(answer->items[0]->item_id[0], 'c');
	kindred__v1__recommend_response__free_unpacked(answer, NULL);
}

/* A file of users: everybody is answered, and a line that is no id is told and does not end the run. */
static void test_users_file(void **state)
{
	char path[256];
	unsigned users = 0, refused = 0;
	(void)state;
	snprintf(path, sizeof path, "%s/users.txt", shop.cluster.home);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "u1\nu2\nbad\xff\n");
	for (unsigned i = 3; i < 1500; i++)
		fprintf(file, "u%u\n", i);
	fclose(file);
	struct output output = cluster_run(
		&shop.cluster, CLI("recommend", "wanted-next", "--users-file", path, "--count", "2", "--quiet"));
	assert_int_not_equal(output.code, 0);
	assert_non_null(strstr(output.err, path));
	char *save = NULL;
	for (char *line = strtok_r(output.out, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		json_t *json = json_loads(line, 0, NULL);
		assert_non_null(json);
		users += json_array_size(json_object_get(json, "items")) == 2;
		refused += json_integer_value(json_object_get(json, "line")) == 3;
		json_decref(json);
	}
	assert_int_equal(users, 1499);
	assert_int_equal(refused, 1);
	output_free(&output);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_user_gets_popular),
		cmocka_unit_test(test_next_call_knows_the_event),
		cmocka_unit_test(test_excludes_what_was_bought),
		cmocka_unit_test(test_catalog_change_acts_at_once),
		cmocka_unit_test(test_repeats),
		cmocka_unit_test(test_contexts),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_forgetting),
		cmocka_unit_test(test_as_of),
		cmocka_unit_test(test_filter_and_explain),
		cmocka_unit_test(test_definition_versions),
		cmocka_unit_test(test_users_file),
		cmocka_unit_test(test_new_items),
	};
	return cmocka_run_group_tests(tests, small_shop_set_up, small_shop_tear_down);
}
