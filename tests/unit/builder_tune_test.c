/*
 * The tuner: it finds what matters in made-up data, whoever computes it and however many; and what the
 * next build begins with.
 */
#include "builder/choice.h"
#include "builder/tune.h"
#include "lib/events_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NOW 1700000000u
#define DAY 86400u
#define ITEMS 200u
#define ENOUGH 1e5 /* seconds: a search is at its end long before, also on a slow machine */

static struct events_fixture fixture;

static int set_up(void **state)
{
	(void)state;
	events_fixture_init(&fixture);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	events_fixture_fini(&fixture);
	return 0;
}

/* Users who take an item and then the one that goes with it, three times; `shift` says which one goes with it. */
static void add_pairs(uint32_t users, uint32_t from_s, uint32_t every_s, uint32_t shift, uint64_t *seed)
{
	for (uint32_t u = 0; u < users; u++) {
		events_fixture_user(&fixture);
		for (uint32_t pair = 0; pair < 3; pair++) {
			uint32_t item = events_fixture_random(seed, ITEMS), time_s = from_s + u * every_s + pair * 60;
			events_fixture_add(&fixture, item, time_s, 0);
			events_fixture_add(&fixture, (item + shift) % ITEMS, time_s + 10, 0);
		}
	}
}

/* What goes with an item has changed ten days ago; most events are older, so only learning that forgets sees it. */
static void add_change_of_taste(void)
{
	uint64_t seed = 5;
	add_pairs(1400, NOW - 100 * DAY, 5400, 7, &seed);
	add_pairs(600, NOW - 10 * DAY, 1400, 31, &seed);
}

static struct tuning run(const struct tune_options *options, uint32_t threads)
{
	struct params params = params_default();
	struct learn_input input = events_fixture_input(&fixture, &params, ITEMS);
	struct tuning tuning;
	input.threads = threads;
	assert_int_equal(tune(&tuning, &input, options, events_fixture_get(&fixture)->newest_s, NULL), 0);
	return tuning;
}

static void test_finds_that_old_events_mislead(void **state)
{
	(void)state;
	add_change_of_taste();
	struct tuning t = run(&(struct tune_options){ .seconds = ENOUGH }, 2);
	assert_string_equal(t.note, "");
	assert_true(t.choice.params.age_floor < params_default().age_floor || t.choice.params.age_days < 10);
	assert_true(t.choice.ndcg > 1.1 * t.standard.ndcg);
	assert_true(t.choice.coverage > 0.5 * t.standard.coverage);
	assert_true(t.other_count > 0);
	for (uint32_t o = 1; o < t.other_count; o++)
		assert_true(t.others[o].ndcg <= t.others[o - 1].ndcg || t.others[o].coverage > 0.5);
	assert_true(t.builds <= TUNE_BUILDS + 0.5);
}

/* Everybody goes back and forth between two items: only a model that shows what was seen can foresee it. */
static void test_finds_that_people_come_back(void **state)
{
	(void)state;
	uint64_t seed = 3;
	for (uint32_t u = 0; u < 1000; u++) {
		uint32_t item = events_fixture_random(&seed, ITEMS), other = events_fixture_random(&seed, ITEMS);
		events_fixture_user(&fixture);
		for (uint32_t n = 0; n < 6; n++)
			events_fixture_add(&fixture, n % 2 ? other : item, NOW - 10 * DAY + u * 600 + n * 20, 0);
	}
	struct tune_options options = { .seconds = ENOUGH };
	fixture.relation.occasion = OCCASION_AGAIN;
	struct tuning again = run(&options, 2);
	assert_true(again.choice.params.self_weight > 0);
	assert_true(again.choice.ndcg > 1.5 * again.standard.ndcg);
	fixture.relation.occasion = OCCASION_NEXT;
	struct tuning next = run(&options, 2);
	assert_true(next.choice.params.self_weight == 0);
}

/* A floor is kept where the objective alone would show everybody the same few things. */
static void test_keeps_the_floor(void **state)
{
	(void)state;
	uint64_t seed = 9;
	for (uint32_t u = 0; u < 1500; u++) {
		events_fixture_user(&fixture);
		for (uint32_t n = 0; n < 5; n++)
			events_fixture_add(&fixture,
					   n > 0 ? events_fixture_random(&seed, 40)
						 : events_fixture_random(&seed, ITEMS),
					   NOW - 10 * DAY + u * 400 + n, 0);
	}
	struct tuning any = run(&(struct tune_options){ .seconds = ENOUGH }, 2);
	struct tuning wide = run(&(struct tune_options){ .seconds = ENOUGH, .goal.coverage_floor = 0.9 }, 2);
	assert_true(any.choice.coverage < 0.8);
	assert_true(wide.choice.coverage > any.choice.coverage);
	assert_true(wide.choice.ndcg < any.choice.ndcg);
}

static void test_same_budget_same_choice(void **state)
{
	(void)state;
	add_change_of_taste();
	struct tune_options options = { .seconds = ENOUGH, .builds = 8 };
	struct tuning one = run(&options, 1), two = run(&options, 2);
	json_t *a = tuning_json(&one), *b = tuning_json(&two);
	assert_true(one.candidates > 8);
	assert_true(json_equal(a, b));
	json_decref(a);
	json_decref(b);
}

static void test_begins_from_the_last_choice(void **state)
{
	(void)state;
	add_change_of_taste();
	struct tuning first = run(&(struct tune_options){ .seconds = ENOUGH }, 2);
	struct tune_options options = {
		.seconds = ENOUGH, .last = &first.choice.params, .around_last = true, .last_events = first.events
	};
	struct tuning next = run(&options, 2);
	assert_true(next.choice.ndcg >= first.choice.ndcg);
	assert_true(next.candidates < first.candidates);
	assert_int_equal(next.events, first.events);
}

