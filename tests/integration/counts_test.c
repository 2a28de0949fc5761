/*
 * The metrics of users: kindred_recommend_users_total counts those who were answered, however they were asked about,
 * and kindred_recommend_failed_users_total those who were not. Also with further front-ends, whose counts come in.
 */
#include "lib/api.h"
#include "lib/damage.h"
#include "lib/small_shop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SERVICE "/kindred.v1.RecommendationService/"
#define CALLS_LIMIT 16 /* the least */
#define CALLS_LIMIT_TEXT "16"
#define DAMAGED "damaged"

static struct cluster cluster;
static struct rpc_client *client;
static uint64_t answered, failed; /* since the server's start */

static void start(void)
{
	cluster_start(&cluster, CLI("--workers", "2", "--build-every-minutes", "0", "--calls-limit", CALLS_LIMIT_TEXT));
}

static int setup(void **state)
{
	(void)state;
	cluster_init(&cluster);
	start();
	small_shop_load(&cluster);
	cluster_stop(&cluster);
	damage_history(&cluster, DAMAGED);
	start();
	client = api_open(&cluster);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	small_shop_close(&cluster, client);
	return 0;
}

/* A call is counted when it is over, which its client may know a little before; front-ends say it later still. */
static bool all_are_counted(void *context)
{
	(void)context;
	return cluster_metric(&cluster, "kindred_recommend_users_total") +
		       cluster_metric(&cluster, "kindred_recommend_failed_users_total") >=
	       answered + failed;
}

static void expect_more(uint64_t users_answered, uint64_t users_failed)
{
	answered += users_answered;
	failed += users_failed;
	wait_until("all users are counted", all_are_counted, NULL);
	assert_int_equal(cluster_metric(&cluster, "kindred_recommend_users_total"), answered);
	assert_int_equal(cluster_metric(&cluster, "kindred_recommend_failed_users_total"), failed);
}

static int recommend_one(const char *definition, const char *user, uint64_t generation, int64_t timeout_ms)
{
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	Kindred__V1__RecommendResponse *response = NULL;
	struct error err;
	request.definition = (char *)definition;
	request.user_id = (char *)user;
	request.generation = generation;
	int code = rpc_call(client, SERVICE "Recommend", &request.base, &kindred__v1__recommend_response__descriptor,
			    timeout_ms, NULL, &response, &err);
	if (code == 0)
		kindred__v1__recommend_response__free_unpacked(response, NULL);
	return code;
}

static void signal_workers(int number)
{
	Kindred__V1__GetStatusResponse *status = api_status(client);
	for (size_t i = 0; i < status->n_workers; i++)
		assert_int_equal(kill((pid_t)status->workers[i]->pid, number), 0);
	kindred__v1__get_status_response__free_unpacked(status, NULL);
}

static void test_one_by_one(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(recommend_one("wanted-next", "u1", 0, API_PATIENCE_MS), 0);
	expect_more(3, 0);
	assert_int_equal(recommend_one("nowhere", "u1", 0, API_PATIENCE_MS), E_NOT_FOUND);
	assert_int_equal(recommend_one("wanted-next", "", 0, API_PATIENCE_MS), E_INVALID);
	assert_int_not_equal(recommend_one("wanted-next", "u1", 999, API_PATIENCE_MS), 0);
	assert_int_equal(recommend_one("wanted-next", DAMAGED, 0, API_PATIENCE_MS), E_DATA_LOSS);
	expect_more(0, 4);
	signal_workers(SIGSTOP);
	assert_int_equal(recommend_one("wanted-next", "u1", 0, 40), E_DEADLINE);
	signal_workers(SIGCONT);
	expect_more(0, 1);
}

