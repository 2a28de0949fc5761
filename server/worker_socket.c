#include "server/worker_socket.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int address_of(const char *directory, uint32_t worker, struct sockaddr_un *address, struct error *err)
{
	size_t room = sizeof address->sun_path;
	int bytes;

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	bytes = snprintf(address->sun_path, room, "%s/worker-%" PRIu32, directory, worker);
	if (bytes < 0 || (size_t)bytes >= room)
		return error_set(err, E_INVALID,
				 "front_ends: the name %s/worker-%" PRIu32 " is too long for a socket; at most %zu "
				 "bytes are possible: move the data directory, or have one front-end",
				 directory, worker, room - 1);
	return 0;
}

static int make(const char *directory, uint32_t worker, int *fd, struct sockaddr_un *address, struct error *err)
{
	int rc = address_of(directory, worker, address, err);

	if (rc)
		return rc;
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return *fd < 0 ? error_errno(err, errno, "a socket for worker %" PRIu32, worker) : 0;
}

int worker_socket_listen(const char *directory, uint32_t worker, int *fd, struct error *err)
{
	struct sockaddr_un address;
	int rc = make(directory, worker, fd, &address, err);

	if (rc)
		return rc;
	if (bind(*fd, (struct sockaddr *)&address, sizeof address) || listen(*fd, SOMAXCONN)) {
		rc = error_errno(err, errno, "%s", address.sun_path);
		close(*fd);
		*fd = -1;
	}
	return rc;
}

/*
 * One byte, and the descriptor with it. A worker that took the connection and died is no failure here:
 * whoever reads from the socket finds out, and connects to the next one.
 */
static bool send_memory(int fd, int memory)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof memory)] = { 0 };
	struct iovec byte = { .iov_base = "", .iov_len = 1 };
	struct msghdr message = { .msg_iov = &byte, .msg_iovlen = 1 };

	if (memory >= 0) {
		struct cmsghdr *head;

		message.msg_control = control;
		message.msg_controllen = sizeof control;
		head = CMSG_FIRSTHDR(&message);
		*head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof memory),
					  .cmsg_level = SOL_SOCKET,
					  .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(head), &memory, sizeof memory);
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL) == 1 || errno == EPIPE || errno == ECONNRESET;
}

int worker_socket_connect(const char *directory, uint32_t worker, int memory, int *fd, struct error *err)
{
	struct sockaddr_un address;
	int rc = make(directory, worker, fd, &address, err);

	if (rc)
		return rc;
	if (connect(*fd, (struct sockaddr *)&address, sizeof address) || !send_memory(*fd, memory)) {
		rc = error_errno(err, errno, "%s", address.sun_path);
		close(*fd);
		*fd = -1;
	}
	return rc;
}

void worker_socket_close(const char *directory, uint32_t worker, int fd)
{
	struct sockaddr_un address;

	close(fd);
	if (!address_of(directory, worker, &address, NULL))
		unlink(address.sun_path);
}
