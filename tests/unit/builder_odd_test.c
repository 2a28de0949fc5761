/*
 * Odd data: what a shop of one item, a robot with a million events or a clock that stood still put into
 * the histories. Every build ends, with a model that a worker can open and that still recommends what
 * there is to recommend.
 */
#include "builder/build.h"
#include "builder/items.h"
#include "common/clock.h"
#include "common/score.h"
#include "lib/build_fixture.h"
#include "lib/events_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW BUILD_FIXTURE_NOW_MS
#define MINUTE 60000

static struct build_fixture fixture;

static int set_up(void **state)
{
	(void)state;
	build_fixture_init(&fixture, 4);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	build_fixture_fini(&fixture);
	return 0;
}

static void add_event(unsigned user, unsigned item, const char *type, int64_t time_ms)
{
	build_fixture_numbered(&fixture, user, item, type, time_ms);
}

static void add_shoppers(unsigned users, unsigned groups)
{
	build_fixture_shoppers(&fixture, users, groups);
}

static void make_shop_of(unsigned items, const char *events)
{
	build_fixture_catalog(&fixture, "shop", items);
	build_fixture_define(&fixture, "next", "shop", events, 0, false);
}

static void make_shop(unsigned items)
{
	make_shop_of(items, "Viewed=1");
}

static const struct model_relation *only_relation(const struct model *model)
{
	return &model->catalogs[0].relations[0];
}

/* Neighbours that were learnt, not only found by attributes. */
static unsigned learnt(const struct model *model)
{
	const struct model_relation *relation = only_relation(model);
	unsigned count = 0;
	for (uint64_t at = 0; at < relation->offsets[model->catalogs[0].items]; at++)
		count += !relation->by_attributes || !model_bit(relation->by_attributes, at);
	return count;
}

/* What any model of any data keeps to. */
static void assert_sane(const struct model *model)
{
	const struct model_relation *r = only_relation(model);
	uint32_t items = model->catalogs[0].items;
	for (uint32_t row = 0; row < items; row++) {
		for (uint64_t at = r->offsets[row]; at < r->offsets[row + 1]; at++) {
			uint32_t neighbour = model_entry_row(r->entries[at], r->row_mask);
			uint32_t weight = model_entry_weight(r->entries[at], r->row_mask);
			assert_true(neighbour < items && neighbour != row);
			assert_true(weight > 0);
			if (at > r->offsets[row])
				assert_true(weight <= model_entry_weight(r->entries[at - 1], r->row_mask));
		}
		if (r->multipliers) /* season and trend, each from 1/2 to 2 at most */
			assert_in_range(r->multipliers[row], SCORE_ONE / 4, SCORE_ONE * 4);
	}
	for (uint32_t p = 0; p < r->popular_count; p++)
		assert_in_range(r->popular_scores[p], 1, p ? r->popular_scores[p - 1] : UINT32_MAX);
	for (uint32_t p = 0; p < r->recent_count; p++)
		assert_in_range(r->recent_scores[p], 1, p ? r->recent_scores[p - 1] : UINT32_MAX);
	const struct model_evaluation *e = &r->evaluation;
	const double figures[] = { e->hit_rate, e->ndcg, e->mrr, e->coverage, e->cold_share, e->popular_hit_rate };
	for (size_t f = 0; f < sizeof figures / sizeof *figures; f++)
		assert_true(isfinite(figures[f]) && figures[f] >= 0 && figures[f] <= 1);
}

/* Builds and opens; with the parameters of every day, or those given. */
static struct model *build_with(const struct params *params)
{
	struct build_options options = build_fixture_options();
	struct error err = { 0 };
	if (params) {
		options.params = *params;
		options.params_as_given = true;
	}
	int code = build_fixture_build(&fixture, &options, &err);
	if (code)
		fail_msg("%s", err.text);
	struct model *model = build_fixture_open(&fixture);
	assert_sane(model);
	return model;
}

static void assert_noted(const char *text)
{
	FILE *file = fopen(fixture.path, "rb");
	assert_non_null(file);
	fseek(file, 0, SEEK_END);
	size_t count = (size_t)ftell(file);
	char *bytes = malloc(count);
	assert_non_null(bytes);
	rewind(file);
	assert_int_equal(fread(bytes, 1, count, file), count);
	fclose(file);
	assert_non_null(memmem(bytes, count, text, strlen(text)));
	free(bytes);
}

