/* The real kindred-worker answering for one user: profile, rules, filters, changes of items. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/relation.h"
#include "lib/model_fixture.h"
#include "lib/shop_worker.h"

#define STATUS_INVALID 3
#define STATUS_NOT_FOUND 5
#define STATUS_PRECONDITION 9
#define STATUS_UNAVAILABLE 14

static void test_answers_from_the_last_events(void **state)
{
	struct worker_process *process = *state;
	shop_worker_expect(process, "john", 3, "item-0* item-1* item-2*");
	worker_ingest_one(process, "john", "item-0", "Viewed", 1000);
	shop_worker_expect(process, "john", 3, "item-1 item-2 item-3");
	/* counts five times as much, and is newer */
	worker_ingest_one(process, "john", "item-4", "Purchased", 2000);
	shop_worker_expect(process, "john", 3, "item-5 item-6 item-7");
	/* another event's type, another catalog's item: nothing to this definition */
	worker_ingest_one(process, "john", "item-2", "Wished for", 3000);
	worker_ingest_one(process, "john", "a film", "Viewed", 3000);
	shop_worker_expect(process, "john", 3, "item-5 item-6 item-7");
	shop_worker_expect(process, "jane", 2, "item-0* item-1*");

	Kindred__V1__RecommendResponse *response = worker_recommend(process, "jane", "next", 2);
	assert_int_equal(response->generation, 1);
	assert_int_equal(response->definition_version, 1);
	assert_int_equal(response->items[0]->score, 1000);
	assert_int_equal(response->items[0]->source, KINDRED__V1__SOURCE__SOURCE_POPULAR);
	assert_string_equal(response->items[0]->name, "");
	assert_null(response->shortfall);
	kindred__v1__recommend_response__free_unpacked(response, NULL);
}

/* The parts of the score as common/score.h gives them: weight of the event's type x weight of the neighbour. */
static void test_scores_are_exact(void **state)
{
	struct worker_process *process = *state;
	worker_ingest_one(process, "john", "item-0", "Viewed", 1000);
	worker_ingest_one(process, "john", "item-4", "Purchased", 2000);
	Kindred__V1__RecommendResponse *response = worker_recommend(process, "john", "next", 1);
	/* Viewed is 1 of 5: 819 in Q12. item-5 is item-4's first (60000) and item-0's fifth (56000). */
	assert_string_equal(response->items[0]->item_id, "item-5");
	assert_int_equal(response->items[0]->score, 60000 + (819 * 56000 >> 12));
	kindred__v1__recommend_response__free_unpacked(response, NULL);
}

static void buy(struct worker_process *process, const char *user, const char *item, float weight)
{
	Kindred__V1__IngestEventsRequest request = KINDRED__V1__INGEST_EVENTS_REQUEST__INIT;
	Kindred__V1__Event event = KINDRED__V1__EVENT__INIT, *events = &event;
	request.catalog = (char *)"shop";
	request.events = &events;
	request.n_events = 1;
	event.user_id = (char *)user;
	event.item_id = (char *)item;
	event.type = (char *)"Purchased";
	event.weight = weight;
	free(worker_reply(process, worker_send_message(process, FRAME_CALL_INGEST, &request.base)));
}

/* A purchase of little weight counts less than a view; one of great weight no more than a purchase. */
static void test_an_events_own_weight(void **state)
{
	static const struct {
		float weight;
		const char *first;
		uint32_t score;
	} cases[] = {
		/* Viewed is 819 of 4096, the purchase 82: against the strongest, item-0 counts 4096 and item-4 410 */
		{ 0.02f, "item-1", 60000 + (410 * 56000 >> 12) },
		{ 50, "item-5", 60000 + (819 * 56000 >> 12) },
	};
	struct worker_process *process = *state;
	for (size_t i = 0; i < 2; i++) {
		char user[8];
		snprintf(user, sizeof user, "john-%zu", i);
		worker_ingest_one(process, user, "item-0", "Viewed", 1000);
		buy(process, user, "item-4", cases[i].weight);
		Kindred__V1__RecommendResponse *response = worker_recommend(process, user, "next", 1);
		assert_string_equal(response->items[0]->item_id, cases[i].first);
		assert_int_equal(response->items[0]->score, cases[i].score);
		kindred__v1__recommend_response__free_unpacked(response, NULL);
	}
}

