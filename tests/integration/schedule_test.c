/* Builds that nobody asks for: when a definition has no model, and when it is time. */
#include "lib/api.h"
#include "lib/cluster.h"
#include "lib/preload.h"
#include "lib/small_shop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static bool is_recommended(void *context)
{
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	Kindred__V1__RecommendResponse *answer = NULL;
	struct error err;
	request.user_id = (char *)"u7";
	request.definition = (char *)"wanted-next";
	int code = api_try(context, "/kindred.v1.RecommendationService/Recommend", &request.base,
			   &kindred__v1__recommend_response__descriptor, &answer, &err);
	if (!code)
		kindred__v1__recommend_response__free_unpacked(answer, NULL);
	assert_true(code == 0 || code == E_PRECONDITION);
	return code == 0;
}

/* The histories are still there, and the definition is the same; but what was learnt is of the catalog that is gone. */
static void test_a_catalog_made_again_gets_a_model(void **state)
{
	struct rpc_client *client;
	struct cluster cluster;
	char catalog[256];
	(void)state;
	small_shop_open(&cluster, &client);
	assert_true(is_recommended(client));
	snprintf(catalog, sizeof catalog, "%s/shop.csv", cluster.home);
	cluster_ok(&cluster, CLI("definitions", "delete", "wanted-next", "--yes"));
	cluster_ok(&cluster, CLI("catalog", "delete", "shop", "--yes"));
	cluster_ok(&cluster, CLI("catalog", "import", "shop", catalog));
	cluster_ok(&cluster,
		   CLI("define", "wanted-next", "--catalog", "shop", "--event", "Purchased=5", "--event", "Viewed=1"));
	assert_false(is_recommended(client));
	rpc_close(client);
	assert_int_equal(cluster_stop(&cluster), 0);

	cluster_start(&cluster, CLI("--workers", "2"));
	client = api_open(&cluster);
	assert_false(is_recommended(client));
	wait_until("a model of the new catalog is served", is_recommended, client);
	small_shop_close(&cluster, client);
}

static bool is_built_again(void *context)
{
	return api_active_generation(context) == 2;
}

static void test_a_clock_that_was_ahead_holds_up_nothing(void **state)
{
	struct cluster cluster;
	(void)state;
	cluster_init(&cluster);
	preload_begin("early_clock");
	cluster_start(&cluster, CLI("--workers", "1", "--build-every-minutes", "0"));
	preload_end();
	small_shop_load(&cluster);
	assert_int_equal(cluster_stop(&cluster), 0);

	/* The catalog and the model are of tomorrow. */
	cluster_start(&cluster, CLI("--workers", "1", "--build-every-minutes", "1", "--build-min-events", "1"));
	struct rpc_client *client = api_open(&cluster);
	assert_true(is_recommended(client));
	api_ingest(client, "shop", "u7", "a0", "Viewed", NULL);
	wait_until("another model is built and served", is_built_again, client);
	assert_true(is_recommended(client));
	small_shop_close(&cluster, client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_catalog_made_again_gets_a_model),
		cmocka_unit_test(test_a_clock_that_was_ahead_holds_up_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
