/* The real kindred-worker: messages of users that wait together, whatever each asks for and however it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/shop_worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_DEADLINE 4

#define USERS 600
#define MOST 10000

static char ids[MOST][16];
static char *list[MOST];

static int setup(void **state)
{
	for (uint32_t i = 0; i < MOST; i++) {
		snprintf(ids[i], sizeof ids[i], "user-%u", i * 7919 % MOST);
		list[i] = ids[i];
	}
	return shop_worker_setup(state);
}

/* Eight users viewed an item each. */
static void ingest_views(struct worker_process *process)
{
	for (int i = 0; i < 8; i++) {
		char user[24], item[24];
		snprintf(user, sizeof user, "user-%d", i);
		snprintf(item, sizeof item, "item-%d", i);
		worker_ingest_one(process, user, item, "Viewed", 1000);
	}
}

static Kindred__V1__RecommendManyRequest asking(uint32_t first, uint32_t users, const char *definition, uint32_t count)
{
	Kindred__V1__RecommendManyRequest request = KINDRED__V1__RECOMMEND_MANY_REQUEST__INIT;
	request.user_ids = list + first;
	request.n_user_ids = users;
	request.definition = (char *)definition;
	request.count = count;
	return request;
}

static uint64_t send_request(struct worker_process *process, const Kindred__V1__RecommendManyRequest *request)
{
	return worker_send_message(process, FRAME_CALL_RECOMMEND_MANY, &request->base);
}

static int by_user(const void *a, const void *b)
{
	Kindred__V1__UserRecommendations *const *x = a, *const *y = b;
	return strcmp((*x)->user_id, (*y)->user_id);
}

/* Its users by id. */
static Kindred__V1__RecommendManyResponse *answer(struct worker_process *process, uint64_t call)
{
	Kindred__V1__RecommendManyResponse *response = worker_many_reply(process, call);
	qsort(response->results, response->n_results, sizeof(void *), by_user);
	return response;
}

static void assert_same(const Kindred__V1__RecommendManyResponse *one, const Kindred__V1__RecommendManyResponse *other)
{
	size_t bytes = kindred__v1__recommend_many_response__get_packed_size(one);
	uint8_t *a = malloc(bytes), *b = malloc(bytes);
	assert_int_equal(kindred__v1__recommend_many_response__get_packed_size(other), bytes);
	kindred__v1__recommend_many_response__pack(one, a);
	kindred__v1__recommend_many_response__pack(other, b);
	assert_memory_equal(a, b, bytes);
	free(a);
	free(b);
}

/*
 * Messages that ask for different numbers of items, by different definitions, with names, by a filter of their own, of
 * users who are in several, and such that are errors: each is answered as it is alone.
 */
static void test_each_as_alone(void **state)
{
	enum { MESSAGES = 12 };
	struct shop_worker *shop = *state;
	struct worker_process *process = &shop->process;
	Kindred__V1__RecommendManyRequest requests[MESSAGES];
	Kindred__V1__RecommendManyResponse *alone[MESSAGES], *together;
	uint64_t calls[MESSAGES], nobody = 0;
	ingest_views(process);
	shop->rules.definition.name = (char *)"cheap";
	shop->rules.definition.filter = (char *)"price < 15";
	shop_worker_update(shop);
	for (uint32_t i = 0; i < MESSAGES; i++) {
		requests[i] = asking(i * 40, 1 + USERS * i / MESSAGES, i % 3 == 1 ? "cheap" : "next", 1 + i % 8);
		requests[i].with_names = i % 4 == 2;
		requests[i].explain = i % 5 == 4;
		if (i % 6 == 3)
			requests[i].filter = (char *)"price > 12";
		alone[i] = answer(process, send_request(process, &requests[i]));
		assert_int_equal(alone[i]->n_results, requests[i].n_user_ids);
	}
	Kindred__V1__RecommendManyRequest wrong = asking(0, 5, "none", 3), bad = asking(0, 3, "next", 3);
	char *some[] = { (char *)"user-1", (char *)"bad\xff", (char *)"user-2" };
	bad.user_ids = some;
	worker_hold(process);
	for (uint32_t i = 0; i < MESSAGES; i++) {
		calls[i] = send_request(process, &requests[i]);
		if (i == MESSAGES / 2)
			nobody = send_request(process, &wrong);
	}
	uint64_t unreadable = send_request(process, &bad);
	worker_go_on(process);
	for (uint32_t i = MESSAGES; i-- > 0;) {
		together = answer(process, calls[i]);
		assert_same(together, alone[i]);
		kindred__v1__recommend_many_response__free_unpacked(together, NULL);
		kindred__v1__recommend_many_response__free_unpacked(alone[i], NULL);
	}
	worker_expect_error(process, nobody, 5, "'none'");
	struct worker_frame *frame = worker_reply(process, unreadable);
	assert_int_equal(frame->head.failed_users, 1);
	together = kindred__v1__recommend_many_response__unpack(NULL, frame->head.bytes, frame->payload);
	assert_int_equal(together->n_results, 3);
	assert_int_equal(together->generation, 1);
	kindred__v1__recommend_many_response__free_unpacked(together, NULL);
	free(frame);
}