static void test_excludes_what_was_touched(void **state)
{
	struct shop_worker *shop = *state;
	struct worker_process *process = &shop->process;
	shop->rules.definition.n_exclude_events = 1;
	shop->rules.definition.exclude_events = shop->rules.exclude;
	shop->rules.lookback.seconds = 3600;
	shop->rules.definition.lookback = &shop->rules.lookback;
	shop_worker_update(shop);
	int64_t now = clock_wall_ms();
	worker_ingest_one(process, "john", "item-1", "Purchased", now - 100 * DAY_MS);
	worker_ingest_one(process, "john", "item-0", "Viewed", now - 1000);
	/* item-1 is excluded although it is out of the lookback; item-0 was only viewed */
	shop_worker_expect(process, "john", 3, "item-2 item-3 item-4");
	shop_worker_expect(process, "john", 7, "item-2 item-3 item-4 item-5 item-6 item-7 item-0*");

	shop->rules.definition.exclude_seen = true;
	shop_worker_update(shop);
	Kindred__V1__RecommendResponse *response = worker_recommend(process, "john", "next", 8);
	assert_string_equal(worker_recommended(response), "item-2 item-3 item-4 item-5 item-6 item-7");
	assert_non_null(response->shortfall);
	assert_int_equal(response->shortfall->wanted, 8);
	assert_int_equal(response->shortfall->returned, 6);
	assert_int_equal(response->shortfall->candidates, 8);
	assert_int_equal(response->shortfall->excluded, 2);
	assert_int_equal(response->shortfall->filtered, 0);
	kindred__v1__recommend_response__free_unpacked(response, NULL);

	/* seen within the lookback only */
	worker_ingest_one(process, "jane", "item-0", "Viewed", now - 3 * 3600000);
	worker_ingest_one(process, "jane", "item-2", "Viewed", now - 1000);
	shop_worker_expect(process, "jane", 8, "item-3 item-4 item-5 item-6 item-7 item-0 item-1");
}

static void test_as_of_a_moment_in_the_past(void **state)
{
	struct shop_worker *shop = *state;
	struct worker_process *process = &shop->process;
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	Google__Protobuf__Timestamp as_of = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	worker_ingest_one(process, "john", "item-0", "Viewed", 1000000);
	worker_ingest_one(process, "john", "item-4", "Viewed", 5000000);
	request.user_id = (char *)"john";
	request.definition = (char *)"next";
	request.count = 2;
	request.as_of = &as_of;
	static const struct {
		int64_t seconds;
		const char *items;
	} moments[] = { { 999, "item-0* item-1*" },
			{ 1000, "item-1 item-2" },
			{ 4999, "item-1 item-2" },
			{ 5000, "item-1 item-5" } };
	for (size_t i = 0; i < 4; i++) {
		as_of.seconds = moments[i].seconds;
		Kindred__V1__RecommendResponse *response = worker_recommend_request(process, &request);
		assert_string_equal(worker_recommended(response), moments[i].items);
		kindred__v1__recommend_response__free_unpacked(response, NULL);
	}
	/* the lookback is counted back from it */
	shop->rules.lookback.seconds = 10;
	shop->rules.definition.lookback = &shop->rules.lookback;
	shop_worker_update(shop);
	as_of.seconds = 1009;
	Kindred__V1__RecommendResponse *response = worker_recommend_request(process, &request);
	assert_string_equal(worker_recommended(response), "item-1 item-2");
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	as_of.seconds = 1011;
	response = worker_recommend_request(process, &request);
	assert_string_equal(worker_recommended(response), "item-0* item-1*");
	kindred__v1__recommend_response__free_unpacked(response, NULL);
}

