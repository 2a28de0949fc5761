#include "bench/eval/protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/*
 * Ten events by five users of four items, at times 1 to 10 (in tens); the split of 0.5 is at 60.
 *
 *     user 0   10 a   20 b            80 c    90 a
 *     user 1   30 a   40 a
 *     user 2   50 b                   70 b
 *     user 3                  60 a           100 b      all of it after the split
 */
enum { A, B, C, D, ITEMS };

static const struct dataset_event all_events[] = {
	{ .user = 0, .item = A, .time_s = 10 }, { .user = 0, .item = B, .time_s = 20 },
	{ .user = 1, .item = A, .time_s = 30 }, { .user = 1, .item = A, .time_s = 40 },
	{ .user = 2, .item = B, .time_s = 50 }, { .user = 3, .item = A, .time_s = 60 },
	{ .user = 2, .item = B, .time_s = 70 }, { .user = 0, .item = C, .time_s = 80 },
	{ .user = 0, .item = A, .time_s = 90 }, { .user = 3, .item = B, .time_s = 100 },
};

struct fixture {
	struct space space;
	struct dataset dataset;
	struct questions q;
	struct error error;
};

static void fill(struct fixture *f, const struct dataset_event *events, size_t count)
{
	*f = (struct fixture){ 0 };
	space_init(&f->space, "/tmp", 1 << 20);
	f->dataset.events = malloc(count * sizeof *events);
	memcpy(f->dataset.events, events, count * sizeof *events);
	f->dataset.count = count;
	f->dataset.users = 5;
	f->dataset.items = ITEMS;
}

static int make(struct fixture *f, enum protocol_mode mode, double from, double to)
{
	struct protocol protocol = { .mode = mode, .from = from, .to = to, .train_file = -1, .test_file = -1 };
	return protocol_make(&f->q, &f->dataset, &protocol, &f->space, &f->error);
}

static void fini(struct fixture *f)
{
	protocol_free(&f->q);
	dataset_free(&f->dataset);
}

/* The item's row: most events before the split first. */
static void expect_question(const struct fixture *f, uint32_t number, const char *history, uint32_t target)
{
	const struct question *question = &f->q.all[number];
	assert_int_equal(question->end - question->first, strlen(history));
	for (uint64_t x = question->first; x < question->end; x++)
		assert_int_equal(f->q.sequence[x].item, history[x - question->first] - 'a');
	assert_int_equal(question->target, target);
}

static void test_user_asks_for_the_first_new_item(void **state)
{
	(void)state;
	struct fixture f;
	fill(&f, all_events, 10);
	assert_int_equal(make(&f, PROTOCOL_USER, 0.5, 1), 0);
	/* a has 3 events before 60, b 2: rows as the letters */
	assert_int_equal(f.q.train.count, 5);
	assert_int_equal(f.q.train.users, 3);
	assert_int_equal(f.q.now_s, 60);
	assert_int_equal(f.q.known, 2);
	assert_int_equal(f.q.users_of[A], 2);
	assert_int_equal(f.q.users_of[B], 2);
	assert_true(f.q.exclude);
	/* user 1 has nothing after, user 2 nothing new, user 3 no history: only user 0, whose target nobody knows */
	assert_int_equal(f.q.count, 1);
	expect_question(&f, 0, "ab", C);
	assert_int_equal(f.q.cold, 1);
	fini(&f);
}

static void test_slice_ends_what_is_asked(void **state)
{
	(void)state;
	struct fixture f;
	fill(&f, all_events, 10);
	/* [60, 80): c of user 0 is at 80, not in it */
	assert_int_equal(make(&f, PROTOCOL_USER, 0.5, 0.7), E_PRECONDITION);
	fini(&f);

	fill(&f, all_events, 10);
	assert_int_equal(make(&f, PROTOCOL_SESSION, 0.5, 0.9), E_PRECONDITION);
	fini(&f);
}

static void test_equal_times_are_not_torn_apart(void **state)
{
	(void)state;
	struct fixture f;
	fill(&f, all_events, 10);
	/* rank 5 is now one of four events of time 50: all of them belong to the test part */
	for (size_t e = 3; e < 7; e++)
		f.dataset.events[e].time_s = 50;
	assert_int_equal(make(&f, PROTOCOL_USER, 0.5, 1), 0);
	assert_int_equal(f.q.now_s, 50);
	assert_int_equal(f.q.train.count, 3);
	fini(&f);
}

