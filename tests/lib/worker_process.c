#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/worker_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 120000

extern char **environ;

void worker_process_init(struct worker_process *process)
{
	char path[128];
	memset(process, 0, sizeof *process);
	assert_int_equal(temp_dir_make(&process->home), 0);
	snprintf(path, sizeof path, "%s/shards", process->home.path);
	assert_int_equal(mkdir(path, 0700), 0);
	process->fd = process->listen_fd = -1;
	process->shard_total = process->shard_count = 4;
	process->history_cap = 1000;
	process->shard_map_bytes = UINT64_C(1) << 30;
	signal(SIGPIPE, SIG_IGN);
}

static void forget_link(struct worker_process *process)
{
	if (process->fd >= 0)
		close(process->fd);
	process->fd = -1;
	rings_drop(&process->rings);
	while (process->kept) {
		struct worker_frame *next = process->kept->next;
		free(process->kept);
		process->kept = next;
	}
	process->in_used = 0;
}

void worker_process_fini(struct worker_process *process)
{
	if (process->pid)
		worker_kill(process);
	forget_link(process);
	free(process->in);
	if (process->listen_fd >= 0)
		close(process->listen_fd);
	temp_dir_remove(&process->home);
}

int worker_process_setup(void **state)
{
	static struct worker_process process;
	worker_process_init(&process);
	*state = &process;
	return 0;
}

int worker_process_teardown(void **state)
{
	worker_process_fini(*state);
	return 0;
}

/* --- the process --- */

static bool read_more(struct worker_process *process);

void worker_spawn(struct worker_process *process)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	/* ours above the child's number, and not for the child */
	process->fd = fcntl(pair[0], F_DUPFD_CLOEXEC, 10);
	int theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, 10);
	close(pair[0]);
	close(pair[1]);
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, theirs, LINK_FD);
	if (process->listen_fd >= 0)
		posix_spawn_file_actions_adddup2(&actions, process->listen_fd, FRONT_END_FD);
	const char *link = getenv("KINDRED_TEST_LINK");
	int memory = -1;
	if (link && strcmp(link, "memory") == 0) {
		int made;
		assert_int_equal(rings_make(&process->rings, &made, NULL), 0);
		memory = fcntl(made, F_DUPFD_CLOEXEC, 10);
		close(made);
		posix_spawn_file_actions_adddup2(&actions, memory, LINK_MEMORY_FD);
	}
	char program[] = TEST_BIN "/kindred-worker";
	char *const arguments[] = { program, NULL };
	int status = posix_spawn(&process->pid, program, &actions, NULL, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(theirs);
	if (memory >= 0)
		close(memory);
	if (status)
		fail_msg("%s: %s", program, strerror(status));
}

void worker_start(struct worker_process *process)
{
	Kindred__Internal__Setup setup = KINDRED__INTERNAL__SETUP__INIT;
	worker_spawn(process);
	setup.link_version = LINK_VERSION;
	setup.data_directory = process->home.path;
	setup.shard_total = process->shard_total;
	setup.first_shard = process->first_shard;
	setup.shard_count = process->shard_count;
	setup.history_cap = process->history_cap;
	setup.retention_days = process->retention_days;
	setup.durability = process->durability;
	setup.shard_map_bytes = process->shard_map_bytes;
	setup.front_ends = process->listen_fd >= 0;
	worker_send_message(process, FRAME_SETUP, &setup.base);
	struct worker_frame *ready = worker_await(process, FRAME_READY, 0);
	if (!ready)
		fail_msg("the worker ended instead of being ready");
	free(ready);
}

/* --- further front-ends --- */

static struct sockaddr_un further_address(const struct worker_process *process)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof address.sun_path, "%s/w", process->home.path);
	return address;
}

void worker_listen(struct worker_process *process)
{
	struct sockaddr_un address = further_address(process);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 8), 0);
	process->listen_fd = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	close(fd);
}

/* The first byte, and with it the memory; -1: none. */
static void send_memory(int fd, int memory)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof memory)] = { 0 };
	struct iovec byte = { .iov_base = "", .iov_len = 1 };
	struct msghdr message = { .msg_iov = &byte, .msg_iovlen = 1 };
	if (memory >= 0) {
		message.msg_control = control;
		message.msg_controllen = sizeof control;
		struct cmsghdr *head = CMSG_FIRSTHDR(&message);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof memory);
		memcpy(CMSG_DATA(head), &memory, sizeof memory);
	}
	assert_int_equal(sendmsg(fd, &message, 0), 1);
}

