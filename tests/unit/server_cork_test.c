/* What the loop's thread sends leaves with its next wait, in order, whatever comes between. */
#include "server/cork.h"
#include "server/epoll_tap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 120000 /* for what comes: only a failure takes it */

struct pair {
	int loop, polled; /* epoll descriptors */
	int from, to;
};

static void tcp_pair(int *from, int *to)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof address;
	int door = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(door, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(door, 1), 0);
	assert_int_equal(getsockname(door, (struct sockaddr *)&address, &bytes), 0);
	*from = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(*from, (struct sockaddr *)&address, sizeof address), 0);
	*to = accept(door, NULL, NULL);
	assert_true(*to >= 0);
	close(door);
}

/* As the loop waits, and as C core looks while the loop drains it. */
static void wait_on(int fd)
{
	struct epoll_event event;

	assert_true(epoll_wait(fd, &event, 1, 0) >= 0);
}

static void look_at_quiet(int fd)
{
	epoll_tap.quiet_fd = fd;
	wait_on(fd);
	epoll_tap.quiet_fd = EPOLL_TAP_NONE;
}

static int set_up(void **state)
{
	static struct pair pair;

	pair.loop = epoll_create1(0);
	pair.polled = epoll_create1(0);
	tcp_pair(&pair.from, &pair.to);
	cork_start();
	*state = &pair;
	return 0;
}

static int tear_down(void **state)
{
	struct pair *pair = *state;

	cork_stop();
	close(pair->loop);
	close(pair->polled);
	if (pair->from >= 0)
		close(pair->from);
	close(pair->to);
	return 0;
}

static ssize_t try_send(int fd, const void *bytes, size_t count)
{
	struct iovec part = { (void *)bytes, count };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	return sendmsg(fd, &message, MSG_NOSIGNAL);
}

static void send_text(int fd, const char *text)
{
	assert_int_equal(try_send(fd, text, strlen(text)), strlen(text));
}

/* What was sent on the loopback is there when the call returns, unless the kernel has put it off: a busy one does. */
static void assert_nothing(int fd)
{
	char byte;

	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK), -1);
	assert_int_equal(errno, EAGAIN);
}

static void assert_arrives(int fd, const char *text)
{
	char got[256] = "";

	assert_int_equal(recv(fd, got, strlen(text), MSG_WAITALL), strlen(text));
	assert_string_equal(got, text);
}

static void test_kept_until_the_thread_waits(void **state)
{
	struct pair *pair = *state;

	send_text(pair->from, "one ");
	send_text(pair->from, "two");
	look_at_quiet(pair->polled);
	assert_nothing(pair->to);
	wait_on(pair->loop);
	assert_arrives(pair->to, "one two");
}

/* A wait on any descriptor pushes, also on the one that C core looks at: only a look known to be vain does not. */
static void test_every_wait_pushes(void **state)
{
	struct pair *pair = *state;

	send_text(pair->from, "one");
	wait_on(pair->polled);
	assert_arrives(pair->to, "one");
	cork_push();
	send_text(pair->from, "two");
	cork_push();
	assert_arrives(pair->to, "two");
}

static void test_several_sockets(void **state)
{
	struct pair *pair = *state, other;

	tcp_pair(&other.from, &other.to);
	send_text(pair->from, "a1 ");
	send_text(other.from, "b1 ");
	send_text(pair->from, "a2");
	send_text(other.from, "b2");
	wait_on(pair->loop);
	assert_arrives(pair->to, "a1 a2");
	assert_arrives(other.to, "b1 b2");
	close(other.from);
	close(other.to);
}

/* The first replies of a long turn do not wait for its end, and long ones are not copied: in order all the same. */
static void test_long_messages_go_behind_what_is_kept(void **state)
{
	static char big[CORK_KEPT_MAX + 1], got[CORK_KEPT_MAX + 1];
	struct pair *pair = *state;

	memset(big, 'x', sizeof big);
	send_text(pair->from, "first");
	assert_int_equal(try_send(pair->from, big, sizeof big), sizeof big);
	send_text(pair->from, "last");
	assert_arrives(pair->to, "first");
	assert_int_equal(recv(pair->to, got, sizeof got, MSG_WAITALL), sizeof got);
	assert_memory_equal(got, big, sizeof got);
	assert_nothing(pair->to);
	wait_on(pair->loop);
	assert_arrives(pair->to, "last");
}

