/*
 * Front-ends, a worker, the server die or are told to end: each front-end's clients outlive it, what
 * was acked is there, and no process stays behind.
 */
#include "common/frame.h"
#include "lib/api.h"
#include "lib/front_ends.h"
#include "lib/victim.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static unsigned failing_clients(const char *user)
{
	Kindred__V1__RecommendResponse *answer;
	struct error err;
	unsigned failed = 0;
	for (unsigned i = 0; i < CLIENTS; i++) {
		int code = front_ends_recommend(front_ends_clients[i], "wanted-next", user, 0, &answer, &err);
		assert_true(code == 0 || code == E_UNAVAILABLE);
		failed += code != 0;
		front_ends_free_answer(answer);
	}
	return failed;
}

static bool all_clients_served(void *context)
{
	(void)context;
	return failing_clients("u1") == 0 && failing_clients("u2") == 0 && failing_clients("u3") == 0 &&
	       failing_clients("u4") == 0;
}

static bool all_front_ends_up(void *context)
{
	char url[128];
	(void)context;
	snprintf(url, sizeof url, "http://%s/metrics", front_ends_cluster.admin);
	struct output metrics = program_run("/usr/bin/curl", NULL, CLI("-sf", url));
	bool up = strstr(metrics.out, "\nkindred_front_ends_up " FRONT_ENDS "\n") != NULL;
	output_free(&metrics);
	return up;
}

/* Only its own clients notice, and they are served by the others; it comes back. */
static void test_front_end_dies(void **state)
{
	pid_t pids[CHILDREN_MAX];
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(front_ends_children(pids, true), FURTHER);
		unsigned theirs = front_ends_sockets(pids[i % FURTHER]);
		kill(pids[i % FURTHER], SIGKILL);
		assert_true(failing_clients("u1") <= theirs);
		wait_until("all clients are served again", all_clients_served, NULL);
		wait_until("the front-end is back", all_front_ends_up, NULL);
		assert_int_equal(front_ends_children(pids, true), FURTHER);
	}
	front_ends_close_clients();
	front_ends_open_clients();
	assert_true(all_clients_served(NULL));
}

static void test_worker_dies(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct victim victim = { .number = i % 2 };
		victim_kill(&victim, front_ends_clients[i]);
		assert_int_not_equal(victim.pid, 0);
		victim_await(&victim, front_ends_clients[i]);
		wait_until("every front-end reaches the worker again", all_clients_served, NULL);
	}
}

/* A connection to the socket on which a worker waits for further front-ends. */
static int connect_as_front_end(unsigned worker)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	int bytes = snprintf(address.sun_path, sizeof address.sun_path, "%s/data/tmp/worker-%u",
			     front_ends_cluster.home, worker);
	assert_true(fd >= 0 && bytes > 0 && (size_t)bytes < sizeof address.sun_path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

/* A byte, and with it so many descriptors, none of which is a link's memory. */
static void send_descriptors(int fd, unsigned count)
{
	enum { MOST = 3 };
	int descriptors[MOST] = { fd, fd, fd };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof descriptors)] = { 0 };
	struct iovec byte = { .iov_base = "x", .iov_len = 1 };
	struct msghdr message = { .msg_iov = &byte,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = CMSG_SPACE(count * sizeof fd) };
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	head->cmsg_len = CMSG_LEN(count * sizeof fd);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(head), descriptors, count * sizeof fd);
	assert_int_equal(sendmsg(fd, &message, 0), 1);
}

/* Open descriptors of the worker of that number. */
static unsigned descriptors_of(unsigned worker)
{
	pid_t pids[CHILDREN_MAX];
	unsigned count = front_ends_children(pids, false), found = 0;
	for (unsigned i = 0; i < count; i++) {
		char path[64], name[32] = "";
		snprintf(path, sizeof path, "/proc/%d/comm", (int)pids[i]);
		FILE *file = fopen(path, "r");
		if (!file || !fgets(name, sizeof name, file) || strcmp(name, "kindred-worker\n") || found++ != worker)
			name[0] = '\0';
		if (file)
			fclose(file);
		if (!name[0])
			continue;
		snprintf(path, sizeof path, "/proc/%d/fd", (int)pids[i]);
		DIR *directory = opendir(path);
		unsigned open = 0;
		while (directory && readdir(directory))
			open++;
		closedir(directory);
		return open;
	}
	return 0;
}

/*
 * Of both workers. One more is open for a moment when a worker looks how much memory it has, so it is the least that
 * is seen.
 */
static unsigned open_descriptors(void)
{
	unsigned least = UINT32_MAX;
	for (unsigned i = 0; i < 20; i++) {
		unsigned open = descriptors_of(0) + descriptors_of(1);
		least = open < least ? open : least;
		usleep(5000);
	}
	return least;
}

static bool descriptors_are(void *context)
{
	return open_descriptors() == *(unsigned *)context;
}

/*
 * The worker's own front-ends do not notice who else comes, and says nothing, goes again, brings no memory or a wrong
 * one.
 */