/* More events than are looked up at once: the oldest one excludes, the newest one leads. */
static void test_a_long_history_counts_to_its_end(void **state)
{
	struct shop_worker *shop = *state;
	struct worker_process *process = &shop->process;
	shop->rules.definition.n_exclude_events = 1;
	shop->rules.definition.exclude_events = shop->rules.exclude;
	shop_worker_update(shop);
	worker_ingest_one(process, "john", "item-1", "Purchased", 1000);
	for (int i = 0; i < 70; i++)
		worker_ingest_one(process, "john", i % 2 ? "no-item" : "item-0", "Viewed", 2000 + i);
	Kindred__V1__RecommendResponse *response = worker_recommend(process, "john", "next", 8);
	assert_true(response->n_items > 0);
	for (size_t i = 0; i < response->n_items; i++)
		assert_string_not_equal(response->items[i]->item_id, "item-1");
	assert_string_equal(response->items[0]->item_id,
			    "item-2"); /* item-0's next best, now that item-1 is excluded */
	assert_int_equal(response->shortfall->excluded, 1);
	kindred__v1__recommend_response__free_unpacked(response, NULL);
}

/* Whose clock is ahead has still done what was acked: the next call sees it. */
static void test_an_event_from_a_clock_ahead_is_seen(void **state)
{
	struct worker_process *process = *state;
	worker_ingest_one(process, "john", "item-4", "Viewed", clock_wall_ms() + 600000);
	shop_worker_expect(process, "john", 1, "item-5");
}

static void test_filters_and_their_last_item(void **state)
{
	struct shop_worker *shop = *state;
	struct worker_process *process = &shop->process;
	shop->rules.definition.filter = (char *)"in_stock = true AND price < 65 AND category = last.category";
	shop_worker_update(shop);
	worker_ingest_one(process, "john", "item-0", "Viewed", 1000);
	/* even ones below 65 but item-0 itself, which nobody excludes: it comes from the fallback */
	shop_worker_expect(process, "john", 8, "item-2 item-4 item-0*");
	Kindred__V1__RecommendResponse *response = worker_recommend(process, "john", "next", 8);
	assert_int_equal(response->shortfall->candidates, 8);
	assert_int_equal(response->shortfall->filtered, 5);
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	/* no last item: no category is equal to it */
	shop_worker_expect(process, "jane", 8, "");

	shop->rules.fallback.ignore_filter = true;
	shop_worker_update(shop);
	shop_worker_expect(process, "john", 5, "item-2 item-4 item-0* item-1* item-3*");
	response = worker_recommend(process, "john", "next", 100);
	assert_int_equal(response->n_items, 8);
	assert_int_equal(response->shortfall->candidates, 8);
	assert_int_equal(response->shortfall->filtered, 0);
	kindred__v1__recommend_response__free_unpacked(response, NULL);

	shop->rules.fallback.kind = KINDRED__V1__FALLBACK_KIND__FALLBACK_KIND_NONE;
	shop_worker_update(shop);
	shop_worker_expect(process, "john", 5, "item-2 item-4");
	shop->rules.fallback.kind = KINDRED__V1__FALLBACK_KIND__FALLBACK_KIND_RECENTLY_POPULAR;
	shop->rules.fallback.ignore_filter = false;
	shop->rules.definition.filter = (char *)"price > 60";
	shop_worker_update(shop);
	shop_worker_expect(process, "jane", 5, "item-7* item-6*");
}

/* How an item stands is found out once: it is the same for whoever asks next. Item 2 was hidden when it was built. */
static void test_items_stand_the_same_for_the_next_user(void **state)
{
	struct shop_worker *shop = *state;
	struct worker_process *process = &shop->process;
	char key[RELATION_KEY_MAX], directory[128], path[4096];
	relation_key(&shop->rules.definition, key);
	snprintf(directory, sizeof directory, "%s/models", process->home.path);
	struct fixture_model *fixture = fixture_shop_new(key, 0);
	fixture_hidden(fixture, 2);
	fixture_model_write(fixture, directory, 2, path);
	fixture_model_free(fixture);
	worker_serve_generation(process, path, 2);
	shop->rules.definition.filter = (char *)"price < 65";
	shop_worker_update(shop);
	worker_ingest_one(process, "john", "item-0", "Viewed", 1000);
	for (int i = 0; i < 3; i++) {
		Kindred__V1__RecommendResponse *response = worker_recommend(process, "john", "next", 9);
		assert_string_equal(worker_recommended(response), "item-1 item-3 item-4 item-5 item-0*");
		assert_int_equal(response->shortfall->candidates, 8);
		assert_int_equal(response->shortfall->filtered, 2);
		assert_int_equal(response->shortfall->unavailable, 1);
		kindred__v1__recommend_response__free_unpacked(response, NULL);
		shop_worker_expect(process, "jane", 9, "item-0* item-1* item-3* item-4* item-5*");
	}
}