static const struct dataset_event session_events[] = {
	{ .user = 0, .item = A, .time_s = 10 }, { .user = 0, .item = B, .time_s = 20 },
	{ .user = 1, .item = A, .time_s = 30 }, { .user = 2, .item = A, .time_s = 40 },
	{ .user = 3, .item = B, .time_s = 50 }, { .user = 2, .item = B, .time_s = 60 },
	{ .user = 2, .item = A, .time_s = 70 }, { .user = 2, .item = C, .time_s = 80 },
	{ .user = 1, .item = B, .time_s = 90 }, { .user = 4, .item = A, .time_s = 100 },
};

static void test_sessions_ask_at_every_prefix(void **state)
{
	(void)state;
	struct fixture f;
	fill(&f, session_events, 10);
	/* user 1 began before the split, users 3 and 4 have one event: only user 2, a b a c */
	assert_int_equal(make(&f, PROTOCOL_SESSION, 0.3, 1), 0);
	assert_int_equal(f.q.count, 3);
	expect_question(&f, 0, "a", B);
	expect_question(&f, 1, "ab", A);
	expect_question(&f, 2, "aba", C);
	assert_int_equal(f.q.cold, 1);
	assert_false(f.q.exclude);
	fini(&f);

	fill(&f, session_events, 10);
	assert_int_equal(make(&f, PROTOCOL_SESSNEW, 0.3, 1), 0);
	assert_int_equal(f.q.count, 2);
	expect_question(&f, 0, "a", B);
	expect_question(&f, 1, "aba", C);
	assert_true(f.q.exclude);
	fini(&f);
}

static void test_llo_leaves_the_last_out(void **state)
{
	(void)state;
	struct fixture f;
	fill(&f, all_events, 10);
	assert_int_equal(make(&f, PROTOCOL_LLO, 0.9, 1), 0);
	/* learnt: a b c | a | b | a: rows a, b, c as the letters */
	assert_int_equal(f.q.train.count, 6);
	assert_int_equal(f.q.now_s, 101);
	assert_int_equal(f.q.count, 4);
	expect_question(&f, 0, "abc", A);
	expect_question(&f, 1, "a", A);
	expect_question(&f, 2, "b", B);
	expect_question(&f, 3, "a", B);
	fini(&f);

	/* to try settings: as if the last ones had never been */
	fill(&f, all_events, 10);
	assert_int_equal(make(&f, PROTOCOL_LLO, 0.8, 0.9), 0);
	assert_int_equal(f.q.train.count, 2);
	assert_int_equal(f.q.count, 1);
	expect_question(&f, 0, "ab", C);
	fini(&f);
}

static void test_own_files_are_the_split(void **state)
{
	(void)state;
	struct fixture f;
	fill(&f, session_events, 10);
	/* user 2 is the test file, user 3 a file of neither, whenever they were */
	for (size_t e = 0; e < 10; e++) {
		uint32_t user = f.dataset.events[e].user;
		f.dataset.events[e].file = user == 2 ? 2 : user == 3 ? 1 : 0;
	}
	struct protocol protocol = { .mode = PROTOCOL_SESSION, .from = 0.9, .to = 1, .train_file = 0, .test_file = 2 };
	assert_int_equal(protocol_make(&f.q, &f.dataset, &protocol, &f.space, &f.error), 0);
	assert_int_equal(f.q.train.count, 5);
	assert_int_equal(f.q.train.newest_s, 100);
	assert_int_equal(f.q.count, 3);
	fini(&f);
}

static void test_sorting_keeps_what_is_equal(void **state)
{
	(void)state;
	struct fixture f;
	const struct dataset_event events[] = {
		{ .user = 0, .time_s = 20, .order = 2 }, { .user = 1, .time_s = 20, .order = 1 },
		{ .user = 2, .time_s = 10, .order = 9 }, { .user = 3, .time_s = 20, .order = 2 },
		{ .user = 4, .time_s = 20, .order = 1 },
	};
	fill(&f, events, 5);
	dataset_sort(&f.dataset);
	const uint32_t expected[] = { 2, 1, 4, 0, 3 };
	for (size_t e = 0; e < 5; e++)
		assert_int_equal(f.dataset.events[e].user, expected[e]);
	fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_user_asks_for_the_first_new_item),
		cmocka_unit_test(test_slice_ends_what_is_asked),
		cmocka_unit_test(test_equal_times_are_not_torn_apart),
		cmocka_unit_test(test_sessions_ask_at_every_prefix),
		cmocka_unit_test(test_llo_leaves_the_last_out),
		cmocka_unit_test(test_own_files_are_the_split),
		cmocka_unit_test(test_sorting_keeps_what_is_equal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
