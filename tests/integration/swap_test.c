/*
 * A swap loses nothing: builds, activations and rollbacks under a running load; no call fails, answers
 * belong to one generation, and a rollback gives back the very same answers.
 */
#include "common/ids.h"
#include "lib/api.h"
#include "lib/cluster.h"
#include "lib/small_shop.h"
#include "lib/victim.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define USERS 20
#define LARGE_TEXTS 20 /* of 4,000 bytes: 80 KB an item */

struct load {
	struct rpc_client *client;
	atomic_bool stop;
	atomic_uint calls, failures, odd;
	uint64_t lowest, highest; /* generations seen */
	unsigned awaited; /* calls */
};

/* Calls without pause until told to stop; every answer must be whole and name one generation. */
static void *run_load(void *context)
{
	struct load *load = context;
	for (unsigned i = 0; !atomic_load(&load->stop); i++) {
		Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
		Kindred__V1__RecommendResponse *answer = NULL;
		struct error err;
		char user[16];
		snprintf(user, sizeof user, "u%u", i % 400);
		request.user_id = user;
		request.definition = (char *)"wanted-next";
		request.count = 5;
		atomic_fetch_add(&load->calls, 1);
		if (api_try(load->client, "/kindred.v1.RecommendationService/Recommend", &request.base,
			    &kindred__v1__recommend_response__descriptor, &answer, &err) != 0) {
			if (atomic_fetch_add(&load->failures, 1) == 0)
				fprintf(stderr, "first failure: %s: %s\n", error_name(err.code), err.text);
			continue;
		}
		if (answer->n_items != 5 || answer->generation == 0)
			atomic_fetch_add(&load->odd, 1);
		if (!load->lowest || answer->generation < load->lowest)
			load->lowest = answer->generation;
		if (answer->generation > load->highest)
			load->highest = answer->generation;
		kindred__v1__recommend_response__free_unpacked(answer, NULL);
	}
	return NULL;
}

static bool has_called(void *context)
{
	struct load *load = context;
	return atomic_load(&load->calls) >= load->awaited;
}

/* Until each has had the answer to a call that it has begun from now on. */
static void await_calls(struct load *loads, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		loads[i].awaited = atomic_load(&loads[i].calls) + 2;
		wait_until("the load has called", has_called, &loads[i]);
	}
}

static void ask_all(struct rpc_client *client, Kindred__V1__RecommendResponse **answers)
{
	for (unsigned i = 0; i < USERS; i++) {
		char user[16];
		snprintf(user, sizeof user, "u%u", i * 19);
		answers[i] = api_recommend(client, "wanted-next", user, 10);
	}
}

static void free_all(Kindred__V1__RecommendResponse **answers)
{
	for (unsigned i = 0; i < USERS; i++)
		kindred__v1__recommend_response__free_unpacked(answers[i], NULL);
}

static bool all_same(Kindred__V1__RecommendResponse **a, Kindred__V1__RecommendResponse **b)
{
	for (unsigned i = 0; i < USERS; i++)
		if (a[i]->generation != b[i]->generation || !api_same_items(a[i], b[i]))
			return false;
	return true;
}

/* Events that make a new neighbour: everybody who looked at d items also looks at a9. */
static void ingest_new_taste(struct rpc_client *client)
{
	for (unsigned i = 0; i < 120; i++) {
		char user[16];
		snprintf(user, sizeof user, "new-%u", i);
		api_ingest(client, "shop", user, "a9", "Viewed", NULL);
		api_ingest(client, "shop", user, "d1", "Viewed", NULL);
		api_ingest(client, "shop", user, "d0", "Viewed", NULL);
	}
}

