/* The worker's end of the link with memory; the server's is played here, and reads when the test says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/uplink.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* The largest calls: a number is answered by so many bytes. */
#define ANSWER_MAX FRAME_PAYLOAD_MAX

struct ends {
	uv_loop_t loop;
	struct uplink link;
	struct rings server;
	int fd; /* the server's end of the socket */
	bool read_in_batch; /* the server reads while the worker writes its replies */
	size_t wanted, got; /* bytes of replies: all frames together; read by the server */
	uint8_t *zeros;
	uint8_t *memory; /* of the link, and how much there is of it */
	size_t memory_bytes;
	int end; /* how the link ended; 1: it has not */
};

/* The server reads what is there. */
static void read_all(struct ends *ends)
{
	static uint8_t bytes[RING_BYTES];
	int64_t got = ring_get(ends->server.in, bytes, sizeof bytes);
	assert_true(got >= 0);
	ends->got += (size_t)got;
	(void)rings_bell(&ends->server); /* the loop is never let wait */
}

static void on_frame(void *context, const struct frame_head *head, const uint8_t *payload)
{
	struct ends *ends = context;
	(void)payload;
	uplink_send(&ends->link, FRAME_REPLY, head->call, NULL, ends->zeros, head->call);
}

static void on_batch(void *context)
{
	struct ends *ends = context;
	if (ends->read_in_batch)
		read_all(ends);
}

static void on_room(void *context)
{
	(void)context;
}

static void on_end(void *context, const struct error *err)
{
	((struct ends *)context)->end = err->code;
}

static const struct uplink_handler handler = { .frame = on_frame, .batch = on_batch, .room = on_room, .end = on_end };

/* Asks for an answer of so many bytes. */
static void ask(struct ends *ends, size_t answer)
{
	struct frame_head head = { .kind = FRAME_CALL_RECOMMEND, .call = answer, .timeout_ms = UINT32_MAX };
	assert_int_equal(ring_put(ends->server.out, &head, sizeof head), sizeof head);
	ends->wanted += sizeof head + answer;
}

static void turn(struct ends *ends)
{
	uv_run(&ends->loop, UV_RUN_NOWAIT);
}

static void set_up(struct ends *ends)
{
	int pair[2], memory;
	memset(ends, 0, sizeof *ends);
	ends->end = 1;
	ends->zeros = calloc(1, ANSWER_MAX);
	assert_non_null(ends->zeros);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(uv_loop_init(&ends->loop), 0);
	assert_int_equal(rings_make(&ends->server, &memory, NULL), 0);
	ends->memory_bytes = (size_t)lseek(memory, 0, SEEK_END);
	ends->memory = mmap(NULL, ends->memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	assert_true(ends->memory != MAP_FAILED);
	assert_int_equal(uplink_open(&ends->link, &ends->loop, pair[1], &handler, ends, NULL), 0);
	assert_int_equal(uplink_memory(&ends->link, memory, NULL), 0);
	ends->fd = pair[0];
}

static void tear_down(struct ends *ends)
{
	uplink_close(&ends->link, NULL);
	uv_run(&ends->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&ends->loop), 0);
	close(ends->fd);
	rings_drop(&ends->server);
	munmap(ends->memory, ends->memory_bytes);
	free(ends->zeros);
}

/* What the ring has not taken of the reply that is being sent. */
static size_t unsent(const struct ends *ends)
{
	return ends->link.sending.used - ends->link.sent;
}

/*
 * A call finds no room for its reply, and there is room by the time that replies were written, as the
 * server has read meanwhile. It must not be forgotten: nobody would say that there is room.
 */
static void test_room_that_comes_while_replies_are_written(void **state)
{
	(void)state;
	struct ends ends;
	set_up(&ends);
	ask(&ends, 230 * RING_BYTES + RING_BYTES / 2); /* nearly UPLINK_OUT_HIGH */
	do {
		read_all(&ends);
		turn(&ends);
	} while (unsent(&ends) > RING_BYTES);
	assert_true(unsent(&ends) > 0); /* so the ring is full */

	ask(&ends, UPLINK_OUT_LOW / 2); /* with it, more than UPLINK_OUT_HIGH waits */
	ask(&ends, 10);
	ask(&ends, 10);
	ends.read_in_batch = true;
	for (int turns = 0; turns < 1000; turns++) {
		turn(&ends);
		read_all(&ends);
	}
	assert_int_equal(ends.got, ends.wanted);
	assert_int_equal(ends.end, 1);
	tear_down(&ends);
}

/* The counts of a ring are no counts any more: of the replies, more have been taken than there were. */
static void test_nonsense_ends_it(void **state)
{
	(void)state;
	struct ends ends;
	set_up(&ends);
	ask(&ends, 10);
	ends.memory[ends.memory_bytes / 2 + 64] = 1; /* common/ring.c: `got` of the ring to the server */
	turn(&ends);
	assert_int_equal(ends.end, E_INTERNAL);
	tear_down(&ends);
}

/* How often it was rung for the server. */
static ssize_t bells(const struct ends *ends)
{
	char bytes[16];
	ssize_t got = recv(ends->fd, bytes, sizeof bytes, MSG_DONTWAIT);
	return got < 0 ? 0 : got;
}

static void reply(struct ends *ends, size_t bytes)
{
	uplink_send(&ends->link, FRAME_REPLY, 1, NULL, ends->zeros, bytes);
	ends->wanted += sizeof(struct frame_head) + bytes;
}

/* It lies there for a server that looks, and wakes one that sleeps only with what is flushed. */
static void test_a_reply_that_is_put_wakes_nobody(void **state)
{
	(void)state;
	struct ends ends;
	set_up(&ends);
	assert_true(rings_wait(&ends.server, true, false));
	reply(&ends, 10);
	uplink_put(&ends.link);
	turn(&ends);
	reply(&ends, 20);
	uplink_put(&ends.link);
	assert_int_equal(bells(&ends), 0);
	turn(&ends);
	assert_int_equal(bells(&ends), 0);
	uplink_flush(&ends.link);
	assert_int_equal(bells(&ends), 1);
	read_all(&ends);
	assert_int_equal(ends.got, ends.wanted);

	assert_true(rings_wait(&ends.server, true, false));
	reply(&ends, 10);
	uplink_flush(&ends.link);
	assert_int_equal(bells(&ends), 1);
	tear_down(&ends);
}

static void test_replies_that_find_no_room_wake_it(void **state)
{
	(void)state;
	struct ends ends;
	set_up(&ends);
	assert_true(rings_wait(&ends.server, true, false));
	reply(&ends, 2 * (size_t)RING_BYTES);
	uplink_put(&ends.link);
	assert_int_equal(bells(&ends), 1);
	while (ends.got < ends.wanted) {
		read_all(&ends);
		turn(&ends);
	}
	tear_down(&ends);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room_that_comes_while_replies_are_written),
		cmocka_unit_test(test_nonsense_ends_it),
		cmocka_unit_test(test_a_reply_that_is_put_wakes_nobody),
		cmocka_unit_test(test_replies_that_find_no_room_wake_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
