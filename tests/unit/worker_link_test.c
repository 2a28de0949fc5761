/*
 * The real kindred-worker and its link: ends, deaths, frames that are broken or come in pieces, a
 * server that does not read. Run through a socket, as a further front-end's link is, and through
 * memory, as the server's (KINDRED_TEST_LINK=memory).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "lib/worker_calls.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATUS_DEADLINE 4
#define STATUS_UNAVAILABLE 14

static void test_drain_finishes_what_came_before(void **state)
{
	struct worker_process *process = *state;
	uint64_t calls[100];
	worker_start_shop(process);
	for (int i = 0; i < 100; i++) {
		const struct test_event event = { "john", "shoes", "Viewed", NULL, 1000 + i };
		calls[i] = worker_send_events(process, &event, 1);
	}
	worker_hold(process); /* or it might have ended before the late one comes */
	worker_send(process, FRAME_DRAIN, "", 0);
	const struct test_event late = { "john", "shoes", "Viewed", NULL, 5000 };
	uint64_t turned_away = worker_send_events(process, &late, 1);
	worker_go_on(process);
	for (int i = 0; i < 100; i++) {
		struct worker_frame *frame = worker_reply(process, calls[i]);
		assert_int_equal(frame->head.status, 0);
		free(frame);
	}
	worker_expect_error(process, turned_away, STATUS_UNAVAILABLE, "stopping");
	struct worker_frame *drained = worker_await(process, FRAME_DRAINED, 0);
	assert_non_null(drained);
	free(drained);
	assert_int_equal(worker_wait(process), 0);
	worker_start_shop(process);
	assert_int_equal(worker_kept_events(process, "john"), 100);
}

/* The server died: what it had sent is written all the same. */
static void test_a_closed_link_ends_it_after_the_queue(void **state)
{
	struct worker_process *process = *state;
	worker_start_shop(process);
	for (int i = 0; i < 100; i++) {
		const struct test_event event = { "john", "shoes", "Viewed", NULL, 1000 + i };
		worker_send_events(process, &event, 1);
	}
	assert_int_equal(worker_end(process), 0);
	worker_start_shop(process);
	assert_int_equal(worker_kept_events(process, "john"), 100);
}

static void test_signals_do_not_end_it(void **state)
{
	struct worker_process *process = *state;
	worker_start_shop(process);
	kill(process->pid, SIGTERM);
	kill(process->pid, SIGINT);
	worker_ingest_one(process, "john", "shoes", "Viewed", 1000);
	assert_int_equal(worker_kept_events(process, "john"), 1);
	assert_int_equal(worker_end(process), 0);
}

static void test_passed_deadlines_are_not_worked_on(void **state)
{
	struct worker_process *process = *state;
	const struct test_event event = { "john", "shoes", "Viewed", NULL, 1000 };
	worker_start_shop(process);
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	uint8_t packed[64];
	request.user_id = (char *)"john";
	request.definition = (char *)"next";
	struct frame_head head = { .kind = FRAME_CALL_RECOMMEND, .call = 1000000, .timeout_ms = 0 };
	head.bytes = (uint32_t)kindred__v1__recommend_request__pack(&request, packed);
	worker_send_head(process, head, packed);
	worker_expect_error(process, 1000000, STATUS_DEADLINE, "deadline");

	/* the same for a write: the second frame carries the deadline that has passed */
	Kindred__V1__DeleteUserRequest forget = KINDRED__V1__DELETE_USER_REQUEST__INIT;
	free(worker_reply(process, worker_send_events(process, &event, 1)));
	forget.user_id = (char *)"john";
	head.kind = FRAME_CALL_DELETE_USER;
	head.call = 1000001;
	head.bytes = (uint32_t)kindred__v1__delete_user_request__pack(&forget, packed);
	worker_send_head(process, head, packed);
	worker_expect_error(process, 1000001, STATUS_DEADLINE, "nothing was written");
	assert_int_equal(worker_kept_events(process, "john"), 1);
	Kindred__Internal__WorkerStats *stats = worker_stats(process);
	assert_int_equal(stats->expired_calls, 2);
	kindred__internal__worker_stats__free_unpacked(stats, NULL);
}

static void expect_failed_end(struct worker_process *process)
{
	int code = worker_wait(process);
	assert_true(code != 0 && code < 128);
}

static void test_broken_frames_end_it(void **state)
{
	struct worker_process *process = *state;
	const struct frame_head before_setup = { .kind = FRAME_CANCEL };
	const struct frame_head wrong_way = { .kind = FRAME_REPLY };
	const struct frame_head unknown = { .kind = 999 };
	const struct frame_head too_long = { .kind = FRAME_CALL_INGEST, .bytes = FRAME_PAYLOAD_MAX + 1 };
	worker_spawn(process);
	worker_send_head(process, before_setup, "");
	expect_failed_end(process);
	worker_start(process);
	worker_send_head(process, wrong_way, "");
	expect_failed_end(process);
	worker_start(process);
	worker_send_head(process, unknown, "");
	expect_failed_end(process);
	worker_start(process);
	/* only the head: the rest would never be read */
	struct frame_head head = too_long;
	worker_send_bytes(process, &head, sizeof head);
	expect_failed_end(process);
	worker_start(process);
	worker_send(process, FRAME_CATALOG_SET, "\x0a\xff", 2);
	expect_failed_end(process);

	Kindred__Internal__Setup setup = KINDRED__INTERNAL__SETUP__INIT;
	setup.link_version = LINK_VERSION + 1;
	setup.data_directory = process->home.path;
	worker_spawn(process);
	worker_send_message(process, FRAME_SETUP, &setup.base);
	expect_failed_end(process);
}