static void test_swap_and_rollback_under_load(void **state)
{
	struct cluster cluster;
	Kindred__V1__RecommendResponse *first[USERS], *second[USERS], *again[USERS];
	pthread_t threads[2];
	struct load loads[2];
	(void)state;
	cluster_init(&cluster);
	cluster_start(&cluster, CLI("--workers", "2", "--build-every-minutes", "0"));
	small_shop_load(&cluster);
	struct rpc_client *client = api_open(&cluster);
	uint64_t one = api_active_generation(client);
	ask_all(client, first);
	ingest_new_taste(client);
	for (unsigned i = 0; i < 2; i++) {
		memset(&loads[i], 0, sizeof loads[i]);
		loads[i].client = client;
		assert_int_equal(pthread_create(&threads[i], NULL, run_load, &loads[i]), 0);
	}
	await_calls(loads, 2);
	cluster_ok(&cluster, CLI("model", "build"));
	uint64_t two = api_active_generation(client);
	assert_true(two > one);
	ask_all(client, second);
	assert_false(all_same(first, second));
	for (unsigned round = 0; round < 10; round++) {
		cluster_ok(&cluster, CLI("model", "rollback"));
		assert_int_equal(api_active_generation(client), one);
		ask_all(client, again);
		assert_true(all_same(first, again));
		free_all(again);
		char number[24];
		snprintf(number, sizeof number, "%llu", (unsigned long long)two);
		cluster_ok(&cluster, CLI("model", "activate", number));
		ask_all(client, again);
		assert_true(all_same(second, again));
		free_all(again);
	}
	await_calls(loads, 2);
	for (unsigned i = 0; i < 2; i++) {
		atomic_store(&loads[i].stop, true);
		pthread_join(threads[i], NULL);
		print_message("%u calls beside 21 swaps, %u failed\n", atomic_load(&loads[i].calls),
			      atomic_load(&loads[i].failures));
		assert_int_equal(atomic_load(&loads[i].failures), 0);
		assert_int_equal(atomic_load(&loads[i].odd), 0);
		assert_int_equal(loads[i].lowest, one);
		assert_int_equal(loads[i].highest, two);
	}
	free_all(first);
	free_all(second);
	rpc_close(client);
	cluster_fini(&cluster);
}

/* The last three are kept; a generation that is not kept cannot be activated, and the error says which are. */
static void test_keeps_three(void **state)
{
	struct cluster cluster;
	(void)state;
	cluster_init(&cluster);
	cluster_start(&cluster, CLI("--workers", "1", "--build-every-minutes", "0"));
	small_shop_load(&cluster);
	for (unsigned i = 0; i < 4; i++)
		cluster_ok(&cluster, CLI("model", "build"));
	cluster_fails(&cluster, "kept", CLI("model", "activate", "1"));
	cluster_fails(&cluster, "kept", CLI("model", "activate", "77"));
	cluster_ok(&cluster, CLI("model", "rollback"));
	cluster_ok(&cluster, CLI("model", "rollback"));
	cluster_fails(&cluster, "older", CLI("model", "rollback"));
	cluster_fini(&cluster);
}

static uint64_t events_since_build(struct rpc_client *client)
{
	Kindred__V1__GetStatusResponse *status = api_status(client);
	uint64_t events = status->events_since_build;
	kindred__v1__get_status_response__free_unpacked(status, NULL);
	return events;
}

/*
 * What came after a generation's build began is known of each, also of those that were only kept and
 * followed each other at once.
 */
static void test_events_since_a_kept_generation(void **state)
{
	struct cluster cluster;
	struct rpc_client *client;
	(void)state;
	small_shop_open(&cluster, &client);
	uint64_t first = api_active_generation(client) + 1;
	char number[24];
	cluster_ok(&cluster, CLI("model", "build", "--keep-inactive"));
	for (unsigned i = 0; i < 3; i++)
		api_ingest(client, "shop", "u1", "a9", "Viewed", NULL);
	cluster_ok(&cluster, CLI("model", "build", "--keep-inactive"));
	assert_int_equal(events_since_build(client), 3); /* that is served still */
	for (unsigned i = 0; i < 2; i++) {
		snprintf(number, sizeof number, "%llu", (unsigned long long)first + i);
		cluster_ok(&cluster, CLI("model", "activate", number));
		assert_int_equal(events_since_build(client), i ? 0 : 3);
	}
	small_shop_close(&cluster, client);
}

/*
 * A worker that comes back hears of all that changed in the catalog since its generation was built, also
 * when that is more than is read at a time.
 */