void worker_further_start(struct worker_process *further, struct worker_process *process, bool memory)
{
	struct sockaddr_un address = further_address(process);
	int made = -1;
	memset(further, 0, sizeof *further);
	further->listen_fd = -1;
	further->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(further->fd, (struct sockaddr *)&address, sizeof address), 0);
	if (memory)
		assert_int_equal(rings_make(&further->rings, &made, NULL), 0);
	send_memory(further->fd, made);
	if (memory)
		close(made);
	worker_send(process, FRAME_ADMIT, "", 0);
	free(worker_await(further, FRAME_READY, 0));
}

void worker_further_end(struct worker_process *further)
{
	forget_link(further);
	free(further->in);
	further->in = NULL;
}

int worker_wait(struct worker_process *process)
{
	int status = 0;
	/* its end of the link closes when it ends, at the latest */
	while (read_more(process))
		process->in_used = 0;
	assert_int_equal(waitpid(process->pid, &status, 0), process->pid);
	process->pid = 0;
	forget_link(process);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int worker_end(struct worker_process *process)
{
	shutdown(process->fd, SHUT_WR);
	return worker_wait(process);
}

void worker_kill(struct worker_process *process)
{
	kill(process->pid, SIGKILL);
	worker_wait(process);
}

void worker_hold(struct worker_process *process)
{
	int status;
	assert_int_equal(kill(process->pid, SIGSTOP), 0);
	assert_int_equal(waitpid(process->pid, &status, WUNTRACED), process->pid);
	assert_true(WIFSTOPPED(status));
}

void worker_go_on(struct worker_process *process)
{
	assert_int_equal(kill(process->pid, SIGCONT), 0);
}

/* --- frames --- */

static void ring_bell(struct worker_process *process)
{
	if (rings_bell(&process->rings))
		(void)send(process->fd, "", 1, MSG_DONTWAIT);
}

/* Waits for the worker's bell. False: the link was closed. */
static bool await_bell(struct worker_process *process)
{
	struct pollfd ready = { .fd = process->fd, .events = POLLIN };
	char bells[64];
	if (poll(&ready, 1, PATIENCE_MS) != 1)
		fail_msg("the worker rings no bell");
	return read(process->fd, bells, sizeof bells) > 0;
}

static void put_all(struct worker_process *process, const void *data, size_t bytes)
{
	const char *at = data;
	while (bytes) {
		int64_t put = ring_put(process->rings.out, at, bytes);
		assert_true(put >= 0);
		at += put;
		bytes -= (size_t)put;
		ring_bell(process);
		if (bytes && rings_wait(&process->rings, false, true) && !await_bell(process))
			return; /* the worker is gone, which reading will show */
	}
}

void worker_send_bytes(struct worker_process *process, const void *data, size_t bytes)
{
	const char *at = data;
	if (process->rings.out) {
		put_all(process, data, bytes);
		return;
	}
	while (bytes) {
		ssize_t written = write(process->fd, at, bytes);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0 && (errno == EPIPE || errno == ECONNRESET))
			return; /* the worker is gone, which reading will show */
		assert_true(written > 0);
		at += written;
		bytes -= (size_t)written;
	}
}

static size_t put_some(struct worker_process *process, const void *bytes, size_t count, int patience_ms)
{
	struct pollfd bell = { .fd = process->fd, .events = POLLIN };
	char bells[64];
	int64_t put = ring_put(process->rings.out, bytes, count);
	ring_bell(process);
	if (!put) {
		if (rings_wait(&process->rings, false, true) && poll(&bell, 1, patience_ms) == 1)
			assert_true(read(process->fd, bells, sizeof bells) > 0);
		/* also without a bell: it rings for much room only */
		put = ring_put(process->rings.out, bytes, count);
		ring_bell(process);
	}
	assert_true(put >= 0);
	return (size_t)put;
}

size_t worker_send_some(struct worker_process *process, const void *bytes, size_t count, int patience_ms)
{
	struct pollfd room = { .fd = process->fd, .events = POLLOUT };
	if (process->rings.out)
		return put_some(process, bytes, count, patience_ms);
	while (poll(&room, 1, patience_ms) == 1) {
		ssize_t sent = send(process->fd, bytes, count, MSG_DONTWAIT);
		if (sent >= 0)
			return (size_t)sent;
		assert_int_equal(errno, EAGAIN);
	}
	return 0;
}

void worker_send_head(struct worker_process *process, struct frame_head head, const void *payload)
{
	worker_send_bytes(process, &head, sizeof head);
	worker_send_bytes(process, payload, head.bytes);
}

