#include "server/accept.h"

#include "common/clock.h"
#include "common/log.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define WARN_EVERY_MS 60000

static int (*next_accept4)(int fd, struct sockaddr *address, socklen_t *bytes, int flags);
static _Atomic unsigned long turned_away;
static _Atomic int64_t warned_ms;
static _Atomic bool started;

static void __attribute__((constructor)) find_next(void)
{
	*(void **)&next_accept4 = dlsym(RTLD_NEXT, "accept4");
}

void accept_start(void)
{
	started = true;
}

static bool is_spared(int fd)
{
	struct rlimit files;
	rlim_t spared;

	if (!started || getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur == RLIM_INFINITY)
		return false;
	spared = files.rlim_cur / ACCEPT_SPARED_SHARE;
	if (spared > ACCEPT_SPARED_MAX)
		spared = ACCEPT_SPARED_MAX;
	return (rlim_t)fd >= files.rlim_cur - spared;
}

static void turn_away(int fd)
{
	int64_t now_ms = clock_wall_ms(), before_ms = warned_ms;

	close(fd);
	turned_away++;
	if (now_ms - before_ms >= WARN_EVERY_MS && atomic_compare_exchange_strong(&warned_ms, &before_ms, now_ms))
		log_warning("server: connections are turned away, %lu up to now: nearly as many are open as there may "
			    "be open files (ulimit -n)",
			    (unsigned long)turned_away);
}

/* The connection's, which is gone with it; so accept(2) has it. */
static bool is_passing(int error)
{
	switch (error) {
	case ENETDOWN:
	case EPROTO:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
	case ECONNABORTED:
	case EPERM:
		return true;
	default:
		return false;
	}
}

/* Nothing more can be accepted now; the next connection makes the socket readable again. */
static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

int accept4(int fd, struct sockaddr *address, socklen_t *bytes, int flags)
{
	socklen_t room = bytes ? *bytes : 0;
	int accepted;

	for (;;) {
		if (bytes)
			*bytes = room;
		accepted = next_accept4(fd, address, bytes, flags);
		if (accepted >= 0 && !is_spared(accepted))
			return accepted;
		if (accepted >= 0)
			turn_away(accepted);
		else if (!is_passing(errno))
			break;
	}
	if (is_shortage(errno))
		errno = EAGAIN;
	return -1;
}
