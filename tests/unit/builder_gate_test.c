/*
 * The gate: the paired test on made-up answers, a served relation in new rows, and whole builds that
 * are better, equal, worse or cannot be compared.
 */
#include "builder/gate.h"
#include "builder/served.h"
#include "common/clock.h"
#include "lib/build_fixture.h"
#include "lib/events_fixture.h"
#include "lib/model_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* --- the test itself --- */

#define QUESTIONS 1000u

static float ours[QUESTIONS], theirs[QUESTIONS];
static uint64_t users[QUESTIONS];

/* Two answers that agree but for chance: each is right half of the time, on questions of their own choice. */
static void fill(uint32_t questions_a_user, double advantage)
{
	uint64_t seed = 11;
	for (uint32_t n = 0; n < QUESTIONS; n++) {
		users[n] = n / questions_a_user;
		theirs[n] = events_fixture_random(&seed, 1000) < 500 ? 1 : 0;
		ours[n] = events_fixture_random(&seed, 1000) < 500 + 1000 * advantage ? 1 : 0;
	}
}

static struct model_gate compare(uint32_t count, uint32_t relations)
{
	struct model_gate gate = { .verdict = MODEL_WORSE };
	gate_compare(&gate, ours, theirs, users, count, relations);
	return gate;
}

static void test_better_equal_worse(void **state)
{
	(void)state;
	fill(2, 0);
	struct model_gate gate = compare(QUESTIONS, 1);
	assert_int_equal(gate.verdict, MODEL_EQUAL);
	assert_int_equal(gate.queries, QUESTIONS);
	assert_int_equal(gate.users, QUESTIONS / 2);
	assert_true(gate.z > -1.6 && gate.z < 1.6);
	fill(2, -0.2);
	gate = compare(QUESTIONS, 1);
	assert_int_equal(gate.verdict, MODEL_WORSE);
	assert_true(gate.z < -5 && gate.ndcg < gate.served_ndcg);
	fill(2, 0.2);
	assert_int_equal(compare(QUESTIONS, 1).verdict, MODEL_BETTER);
}

static void test_too_few(void **state)
{
	(void)state;
	fill(2, -0.4);
	assert_int_equal(compare(GATE_QUERIES_MIN, 1).verdict, MODEL_WORSE);
	assert_int_equal(compare(GATE_QUERIES_MIN - 1, 1).verdict, MODEL_UNTESTED);
	assert_int_equal(compare(0, 1).verdict, MODEL_UNTESTED);
	fill(50, -0.4); /* enough questions, of 20 users */
	assert_int_equal(compare(QUESTIONS, 1).verdict, MODEL_UNTESTED);
	assert_int_equal(compare(QUESTIONS, 1).users, 20);
}

/* Worked out beside: d = -1 for 40 of 400 users, else 0. */
static void test_z_is_that_of_the_textbook(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 400; n++) {
		users[n] = n;
		theirs[n] = 1;
		ours[n] = n % 10 == 0 ? 0 : 1;
	}
	struct model_gate gate = compare(400, 1);
	assert_true(gate.z > -6.66 && gate.z < -6.65); /* -0.1 / sqrt(0.09 / 399) = -6.658 */
	assert_int_equal(gate.verdict, MODEL_WORSE);
}

/* A user with nine tenths of all questions is one of 101. */
static void test_each_user_counts_once(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < QUESTIONS; n++) {
		users[n] = n < 900 ? 0 : n;
		theirs[n] = 1;
		ours[n] = n < 900 ? 0.8f : 1;
	}
	struct model_gate gate = compare(QUESTIONS, 1);
	assert_int_equal(gate.users, 101);
	assert_true(gate.served_ndcg - gate.ndcg < 0.003);
	assert_int_equal(gate.verdict, MODEL_EQUAL);
}

static void test_what_nobody_would_notice_blocks_nothing(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < QUESTIONS; n++) {
		users[n] = n;
		theirs[n] = 0.5f;
		ours[n] = 0.495f - (float)(n % 2) * 0.001f;
	}
	struct model_gate gate = compare(QUESTIONS, 1);
	assert_true(gate.z < -50);
	assert_int_equal(gate.verdict, MODEL_EQUAL);
	for (uint32_t n = 0; n < QUESTIONS; n++)
		ours[n] = 0.48f;
	gate = compare(QUESTIONS, 1); /* always the same difference: no doubt, and no division by 0 */
	assert_int_equal(gate.verdict, MODEL_WORSE);
	assert_true(gate.z == -99);
	memcpy(ours, theirs, sizeof ours);
	assert_true(compare(QUESTIONS, 1).z == 0);
}

