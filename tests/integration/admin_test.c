/*
 * The admin port, and clients of it who take much and give nothing: a health check is answered all the same, and so is
 * who comes over gRPC.
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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define CROWD 300 /* more than the port has places for */
#define READERS 20
#define PIPELINED 400
#define FLOOD 200 /* connections of it at once */

static void others_are_served(void)
{
	for (unsigned i = 0; i < 500; i++) {
		Kindred__V1__RecommendResponse *answer = api_recommend(shop.client, "wanted-next", "u1", 3);
		assert_int_equal(answer->n_items, 3);
		kindred__v1__recommend_response__free_unpacked(answer, NULL);
	}
}

static void is_healthy(void)
{
	char url[128];
	struct output health;
	snprintf(url, sizeof url, "http://%s/healthz", shop.cluster.admin);
	/* much less than the time after which one that is silent is let go anyway */
	health = program_run("/usr/bin/curl", NULL, CLI("-sf", "--max-time", "15", url));
	assert_string_equal(health.out, "serving\n");
	output_free(&health);
}

/* They begin a line, and do not go on; when they leave, nothing is left of them. */
static void test_silent_ones(void **state)
{
	int silent[CROWD];
	(void)state;
	for (unsigned i = 0; i < CROWD; i++) {
		silent[i] = address_connect(shop.cluster.admin);
		assert_int_equal(send(silent[i], "GET /st", 7, MSG_NOSIGNAL), 7);
	}
	is_healthy();
	for (unsigned i = 0; i < CROWD; i++)
		close(silent[i]);
	is_healthy();
}

/* Nobody waits for what each page asks the workers, and they are not asked more than they answer. */
static void test_those_who_do_not_read(void **state)
{
	static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
	char *requests = malloc(PIPELINED * sizeof request);
	int readers[READERS];
	size_t bytes = 0;
	(void)state;
	for (unsigned i = 0; i < PIPELINED; i++)
		bytes += (size_t)sprintf(requests + bytes, "%s", request);
	for (unsigned i = 0; i < READERS; i++) {
		readers[i] = address_connect(shop.cluster.admin);
		assert_int_equal(send(readers[i], requests, bytes, MSG_NOSIGNAL), bytes);
	}
	others_are_served();
	is_healthy();
	for (unsigned i = 0; i < READERS; i++)
		close(readers[i]);
	free(requests);
}

static atomic_bool over;
static atomic_ulong flooded;

/*
 * New connections without end, in the place of the oldest: silent, with a line that never ends and grows byte by byte,
 * half closed, and gone at once.
 */
static void *flood(void *context)
{
	static const struct linger at_once = { .l_onoff = 1 };
	int connections[FLOOD];
	(void)context;
	for (unsigned i = 0; i < FLOOD; i++)
		connections[i] = -1;
	for (unsigned long i = 0; !atomic_load(&over); i++) {
		int *connection = &connections[i % FLOOD], *slow = &connections[(i * 7 + 1) % FLOOD];
		if (*connection >= 0)
			close(*connection);
		*connection = address_connect(shop.cluster.admin);
		if (i % 4 == 1)
			send(*connection, "GET /metrics HTTP/1.1\r\nX-", 26, MSG_NOSIGNAL);
		if (i % 4 == 2 && send(*connection, "GET /st", 7, MSG_NOSIGNAL) == 7)
			shutdown(*connection, SHUT_WR);
		/* reset when closed, so that this side does not run out of ports */
		setsockopt(*connection, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
		if (i % 4 == 3) {
			close(*connection);
			*connection = -1;
		}
		if (*slow >= 0)
			send(*slow, "a", 1, MSG_NOSIGNAL);
		atomic_store(&flooded, i + 1);
	}
	for (unsigned i = 0; i < FLOOD; i++)
		if (connections[i] >= 0)
			close(connections[i]);
	return NULL;
}

static bool is_flooded(void *context)
{
	return atomic_load(&flooded) >= *(unsigned long *)context;
}

/* It may wait behind others for as long as the system queues connections. */
static bool answers(void *context)
{
	char url[128];
	(void)context;
	snprintf(url, sizeof url, "http://%s/healthz", shop.cluster.admin);
	struct output health = program_run("/usr/bin/curl", NULL, CLI("-sf", "--max-time", "15", url));
	bool well = strcmp(health.out, "serving\n") == 0;
	output_free(&health);
	return well;
}

/* Who comes over gRPC does not notice, a health check gets through, and afterwards nothing is left of it. */
static void test_flood(void **state)
{
	unsigned long many = 10 * FLOOD, more;
	pthread_t thread;
	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, flood, NULL), 0);
	wait_until("the port is flooded", is_flooded, &many);
	others_are_served();
	wait_until("a health check gets through", answers, NULL);
	more = atomic_load(&flooded) + FLOOD;
	wait_until("the flood goes on", is_flooded, &more);
	others_are_served();
	atomic_store(&over, true);
	pthread_join(thread, NULL);
	is_healthy();
	assert_true(cluster_metric(&shop.cluster, "kindred_calls_total") > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silent_ones),
		cmocka_unit_test(test_those_who_do_not_read),
		cmocka_unit_test(test_flood),
	};
	return cmocka_run_group_tests(tests, small_shop_set_up, small_shop_tear_down);
}
