/*
 * Preloaded into a process (LD_PRELOAD): its first TCP connection fails at once, with an errno that
 * connect() does not have. So it looks to C core when something between its connect() and its look at
 * errno has changed that.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int connect(int fd, const struct sockaddr *address, socklen_t bytes)
{
	static int seen;
	int type = 0;
	socklen_t room = sizeof type;
	getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &room);
	if (type == SOCK_STREAM && address->sa_family != AF_UNIX && !__atomic_fetch_add(&seen, 1, __ATOMIC_RELAXED)) {
		errno = ENOENT;
		return -1;
	}
	return (int)syscall(SYS_connect, fd, address, bytes);
}
