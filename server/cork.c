#include "server/cork.h"

#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/types.h>

static __thread struct {
	bool wanted, on;
	int loop_fd, polled_fd;
	unsigned held; /* writes since the last push */
	unsigned count;
	int sockets[CORK_HELD_MAX]; /* that these went to */
} cork;

typedef ssize_t (*sendmsg_function)(int fd, const struct msghdr *message, int flags);
static sendmsg_function next_sendmsg;

static void __attribute__((constructor)) find_next(void)
{
	next_sendmsg = (sendmsg_function)dlsym(RTLD_NEXT, "sendmsg");
}

void cork_start(int loop_fd, int polled_fd)
{
	cork.loop_fd = loop_fd;
	cork.polled_fd = polled_fd;
	cork.wanted = true;
}

void cork_stop(void)
{
	cork_push();
	cork.wanted = cork.on = false;
}

bool cork_holds(void)
{
	return cork.on;
}

void cork_push(void)
{
	int kept = errno, on = 1;

	for (unsigned i = 0; i < cork.count; i++)
		setsockopt(cork.sockets[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	cork.count = cork.held = 0;
	errno = kept;
}

void cork_before_wait(int fd, int timeout_ms)
{
	if (!cork.wanted)
		return;
	if (fd == cork.loop_fd)
		cork.on = true;
	if (cork.count && (fd != cork.polled_fd || timeout_ms != 0))
		cork_push();
}

static bool is_tcp(int fd)
{
	int kept = errno, protocol = 0;
	socklen_t bytes = sizeof protocol;
	bool tcp = !getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &bytes) && protocol == IPPROTO_TCP;

	errno = kept;
	return tcp;
}

/* Whether a write to the socket may be held: it is noted for the push. */
static bool note(int fd)
{
	unsigned i = 0;

	if (cork.held == CORK_HELD_MAX)
		cork_push();
	while (i < cork.count && cork.sockets[i] != fd)
		i++;
	if (i == cork.count) {
		if (!is_tcp(fd))
			return false;
		cork.sockets[cork.count++] = fd; /* no more sockets than writes */
	}
	cork.held++;
	return true;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	if (!next_sendmsg)
		find_next();
	if (!next_sendmsg) {
		errno = ENOSYS;
		return -1;
	}
	if (cork.on && note(fd))
		flags |= MSG_MORE;
	return next_sendmsg(fd, message, flags);
}
