#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/sender.h"
#include "common/clock.h"
#include "common/rpc/client.h"
#include "kindred/v1/events.pb-c.h"
#include "kindred/v1/status.pb-c.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

/* A socket on a free port of this machine; *address: "127.0.0.1:PORT". */
static int port_take(char *address)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof name;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, bytes), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &bytes), 0);
	sprintf(address, "127.0.0.1:%u", ntohs(name.sin_port));
	return fd;
}

static int status_get(struct rpc_client *client, int64_t timeout_ms, struct error *err)
{
	Kindred__V1__GetStatusRequest request = KINDRED__V1__GET_STATUS_REQUEST__INIT;
	Kindred__V1__GetStatusResponse *response;
	return rpc_call(client, "/kindred.v1.StatusService/GetStatus", &request.base,
			&kindred__v1__get_status_response__descriptor, timeout_ms, NULL, &response, err);
}

/* Bound and not listening: nobody can take the port meanwhile, and nobody answers. */
static void says_how_to_start_a_server(void **state)
{
	struct rpc_client *client;
	struct error err;
	char address[32], expected[160];
	(void)state;
	int fd = port_take(address);
	assert_int_equal(rpc_open(&client, address, &err), 0);
	assert_int_equal(status_get(client, 120000, &err), E_UNAVAILABLE);
	snprintf(expected, sizeof expected,
		 "cannot reach %s: is the server running? `kindred serve --data DIR` starts one", address);
	assert_string_equal(err.text, expected);
	rpc_close(client);
	close(fd);
}

/* A server that takes connections and never says a word. */
static void a_silent_server_is_a_deadline(void **state)
{
	struct rpc_client *client;
	struct rpc_stream *stream;
	struct error err;
	char address[32];
	bool waiting;
	void *response;
	(void)state;
	int fd = port_take(address);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(rpc_open(&client, address, &err), 0);
	assert_int_equal(status_get(client, 100, &err), E_DEADLINE);
	assert_non_null(strstr(err.text, address));
	assert_int_equal(rpc_stream_open(&stream, client, "/kindred.v1.EventService/IngestEventStream",
					 &kindred__v1__ingest_event_stream_response__descriptor, RPC_FOREVER, &err),
			 0);
	assert_int_equal(rpc_stream_receive(stream, 50, NULL, &response, &waiting, &err), E_DEADLINE);
	assert_true(waiting);
	rpc_stream_free(stream); /* cancels: does not wait for the server */
	rpc_close(client);
	close(fd);
}

static void refuses_what_is_no_target(void **state)
{
	struct rpc_client *client;
	struct error err;
	(void)state;
	static const char *const bad[] = {
		"",         "localhost",       "http://127.0.0.1:7600", "127.0.0.1:7600x", "127.0.0.1:", ":7600",
		"::1:7600", "127.0.0.1:65536", "127.0.0.1:0",           "[::1]",           "a b:7600",   "unix:",
	};
	static const char *const good[] = { "127.0.0.1:7600", "[::1]:7600", "db-1.example:65535", "unix:/run/k",
					    "dns:///db:7600" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(rpc_open(&client, bad[i], &err), E_INVALID);
		assert_non_null(strstr(err.text, "HOST:PORT"));
	}
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_int_equal(rpc_open(&client, good[i], &err), 0);
		rpc_close(client);
	}
}

struct told {
	unsigned lost, remarks;
};

static uint64_t answer_batch(const ProtobufCMessage *answer)
{
	return ((const Kindred__V1__IngestEventStreamResponse *)answer)->batch;
}

static int on_answer(void *context, const ProtobufCMessage *answer, void *batch, struct error *err)
{
	(void)context;
	(void)answer;
	(void)batch;
	return error_set(err, E_INTERNAL, "nobody can have answered");
}

static void on_lost(void *context, void *batch)
{
	((struct told *)context)->lost++;
	free(batch);
}

static void on_remark(void *context, const char *text)
{
	assert_non_null(strstr(text, "trying again"));
	((struct told *)context)->remarks++;
}

/* It tries for as long as it was told, says so once, gives up with the reason, and hands every batch back. */
static void a_sender_gives_up_in_time(void **state)
{
	struct told told = { 0 };
	const struct sender_options options = {
		.method = "/kindred.v1.EventService/IngestEventStream",
		.answer = &kindred__v1__ingest_event_stream_response__descriptor,
		.window = 2,
		.patience_ms = 400,
		.answer_batch = answer_batch,
		.on_answer = on_answer,
		.on_lost = on_lost,
		.on_remark = on_remark,
		.context = &told,
	};
	Kindred__V1__IngestEventStreamRequest request = KINDRED__V1__INGEST_EVENT_STREAM_REQUEST__INIT;
	struct rpc_client *client;
	struct sender *sender;
	struct error err;
	char address[32];
	unsigned taken = 0;
	int code = 0;
	(void)state;
	int fd = port_take(address);
	assert_int_equal(rpc_open(&client, address, &err), 0);
	assert_int_equal(sender_open(&sender, client, &options, &err), 0);
	uint64_t start_ns = clock_monotonic_ns();
	for (unsigned i = 0; i < 3 && code == 0; i++) {
		bool handed;
		void *batch = malloc(1);
		request.batch = i + 1;
		code = sender_send(sender, request.batch, &request.base, batch, &handed, &err);
		taken += handed;
		if (!handed)
			free(batch);
	}
	if (code == 0)
		code = sender_finish(sender, &err);
	assert_int_equal(code, E_UNAVAILABLE);
	assert_non_null(strstr(err.text, "cannot reach"));
	assert_true(clock_monotonic_ns() - start_ns >= 400000000u);
	assert_int_equal(told.remarks, 1);
	assert_int_equal(sender_finish(sender, &err), E_UNAVAILABLE);
	sender_close(sender);
	assert_int_equal(told.lost, taken);
	rpc_close(client);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_how_to_start_a_server),
		cmocka_unit_test(a_silent_server_is_a_deadline),
		cmocka_unit_test(refuses_what_is_no_target),
		cmocka_unit_test(a_sender_gives_up_in_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
