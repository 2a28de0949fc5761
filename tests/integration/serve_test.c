/*
 * A server's life: it starts, answers health and status, refuses a second server on its data, drains on
 * SIGTERM, and keeps its data over a restart.
 */
#include "lib/api.h"
#include "lib/cluster.h"
#include "lib/preload.h"
#include "lib/small_shop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

static void test_restart_keeps_everything(void **state)
{
	struct cluster cluster;
	(void)state;
	cluster_init(&cluster);
	cluster_start(&cluster, CLI("--workers", "2", "--build-every-minutes", "0"));
	unsigned count = small_shop_load(&cluster);
	struct rpc_client *client = api_open(&cluster);
	assert_int_equal(api_totals(client).accepted, count);
	Kindred__V1__RecommendResponse *before = api_recommend(client, "wanted-next", "u7", 10);
	rpc_close(client);
	assert_int_equal(cluster_stop(&cluster), 0);

	/* another number of workers: users find their shards again */
	cluster_start(&cluster, CLI("--workers", "1", "--build-every-minutes", "0"));
	client = api_open(&cluster);
	assert_int_equal(api_totals(client).accepted, count);
	Kindred__V1__RecommendResponse *after = api_recommend(client, "wanted-next", "u7", 10);
	assert_int_equal(before->n_items, 10);
	assert_true(api_same_items(before, after));
	kindred__v1__recommend_response__free_unpacked(before, NULL);
	kindred__v1__recommend_response__free_unpacked(after, NULL);
	rpc_close(client);
	cluster_fini(&cluster);
}

static void test_one_server_a_data_directory(void **state)
{
	struct cluster cluster;
	char data[192];
	(void)state;
	cluster_init(&cluster);
	cluster_start(&cluster, NULL);
	snprintf(data, sizeof data, "%s/data", cluster.home);
	struct output second = program_run("kindred-server", NULL, CLI("--data", data, "--listen", "127.0.0.1:0"));
	assert_int_not_equal(second.code, 0);
	assert_non_null(strstr(second.err, data));
	output_free(&second);
	struct rpc_client *client = api_open(&cluster);
	assert_int_equal(api_totals(client).accepted, 0);
	rpc_close(client);
	cluster_fini(&cluster);
}

static void test_bad_start_says_why(void **state)
{
	struct cluster cluster;
	char data[192];
	(void)state;
	cluster_init(&cluster);
	snprintf(data, sizeof data, "%s/not-there", cluster.home);
	struct output missing = program_run("kindred-server", NULL, CLI("--data", data));
	assert_int_not_equal(missing.code, 0);
	assert_non_null(strstr(missing.err, "kindred init"));
	output_free(&missing);
	snprintf(data, sizeof data, "%s/data", cluster.home);
	struct output bad = program_run("kindred-server", NULL, CLI("--data", data, "--history-cap", "99999999"));
	assert_int_equal(bad.code, EX_USAGE);
	assert_non_null(strstr(bad.err, "history"));
	assert_non_null(strstr(bad.err, "10000"));
	output_free(&bad);
	struct output file = program_run(
		"kindred-server", NULL,
		CLI("--data", data, "--config", cluster_file(&cluster, "wrong.yaml", "workers: 2\nhistory_cap: 0\n")));
	assert_int_equal(file.code, EX_CONFIG);
	assert_non_null(strstr(file.err, "wrong.yaml, line 2"));
	output_free(&file);
	struct output listen = program_run("kindred-server", NULL, CLI("--data", data, "--listen", "127.0.0.1:99999"));
	assert_int_not_equal(listen.code, 0);
	assert_non_null(strstr(listen.err, "listen: \"127.0.0.1:99999\"; host:port is wanted"));
	output_free(&listen);
	struct output admin = program_run(
		"kindred-server", NULL, CLI("--data", data, "--listen", "127.0.0.1:0", "--admin-listen", "localhost"));
	assert_int_not_equal(admin.code, 0);
	assert_non_null(strstr(admin.err, "admin_listen: \"localhost\"; host:port is wanted"));
	output_free(&admin);
	struct output hostless = program_run("kindred-server", NULL, CLI("--data", data, "--listen", ":7600"));
	assert_int_equal(hostless.code, EX_USAGE);
	assert_non_null(strstr(hostless.err, "\":7600\" has no host; 0.0.0.0:7600 are all"));
	output_free(&hostless);
	cluster_fini(&cluster);
}

static void test_a_port_that_is_taken(void **state)
{
	struct cluster first, second;
	char data[192];
	(void)state;
	cluster_init(&first);
	cluster_init(&second);
	cluster_start(&first, NULL);
	snprintf(data, sizeof data, "%s/data", second.home);
	struct output taken = program_run("kindred-server", NULL,
					  CLI("--data", data, "--listen", first.address, "--admin-listen", ""));
	assert_int_equal(taken.code, EX_UNAVAILABLE);
	assert_non_null(strstr(taken.err, first.address));
	assert_non_null(strstr(taken.err, "--listen HOST:PORT takes another"));
	output_free(&taken);
	taken = program_run("kindred-server", NULL,
			    CLI("--data", data, "--listen", "127.0.0.1:0", "--admin-listen", first.admin));
	assert_int_equal(taken.code, EX_UNAVAILABLE);
	assert_non_null(strstr(taken.err, "--admin-listen HOST:PORT takes another"));
	output_free(&taken);
	cluster_fini(&second);
	cluster_fini(&first);
}