static void expect_filtered(struct worker_process *process, const char *user, const char *filter, const char *items,
			    uint32_t by_definition, uint32_t by_call)
{
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	request.user_id = (char *)user;
	request.definition = (char *)"next";
	request.filter = (char *)filter;
	request.count = 9; /* more than there are */
	Kindred__V1__RecommendResponse *response = worker_recommend_request(process, &request);
	assert_string_equal(worker_recommended(response), items);
	assert_int_equal(response->shortfall->candidates, 8);
	assert_int_equal(response->shortfall->filtered, by_definition);
	assert_int_equal(response->shortfall->filtered_by_call, by_call);
	kindred__v1__recommend_response__free_unpacked(response, NULL);
}

/* Beside the definition's filter, for personal and popular items; the next call does not know it. */
static void test_a_filter_for_one_call(void **state)
{
	struct shop_worker *shop = *state;
	struct worker_process *process = &shop->process;
	worker_ingest_one(process, "john", "item-0", "Viewed", 1000);
	expect_filtered(process, "john", "price > 20 AND price < 65", "item-2 item-3 item-4 item-5", 0, 4);
	expect_filtered(process, "john", " ", "item-1 item-2 item-3 item-4 item-5 item-6 item-7 item-0*", 0, 0);
	shop->rules.definition.filter = (char *)"price < 65";
	shop_worker_update(shop);
	expect_filtered(process, "john", "category = last.category", "item-2 item-4 item-0*", 1, 4);
	expect_filtered(process, "jane", "price > 20", "item-2* item-3* item-4* item-5*", 2, 2);
	/* it holds also where the definition's filter is left out */
	shop->rules.fallback.ignore_filter = true;
	shop_worker_update(shop);
	expect_filtered(process, "john", "price > 50", "item-5 item-6* item-7*", 0, 5);
	expect_filtered(process, "jane", "price > 50", "item-5* item-6* item-7*", 0, 5);
	shop_worker_expect(process, "jane", 3, "item-0* item-1* item-2*");
}

static void expect_part(const Kindred__V1__RecommendedItem *item, size_t at, const char *from, int64_t amount,
			Kindred__V1__ScorePartKind kind)
{
	assert_in_range(at, 0, item->n_parts - 1);
	assert_string_equal(item->parts[at]->item_id, from);
	assert_int_equal(item->parts[at]->amount, amount);
	assert_int_equal(item->parts[at]->kind, kind);
}

static void test_explains_scores(void **state)
{
	struct worker_process *process = *state;
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	worker_ingest_one(process, "john", "item-0", "Viewed", 1000);
	worker_ingest_one(process, "john", "item-4", "Purchased", 2000);
	request.user_id = (char *)"john";
	request.definition = (char *)"next";
	request.count = 8;
	request.explain = true;
	request.with_names = true;
	Kindred__V1__RecommendResponse *response = worker_recommend_request(process, &request);
	/* as test_scores_are_exact has them */
	assert_string_equal(response->items[0]->item_id, "item-5");
	assert_int_equal(response->items[0]->n_parts, 2);
	expect_part(response->items[0], 0, "item-4", 60000, KINDRED__V1__SCORE_PART_KIND__SCORE_PART_KIND_NEIGHBOUR);
	expect_part(response->items[0], 1, "item-0", 819 * 56000 >> 12,
		    KINDRED__V1__SCORE_PART_KIND__SCORE_PART_KIND_NEIGHBOUR);
	assert_string_equal(response->items[0]->parts[0]->name, "Item 4");
	assert_int_equal(response->n_items, 8);
	for (size_t i = 0; i < response->n_items; i++) {
		int64_t sum = 0;
		for (size_t p = 0; p < response->items[i]->n_parts; p++)
			sum += response->items[i]->parts[p]->amount;
		assert_int_equal(sum, response->items[i]->score);
	}
	kindred__v1__recommend_response__free_unpacked(response, NULL);

	request.user_id = (char *)"jane";
	request.with_names = false;
	response = worker_recommend_request(process, &request);
	assert_int_equal(response->items[0]->n_parts, 1);
	expect_part(response->items[0], 0, "", response->items[0]->score,
		    KINDRED__V1__SCORE_PART_KIND__SCORE_PART_KIND_POPULAR);
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	request.context_item = (char *)"item-4";
	response = worker_recommend_request(process, &request);
	expect_part(response->items[0], 0, "item-4", 60000, KINDRED__V1__SCORE_PART_KIND__SCORE_PART_KIND_NEIGHBOUR);
	assert_string_equal(response->items[0]->parts[0]->name, "");
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	request.explain = false;
	response = worker_recommend_request(process, &request);
	assert_int_equal(response->items[0]->n_parts, 0);
	kindred__v1__recommend_response__free_unpacked(response, NULL);
}

