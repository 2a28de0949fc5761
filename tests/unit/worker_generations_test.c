/* The real kindred-worker told to load, activate and drop generations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/shop_worker.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_CANCELLED 1
#define STATUS_INVALID 3
#define STATUS_NOT_FOUND 5

static struct worker_frame *raw_answer(struct worker_process *process, const char *user)
{
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	request.user_id = (char *)user;
	request.definition = (char *)"next";
	return worker_reply(process, worker_send_message(process, FRAME_CALL_RECOMMEND, &request.base));
}

static void test_swap_and_rollback(void **state)
{
	struct shop_worker *shop = *state;
	struct worker_process *process = &shop->process;
	char second_path[4096];
	shop_worker_write(shop, 2, 3, second_path);
	worker_ingest_one(process, "john", "item-0", "Viewed", 1000);
	struct worker_frame *first = raw_answer(process, "john");
	worker_serve_generation(process, second_path, 2);
	shop_worker_expect(process, "john", 2, "item-4 item-5");
	shop_worker_set_item(process, "item-4", 1, true, false, 10);
	shop_worker_expect(process, "john", 2, "item-5 item-6");
	shop_worker_set_item(process, "item-4", 1, false, false, 11);

	/* the same swap the other way; LOAD of one that is loaded is answered at once */
	worker_serve_generation(process, shop->first_path, 1);
	struct worker_frame *again = raw_answer(process, "john");
	assert_int_equal(again->head.bytes, first->head.bytes);
	assert_memory_equal(again->payload, first->payload, first->head.bytes);
	free(first);
	free(again);

	Kindred__Internal__GenerationCommand command = KINDRED__INTERNAL__GENERATION_COMMAND__INIT;
	command.number = 1; /* active: stays */
	worker_send_message(process, FRAME_GENERATION_DROP, &command.base);
	shop_worker_expect(process, "john", 1, "item-1");
	command.number = 2;
	worker_send_message(process, FRAME_GENERATION_DROP, &command.base);
	uint64_t call = worker_send_message(process, FRAME_GENERATION_ACTIVATE, &command.base);
	struct worker_frame *frame = worker_await(process, FRAME_GENERATION_ACTIVATED, call);
	assert_int_equal(frame->head.status, STATUS_NOT_FOUND);
	free(frame);

	/* a file that is damaged, not there, or another generation's changes nothing */
	command.number = 9;
	command.path = shop->first_path;
	call = worker_send_message(process, FRAME_GENERATION_LOAD, &command.base);
	frame = worker_await(process, FRAME_GENERATION_LOADED, call);
	assert_int_not_equal(frame->head.status, 0);
	assert_non_null(strstr((char *)frame->payload, "generation 1"));
	free(frame);
	command.path = (char *)"/nowhere/00000009.kindred";
	call = worker_send_message(process, FRAME_GENERATION_LOAD, &command.base);
	frame = worker_await(process, FRAME_GENERATION_LOADED, call);
	assert_int_equal(frame->head.status, STATUS_NOT_FOUND);
	free(frame);
	shop_worker_expect(process, "john", 1, "item-1");
	assert_int_equal(worker_end(process), 0);
}

static void expect_status(struct worker_process *process, enum frame_kind kind, uint64_t call, uint32_t status)
{
	struct worker_frame *frame = worker_await(process, kind, call);
	assert_non_null(frame);
	assert_int_equal(frame->head.status, status);
	free(frame);
}

/* The worker is stopped while it is sent the commands, so that it meets all of them before any load can have ended. */
static void test_a_drop_finds_what_is_still_loading(void **state)
{
	struct shop_worker *shop = *state;
	struct worker_process *process = &shop->process;
	char second_path[4096];
	shop_worker_write(shop, 2, 3, second_path);
	Kindred__Internal__GenerationCommand command = KINDRED__INTERNAL__GENERATION_COMMAND__INIT;
	command.number = 2;
	command.path = second_path;
	worker_hold(process);
	uint64_t load = worker_send_message(process, FRAME_GENERATION_LOAD, &command.base);
	uint64_t again = worker_send_message(process, FRAME_GENERATION_LOAD, &command.base);
	worker_send_message(process, FRAME_GENERATION_DROP, &command.base);
	worker_go_on(process);
	expect_status(process, FRAME_GENERATION_LOADED, load, STATUS_CANCELLED);
	expect_status(process, FRAME_GENERATION_LOADED, again, STATUS_CANCELLED);
	uint64_t activate = worker_send_message(process, FRAME_GENERATION_ACTIVATE, &command.base);
	expect_status(process, FRAME_GENERATION_ACTIVATED, activate, STATUS_NOT_FOUND);

	/* one that is asked for after the drop stays */
	worker_hold(process);
	load = worker_send_message(process, FRAME_GENERATION_LOAD, &command.base);
	worker_send_message(process, FRAME_GENERATION_DROP, &command.base);
	again = worker_send_message(process, FRAME_GENERATION_LOAD, &command.base);
	worker_go_on(process);
	expect_status(process, FRAME_GENERATION_LOADED, load, STATUS_CANCELLED);
	expect_status(process, FRAME_GENERATION_LOADED, again, 0);
	activate = worker_send_message(process, FRAME_GENERATION_ACTIVATE, &command.base);
	expect_status(process, FRAME_GENERATION_ACTIVATED, activate, 0);
	assert_int_equal(worker_end(process), 0);
}

static uint64_t ask_pinned(struct worker_process *process, uint64_t generation, const char *filter)
{
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	request.user_id = (char *)"john";
	request.definition = (char *)"next";
	request.count = 2;
	request.generation = generation;
	request.filter = (char *)filter;
	return worker_send_message(process, FRAME_CALL_RECOMMEND, &request.base);
}

static void expect_pinned(struct worker_process *process, uint64_t call, uint64_t generation, const char *items)
{
	struct worker_frame *frame = worker_reply(process, call);
	assert_int_equal(frame->head.status, 0);
	Kindred__V1__RecommendResponse *response =
		kindred__v1__recommend_response__unpack(NULL, frame->head.bytes, frame->payload);
	assert_non_null(response);
	assert_int_equal(response->generation, generation);
	assert_string_equal(worker_recommended(response), items);
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	free(frame);
}

/*
 * Calls that came together, more generations than a definition keeps recipes of, and one in between that fails when
 * its recipe is found already: what waits to be answered keeps its own.
 */
static void test_calls_together_keep_their_generation(void **state)
{
	struct shop_worker *shop = *state;
	struct worker_process *process = &shop->process;
	char path[4096];
	worker_ingest_one(process, "john", "item-0", "Viewed", 1000);
	for (uint32_t number = 2; number <= 3; number++) {
		shop_worker_write(shop, number, number, path);
		worker_serve_generation(process, path, number);
	}
	worker_hold(process);
	uint64_t first = ask_pinned(process, 1, ""), second = ask_pinned(process, 2, "(("),
		 third = ask_pinned(process, 3, ""), fourth = ask_pinned(process, 1, "");
	worker_go_on(process);
	expect_pinned(process, first, 1, "item-1 item-2");
	expect_status(process, FRAME_REPLY, second, STATUS_INVALID);
	expect_pinned(process, third, 3, "item-4 item-5");
	expect_pinned(process, fourth, 1, "item-1 item-2");
	assert_int_equal(worker_end(process), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, shop_worker_setup, shop_worker_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_swap_and_rollback),
		TEST(test_a_drop_finds_what_is_still_loading),
		TEST(test_calls_together_keep_their_generation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
