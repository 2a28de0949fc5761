/*
 * The real kindred-worker answering for users: profile, rules, filters, changes of items, swaps of
 * generations, thousands of users.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/ids.h"
#include "common/relation.h"
#include "lib/model_fixture.h"
#include "lib/shop_rules.h"
#include "lib/worker_process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define STATUS_CANCELLED 1
#define STATUS_INVALID 3
#define STATUS_DEADLINE 4
#define STATUS_NOT_FOUND 5
#define STATUS_PRECONDITION 9
#define STATUS_UNIMPLEMENTED 12

static void write_generation(struct worker_process *process, const struct shop_rules *rules, uint64_t number,
			     uint32_t turn, char *path)
{
	char directory[128], key[RELATION_KEY_MAX];
	snprintf(directory, sizeof directory, "%s/models", process->home.path);
	mkdir(directory, 0700);
	relation_key(&rules->definition, key);
	struct fixture_model *fixture = fixture_shop_new(key, turn);
	fixture_model_write(fixture, directory, number, path);
	fixture_model_free(fixture);
}

static struct shop_rules shop_rules;
static char first_path[4096];

/* A worker that serves "next" from generation 1, in which item-0's best neighbour is item-1, and so on. */
static int setup(void **state)
{
	static struct worker_process process;
	worker_process_init(&process);
	shop_rules_init(&shop_rules);
	write_generation(&process, &shop_rules, 1, 0, first_path);
	worker_start(&process);
	worker_set_shop(&process);
	worker_set_definition(&process, &shop_rules.definition);
	worker_serve_generation(&process, first_path, 1);
	*state = &process;
	return 0;
}

static int teardown(void **state)
{
	worker_process_fini(*state);
	return 0;
}

/* The next version of the rules, as they are in shop_rules now. */
static void update_rules(struct worker_process *process)
{
	shop_rules.definition.version++;
	worker_set_definition(process, &shop_rules.definition);
}

static void set_item(struct worker_process *process, const char *id, double price, bool hidden, bool deleted,
		     uint64_t version)
{
	Kindred__Internal__ItemSet set = KINDRED__INTERNAL__ITEM_SET__INIT;
	Kindred__V1__Item item = KINDRED__V1__ITEM__INIT;
	Kindred__V1__Attribute values[2], *list[2] = { &values[0], &values[1] };
	kindred__v1__attribute__init(&values[0]);
	kindred__v1__attribute__init(&values[1]);
	values[0].name = (char *)"price";
	values[0].value_case = KINDRED__V1__ATTRIBUTE__VALUE_NUMBER_VALUE;
	values[0].number_value = price;
	values[1].name = (char *)"category";
	values[1].value_case = KINDRED__V1__ATTRIBUTE__VALUE_STRING_VALUE;
	values[1].string_value = (char *)"changed";
	item.id = (char *)id;
	item.name = (char *)"A new name";
	item.image_url = (char *)"http://new";
	item.hidden = hidden;
	item.n_attributes = 2;
	item.attributes = list;
	set.catalog = (char *)"shop";
	set.item_key = item_key(catalog_seed("shop", 4), id, strlen(id)).value;
	set.item = deleted ? NULL : &item;
	set.deleted = deleted;
	set.version = version;
	worker_send_message(process, FRAME_ITEM_SET, &set.base);
}

static void expect(struct worker_process *process, const char *user, uint32_t count, const char *items)
{
	assert_string_equal(worker_recommends(process, user, "next", count), items);
}

