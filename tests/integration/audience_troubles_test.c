/*
 * A campaign to everybody gives every user exactly once, from one generation, whatever happens meanwhile: ingest,
 * swaps, dead workers, a client that does not read, a disk that turned a byte.
 */
#include "lib/audience.h"
#include "lib/victim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool pinned_is_gone(void *context)
{
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	Kindred__V1__RecommendResponse *answer = NULL;
	struct error err;
	request.user_id = (char *)"m1";
	request.definition = (char *)"wanted-next";
	request.generation = *(uint64_t *)context;
	int code = api_try(shop.client, "/kindred.v1.RecommendationService/Recommend", &request.base,
			   &kindred__v1__recommend_response__descriptor, &answer, &err);
	if (code == 0)
		kindred__v1__recommend_response__free_unpacked(answer, NULL);
	return code == E_PRECONDITION && strstr(err.text, "not kept");
}

/*
 * Four builds, of which three are kept, and events, while a client reads slowly: all is of the
 * generation it began with.
 */
static void test_swaps_and_ingest_beside(void **state)
{
	struct error err;
	(void)state;
	/*
	 * what was there when the server started stays for some minutes: calls that its end broke off
	 * may be pinned to it
	 */
	cluster_ok(&shop.cluster, CLI("model", "build"));
	audience_begin();
	audience_call();
	assert_int_equal(audience_read(2, &err), 1);
	uint64_t generation = audience.generation;
	for (unsigned i = 0; i < 4; i++) {
		char user[16];
		for (unsigned j = 0; j < 50; j++) {
			snprintf(user, sizeof user, "x%u", i * 50 + j);
			api_ingest(shop.client, "shop", user, "a1", "Viewed", NULL);
			snprintf(user, sizeof user, "m%u", (i * 50 + j) * 37);
			api_ingest(shop.client, "shop", user, "b2", "Viewed", NULL);
		}
		cluster_ok(&shop.cluster, CLI("model", "build"));
		assert_int_equal(audience_read(1, &err), 1);
	}
	assert_true(api_active_generation(shop.client) >= generation + 4);
	assert_false(pinned_is_gone(&generation)); /* it is held */
	/* A worker that never had it is given it: the call goes on after its death. */
	struct victim victim = { 0 };
	victim_kill(&victim, shop.client);
	int got;
	while ((got = audience_read(1, &err)) != 0) {
		if (got > 0)
			continue;
		if (got != E_UNAVAILABLE)
			fail_msg("%s: %s", error_name(got), err.text);
		audience_hang_up();
		audience_call();
	}
	audience_hang_up();
	audience_expect_all();
	assert_int_equal(audience.generation, generation);
	wait_until("the generation is not kept any more", pinned_is_gone, &generation);
	assert_int_equal(audience_fails_with("not kept"), E_PRECONDITION);
}

/* RecommendMany of a kept generation: what it said before the next was built. */
static void test_many_of_a_kept_generation(void **state)
{
	Kindred__V1__RecommendManyRequest request = KINDRED__V1__RECOMMEND_MANY_REQUEST__INIT;
	Kindred__V1__RecommendManyResponse *response;
	uint64_t before = api_active_generation(shop.client);
	char *users[] = { (char *)"m1", (char *)"m2", (char *)"m3", (char *)"m4", (char *)"m5" };
	struct rpc_stream *stream;
	struct error err;
	(void)state;
	cluster_ok(&shop.cluster, CLI("model", "build"));
	request.definition = (char *)"wanted-next";
	request.n_user_ids = 5;
	request.user_ids = users;
	request.generation = before;
	assert_int_equal(rpc_stream_open(&stream, shop.client, "/kindred.v1.RecommendationService/RecommendMany",
					 &kindred__v1__recommend_many_response__descriptor, RPC_FOREVER, &err),
			 0);
	assert_int_equal(rpc_stream_send(stream, &request.base, &err), 0);
	for (size_t results = 0; results < 5;) {
		assert_int_equal(rpc_stream_receive(stream, RPC_FOREVER, NULL, &response, NULL, &err), 1);
		assert_int_equal(response->generation, before);
		results += response->n_results;
		kindred__v1__recommend_many_response__free_unpacked(response, NULL);
	}
	request.generation = 12345;
	assert_int_equal(rpc_stream_send(stream, &request.base, &err), 0);
	assert_int_equal(rpc_stream_receive(stream, RPC_FOREVER, NULL, &response, NULL, &err), E_PRECONDITION);
	rpc_stream_free(stream);
}

static void test_workers_killed(void **state)
{
	struct victim victims[] = { { .number = 0 }, { .number = 1 } };
	struct error err;
	unsigned broken = 0, round = 0;
	int got;
	(void)state;
	audience_begin();
	audience_call();
	while ((got = audience_read(1, &err)) != 0) {
		if (got > 0 && ++round % 12 == 0 && round < 60)
			victim_kill(&victims[round / 12 % 2], shop.client);
		if (got > 0)
			continue;
		if (got != E_UNAVAILABLE || !strstr(err.text, "last cursor"))
			assert_true(got == E_UNAVAILABLE && strstr(err.text, "restarting"));
		broken++;
		audience_hang_up();
		audience_call();
	}
	audience_hang_up();
	assert_true(broken > 0);
	audience_expect_all();
	for (unsigned i = 0; i < 2; i++)
		victim_await(&victims[i], shop.client);
}