static void test_popular_strategy(void **state)
{
	struct shop_worker *shop = *state;
	struct worker_process *process = &shop->process;
	shop->rules.definition.strategy = KINDRED__V1__STRATEGY__STRATEGY_POPULAR;
	shop->rules.definition.exclude_seen = true;
	shop->rules.definition.filter = (char *)"price < 45";
	shop->rules.fallback.ignore_filter = true;
	shop_worker_update(shop);
	worker_ingest_one(process, "john", "item-0", "Viewed", 1000);
	shop_worker_expect(process, "john", 5, "item-1* item-2* item-3* item-4* item-5*");
}

static void test_changes_of_items_act_at_once(void **state)
{
	struct shop_worker *shop = *state;
	struct worker_process *process = &shop->process;
	shop->rules.definition.filter = (char *)"price < 65";
	shop_worker_update(shop);
	worker_ingest_one(process, "john", "item-0", "Viewed", 1000);
	shop_worker_expect(process, "john", 2, "item-1 item-2");
	shop_worker_set_item(process, "item-1", 20, true, false, 10);
	shop_worker_expect(process, "john", 2, "item-2 item-3");
	shop_worker_set_item(process, "item-2", 99, false, false, 11);
	shop_worker_expect(process, "john", 2, "item-3 item-4");
	shop_worker_set_item(process, "item-3", 0, false, true, 12);
	shop_worker_expect(process, "john", 2, "item-4 item-5");
	/* older changes come too late, also of what the generation has seen itself (version 1) */
	shop_worker_set_item(process, "item-1", 20, false, false, 9);
	shop_worker_set_item(process, "item-5", 99, false, false, 1);
	shop_worker_expect(process, "john", 2, "item-4 item-5");
	/* shown again; made again */
	shop_worker_set_item(process, "item-1", 20, false, false, 13);
	shop_worker_set_item(process, "item-3", 1, false, false, 14);
	shop_worker_expect(process, "john", 3, "item-1 item-3 item-4");

	/* the last item's attributes are the changed ones */
	shop->rules.definition.filter = (char *)"category = last.category";
	shop_worker_update(shop);
	worker_ingest_one(process, "john", "item-1", "Viewed", 2000);
	shop_worker_expect(process, "john", 8, "item-2 item-3 item-1");
	/* also of an item that came after the generation was built */
	shop_worker_set_item(process, "item-new", 5, false, false, 15);
	worker_ingest_one(process, "jane", "item-new", "Viewed", 2000);
	shop_worker_expect(process, "jane", 8, "item-1* item-2* item-3*");

	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	request.user_id = (char *)"jane";
	request.definition = (char *)"next";
	request.count = 1;
	request.with_names = true;
	Kindred__V1__RecommendResponse *response = worker_recommend_request(process, &request);
	assert_string_equal(response->items[0]->name, "A new name");
	assert_string_equal(response->items[0]->image_url, "http://new");
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	shop->rules.definition.filter = (char *)"";
	shop_worker_update(shop);
	response = worker_recommend_request(process, &request);
	assert_string_equal(response->items[0]->name, "Item 0");
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	Kindred__V1__RecommendResponse *short_of = worker_recommend(process, "john", "next", 9);
	assert_int_equal(short_of->shortfall->unavailable, 0);
	kindred__v1__recommend_response__free_unpacked(short_of, NULL);
	shop_worker_set_item(process, "item-7", 0, false, true, 16);
	short_of = worker_recommend(process, "john", "next", 9);
	assert_int_equal(short_of->shortfall->unavailable, 1);
	assert_int_equal(short_of->shortfall->candidates, 8);
	kindred__v1__recommend_response__free_unpacked(short_of, NULL);
}

