/*
 * The load generator's wait is C core's epoll_wait: a look that would not wait waits until the due time, an event ends
 * it, and who has not begun a wait finds epoll_wait as ever. What it asks the system for is written down here, so that
 * nothing hangs on how long a test takes.
 */
#include "bench/wait.h"
#include "common/clock.h"

#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND_NS INT64_C(1000000000)
#define LONGEST_NS (SECOND_NS / 10)

typedef int (*epoll_pwait2_function)(int fd, struct epoll_event *events, int room, const struct timespec *timeout,
				     const sigset_t *mask);

static epoll_pwait2_function next_pwait2;
static int poller, bell;

/* --- the system --- */

static struct {
	unsigned waits;
	int64_t longest_ns, shortest_ns; /* that were asked for */
	int error; /* what it answers with; 0: it does what it is asked */
} system_is;

/* Found before libc's. */
int epoll_pwait2(int fd, struct epoll_event *events, int room, const struct timespec *timeout, const sigset_t *mask)
{
	int64_t ns = timeout->tv_sec * SECOND_NS + timeout->tv_nsec;
	if (!system_is.waits++ || ns < system_is.shortest_ns)
		system_is.shortest_ns = ns;
	if (ns > system_is.longest_ns)
		system_is.longest_ns = ns;
	if (system_is.error) {
		errno = system_is.error;
		return -1;
	}
	return next_pwait2(fd, events, room, timeout, mask);
}

static int setup(void **state)
{
	struct epoll_event wanted = { .events = EPOLLIN };
	(void)state;
	*(void **)&next_pwait2 = dlsym(RTLD_NEXT, "epoll_pwait2");
	memset(&system_is, 0, sizeof system_is);
	poller = epoll_create1(EPOLL_CLOEXEC);
	bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	wanted.data.fd = bell;
	assert_int_equal(epoll_ctl(poller, EPOLL_CTL_ADD, bell, &wanted), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(bell);
	close(poller);
	return 0;
}

static void ring(void)
{
	uint64_t one = 1;
	assert_int_equal(write(bell, &one, sizeof one), sizeof one);
}

static int look(int timeout_ms)
{
	struct epoll_event event = { 0 };
	int count = epoll_wait(poller, &event, 1, timeout_ms);
	if (count == 1)
		assert_int_equal(event.data.fd, bell);
	return count;
}

static uint64_t in_ns(int64_t ns)
{
	return clock_monotonic_ns() + (uint64_t)ns;
}

/* --- the tests --- */

static void waits_until_it_is_due(void **state)
{
	uint64_t due_ns = in_ns(LONGEST_NS / 20);
	(void)state;
	wait_begin(due_ns);
	assert_int_equal(look(0), 0);
	assert_true(clock_monotonic_ns() >= due_ns);
	assert_in_range(system_is.longest_ns, 0, LONGEST_NS / 20);
	assert_true(wait_end());
	assert_int_equal(system_is.waits, 1);
}

static void is_not_longer_than_a_tenth_of_a_second(void **state)
{
	(void)state;
	wait_begin(in_ns(1000 * SECOND_NS));
	assert_int_equal(look(0), 0);
	assert_int_equal(system_is.longest_ns, LONGEST_NS);
	assert_true(wait_end());
}

static void does_not_wait_for_what_is_past(void **state)
{
	(void)state;
	wait_begin(1);
	assert_int_equal(look(0), 0);
	wait_begin(clock_monotonic_ns());
	assert_int_equal(look(0), 0);
	assert_int_equal(system_is.waits, 2);
	assert_int_equal(system_is.longest_ns, 0);
	assert_true(wait_end());
}

static void an_event_ends_it(void **state)
{
	(void)state;
	ring();
	wait_begin(in_ns(1000 * SECOND_NS));
	assert_int_equal(look(0), 1);
	assert_true(wait_end());
	wait_begin(1); /* late, what has come is found all the same */
	assert_int_equal(look(0), 1);
	assert_true(wait_end());
}

static void who_did_not_begin_does_not_wait(void **state)
{
	(void)state;
	assert_int_equal(look(0), 0);
	wait_begin(in_ns(1000 * SECOND_NS));
	assert_false(wait_end()); /* nobody asked epoll */
	assert_int_equal(look(0), 0);
	ring();
	assert_int_equal(look(0), 1);
	assert_int_equal(system_is.waits, 0);
}

/* A wait of C core's own is what it says. */
static void other_waits_are_left_alone(void **state)
{
	(void)state;
	wait_begin(in_ns(1000 * SECOND_NS));
	assert_int_equal(look(1), 0);
	ring();
	assert_int_equal(look(-1), 1);
	assert_int_equal(system_is.waits, 0);
	assert_false(wait_end());
}

/* wait_begin begins anew: what was asked before does not count. */
static void each_wait_tells_of_itself(void **state)
{
	(void)state;
	wait_begin(1);
	assert_int_equal(look(0), 0);
	wait_begin(1);
	assert_false(wait_end());
}

/* Before Linux 5.11 nothing is waited, which is told, so that the caller naps; what has come is found. */
static void a_system_that_cannot(void **state)
{
	(void)state;
	system_is.error = ENOSYS;
	wait_begin(in_ns(1000 * SECOND_NS));
	assert_int_equal(look(0), 0);
	assert_false(wait_end());
	ring();
	wait_begin(in_ns(1000 * SECOND_NS));
	assert_int_equal(look(0), 1);
	assert_false(wait_end());
}

/* A signal is an end of the wait, and C core asks again. */
static void a_signal_ends_it(void **state)
{
	(void)state;
	system_is.error = EINTR;
	wait_begin(in_ns(1000 * SECOND_NS));
	assert_int_equal(look(0), -1);
	assert_int_equal(errno, EINTR);
	assert_true(wait_end());
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(waits_until_it_is_due),
		TEST(is_not_longer_than_a_tenth_of_a_second),
		TEST(does_not_wait_for_what_is_past),
		TEST(an_event_ends_it),
		TEST(who_did_not_begin_does_not_wait),
		TEST(other_waits_are_left_alone),
		TEST(each_wait_tells_of_itself),
		TEST(a_system_that_cannot),
		TEST(a_signal_ends_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