/* What somebody who has just been at this item is shown first; -1: nothing. */
static int next_after(const struct model *model, unsigned item)
{
	const struct model_catalog *shop = &model->catalogs[0];
	const struct model_relation *relation = only_relation(model);
	char id[24];
	snprintf(id, sizeof id, "i%u", item);
	struct profile_event event = { build_fixture_row(shop, id), SCORE_ONE, NOW };
	struct profile_item profile[PROFILE_MAX];
	struct scored top[2];
	struct score_counts counts;
	struct scorer *scorer = scorer_new(shop->items);
	assert_non_null(scorer);
	uint32_t found = scorer_top(scorer, relation, profile, profile_make(&relation->serving, &event, 1, profile), 2,
				    NULL, NULL, top, &counts);
	scorer_free(scorer);
	uint32_t best = found && top[0].row == event.row ? 1 : 0; /* the item itself may be among them */
	return found > best ? atoi(model_item_id(shop, top[best].row).data + 1) : -1;
}

/* The item's best neighbour that was learnt; -1: it has none. */
static int neighbour_of(const struct model *model, unsigned item)
{
	const struct model_relation *relation = only_relation(model);
	char id[24];
	snprintf(id, sizeof id, "i%u", item);
	uint32_t row = build_fixture_row(&model->catalogs[0], id);
	for (uint64_t at = relation->offsets[row]; at < relation->offsets[row + 1]; at++)
		if (!relation->by_attributes || !model_bit(relation->by_attributes, at))
			return atoi(model_item_id(&model->catalogs[0],
						  model_entry_row(relation->entries[at], relation->row_mask))
					    .data +
				    1);
	return -1;
}

/* --- nothing, little, broken --- */

static void test_no_events(void **state)
{
	(void)state;
	make_shop(5);
	struct model *model = build_with(NULL); /* the shards do not even exist */
	assert_true(model->newest_event_ms == INT64_MIN);
	assert_int_equal(model->catalogs[0].items, 5);
	assert_int_equal(only_relation(model)->popular_count, 0);
	assert_int_equal(only_relation(model)->evaluation.queries, 0);
	model_close(model);
}

static void test_one_event(void **state)
{
	(void)state;
	make_shop(5);
	add_event(1, 3, "Viewed", NOW);
	struct model *model = build_with(NULL);
	assert_int_equal(model->newest_event_ms, NOW);
	assert_int_equal(only_relation(model)->popular_count, 1);
	assert_int_equal(only_relation(model)->popular_rows[0], 0);
	assert_memory_equal(model_item_id(&model->catalogs[0], 0).data, "i3", 2);
	model_close(model);
}

static void test_empty_catalog_with_events(void **state)
{
	(void)state;
	make_shop(0);
	add_event(1, 3, "Viewed", NOW);
	struct model *model = build_with(NULL);
	assert_int_equal(model->catalogs[0].items, 0);
	assert_int_equal(model->events, 0);
	model_close(model);
	assert_noted("\"events_of_unknown_items\":1");
}

/* Deleted, with its definitions, between the plan and the reading of its items. */
static void test_a_catalog_that_goes_meanwhile(void **state)
{
	struct error err = { 0 };
	struct space space;
	struct items items;
	(void)state;
	make_shop(5);
	space_init(&space, fixture.home.path, 64 << 20);
	assert_int_equal(items_load(&items, &space, fixture.control, "gone", &err), 0);
	assert_int_equal(items.count, 0);
	assert_int_equal(items.column_count, 0);
	assert_int_equal(items_slot(&items, 5), MODEL_NO_ROW);
	items_free(&items);
	assert_int_equal(items_load(&items, &space, fixture.control, "shop", &err), 0);
	assert_int_equal(items.count, 5);
	items_free(&items);
	space_fini(&space);
}

static void test_all_events_at_one_time(void **state)
{
	(void)state;
	make_shop(40);
	for (unsigned u = 0; u < 300; u++)
		for (unsigned n = 0; n < 4; n++)
			add_event(u, u % 10 * 4 + n, "Viewed", NOW - DAY_MS);
	struct model *model = build_with(NULL);
	assert_int_equal(only_relation(model)->evaluation.queries, 0);
	assert_int_equal(learnt(model), 40 * 3);
	model_close(model);
}

/* However many there are: what can be read is learnt from. */
static void test_damaged_histories_are_passed_over(void **state)
{
	(void)state;
	make_shop(12);
	add_shoppers(300, 3);
	for (unsigned n = 0; n < 3000; n++) {
		char user[24];
		snprintf(user, sizeof user, n % 2 ? "damaged-%u" : "vdamaged-%u", n); /* before and behind the others */
		build_fixture_damage(&fixture, user);
	}
	struct model *model = build_with(NULL);
	assert_int_equal(model->users, 300);
	assert_int_equal(model->events, 900);
	assert_int_equal(learnt(model), 12 * 3);
	model_close(model);
	assert_noted("\"damaged_histories\":3000");
}

