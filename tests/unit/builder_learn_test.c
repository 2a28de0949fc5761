/* What is learnt from events beside neighbours: lists, popularity, season and trend; and how good it says it is. */
#include "builder/evaluate.h"
#include "builder/learn.h"
#include "common/score.h"
#include "lib/events_fixture.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DAY 86400u
#define NOW (20000 * DAY)

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

/* --- lists --- */

/* An event counts as its type times its own weight, and at most as the strongest type. */
static void test_own_weights(void **state)
{
	static const struct {
		uint16_t type;
		float own, expected;
	} cases[] = { { 0, 1, 0.25f },     { 0, 2, 0.5f },    { 0, 100, 1 },         { 1, 1, 1 },
		      { 1, 0.25f, 0.25f }, { 1, 1000000, 1 }, { 1, 0.001f, 0.001f }, { 0, 1e-45f, 0 } };
	struct lists lists;
	(void)state;
	events_fixture_user(&fixture);
	for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		events_fixture_add(&fixture, i, 100 + i, cases[i].type);
		events_fixture_weigh(&fixture, cases[i].own);
	}
	events_fixture_lists(&fixture, &lists, 10);
	assert_int_equal(lists.count, sizeof cases / sizeof *cases); /* the last one, too */
	for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_float_equal(lists_entries(&lists)[i].weight, cases[i].expected,
				   cases[i].expected / 250 + FLT_MIN);
	lists_free(&lists);
	/* as little as a float can be is not 1 */
	assert_true(event_weight(&(struct event){ .weight = event_weight_pack(1e-45f) }) < 1e-38f);
}

static void test_list_of_a_user(void **state)
{
	(void)state;
	struct lists lists;
	events_fixture_user(&fixture);
	events_fixture_add(&fixture, 3, 100, 1);
	events_fixture_add(&fixture, 5, 200, 0);
	events_fixture_add(&fixture, 3, 300, 0);
	events_fixture_user(&fixture); /* of nobody's interest: no events */
	events_fixture_user(&fixture);
	events_fixture_add(&fixture, 5, 50, 0);
	events_fixture_lists(&fixture, &lists, 10);
	assert_int_equal(lists.users, 2);
	assert_int_equal(lists.count, 3);
	assert_int_equal(lists.known, 2);
	assert_int_equal(lists.events, 4);
	const struct list_entry *first = lists_entries(&lists);
	assert_int_equal(first[0].item, 5);
	assert_true(first[0].weight > 0.24f && first[0].weight < 0.26f);
	assert_int_equal(first[1].item, 3); /* at its newest place, with its strongest event */
	assert_int_equal(lists_times(&lists)[1], 300);
	assert_true(first[1].weight > 0.99f);
	assert_int_equal(lists_users(&lists, 5), 2);
	assert_int_equal(lists_users(&lists, 4), 0);
	const struct list_place *places = lists.places.data;
	const uint64_t *of_item = lists.item_offsets.data;
	assert_int_equal(places[of_item[3]].list, 0);
	assert_int_equal(places[of_item[3]].place, 1);
	assert_int_equal(places[of_item[3]].length, 2);
	assert_int_equal(places[of_item[5] + 1].list, 2); /* the second user's begins there */
	lists_free(&lists);
}

static void test_window_and_cap(void **state)
{
	(void)state;
	struct lists lists;
	events_fixture_user(&fixture);
	for (uint32_t item = 0; item < 20; item++)
		events_fixture_add(&fixture, item, 1000 + item, 0);
	struct lists_window window = { .from_s = 1005, .to_s = 1015 };
	assert_int_equal(lists_make(&lists, &fixture.space, events_fixture_get(&fixture), 20, &fixture.relation, window,
				    4, 1, NULL),
			 0);
	assert_int_equal(lists.events, 10);
	assert_int_equal(lists.count, 4);
	assert_int_equal(lists.capped, 1);
	assert_int_equal(lists_entries(&lists)[0].item, 11);
	assert_int_equal(lists_entries(&lists)[3].item, 14);
	lists_free(&lists);

	struct plan_relation relation = { .window_s = 10 };
	assert_int_equal(learn_window(&relation, 99, 50).from_s, 40);
	assert_int_equal(learn_window(&relation, 99, 5).from_s, 0);
	relation.window_s = 0;
	assert_int_equal(learn_window(&relation, 99, 50).from_s, 0);
}