/* Nothing of a message is left in those after it: its filter, its error, who failed. */
static void test_one_after_the_other(void **state)
{
	struct worker_process *process = *state;
	char *users[] = { (char *)"user-1", (char *)"bad\xff" };
	Kindred__V1__RecommendManyRequest bad = asking(0, 2, "next", 3), good = asking(0, 1, "next", 3);
	bad.user_ids = users;
	bad.filter = (char *)"price > 12";
	for (int turn = 0; turn < 4; turn++) {
		struct worker_frame *frame = worker_reply(process, send_request(process, &bad));
		assert_int_equal(frame->head.failed_users, 1);
		free(frame);
		worker_expect_error(process, worker_send(process, FRAME_CALL_RECOMMEND_MANY, "\xff", 1), 3, "");
		frame = worker_reply(process, send_request(process, &good));
		assert_int_equal(frame->head.status, 0);
		assert_int_equal(frame->head.failed_users, 0);
		free(frame);
	}
}

/* A worker that is to end answers all that it has before. */
static void test_drained_at_work(void **state)
{
	struct worker_process *process = *state;
	Kindred__V1__RecommendManyRequest request = asking(0, USERS, "next", 8);
	uint64_t calls[3];
	worker_hold(process);
	for (int i = 0; i < 3; i++)
		calls[i] = send_request(process, &request);
	worker_send(process, FRAME_DRAIN, "", 0);
	worker_go_on(process);
	for (int i = 0; i < 3; i++)
		kindred__v1__recommend_many_response__free_unpacked(answer(process, calls[i]), NULL);
	free(worker_await(process, FRAME_DRAINED, 0));
	assert_int_equal(worker_wait(process), 0);
}

/* The middle one of three is cancelled while they are in work, or was answered before; the others are whole. */
static void test_one_is_cancelled(void **state)
{
	struct worker_process *process = *state;
	Kindred__V1__RecommendManyRequest first = asking(0, 2000, "next", 8), second = asking(1000, 2000, "next", 8),
					  third = asking(2000, 2000, "next", 8);
	for (int turn = 0; turn < 20; turn++) {
		uint64_t calls[3] = { send_request(process, &first), send_request(process, &second),
				      send_request(process, &third) };
		struct frame_head head = { .kind = FRAME_CANCEL, .call = calls[1], .timeout_ms = UINT32_MAX };
		if (turn % 2)
			kindred__internal__worker_stats__free_unpacked(worker_stats(process), NULL);
		worker_send_head(process, head, "");
		for (int i = 0; i < 3; i += 2) {
			Kindred__V1__RecommendManyResponse *response = answer(process, calls[i]);
			assert_int_equal(response->n_results, 2000);
			kindred__v1__recommend_many_response__free_unpacked(response, NULL);
		}
	}
}

