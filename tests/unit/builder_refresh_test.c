/* A refresh: today's popularity, season and trend in a generation that has all else of the active one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/build_fixture.h"
#include "lib/events_fixture.h"

#include <stdio.h>
#include <string.h>

#define NOW BUILD_FIXTURE_NOW_MS
#define DAY INT64_C(86400000)
#define MINUTE 60000
#define ITEMS 40u

static struct build_fixture fixture;

static int set_up(void **state)
{
	(void)state;
	build_fixture_init(&fixture, 4);
	build_fixture_catalog(&fixture, "shop", ITEMS);
	build_fixture_define(&fixture, "next", "shop", "Viewed=1,Purchased=5", 0, false);
	build_fixture_define(&fixture, "top", "shop", "Viewed=1", 90 * 86400, true);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	build_fixture_fini(&fixture);
	return 0;
}

/* Users first..end - 1, each with eight events within an hour; favourite: every other event is with it. */
static void add_users(unsigned first, unsigned end, int64_t from_ms, int64_t to_ms, unsigned favourite, uint64_t seed)
{
	for (unsigned u = first; u < end; u++)
		for (unsigned n = 0; n < 8; n++) {
			char user[16], item[16];
			int64_t time_ms = from_ms + (to_ms - from_ms) * (u - first) / (end - first) + n * MINUTE;
			uint32_t some = events_fixture_random(&seed, 1 + events_fixture_random(&seed, ITEMS));
			snprintf(user, sizeof user, "user-%u", u);
			snprintf(item, sizeof item, "i%u", n % 2 ? favourite : some);
			build_fixture_event(&fixture, user, "shop", item, n % 4 ? "Viewed" : "Purchased", time_ms);
		}
}

static struct model *build(bool refresh, int64_t now_ms)
{
	struct error err = { 0 };
	struct build_options options = build_fixture_options();
	options.refresh = refresh;
	options.now_ms = now_ms;
	if (build_fixture_build(&fixture, &options, &err))
		fail_msg("%s", err.text);
	return build_fixture_open(&fixture);
}

static void activate(uint64_t generation)
{
	struct error err = { 0 };
	struct datadir dir;
	assert_int_equal(datadir_open(&dir, fixture.data, false, &err), 0);
	assert_int_equal(datadir_active_write(&dir, generation, &err), 0);
	datadir_close(&dir);
}

static uint32_t score_of(const uint32_t *rows, const uint32_t *scores, uint32_t count, uint32_t row)
{
	for (uint32_t r = 0; r < count; r++)
		if (rows[r] == row)
			return scores[r];
	return 0;
}

/* Whether two models have the same numbers of the day for each item, wherever its row is. */
static unsigned differences(const struct model *a, const struct model *b)
{
	unsigned different = 0;
	for (size_t r = 0; r < a->catalogs[0].relation_count; r++) {
		const struct model_relation *x = &a->catalogs[0].relations[r],
					    *y = model_relation_find(&b->catalogs[0], x->key);
		assert_non_null(y);
		for (unsigned i = 0; i < ITEMS; i++) {
			char id[16];
			snprintf(id, sizeof id, "i%u", i);
			uint32_t at = build_fixture_row(&a->catalogs[0], id),
				 there = build_fixture_row(&b->catalogs[0], id);
			assert_true(!x->multipliers == !y->multipliers);
			different += x->multipliers && x->multipliers[at] != y->multipliers[there];
			different += score_of(x->recent_rows, x->recent_scores, x->recent_count, at) !=
				     score_of(y->recent_rows, y->recent_scores, y->recent_count, there);
			different += score_of(x->popular_rows, x->popular_scores, x->popular_count, at) !=
				     score_of(y->popular_rows, y->popular_scores, y->popular_count, there);
		}
	}
	return different;
}

static void test_numbers_are_those_of_a_build(void **state)
{
	(void)state;
	/* fourteen months, so that there are seasons; in the last days everybody wants another one */
	add_users(0, 2000, NOW - 430 * DAY, NOW - 4 * DAY, 7, 1);
	struct model *old = build(false, NOW - 3 * DAY);
	activate(1);
	add_users(2000, 2600, NOW - 3 * DAY, NOW - DAY, 33, 2);
	struct model *refreshed = build(true, NOW);
	assert_int_equal(refreshed->head->generation, 2);
	struct model *built = build(false, NOW);
	assert_int_equal(built->head->generation, 3);
	assert_non_null(model_relation_find(&built->catalogs[0], "Purchased=5;Viewed=1|window=0")->multipliers);
	assert_true(differences(old, refreshed) > ITEMS);
	assert_int_equal(differences(refreshed, built), 0);
	assert_int_equal(refreshed->newest_event_ms, built->newest_event_ms);

	/* all else is as it was */
	const struct model_catalog *was = &old->catalogs[0], *is = &refreshed->catalogs[0];
	assert_int_equal(is->version, was->version);
	assert_memory_equal(is->keys, was->keys, ITEMS * sizeof *was->keys);
	for (size_t r = 0; r < was->relation_count; r++) {
		const struct model_relation *x = &was->relations[r], *y = &is->relations[r];
		assert_string_equal(x->key, y->key);
		assert_memory_equal(x->offsets, y->offsets, (ITEMS + 1) * sizeof *x->offsets);
		assert_memory_equal(x->entries, y->entries, x->offsets[ITEMS] * sizeof *x->entries);
		assert_memory_equal(&x->serving, &y->serving, sizeof x->serving);
		assert_memory_equal(&x->evaluation, &y->evaluation, sizeof x->evaluation);
		assert_int_equal(x->cold_count, y->cold_count);
		assert_string_equal(x->definitions[0], y->definitions[0]);
	}
	model_close(old);
	model_close(refreshed);
	model_close(built);
}