static void test_items_seen_once(void **state)
{
	(void)state;
	make_shop(1000);
	for (unsigned u = 0; u < 500; u++) {
		add_event(u, 2 * u, "Viewed", NOW - 10 * DAY_MS + u * MINUTE);
		add_event(u, 2 * u + 1, "Viewed", NOW - 10 * DAY_MS + u * MINUTE + 1);
	}
	struct model *model = build_with(NULL);
	assert_int_equal(learnt(model), 1000);
	assert_true(only_relation(model)->evaluation.cold_share > 0.99);
	model_close(model);
}

static void test_events_of_the_future(void **state)
{
	(void)state;
	make_shop(14);
	add_shoppers(300, 3);
	for (unsigned u = 0; u < 5; u++)
		add_event(1000 + u, 12, "Viewed", NOW + 30000 * DAY_MS + u);
	struct model *model = build_with(NULL);
	assert_int_equal(model->events, 900); /* they neither count nor make all others look old */
	assert_true(model->newest_event_ms <= NOW);
	assert_int_equal(only_relation(model)->items, 12);
	assert_true(only_relation(model)->evaluation.hit_rate > 0.99);
	model_close(model);

	/* a machine whose clock is wrong: everything seems to come from the future, and counts */
	struct build_options options = build_fixture_options();
	options.now_ms = DAY_MS;
	assert_int_equal(build_fixture_build(&fixture, &options, NULL), 0);
	model = build_fixture_open(&fixture);
	assert_sane(model);
	assert_int_equal(model->events, 905);
	model_close(model);
}

/* --- few --- */

static void test_ten_events(void **state)
{
	(void)state;
	make_shop(20);
	for (unsigned u = 0; u < 5; u++) {
		add_event(u, 7, "Viewed", NOW - DAY_MS + u * MINUTE);
		add_event(u, u < 4 ? 8 : 9, "Viewed", NOW - DAY_MS + u * MINUTE + 1000);
	}
	struct model *model = build_with(NULL);
	assert_int_equal(model->events, 10);
	assert_int_equal(next_after(model, 7), 8); /* what four of the five went on to */
	assert_int_equal(neighbour_of(model, 9), 7);
	assert_int_equal(only_relation(model)->evaluation.queries, 0);
	assert_noted("not evaluated: 10 events");
	model_close(model);
}

static void test_one_item(void **state)
{
	(void)state;
	make_shop(1);
	for (unsigned u = 0; u < 500; u++)
		for (unsigned n = 0; n < 3; n++)
			add_event(u, 0, "Viewed", NOW - DAY_MS + u * MINUTE + n);
	struct model *model = build_with(NULL);
	assert_int_equal(learnt(model), 0);
	assert_int_equal(only_relation(model)->popular_count, 1);
	assert_int_equal(only_relation(model)->events, 1500);
	model_close(model);
}

static void test_one_event_a_user(void **state)
{
	(void)state;
	make_shop(30);
	for (unsigned u = 0; u < 3000; u++)
		add_event(u, u % 50 < 20 ? 4 : u % 30, "Viewed", NOW - 30 * DAY_MS + u * MINUTE);
	struct model *model = build_with(NULL);
	assert_int_equal(learnt(model), 0); /* nothing goes with anything .. */
	assert_int_equal(only_relation(model)->popular_rows[0], build_fixture_row(&model->catalogs[0], "i4"));
	assert_int_equal(only_relation(model)->popular_count, 30); /* .. but what is popular can be told */
	assert_int_equal(only_relation(model)->evaluation.queries, 0);
	model_close(model);
}

/* The only event type weighs next to nothing: it is the largest of its relation all the same. */
static void test_one_event_type(void **state)
{
	(void)state;
	make_shop_of(12, "Viewed=0.001");
	add_shoppers(300, 3);
	struct model *model = build_with(NULL);
	assert_true(only_relation(model)->evaluation.hit_rate > 0.99);
	assert_in_range(next_after(model, 4), 5, 7);
	model_close(model);
}

/* --- much of one --- */

