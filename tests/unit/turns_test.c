#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/turns.h"

#include <sched.h>
#include <stdio.h>

#define LITTLE 20u /* percent */

/* A thread that writes: it says on how many cores it may run. */
struct writing {
	uv_thread_t thread;
	uv_sem_t go, done;
	struct turns *turns;
	cpu_set_t all; /* of the process, before anybody kept to a half */
	int cores;
	bool lowest, stop; /* lowest: the lowest core of the process is one of them */
};

struct table {
	uv_loop_t loop;
	struct turns turns;
	uint64_t answered;
	bool calling; /* calls are answered all the time */
	bool busy; /* and take all of the loop's time */
	struct writing writing;
};

static int lowest_of(const cpu_set_t *cores)
{
	for (int core = 0; core < CPU_SETSIZE; core++)
		if (CPU_ISSET(core, cores))
			return core;
	return -1;
}

static cpu_set_t cores_of(pid_t thread)
{
	cpu_set_t cores;
	assert_int_equal(sched_getaffinity(thread, sizeof cores, &cores), 0);
	return cores;
}

static void write_on(void *argument)
{
	struct writing *writing = argument;
	for (;;) {
		uv_sem_wait(&writing->go);
		if (writing->stop)
			return;
		turns_keep(writing->turns);
		cpu_set_t own = cores_of(0);
		writing->cores = CPU_COUNT(&own);
		writing->lowest = CPU_ISSET(lowest_of(&writing->all), &own);
		uv_sem_post(&writing->done);
	}
}

/* What the thread that writes may use in its next transaction. */
static void ask(struct writing *writing)
{
	uv_sem_post(&writing->go);
	uv_sem_wait(&writing->done);
}

#define CALL_NS UINT64_C(5000000)

static void on_call(uv_timer_t *timer)
{
	struct table *table = timer->data;
	table->answered += table->calling ? TURNS_ANSWERED : 0;
	uint64_t until_ns = clock_monotonic_ns() + CALL_NS;
	while (table->busy && clock_monotonic_ns() < until_ns)
		;
}

/* Runs the loop for so many looks, however late they are. */
static void let_look(struct table *table, unsigned looks)
{
	uint32_t until = table->turns.quiet + looks;
	uv_timer_t calls;
	uv_timer_init(&table->loop, &calls);
	calls.data = table;
	uv_timer_start(&calls, on_call, 0, table->busy ? 1 : 5);
	/* one that was late may have been the last */
	while (table->turns.quiet < until && uv_is_active((uv_handle_t *)&table->turns.timer))
		uv_run(&table->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&calls, NULL);
	uv_run(&table->loop, UV_RUN_NOWAIT);
}

static void set_up(struct table *table)
{
	*table = (struct table){ 0 };
	uv_loop_init(&table->loop);
	turns_init(&table->turns, &table->loop, &table->answered, LITTLE, SLICE_BATCH);
	table->writing.turns = &table->turns;
	table->writing.all = cores_of(0);
	uv_sem_init(&table->writing.go, 0);
	uv_sem_init(&table->writing.done, 0);
	assert_int_equal(uv_thread_create(&table->writing.thread, write_on, &table->writing), 0);
}

static void tear_down(struct table *table)
{
	table->writing.stop = true;
	uv_sem_post(&table->writing.go);
	uv_thread_join(&table->writing.thread);
	uv_sem_destroy(&table->writing.go);
	uv_sem_destroy(&table->writing.done);
	turns_close(&table->turns);
	uv_run(&table->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&table->loop), 0);
}

static void test_writers_stand_aside_while_calls_are_answered(void **state)
{
	(void)state;
	struct table table;
	set_up(&table);
	cpu_set_t all = cores_of(0);
	int cores = CPU_COUNT(&all);
	struct writing *writing = &table.writing;

	turns_wrote(&table.turns);
	ask(writing);
	assert_int_equal(writing->cores, cores); /* not before the first look */

	table.calling = true;
	let_look(&table, 1);
	table.calling = false;
	ask(writing);
	assert_int_equal(writing->cores, cores - cores / 2);
	assert_true(writing->lowest == (cores == 1));

	turns_wrote(&table.turns);
	let_look(&table, 3); /* nobody calls any more */
	ask(writing);
	assert_int_equal(writing->cores, cores);
	assert_true(writing->lowest);

	turns_wrote(&table.turns);
	table.answered += TURNS_ANSWERED - 1; /* hardly anybody calls */
	let_look(&table, 1);
	ask(writing);
	assert_int_equal(writing->cores, cores);
	tear_down(&table);
}

