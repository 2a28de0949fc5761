/* Which moments are asked about, and what is to be foreseen, by the definition's occasion. */
#include "builder/ladders.h"
#include "builder/questions.h"
#include "lib/events_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ITEMS 50u
#define FILL 90u /* events of somebody else before the split, so that it is where the test wants it */
#define SPLIT 1000u

static struct events_fixture fixture;

static int set_up(void **state)
{
	(void)state;
	events_fixture_init(&fixture);
	events_fixture_user(&fixture);
	for (uint32_t e = 0; e < FILL; e++)
		events_fixture_add(&fixture, 49, 100 + e, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	events_fixture_fini(&fixture);
	return 0;
}

static void add_user(uint32_t count, const uint32_t (*events)[2])
{
	events_fixture_user(&fixture);
	for (uint32_t e = 0; e < count; e++)
		events_fixture_add(&fixture, events[e][0], events[e][1], 0);
}

/* Two users: one from before the split, one who comes after it. 90 + 10 events; the slice begins with the 94th. */
static void add_two(void)
{
	add_user(6, (const uint32_t[][2]){ { 1, 500 },
					   { 2, 600 },
					   { 1, SPLIT },
					   { 3, SPLIT + 10 },
					   { 4, SPLIT + 20 },
					   { 5, SPLIT + 90000 } });
	add_user(4, (const uint32_t[][2]){ { 6, 700 }, { 7, SPLIT + 5 }, { 7, SPLIT + 6 }, { 8, SPLIT + 7 } });
	add_user(3, (const uint32_t[][2]){ { 9, SPLIT + 8 }, { 10, SPLIT + 9 }, { 9, SPLIT + 11 } });
}

static void make(struct questions *q, enum plan_occasion occasion, bool new_users, uint32_t most)
{
	struct params params = params_default();
	char note[200];
	fixture.relation.occasion = occasion;
	struct learn_input input = events_fixture_input(&fixture, &params, ITEMS);
	struct questions_slice slice = { .from = 93.0 / 103, .to = 1, .most = most, .new_users = new_users };
	assert_int_equal(questions_make(q, &input, slice, 1, SPLIT + 90000, note, sizeof note, NULL), 0);
	assert_string_equal(note, "");
	assert_int_equal(q->split_s, SPLIT);
}

static void expect(const struct questions *q, uint32_t number, uint64_t history, uint32_t targets,
		   const uint32_t *items)
{
	const struct question *question = &q->all[number];
	assert_int_equal(question->end - question->first, history);
	assert_int_equal(question->targets, targets);
	for (uint32_t t = 0; t < targets; t++)
		assert_int_equal(q->targets[question->target + t], items[t]);
}

static void test_next_asks_before_every_new_item(void **state)
{
	(void)state;
	struct questions q;
	add_two();
	make(&q, OCCASION_NEXT, false, 100);
	assert_int_equal(q.count, 6);
	assert_false(q.again);
	expect(&q, 0, 3, 1, (const uint32_t[]){ 3 }); /* item 1 again is no question, but history */
	expect(&q, 1, 4, 1, (const uint32_t[]){ 4 });
	expect(&q, 2, 5, 1, (const uint32_t[]){ 5 });
	expect(&q, 3, 1, 1, (const uint32_t[]){ 7 });
	expect(&q, 4, 3, 1, (const uint32_t[]){ 8 });
	expect(&q, 5, 1, 1, (const uint32_t[]){ 10 });
	questions_free(&q);
}

static void test_only_new_users(void **state)
{
	(void)state;
	struct questions q;
	add_two();
	make(&q, OCCASION_NEXT, true, 100);
	assert_int_equal(q.count, 1);
	expect(&q, 0, 1, 1, (const uint32_t[]){ 10 });
	questions_free(&q);
}

static void test_again_asks_for_what_was_seen_too(void **state)
{
	(void)state;
	struct questions q;
	add_two();
	make(&q, OCCASION_AGAIN, false, 100);
	assert_true(q.again);
	assert_int_equal(q.count, 9);
	expect(&q, 0, 2, 1, (const uint32_t[]){ 1 });
	expect(&q, 5, 2, 1, (const uint32_t[]){ 7 });
	expect(&q, 8, 2, 1, (const uint32_t[]){ 9 });
	questions_free(&q);
}

static void test_visit_asks_once_a_user_for_all_that_is_new(void **state)
{
	(void)state;
	struct questions q;
	add_two();
	make(&q, OCCASION_VISIT, false, 100);
	/* the third user had no history; item 5 came on another day */
	assert_int_equal(q.count, 2);
	expect(&q, 0, 2, 2, (const uint32_t[]){ 3, 4 });
	expect(&q, 1, 1, 2, (const uint32_t[]){ 7, 8 });
	questions_free(&q);
}

static void test_a_visit_has_so_many_items(void **state)
{
	(void)state;
	struct questions q;
	add_two();
	events_fixture_user(&fixture);
	events_fixture_add(&fixture, 40, 900, 0);
	for (uint32_t item = 0; item < 30; item++)
		events_fixture_add(&fixture, item, SPLIT + 100 + item, 0);
	struct params params = params_default();
	char note[200];
	fixture.relation.occasion = OCCASION_VISIT;
	struct learn_input input = events_fixture_input(&fixture, &params, ITEMS);
	struct questions_slice slice = { .from = 0.5, .to = 1, .most = 100, .from_s = SPLIT };
	assert_int_equal(questions_make(&q, &input, slice, 1, SPLIT + 90000, note, sizeof note, NULL), 0);
	assert_int_equal(q.split_s, SPLIT); /* not before from_s */
	assert_int_equal(q.count, 3);
	assert_int_equal(q.all[2].targets, QUESTIONS_VISIT_ITEMS);
	questions_free(&q);
}

static void test_thinned_evenly(void **state)
{
	(void)state;
	struct questions q;
	add_two();
	make(&q, OCCASION_NEXT, false, 3);
	assert_int_equal(q.count, 3);
	assert_int_equal(q.possible, 6);
	expect(&q, 0, 4, 1, (const uint32_t[]){ 4 });
	expect(&q, 1, 1, 1, (const uint32_t[]){ 7 });
	expect(&q, 2, 1, 1, (const uint32_t[]){ 10 });
	questions_free(&q);
}

/* Every ladder moves a parameter within its range, up and down, and ends. */
static void test_ladders(void **state)
{
	(void)state;
	size_t counts[2];
	const struct ladder *sides[2] = { ladders_learning(&counts[0]), ladders_serving(&counts[1]) };
	for (int side = 0; side < 2; side++) {
		for (size_t l = 0; l < counts[side]; l++) {
			const struct ladder *ladder = &sides[side][l];
			struct params params = params_default();
			double value = *ladder_at(ladder, &params);
			while (ladder_step(ladder, value, false, &value))
				;
			uint32_t steps = 1;
			for (double next; ladder_step(ladder, value, true, &next); value = next, steps++) {
				char assignment[80];
				snprintf(assignment, sizeof assignment, "%s=%.9g", ladder->name, next);
				assert_int_equal(params_set(&params, assignment, NULL), 0);
				assert_true(*ladder_at(ladder, &params) == next);
			}
			assert_int_equal(steps, ladder->count);
			assert_true(!ladder->zero_is_last || value == 0);
		}
	}
	struct params params = params_default();
	const char *name;
	size_t seeds = 0;
	while (seed_take(seeds, &params, &name))
		seeds++;
	assert_true(seeds > 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_next_asks_before_every_new_item),
		TEST(test_only_new_users),
		TEST(test_again_asks_for_what_was_seen_too),
		TEST(test_visit_asks_once_a_user_for_all_that_is_new),
		TEST(test_a_visit_has_so_many_items),
		TEST(test_thinned_evenly),
		cmocka_unit_test(test_ladders),
	};
	return cmocka_run_group_tests_name("builder/questions", tests, NULL, NULL);
}