/* A pause of more than half an hour ends a list; an item of both sessions is in both lists. */
static void test_sessions(void **state)
{
	(void)state;
	struct lists lists;
	static const struct {
		uint32_t item, time_s;
	} events[] = { { 0, 100 }, { 1, 110 }, { 0, 1910 }, { 2, 3711 }, { 3, 3711 }, { 0, 5511 } };
	events_fixture_user(&fixture);
	for (size_t e = 0; e < sizeof events / sizeof *events; e++)
		events_fixture_add(&fixture, events[e].item, events[e].time_s, 0);
	events_fixture_user(&fixture);
	events_fixture_add(&fixture, 1, 7000, 0);
	struct lists_window window = { .to_s = 10000, .session_s = 1800 };
	assert_int_equal(lists_make(&lists, &fixture.space, events_fixture_get(&fixture), 4, &fixture.relation, window,
				    10, 2, NULL),
			 0);
	assert_int_equal(lists.users, 3);
	assert_int_equal(lists.people, 2);
	assert_int_equal(lists.events, 7);
	static const uint32_t expected[] = { 2, 3, 0, 1, 0, 1 };
	assert_int_equal(lists.count, 6);
	for (uint32_t e = 0; e < 6; e++)
		assert_int_equal(lists_entries(&lists)[e].item, expected[e]);
	assert_int_equal(lists_offsets(&lists)[1], 3);
	assert_int_equal(lists_offsets(&lists)[2], 5);
	lists_free(&lists);
}

/* --- popularity --- */

/* A share that was watched or a quantity makes nothing more popular, or less. */
static void test_popular_whatever_events_weigh(void **state)
{
	static const float weights[] = { 1e-45f, 0.01f, 1, 1000 };
	(void)state;
	for (uint32_t u = 0; u < 12; u++) {
		events_fixture_user(&fixture);
		events_fixture_add(&fixture, u % 4, NOW, 0);
		events_fixture_weigh(&fixture, weights[u % 4]);
	}
	struct lists lists;
	struct popular popular;
	events_fixture_lists(&fixture, &lists, 4);
	assert_int_equal(popular_make(&popular, &lists, NOW, 7, 2, NULL), 0);
	assert_int_equal(popular.count, 4);
	for (uint32_t r = 0; r < 4; r++)
		assert_int_equal(popular.scores[r], POPULAR_TOP);
	popular_free(&popular);
	lists_free(&lists);
}

static void test_popular_by_users(void **state)
{
	(void)state;
	struct lists lists;
	struct popular popular;
	/* one user bought item 0 a thousand times, ten looked at item 1 long ago, three at item 2 today */
	events_fixture_user(&fixture);
	for (int n = 0; n < 1000; n++)
		events_fixture_add(&fixture, 0, NOW - 1000 + (uint32_t)n, 1);
	for (int u = 0; u < 10; u++) {
		events_fixture_user(&fixture);
		events_fixture_add(&fixture, 1, NOW - 100 * DAY, 0);
	}
	for (int u = 0; u < 3; u++) {
		events_fixture_user(&fixture);
		events_fixture_add(&fixture, 2, NOW - DAY, 0);
	}
	events_fixture_lists(&fixture, &lists, 5);
	assert_int_equal(popular_make(&popular, &lists, NOW, 0, 2, NULL), 0);
	assert_int_equal(popular.count, 3); /* items 3 and 4 have no events */
	assert_int_equal(popular.rows[0], 1);
	assert_int_equal(popular.scores[0], POPULAR_TOP);
	assert_int_equal(popular.rows[1], 0);
	assert_in_range(popular.scores[1], 399999999, 400000001); /* one purchase, worth four looks, of ten */
	popular_free(&popular);

	assert_int_equal(popular_make(&popular, &lists, NOW, 7, 2, NULL), 0);
	assert_int_equal(popular.rows[0], 0);
	assert_int_equal(popular.rows[1], 2);
	assert_int_equal(popular.rows[2], 1);
	assert_true(popular.scores[2] >= 1);
	popular_free(&popular);
	lists_free(&lists);
}

/* --- season and trend --- */

static void add_events(uint32_t item, uint32_t count, uint32_t from_s, uint32_t to_s)
{
	for (uint32_t n = 0; n < count; n++) {
		events_fixture_user(&fixture);
		events_fixture_add(&fixture, item, from_s + (uint32_t)((uint64_t)(to_s - from_s) * n / count), 0);
	}
}

