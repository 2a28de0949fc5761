/*
 * The gate seen from outside: a build that is worse than what is served is kept and marked, everybody
 * is told, and a person may serve it all the same.
 */
#include "common/clock.h"
#include "lib/api.h"
#include "lib/cluster.h"
#include "lib/small_shop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HOUR 3600

static unsigned next_user;

/*
 * Users who view `events` items, all of one group or (rubbish) each of another than the one before,
 * evenly between two times before now.
 */
static void import_users(struct cluster *cluster, unsigned users, unsigned events, bool rubbish, int64_t from_s,
			 int64_t to_s)
{
	char path[256];
	int64_t now_s = clock_wall_ms() / 1000;
	snprintf(path, sizeof path, "%s/users-%u.csv", cluster->home, next_user);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "user,item,event,time\n");
	for (unsigned u = 0; u < users; u++, next_user++)
		for (unsigned n = 0; n < events; n++) {
			unsigned group = rubbish ? (u + n) % 4 : u % 4;
			unsigned item = rubbish ? (u / 4 + 3 * n) % 10 : (u / 4 + n) % 10;
			int64_t time_s = now_s - from_s + (from_s - to_s) * u / users + n;
			fprintf(file, "x%u,%c%u,Viewed,%lld\n", next_user, 'a' + group, item, (long long)time_s);
		}
	assert_int_equal(fclose(file), 0);
	cluster_ok(cluster, CLI("events", "import", "shop", path));
}

/* Generation 1 of sound data; then rubbish older than its newest event, and a few sound events that are newer. */
static void make_worse(struct cluster *cluster, const char *const *options)
{
	cluster_init(cluster);
	cluster_start(cluster, options);
	small_shop_load(cluster); /* generation 1: what is served first is of little data */
	import_users(cluster, 1200, 5, false, 90 * HOUR, 20 * HOUR);
	cluster_ok(cluster, CLI("model", "build"));
	import_users(cluster, 6000, 12, true, 88 * HOUR, 22 * HOUR);
	/* the small shop's events end an hour ago */
	import_users(cluster, 160, 5, false, HOUR / 2, HOUR / 4);
}

static void assert_says(struct cluster *cluster, const char *text, const char *const *arguments)
{
	struct output output = cluster_run(cluster, arguments);
	assert_int_equal(output.code, 0);
	if (!strstr(output.out, text))
		fail_msg("\"%s\" is not in:\n%s", text, output.out);
	output_free(&output);
}

static uint64_t held_back(struct cluster *cluster)
{
	json_t *status = cluster_json(cluster, CLI("status", "--json"));
	uint64_t number = (uint64_t)json_integer_value(json_object_get(status, "held_back_generation"));
	const char *reason = json_string_value(json_object_get(status, "held_back_reason"));
	assert_non_null(reason);
	assert_true((*reason != '\0') == (number > 0));
	json_decref(status);
	return number;
}

static void assert_logged(const struct cluster *cluster, const char *text)
{
	char path[256];
	snprintf(path, sizeof path, "%s/server.log", cluster->home);
	struct output found = program_run("/usr/bin/grep", NULL, CLI("-F", text, path));
	if (found.code != 0)
		fail_msg("\"%s\" is not in the log", text);
	output_free(&found);
}