/* Whether the loop's thread may use its process's lowest and its highest core. */
static bool loop_is(const cpu_set_t *all, bool lowest, bool highest)
{
	cpu_set_t own = cores_of(0);
	int last = CPU_SETSIZE - 1;
	while (!CPU_ISSET(last, all))
		last--;
	return CPU_ISSET(lowest_of(all), &own) == lowest && CPU_ISSET(last, &own) == highest;
}

static void expect_loop(const cpu_set_t *all, bool lowest, bool highest)
{
	assert_true(loop_is(all, lowest, highest));
}

/* How long this thread has run and waited for a core so far. 0: the system does not say. */
static uint64_t wanted_ns(void)
{
	unsigned long long ran = 0, waited = 0;
	FILE *file = fopen("/proc/thread-self/schedstat", "r");
	if (!file || fscanf(file, "%llu %llu", &ran, &waited) != 2)
		ran = waited = 0;
	if (file)
		fclose(file);
	return ran + waited;
}

/*
 * While there are calls and writes, the loop keeps to the lower half: at the next look, unless others keep it from
 * running, which counts as much to do. Where they do so all the time, nothing can be told.
 */
static void expect_lower(struct table *table, const cpu_set_t *all, bool one)
{
	uint64_t start_ns = clock_monotonic_ns(), wanted_before = wanted_ns();
	for (unsigned tries = 0; tries < 60; tries++) {
		turns_wrote(&table->turns);
		let_look(table, 1);
		if (loop_is(all, true, one))
			return;
	}
	/* Had it had half as much to do as is little at all looks together, it would have had little at one of them. */
	uint64_t all_ns = clock_monotonic_ns() - start_ns, wanted = wanted_ns() - wanted_before;
	if (wanted && wanted * 100 < all_ns * LITTLE / 2)
		fail_msg("the loop has little to do, and keeps to all cores");
	print_message("this machine is too busy to tell: the loop ran or waited for %.0f%% of the time\n",
		      100 * (double)wanted / (double)all_ns);
}

static void test_a_loop_with_little_to_do_leaves_half_of_the_cores(void **state)
{
	(void)state;
	struct table table;
	set_up(&table);
	cpu_set_t all = cores_of(0);
	bool one = CPU_COUNT(&all) == 1;

	turns_wrote(&table.turns);
	let_look(&table, 1); /* nobody calls: an import has all cores */
	expect_loop(&all, true, true);

	table.calling = true;
	expect_lower(&table, &all, one);

	table.busy = true;
	let_look(&table, 2);
	expect_loop(&all, true, true);

	table.busy = false;
	expect_lower(&table, &all, one);
	let_look(&table, TURNS_QUIET); /* nothing is written any more */
	expect_loop(&all, true, true);
	tear_down(&table);
}

static int policy(void)
{
	return sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
}

static void test_the_loop_is_quick_while_there_are_writes(void **state)
{
	(void)state;
	struct table table;
	set_up(&table);
	turns_wrote(&table.turns);
	assert_int_equal(policy(), SCHED_OTHER);
	let_look(&table, TURNS_QUIET / 2);
	turns_wrote(&table.turns);
	let_look(&table, TURNS_QUIET - 1);
	assert_int_equal(policy(), SCHED_OTHER);
	let_look(&table, 2);
	assert_int_equal(policy(), SCHED_BATCH);
	assert_false(uv_is_active((uv_handle_t *)&table.turns.timer)); /* nothing wakes an idle worker */
	tear_down(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writers_stand_aside_while_calls_are_answered),
		cmocka_unit_test(test_a_loop_with_little_to_do_leaves_half_of_the_cores),
		cmocka_unit_test(test_the_loop_is_quick_while_there_are_writes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