static void test_season(void **state)
{
	(void)state;
	/* items 0..9 evenly over two years; 10 in these weeks only, 11 never in them; 12 once, then */
	for (uint32_t item = 0; item < 10; item++)
		add_events(item, 200, NOW - 730 * DAY, NOW);
	add_events(10, 40, NOW - 365 * DAY, NOW - 340 * DAY);
	add_events(11, 300, NOW - 250 * DAY, NOW - 150 * DAY);
	add_events(12, 1, NOW - 360 * DAY, NOW - 359 * DAY);
	struct params params = params_default();
	params.season_exponent = 1;
	params.trend_exponent = 0;
	struct lift lift;
	struct lists_window all = { .to_s = UINT32_MAX };
	assert_int_equal(
		lift_make(&lift, events_fixture_get(&fixture), 20, &fixture.relation, all, &params, NOW, 2, NULL), 0);
	assert_true(lift.season && !lift.trend);
	assert_int_equal(lift.multipliers[10], 2 * SCORE_ONE); /* clipped */
	assert_int_equal(lift.multipliers[11], SCORE_ONE / 2);
	assert_in_range(lift.multipliers[3], SCORE_ONE * 8 / 10, SCORE_ONE);
	assert_in_range(lift.multipliers[12], SCORE_ONE, SCORE_ONE * 5 / 4); /* one event says little */
	assert_int_equal(lift.multipliers[19], SCORE_ONE);
	lift_free(&lift);

	/* less than a year of it: nothing can be said */
	struct lists_window year = { .from_s = NOW - 360 * DAY, .to_s = UINT32_MAX };
	assert_int_equal(
		lift_make(&lift, events_fixture_get(&fixture), 20, &fixture.relation, year, &params, NOW, 2, NULL), 0);
	assert_null(lift.multipliers);
}

static void test_trend(void **state)
{
	(void)state;
	for (uint32_t item = 0; item < 10; item++)
		add_events(item, 300, NOW - 100 * DAY, NOW);
	add_events(10, 300, NOW - 5 * DAY, NOW); /* rises */
	add_events(11, 300, NOW - 100 * DAY, NOW - 60 * DAY); /* went */
	struct params params = params_default();
	params.trend_exponent = 0.5;
	params.trend_days = 7;
	struct lift lift;
	struct lists_window all = { .to_s = UINT32_MAX };
	assert_int_equal(
		lift_make(&lift, events_fixture_get(&fixture), 12, &fixture.relation, all, &params, NOW, 2, NULL), 0);
	assert_true(lift.trend && !lift.season);
	assert_int_equal(lift.multipliers[10], (uint16_t)(sqrt(2) * SCORE_ONE + 0.5));
	assert_int_equal(lift.multipliers[11], (uint16_t)(sqrt(0.5) * SCORE_ONE + 0.5));
	assert_in_range(lift.multipliers[5], SCORE_ONE * 8 / 10, SCORE_ONE);
	lift_free(&lift);
}

/* What is too old to count at all moves nothing. */
static void test_no_trend_of_what_is_long_gone(void **state)
{
	(void)state;
	for (uint32_t item = 0; item < 10; item++)
		add_events(item, 200, NOW - 310 * DAY, NOW - 300 * DAY);
	struct params params = params_default();
	params.trend_days = 1;
	struct lift lift;
	struct lists_window all = { .to_s = UINT32_MAX };
	assert_int_equal(
		lift_make(&lift, events_fixture_get(&fixture), 10, &fixture.relation, all, &params, NOW, 2, NULL), 0);
	assert_false(lift.trend);
	assert_null(lift.multipliers);
	lift_free(&lift);
}

/* --- evaluation --- */

static struct evaluation run_evaluation(uint32_t items, uint32_t threads)
{
	struct params params = params_default();
	struct learn_input input = events_fixture_input(&fixture, &params, items);
	struct evaluation evaluation;
	struct learned learned;
	input.threads = threads;
	assert_int_equal(evaluate(&evaluation, &input, events_fixture_get(&fixture)->newest_s, &learned, NULL), 0);
	learned_free(&fixture.space, &learned);
	return evaluation;
}

/* Each user goes through one of 40 groups of five items, in order: what comes next is certain. */
static void add_walks(uint32_t users, uint32_t from_s)
{
	for (uint32_t u = 0; u < users; u++) {
		events_fixture_user(&fixture);
		for (uint32_t step = 0; step < 5; step++)
			events_fixture_add(&fixture, u % 40 * 5 + step, from_s + u * 100 + step, 0);
	}
}

static void test_evaluation_of_the_foreseeable(void **state)
{
	(void)state;
	add_walks(2000, NOW - 10 * DAY);
	struct evaluation e = run_evaluation(200, 2);
	assert_string_equal(e.note, "");
	assert_in_range(e.figures.queries, 780, 820); /* four of each of the last 200 users */
	assert_int_equal(e.figures.queries, e.possible_queries);
	assert_true(e.figures.hit_rate == 1);
	assert_true(e.figures.ndcg > 0.7 && e.figures.ndcg <= 1);
	assert_true(e.figures.mrr > 0.6 && e.figures.mrr <= e.figures.ndcg);
	assert_true(e.figures.coverage >= 0.8); /* who has begun is not shown the beginning */
	assert_true(e.figures.cold_share == 0);
	assert_true(e.figures.popular_hit_rate < 0.3);
}

