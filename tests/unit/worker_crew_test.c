#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/crew.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PARTS_MAX 16u
#define RUNS 3000u

static const uint32_t part_counts[] = { 1, 2, PARTS_MAX }, helper_counts[] = { 0, 3, CREW_MAX };
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* What a run has done. Not atomic: that a finished part is seen by the caller is the crew's business. */
struct work {
	uint32_t times[PARTS_MAX], run_of[PARTS_MAX], run;
};

static void work(void *context, uint32_t part)
{
	struct work *work = context;
	work->times[part]++;
	work->run_of[part] = work->run;
}

static void check(const struct work *work, uint32_t parts)
{
	for (uint32_t part = 0; part < PARTS_MAX; part++)
		if (work->times[part] != (part < parts) || (part < parts && work->run_of[part] != work->run))
			fail_msg("run %u of %u parts: part %u was done %u times, last in run %u", work->run, parts,
				 part, work->times[part], work->run_of[part]);
}

/* One run right after the other: each part once, by the time crew_run is back, and of this run. */
static void run_often(uint32_t parts, uint32_t helpers, uint32_t runs)
{
	struct crew crew;
	assert_int_equal(crew_start(&crew, helpers), 0);
	assert_int_equal(crew.started, helpers);
	for (uint32_t run = 1; run <= runs; run++) {
		struct work done = { .run = run };
		crew_run(&crew, parts, work, &done);
		check(&done, parts);
	}
	crew_stop(&crew);
}

static void test_each_part_once(void **state)
{
	(void)state;
	for (size_t p = 0; p < COUNT(part_counts); p++)
		for (size_t h = 0; h < COUNT(helper_counts); h++)
			run_often(part_counts[p], helper_counts[h], RUNS);
}

/* Runs of changing size leave nothing behind for the next one. */
static void test_changing_sizes(void **state)
{
	struct crew crew;
	(void)state;
	for (size_t h = 0; h < COUNT(helper_counts); h++) {
		assert_int_equal(crew_start(&crew, helper_counts[h]), 0);
		for (uint32_t run = 1; run <= RUNS; run++) {
			struct work done = { .run = run };
			uint32_t parts = run * 7 % (PARTS_MAX + 1);
			crew_run(&crew, parts, work, &done);
			check(&done, parts);
		}
		crew_stop(&crew);
	}
}

/* All parts are in work at one time: none comes to its end before the last one has begun. */
struct meeting {
	uv_barrier_t barrier;
	atomic_uint finished;
};

static void meet(void *context, uint32_t part)
{
	struct meeting *meeting = context;
	(void)part;
	uv_barrier_wait(&meeting->barrier);
	atomic_fetch_add(&meeting->finished, 1);
}

/*
 * As many parts as threads, the caller's own among them, are done side by side; a crew that did them
 * one after the other would never be back.
 */
static void test_side_by_side(void **state)
{
	struct crew crew;
	(void)state;
	for (size_t h = 1; h < COUNT(helper_counts); h++) {
		uint32_t parts = helper_counts[h] + 1;
		struct meeting meeting = { .finished = 0 };
		assert_int_equal(uv_barrier_init(&meeting.barrier, parts), 0);
		assert_int_equal(crew_start(&crew, helper_counts[h]), 0);
		for (uint32_t run = 1; run <= 300; run++) {
			crew_run(&crew, parts, meet, &meeting);
			assert_int_equal(atomic_load(&meeting.finished), run * parts);
		}
		crew_stop(&crew);
		uv_barrier_destroy(&meeting.barrier);
	}
}

/* A single part is the caller's own. */
static void note_thread(void *context, uint32_t part)
{
	(void)part;
	*(uv_thread_t *)context = uv_thread_self();
}

static void test_single_part_stays(void **state)
{
	struct crew crew;
	uv_thread_t self = uv_thread_self();
	(void)state;
	assert_int_equal(crew_start(&crew, 3), 0);
	for (uint32_t run = 0; run < RUNS; run++) {
		uv_thread_t by = 0;
		crew_run(&crew, 1, note_thread, &by);
		assert_true(uv_thread_equal(&by, &self));
	}
	crew_stop(&crew);
}

/* Stopped without ever having run, whether its threads are up yet or not, and right after a run. */
static void test_stop_while_idle(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 300; round++)
		for (size_t h = 0; h < COUNT(helper_counts); h++)
			run_often(PARTS_MAX, helper_counts[h], round % 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_part_once),  cmocka_unit_test(test_changing_sizes),
		cmocka_unit_test(test_side_by_side),    cmocka_unit_test(test_single_part_stays),
		cmocka_unit_test(test_stop_while_idle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
