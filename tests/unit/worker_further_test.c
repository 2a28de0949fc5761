/*
 * The real kindred-worker and messages of users from a further front-end beside the server's: that one cancels, goes,
 * does not read, or breaks its memory, and the server's are answered whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/shop_worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define USERS 10000
#define FEW 300
#define SOME 4000
#define ID_BYTES 250

static char ids[USERS][ID_BYTES + 1], *list[USERS];

static int setup(void **state)
{
	for (uint32_t i = 0; i < USERS; i++) {
		snprintf(ids[i], sizeof ids[i], "%0*u", ID_BYTES, i);
		list[i] = ids[i];
	}
	return shop_worker_setup_listening(state);
}

static size_t pack(uint32_t users, uint8_t **packed)
{
	Kindred__V1__RecommendManyRequest request = KINDRED__V1__RECOMMEND_MANY_REQUEST__INIT;
	request.user_ids = list;
	request.n_user_ids = users;
	request.definition = (char *)"next";
	request.count = 8;
	size_t bytes = kindred__v1__recommend_many_request__get_packed_size(&request);
	*packed = malloc(bytes);
	return kindred__v1__recommend_many_request__pack(&request, *packed);
}

static uint64_t send_many(struct worker_process *process, uint32_t users)
{
	uint8_t *packed;
	size_t bytes = pack(users, &packed);
	uint64_t call = worker_send(process, FRAME_CALL_RECOMMEND_MANY, packed, bytes);
	free(packed);
	return call;
}

static void cancel(struct worker_process *process, uint64_t call)
{
	struct frame_head head = { .kind = FRAME_CANCEL, .call = call, .timeout_ms = UINT32_MAX };
	worker_send_head(process, head, "");
}

static void expect_whole(struct worker_process *process, uint64_t call, uint32_t users)
{
	Kindred__V1__RecommendManyResponse *response = worker_many_reply(process, call);
	assert_int_equal(response->n_results, users);
	kindred__v1__recommend_many_response__free_unpacked(response, NULL);
}

static uint64_t users_answered(struct worker_process *process)
{
	Kindred__Internal__WorkerStats *stats = worker_stats(process);
	uint64_t users = stats->recommend_users;
	kindred__internal__worker_stats__free_unpacked(stats, NULL);
	return users;
}

/* Sends a message of USERS, of which some are answered when it returns, and perhaps all; how many were before. */
static uint64_t put_to_work(struct worker_process *from, struct worker_process *process, uint64_t *call)
{
	uint64_t before = users_answered(process);
	*call = send_many(from, USERS);
	while (users_answered(process) == before)
		;
	return before;
}

/*
 * Cancelled at work, it is worked on no more, and the front-end, which sleeps, is waked for the next message: nothing
 * else wakes it. Whether it is still at work by then is luck, but not for ever.
 */
static void test_it_is_told_after_it_cancelled(void **state)
{
	struct worker_process *process = *state, further;
	bool seen = false;
	worker_further_start(&further, process, true);
	for (uint32_t rounds = 0; rounds < 200 && (!seen || rounds < 5); rounds++) {
		uint64_t call;
		uint64_t before = put_to_work(&further, process, &call);
		cancel(&further, call);
		for (int i = 0; i < 3; i++)
			expect_whole(&further, send_many(&further, 1 + (uint32_t)i), 1 + (uint32_t)i);
		seen |= users_answered(process) < before + USERS;
	}
	assert_true(seen);
	worker_further_end(&further);
}

/* Who cancels means its own message, not the older one of the same number that is at work for another. */
static void test_numbers_are_each_ones_own(void **state)
{
	struct worker_process *process = *state, further;
	struct frame_head head = { .kind = FRAME_CALL_RECOMMEND_MANY, .call = 1000000, .timeout_ms = UINT32_MAX };
	uint8_t *packed;
	worker_further_start(&further, process, true);
	head.bytes = (uint32_t)pack(SOME, &packed);
	for (int turn = 0; turn < 6; turn++, head.call++) {
		struct worker_process *one = turn % 2 ? process : &further, *other = turn % 2 ? &further : process;
		uint64_t before = users_answered(process);
		worker_send_head(other, head, packed);
		while (users_answered(process) == before)
			;
		worker_send_head(one, head, packed);
		(void)users_answered(process);
		cancel(one, head.call);
		expect_whole(other, head.call, SOME);
		expect_whole(one, send_many(one, 1), 1);
	}
	free(packed);
	worker_further_end(&further);
}

static void test_it_goes_while_its_messages_are_at_work(void **state)
{
	struct worker_process *process = *state, further, other;
	for (int turn = 0; turn < 10; turn++) {
		uint64_t call;
		worker_further_start(&further, process, turn % 2);
		worker_further_start(&other, process, turn % 4 < 2);
		(void)put_to_work(&further, process, &call);
		(void)send_many(&further, FEW);
		uint64_t ours = send_many(process, FEW), others = send_many(&other, FEW);
		worker_further_end(&further);
		expect_whole(process, ours, FEW);
		expect_whole(&other, others, FEW);
		worker_further_end(&other);
	}
}

/* Its memory's counts are no counts any more while answers wait for room there. */
static void test_it_breaks_its_memory(void **state)
{
	struct worker_process *process = *state, further;
	for (int turn = 0; turn < 20; turn++) {
		worker_further_start(&further, process, true);
		worker_hold(process);
		for (int i = 0; i < 30; i++)
			(void)send_many(&further, 1 + (uint32_t)i);
		worker_go_on(process);
		uint64_t ours = send_many(process, FEW);
		usleep((useconds_t)turn * 100);
		memset((char *)further.rings.in + 64, 1, 8); /* common/ring.c: `got` of the ring to it */
		expect_whole(process, ours, FEW);
		worker_further_end(&further);
	}
	expect_whole(process, send_many(process, FEW), FEW);
}

/* Whether so many users have been answered, or soon are. */
static bool grows_to(struct worker_process *process, uint64_t users)
{
	for (int waited_ms = 0; waited_ms < 1000; waited_ms++) {
		if (users_answered(process) >= users)
			return true;
		usleep(1000);
	}
	return false;
}

/* It sends one message after the other and takes no answer, until one is not begun. How many it sent. */
static uint64_t fill(struct worker_process *further, struct worker_process *process)
{
	enum { MOST = 2000 };
	uint64_t before = users_answered(process), sent = 0;
	while (sent < MOST) {
		(void)send_many(further, FEW); /* it fits into the socket, also when nobody reads */
		if (!grows_to(process, before + ++sent * FEW))
			return sent;
	}
	fail_msg("the worker takes messages without end");
	return 0;
}

static void test_one_that_does_not_read_holds_up_only_itself(void **state)
{
	struct worker_process *process = *state, further;
	worker_further_start(&further, process, false);
	uint64_t sent = fill(&further, process);
	expect_whole(process, send_many(process, FEW), FEW);
	for (uint64_t call = 1; call <= sent; call++)
		expect_whole(&further, call, FEW);
	expect_whole(process, send_many(process, FEW), FEW);
	worker_further_end(&further);
	expect_whole(process, send_many(process, FEW), FEW);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, shop_worker_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_it_is_told_after_it_cancelled),
		TEST(test_numbers_are_each_ones_own),
		TEST(test_it_goes_while_its_messages_are_at_work),
		TEST(test_it_breaks_its_memory),
		TEST(test_one_that_does_not_read_holds_up_only_itself),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
