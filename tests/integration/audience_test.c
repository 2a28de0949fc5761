/*
 * A campaign to everybody: RecommendAudience gives every user exactly once, from one generation, and says what each
 * gets alone. What happens meanwhile: audience_troubles_test.c.
 */
#include "lib/audience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* And what the audience says of a user is what Recommend says, asked for the same generation and time. */
static void test_everybody_once(void **state)
{
	Kindred__V1__RecommendAudienceResponse *response = NULL;
	struct error err;
	(void)state;
	audience_begin();
	audience_call();
	assert_int_equal(rpc_stream_receive(audience.stream, RPC_FOREVER, NULL, &response, NULL, &err), 1);
	assert_int_equal(response->n_results, 0);
	audience_take(response);
	kindred__v1__recommend_audience_response__free_unpacked(response, NULL);
	assert_int_equal(rpc_stream_receive(audience.stream, RPC_FOREVER, NULL, &response, NULL, &err), 1);
	audience_take(response);
	for (size_t i = 0; i < response->n_results; i += 50) {
		const Kindred__V1__UserRecommendations *result = response->results[i];
		Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
		Kindred__V1__RecommendResponse *answer = NULL;
		request.user_id = result->user_id;
		request.definition = audience.request.definition;
		request.count = audience.request.count;
		request.generation = response->generation;
		request.as_of = response->as_of;
		assert_int_equal(api_try(shop.client, "/kindred.v1.RecommendationService/Recommend", &request.base,
					 &kindred__v1__recommend_response__descriptor, &answer, &err),
				 0);
		Kindred__V1__RecommendResponse same = { .n_items = result->n_items, .items = result->items };
		assert_true(api_same_items(answer, &same));
		kindred__v1__recommend_response__free_unpacked(answer, NULL);
	}
	kindred__v1__recommend_audience_response__free_unpacked(response, NULL);
	audience_read_all();
	audience_expect_all();
	assert_true(audience.responses > 10);
	/* The last cursor is the end of it. */
	audience_call();
	audience_read_all();
	audience_expect_all();
}