/* A client that stops reading holds the work back, and nobody else. */
static void test_slow_client(void **state)
{
	struct error err;
	(void)state;
	long before = process_resident_kb(shop.cluster.server);
	unsigned long long users_before = cluster_metric(&shop.cluster, "kindred_recommend_users_total");
	audience_begin();
	audience_call();
	assert_int_equal(audience_read(2, &err), 1);
	for (unsigned i = 0; i < 300; i++) {
		Kindred__V1__RecommendResponse *answer = api_recommend(shop.client, "wanted-next", "m7", 5);
		assert_int_equal(answer->n_items, 5);
		kindred__v1__recommend_response__free_unpacked(answer, NULL);
	}
	long grown = process_resident_kb(shop.cluster.server) - before;
	print_message("a client that does not read: %ld kB more in the server\n", grown);
	assert_true(grown < 24 * 1024); /* of 40 MB that it would get */
	/* The connection takes little ahead: the tests below reckon with a call that is far from over. */
	unsigned long long ahead = cluster_metric(&shop.cluster, "kindred_recommend_users_total") - users_before;
	print_message("and %llu users answered ahead\n", ahead);
	assert_true(ahead < (SMALL_SHOP_CROWD + SMALL_SHOP_USERS) / 4);
	/* Another one beside it goes through all. */
	char out[256];
	snprintf(out, sizeof out, "%s/beside.ndjson.gz", shop.cluster.home);
	cluster_ok(&shop.cluster, CLI("export", "wanted-next", "--out", out, "--compress", "gzip"));
	audience_read_all();
	audience_expect_all();
}

/*
 * It dies and is back while the client does not read, so that nothing is asked of it: the walk it had
 * is not there any more.
 */
static void test_worker_back_before_it_is_asked(void **state)
{
	struct error err;
	int got;
	(void)state;
	audience_begin();
	audience_call();
	assert_int_equal(audience_read(2, &err), 1);
	Kindred__V1__RecommendResponse *answer =
		api_recommend(shop.client, "wanted-next", "m7", 5); /* the stream is full by now */
	kindred__v1__recommend_response__free_unpacked(answer, NULL);
	struct victim victim = { 0 };
	victim_kill(&victim, shop.client);
	victim_await(&victim, shop.client);
	while ((got = audience_read(AUDIENCE_RESPONSES_MAX, &err)) < 0) {
		if (got != E_UNAVAILABLE)
			fail_msg("%s: %s", error_name(got), err.text);
		audience_hang_up();
		audience_call();
	}
	audience_hang_up();
	audience_expect_all();
}

/* --- a disk that turned a byte --- */

#define DAMAGED 12345

/* Of the user's id, in the shard's file. */
static unsigned damage_shard(unsigned shard)
{
	char path[256], id[16];
	char *bytes, *at;
	unsigned found = 0;
	int length = snprintf(id, sizeof id, "m%u", DAMAGED);
	snprintf(path, sizeof path, "%s/data/shards/%03u/data.mdb", shop.cluster.home, shard);
	FILE *file = fopen(path, "r+");
	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	size_t count = (size_t)ftell(file);
	rewind(file);
	bytes = malloc(count);
	assert_int_equal(fread(bytes, 1, count, file), count);
	for (char *from = bytes; (at = memmem(from, count - (size_t)(from - bytes), id, (size_t)length));
	     from = at + 1) {
		at[length - 1] = '\xff';
		found++;
	}
	rewind(file);
	assert_int_equal(fwrite(bytes, 1, count, file), count);
	assert_int_equal(fclose(file), 0);
	free(bytes);
	return found;
}

/* Text that is none makes many clients throw away the whole response: that user alone is missing. */
static void test_a_damaged_id_is_left_out(void **state)
{
	unsigned found = 0;
	(void)state;
	rpc_close(shop.client);
	assert_int_equal(cluster_stop(&shop.cluster), 0);
	for (unsigned shard = 0; shard < 16; shard++)
		found += damage_shard(shard);
	assert_true(found > 0);
	cluster_start(&shop.cluster, CLI("--workers", "2", "--build-every-minutes", "0"));
	shop.client = api_open(&shop.cluster);
	audience_begin();
	audience_call();
	audience_read_all();
	assert_int_equal(audience.users, SMALL_SHOP_CROWD + SMALL_SHOP_USERS - 1);
	assert_false(audience.user[DAMAGED]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slow_client),
		cmocka_unit_test(test_workers_killed),
		cmocka_unit_test(test_worker_back_before_it_is_asked),
		cmocka_unit_test(test_many_of_a_kept_generation),
		cmocka_unit_test(test_swaps_and_ingest_beside),
		cmocka_unit_test(test_a_damaged_id_is_left_out),
	};
	return cmocka_run_group_tests(tests, audience_set_up, small_shop_tear_down);
}
