#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/cores.h"

#include <pthread.h>
#include <sched.h>

/* What a thread may use: the number of cores, and whether the lowest and the highest of `all` are among them. */
struct seen {
	cpu_set_t all;
	int count;
	int lowest, highest;
};

static void see(struct seen *seen)
{
	cpu_set_t own;
	int low = 0, high = CPU_SETSIZE - 1;
	assert_int_equal(sched_getaffinity(0, sizeof own, &own), 0);
	while (!CPU_ISSET(low, &seen->all))
		low++;
	while (!CPU_ISSET(high, &seen->all))
		high--;
	seen->count = CPU_COUNT(&own);
	seen->lowest = CPU_ISSET(low, &own) != 0;
	seen->highest = CPU_ISSET(high, &own) != 0;
}

static void expect(struct seen *seen, int count, int lowest, int highest)
{
	see(seen);
	assert_int_equal(seen->count, count);
	assert_int_equal(seen->lowest, lowest);
	assert_int_equal(seen->highest, highest);
}

static void *look(void *seen)
{
	see(seen);
	return NULL;
}

/* In a thread of its own, as what a thread keeps to is its own. */
static void *keep(void *argument)
{
	struct seen *seen = argument, maker = { .all = seen->all };
	int all = CPU_COUNT(&seen->all), half = all - all / 2;
	pthread_t made;
	assert_int_equal(sched_setaffinity(0, sizeof seen->all, &seen->all), 0);
	assert_int_equal(cores_count(), all);

	cores_keep(CORES_LOWER);
	expect(seen, half, 1, all == 1);
	cores_keep(CORES_UPPER);
	expect(seen, half, all == 1, 1);
	cores_keep(CORES_ALL);
	expect(seen, all, 1, 1);

	/* who is made after that has all */
	assert_int_equal(pthread_create(&made, NULL, look, &maker), 0);
	pthread_join(made, NULL);
	assert_int_equal(maker.count, all);
	cores_keep(CORES_ALL);
	expect(seen, all, 1, 1);
	return NULL;
}

static void test_of_as_many_cores_as_there_are(void **state)
{
	(void)state;
	struct seen seen;
	pthread_t thread;
	cpu_set_t own;
	assert_int_equal(sched_getaffinity(0, sizeof own, &own), 0);
	CPU_ZERO(&seen.all);
	for (int core = 0; core < CPU_SETSIZE; core++) {
		if (!CPU_ISSET(core, &own))
			continue;
		CPU_SET(core, &seen.all);
		assert_int_equal(pthread_create(&thread, NULL, keep, &seen), 0); /* with one core, with two, .. */
		pthread_join(thread, NULL);
	}
}

/* What an operator changed while the thread kept to nothing is what it goes back to. */
static void *change(void *argument)
{
	struct seen *seen = argument;
	cpu_set_t one;
	int low = 0;
	cores_keep(CORES_LOWER);
	cores_keep(CORES_ALL);
	while (!CPU_ISSET(low, &seen->all))
		low++;
	CPU_ZERO(&one);
	CPU_SET(low, &one);
	assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
	cores_keep(CORES_UPPER);
	cores_keep(CORES_ALL);
	expect(seen, 1, 1, CPU_COUNT(&seen->all) == 1);
	return NULL;
}

static void test_a_change_from_outside_stays(void **state)
{
	(void)state;
	struct seen seen;
	pthread_t thread;
	assert_int_equal(sched_getaffinity(0, sizeof seen.all, &seen.all), 0);
	assert_int_equal(pthread_create(&thread, NULL, change, &seen), 0);
	pthread_join(thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_of_as_many_cores_as_there_are),
		cmocka_unit_test(test_a_change_from_outside_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