static void test_close_and_shutdown_push(void **state)
{
	struct pair *pair = *state;
	char byte;

	send_text(pair->from, "good");
	shutdown(pair->from, SHUT_WR);
	assert_arrives(pair->to, "good");
	assert_int_equal(recv(pair->to, &byte, 1, 0), 0);
	close(pair->to);
	close(pair->from);
	tcp_pair(&pair->from, &pair->to); /* the same descriptors again */
	send_text(pair->from, "bye");
	close(pair->from);
	pair->from = -1;
	assert_arrives(pair->to, "bye");
	assert_int_equal(recv(pair->to, &byte, 1, 0), 0);
	wait_on(pair->loop);
}

static void test_other_sockets_are_left_alone(void **state)
{
	int local[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, local), 0);
	send_text(local[0], "local");
	assert_arrives(local[1], "local");
	close(local[0]);
	close(local[1]);
}

static void *send_elsewhere(void *context)
{
	struct pair *pair = context;

	send_text(pair->from, "two");
	return NULL;
}

static void test_another_thread_sends_behind_what_is_kept(void **state)
{
	struct pair *pair = *state;
	pthread_t thread;

	send_text(pair->from, "one ");
	assert_int_equal(pthread_create(&thread, NULL, send_elsewhere, pair), 0);
	pthread_join(thread, NULL);
	assert_arrives(pair->to, "one two");
}

/* Numbered bytes, so that one lost, doubled or out of order is seen. */
static uint8_t byte_of(size_t at)
{
	return (uint8_t)(at % 251);
}

/* A reader that does not read: the sender is told EAGAIN, as without the cork; what was taken arrives, in order. */
static void test_full_socket(void **state)
{
	struct pair *pair = *state;
	uint8_t piece[1000], got[4096];
	size_t sent = 0, arrived = 0;
	ssize_t count = 0;
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	struct pollfd writable = { pair->from, POLLOUT, 0 }, readable = { pair->to, POLLIN, 0 };

	fcntl(pair->from, F_SETFL, O_NONBLOCK);
	assert_int_equal(epoll_ctl(pair->polled, EPOLL_CTL_ADD, pair->from, &event), 0);
	assert_int_equal(epoll_wait(pair->polled, &event, 1, 0), 1); /* the first edge */
	for (unsigned turn = 0; count >= 0 && turn < 100000; turn++) {
		for (size_t i = 0; i < sizeof piece; i++)
			piece[i] = byte_of(sent + i);
		count = try_send(pair->from, piece, sizeof piece);
		if (count > 0)
			sent += (size_t)count;
		wait_on(pair->loop);
	}
	assert_int_equal(count, -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(poll(&writable, 1, 0), 0);
	while (arrived < sent) {
		wait_on(pair->loop); /* the rest goes with any wait that finds room */
		poll(&readable, 1, 10);
		count = recv(pair->to, got, sizeof got, MSG_DONTWAIT);
		assert_true(count > 0 || (count < 0 && errno == EAGAIN));
		for (ssize_t i = 0; i < count; i++)
			assert_int_equal(got[i], byte_of(arrived + (size_t)i));
		arrived += count > 0 ? (size_t)count : 0;
	}
	/* And the kernel tells, so that the loop would have waked for it. */
	assert_int_equal(epoll_wait(pair->polled, &event, 1, PATIENCE_MS), 1);
	assert_nothing(pair->to);
	for (size_t i = 0; i < sizeof piece; i++)
		piece[i] = byte_of(sent + i);
	assert_int_equal(try_send(pair->from, piece, sizeof piece), sizeof piece);
	wait_on(pair->loop);
	assert_int_equal(recv(pair->to, got, sizeof piece, MSG_WAITALL), sizeof piece);
	assert_memory_equal(got, piece, sizeof piece);
}

/* The other side is gone: said once bytes were pushed for it, as the kernel would. */
static void test_error_is_told(void **state)
{
	struct pair *pair = *state;
	struct linger reset = { 1, 0 };
	struct pollfd gone = { pair->from, 0, 0 };

	setsockopt(pair->to, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	close(pair->to);
	pair->to = dup(pair->loop);
	assert_int_equal(poll(&gone, 1, PATIENCE_MS), 1); /* POLLERR or POLLHUP, which need not be asked for */
	send_text(pair->from, "into the void");
	wait_on(pair->loop);
	assert_int_equal(try_send(pair->from, "more", 4), -1);
	assert_true(errno == ECONNRESET || errno == EPIPE);
}

static void test_stop_sends_and_ends(void **state)
{
	struct pair *pair = *state;

	send_text(pair->from, "one ");
	cork_stop();
	send_text(pair->from, "two");
	assert_arrives(pair->to, "one two");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kept_until_the_thread_waits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_every_wait_pushes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_several_sockets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_long_messages_go_behind_what_is_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_close_and_shutdown_push, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_other_sockets_are_left_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_another_thread_sends_behind_what_is_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_full_socket, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_error_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stop_sends_and_ends, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