static void test_changes_reach_a_new_worker(void **state)
{
	struct cluster cluster;
	struct rpc_client *client;
	struct victim victim = { 0 };
	char path[256], text[4001];
	(void)state;
	small_shop_open(&cluster, &client);
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = 0;
	snprintf(path, sizeof path, "%s/large.csv", cluster.home);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs("Identity,Name,in_stock", file);
	for (unsigned t = 0; t < LARGE_TEXTS; t++)
		fprintf(file, ",text%u", t);
	for (unsigned item = 0; item < 40; item++) {
		fprintf(file, "\n%c%u,Item,%s", 'a' + item / 10, item % 10, item % 10 < 5 ? "false" : "true");
		for (unsigned t = 0; t < LARGE_TEXTS; t++)
			fprintf(file, ",%s", text);
	}
	fclose(file);
	cluster_ok(&cluster, CLI("catalog", "import", "shop", path));
	for (victim.number = 0; victim.number < 2; victim.number++) {
		victim_kill(&victim, client);
		victim_await(&victim, client);
		victim.pid = 0;
	}
	for (unsigned user = 0; user < 20; user++) { /* of both workers */
		snprintf(path, sizeof path, "nobody-%u", user);
		Kindred__V1__RecommendResponse *answer = api_recommend(client, "wanted-next", path, 40);
		assert_int_equal(answer->n_items, 20);
		assert_int_equal(answer->shortfall->filtered, 20);
		kindred__v1__recommend_response__free_unpacked(answer, NULL);
	}
	small_shop_close(&cluster, client);
}

/* A damaged model file is not served: the old generation stays. */
static void test_damaged_generation(void **state)
{
	struct cluster cluster;
	char command[512];
	(void)state;
	cluster_init(&cluster);
	cluster_start(&cluster, CLI("--workers", "2", "--build-every-minutes", "0"));
	small_shop_load(&cluster);
	cluster_ok(&cluster, CLI("model", "build"));
	struct rpc_client *client = api_open(&cluster);
	uint64_t active = api_active_generation(client);
	/* one bit of the older kept generation, in the middle of the file */
	snprintf(command, sizeof command,
		 "f=%s/data/models/%08llu.kindred; s=$(stat -c %%s $f); printf '\\377' | dd of=$f bs=1 seek=$((s*3/4)) "
		 "conv=notrunc status=none",
		 cluster.home, (unsigned long long)(active - 1));
	struct output damage = program_run("/bin/sh", NULL, CLI("-c", command));
	assert_int_equal(damage.code, 0);
	output_free(&damage);
	/* the worker may have it mapped and checked before the damage: a restart has not */
	cluster_stop(&cluster);
	cluster_start(&cluster, CLI("--workers", "2", "--build-every-minutes", "0"));
	rpc_close(client);
	client = api_open(&cluster);
	cluster_fails(&cluster, "damaged", CLI("model", "rollback"));
	assert_int_equal(api_active_generation(client), active);
	Kindred__V1__RecommendResponse *answer = api_recommend(client, "wanted-next", "u7", 5);
	assert_int_equal(answer->generation, active);
	assert_int_equal(answer->n_items, 5);
	kindred__v1__recommend_response__free_unpacked(answer, NULL);
	rpc_close(client);
	cluster_fini(&cluster);
}

/*
 * A refresh serves today's popularity with the neighbours that were there; refreshes of refreshes leave
 * the way back open.
 */
