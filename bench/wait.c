#include "bench/wait.h"

#include "common/clock.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <time.h>

#define LONGEST_NS UINT64_C(100000000)

static __thread uint64_t until_ns;
static int (*next_wait)(int fd, struct epoll_event *events, int room, int timeout_ms);

static void __attribute__((constructor)) find_next(void)
{
	*(void **)&next_wait = dlsym(RTLD_NEXT, "epoll_wait");
}

void wait_until(uint64_t due_ns)
{
	until_ns = due_ns;
}

int epoll_wait(int fd, struct epoll_event *events, int room, int timeout_ms)
{
	uint64_t now_ns = timeout_ms == 0 && until_ns ? clock_monotonic_ns() : until_ns;
	if (!next_wait)
		find_next();
	if (!next_wait) {
		errno = ENOSYS;
		return -1;
	}
	if (until_ns > now_ns) {
		uint64_t wait_ns = until_ns - now_ns < LONGEST_NS ? until_ns - now_ns : LONGEST_NS;
		struct timespec wait = { .tv_nsec = (long)wait_ns };
		int count = epoll_pwait2(fd, events, room, &wait, NULL);
		if (count >= 0 || errno != ENOSYS)
			return count;
	}
	return next_wait(fd, events, room, timeout_ms);
}
