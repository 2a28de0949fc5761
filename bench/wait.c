#include "bench/wait.h"

#include "common/clock.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <time.h>

#define LONGEST_NS UINT64_C(100000000)

static _Thread_local uint64_t until_ns; /* 0: no wait is begun */
static _Thread_local bool asked;
static int (*next_wait)(int fd, struct epoll_event *events, int room, int timeout_ms);

static void __attribute__((constructor)) find_next(void)
{
	*(void **)&next_wait = dlsym(RTLD_NEXT, "epoll_wait");
}

void wait_begin(uint64_t due_ns)
{
	until_ns = due_ns;
	asked = false;
}

bool wait_end(void)
{
	until_ns = 0;
	return asked;
}

/* What epoll_wait answers; -1 with errno. */
static int wait_for(int fd, struct epoll_event *events, int room)
{
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
	struct timespec wait = { .tv_nsec = (long)(wait_ns < LONGEST_NS ? wait_ns : LONGEST_NS) };
	return epoll_pwait2(fd, events, room, &wait, NULL);
}

int epoll_wait(int fd, struct epoll_event *events, int room, int timeout_ms)
{
	if (timeout_ms == 0 && until_ns) {
		int count = wait_for(fd, events, room);
		asked = count >= 0 || errno == EINTR;
		if (asked)
			return count;
	}
	if (!next_wait)
		find_next();
	if (!next_wait) {
		errno = ENOSYS;
		return -1;
	}
	return next_wait(fd, events, room, timeout_ms);
}
