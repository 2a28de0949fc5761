/*
 * More connections than the server may have open files: it turns some away, goes on with those it has, can start a
 * worker again, and takes new ones when they are gone.
 */
#include "lib/api.h"
#include "lib/cluster.h"
#include "lib/small_shop.h"
#include "lib/victim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define FILES 128
#define CONNECTIONS 300

static void is_answered(struct rpc_client *asked)
{
	Kindred__V1__RecommendResponse *answer = api_recommend(asked, "wanted-next", "u1", 3);
	assert_int_equal(answer->n_items, 3);
	kindred__v1__recommend_response__free_unpacked(answer, NULL);
}

static void test_too_many(void **state)
{
	const struct rlimit files = { FILES, FILES };
	struct victim victim = { 0 };
	struct rpc_client *later;
	int connections[CONNECTIONS];
	char byte;
	(void)state;
	is_answered(shop.client);
	assert_int_equal(prlimit(shop.cluster.server, RLIMIT_NOFILE, &files, NULL), 0);
	for (unsigned i = 0; i < CONNECTIONS; i++)
		connections[i] = address_connect(shop.cluster.address);
	/* the last is closed at once; one that is taken gets the server's settings first */
	assert_true(recv(connections[CONNECTIONS - 1], &byte, 1, 0) <= 0);
	is_answered(shop.client);
	victim_kill(&victim, shop.client);
	victim_await(&victim, shop.client);
	for (unsigned i = 0; i < CONNECTIONS; i++)
		close(connections[i]);
	later = api_open(&shop.cluster);
	is_answered(later);
	rpc_close(later);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_too_many),
	};
	return cmocka_run_group_tests(tests, small_shop_set_up, small_shop_tear_down);
}