static void test_evaluation_knows_cold_items(void **state)
{
	(void)state;
	add_walks(1000, NOW - 10 * DAY);
	/* at the end twenty items nobody knew, each after one that everybody knows */
	for (uint32_t u = 0; u < 150; u++) {
		events_fixture_user(&fixture);
		events_fixture_add(&fixture, u % 40 * 5, NOW + u, 0);
		events_fixture_add(&fixture, 200 + u % 20, NOW + u + 1, 0);
	}
	struct evaluation e = run_evaluation(220, 2);
	assert_true(e.figures.cold_share > 0.2);
	assert_true(e.figures.hit_rate <= 1 - e.figures.cold_share); /* what was never seen cannot be foreseen */
}

static void test_evaluation_does_not_depend_on_threads(void **state)
{
	(void)state;
	add_walks(3000, NOW - 10 * DAY);
	uint64_t seed = 8;
	for (uint32_t u = 0; u < 500; u++) {
		events_fixture_user(&fixture);
		for (uint32_t n = 0; n < 10; n++)
			events_fixture_add(&fixture, events_fixture_random(&seed, 200),
					   NOW - 9 * DAY + u * 1000 + events_fixture_random(&seed, 10) + n * 10, 0);
	}
	struct evaluation one = run_evaluation(200, 1), three = run_evaluation(200, 3);
	assert_true(one.figures.queries > 1000);
	assert_true(one.figures.hit_rate < 1);
	assert_memory_equal(&one.figures, &three.figures, sizeof one.figures);
}

static void test_evaluation_thins_evenly(void **state)
{
	(void)state;
	add_walks(60000, NOW - 100 * DAY);
	struct evaluation e = run_evaluation(200, 2);
	assert_true(e.possible_queries > EVALUATE_QUERIES);
	assert_int_equal(e.figures.queries, EVALUATE_QUERIES);
	assert_true(e.figures.hit_rate == 1);
}

static void test_no_evaluation_of_next_to_nothing(void **state)
{
	(void)state;
	struct evaluation e = run_evaluation(10, 2);
	assert_int_equal(e.figures.queries, 0);
	assert_non_null(strstr(e.note, "events"));

	add_walks(10, NOW);
	e = run_evaluation(200, 2);
	assert_int_equal(e.figures.queries, 0);
	assert_non_null(strstr(e.note, "50 events"));

	/* many events, nobody with two items */
	for (uint32_t u = 0; u < 500; u++) {
		events_fixture_user(&fixture);
		events_fixture_add(&fixture, u % 200, NOW + DAY + u, 0);
	}
	e = run_evaluation(200, 2);
	assert_int_equal(e.figures.queries, 0);
	assert_non_null(strstr(e.note, "asked about"));
}

static void test_no_evaluation_of_one_moment(void **state)
{
	(void)state;
	for (uint32_t u = 0; u < 500; u++) {
		events_fixture_user(&fixture);
		for (uint32_t item = 0; item < 5; item++)
			events_fixture_add(&fixture, (u + item) % 50, NOW, 0);
	}
	struct evaluation e = run_evaluation(50, 2);
	assert_int_equal(e.figures.queries, 0);
	assert_non_null(strstr(e.note, "same time"));
}

static void test_popularity_alone_is_not_learnt(void **state)
{
	(void)state;
	add_walks(2000, NOW - 10 * DAY);
	fixture.relation.learn = false;
	struct params params = params_default();
	struct learn_input input = events_fixture_input(&fixture, &params, 200);
	struct learned learned;
	assert_int_equal(learn(&learned, &input, UINT32_MAX, NOW, NULL), 0);
	assert_int_equal(learned.relation.neighbours, 0);
	assert_int_equal(learned.relation.popular_count, 200);
	learned_free(&fixture.space, &learned);
	struct evaluation e = run_evaluation(200, 2);
	assert_true(e.figures.hit_rate == e.figures.popular_hit_rate);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_own_weights),
		TEST(test_list_of_a_user),
		TEST(test_window_and_cap),
		TEST(test_sessions),
		TEST(test_popular_by_users),
		TEST(test_popular_whatever_events_weigh),
		TEST(test_season),
		TEST(test_trend),
		TEST(test_no_trend_of_what_is_long_gone),
		TEST(test_evaluation_of_the_foreseeable),
		TEST(test_evaluation_knows_cold_items),
		TEST(test_evaluation_does_not_depend_on_threads),
		TEST(test_evaluation_thins_evenly),
		TEST(test_no_evaluation_of_next_to_nothing),
		TEST(test_no_evaluation_of_one_moment),
		TEST(test_popularity_alone_is_not_learnt),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
