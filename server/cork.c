#include "server/cork.h"

#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEND_FLAGS (MSG_NOSIGNAL | MSG_DONTWAIT)

enum socket_kind { SOCKET_UNKNOWN, SOCKET_TCP, SOCKET_OTHER };

/* Bytes of one socket that are on their way. In use only from a write to the push after it. */
struct kept {
	struct kept *next; /* of those to push, or of the spare ones */
	int fd;
	bool full; /* its socket took no more at the last push */
	uint32_t from, to;
	uint8_t bytes[CORK_KEPT_MAX];
};

struct socket {
	struct kept *kept; /* NULL: nothing */
	int error; /* of a push; told by the next sendmsg */
	enum socket_kind kind;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static __thread bool corked; /* this thread's writes are kept */
static _Atomic bool in_use; /* there is such a thread */
static struct socket *sockets; /* by descriptor */
static int socket_room;
static struct kept *to_push, *spare;

/* --- libc's --- */

static ssize_t (*next_sendmsg)(int fd, const struct msghdr *message, int flags);
static int (*next_shutdown)(int fd, int how);
static int (*next_close)(int fd);

static void *next_of(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (!found)
		abort(); /* no libc has none of them */
	return found;
}

/* Libraries that start before us may call these already. */
static void __attribute__((constructor)) find_next(void)
{
	*(void **)&next_sendmsg = next_of("sendmsg");
	*(void **)&next_shutdown = next_of("shutdown");
	*(void **)&next_close = next_of("close");
}

/* --- all below: with the lock held --- */

static struct socket *socket_of(int fd)
{
	return fd >= 0 && fd < socket_room ? &sockets[fd] : NULL;
}

/* Known from now on; NULL: no memory for it. */
static struct socket *socket_known(int fd)
{
	int room = socket_room ? socket_room : 256;
	struct socket *grown;

	if (fd < socket_room)
		return &sockets[fd];
	while (room <= fd)
		room *= 2;
	grown = realloc(sockets, (size_t)room * sizeof *grown);
	if (!grown)
		return NULL;
	memset(grown + socket_room, 0, (size_t)(room - socket_room) * sizeof *grown);
	sockets = grown;
	socket_room = room;
	return &sockets[fd];
}

static bool is_tcp(int fd, struct socket *socket)
{
	int domain = 0, type = 0;
	socklen_t bytes = sizeof domain;

	if (socket->kind == SOCKET_UNKNOWN) {
		socket->kind = SOCKET_OTHER;
		if (!getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes) &&
		    !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) && (domain == AF_INET || domain == AF_INET6) &&
		    type == SOCK_STREAM)
			socket->kind = SOCKET_TCP;
	}
	return socket->kind == SOCKET_TCP;
}

static void give_back(struct kept *kept)
{
	sockets[kept->fd].kept = NULL;
	kept->next = spare;
	spare = kept;
}

/* True: nothing is left of it (sent, or the socket has failed). It stays on its list. */
static bool send_kept(struct kept *kept)
{
	kept->full = false;
	while (kept->from < kept->to) {
		ssize_t sent = send(kept->fd, kept->bytes + kept->from, kept->to - kept->from, SEND_FLAGS);

		if (sent >= 0) {
			kept->from += (uint32_t)sent;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			kept->full = true;
			return false;
		} else if (errno != EINTR) {
			sockets[kept->fd].error = errno;
			kept->from = kept->to;
		}
	}
	return true;
}

static void push_all(void)
{
	struct kept **at = &to_push, *kept;

	while ((kept = *at)) {
		if (send_kept(kept)) {
			*at = kept->next;
			give_back(kept);
		} else {
			at = &kept->next;
		}
	}
}

/* What is kept for the socket goes out, as far as there is room. True: nothing is left. */
static bool push_one(struct socket *socket)
{
	return !socket->kept || send_kept(socket->kept); /* an empty one leaves the list at the next push */
}

static struct kept *kept_of(int fd, struct socket *socket)
{
	struct kept *kept = socket->kept;

	if (kept)
		return kept;
	kept = spare;
	if (kept)
		spare = kept->next;
	else
		kept = malloc(sizeof *kept);
	if (!kept)
		return NULL;
	kept->fd = fd;
	kept->full = false;
	kept->from = kept->to = 0;
	kept->next = to_push;
	to_push = kept;
	socket->kept = kept;
	return kept;
}