/* A refresh of a refresh, beside items and definitions that it does not know. */
static void test_what_came_since_waits_for_a_build(void **state)
{
	(void)state;
	add_users(0, 300, NOW - 20 * DAY, NOW - 4 * DAY, 7, 1);
	model_close(build(false, NOW - 3 * DAY));
	activate(1);
	build_fixture_define(&fixture, "later", "shop", "Purchased=1", 0, false);
	build_fixture_catalog(&fixture, "books", 5);
	build_fixture_define(&fixture, "reading", "books", "Viewed=1", 0, false);
	build_fixture_event(&fixture, "somebody", "books", "i1", "Viewed", NOW - DAY);
	add_users(300, 400, NOW - 3 * DAY, NOW - 2 * DAY, 33, 2);
	struct model *before = build(true, NOW - DAY);
	activate(2);
	add_users(400, 600, NOW - DAY, NOW - DAY / 2, 21, 3);
	struct model *model = build(true, NOW);
	assert_int_equal(model->head->generation, 3);
	assert_int_equal(model->catalog_count, 1);
	assert_int_equal(model->catalogs[0].relation_count, 2);
	const struct model_relation *relation = &model->catalogs[0].relations[0];
	/* the rows are the same in both */
	const struct model_relation *was = &before->catalogs[0].relations[0];
	uint32_t row = build_fixture_row(&model->catalogs[0], "i21");
	assert_int_equal(build_fixture_row(&before->catalogs[0], "i21"), row);
	assert_true(score_of(relation->recent_rows, relation->recent_scores, relation->recent_count, row) >
		    2 * score_of(was->recent_rows, was->recent_scores, was->recent_count, row));
	model_close(before);
	model_close(model);
}

static void test_needs_a_generation(void **state)
{
	(void)state;
	struct error err = { 0 };
	struct build_options options = build_fixture_options();
	options.refresh = true;
	add_users(0, 10, NOW - 20 * DAY, NOW, 7, 1);
	assert_int_equal(build_fixture_build(&fixture, &options, &err), E_PRECONDITION);
	assert_non_null(strstr(err.text, "no model yet"));
	/* there is one, but it is not active */
	model_close(build(false, NOW));
	assert_int_equal(build_fixture_build(&fixture, &options, &err), E_PRECONDITION);
	activate(1);
	model_close(build(true, NOW));
}

/* It is known by its version that it is not the one that was learnt; the other catalogs are refreshed all the same. */
static void test_a_catalog_made_again_waits_for_a_build(void **state)
{
	(void)state;
	build_fixture_catalog(&fixture, "books", 5);
	build_fixture_define(&fixture, "reading", "books", "Viewed=1", 0, false);
	build_fixture_event(&fixture, "somebody", "books", "i1", "Viewed", NOW - 9 * DAY);
	add_users(0, 10, NOW - 20 * DAY, NOW - DAY, 7, 1);
	struct model *learnt = build(false, NOW);
	const struct model_catalog *shop = model_catalog_find(learnt, "shop");
	activate(1);
	build_fixture_remake(&fixture, "shop", ITEMS);
	build_fixture_define(&fixture, "next", "shop", "Viewed=1,Purchased=5", 0, false);
	build_fixture_event(&fixture, "somebody", "books", "i2", "Viewed", NOW - DAY);
	struct model *model = build(true, NOW);
	assert_int_equal(model_catalog_find(model, "shop")->version, shop->version);
	const struct model_relation *reading = &model_catalog_find(model, "books")->relations[0];
	uint32_t row = build_fixture_row(model_catalog_find(model, "books"), "i2");
	assert_true(score_of(reading->recent_rows, reading->recent_scores, reading->recent_count, row) > 0);
	model_close(model);
	model = build(false, NOW);
	assert_true(model_catalog_find(model, "shop")->version > shop->version);
	model_close(model);
	model_close(learnt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_numbers_are_those_of_a_build, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_came_since_waits_for_a_build, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_needs_a_generation, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_catalog_made_again_waits_for_a_build, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