/* One in twenty would be worse by chance alone, of a hundred relations nearly surely one. */
static void test_many_relations_share_the_chance(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < QUESTIONS; n++) {
		users[n] = n;
		theirs[n] = n % 10 == 0 ? 1 : 0;
		ours[n] = n % 200 == 0 ? 0 : theirs[n]; /* d = -1 for 5 of 1,000 */
	}
	struct model_gate alone = compare(QUESTIONS, 1), among = compare(QUESTIONS, 100);
	assert_true(alone.z < -2.2 && alone.z > -2.3);
	assert_int_equal(alone.verdict, MODEL_WORSE);
	assert_int_equal(among.verdict, MODEL_EQUAL);
}

/* --- the served one in new rows --- */

static void test_served_in_new_rows(void **state)
{
	struct temp_dir home;
	char path[PATH_MAX], folder[DATADIR_PATH_MAX];
	struct fixture_model *fixture = fixture_shop_new("Viewed=1|window=0", 0);
	struct model *model;
	struct served served;
	struct space space;
	(void)state;
	assert_int_equal(temp_dir_make(&home), 0);
	snprintf(folder, sizeof folder, "%s", home.path);
	space_init(&space, folder, 1 << 20);
	fixture_multiplier(fixture, 7, 5000);
	fixture_model_write(fixture, folder, 3, path);
	fixture_model_free(fixture);
	assert_int_equal(model_open(&model, path, true, NULL), 0);
	const struct model_catalog *shop = &model->catalogs[0];
	const struct model_relation *then = &shop->relations[0];

	/* The rows turned round, item-0 gone, a new one in its place: row r is item-(7 - r), row 7 is new. */
	uint64_t keys[8];
	for (uint32_t row = 0; row < 7; row++)
		keys[row] = shop->keys[7 - row];
	keys[7] = 12345;
	assert_int_equal(served_make(&served, &space, shop, then, keys, 8, NULL), 0);
	const struct model_relation *now = &served.relation;
	for (uint32_t row = 0; row < 7; row++) {
		uint64_t at = now->offsets[row];
		assert_int_equal(now->offsets[row + 1] - at, 6);
		for (uint64_t from = then->offsets[7 - row]; from < then->offsets[8 - row]; from++) {
			uint32_t there = model_entry_row(then->entries[from], then->row_mask);
			if (there == 0)
				continue;
			assert_int_equal(model_entry_row(now->entries[at], now->row_mask), 7 - there);
			assert_int_equal(model_entry_weight(now->entries[at], now->row_mask),
					 model_entry_weight(then->entries[from], then->row_mask));
			at++;
		}
		assert_int_equal(now->multipliers[row], row == 0 ? 5000 : 4096);
	}
	assert_int_equal(now->offsets[8], now->offsets[7]);
	assert_int_equal(now->multipliers[7], 4096);
	assert_int_equal(now->popular_count, 7);
	assert_int_equal(now->recent_count, 7);
	assert_int_equal(now->popular_rows[0], 6); /* item-1 */
	assert_int_equal(now->popular_scores[0], then->popular_scores[1]);
	assert_int_equal(now->recent_rows[0], 0); /* item-7 */
	served_free(&served);
	assert_int_equal(space.in_memory, 0);
	model_close(model);
	temp_dir_remove(&home);
}

/* --- whole builds --- */

#define NOW BUILD_FIXTURE_NOW_MS
#define MINUTE 60000
#define GROUPS 12u

static struct build_fixture fixture;
static unsigned next_user;

static int set_up(void **state)
{
	(void)state;
	build_fixture_init(&fixture, 4);
	build_fixture_catalog(&fixture, "shop", 6 * GROUPS);
	build_fixture_define(&fixture, "next", "shop", "Viewed=1", 0, false);
	next_user = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	build_fixture_fini(&fixture);
	return 0;
}