/* A robot that looks at everything, again and again: its history is capped, and the crowd decides. */
static void test_one_user_with_a_million_events(void **state)
{
	(void)state;
	fixture.history_cap = 2000;
	make_shop(10000);
	for (unsigned n = 0; n < 1000000; n++)
		add_event(0, n % 5000 * 2, "Viewed", NOW - DAY_MS + (int64_t)n * 80);
	for (unsigned u = 1; u < 50; u++) {
		add_event(u, 1, "Viewed", NOW - u * MINUTE);
		add_event(u, 3, "Viewed", NOW - u * MINUTE + 1000);
	}
	struct model *model = build_with(NULL);
	const struct model_relation *relation = only_relation(model);
	assert_int_equal(relation->events, 2000 + 2 * 49);
	/*
	 * newest 1,000 items of the robot, each with 100 before and behind it at most: what bounds the
	 * work of a build
	 */
	assert_true(learnt(model) <= 1000 * 200 + 2);
	assert_noted("\"users_capped\":1");
	uint32_t best = relation->popular_rows[0];
	assert_true(best == build_fixture_row(&model->catalogs[0], "i1") ||
		    best == build_fixture_row(&model->catalogs[0], "i3"));
	assert_int_equal(next_after(model, 1), 3);
	assert_int_equal(next_after(model, 3), 1);
	model_close(model);
}

/* Everybody starts at the same item. What goes with an item is still what its own people came to, not that one. */
static void test_an_item_in_every_list(void **state)
{
	(void)state;
	make_shop(42);
	for (unsigned u = 0; u < 2000; u++) {
		int64_t time_ms = NOW - 20 * DAY_MS + (int64_t)u * 10 * MINUTE;
		unsigned pair = u % 20 * 2;
		add_event(u, 40, "Viewed", time_ms);
		add_event(u, pair, "Viewed", time_ms + MINUTE);
		add_event(u, pair + 1, "Viewed", time_ms + 2 * MINUTE);
	}
	struct model *model = build_with(NULL);
	for (unsigned pair = 0; pair < 40; pair += 2) {
		assert_int_equal(next_after(model, pair), (int)pair + 1);
		assert_int_equal(next_after(model, pair + 1), (int)pair);
	}
	assert_true(next_after(model, 40) >= 0 && next_after(model, 40) < 40);
	assert_int_equal(only_relation(model)->popular_rows[0], build_fixture_row(&model->catalogs[0], "i40"));
	model_close(model);
}

/* --- extremes --- */

/*
 * A purchase counts a thousand million looks. What is only looked at has its neighbours all the same,
 * with the most extreme parameters too.
 */
static void test_weights_of_extreme_ratio(void **state)
{
	(void)state;
	make_shop_of(12, "Viewed=0.000001,Purchased=1000");
	add_shoppers(300, 2);
	for (unsigned u = 0; u < 20; u++) {
		add_event(1000 + u, 8, "Purchased", NOW - DAY_MS + u * MINUTE);
		add_event(1000 + u, 9, "Purchased", NOW - DAY_MS + u * MINUTE + 1000);
	}
	struct params params = params_default();
	static const char *const extremes[] = { "type_to=4", "type_from=4", "sharpness=4" };
	for (size_t e = 0; e < 4; e++) {
		struct model *model = build_with(&params);
		assert_int_equal(next_after(model, 8), 9);
		assert_in_range(neighbour_of(model, 0), 1, 3);
		assert_in_range(neighbour_of(model, 4), 5, 7);
		assert_int_equal(only_relation(model)->popular_count, 10);
		model_close(model);
		if (e < 3)
			assert_int_equal(params_set(&params, extremes[e], NULL), 0);
	}
}

/*
 * One event in 1970, the others of today: nothing is scaled to the years between, and old ones do not
 * become a season.
 */
static void test_a_lone_event_of_long_ago(void **state)
{
	(void)state;
	make_shop(14);
	add_event(5000, 12, "Viewed", 1);
	add_event(5000, 11, "Viewed", 2);
	add_shoppers(300, 3);
	struct model *model = build_with(NULL);
	assert_true(only_relation(model)->evaluation.hit_rate > 0.99);
	assert_int_equal(neighbour_of(model, 12), 11);
	assert_int_equal(only_relation(model)->recent_rows[only_relation(model)->recent_count - 1],
			 build_fixture_row(&model->catalogs[0], "i12"));
	model_close(model);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_no_events),
		TEST(test_one_event),
		TEST(test_empty_catalog_with_events),
		TEST(test_a_catalog_that_goes_meanwhile),
		TEST(test_all_events_at_one_time),
		TEST(test_damaged_histories_are_passed_over),
		TEST(test_items_seen_once),
		TEST(test_events_of_the_future),
		TEST(test_ten_events),
		TEST(test_one_item),
		TEST(test_one_event_a_user),
		TEST(test_one_event_type),
		TEST(test_one_user_with_a_million_events),
		TEST(test_an_item_in_every_list),
		TEST(test_weights_of_extreme_ratio),
		TEST(test_a_lone_event_of_long_ago),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
