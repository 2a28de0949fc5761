#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "server/cork.h"
#include "server/epoll_tap.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

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

static void look(int fd)
{
	struct epoll_event event;

	epoll_wait(fd, &event, 1, 0);
}

static int setup(void **state)
{
	static struct pair pair;

	pair.loop = epoll_create1(0);
	pair.polled = epoll_create1(0);
	tcp_pair(&pair.from, &pair.to);
	cork_start(pair.loop, pair.polled);
	*state = &pair;
	return 0;
}

static int teardown(void **state)
{
	struct pair *pair = *state;

	cork_stop();
	close(pair->loop);
	close(pair->polled);
	close(pair->from);
	close(pair->to);
	return 0;
}

static void send_text(int fd, const char *text)
{
	struct iovec bytes = { (char *)text, strlen(text) };
	struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1 };

	assert_int_equal(sendmsg(fd, &message, MSG_NOSIGNAL), strlen(text));
}

static void assert_nothing(int fd)
{
	struct pollfd wait = { fd, POLLIN, 0 };

	assert_int_equal(poll(&wait, 1, 20), 0); /* well below the kernel's 200 ms */
}

static void assert_arrives(int fd, const char *text)
{
	char got[256] = "";

	assert_int_equal(recv(fd, got, strlen(text), MSG_WAITALL), strlen(text));
	assert_string_equal(got, text);
}

static void test_held_until_the_loop_waits(void **state)
{
	struct pair *pair = *state;

	look(pair->loop);
	send_text(pair->from, "one ");
	send_text(pair->from, "two");
	look(pair->polled);
	assert_nothing(pair->to);
	look(pair->loop);
	assert_arrives(pair->to, "one two");
}

static void test_nothing_held_before_the_loop_was_seen_waiting(void **state)
{
	struct pair *pair = *state;
	struct pollfd wait = { pair->to, POLLIN, 0 };

	look(pair->polled);
	assert_false(cork_holds());
	send_text(pair->from, "at once");
	assert_int_equal(poll(&wait, 1, 100), 1);
}

static void test_long_turn_sends_in_between(void **state)
{
	struct pair *pair = *state;
	char all[CORK_HELD_MAX + 1] = "";

	look(pair->loop);
	memset(all, 'a', CORK_HELD_MAX);
	for (unsigned i = 0; i <= CORK_HELD_MAX; i++)
		send_text(pair->from, "a");
	assert_arrives(pair->to, all);
	assert_nothing(pair->to);
	look(pair->loop);
	assert_arrives(pair->to, "a");
}

static void test_a_closed_socket_sends_what_it_holds(void **state)
{
	struct pair *pair = *state;

	look(pair->loop);
	send_text(pair->from, "goodbye");
	close(pair->from);
	assert_arrives(pair->to, "goodbye");
	pair->from = -1;
	look(pair->loop);
}

static void test_other_sockets_are_left_alone(void **state)
{
	struct pair *pair = *state;
	int local[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, local), 0);
	look(pair->loop);
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

static void test_another_thread_takes_along_what_is_held(void **state)
{
	struct pair *pair = *state;
	pthread_t thread;

	look(pair->loop);
	send_text(pair->from, "one ");
	assert_int_equal(pthread_create(&thread, NULL, send_elsewhere, pair), 0);
	pthread_join(thread, NULL);
	assert_arrives(pair->to, "one two");
}

static void test_stop_sends_and_ends(void **state)
{
	struct pair *pair = *state;

	look(pair->loop);
	send_text(pair->from, "one ");
	cork_stop();
	send_text(pair->from, "two");
	assert_arrives(pair->to, "one two");
	assert_false(cork_holds());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_held_until_the_loop_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_held_before_the_loop_was_seen_waiting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_turn_sends_in_between, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_closed_socket_sends_what_it_holds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_sockets_are_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_thread_takes_along_what_is_held, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_sends_and_ends, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