static void test_refresh(void **state)
{
	struct cluster cluster;
	struct rpc_client *client;
	(void)state;
	small_shop_open(&cluster, &client);
	cluster_ok(&cluster,
		   CLI("define", "now", "--catalog", "shop", "--event", "Purchased=5", "--event", "Viewed=1"));
	cluster_ok(&cluster, CLI("model", "build"));
	uint64_t built = api_active_generation(client);
	api_ingest(client, "shop", "somebody", "b3", "Viewed", NULL);
	Kindred__V1__RecommendResponse *before = api_recommend(client, "now", "somebody", 5);
	for (unsigned round = 1; round <= 3; round++) {
		char item[8];
		snprintf(item, sizeof item, "d%u", 2 * round);
		for (unsigned u = 0; u < 300 * round; u++) {
			char user[32];
			snprintf(user, sizeof user, "crowd-%u-%u", round, u);
			api_ingest(client, "shop", user, item, "Purchased", NULL);
		}
		cluster_ok(&cluster, CLI("model", "refresh"));
		assert_int_equal(api_active_generation(client), built + round);
		Kindred__V1__RecommendResponse *answer = api_recommend(client, "now", "nobody-at-all", 3);
		assert_string_equal(answer->items[0]->item_id, item);
		assert_int_equal(answer->generation, built + round);
		kindred__v1__recommend_response__free_unpacked(answer, NULL);
	}
	Kindred__V1__RecommendResponse *after = api_recommend(client, "now", "somebody", 5);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(after->items[i]->source, KINDRED__V1__SOURCE__SOURCE_PERSONAL);
	kindred__v1__recommend_response__free_unpacked(after, NULL);
	/* the first two refreshes are gone, what was built is not */
	json_t *list = cluster_json(&cluster, CLI("model", "list", "--json"));
	json_t *newest = json_array_get(json_object_get(list, "generations"), 0),
	       *next = json_array_get(json_object_get(list, "generations"), 1);
	assert_int_equal(json_integer_value(json_object_get(newest, "number")), built + 3);
	assert_int_equal(json_integer_value(json_object_get(newest, "learnt_generation")), built);
	assert_int_equal(json_integer_value(json_object_get(next, "number")), built);
	json_decref(list);
	cluster_ok(&cluster, CLI("model", "rollback"));
	after = api_recommend(client, "now", "somebody", 5);
	assert_true(api_same_items(before, after));
	assert_int_equal(after->generation, built);
	kindred__v1__recommend_response__free_unpacked(after, NULL);
	kindred__v1__recommend_response__free_unpacked(before, NULL);
	/* the schedule of builds counts on from the build */
	Kindred__V1__GetStatusResponse *status = api_status(client);
	assert_true(status->events_since_build >= 1800);
	kindred__v1__get_status_response__free_unpacked(status, NULL);
	small_shop_close(&cluster, client);
}

static Kindred__V1__DeleteUserResponse *delete_user(struct rpc_client *client, const char *user)
{
	Kindred__V1__DeleteUserRequest request = KINDRED__V1__DELETE_USER_REQUEST__INIT;
	Kindred__V1__DeleteUserResponse *response = NULL;
	struct error err;
	request.user_id = (char *)user;
	if (api_try(client, "/kindred.v1.EventService/DeleteUser", &request.base,
		    &kindred__v1__delete_user_response__descriptor, &response, &err))
		fail_msg("%s", err.text);
	assert_true(response->existed);
	return response;
}

/* A user with a history that the worker has. */
static void user_of(const Kindred__V1__GetStatusResponse *status, unsigned worker, char *user, size_t bytes)
{
	const Kindred__V1__WorkerStatus *of = status->workers[worker];
	for (unsigned u = 0; u < SMALL_SHOP_USERS; u++) {
		int length = snprintf(user, bytes, "u%u", u);
		uint32_t shard = user_shard(user, (size_t)length, (uint32_t)status->n_shards);
		if (shard - of->first_shard < of->shard_count)
			return;
	}
	fail_msg("worker %u has no user", worker);
}

static struct rpc_stream *ask_for_refresh(struct rpc_client *client)
{
	Kindred__V1__BuildModelRequest request = KINDRED__V1__BUILD_MODEL_REQUEST__INIT;
	struct rpc_stream *stream;
	struct error err;
	request.refresh = true;
	if (rpc_stream_open(&stream, client, "/kindred.v1.ModelService/BuildModel",
			    &kindred__v1__build_model_response__descriptor, API_PATIENCE_MS, &err) != 0 ||
	    rpc_stream_send(stream, &request.base, &err) != 0 || rpc_stream_half_close(stream, &err) != 0)
		fail_msg("%s", err.text);
	return stream;
}