/* Its time is over while they are in work; the others are whole. */
static void test_one_is_late(void **state)
{
	enum { TIMEOUTS_MS = 400 };
	struct worker_process *process = *state;
	Kindred__V1__RecommendManyRequest first = asking(0, 1000, "next", 8), late = asking(0, MOST, "next", 8);
	size_t bytes = kindred__v1__recommend_many_request__get_packed_size(&late);
	uint8_t *packed = malloc(bytes);
	bool seen_late = false, seen_whole = false;
	kindred__v1__recommend_many_request__pack(&late, packed);
	/* from too short for anybody to long enough */
	for (uint32_t timeout_ms = 1; timeout_ms < TIMEOUTS_MS && (!seen_late || !seen_whole); timeout_ms *= 2) {
		struct frame_head head = { .kind = FRAME_CALL_RECOMMEND_MANY,
					   .call = 1000000 + timeout_ms,
					   .timeout_ms = timeout_ms,
					   .bytes = (uint32_t)bytes };
		worker_hold(process);
		uint64_t before = send_request(process, &first);
		worker_send_head(process, head, packed);
		uint64_t after = send_request(process, &first);
		worker_go_on(process);
		struct worker_frame *frame = worker_reply(process, head.call);
		seen_late |= frame->head.status == STATUS_DEADLINE;
		seen_whole |= frame->head.status == 0;
		free(frame);
		kindred__v1__recommend_many_response__free_unpacked(answer(process, before), NULL);
		kindred__v1__recommend_many_response__free_unpacked(answer(process, after), NULL);
	}
	free(packed);
	assert_true(seen_late);
}

/* Sixty messages of any size: all are answered. */
static void test_very_many(void **state)
{
	enum { MESSAGES = 60 };
	struct worker_process *process = *state;
	uint64_t calls[MESSAGES];
	uint32_t users[MESSAGES];
	for (uint32_t i = 0; i < MESSAGES; i++) {
		users[i] = i % 20 == 7 ? MOST : 1 + i * 97 % 1500;
		Kindred__V1__RecommendManyRequest request = asking(MOST - users[i], users[i], "next", 2);
		calls[i] = send_request(process, &request);
	}
	for (uint32_t i = MESSAGES; i-- > 0;) {
		Kindred__V1__RecommendManyResponse *response = answer(process, calls[i]);
		assert_int_equal(response->n_results, users[i]);
		for (uint32_t at = 1; at < users[i]; at++)
			assert_string_not_equal(response->results[at - 1]->user_id, response->results[at]->user_id);
		kindred__v1__recommend_many_response__free_unpacked(response, NULL);
	}
	Kindred__Internal__WorkerStats *stats = worker_stats(process);
	uint64_t all = 0;
	for (uint32_t i = 0; i < MESSAGES; i++)
		all += users[i];
	assert_int_equal(stats->recommend_users, all);
	kindred__internal__worker_stats__free_unpacked(stats, NULL);
}

/* As many as the parts of some dozens of large messages wait behind a few that take long: nobody is turned away. */
static void test_thousands_wait(void **state)
{
	enum { LARGE = 3, SMALL = 2000 };
	struct worker_process *process = *state;
	static uint64_t calls[LARGE + SMALL];
	for (uint32_t i = 0; i < LARGE + SMALL; i++) {
		Kindred__V1__RecommendManyRequest request = asking(0, i < LARGE ? MOST : 1, "next", 2);
		calls[i] = send_request(process, &request);
	}
	for (uint32_t i = 0; i < LARGE + SMALL; i++) {
		struct worker_frame *frame = worker_reply(process, calls[i]);
		assert_int_equal(frame->head.status, 0);
		free(frame);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, shop_worker_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_as_alone),    TEST(test_one_after_the_other), TEST(test_drained_at_work),
		TEST(test_one_is_cancelled), TEST(test_one_is_late),         TEST(test_very_many),
		TEST(test_thousands_wait),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
