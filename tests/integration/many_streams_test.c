/*
 * Hundreds of streams whose clients ask for fifty times the memory that is set aside and read nothing: the
 * server's memory stays within what the README says under "Limits", and who reads is served beside them.
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

#include <cmocka.h>

#define CONNECTIONS 40
#define STREAMS 600
#define MESSAGES 2 /* a stream */
#define USERS 10000 /* a message: the most that is allowed */
#define COUNT 40 /* all items of the shop, with names: some 20 MB a message, 24 GB in all */
#define READ_USERS 1000 /* a message of who reads */
#define READ_MESSAGES 5

/* For requests and replies (the README), and what the server has beside them. */
#define MEMORY_KB ((512L + 64) << 10)

static char ids[USERS][16], *users[USERS];

static int setup(void **state)
{
	small_shop_set_up(state);
	small_shop_crowd(&shop.cluster);
	for (unsigned i = 0; i < USERS; i++) {
		snprintf(ids[i], sizeof ids[i], "m%u", i);
		users[i] = ids[i];
	}
	return 0;
}

static void read_users(struct rpc_stream *stream, size_t count)
{
	struct error err;
	for (size_t seen = 0; seen < count;) {
		Kindred__V1__RecommendManyResponse *response;
		if (rpc_stream_receive(stream, API_PATIENCE_MS, NULL, &response, NULL, &err) != 1)
			fail_msg("%s", err.text);
		for (size_t i = 0; i < response->n_results; i++)
			assert_int_equal(response->results[i]->error_code, 0);
		seen += response->n_results;
		kindred__v1__recommend_many_response__free_unpacked(response, NULL);
	}
}

static void others_are_served(void)
{
	struct rpc_stream *stream = api_open_many(shop.client);
	struct error err;
	for (unsigned i = 0; i < READ_MESSAGES; i++) {
		api_send_many(stream, "wanted-next", users, READ_USERS, COUNT, true);
		read_users(stream, READ_USERS);
	}
	assert_int_equal(rpc_stream_finish(stream, &err), 0);
	rpc_stream_free(stream);
	for (unsigned i = 0; i < 500; i++) {
		Kindred__V1__RecommendResponse *answer = api_recommend(shop.client, "wanted-next", "m7", 5);
		assert_int_equal(answer->n_items, 5);
		kindred__v1__recommend_response__free_unpacked(answer, NULL);
	}
	assert_int_equal(api_ingest(shop.client, "shop", "m7", "a1", "Viewed", NULL),
			 KINDRED__V1__OUTCOME__OUTCOME_ACCEPTED);
}

static uint64_t users_taken(void)
{
	return cluster_metric(&shop.cluster, "kindred_recommend_users_total");
}

/* Nothing more is begun for those that do not read. */
static bool is_still(void *context)
{
	uint64_t *before = context, now = users_taken();
	bool still = now == *before;
	*before = now;
	return still;
}

static void test_hundreds_that_do_not_read(void **state)
{
	struct rpc_client *clients[CONNECTIONS];
	struct rpc_stream *streams[STREAMS];
	uint64_t taken = 0;
	long peak_kb;
	(void)state;
	for (unsigned i = 0; i < CONNECTIONS; i++)
		clients[i] = api_open(&shop.cluster);
	for (unsigned i = 0; i < STREAMS; i++) {
		streams[i] = api_open_many(clients[i % CONNECTIONS]);
		for (unsigned m = 0; m < MESSAGES; m++)
			api_send_many(streams[i], "wanted-next", users, USERS, COUNT, true);
	}
	others_are_served();
	wait_until("all that is to be done for them is done", is_still, &taken);
	others_are_served();
	peak_kb = process_peak_kb(shop.cluster.server);
	print_message("%u streams that are not read: the server had at most %ld MB\n", STREAMS, peak_kb >> 10);
#ifdef __SANITIZE_ADDRESS__ /* it keeps what was freed, and puts something around everything */
	print_message("not compared under the address sanitizer: the memory\n");
#else
	assert_true(peak_kb < MEMORY_KB);
#endif
	for (unsigned i = 0; i < STREAMS; i++)
		rpc_stream_free(streams[i]);
	for (unsigned i = 0; i < CONNECTIONS; i++)
		rpc_close(clients[i]);
	others_are_served();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hundreds_that_do_not_read),
	};
	return cmocka_run_group_tests(tests, setup, small_shop_tear_down);
}