/* Who sends events is told that they are not taken; so is who looks after the disk. */
static void test_a_disk_that_fails_is_in_the_log(void **state)
{
	struct cluster cluster;
	char trigger[192], path[192], log[8192] = "";
	(void)state;
	cluster_init(&cluster);
	snprintf(trigger, sizeof trigger, "%s/fail", cluster.home);
	setenv("FAILING_DISK", trigger, 1);
	preload_begin("failing_disk");
	cluster_start(&cluster, CLI("--workers", "1", "--build-every-minutes", "0"));
	preload_end();
	unsetenv("FAILING_DISK");
	cluster_ok(&cluster, CLI("catalog", "create", "shop"));
	cluster_file(&cluster, "fail", "");
	cluster_fails(&cluster, "cannot commit: the disk is full or reports an error",
		      CLI("events", "add", "shop", "--user", "john", "--item", "shoes", "--event", "Viewed"));
	snprintf(path, sizeof path, "%s/server.log", cluster.home);
	FILE *in = fopen(path, "r");
	assert_non_null(in);
	assert_true(fread(log, 1, sizeof log - 1, in) > 0);
	fclose(in);
	assert_non_null(strstr(log, "error worker/0 events are not taken: shard"));
	cluster_fini(&cluster);
}

static void test_before_the_first_model(void **state)
{
	struct cluster cluster;
	(void)state;
	cluster_init(&cluster);
	cluster_start(&cluster, CLI("--build-every-minutes", "0"));
	small_shop_write(&cluster, 1700000000);
	char catalog[256];
	snprintf(catalog, sizeof catalog, "%s/shop.csv", cluster.home);
	cluster_fails(&cluster, "none", CLI("recommend", "none", "u1"));
	struct output early = cluster_run(&cluster, CLI("model", "build"));
	assert_int_equal(early.code, EX_CONFIG);
	assert_non_null(strstr(early.err, "no definitions, so nothing to learn: `kindred define`"));
	output_free(&early);
	cluster_ok(&cluster, CLI("catalog", "import", "shop", catalog));
	cluster_ok(&cluster, CLI("define", "d", "--catalog", "shop", "--event", "Viewed"));
	cluster_fails(&cluster, "model build", CLI("recommend", "d", "u1"));
	cluster_fails(&cluster, "not both", CLI("recommend", "d", "u1", "--users-file", catalog));
	cluster_fails(&cluster, "there is no model yet", CLI("model", "rollback"));
	cluster_ok(&cluster, CLI("model", "build", "--keep-inactive"));
	cluster_fails(&cluster, "`kindred model list` shows", CLI("model", "rollback"));
	cluster_fini(&cluster);
}

/* Definitions with the same events are one relation; all of them are named. */
static void test_a_relation_of_several_definitions(void **state)
{
	struct cluster cluster;
	char catalog[256], name[] = "d1";
	(void)state;
	cluster_init(&cluster);
	cluster_start(&cluster, CLI("--build-every-minutes", "0"));
	small_shop_write(&cluster, 1700000000);
	snprintf(catalog, sizeof catalog, "%s/shop.csv", cluster.home);
	cluster_ok(&cluster, CLI("catalog", "import", "shop", catalog));
	for (; name[1] <= '6'; name[1]++)
		cluster_ok(&cluster, CLI("define", name, "--catalog", "shop", "--event", "Viewed"));
	cluster_ok(&cluster, CLI("model", "build"));
	struct output list = cluster_run(&cluster, CLI("model", "list"));
	assert_int_equal(list.code, 0);
	assert_non_null(strstr(list.out, "shop: d1, d2, d3 and 3 more "));
	output_free(&list);
	cluster_fini(&cluster);
}

/* Every metric that is served is in the table that people read. */
static void assert_explained(char *metrics)
{
	static const char head[] = "# TYPE ";
	unsigned count = 0;
	struct output reference = program_run(TEST_BIN "/kindred-server", NULL, CLI("--metrics-reference"));
	assert_int_equal(reference.code, 0);
	for (char *at = metrics; (at = strstr(at, head)) != NULL; count++) {
		at += strlen(head);
		char row[128];
		snprintf(row, sizeof row, "| `%.*s", (int)strcspn(at, " "), at);
		if (!strstr(reference.out, row))
			fail_msg("%s is served and not explained", row + 3);
	}
	assert_true(count > 10);
	output_free(&reference);
}