/* More calls at once than calls_limit, while no worker answers: those above it are refused at the door. */
static void test_refused(void **state)
{
	enum { CALLS = CALLS_LIMIT + 4 };
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	struct rpc_stream *calls[CALLS];
	struct error err;
	unsigned refused = 0;
	(void)state;
	request.definition = (char *)"wanted-next";
	request.user_id = (char *)"u1";
	signal_workers(SIGSTOP);
	for (unsigned i = 0; i < CALLS; i++) {
		assert_int_equal(rpc_stream_open(&calls[i], client, SERVICE "Recommend",
						 &kindred__v1__recommend_response__descriptor, RPC_FOREVER, &err),
				 0);
		assert_int_equal(rpc_stream_send(calls[i], &request.base, &err), 0);
		assert_int_equal(rpc_stream_half_close(calls[i], &err), 0);
	}
	assert_int_equal(rpc_stream_finish(calls[CALLS - 1], &err), E_EXHAUSTED);
	signal_workers(SIGCONT);
	for (unsigned i = 0; i < CALLS; i++) {
		int code = i < CALLS - 1 ? rpc_stream_finish(calls[i], &err) : E_EXHAUSTED;
		assert_true(code == 0 || code == E_EXHAUSTED);
		refused += code != 0;
		rpc_stream_free(calls[i]);
	}
	assert_true(refused >= CALLS - CALLS_LIMIT && refused < CALLS);
	expect_more(CALLS - refused, refused);
}

/* The code the stream ends with. */
static int recommend_many(const char *definition, const char *const *users, size_t count, size_t *with_error)
{
	Kindred__V1__RecommendManyRequest request = KINDRED__V1__RECOMMEND_MANY_REQUEST__INIT;
	Kindred__V1__RecommendManyResponse *response;
	struct rpc_stream *stream;
	struct error err;
	int got;
	*with_error = 0;
	request.definition = (char *)definition;
	request.user_ids = (char **)users;
	request.n_user_ids = count;
	assert_int_equal(rpc_stream_open(&stream, client, SERVICE "RecommendMany",
					 &kindred__v1__recommend_many_response__descriptor, RPC_FOREVER, &err),
			 0);
	assert_int_equal(rpc_stream_send(stream, &request.base, &err), 0);
	assert_int_equal(rpc_stream_half_close(stream, &err), 0);
	while ((got = rpc_stream_receive(stream, RPC_FOREVER, NULL, &response, NULL, &err)) == 1) {
		for (size_t i = 0; i < response->n_results; i++)
			*with_error += response->results[i]->error_code != 0;
		kindred__v1__recommend_many_response__free_unpacked(response, NULL);
	}
	rpc_stream_free(stream);
	return got;
}

static void test_lists(void **state)
{
	static const char *const users[] = { "u1", "", "u2", "u3", DAMAGED, "somebody-new" };
	enum { COUNT = sizeof users / sizeof users[0] };
	size_t with_error;
	(void)state;
	assert_int_equal(recommend_many("wanted-next", users, COUNT, &with_error), 0);
	assert_int_equal(with_error, 2);
	expect_more(COUNT - 2, 2);
	assert_int_equal(recommend_many("nowhere", users, COUNT, &with_error), E_NOT_FOUND);
	expect_more(0, COUNT);
}

static void test_audience(void **state)
{
	Kindred__V1__RecommendAudienceRequest request = KINDRED__V1__RECOMMEND_AUDIENCE_REQUEST__INIT;
	Kindred__V1__RecommendAudienceResponse *response;
	size_t users = 0, with_error = 0;
	struct rpc_stream *stream;
	struct error err;
	int got;
	(void)state;
	request.definition = (char *)"wanted-next";
	assert_int_equal(rpc_stream_open(&stream, client, SERVICE "RecommendAudience",
					 &kindred__v1__recommend_audience_response__descriptor, RPC_FOREVER, &err),
			 0);
	assert_int_equal(rpc_stream_send(stream, &request.base, &err), 0);
	assert_int_equal(rpc_stream_half_close(stream, &err), 0);
	while ((got = rpc_stream_receive(stream, RPC_FOREVER, NULL, &response, NULL, &err)) == 1) {
		users += response->n_results;
		for (size_t i = 0; i < response->n_results; i++)
			with_error += response->results[i]->error_code != 0;
		kindred__v1__recommend_audience_response__free_unpacked(response, NULL);
	}
	assert_int_equal(got, 0);
	rpc_stream_free(stream);
	assert_int_equal(users, SMALL_SHOP_USERS + 1);
	assert_int_equal(with_error, 1);
	expect_more(SMALL_SHOP_USERS, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_by_one),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_audience),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