static void test_filter_and_explain(void **state)
{
	struct error err;
	(void)state;
	audience_begin();
	audience.request.filter = (char *)"price < 5";
	audience.request.explain = true;
	audience_call();
	assert_int_equal(audience_read(2, &err), 1);
	audience_hang_up();
	audience_call(); /* goes on behind the cursor */
	audience_read_all();
	audience_expect_all();
	struct output output = cluster_run(
		&shop.cluster, CLI("export", "wanted-next", "--filter", "price < 5", "--format", "csv", "--quiet"));
	unsigned lines = 0;
	char *save = NULL;
	assert_int_equal(output.code, 0);
	for (char *line = strtok_r(output.out, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char item = 0;
		if (sscanf(line, "%*[^,],%*u,%*c%c", &item) == 1)
			assert_in_range(item, '0', '3');
		lines++;
	}
	assert_in_range(lines, SMALL_SHOP_CROWD + SMALL_SHOP_USERS + 1, UINT32_MAX);
	output_free(&output);
}

static void test_by_activity(void **state)
{
	(void)state;
	audience_begin();
	audience.request.active_within = &audience.active;
	audience.active.seconds = 30 * 86400;
	audience_call();
	audience_read_all();
	assert_int_equal(audience.users, SMALL_SHOP_CROWD / SMALL_SHOP_AGES * 30 + SMALL_SHOP_USERS);
	for (unsigned i = 0; i < SMALL_SHOP_CROWD; i++)
		assert_int_equal(audience.user[i], i % SMALL_SHOP_AGES < 30);

	audience_begin();
	audience.request.inactive_for = &audience.inactive;
	audience.inactive.seconds = 30 * 86400;
	audience_call();
	audience_read_all();
	assert_int_equal(audience.users, SMALL_SHOP_CROWD / SMALL_SHOP_AGES * 70);
	for (unsigned i = 0; i < SMALL_SHOP_CROWD; i++)
		assert_int_equal(audience.user[i], i % SMALL_SHOP_AGES >= 30);

	/* Lapsed: active within 90 days and not in the last 60. */
	audience_begin();
	audience.request.active_within = &audience.active;
	audience.active.seconds = 90 * 86400;
	audience.request.inactive_for = &audience.inactive;
	audience.inactive.seconds = 60 * 86400;
	audience_call();
	audience_read_all();
	for (unsigned i = 0; i < SMALL_SHOP_CROWD; i++)
		assert_int_equal(audience.user[i], i % SMALL_SHOP_AGES >= 60 && i % SMALL_SHOP_AGES < 90);

	/* Forty days ago, a user who has done more since is who he was then. */
	Google__Protobuf__Timestamp as_of = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	audience_begin();
	audience.request.as_of = &as_of;
	as_of.seconds = audience_loaded_ms / 1000 - 40 * 86400;
	audience_call();
	audience_read_all();
	for (unsigned i = 0; i < SMALL_SHOP_CROWD; i++)
		assert_int_equal(audience.user[i], i % 2 || i % SMALL_SHOP_AGES >= 40);
}

/* Broken off after every few responses; the server restarted with other workers in the middle. */
static void test_goes_on_behind_every_response(void **state)
{
	struct error err;
	int got = 1;
	(void)state;
	audience_begin();
	for (unsigned calls = 0; got > 0; calls++) {
		audience_call();
		got = audience_read(1 + calls % 4, &err);
		if (got < 0)
			fail_msg("%s", err.text);
		audience_hang_up();
		if (calls == 5 || calls == 10) {
			rpc_close(shop.client);
			assert_int_equal(cluster_stop(&shop.cluster), 0);
			cluster_start(&shop.cluster,
				      CLI("--workers", calls == 5 ? "5" : "2", "--build-every-minutes", "0"));
			shop.client = api_open(&shop.cluster);
		}
	}
	audience_expect_all();
}

/* --- what is refused --- */

static void test_cursors_are_checked(void **state)
{
	struct error err;
	(void)state;
	cluster_ok(&shop.cluster,
		   CLI("define", "changing", "--catalog", "shop", "--event", "Purchased=5", "--event", "Viewed=1"));
	audience_begin();
	audience.request.definition = (char *)"changing";
	audience_call();
	assert_int_equal(audience_read(2, &err), 1);
	audience_hang_up();
	audience.request.count = 39;
	assert_int_equal(audience_fails_with("another request"), E_INVALID);
	audience.request.count = 40;
	audience.request.filter = (char *)"price < 5";
	assert_int_equal(audience_fails_with("another request"), E_INVALID);
	audience.request.filter = (char *)"";
	audience.cursor[20] ^= 1;
	assert_int_equal(audience_fails_with("damaged"), E_INVALID);
	audience.cursor[20] ^= 1;
	audience.cursor[0]++;
	assert_int_equal(audience_fails_with("format"), E_INVALID);
	audience.cursor[0]--;
	audience.request.generation = audience.generation + 1;
	assert_int_equal(audience_fails_with("generation"), E_INVALID);
	audience.request.generation = 0;
	cluster_ok(&shop.cluster, CLI("define", "changing", "--catalog", "shop", "--event", "Purchased=5", "--event",
				      "Viewed=1", "--count", "3"));
	assert_int_equal(audience_fails_with("begin again"), E_PRECONDITION);
	audience_begin();
	audience.request.definition = (char *)"none";
	assert_int_equal(audience_fails_with("none of that name"), E_NOT_FOUND);
	audience_begin();
	audience.request.filter = (char *)"price < true";
	assert_int_equal(audience_fails_with("filter, character"), E_INVALID);
	audience_begin();
	audience.request.generation = 9999;
	assert_int_equal(audience_fails_with("not kept"), E_PRECONDITION);
}

/* Another definition, though it is alike and was never changed; its version goes on. */
static void test_a_definition_made_again_is_noticed(void **state)
{
	struct error err;
	(void)state;
	cluster_ok(&shop.cluster,
		   CLI("define", "again", "--catalog", "shop", "--event", "Purchased=5", "--event", "Viewed=1"));
	audience_begin();
	audience.request.definition = (char *)"again";
	audience_call();
	assert_int_equal(audience_read(2, &err), 1);
	audience_hang_up();
	assert_int_equal(audience.version, 1);
	cluster_ok(&shop.cluster, CLI("definitions", "delete", "again", "--yes"));
	assert_int_equal(audience_fails_with("none of that name"), E_NOT_FOUND);
	cluster_ok(&shop.cluster,
		   CLI("define", "again", "--catalog", "shop", "--event", "Purchased=5", "--event", "Viewed=1"));
	assert_int_equal(audience_fails_with("made again"), E_PRECONDITION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everybody_once),      cmocka_unit_test(test_filter_and_explain),
		cmocka_unit_test(test_by_activity),         cmocka_unit_test(test_goes_on_behind_every_response),
		cmocka_unit_test(test_cursors_are_checked), cmocka_unit_test(test_a_definition_made_again_is_noticed),
	};
	return cmocka_run_group_tests(tests, audience_set_up, small_shop_tear_down);
}
