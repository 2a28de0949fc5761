/*
 * A worker or a front-end that is there and does not answer: it is killed and started again after silent_seconds, and
 * till then it holds up its own users alone.
 */
#include "lib/api.h"
#include "lib/cluster.h"
#include "lib/small_shop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define METHOD "/kindred.v1.RecommendationService/RecommendMany"
#define USERS 4000
#define MESSAGES 3

static struct cluster cluster;
static struct rpc_client *client;

static int setup(void **state)
{
	(void)state;
	setenv("KINDRED_SILENT_SECONDS", "8", 1);
	setenv("KINDRED_FRONT_ENDS", "2", 1);
	small_shop_open(&cluster, &client);
	unsetenv("KINDRED_FRONT_ENDS");
	unsetenv("KINDRED_SILENT_SECONDS");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	small_shop_close(&cluster, client);
	return 0;
}

static pid_t worker_pid(unsigned number)
{
	Kindred__V1__GetStatusResponse *status = api_status(client);
	pid_t pid = status->workers[number]->up ? (pid_t)status->workers[number]->pid : 0;
	kindred__v1__get_status_response__free_unpacked(status, NULL);
	return pid;
}

struct away {
	unsigned worker;
	pid_t pid;
};

static bool another_is_up(void *context)
{
	const struct away *away = context;
	pid_t pid = worker_pid(away->worker);
	return pid && pid != away->pid;
}

/* Everybody is answered, those of the worker that hangs in the end with UNAVAILABLE or by the next one. */
static void test_a_campaign_outlives_a_worker_that_hangs(void **state)
{
	static char ids[USERS][16], *users[USERS];
	Kindred__V1__RecommendManyRequest request = KINDRED__V1__RECOMMEND_MANY_REQUEST__INIT;
	Kindred__V1__RecommendManyResponse *response;
	struct away away = { .worker = 1, .pid = worker_pid(1) };
	unsigned answered = 0, unavailable = 0;
	struct rpc_stream *stream;
	struct error err;
	int got;
	(void)state;
	for (unsigned i = 0; i < USERS; i++) {
		snprintf(ids[i], sizeof ids[i], "m%u", i);
		users[i] = ids[i];
	}
	request.definition = (char *)"wanted-next";
	request.n_user_ids = USERS;
	request.user_ids = users;
	assert_int_equal(kill(away.pid, SIGSTOP), 0);
	assert_int_equal(rpc_stream_open(&stream, client, METHOD, &kindred__v1__recommend_many_response__descriptor,
					 RPC_FOREVER, &err),
			 0);
	for (unsigned m = 0; m < MESSAGES; m++)
		assert_int_equal(rpc_stream_send(stream, &request.base, &err), 0);
	assert_int_equal(rpc_stream_half_close(stream, &err), 0);
	while ((got = rpc_stream_receive(stream, 120000, NULL, &response, NULL, &err)) == 1) {
		for (size_t i = 0; i < response->n_results; i++) {
			answered += response->results[i]->error_code == 0;
			unavailable += response->results[i]->error_code == (uint32_t)error_grpc_status(E_UNAVAILABLE);
		}
		kindred__v1__recommend_many_response__free_unpacked(response, NULL);
	}
	if (got != 0)
		fail_msg("%s", err.text);
	rpc_stream_free(stream);
	assert_int_equal(answered + unavailable, MESSAGES * USERS);
	assert_true(unavailable > 0 && answered >= MESSAGES * USERS / 4);
	wait_until("the worker was started again", another_is_up, &away);
	Kindred__V1__GetStatusResponse *status = api_status(client);
	assert_int_equal(status->workers[1]->restarts, 1);
	assert_int_equal(status->workers[0]->restarts, 0);
	kindred__v1__get_status_response__free_unpacked(status, NULL);
}

/* One that answers again in time is left alone. */
static void test_a_short_silence_is_forgiven(void **state)
{
	pid_t pid = worker_pid(0);
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(kill(pid, SIGSTOP), 0);
		Kindred__V1__GetStatusResponse *status = api_status(client); /* waits a second for it */
		assert_true(status->workers[0]->silent_ms >= 1000);
		kindred__v1__get_status_response__free_unpacked(status, NULL);
		assert_int_equal(kill(pid, SIGCONT), 0);
		Kindred__V1__RecommendResponse *answer = api_recommend(client, "wanted-next", "u1", 3);
		kindred__v1__recommend_response__free_unpacked(answer, NULL);
	}
	assert_int_equal(worker_pid(0), pid);
}

/* Asked on a connection of its own, which may be one of the front-end that hangs. */
static bool another_front_end_is_up(void *context)
{
	Kindred__V1__GetStatusRequest request = KINDRED__V1__GET_STATUS_REQUEST__INIT;
	Kindred__V1__GetStatusResponse *status = NULL;
	struct rpc_client *other = api_open(&cluster);
	const pid_t *before = context;
	struct error err;
	int code = rpc_call(other, "/kindred.v1.StatusService/GetStatus", &request.base,
			    &kindred__v1__get_status_response__descriptor, 1000, NULL, &status, &err);
	bool up = code == 0 && status->front_ends[0]->up && status->front_ends[0]->pid != *before;
	kindred__v1__get_status_response__free_unpacked(status, NULL);
	rpc_close(other);
	return up;
}

static void test_a_front_end_that_hangs_is_started_again(void **state)
{
	Kindred__V1__GetStatusResponse *status = api_status(client);
	(void)state;
	assert_int_equal(status->n_front_ends, 1);
	pid_t pid = (pid_t)status->front_ends[0]->pid;
	kindred__v1__get_status_response__free_unpacked(status, NULL);
	assert_int_equal(kill(pid, SIGSTOP), 0);
	wait_until("the front-end was started again", another_front_end_is_up, &pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_campaign_outlives_a_worker_that_hangs),
		cmocka_unit_test(test_a_short_silence_is_forgiven),
		cmocka_unit_test(test_a_front_end_that_hangs_is_started_again),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