static void test_admin_port(void **state)
{
	struct cluster cluster;
	char url[128];
	(void)state;
	cluster_init(&cluster);
	cluster_start(&cluster, NULL);
	snprintf(url, sizeof url, "http://%s/healthz", cluster.admin);
	struct output health = program_run("/usr/bin/curl", NULL, CLI("-sf", url));
	assert_int_equal(health.code, 0);
	output_free(&health);
	snprintf(url, sizeof url, "http://%s/metrics", cluster.admin);
	struct output metrics = program_run("/usr/bin/curl", NULL, CLI("-sf", url));
	assert_int_equal(metrics.code, 0);
	assert_explained(metrics.out);
	output_free(&metrics);
	snprintf(url, sizeof url, "http://%s/status", cluster.admin);
	struct output status = program_run("/usr/bin/curl", NULL, CLI("-sf", url));
	json_t *json = json_loads(status.out, 0, NULL);
	assert_non_null(json);
	json_decref(json);
	output_free(&status);
	struct statvfs disk;
	assert_int_equal(statvfs(cluster.home, &disk), 0);
	assert_int_equal(cluster_metric(&cluster, "kindred_disk_bytes"), disk.f_blocks * disk.f_frsize);
	cluster_fini(&cluster);
}

/* Who watches the disk learns how full it is, and is told before it is too late. */
static void test_room_on_the_disk(void **state)
{
	static const struct {
		const char *mib; /* free, and in all */
		const char *says;
		bool low;
	} cases[] = {
		{ "513 10240", "; 513.0 MiB of the disk's 10.0 GiB are free\n", false },
		{ "511 10240", "; 511.0 MiB of the disk's 10.0 GiB are free\n", true },
		{ "1024 1048576", "; 1.0 GiB of the disk's 1.0 TiB are free\n", false },
		{ "1023 1048576", "; 1023.0 MiB of the disk's 1.0 TiB are free\n", true },
		{ "0 100", "; 0 B of the disk's 100.0 MiB are free\n", true },
		{ "", " shards\n", false }, /* not known */
	};
	struct cluster cluster;
	char path[192];
	(void)state;
	cluster_init(&cluster);
	snprintf(path, sizeof path, "%s/disk", cluster.home);
	setenv("GIVEN_DISK", path, 1);
	preload_begin("given_disk");
	cluster_start(&cluster, CLI("--workers", "1", "--build-every-minutes", "0"));
	preload_end();
	unsetenv("GIVEN_DISK");
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		unsigned long long free_mib = 0, mib = 0;
		cluster_file(&cluster, "disk", cases[i].mib);
		sscanf(cases[i].mib, "%llu %llu", &free_mib, &mib);
		struct output text = cluster_run(&cluster, CLI("status"));
		if (!strstr(text.out, cases[i].says) || (strstr(text.out, "nearly full") != NULL) != cases[i].low)
			fail_msg("\"%s\": %s", cases[i].mib, text.out);
		output_free(&text);
		json_t *json = cluster_json(&cluster, CLI("status", "--json"));
		assert_int_equal(json_integer_value(json_object_get(json, "disk_free_bytes")), free_mib << 20);
		assert_int_equal(json_integer_value(json_object_get(json, "disk_bytes")), mib << 20);
		json_decref(json);
		assert_int_equal(cluster_metric(&cluster, "kindred_disk_free_bytes"), free_mib << 20);
		assert_int_equal(cluster_metric(&cluster, "kindred_disk_bytes"), mib << 20);
	}
	cluster_fini(&cluster);
}

/* A build that finds no room is told so, by its status too, and the next one that finds some is built. */
static void test_a_build_without_room(void **state)
{
	struct cluster cluster;
	char path[192];
	(void)state;
	cluster_init(&cluster);
	snprintf(path, sizeof path, "%s/full", cluster.home);
	setenv("FULL_DISK", path, 1);
	preload_begin("full_disk");
	cluster_start(&cluster, CLI("--workers", "1", "--build-every-minutes", "0"));
	preload_end();
	unsetenv("FULL_DISK");
	small_shop_load(&cluster);
	cluster_file(&cluster, "full", "");
	static const char *const commands[] = { "build", "refresh" };
	for (size_t i = 0; i < 2; i++) {
		struct output full = cluster_run(&cluster, CLI("model", commands[i]));
		assert_non_null(strstr(full.err, "No space left on device"));
		assert_int_equal(full.code, EX_OSERR);
		output_free(&full);
		json_t *status = cluster_json(&cluster, CLI("model", "status", "--json"));
		assert_int_equal(json_integer_value(json_object_get(status, "error_code")), 8);
		json_decref(status);
	}
	assert_int_equal(unlink(path), 0);
	cluster_ok(&cluster, CLI("model", "build"));
	json_t *status = cluster_json(&cluster, CLI("model", "status", "--json"));
	assert_int_equal(json_integer_value(json_object_get(status, "error_code")), 0);
	json_decref(status);
	cluster_fini(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restart_keeps_everything),
		cmocka_unit_test(test_one_server_a_data_directory),
		cmocka_unit_test(test_bad_start_says_why),
		cmocka_unit_test(test_a_port_that_is_taken),
		cmocka_unit_test(test_a_disk_that_fails_is_in_the_log),
		cmocka_unit_test(test_before_the_first_model),
		cmocka_unit_test(test_a_relation_of_several_definitions),
		cmocka_unit_test(test_admin_port),
		cmocka_unit_test(test_room_on_the_disk),
		cmocka_unit_test(test_a_build_without_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