static void test_a_worse_build_is_held_back(void **state)
{
	static const char *const options[] = { "--workers", "2", "--build-every-minutes", "0", "--build-tune-seconds",
					       "0",         NULL };
	struct cluster cluster;
	(void)state;
	make_worse(&cluster, options);
	struct rpc_client *client = api_open(&cluster);
	assert_int_equal(api_active_generation(client), 2);
	assert_int_equal(held_back(&cluster), 0);
	assert_int_equal(cluster_metric(&cluster, "kindred_held_back_generation"), 0);

	assert_says(&cluster, "held back because it is worse: wanted-next of shop: NDCG@20", CLI("model", "build"));
	assert_int_equal(api_active_generation(client), 2);
	assert_int_equal(held_back(&cluster), 3);
	assert_int_equal(cluster_metric(&cluster, "kindred_held_back_generation"), 3);
	assert_int_equal(cluster_metric(&cluster, "kindred_held_back_builds_total"), 1);
	assert_logged(&cluster, "generation 3 is held back");
	assert_says(&cluster, "generation 3 is held back", CLI("status"));
	assert_says(&cluster, "held back   generation 3", CLI("model", "status"));
	assert_says(&cluster, "!3", CLI("model", "list"));
	assert_says(&cluster, "kindred model activate 3", CLI("model", "show", "3"));
	assert_says(&cluster, "than generation 2: NDCG", CLI("model", "show", "3"));
	json_t *shown = cluster_json(&cluster, CLI("model", "show", "3", "--json"));
	assert_true(json_is_true(json_object_get(shown, "held_back")));
	json_t *gate = json_object_get(json_array_get(json_object_get(shown, "relations"), 0), "gate");
	assert_string_equal(json_string_value(json_object_get(gate, "verdict")), "VERDICT_WORSE");
	assert_int_equal(json_integer_value(json_object_get(gate, "against")), 2);
	assert_true(json_number_value(json_object_get(gate, "ndcg")) <
		    json_number_value(json_object_get(gate, "served_ndcg")));
	json_decref(shown);

	/* The mark outlives the server; it never was what a restart serves. */
	rpc_close(client);
	assert_int_equal(cluster_stop(&cluster), 0);
	cluster_start(&cluster, options);
	client = api_open(&cluster);
	assert_int_equal(api_active_generation(client), 2);
	assert_int_equal(held_back(&cluster), 3);

	/* By hand it is served; then it is what the next one is held against, which is as good. */
	cluster_ok(&cluster, CLI("model", "activate", "3"));
	assert_int_equal(api_active_generation(client), 3);
	assert_int_equal(held_back(&cluster), 0);
	assert_int_equal(cluster_metric(&cluster, "kindred_held_back_generation"), 0);
	cluster_ok(&cluster, CLI("model", "rollback"));
	assert_int_equal(api_active_generation(client), 2);
	cluster_ok(&cluster, CLI("model", "activate", "3"));
	import_users(&cluster, 160, 5, false, HOUR / 8, HOUR / 16);
	cluster_ok(&cluster, CLI("model", "build"));
	assert_int_equal(api_active_generation(client), 4);
	assert_says(&cluster, "no worse", CLI("model", "show"));
	rpc_close(client);
	cluster_fini(&cluster);
}

/* With one generation kept: those held back push neither the served one out nor each other into a heap. */
static void test_overrides(void **state)
{
	static const char *const options[] = {
		"--workers", "1", "--build-every-minutes", "0", "--build-tune-seconds", "0", "--generations-kept",
		"1",         NULL
	};
	struct cluster cluster;
	(void)state;
	make_worse(&cluster, options);
	struct rpc_client *client = api_open(&cluster);
	for (unsigned round = 0; round < 2; round++)
		assert_says(&cluster, "held back because it is worse", CLI("model", "build"));
	assert_int_equal(held_back(&cluster), 4);
	assert_int_equal(cluster_metric(&cluster, "kindred_held_back_builds_total"), 2);
	assert_int_equal(api_active_generation(client), 2);
	cluster_fails(&cluster, "those kept: 2, 4 (held back)", CLI("model", "activate", "3"));
	Kindred__V1__RecommendResponse *answer = api_recommend(client, "wanted-next", "u7", 5);
	assert_int_equal(answer->generation, 2);
	kindred__v1__recommend_response__free_unpacked(answer, NULL);
	cluster_fails(&cluster, "older than the active one", CLI("model", "rollback"));

	cluster_fails(&cluster, "only one of them", CLI("model", "build", "--promote", "--keep-inactive"));
	assert_says(&cluster, "and served", CLI("model", "build", "--promote"));
	assert_int_equal(api_active_generation(client), 5);
	assert_int_equal(held_back(&cluster), 0);
	assert_logged(&cluster, "is served, as was asked for, though it is worse");
	json_t *shown = cluster_json(&cluster, CLI("model", "show", "--json"));
	json_t *gate = json_object_get(json_array_get(json_object_get(shown, "relations"), 0), "gate");
	assert_string_equal(json_string_value(json_object_get(gate, "verdict")), "VERDICT_WORSE");
	json_decref(shown);
	rpc_close(client);
	cluster_fini(&cluster);
}

static void test_without_a_gate(void **state)
{
	static const char *const options[] = {
		"--workers", "1", "--build-every-minutes", "0", "--build-tune-seconds", "0", "--gate", "off", NULL
	};
	struct cluster cluster;
	(void)state;
	make_worse(&cluster, options);
	assert_says(&cluster, "and served", CLI("model", "build"));
	json_t *shown = cluster_json(&cluster, CLI("model", "show", "--json"));
	json_t *relation = json_array_get(json_object_get(shown, "relations"), 0);
	assert_true(json_is_null(json_object_get(relation, "gate")));
	json_decref(shown);
	cluster_fini(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_worse_build_is_held_back),
		cmocka_unit_test(test_overrides),
		cmocka_unit_test(test_without_a_gate),
	};
	return cmocka_run_group_tests_name("integration/gate", tests, NULL, NULL);
}
