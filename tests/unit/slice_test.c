/* What the kernel says of a thread after slice_take(), and of one that it starts. */
#include "common/slice.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#define SHORT_NS 100000u

/* sched_getattr(2) */
struct told {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns;
};

static struct told tell(void)
{
	struct told told = { 0 };
	assert_int_equal(syscall(SYS_sched_getattr, 0, &told, sizeof told, 0), 0);
	return told;
}

static void tell_to(void *told)
{
	*(struct told *)told = tell();
}

static struct told tell_of_a_new_thread(void)
{
	struct told told;
	uv_thread_t thread;
	assert_int_equal(uv_thread_create(&thread, tell_to, &told), 0);
	assert_int_equal(uv_thread_join(&thread), 0);
	return told;
}

static void test_short_is_for_this_thread_only(void **state)
{
	(void)state;
	int nice = getpriority(PRIO_PROCESS, 0);
	assert_true(slice_take(SLICE_SHORT));
	struct told own = tell(), next = tell_of_a_new_thread();
	assert_int_equal(own.policy, SCHED_OTHER);
	assert_int_equal(own.nice, nice);
	assert_int_equal(next.policy, SCHED_OTHER);
	assert_int_not_equal(next.runtime_ns, SHORT_NS); /* kernels before 6.12 say 0 of both */
}

static void test_batch_is_for_what_it_starts_too(void **state)
{
	(void)state;
	assert_true(slice_take(SLICE_BATCH));
	assert_int_equal(tell().policy, SCHED_BATCH);
	assert_int_equal(tell_of_a_new_thread().policy, SCHED_BATCH);
	assert_true(slice_take(SLICE_SHORT)); /* there and back */
	assert_int_equal(tell().policy, SCHED_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short_is_for_this_thread_only),
		cmocka_unit_test(test_batch_is_for_what_it_starts_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