static void add_event(unsigned item, int64_t time_ms)
{
	char user[24], id[24];
	snprintf(user, sizeof user, "user-%u", next_user);
	snprintf(id, sizeof id, "i%u", item);
	build_fixture_event(&fixture, user, "shop", id, "Viewed", time_ms);
}

/* Users who view four of the six items of one group, between two days before now. */
static void add_shoppers(unsigned count, double from_days, double to_days)
{
	uint64_t seed = next_user;
	for (unsigned u = 0; u < count; u++, next_user++) {
		int64_t time_ms = NOW - (int64_t)((from_days - (from_days - to_days) * u / count) * (double)DAY_MS);
		unsigned group = events_fixture_random(&seed, GROUPS), first = events_fixture_random(&seed, 6);
		for (unsigned n = 0; n < 4; n++)
			add_event(group * 6 + (first + n) % 6, time_ms + n * MINUTE);
	}
}

/* Users who view twelve items of any groups. */
static void add_rubbish(unsigned count, double from_days, double to_days)
{
	uint64_t seed = next_user;
	for (unsigned u = 0; u < count; u++, next_user++) {
		int64_t time_ms = NOW - (int64_t)((from_days - (from_days - to_days) * u / count) * (double)DAY_MS);
		for (unsigned n = 0; n < 12; n++)
			add_event(events_fixture_random(&seed, 6 * GROUPS), time_ms + n * 1000);
	}
}

static struct model_gate build(const struct build_options *options, const char *relation)
{
	struct error err = { 0 };
	if (build_fixture_build(&fixture, options, &err))
		fail_msg("%s", err.text);
	struct model *model = build_fixture_open(&fixture);
	struct model_gate gate = model_relation_find(&model->catalogs[0], relation)->gate;
	model_close(model);
	return gate;
}

static struct model_gate build_plain(void)
{
	return build(NULL, "Viewed=1|window=0");
}

static void serve(uint64_t number)
{
	assert_int_equal(datadir_active_write(&fixture.dir, number, NULL), 0);
}

static void test_a_sound_build_passes(void **state)
{
	(void)state;
	add_shoppers(1500, 20, 5);
	struct model_gate gate = build_plain();
	assert_int_equal(gate.verdict, MODEL_UNTESTED);
	assert_string_equal(gate.note, "no generation was served to compare with");
	serve(1);
	add_shoppers(100, 4, 1); /* fewer than the newest tenth */
	gate = build_plain();
	assert_int_equal(gate.verdict, MODEL_EQUAL);
	assert_int_equal(gate.against, 1);
	assert_int_equal(gate.users, 100);
	assert_int_equal(gate.queries, 300);
	assert_true(gate.served_ndcg > 0.3);
	add_shoppers(2000, 0.9, 0.1); /* more than the newest tenth */
	gate = build_plain();
	assert_int_equal(gate.verdict, MODEL_EQUAL);
	assert_in_range(gate.queries, 900, 1300);
}

static void test_better_than_a_poor_one(void **state)
{
	(void)state;
	add_shoppers(40, 20, 19);
	build_plain();
	serve(1);
	add_shoppers(2000, 10, 1);
	struct model_gate gate = build_plain();
	assert_int_equal(gate.verdict, MODEL_BETTER);
	assert_true(gate.ndcg > gate.served_ndcg && gate.z > 2);
}

/* Generation 1 is of 600 shoppers, and served. */
static void serve_shoppers(void)
{
	add_shoppers(600, 20, 5);
	build_plain();
	serve(1);
}

/* What was imported is older than what is served, and drowns it; newer events tell. */
static void test_an_import_of_rubbish_is_worse(void **state)
{
	(void)state;
	serve_shoppers();
	add_rubbish(8000, 19, 6);
	add_shoppers(120, 4, 1);
	struct model_gate gate = build_plain();
	assert_int_equal(gate.verdict, MODEL_WORSE);
	assert_true(gate.z < -3);
	assert_int_equal(gate.users, 120);
	assert_non_null(strstr(gate.note, "newer than all that generation 1 learnt from"));

	struct build_options options = build_fixture_options();
	options.threads = 1;
	struct model_gate again = build(&options, "Viewed=1|window=0");
	assert_memory_equal(&again, &gate, sizeof gate);
	options.no_gate = true;
	gate = build(&options, "Viewed=1|window=0");
	assert_int_equal(gate.verdict, MODEL_UNTESTED);
	assert_string_equal(gate.note, "");
}