uint64_t worker_send(struct worker_process *process, enum frame_kind kind, const void *payload, size_t bytes)
{
	struct frame_head head = {
		.bytes = (uint32_t)bytes, .kind = (uint16_t)kind, .call = ++process->calls, .timeout_ms = UINT32_MAX
	};
	worker_send_head(process, head, payload);
	return head.call;
}

uint64_t worker_send_message(struct worker_process *process, enum frame_kind kind, const ProtobufCMessage *message)
{
	size_t bytes = protobuf_c_message_get_packed_size(message);
	uint8_t *packed = malloc(bytes + 1);
	protobuf_c_message_pack(message, packed);
	uint64_t call = worker_send(process, kind, packed, bytes);
	free(packed);
	return call;
}

static ssize_t get_some(struct worker_process *process, void *to, size_t room)
{
	bool open = true;
	for (;;) {
		int64_t got = ring_get(process->rings.in, to, room);
		assert_true(got >= 0);
		ring_bell(process);
		if (got || !open)
			return (ssize_t)got;
		if (rings_wait(&process->rings, true, false))
			open = await_bell(process);
	}
}

static ssize_t read_some(struct worker_process *process, void *to, size_t room)
{
	struct pollfd ready = { .fd = process->fd, .events = POLLIN };
	if (process->rings.in)
		return get_some(process, to, room);
	if (poll(&ready, 1, PATIENCE_MS) != 1)
		fail_msg("the worker says nothing");
	return read(process->fd, to, room);
}

/* False: the link was closed. */
static bool read_more(struct worker_process *process)
{
	if (process->in_room - process->in_used < 65536) {
		process->in_room = process->in_room * 2 + 65536;
		process->in = realloc(process->in, process->in_room);
	}
	ssize_t bytes = read_some(process, process->in + process->in_used, process->in_room - process->in_used);
	if (bytes <= 0)
		return false;
	process->in_used += (size_t)bytes;
	return true;
}

static struct worker_frame *read_frame(struct worker_process *process)
{
	struct frame_head head;
	int64_t whole;
	while ((whole = frame_next(process->in, process->in_used, &head)) == 0)
		if (!read_more(process))
			return NULL;
	assert_true(whole > 0);
	struct worker_frame *frame = malloc(sizeof *frame + head.bytes + 1);
	frame->next = NULL;
	frame->head = head;
	memcpy(frame->payload, process->in + sizeof head, head.bytes);
	frame->payload[head.bytes] = '\0';
	process->in_used -= (size_t)whole;
	memmove(process->in, process->in + whole, process->in_used);
	return frame;
}

uint32_t worker_wake_replies(struct worker_process *process)
{
	struct frame_head head;
	uint32_t replies = 0;
	assert_true(rings_wait(&process->rings, true, false));
	worker_go_on(process);
	assert_true(await_bell(process) && read_more(process));
	for (size_t at = 0; at + sizeof head <= process->in_used; at += sizeof head + head.bytes) {
		memcpy(&head, process->in + at, sizeof head);
		replies += head.kind == FRAME_REPLY;
	}
	return replies;
}

struct worker_frame *worker_next(struct worker_process *process)
{
	struct worker_frame *frame = process->kept;
	if (!frame)
		return read_frame(process);
	process->kept = frame->next;
	return frame;
}

struct worker_frame *worker_await(struct worker_process *process, enum frame_kind kind, uint64_t call)
{
	struct worker_frame **at = &process->kept;
	for (;;) {
		if (!*at)
			*at = read_frame(process);
		struct worker_frame *frame = *at;
		if (!frame)
			return NULL;
		if (frame->head.kind == kind && frame->head.call == call) {
			*at = frame->next;
			return frame;
		}
		/* what comes by itself is not kept */
		if (frame->head.kind == FRAME_STATS && frame->head.call == 0) {
			*at = frame->next;
			free(frame);
			continue;
		}
		at = &frame->next;
	}
}

struct worker_frame *worker_reply(struct worker_process *process, uint64_t call)
{
	struct worker_frame *frame = worker_await(process, FRAME_REPLY, call);
	if (!frame)
		fail_msg("the worker ended instead of answering call %llu", (unsigned long long)call);
	return frame;
}

void worker_expect_error(struct worker_process *process, uint64_t call, int status, const char *text)
{
	struct worker_frame *frame = worker_reply(process, call);
	if (frame->head.status != status || !strstr((char *)frame->payload, text))
		fail_msg("status %u \"%s\" instead of %d \"%s\"", frame->head.status, (char *)frame->payload, status,
			 text);
	free(frame);
}