static void test_answers_from_the_last_events(void **state)
{
	struct worker_process *process = *state;
	expect(process, "john", 3, "item-0* item-1* item-2*");
	worker_ingest_one(process, "john", "item-0", "Viewed", 1000);
	expect(process, "john", 3, "item-1 item-2 item-3");
	/* counts five times as much, and is newer */
	worker_ingest_one(process, "john", "item-4", "Purchased", 2000);
	expect(process, "john", 3, "item-5 item-6 item-7");
	/* another event's type, another catalog's item: nothing to this definition */
	worker_ingest_one(process, "john", "item-2", "Wished for", 3000);
	worker_ingest_one(process, "john", "a film", "Viewed", 3000);
	expect(process, "john", 3, "item-5 item-6 item-7");
	expect(process, "jane", 2, "item-0* item-1*");

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

static void test_excludes_what_was_touched(void **state)
{
	struct worker_process *process = *state;
	shop_rules.definition.n_exclude_events = 1;
	shop_rules.definition.exclude_events = shop_rules.exclude;
	shop_rules.lookback.seconds = 3600;
	shop_rules.definition.lookback = &shop_rules.lookback;
	update_rules(process);
	int64_t now = clock_wall_ms();
	worker_ingest_one(process, "john", "item-1", "Purchased", now - 100 * DAY_MS);
	worker_ingest_one(process, "john", "item-0", "Viewed", now - 1000);
	/* item-1 is excluded although it is out of the lookback; item-0 was only viewed */
	expect(process, "john", 3, "item-2 item-3 item-4");
	expect(process, "john", 7, "item-2 item-3 item-4 item-5 item-6 item-7 item-0*");

	shop_rules.definition.exclude_seen = true;
	update_rules(process);
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
	expect(process, "jane", 8, "item-3 item-4 item-5 item-6 item-7 item-0 item-1");
}

static void test_as_of_a_moment_in_the_past(void **state)
{
	struct worker_process *process = *state;
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
	shop_rules.lookback.seconds = 10;
	shop_rules.definition.lookback = &shop_rules.lookback;
	update_rules(process);
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
	struct worker_process *process = *state;
	shop_rules.definition.n_exclude_events = 1;
	shop_rules.definition.exclude_events = shop_rules.exclude;
	update_rules(process);
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
	expect(process, "john", 1, "item-5");
}

static void test_filters_and_their_last_item(void **state)
{
	struct worker_process *process = *state;
	shop_rules.definition.filter = (char *)"in_stock = true AND price < 65 AND category = last.category";
	update_rules(process);
	worker_ingest_one(process, "john", "item-0", "Viewed", 1000);
	/* even ones below 65 but item-0 itself, which nobody excludes: it comes from the fallback */
	expect(process, "john", 8, "item-2 item-4 item-0*");
	Kindred__V1__RecommendResponse *response = worker_recommend(process, "john", "next", 8);
	assert_int_equal(response->shortfall->candidates, 8);
	assert_int_equal(response->shortfall->filtered, 5);
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	/* no last item: no category is equal to it */
	expect(process, "jane", 8, "");

	shop_rules.fallback.ignore_filter = true;
	update_rules(process);
	expect(process, "john", 5, "item-2 item-4 item-0* item-1* item-3*");
	response = worker_recommend(process, "john", "next", 100);
	assert_int_equal(response->n_items, 8);
	assert_int_equal(response->shortfall->candidates, 8);
	assert_int_equal(response->shortfall->filtered, 0);
	kindred__v1__recommend_response__free_unpacked(response, NULL);

	shop_rules.fallback.kind = KINDRED__V1__FALLBACK_KIND__FALLBACK_KIND_NONE;
	update_rules(process);
	expect(process, "john", 5, "item-2 item-4");
	shop_rules.fallback.kind = KINDRED__V1__FALLBACK_KIND__FALLBACK_KIND_RECENTLY_POPULAR;
	shop_rules.fallback.ignore_filter = false;
	shop_rules.definition.filter = (char *)"price > 60";
	update_rules(process);
	expect(process, "jane", 5, "item-7* item-6*");
}

static void test_popular_strategy(void **state)
{
	struct worker_process *process = *state;
	shop_rules.definition.strategy = KINDRED__V1__STRATEGY__STRATEGY_POPULAR;
	shop_rules.definition.exclude_seen = true;
	shop_rules.definition.filter = (char *)"price < 45";
	shop_rules.fallback.ignore_filter = true;
	update_rules(process);
	worker_ingest_one(process, "john", "item-0", "Viewed", 1000);
	expect(process, "john", 5, "item-1* item-2* item-3* item-4* item-5*");
}

static void test_changes_of_items_act_at_once(void **state)
{
	struct worker_process *process = *state;
	shop_rules.definition.filter = (char *)"price < 65";
	update_rules(process);
	worker_ingest_one(process, "john", "item-0", "Viewed", 1000);
	expect(process, "john", 2, "item-1 item-2");
	set_item(process, "item-1", 20, true, false, 10);
	expect(process, "john", 2, "item-2 item-3");
	set_item(process, "item-2", 99, false, false, 11);
	expect(process, "john", 2, "item-3 item-4");
	set_item(process, "item-3", 0, false, true, 12);
	expect(process, "john", 2, "item-4 item-5");
	/* older changes come too late, also of what the generation has seen itself (version 1) */
	set_item(process, "item-1", 20, false, false, 9);
	set_item(process, "item-5", 99, false, false, 1);
	expect(process, "john", 2, "item-4 item-5");
	/* shown again; made again */
	set_item(process, "item-1", 20, false, false, 13);
	set_item(process, "item-3", 1, false, false, 14);
	expect(process, "john", 3, "item-1 item-3 item-4");

	/* the last item's attributes are the changed ones */
	shop_rules.definition.filter = (char *)"category = last.category";
	update_rules(process);
	worker_ingest_one(process, "john", "item-1", "Viewed", 2000);
	expect(process, "john", 8, "item-2 item-3 item-1");
	/* also of an item that came after the generation was built */
	set_item(process, "item-new", 5, false, false, 15);
	worker_ingest_one(process, "jane", "item-new", "Viewed", 2000);
	expect(process, "jane", 8, "item-1* item-2* item-3*");

	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	request.user_id = (char *)"jane";
	request.definition = (char *)"next";
	request.count = 1;
	request.with_names = true;
	Kindred__V1__RecommendResponse *response = worker_recommend_request(process, &request);
	assert_string_equal(response->items[0]->name, "A new name");
	assert_string_equal(response->items[0]->image_url, "http://new");
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	shop_rules.definition.filter = (char *)"";
	update_rules(process);
	response = worker_recommend_request(process, &request);
	assert_string_equal(response->items[0]->name, "Item 0");
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	Kindred__V1__RecommendResponse *short_of = worker_recommend(process, "john", "next", 9);
	assert_int_equal(short_of->shortfall->unavailable, 0);
	kindred__v1__recommend_response__free_unpacked(short_of, NULL);
	set_item(process, "item-7", 0, false, true, 16);
	short_of = worker_recommend(process, "john", "next", 9);
	assert_int_equal(short_of->shortfall->unavailable, 1);
	assert_int_equal(short_of->shortfall->candidates, 8);
	kindred__v1__recommend_response__free_unpacked(short_of, NULL);
}

static void test_says_what_it_does_not_serve(void **state)
{
	struct worker_process *process = *state;
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	request.user_id = (char *)"john";
	request.definition = (char *)"next";
#define EXPECT_ERROR(status, text)                                                                                     \
	worker_expect_error(process, worker_send_message(process, FRAME_CALL_RECOMMEND, &request.base), status, text)
	request.filter = (char *)"price < 5";
	EXPECT_ERROR(STATUS_UNIMPLEMENTED, "filter: ");
	request.filter = (char *)"";
	request.explain = true;
	EXPECT_ERROR(STATUS_UNIMPLEMENTED, "explain: ");
	request.explain = false;
	request.generation = 77;
	EXPECT_ERROR(STATUS_PRECONDITION, "generation: 77 is not kept");
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
	shop_rules.viewed.weight = 2;
	update_rules(process);
	EXPECT_ERROR(STATUS_PRECONDITION, "definition 'next' version 2 is not in model generation 1");
	Kindred__Internal__Drop drop = KINDRED__INTERNAL__DROP__INIT;
	drop.name = (char *)"next";
	worker_send_message(process, FRAME_DEFINITION_DROP, &drop.base);
	EXPECT_ERROR(STATUS_NOT_FOUND, "'next'");
	worker_kill(process);

	worker_start(process);
	worker_set_shop(process);
	worker_set_definition(process, &shop_rules.definition);
	EXPECT_ERROR(STATUS_PRECONDITION, "no model yet: `kindred model build`");
}

static struct worker_frame *raw_answer(struct worker_process *process, const char *user)
{
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	request.user_id = (char *)user;
	request.definition = (char *)"next";
	return worker_reply(process, worker_send_message(process, FRAME_CALL_RECOMMEND, &request.base));
}

static void test_swap_and_rollback(void **state)
{
	struct worker_process *process = *state;
	char second_path[4096];
	write_generation(process, &shop_rules, 2, 3, second_path);
	worker_ingest_one(process, "john", "item-0", "Viewed", 1000);
	struct worker_frame *first = raw_answer(process, "john");
	worker_serve_generation(process, second_path, 2);
	expect(process, "john", 2, "item-4 item-5");
	set_item(process, "item-4", 1, true, false, 10);
	expect(process, "john", 2, "item-5 item-6");
	set_item(process, "item-4", 1, false, false, 11);

	/* the same swap the other way; LOAD of one that is loaded is answered at once */
	worker_serve_generation(process, first_path, 1);
	struct worker_frame *again = raw_answer(process, "john");
	assert_int_equal(again->head.bytes, first->head.bytes);
	assert_memory_equal(again->payload, first->payload, first->head.bytes);
	free(first);
	free(again);

	Kindred__Internal__GenerationCommand command = KINDRED__INTERNAL__GENERATION_COMMAND__INIT;
	command.number = 1; /* active: stays */
	worker_send_message(process, FRAME_GENERATION_DROP, &command.base);
	expect(process, "john", 1, "item-1");
	command.number = 2;
	worker_send_message(process, FRAME_GENERATION_DROP, &command.base);
	uint64_t call = worker_send_message(process, FRAME_GENERATION_ACTIVATE, &command.base);
	struct worker_frame *frame = worker_await(process, FRAME_GENERATION_ACTIVATED, call);
	assert_int_equal(frame->head.status, STATUS_NOT_FOUND);
	free(frame);

	/* a file that is damaged, not there, or another generation's changes nothing */
	command.number = 9;
	command.path = first_path;
	call = worker_send_message(process, FRAME_GENERATION_LOAD, &command.base);
	frame = worker_await(process, FRAME_GENERATION_LOADED, call);
	assert_int_not_equal(frame->head.status, 0);
	assert_non_null(strstr((char *)frame->payload, "generation 1"));
	free(frame);
	command.path = (char *)"/nowhere/00000009.kindred";
	call = worker_send_message(process, FRAME_GENERATION_LOAD, &command.base);
	frame = worker_await(process, FRAME_GENERATION_LOADED, call);
	assert_int_equal(frame->head.status, STATUS_NOT_FOUND);
	free(frame);
	expect(process, "john", 1, "item-1");
	assert_int_equal(worker_end(process), 0);
}

static void expect_status(struct worker_process *process, enum frame_kind kind, uint64_t call, uint32_t status)
{
	struct worker_frame *frame = worker_await(process, kind, call);
	assert_non_null(frame);
	assert_int_equal(frame->head.status, status);
	free(frame);
}

/* The worker is stopped while it is sent the commands, so that it meets all of them before any load can have ended. */
static void test_a_drop_finds_what_is_still_loading(void **state)
{
	struct worker_process *process = *state;
	char second_path[4096];
	write_generation(process, &shop_rules, 2, 3, second_path);
	Kindred__Internal__GenerationCommand command = KINDRED__INTERNAL__GENERATION_COMMAND__INIT;
	command.number = 2;
	command.path = second_path;
	assert_int_equal(kill(process->pid, SIGSTOP), 0);
	uint64_t load = worker_send_message(process, FRAME_GENERATION_LOAD, &command.base);
	uint64_t again = worker_send_message(process, FRAME_GENERATION_LOAD, &command.base);
	worker_send_message(process, FRAME_GENERATION_DROP, &command.base);
	assert_int_equal(kill(process->pid, SIGCONT), 0);
	expect_status(process, FRAME_GENERATION_LOADED, load, STATUS_CANCELLED);
	expect_status(process, FRAME_GENERATION_LOADED, again, STATUS_CANCELLED);
	uint64_t activate = worker_send_message(process, FRAME_GENERATION_ACTIVATE, &command.base);
	expect_status(process, FRAME_GENERATION_ACTIVATED, activate, STATUS_NOT_FOUND);

	/* one that is asked for after the drop stays */
	assert_int_equal(kill(process->pid, SIGSTOP), 0);
	load = worker_send_message(process, FRAME_GENERATION_LOAD, &command.base);
	worker_send_message(process, FRAME_GENERATION_DROP, &command.base);
	again = worker_send_message(process, FRAME_GENERATION_LOAD, &command.base);
	assert_int_equal(kill(process->pid, SIGCONT), 0);
	expect_status(process, FRAME_GENERATION_LOADED, load, STATUS_CANCELLED);
	expect_status(process, FRAME_GENERATION_LOADED, again, 0);
	activate = worker_send_message(process, FRAME_GENERATION_ACTIVATE, &command.base);
	expect_status(process, FRAME_GENERATION_ACTIVATED, activate, 0);
	assert_int_equal(worker_end(process), 0);
}

/* --- many users --- */

#define USERS 10000

static uint64_t send_many(struct worker_process *process, uint32_t users, const char *definition)
{
	Kindred__V1__RecommendManyRequest request = KINDRED__V1__RECOMMEND_MANY_REQUEST__INIT;
	static char ids[USERS][16];
	static char *list[USERS];
	for (uint32_t i = 0; i < users; i++) {
		snprintf(ids[i], sizeof ids[i], "user-%u", i);
		list[i] = ids[i];
	}
	request.n_user_ids = users;
	request.user_ids = list;
	request.definition = (char *)definition;
	request.count = 8;
	return worker_send_message(process, FRAME_CALL_RECOMMEND_MANY, &request.base);
}

static Kindred__V1__RecommendManyResponse *many_reply(struct worker_process *process, uint64_t call)
{
	struct worker_frame *frame = worker_reply(process, call);
	assert_int_equal(frame->head.status, 0);
	Kindred__V1__RecommendManyResponse *response =
		kindred__v1__recommend_many_response__unpack(NULL, frame->head.bytes, frame->payload);
	assert_non_null(response);
	free(frame);
	return response;
}

static void test_many_users_as_one_by_one(void **state)
{
	struct worker_process *process = *state;
	for (int i = 0; i < 8; i++) {
		char user[16], item[16];
		snprintf(user, sizeof user, "user-%d", i);
		snprintf(item, sizeof item, "item-%d", i);
		worker_ingest_one(process, user, item, "Viewed", 1000);
	}
	Kindred__V1__RecommendManyResponse *response = many_reply(process, send_many(process, 200, "next"));
	assert_int_equal(response->n_results, 200);
	assert_int_equal(response->generation, 1);
	assert_int_equal(response->definition_version, 1);
	for (size_t i = 0; i < 200; i++) {
		Kindred__V1__UserRecommendations *one = response->results[i];
		Kindred__V1__RecommendResponse *alone = worker_recommend(process, one->user_id, "next", 8);
		assert_int_equal(one->error_code, 0);
		assert_int_equal(one->n_items, alone->n_items);
		for (size_t j = 0; j < one->n_items; j++) {
			assert_string_equal(one->items[j]->item_id, alone->items[j]->item_id);
			assert_int_equal(one->items[j]->score, alone->items[j]->score);
			assert_int_equal(one->items[j]->source, alone->items[j]->source);
		}
		kindred__v1__recommend_response__free_unpacked(alone, NULL);
	}
	kindred__v1__recommend_many_response__free_unpacked(response, NULL);

	Kindred__V1__RecommendManyRequest request = KINDRED__V1__RECOMMEND_MANY_REQUEST__INIT;
	char *users[] = { (char *)"user-0", (char *)"", (char *)"bad\xff", (char *)"user-1" };
	request.n_user_ids = 4;
	request.user_ids = users;
	request.definition = (char *)"next";
	request.count = 100;
	response = many_reply(process, worker_send_message(process, FRAME_CALL_RECOMMEND_MANY, &request.base));
	assert_int_equal(response->n_results, 4);
	uint32_t empty = 0, unreadable = 0, answered = 0;
	for (size_t i = 0; i < 4; i++) {
		const Kindred__V1__UserRecommendations *one = response->results[i];
		if (one->error_code == 0) {
			assert_int_equal(one->n_items, 8);
			assert_int_equal(one->shortfall->wanted, 100);
			answered += 1u << (one->user_id[strlen("user-")] - '0');
			continue;
		}
		assert_int_equal(one->error_code, STATUS_INVALID);
		assert_string_equal(one->user_id, "");
		if (strcmp(one->error, "user_id: empty; 1 to 256 bytes are allowed") == 0)
			empty++;
		else
			unreadable++;
	}
	assert_int_equal(answered, 3); /* user-0 and user-1, each once */
	assert_int_equal(empty, 1);
	assert_int_equal(unreadable, 1);
	kindred__v1__recommend_many_response__free_unpacked(response, NULL);

	worker_expect_error(process, send_many(process, 5, "none"), STATUS_NOT_FOUND, "'none'");
	worker_expect_error(process, send_many(process, 0, "next"), STATUS_INVALID, "user_ids: 0; 1 to 10000");
}

/* A call for one user that comes after a message of 10,000 is answered before it. */
static void test_one_user_does_not_wait_for_many(void **state)
{
	struct worker_process *process = *state;
	uint64_t many = send_many(process, USERS, "next");
	uint64_t more = send_many(process, USERS, "next");
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	request.user_id = (char *)"john";
	request.definition = (char *)"next";
	uint64_t one = worker_send_message(process, FRAME_CALL_RECOMMEND, &request.base);
	uint64_t order[3];
	for (int i = 0; i < 3;) {
		struct worker_frame *frame = worker_next(process);
		assert_non_null(frame);
		if (frame->head.kind == FRAME_REPLY)
			order[i++] = frame->head.call;
		free(frame);
	}
	assert_int_equal(order[0], one);
	assert_int_equal(order[1], many);
	assert_int_equal(order[2], more);
}

/*
 * A swap, an update and a drop in the middle of a message of users: its answer is still of one generation
 * and one version.
 */
static void test_many_users_are_one_generation(void **state)
{
	struct worker_process *process = *state;
	char second_path[4096];
	write_generation(process, &shop_rules, 2, 3, second_path);
	uint64_t many = send_many(process, USERS, "next");
	Kindred__Internal__GenerationCommand command = KINDRED__INTERNAL__GENERATION_COMMAND__INIT;
	worker_serve_generation(process, second_path, 2);
	shop_rules.definition.filter = (char *)"price < 15";
	update_rules(process);
	command.number = 1;
	worker_send_message(process, FRAME_GENERATION_DROP, &command.base);
	expect(process, "john", 8, "item-0*");
	Kindred__V1__RecommendManyResponse *response = many_reply(process, many);
	assert_int_equal(response->generation, 1);
	assert_int_equal(response->definition_version, 1);
	assert_int_equal(response->n_results, USERS);
	for (size_t i = 0; i < USERS; i++)
		assert_int_equal(response->results[i]->n_items, 8);
	kindred__v1__recommend_many_response__free_unpacked(response, NULL);
}

static void test_cancelled_and_late_messages_of_users(void **state)
{
	struct worker_process *process = *state;
	uint64_t cancelled[3];
	for (int i = 0; i < 3; i++)
		cancelled[i] = send_many(process, USERS, "next");
	for (int i = 2; i >= 0; i--) {
		struct frame_head head = { .kind = FRAME_CANCEL, .call = cancelled[i], .timeout_ms = UINT32_MAX };
		worker_send_head(process, head, "");
	}
	Kindred__V1__RecommendManyRequest request = KINDRED__V1__RECOMMEND_MANY_REQUEST__INIT;
	char *users[] = { (char *)"john" };
	uint8_t packed[64];
	request.n_user_ids = 1;
	request.user_ids = users;
	request.definition = (char *)"next";
	struct frame_head late = { .kind = FRAME_CALL_RECOMMEND_MANY, .call = 999999, .timeout_ms = 0 };
	late.bytes = (uint32_t)kindred__v1__recommend_many_request__pack(&request, packed);
	worker_send_head(process, late, packed);
	worker_expect_error(process, 999999, STATUS_DEADLINE, "deadline");
	worker_send(process, FRAME_DRAIN, "", 0);
	for (;;) {
		struct worker_frame *frame = worker_next(process);
		assert_non_null(frame);
		bool drained = frame->head.kind == FRAME_DRAINED;
		for (int i = 0; i < 3; i++)
			assert_false(frame->head.kind == FRAME_REPLY && frame->head.call == cancelled[i]);
		free(frame);
		if (drained)
			break;
	}
	assert_int_equal(worker_wait(process), 0);
}

static void test_counts_what_it_answered(void **state)
{
	struct worker_process *process = *state;
	kindred__v1__recommend_many_response__free_unpacked(many_reply(process, send_many(process, 300, "next")), NULL);
	expect(process, "john", 1, "item-0*");
	Kindred__Internal__WorkerStats *stats = worker_stats(process);
	assert_int_equal(stats->recommend_users, 301);
	assert_int_equal(stats->generation, 1);
	kindred__internal__worker_stats__free_unpacked(stats, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_answers_from_the_last_events),
		TEST(test_scores_are_exact),
		TEST(test_excludes_what_was_touched),
		TEST(test_a_long_history_counts_to_its_end),
		TEST(test_as_of_a_moment_in_the_past),
		TEST(test_an_event_from_a_clock_ahead_is_seen),
		TEST(test_filters_and_their_last_item),
		TEST(test_popular_strategy),
		TEST(test_changes_of_items_act_at_once),
		TEST(test_says_what_it_does_not_serve),
		TEST(test_swap_and_rollback),
		TEST(test_a_drop_finds_what_is_still_loading),
		TEST(test_many_users_as_one_by_one),
		TEST(test_one_user_does_not_wait_for_many),
		TEST(test_many_users_are_one_generation),
		TEST(test_cancelled_and_late_messages_of_users),
		TEST(test_counts_what_it_answered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
