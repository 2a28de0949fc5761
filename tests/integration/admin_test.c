/*
 * The admin port, and clients of it who take much and give nothing: a health check is answered all the same, and so is
 * who comes over gRPC.
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
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define CROWD 300 /* more than the port has places for */
#define READERS 20
#define PIPELINED 400

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
	for (unsigned i = 0; i < 500; i++) {
		Kindred__V1__RecommendResponse *answer = api_recommend(shop.client, "wanted-next", "u1", 3);
		assert_int_equal(answer->n_items, 3);
		kindred__v1__recommend_response__free_unpacked(answer, NULL);
	}
	is_healthy();
	for (unsigned i = 0; i < READERS; i++)
		close(readers[i]);
	free(requests);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silent_ones),
		cmocka_unit_test(test_those_who_do_not_read),
	};
	return cmocka_run_group_tests(tests, small_shop_set_up, small_shop_tear_down);
}
