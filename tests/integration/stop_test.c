/*
 * SIGTERM while short calls come without end: each has its answer or UNAVAILABLE, which every client takes as: again,
 * elsewhere or later. Nothing else, whatever became of the call on its way.
 */
#include "lib/api.h"
#include "lib/cluster.h"
#include "lib/small_shop.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define STOPS 12
#define CONNECTIONS 6
#define CALLERS 24 /* so that calls of the same connection are under way together */
#define WARM 20 /* answers to each before the stop */

static atomic_bool gone; /* the server */

struct caller {
	pthread_t thread;
	struct rpc_client *client;
	bool asks_status; /* a further front-end passes it on to the server */
	atomic_uint answered;
	struct error odd; /* code 0: none */
};

static int call_once(const struct caller *caller, struct error *err)
{
	Kindred__V1__GetStatusRequest status = KINDRED__V1__GET_STATUS_REQUEST__INIT;
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	ProtobufCMessage *response;
	int code;
	request.definition = (char *)"wanted-next";
	request.user_id = (char *)"u1";
	request.count = 3;
	if (caller->asks_status)
		code = api_try(caller->client, "/kindred.v1.StatusService/GetStatus", &status.base,
			       &kindred__v1__get_status_response__descriptor, &response, err);
	else
		code = api_try(caller->client, "/kindred.v1.RecommendationService/Recommend", &request.base,
			       &kindred__v1__recommend_response__descriptor, &response, err);
	if (response)
		protobuf_c_message_free_unpacked(response, NULL);
	return code;
}

static void *call_on(void *context)
{
	struct caller *caller = context;
	while (!atomic_load(&gone) && !caller->odd.code) {
		struct error err = { 0 };
		int code = call_once(caller, &err);
		if (!code)
			atomic_fetch_add(&caller->answered, 1);
		else if (code != E_UNAVAILABLE)
			caller->odd = err;
	}
	return NULL;
}

static bool is_warm(void *context)
{
	struct caller *callers = context;
	for (unsigned i = 0; i < CALLERS; i++)
		if (atomic_load(&callers[i].answered) < WARM && !callers[i].odd.code)
			return false;
	return true;
}

static void stop_once(void)
{
	struct caller callers[CALLERS] = { 0 };
	struct rpc_client *clients[CONNECTIONS];
	unsigned odd = 0;
	atomic_store(&gone, false);
	for (unsigned i = 0; i < CONNECTIONS; i++)
		clients[i] = api_open(&shop.cluster);
	for (unsigned i = 0; i < CALLERS; i++) {
		callers[i].client = clients[i % CONNECTIONS];
		callers[i].asks_status = i < CONNECTIONS;
		assert_int_equal(pthread_create(&callers[i].thread, NULL, call_on, &callers[i]), 0);
	}
	wait_until("all callers are served", is_warm, callers);
	int code = cluster_stop(&shop.cluster);
	atomic_store(&gone, true);
	for (unsigned i = 0; i < CALLERS; i++) {
		pthread_join(callers[i].thread, NULL);
		if (callers[i].odd.code && !odd++)
			print_error("%s: %s\n", error_name(callers[i].odd.code), callers[i].odd.text);
	}
	for (unsigned i = 0; i < CONNECTIONS; i++)
		rpc_close(clients[i]);
	assert_int_equal(code, 0);
	if (odd)
		fail_msg("%u of %u callers were told something else than to come again", odd, CALLERS);
}

static void test_calls_in_the_moment_of_the_stop(void **state)
{
	(void)state;
	rpc_close(shop.client); /* it would only stand by */
	shop.client = NULL;
	for (unsigned i = 0; i < STOPS; i++) {
		if (i)
			cluster_start(&shop.cluster, CLI("--workers", "2", "--build-every-minutes", "0"));
		stop_once();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls_in_the_moment_of_the_stop),
	};
	return cmocka_run_group_tests(tests, small_shop_set_up, small_shop_tear_down);
}