/*
 * What is served is of a catalog that is gone, so to nobody: it is no reason to hold back what would serve the
 * catalog that is there.
 */
static void test_what_is_not_served_any_more_is_not_compared(void **state)
{
	(void)state;
	serve_shoppers();
	add_rubbish(8000, 19, 6);
	add_shoppers(120, 4, 1);
	build_fixture_remake(&fixture, "shop", 6 * GROUPS);
	build_fixture_define(&fixture, "next", "shop", "Viewed=1", 0, false);
	struct model_gate gate = build_plain();
	assert_int_equal(gate.verdict, MODEL_UNTESTED);
	assert_string_equal(gate.note, "generation 1 does not have it");
}

/*
 * Tastes have changed since the newest tenth began: what the evaluation learnt is out of date, what was
 * served and what is to be served are not. So it is not worse.
 */
static void test_what_is_only_out_of_date_is_asked_anew(void **state)
{
	(void)state;
	add_rubbish(1400, 40, 20);
	add_shoppers(500, 3, 2); /* within the newest tenth of events */
	build_plain();
	serve(1);
	add_shoppers(120, 1, 0.5);
	struct model_gate gate = build_plain();
	assert_int_equal(gate.verdict, MODEL_EQUAL);
	assert_true(gate.served_ndcg > 0.3);
	assert_true(gate.ndcg > 0.9 * gate.served_ndcg);
}

static void test_too_few_new_events(void **state)
{
	(void)state;
	serve_shoppers();
	add_shoppers(20, 1, 0.5);
	struct model_gate gate = build_plain();
	assert_int_equal(gate.verdict, MODEL_UNTESTED);
	assert_int_equal(gate.queries, 0);
	assert_non_null(strstr(gate.note, "too few events are newer than what generation 1 learnt from"));
}

/* Another way to learn, without new events: both are tried on the same data. */
static void test_a_worse_recipe_is_worse(void **state)
{
	(void)state;
	add_shoppers(1500, 20, 5);
	build_plain();
	serve(1);
	struct build_options options = build_fixture_options();
	options.params.age_days = 0.02; /* forgets all but the last half hour */
	options.params.age_floor = 0;
	struct model_gate gate = build(&options, "Viewed=1|window=0");
	assert_int_equal(gate.verdict, MODEL_WORSE);
	assert_non_null(strstr(gate.note, "both ways of learning, on the same data"));
	serve(2);
	gate = build_plain();
	assert_int_equal(gate.verdict, MODEL_BETTER);
	assert_int_equal(gate.against, 2);
}

static void test_what_cannot_be_compared_passes(void **state)
{
	(void)state;
	serve_shoppers();
	build_fixture_define(&fixture, "other", "shop", "Viewed=1", 864000, false);
	struct model_gate gate = build(NULL, "Viewed=1|window=864000");
	assert_int_equal(gate.verdict, MODEL_UNTESTED);
	assert_string_equal(gate.note, "generation 1 does not have it");
	serve(9);
	gate = build_plain();
	assert_int_equal(gate.verdict, MODEL_UNTESTED);
	assert_string_equal(gate.note, "the generation that was served cannot be read");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_better_equal_worse),
		cmocka_unit_test(test_too_few),
		cmocka_unit_test(test_z_is_that_of_the_textbook),
		cmocka_unit_test(test_each_user_counts_once),
		cmocka_unit_test(test_what_nobody_would_notice_blocks_nothing),
		cmocka_unit_test(test_many_relations_share_the_chance),
		cmocka_unit_test(test_served_in_new_rows),
		TEST(test_a_sound_build_passes),
		TEST(test_better_than_a_poor_one),
		TEST(test_an_import_of_rubbish_is_worse),
		TEST(test_what_is_not_served_any_more_is_not_compared),
		TEST(test_what_is_only_out_of_date_is_asked_anew),
		TEST(test_too_few_new_events),
		TEST(test_a_worse_recipe_is_worse),
		TEST(test_what_cannot_be_compared_passes),
	};
	return cmocka_run_group_tests_name("builder/gate", tests, NULL, NULL);
}
