/*
 * Listens in on this process's epoll_wait(). gRPC's C core does not say on which epoll descriptor it waits,
 * nor whether a look at its completion queue left events unread; both are seen here. The executable's own
 * epoll_wait is found before libc's, and passes every call on, but for looks at a descriptor that is known to
 * be quiet. Before it does, what server/cork.h keeps is pushed.
 *
 * Per thread.
 */
#ifndef KINDRED_SERVER_EPOLL_TAP_H
#define KINDRED_SERVER_EPOLL_TAP_H

#define EPOLL_TAP_NONE (-1)

struct epoll_tap {
	int fd; /* of the last epoll_wait; EPOLL_TAP_NONE: none since the reset */
	int events; /* what it returned */
	/* a look at it without waiting is answered "nothing" here, and pushes nothing; EPOLL_TAP_NONE: none is */
	int quiet_fd;
};

extern __thread struct epoll_tap epoll_tap;

static inline void epoll_tap_reset(void)
{
	epoll_tap.fd = EPOLL_TAP_NONE;
	epoll_tap.events = 0;
}

#endif