/*
 * A frame a byte at a time is a frame all the same, and one half of a frame is no reason to wait for
 * nothing else.
 */
static void test_frames_in_pieces(void **state)
{
	struct worker_process *process = *state;
	Kindred__V1__ListUserEventsRequest request = KINDRED__V1__LIST_USER_EVENTS_REQUEST__INIT;
	uint8_t bytes[128];
	worker_start_shop(process);
	worker_ingest_one(process, "john", "shoes", "Viewed", 1000);
	request.user_id = (char *)"john";
	struct frame_head head = { .kind = FRAME_CALL_LIST_EVENTS, .call = 77777, .timeout_ms = UINT32_MAX };
	head.bytes = (uint32_t)kindred__v1__list_user_events_request__pack(&request, bytes + sizeof head);
	memcpy(bytes, &head, sizeof head);
	for (size_t i = 0; i < sizeof head + head.bytes; i++)
		worker_send_bytes(process, bytes + i, 1);
	struct worker_frame *frame = worker_reply(process, 77777);
	assert_int_equal(frame->head.status, 0);
	free(frame);
}

/* The server does not read for a while. Nothing is lost, and the worker does not gather replies without bound. */
static void test_a_server_that_does_not_read(void **state)
{
	enum { EVENTS = 500, CALLS = 20000 };
	struct worker_process *process = *state;
	struct test_event events[EVENTS];
	worker_start_shop(process);
	for (int i = 0; i < EVENTS; i++)
		events[i] =
			(struct test_event){ "john", "shoes", "a type whose name is as long as names of types may be..",
					     NULL, 1000 + i };
	kindred__v1__ingest_events_response__free_unpacked(worker_ingest(process, events, EVENTS), NULL);

	/* every answer has some 50 kB: all of them together would be 1 GB */
	Kindred__V1__ListUserEventsRequest request = KINDRED__V1__LIST_USER_EVENTS_REQUEST__INIT;
	uint8_t one[128];
	request.user_id = (char *)"john";
	request.page_size = EVENTS;
	struct frame_head head = { .kind = FRAME_CALL_LIST_EVENTS, .timeout_ms = UINT32_MAX };
	head.bytes = (uint32_t)kindred__v1__list_user_events_request__pack(&request, one + sizeof head);
	size_t whole = sizeof head + head.bytes;
	uint32_t sent = 0;
	size_t part = 0, taken;
	head.call = 1000000;
	memcpy(one, &head, sizeof head);
	/* until the worker has not taken anything for half a second */
	while (sent < CALLS && (taken = worker_send_some(process, one + part, whole - part, 500)) > 0) {
		part += taken;
		if (part < whole)
			continue;
		part = 0;
		head.call = 1000000 + ++sent;
		memcpy(one, &head, sizeof head);
	}
	assert_true(sent < CALLS);
	sent += part != 0;
	for (uint32_t i = 0; i < sent; i++) {
		/* the rest of a frame that was cut off, once reading has made the worker take again */
		if (part && part < whole)
			part += worker_send_some(process, one + part, whole - part, 0);
		assert_true(i + 1 < sent || part == 0 || part == whole);
		struct worker_frame *frame = worker_reply(process, 1000000 + i);
		assert_int_equal(frame->head.status, 0);
		assert_true(frame->head.bytes > 10000);
		free(frame);
	}
	assert_int_equal(worker_kept_events(process, "john"), EVENTS);
	Kindred__Internal__WorkerStats *stats = worker_stats(process);
	print_message("%u answers waited; resident %.0f MB\n", sent, (double)stats->resident_bytes / 1e6);
	kindred__internal__worker_stats__free_unpacked(stats, NULL);
}

static void test_started_by_hand(void **state)
{
	(void)state;
	FILE *pipe = popen(TEST_BIN "/kindred-worker 3<&- 2>&1", "r");
	char text[1024];
	size_t bytes = fread(text, 1, sizeof text - 1, pipe);
	text[bytes] = '\0';
	assert_non_null(strstr(text, "is started by kindred-server"));
	assert_non_null(strstr(text, "kindred serve"));
	assert_int_equal(WEXITSTATUS(pclose(pipe)), 64);
	pipe = popen(TEST_BIN "/kindred-worker --version", "r");
	bytes = fread(text, 1, sizeof text - 1, pipe);
	text[bytes] = '\0';
	assert_int_equal(strncmp(text, "kindred-worker ", 15), 0);
	assert_int_equal(pclose(pipe), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_drain_finishes_what_came_before, worker_process_setup,
						worker_process_teardown),
		cmocka_unit_test_setup_teardown(test_a_closed_link_ends_it_after_the_queue, worker_process_setup,
						worker_process_teardown),
		cmocka_unit_test_setup_teardown(test_signals_do_not_end_it, worker_process_setup,
						worker_process_teardown),
		cmocka_unit_test_setup_teardown(test_passed_deadlines_are_not_worked_on, worker_process_setup,
						worker_process_teardown),
		cmocka_unit_test_setup_teardown(test_broken_frames_end_it, worker_process_setup,
						worker_process_teardown),
		cmocka_unit_test_setup_teardown(test_frames_in_pieces, worker_process_setup, worker_process_teardown),
		cmocka_unit_test_setup_teardown(test_a_server_that_does_not_read, worker_process_setup,
						worker_process_teardown),
		cmocka_unit_test(test_started_by_hand),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
