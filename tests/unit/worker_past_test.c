/* The real kindred-worker: which events of a history count, however long it is and however it is stored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/shard.h"
#include "lib/shop_worker.h"

#define EVENTS_MAX 300
#define ROOM 80 /* events of a profile: four times the fixture's 20 items */
#define PORTION 32 /* are looked up together (worker/past.c) */
#define WHOLE 60 /* more are stored in two parts (common/history_parts.h) */

/* The same event `count` times, a second apart, the first at second `at`. */
static void ingest(struct worker_process *process, const char *user, const char *item, const char *type, int64_t at,
		   size_t count)
{
	struct test_event events[EVENTS_MAX];
	for (size_t i = 0; i < count; i++)
		events[i] = (struct test_event){
			.user = user, .item = item, .type = type, .time_ms = (at + (int64_t)i) * 1000
		};
	Kindred__V1__IngestEventsResponse *response = worker_ingest(process, events, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(response->outcomes[i], KINDRED__V1__OUTCOME__OUTCOME_ACCEPTED);
	kindred__v1__ingest_events_response__free_unpacked(response, NULL);
}

static void ingest_weighted(struct worker_process *process, const char *user, const char *item, float weight,
			    int64_t at)
{
	Kindred__V1__IngestEventsRequest request = KINDRED__V1__INGEST_EVENTS_REQUEST__INIT;
	Kindred__V1__Event event = KINDRED__V1__EVENT__INIT, *events = &event;
	Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	request.catalog = (char *)"shop";
	request.events = &events;
	request.n_events = 1;
	event.user_id = (char *)user;
	event.item_id = (char *)item;
	event.type = (char *)"Purchased";
	event.weight = weight;
	event.time = &time;
	time.seconds = at;
	free(worker_reply(process, worker_send_message(process, FRAME_CALL_INGEST, &request.base)));
}

static void exclude(struct shop_worker *shop, const char *type)
{
	shop->rules.exclude[0] = (char *)type;
	shop->rules.definition.n_exclude_events = 1;
	shop->rules.definition.exclude_events = shop->rules.exclude;
	shop_worker_update(shop);
}

static void expect_first(struct worker_process *process, const char *user, const char *item, uint32_t score)
{
	Kindred__V1__RecommendResponse *response = worker_recommend(process, user, "next", 1);
	assert_string_equal(response->items[0]->item_id, item);
	assert_int_equal(response->items[0]->score, score);
	kindred__v1__recommend_response__free_unpacked(response, NULL);
}

/* An event that excludes, and is none of those the definition is based on, neither leads nor is the last one. */
static void test_what_only_excludes(void **state)
{
	struct shop_worker *shop = *state;
	struct worker_process *process = &shop->process;
	exclude(shop, "Wished for");
	ingest(process, "john", "item-0", "Viewed", 1000, 1);
	ingest(process, "john", "item-1", "Wished for", 2000, ROOM + PORTION);
	shop_worker_expect(process, "john", 3, "item-2 item-3 item-4");
	shop->rules.definition.filter = (char *)"category = last.category";
	shop_worker_update(shop);
	shop_worker_expect(process, "john", 8, "item-2 item-4 item-6 item-0*");
}

/* Excluded is what is at the oldest end and at the newest, with more than a profile's events between them. */
static void test_excludes_at_both_ends(void **state)
{
	struct shop_worker *shop = *state;
	struct worker_process *process = &shop->process;
	exclude(shop, "Purchased");
	ingest(process, "john", "item-1", "Purchased", 1000, 1);
	ingest(process, "john", "item-0", "Viewed", 2000, 2 * ROOM);
	ingest(process, "john", "item-2", "Purchased", 3000, 1);
	shop_worker_expect(process, "john", 8, "item-3 item-4 item-5 item-6 item-7 item-0");
	/* what excludes leads all the same, five times as much as what does not */
	expect_first(process, "john", "item-3", 60000 + (819 * 58000 >> 12));
}

/* A profile is made of so many events; what was seen before them is still not shown. */
static void test_events_behind_a_full_profile(void **state)
{
	struct shop_worker *shop = *state;
	struct worker_process *process = &shop->process;
	ingest(process, "john", "item-4", "Viewed", 1000, 1);
	ingest(process, "john", "item-0", "Viewed", 2000, ROOM - 1);
	expect_first(process, "john", "item-1", 60000 + 56000);
	ingest(process, "john", "item-0", "Viewed", 3000, 1);
	expect_first(process, "john", "item-1", 60000);
	ingest(process, "john", "item-0", "Viewed", 4000, 2 * ROOM);
	expect_first(process, "john", "item-1", 60000);
	shop_worker_expect(process, "john", 4, "item-1 item-2 item-3 item-4");

	shop->rules.definition.exclude_seen = true;
	shop_worker_update(shop);
	shop_worker_expect(process, "john", 8, "item-1 item-2 item-3 item-5 item-6 item-7");
}

/* The last item is the newest one that counts, not that of an older portion; and before it the one being looked at. */
static void test_the_last_item_of_a_long_history(void **state)
{
	struct shop_worker *shop = *state;
	struct worker_process *process = &shop->process;
	shop->rules.definition.filter = (char *)"category = last.category";
	shop_worker_update(shop);
	ingest(process, "john", "item-1", "Viewed", 1000, 3 * PORTION);
	ingest(process, "john", "item-0", "Viewed", 2000, 1);
	ingest(process, "john", "no-item", "Viewed", 3000, PORTION);
	shop_worker_expect(process, "john", 8, "item-2 item-4 item-6 item-0");

	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	request.user_id = (char *)"john";
	request.definition = (char *)"next";
	request.count = 8;
	request.context_item = (char *)"item-5";
	Kindred__V1__RecommendResponse *response = worker_recommend_request(process, &request);
	for (size_t i = 0; i < response->n_items; i++)
		assert_int_equal((response->items[i]->item_id[strlen("item-")] - '0') % 2, 1);
	assert_int_equal(response->n_items, 3); /* but for item-5 itself */
	kindred__v1__recommend_response__free_unpacked(response, NULL);
}

static void expect_as_of(struct worker_process *process, const char *user, int64_t second, const char *items)
{
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	Google__Protobuf__Timestamp as_of = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	request.user_id = (char *)user;
	request.definition = (char *)"next";
	request.count = 8;
	request.as_of = &as_of;
	as_of.seconds = second;
	Kindred__V1__RecommendResponse *response = worker_recommend_request(process, &request);
	assert_string_equal(worker_recommended(response), items);
	kindred__v1__recommend_response__free_unpacked(response, NULL);
}

/* An event as old as the lookback counts, an older one does not, in either part of a history. */
static void test_the_lookback_ends_within_a_history(void **state)
{
	static const char *const users[] = { "short", "long" };
	struct shop_worker *shop = *state;
	struct worker_process *process = &shop->process;
	shop->rules.lookback.seconds = 1000;
	shop->rules.definition.lookback = &shop->rules.lookback;
	for (size_t i = 0; i < 2; i++) {
		ingest(process, users[i], "item-4", "Viewed", 999, 1);
		ingest(process, users[i], "item-0", "Viewed", 1000, 1);
	}
	ingest(process, "long", "no-item", "Viewed", 1001, 2 * WHOLE);
	for (size_t i = 0; i < 2; i++) {
		shop->rules.definition.exclude_seen = false;
		shop_worker_update(shop);
		expect_as_of(process, users[i], 1999, "item-1 item-5 item-2 item-6 item-3 item-7 item-0 item-4");
		expect_as_of(process, users[i], 2000, "item-1 item-2 item-3 item-4 item-5 item-6 item-7 item-0*");
		shop->rules.definition.exclude_seen = true;
		shop_worker_update(shop);
		expect_as_of(process, users[i], 2000, "item-1 item-2 item-3 item-4 item-5 item-6 item-7");
	}
}

/* Of a history in two parts one may have weights, and the other none. As test_an_events_own_weight has the scores. */
static void test_weights_in_either_part(void **state)
{
	struct worker_process *process = *state;
	ingest_weighted(process, "old", "item-4", 0.02f, 1000);
	ingest(process, "old", "no-item", "Viewed", 2000, 2 * WHOLE);
	ingest(process, "old", "item-0", "Viewed", 3000, 1);
	expect_first(process, "old", "item-1", 60000 + (410 * 56000 >> 12));

	ingest(process, "new", "item-0", "Viewed", 1000, 1);
	ingest(process, "new", "no-item", "Viewed", 2000, 2 * WHOLE);
	ingest_weighted(process, "new", "item-4", 0.02f, 3000);
	expect_first(process, "new", "item-1", 60000 + (410 * 56000 >> 12));
}

/* As it was started, but for this. */
static void start_again(struct shop_worker *shop)
{
	worker_start(&shop->process);
	worker_set_shop(&shop->process);
	worker_set_definition(&shop->process, &shop->rules.definition);
	worker_serve_generation(&shop->process, shop->first_path, 1);
}

/* Events beyond the cap stand in the older part for a while: they count no more, and the oldest that is kept does. */
static void test_events_that_have_gone(void **state)
{
	struct shop_worker *shop = *state;
	struct worker_process *process = &shop->process;
	worker_kill(process);
	process->history_cap = WHOLE + 4;
	start_again(shop);
	exclude(shop, "Purchased");
	ingest(process, "john", "item-1", "Purchased", 1000, 1);
	ingest(process, "john", "item-2", "Purchased", 1001, 1);
	ingest(process, "john", "item-0", "Viewed", 2000, WHOLE + 2);
	shop_worker_expect(process, "john", 8, "item-3 item-4 item-5 item-6 item-7 item-0");
	ingest(process, "john", "item-0", "Viewed", 3000, 1);
	shop_worker_expect(process, "john", 8, "item-3 item-4 item-5 item-6 item-7 item-1 item-0");
	ingest(process, "john", "item-0", "Viewed", 4000, 1);
	shop_worker_expect(process, "john", 8, "item-1 item-2 item-3 item-4 item-5 item-6 item-7 item-0*");
}

/* Into the shard of a worker that does not run. */
static void write_event(struct worker_process *process, const char *user, const char *item, int64_t time_ms)
{
	static const struct shard_options options = { .map_bytes = UINT64_C(64) << 20 };
	static const struct history_rules rules = { .cap = 1000 };
	struct shard_event event = { .user = user,
				     .user_bytes = strlen(user),
				     .type = "Viewed",
				     .type_bytes = strlen("Viewed"),
				     .item = item_key(catalog_seed("shop", 4), item, strlen(item)),
				     .time_ms = time_ms,
				     .weight = 1 };
	char path[4200];
	struct shard *shard;
	struct error err;
	snprintf(path, sizeof path, "%s/shards/%03u", process->home.path,
		 user_shard(user, strlen(user), process->shard_total));
	assert_int_equal(shard_open(&shard, path, &options, &err), 0);
	assert_int_equal(shard_write_begin(shard, &err), 0);
	assert_int_equal(shard_write_event(shard, &rules, &event, &err), HISTORY_ACCEPTED);
	assert_int_equal(shard_write_commit(shard, &err), 0);
	shard_close(shard);
}

/* Entries as versions before wrote them, which those with such times still are. */
static void test_entries_that_are_not_packed(void **state)
{
	struct shop_worker *shop = *state;
	struct worker_process *process = &shop->process;
	ingest(process, "short", "item-4", "Viewed", 1000, 1);
	ingest(process, "long", "item-4", "Viewed", 1000, 1);
	ingest(process, "long", "no-item", "Viewed", 2000, 2 * WHOLE); /* the older part is packed */
	worker_end(process);
	write_event(process, "short", "item-0", INT64_C(1) << 48);
	write_event(process, "long", "item-0", INT64_C(1) << 48);
	start_again(shop);
	shop_worker_expect(process, "short", 3, "item-1 item-5 item-2");
	shop_worker_expect(process, "long", 3, "item-1 item-5 item-2");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, shop_worker_setup, shop_worker_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_only_excludes),
		TEST(test_excludes_at_both_ends),
		TEST(test_events_behind_a_full_profile),
		TEST(test_the_last_item_of_a_long_history),
		TEST(test_the_lookback_ends_within_a_history),
		TEST(test_weights_in_either_part),
		TEST(test_events_that_have_gone),
		TEST(test_entries_that_are_not_packed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
