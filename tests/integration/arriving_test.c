/*
 * A client, in bare HTTP/2, that announces a message far larger than is allowed and goes on sending it: gRPC keeps what
 * comes until all is there. It is stopped before the server's memory is; others are answered meanwhile.
 */
#include "lib/api.h"
#include "lib/cluster.h"
#include "lib/small_shop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define METHOD "/kindred.v1.RecommendationService/Recommend"
#define HEAD 9 /* of a frame */
#define PAYLOAD 16384
#define WINDOW 65535 /* at first */
#define MEMORY_KB (256L << 10) /* the server has less when nobody sends */
#define SENT_MAX ((uint64_t)3 << 30) /* of 4 GiB announced */

enum frame_type { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE };
#define ACK 1
#define END_HEADERS 4
#define INITIAL_WINDOW_SIZE 4

static void send_all(int fd, const void *bytes, size_t count)
{
	for (const char *at = bytes; count > 0;) {
		ssize_t sent = send(fd, at, count, MSG_NOSIGNAL);
		assert_true(sent > 0);
		at += sent;
		count -= (size_t)sent;
	}
}

static void send_frame(int fd, enum frame_type type, uint8_t flags, uint8_t stream, const void *payload, size_t count)
{
	uint8_t head[HEAD] = {
		(uint8_t)(count >> 16), (uint8_t)(count >> 8), (uint8_t)count, (uint8_t)type, flags, 0, 0, 0, stream
	};
	send_all(fd, head, sizeof head);
	send_all(fd, payload, count);
}

/* A field as HPACK has it without a table. */
static size_t put_field(uint8_t *to, const char *name, const char *value)
{
	return (size_t)sprintf((char *)to + 1, "%c%s%c%s", (int)strlen(name), name, (int)strlen(value), value) + 1;
}

static int begin(void)
{
	struct timeval patience = { .tv_sec = API_PATIENCE_MS / 1000 };
	uint8_t fields[512] = { 0 };
	size_t count = 0;
	int fd = address_connect(shop.cluster.address);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
	send_all(fd, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
	send_frame(fd, SETTINGS, 0, 0, "", 0);
	count += put_field(fields + count, ":method", "POST");
	count += put_field(fields + count, ":scheme", "http");
	count += put_field(fields + count, ":path", METHOD);
	count += put_field(fields + count, ":authority", "x");
	count += put_field(fields + count, "te", "trailers");
	count += put_field(fields + count, "content-type", "application/grpc");
	send_frame(fd, HEADERS, END_HEADERS, 1, fields, count);
	return fd;
}

static uint32_t word(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void receive_all(int fd, uint8_t *to, size_t count)
{
	if (count)
		assert_int_equal(recv(fd, to, count, MSG_WAITALL), count);
}

/* Takes a frame that came: what may be sent then, of the connection and the stream. False: the stream is at its end. */
static bool take_frame(int fd, int64_t windows[2])
{
	uint8_t head[HEAD], payload[PAYLOAD];
	size_t count;
	unsigned stream;
	receive_all(fd, head, sizeof head);
	count = word(head) >> 8;
	stream = word(head + 5);
	assert_true(count <= sizeof payload && stream <= 1);
	receive_all(fd, payload, count);
	switch ((enum frame_type)head[3]) {
	case WINDOW_UPDATE:
		windows[stream] += word(payload);
		break;
	case PING:
		if (!(head[4] & ACK))
			send_frame(fd, PING, ACK, 0, payload, count);
		break;
	case SETTINGS:
		for (size_t at = 0; at + 6 <= count; at += 6)
			if (payload[at + 1] == INITIAL_WINDOW_SIZE)
				windows[1] += (int64_t)word(payload + at + 2) - WINDOW;
		if (!(head[4] & ACK))
			send_frame(fd, SETTINGS, ACK, 0, "", 0);
		break;
	case DATA:
	case HEADERS:
	case PRIORITY:
	case PUSH_PROMISE:
		break;
	case RST_STREAM:
	case GOAWAY:
		return false;
	}
	return true;
}

#ifndef __SANITIZE_ADDRESS__ /* it keeps what was freed */
static bool memory_is_back(void *context)
{
	(void)context;
	return process_resident_kb(shop.cluster.server) < MEMORY_KB;
}
#endif

static void test_a_message_without_end(void **state)
{
	static uint8_t bytes[PAYLOAD];
	Kindred__V1__RecommendResponse *answer;
	int64_t windows[2] = { WINDOW, WINDOW };
	uint64_t sent = 0;
	bool open = true;
	int fd = begin();
	(void)state;
	memset(bytes, 0xff, 5); /* its length */
	bytes[0] = 0; /* not compressed */
	while (open && sent < SENT_MAX) {
		if (windows[0] < PAYLOAD || windows[1] < PAYLOAD) {
			open = take_frame(fd, windows);
			continue;
		}
		send_frame(fd, DATA, 0, 1, bytes, sizeof bytes);
		memset(bytes, 0, 5);
		windows[0] -= PAYLOAD;
		windows[1] -= PAYLOAD;
		sent += PAYLOAD;
	}
	assert_false(open);
	answer = api_recommend(shop.client, "wanted-next", "u1", 3);
	assert_int_equal(answer->n_items, 3);
	kindred__v1__recommend_response__free_unpacked(answer, NULL);
	close(fd);
#ifndef __SANITIZE_ADDRESS__
	wait_until("the memory is given back", memory_is_back, NULL);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_message_without_end),
	};
	return cmocka_run_group_tests(tests, small_shop_set_up, small_shop_tear_down);
}