static bool build_is_over(void *client)
{
	Kindred__V1__GetModelStatusRequest request = KINDRED__V1__GET_MODEL_STATUS_REQUEST__INIT;
	Kindred__V1__GetModelStatusResponse *model;
	struct error err;
	if (api_try(client, "/kindred.v1.ModelService/GetModelStatus", &request.base,
		    &kindred__v1__get_model_status_response__descriptor, &model, &err))
		fail_msg("%s", err.text);
	bool over = model->state == KINDRED__V1__BUILD_STATE__BUILD_STATE_IDLE;
	kindred__v1__get_model_status_response__free_unpacked(model, NULL);
	return over;
}

/* The newest generation and what it counts as. */
static void newest_generation(struct cluster *cluster, uint64_t *number, uint64_t *learnt)
{
	json_t *list = cluster_json(cluster, CLI("model", "list", "--json"));
	json_t *newest = json_array_get(json_object_get(list, "generations"), 0);
	*number = (uint64_t)json_integer_value(json_object_get(newest, "number"));
	*learnt = (uint64_t)json_integer_value(json_object_get(newest, "learnt_generation"));
	json_decref(list);
}

/*
 * Forgetting somebody while a refresh is asked for and not begun, held up for a second by a worker that
 * hangs: it will copy what was learnt from that user, so its number is named. One that is made later
 * counts as the build that learnt, which is not above the numbers named; the build after it is.
 */
static void test_forgetting_beside_a_refresh(void **state)
{
	struct cluster cluster;
	struct rpc_client *client;
	Kindred__V1__BuildModelResponse *begun = NULL;
	struct error err;
	bool waiting = false;
	char user[16];
	uint64_t number, learnt;
	(void)state;
	small_shop_open(&cluster, &client);
	uint64_t built = api_active_generation(client);
	Kindred__V1__GetStatusResponse *status = api_status(client);
	pid_t hanging = (pid_t)status->workers[1]->pid;
	user_of(status, 0, user, sizeof user);
	kindred__v1__get_status_response__free_unpacked(status, NULL);
	assert_int_equal(kill(hanging, SIGSTOP), 0);
	struct rpc_stream *refresh = ask_for_refresh(client);
	Kindred__V1__DeleteUserResponse *deleted = delete_user(client, user);
	/* where the answer took more than that second, the number is named because the refresh has begun */
	int got = rpc_stream_receive(refresh, 0, NULL, &begun, &waiting, &err);
	print_message("the refresh %s when the user was forgotten\n", got == 1 ? "had begun" : "waited");
	assert_true(got == 1 || waiting);
	assert_int_equal(kill(hanging, SIGCONT), 0);
	if (got != 1 && rpc_stream_receive(refresh, RPC_FOREVER, NULL, &begun, NULL, &err) != 1)
		fail_msg("%s", err.text);
	assert_int_equal(begun->generation, built + 1);
	kindred__v1__build_model_response__free_unpacked(begun, NULL);
	rpc_stream_free(refresh);
	wait_until("the refresh is over", build_is_over, client);
	assert_int_equal(deleted->n_generations, 2);
	assert_int_equal(deleted->generations[0], built);
	assert_int_equal(deleted->generations[1], built + 1);
	newest_generation(&cluster, &number, &learnt);
	assert_int_equal(number, built + 1);
	assert_int_equal(learnt, built);
	cluster_ok(&cluster, CLI("model", "refresh"));
	newest_generation(&cluster, &number, &learnt);
	assert_int_equal(number, built + 2);
	assert_true(learnt <= deleted->generations[1]);
	cluster_ok(&cluster, CLI("model", "build"));
	newest_generation(&cluster, &number, &learnt);
	assert_int_equal(number, built + 3);
	assert_int_equal(learnt, 0);
	kindred__v1__delete_user_response__free_unpacked(deleted, NULL);
	small_shop_close(&cluster, client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_swap_and_rollback_under_load),
		cmocka_unit_test(test_keeps_three),
		cmocka_unit_test(test_events_since_a_kept_generation),
		cmocka_unit_test(test_changes_reach_a_new_worker),
		cmocka_unit_test(test_damaged_generation),
		cmocka_unit_test(test_refresh),
		cmocka_unit_test(test_forgetting_beside_a_refresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
