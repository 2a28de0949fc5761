#include "server/epoll_tap.h"

#include "server/cork.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/epoll.h>

__thread struct epoll_tap epoll_tap = { EPOLL_TAP_NONE, 0, EPOLL_TAP_NONE };

typedef int (*epoll_wait_function)(int fd, struct epoll_event *events, int room, int timeout_ms);
static epoll_wait_function next_epoll_wait;

static void __attribute__((constructor)) find_next(void)
{
	next_epoll_wait = (epoll_wait_function)dlsym(RTLD_NEXT, "epoll_wait");
}

int epoll_wait(int fd, struct epoll_event *events, int room, int timeout_ms)
{
	int count = 0;

	epoll_tap.fd = fd;
	epoll_tap.events = 0;
	if (fd == epoll_tap.quiet_fd && timeout_ms == 0)
		return 0;
	cork_push();
	if (!next_epoll_wait)
		find_next();
	if (!next_epoll_wait) {
		errno = ENOSYS;
		return -1;
	}
	count = next_epoll_wait(fd, events, room, timeout_ms);
	epoll_tap.events = count;
	return count;
}
