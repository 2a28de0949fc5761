/*
 * Clients that ask for much and do not read: they hold up themselves, and nobody else; and what they
 * asked for is all there when they read at last.
 */
#include "lib/api.h"
#include "lib/cluster.h"
#include "lib/small_shop.h"
#include "lib/victim.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STREAMS 60
#define READ 4 /* of them, in the end */
#define MESSAGES 2 /* a stream */
#define USERS 10000 /* a message: the most that is allowed */
#define COUNT 40 /* all items of the shop, with names: some 20 MB a message */

static struct cluster cluster;
static struct rpc_client *client;
static char ids[USERS][16], *users[USERS];

static int setup(void **state)
{
	(void)state;
	small_shop_open(&cluster, &client);
	small_shop_crowd(&cluster);
	for (unsigned i = 0; i < USERS; i++) {
		snprintf(ids[i], sizeof ids[i], "m%u", i);
		users[i] = ids[i];
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	small_shop_close(&cluster, client);
	return 0;
}

static void ask(struct rpc_stream *stream, uint32_t count, bool with_names)
{
	api_send_many(stream, "wanted-next", users, USERS, count, with_names);
}

/* Each user as often as it was asked for. */
static void read_all(struct rpc_stream *stream)
{
	static unsigned seen[USERS];
	Kindred__V1__RecommendManyResponse *response;
	struct error err;
	int got;
	memset(seen, 0, sizeof seen);
	assert_int_equal(rpc_stream_half_close(stream, &err), 0);
	while ((got = rpc_stream_receive(stream, API_PATIENCE_MS, NULL, &response, NULL, &err)) == 1) {
		for (size_t i = 0; i < response->n_results; i++) {
			assert_int_equal(response->results[i]->error_code, 0);
			seen[strtoul(response->results[i]->user_id + 1, NULL, 10)]++;
		}
		kindred__v1__recommend_many_response__free_unpacked(response, NULL);
	}
	if (got != 0)
		fail_msg("%s", err.text);
	for (unsigned i = 0; i < USERS; i++)
		assert_int_equal(seen[i], MESSAGES);
}

static void test_many_that_do_not_read(void **state)
{
	struct rpc_client *clients[STREAMS];
	struct rpc_stream *streams[STREAMS];
	(void)state;
	for (unsigned i = 0; i < STREAMS; i++) {
		clients[i] = api_open(&cluster);
		streams[i] = api_open_many(clients[i]);
		for (unsigned m = 0; m < MESSAGES; m++)
			ask(streams[i], COUNT, true);
	}
	/* all of it together would be more than is set aside for requests and replies */
	for (unsigned i = 0; i < 2000; i++) {
		Kindred__V1__RecommendResponse *answer = api_recommend(client, "wanted-next", "m7", 5);
		assert_int_equal(answer->n_items, 5);
		kindred__v1__recommend_response__free_unpacked(answer, NULL);
	}
	assert_int_equal(api_ingest(client, "shop", "m7", "a1", "Viewed", NULL),
			 KINDRED__V1__OUTCOME__OUTCOME_ACCEPTED);
	for (unsigned i = 0; i < STREAMS; i++) {
		if (i < READ)
			read_all(streams[i]);
		rpc_stream_free(streams[i]);
		rpc_close(clients[i]);
	}
}

/* The answers to a message of all users: how many users the largest of them had, and how many had an error. */
static size_t read_message(struct rpc_stream *stream, size_t *failed)
{
	size_t largest = 0;
	*failed = 0;
	for (size_t seen = 0; seen < USERS;) {
		Kindred__V1__RecommendManyResponse *response;
		struct error err;
		assert_int_equal(rpc_stream_receive(stream, API_PATIENCE_MS, NULL, &response, NULL, &err), 1);
		seen += response->n_results;
		largest = response->n_results > largest ? response->n_results : largest;
		for (size_t i = 0; i < response->n_results; i++)
			*failed += response->results[i]->error_code != 0;
		kindred__v1__recommend_many_response__free_unpacked(response, NULL);
	}
	return largest;
}

static size_t largest_answer(struct rpc_stream *stream, uint32_t count, bool with_names)
{
	size_t failed;
	ask(stream, count, with_names);
	size_t largest = read_message(stream, &failed);
	assert_int_equal(failed, 0);
	return largest;
}

/* The larger a user's answer is, the fewer users are asked for at once: what waits for a client is bounded. */
static void test_parts_follow_the_answers(void **state)
{
	struct rpc_stream *stream = api_open_many(client);
	(void)state;
	assert_in_range(largest_answer(stream, 1, false), 100, 256); /* nothing is known yet */
	assert_in_range(largest_answer(stream, 1, false), 512, 1024);
	assert_in_range(largest_answer(stream, COUNT, true), 100, 256); /* of these, again nothing */
	assert_in_range(largest_answer(stream, COUNT, true), 64, 255);
	rpc_stream_free(stream);
}

/* Beside the question for this very status, which a worker that is held owes, too. */
static bool both_are_asked(void *context)
{
	Kindred__V1__GetStatusResponse *status = api_status(client);
	bool asked = true;
	(void)context;
	for (size_t i = 0; i < status->n_workers; i++)
		asked = asked && status->workers[i]->calls_in_flight > 1;
	kindred__v1__get_status_response__free_unpacked(status, NULL);
	return asked;
}

/* Both workers are asked for a message, and die before they have answered any of it. */
static void lose_a_message(struct rpc_stream *stream)
{
	struct victim victims[2] = { { .number = 0 }, { .number = 1 } };
	size_t failed;
	Kindred__V1__GetStatusResponse *status = api_status(client);
	assert_int_equal(status->n_workers, 2);
	for (unsigned i = 0; i < 2; i++) {
		victims[i].pid = (int)status->workers[i]->pid;
		assert_int_equal(kill(victims[i].pid, SIGSTOP), 0);
	}
	kindred__v1__get_status_response__free_unpacked(status, NULL);
	ask(stream, 1, false);
	wait_until("both are asked", both_are_asked, NULL);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(kill(victims[i].pid, SIGKILL), 0);
	read_message(stream, &failed);
	assert_int_equal(failed, USERS);
	for (unsigned i = 0; i < 2; i++)
		victim_await(&victims[i], client);
}

/* What has failed may have been too large: the next parts are no larger than those of a stream that begins. */
static void test_parts_shrink_after_a_failure(void **state)
{
	struct rpc_stream *stream = api_open_many(client);
	(void)state;
	largest_answer(stream, 1, false);
	assert_in_range(largest_answer(stream, 1, false), 512, 1024);
	lose_a_message(stream);
	assert_in_range(largest_answer(stream, 1, false), 100, 256);
	assert_in_range(largest_answer(stream, 1, false), 512, 1024);
	rpc_stream_free(stream);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_follow_the_answers),
		cmocka_unit_test(test_parts_shrink_after_a_failure),
		cmocka_unit_test(test_many_that_do_not_read),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