static void test_time_stops_it(void **state)
{
	(void)state;
	add_change_of_taste();
	struct tuning t = run(&(struct tune_options){ .seconds = 1e-9, .builds = 1000 }, 2);
	assert_true(t.stopped);
	assert_in_range(t.candidates, 1, 12);
}

/* Few questions of many events: a short search stays within its builds all the same. */
static void test_budget_holds_where_learning_is_dear(void **state)
{
	(void)state;
	uint64_t seed = 4;
	for (uint32_t u = 0; u < 500; u++) {
		events_fixture_user(&fixture);
		for (uint32_t n = 0; n < 900; n++)
			events_fixture_add(&fixture, events_fixture_random(&seed, 3000), NOW - 100 * DAY + n * 9000 + u,
					   0);
	}
	struct params params = params_default();
	struct learn_input input = events_fixture_input(&fixture, &params, 3000);
	fixture.relation.occasion = OCCASION_VISIT;
	struct tune_options options = { .seconds = ENOUGH };
	struct tuning t;
	assert_int_equal(tune(&t, &input, &options, events_fixture_get(&fixture)->newest_s, NULL), 0);
	assert_string_equal(t.note, "");
	assert_true(t.candidates > 2);
	assert_true(t.builds <= TUNE_BUILDS + 0.5);
}

static void test_too_little_to_ask(void **state)
{
	(void)state;
	uint64_t seed = 1;
	add_pairs(100, NOW - DAY, 60, 7, &seed);
	struct params last = params_default();
	last.gap = 0.3;
	struct tuning t = run(&(struct tune_options){ .seconds = ENOUGH, .last = &last }, 1);
	assert_non_null(strstr(t.note, "not tuned"));
	assert_true(t.choice.params.gap == 0.3);
}

/* A build reads what an earlier one wrote, and searches anew only when there is reason to. */
static void test_policy(void **state)
{
	(void)state;
	struct params defaults = params_default();
	struct choice none = choice_find(NULL, "shop", "Viewed=1|window=0", &defaults);
	assert_false(none.there);
	assert_false(choice_search(&none, 1000, false, 60).around_last);

	struct tuning t = { .events = 1000 };
	t.choice.params = defaults;
	t.choice.params.gap = 1.4;
	t.goal = (struct tune_goal){ TUNE_HIT_RATE, 0.3 };
	json_t *root = json_pack("{s[{ss s[{ss s{so}}]}]}", "catalogs", "name", "shop", "relations", "key",
				 "Viewed=1|window=0", "notes", "tuning", tuning_json(&t));
	assert_non_null(root);
	assert_false(choice_find(root, "films", "Viewed=1|window=0", &defaults).there);
	assert_false(choice_find(root, "shop", "Viewed=1|window=9", &defaults).there);
	struct choice found = choice_find(root, "shop", "Viewed=1|window=0", &defaults);
	assert_true(found.there);
	assert_memory_equal(&found.params, &t.choice.params, sizeof found.params);
	assert_true(choice_search(&found, 1400, false, 60).around_last);
	assert_int_equal(choice_search(&found, 1400, false, 60).goal.objective, TUNE_HIT_RATE);
	assert_true(choice_search(&found, 1400, true, 60).goal.coverage_floor == 0.3);
	assert_true(choice_search(&none, 1400, false, 60).goal.coverage_floor == TUNE_COVERAGE_FLOOR);
	assert_false(choice_search(&found, 1500, false, 60).around_last);
	assert_false(choice_search(&found, 1400, true, 60).around_last);
	json_decref(root);
}

/* Whether a build of the same input would not search, having read what the tuner left. */
static bool stands(const struct tuning *tuning)
{
	struct params defaults = params_default();
	json_t *notes = tuning_json(tuning);
	json_object_set_new(notes, "fingerprint", json_string("same"));
	json_t *root = json_pack("{s[{ss s[{ss s{so}}]}]}", "catalogs", "name", "shop", "relations", "key", "Viewed=1",
				 "notes", "tuning", notes);
	assert_non_null(root);
	struct choice choice = choice_find(root, "shop", "Viewed=1", &defaults);
	bool stands = choice_stands(&choice, "same", &tuning->goal, ENOUGH);
	json_decref(root);
	return stands;
}

/* What ran out of work goes on around its choice in the next build, till that comes to nothing. */
static void test_goes_on_when_work_was_short(void **state)
{
	(void)state;
	add_change_of_taste();
	struct tuning whole = run(&(struct tune_options){ .seconds = ENOUGH, .builds = 1000 }, 2);
	assert_true(stands(&whole));
	struct tuning last = run(&(struct tune_options){ .seconds = ENOUGH, .builds = 2 }, 2);
	assert_false(stands(&last));
	for (int build = 0; build < 20 && !stands(&last); build++) {
		struct params from = last.choice.params;
		last = run(&(struct tune_options){ .seconds = ENOUGH, .builds = 2, .last = &from, .around_last = true },
			   2);
	}
	assert_true(stands(&last));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_finds_that_old_events_mislead),
		TEST(test_finds_that_people_come_back),
		TEST(test_keeps_the_floor),
		TEST(test_same_budget_same_choice),
		TEST(test_begins_from_the_last_choice),
		TEST(test_time_stops_it),
		TEST(test_goes_on_when_work_was_short),
		TEST(test_budget_holds_where_learning_is_dear),
		TEST(test_too_little_to_ask),
		cmocka_unit_test(test_policy),
	};
	return cmocka_run_group_tests_name("builder/tune", tests, NULL, NULL);
}