static void test_strangers_at_a_worker(void **state)
{
	struct frame_head head;
	char byte;
	(void)state;
	unsigned open = open_descriptors();
	int silent = connect_as_front_end(0), gone = connect_as_front_end(0), plain = connect_as_front_end(0);
	close(gone);
	assert_int_equal(write(plain, "x", 1), 1);
	assert_int_equal(recv(plain, &head, sizeof head, MSG_WAITALL), sizeof head);
	assert_int_equal(head.kind, FRAME_READY); /* without memory frames go through the socket */
	for (unsigned count = 1; count <= 3; count++) {
		int wrong = connect_as_front_end(0);
		send_descriptors(wrong, count);
		assert_int_equal(recv(wrong, &byte, 1, 0), 0); /* shown the door */
		close(wrong);
	}
	assert_true(all_clients_served(NULL));
	/* a frame that is not a front-end's to send */
	head = (struct frame_head){ .kind = FRAME_DRAIN };
	assert_int_equal(write(plain, &head, sizeof head), sizeof head);
	assert_int_equal(recv(plain, &byte, 1, 0), 0);
	close(plain);
	assert_true(all_clients_served(NULL));
	open++; /* the silent one */
	wait_until("nobody else's descriptors are left", descriptors_are, &open);
	/* the silent one is still there when the worker dies, and keeps nobody from it afterwards */
	struct victim victim = { .number = 0 };
	victim_kill(&victim, front_ends_clients[0]);
	victim_await(&victim, front_ends_clients[0]);
	wait_until("every front-end reaches the worker again", all_clients_served, NULL);
	close(silent);
}

/* --- the end --- */

struct caller {
	pthread_t thread;
	unsigned number;
	atomic_uint acked, odd;
};

/* Until the server is gone. */
static void *call_on(void *context)
{
	struct caller *caller = context;
	Kindred__V1__Outcome outcome;
	char user[32];
	int code = 0;
	for (unsigned i = 0; !code; i++) {
		snprintf(user, sizeof user, "last-%u", caller->number);
		code = api_try_ingest(front_ends_clients[caller->number], "shop", user, "a1", "Viewed", NULL, &outcome);
		if (!code)
			atomic_fetch_add(&caller->acked, 1);
		else if (code != E_UNAVAILABLE) /* it came when the door was shut */
			atomic_fetch_add(&caller->odd, 1);
	}
	return NULL;
}

static bool gone(void *context)
{
	return kill(*(pid_t *)context, 0) && errno == ESRCH;
}

static void processes_gone(pid_t *pids, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		wait_until("a process of the server's ends", gone, &pids[i]);
}

/* SIGTERM: calls in work end well at every front-end, what was acked is there afterwards, and all processes end. */
static void test_drain(void **state)
{
	static struct caller callers[CLIENTS];
	pid_t pids[CHILDREN_MAX];
	(void)state;
	unsigned count = front_ends_children(pids, false);
	for (unsigned i = 0; i < CLIENTS; i++) {
		callers[i].number = i;
		assert_int_equal(pthread_create(&callers[i].thread, NULL, call_on, &callers[i]), 0);
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		while (atomic_load(&callers[i].acked) < 5)
			usleep(1000);
	assert_int_equal(cluster_stop(&front_ends_cluster), 0);
	for (unsigned i = 0; i < CLIENTS; i++) {
		pthread_join(callers[i].thread, NULL);
		assert_int_equal(atomic_load(&callers[i].odd), 0);
	}
	processes_gone(pids, count);
	front_ends_close_clients();
	front_ends_start();
	front_ends_open_clients();
	for (unsigned i = 0; i < CLIENTS; i++) {
		char user[32];
		snprintf(user, sizeof user, "last-%u", i);
		/* exactly those that were acked: none was taken and then told to have failed */
		assert_int_equal(api_history_size(front_ends_clients[i], user), atomic_load(&callers[i].acked));
	}
}

static void test_server_dies(void **state)
{
	pid_t pids[CHILDREN_MAX], front_ends[CHILDREN_MAX];
	(void)state;
	unsigned count = front_ends_children(pids, false);
	assert_int_equal(count, FURTHER + 2);
	assert_int_equal(front_ends_children(front_ends, true), FURTHER);
	kill(front_ends[0], SIGSTOP); /* it hears of nothing, and yet must not keep the port */
	kill(front_ends_cluster.server, SIGKILL);
	process_wait(front_ends_cluster.server);
	front_ends_cluster.server = 0;
	processes_gone(pids, count);
	front_ends_close_clients();
	front_ends_start();
	front_ends_open_clients();
	assert_true(all_clients_served(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_front_end_dies),        cmocka_unit_test(test_worker_dies),
		cmocka_unit_test(test_strangers_at_a_worker), cmocka_unit_test(test_drain),
		cmocka_unit_test(test_server_dies),
	};
	return cmocka_run_group_tests(tests, front_ends_set_up, front_ends_tear_down);
}