static size_t message_bytes(const struct msghdr *message)
{
	size_t bytes = 0;

	for (size_t i = 0; i < message->msg_iovlen; i++)
		bytes += message->msg_iov[i].iov_len;
	return bytes;
}

/* False: it is not one to keep. */
static bool keep(int fd, struct socket *socket, const struct msghdr *message, size_t bytes)
{
	struct kept *kept;

	if (bytes > CORK_KEPT_MAX || message->msg_controllen || message->msg_namelen)
		return false;
	if (socket->kept && CORK_KEPT_MAX - socket->kept->to < bytes && !push_one(socket))
		return false;
	kept = kept_of(fd, socket);
	if (!kept)
		return false;
	if (kept->from == kept->to)
		kept->from = kept->to = 0;
	for (size_t i = 0; i < message->msg_iovlen; i++) {
		memcpy(kept->bytes + kept->to, message->msg_iov[i].iov_base, message->msg_iov[i].iov_len);
		kept->to += (uint32_t)message->msg_iov[i].iov_len;
	}
	return true;
}

/* What sendmsg answers: bytes or -1 with errno; or PASS: it is to be sent by libc's. */
#define PASS (-2)

static ssize_t fail(int error)
{
	errno = error;
	return -1;
}

static ssize_t take(int fd, const struct msghdr *message)
{
	struct socket *socket = corked ? socket_known(fd) : socket_of(fd);
	size_t bytes = message_bytes(message);
	int error;

	if (!socket || !is_tcp(fd, socket))
		return PASS;
	/* Full: its sender is to wait, or we would buffer without end for a slow reader. */
	if (socket->kept && socket->kept->full && !push_one(socket))
		return fail(EAGAIN);
	if (!socket->error && corked && keep(fd, socket, message, bytes))
		return (ssize_t)bytes;
	if (!push_one(socket))
		return fail(EAGAIN);
	error = socket->error;
	socket->error = 0;
	return error ? fail(error) : PASS;
}

/* The descriptor is another socket's soon. */
static void forget(int fd)
{
	struct socket *socket = socket_of(fd);
	struct kept **at;

	if (!socket)
		return;
	(void)push_one(socket);
	for (at = &to_push; socket->kept && *at; at = &(*at)->next)
		if (*at == socket->kept) {
			*at = socket->kept->next;
			give_back(socket->kept);
			break;
		}
	*socket = (struct socket){ 0 };
}

/* --- instead of libc's --- */

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	ssize_t taken = PASS;
	int error;

	if (atomic_load_explicit(&in_use, memory_order_relaxed)) {
		pthread_mutex_lock(&lock);
		taken = take(fd, message);
		error = errno;
		pthread_mutex_unlock(&lock);
		errno = error;
	}
	if (taken != PASS)
		return taken;
	if (!next_sendmsg)
		find_next();
	/* Without the lock: it may block, and C core has one write at a time on a connection. */
	return next_sendmsg(fd, message, flags);
}

int shutdown(int fd, int how)
{
	if (atomic_load_explicit(&in_use, memory_order_relaxed)) {
		pthread_mutex_lock(&lock);
		if (socket_of(fd))
			(void)push_one(socket_of(fd));
		pthread_mutex_unlock(&lock);
	}
	if (!next_shutdown)
		find_next();
	return next_shutdown(fd, how);
}

int close(int fd)
{
	if (atomic_load_explicit(&in_use, memory_order_relaxed)) {
		pthread_mutex_lock(&lock);
		forget(fd);
		pthread_mutex_unlock(&lock);
	}
	if (!next_close)
		find_next();
	return next_close(fd);
}

/* In a child between fork and exec another thread's lock would never be given back. */
static void on_child(void)
{
	atomic_store(&in_use, false);
}

/* --- */

void cork_start(void)
{
	static bool registered;

	if (!registered)
		registered = !pthread_atfork(NULL, NULL, on_child);
	corked = true;
	atomic_store(&in_use, true);
}

void cork_push(void)
{
	int error = errno;

	if (!corked)
		return;
	pthread_mutex_lock(&lock);
	if (to_push)
		push_all();
	pthread_mutex_unlock(&lock);
	errno = error;
}

void cork_stop(void)
{
	cork_push();
	corked = false; /* in_use stays: a full socket may still keep a rest, which goes before what is sent next */
}