static void test_refuses_what_it_cannot_answer(void **state)
{
	struct shop_worker *shop = *state;
	struct worker_process *process = &shop->process;
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	request.user_id = (char *)"john";
	request.definition = (char *)"next";
#define EXPECT_ERROR(status, text)                                                                                     \
	worker_expect_error(process, worker_send_message(process, FRAME_CALL_RECOMMEND, &request.base), status, text)
	request.filter = (char *)"price < \"5\"";
	EXPECT_ERROR(STATUS_INVALID, "filter, character 9: ");
	request.filter = (char *)"colour = \"red\"";
	EXPECT_ERROR(STATUS_INVALID, "'colour'");
	request.filter = (char *)"";
	request.generation = 77;
	EXPECT_ERROR(STATUS_UNAVAILABLE, "generation: 77 is not loaded");
	request.generation = 0;
	request.count = 1001;
	EXPECT_ERROR(STATUS_INVALID, "count: 1001; 1 to 1000 are allowed");
	request.count = 0;
	request.user_id = (char *)"";
	EXPECT_ERROR(STATUS_INVALID, "user_id: empty");
	request.user_id = (char *)"john";
	request.definition = (char *)"";
	EXPECT_ERROR(STATUS_INVALID, "definition: empty");
	request.definition = (char *)"nex";
	EXPECT_ERROR(STATUS_NOT_FOUND, "definition 'nex': none of that name; `kindred definitions list` shows them");
	request.definition = (char *)"next2";
	EXPECT_ERROR(STATUS_NOT_FOUND, "'next2'");
	static const char nul[] = "\x0a\x04john\x12\x05next\0";
	worker_expect_error(process, worker_send(process, FRAME_CALL_RECOMMEND, nul, sizeof nul - 1), STATUS_NOT_FOUND,
			    "none of that name");
	Google__Protobuf__Timestamp as_of = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	request.definition = (char *)"next";
	request.as_of = &as_of;
	as_of.seconds = -1;
	EXPECT_ERROR(STATUS_INVALID, "as_of: ");
	worker_expect_error(process, worker_send(process, FRAME_CALL_RECOMMEND, "\x0a", 1), STATUS_INVALID,
			    "not a kindred.v1.RecommendRequest");
	request.as_of = NULL;

	/* rules that the generation has not learnt */
	shop->rules.viewed.weight = 2;
	shop_worker_update(shop);
	EXPECT_ERROR(STATUS_PRECONDITION, "definition 'next' version 2 is not in model generation 1");
	Kindred__Internal__Drop drop = KINDRED__INTERNAL__DROP__INIT;
	drop.name = (char *)"next";
	worker_send_message(process, FRAME_DEFINITION_DROP, &drop.base);
	EXPECT_ERROR(STATUS_NOT_FOUND, "'next'");
	worker_kill(process);

	worker_start(process);
	worker_set_shop(process);
	worker_set_definition(process, &shop->rules.definition);
	EXPECT_ERROR(STATUS_PRECONDITION, "no model yet: `kindred model build`");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, shop_worker_setup, shop_worker_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_answers_from_the_last_events),
		TEST(test_scores_are_exact),
		TEST(test_an_events_own_weight),
		TEST(test_excludes_what_was_touched),
		TEST(test_a_long_history_counts_to_its_end),
		TEST(test_as_of_a_moment_in_the_past),
		TEST(test_an_event_from_a_clock_ahead_is_seen),
		TEST(test_filters_and_their_last_item),
		TEST(test_items_stand_the_same_for_the_next_user),
		TEST(test_popular_strategy),
		TEST(test_a_filter_for_one_call),
		TEST(test_explains_scores),
		TEST(test_changes_of_items_act_at_once),
		TEST(test_refuses_what_it_cannot_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
