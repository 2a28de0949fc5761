/* One part's death is local, and acked means on disk: kill -9 of workers, of the builder and of the server. */
#include "common/clock.h"
#include "lib/api.h"
#include "lib/cluster.h"
#include "lib/small_shop.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define MANY_EVENTS 200000
#define MANY_USERS 1000 /* with histories long enough to be stored in two rows */

static void write_many_events(const struct cluster *cluster, char *path, size_t bytes)
{
	snprintf(path, bytes, "%s/many.csv", cluster->home);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "user,item,event,time\n");
	int64_t start = clock_wall_ms() / 1000 - 2 * 86400;
	for (unsigned i = 0; i < MANY_EVENTS; i++)
		fprintf(file, "m%u,%c%u,Viewed,%lld\n", i % MANY_USERS, 'a' + (i / 7) % 4, i % 10,
			(long long)(start + i / 4));
	fclose(file);
}

static pid_t worker_pid(struct rpc_client *client, unsigned number, bool *up)
{
	Kindred__V1__GetStatusResponse *status = api_status(client);
	assert_true(number < status->n_workers);
	pid_t pid = status->workers[number]->pid;
	*up = status->workers[number]->up;
	kindred__v1__get_status_response__free_unpacked(status, NULL);
	return pid;
}

struct restart {
	struct rpc_client *client;
	pid_t old;
};

static bool worker_is_back(void *context)
{
	struct restart *restart = context;
	bool up = false;
	return worker_pid(restart->client, 0, &up) != restart->old && up;
}

struct progress {
	struct rpc_client *client;
	uint64_t accepted;
};

static bool has_accepted(void *context)
{
	struct progress *progress = context;
	return api_totals(progress->client).accepted >= progress->accepted;
}

/*
 * A worker is killed twice in the middle of an import: it comes back, the import goes on or is run
 * again, and every event counts exactly once.
 */
static void test_worker_dies_in_an_import(void **state)
{
	struct cluster cluster;
	char path[256], catalog[256];
	bool up = false;
	(void)state;
	cluster_init(&cluster);
	cluster_start(&cluster, CLI("--workers", "2", "--build-every-minutes", "0"));
	small_shop_write(&cluster, 1700000000);
	snprintf(catalog, sizeof catalog, "%s/shop.csv", cluster.home);
	cluster_ok(&cluster, CLI("catalog", "import", "shop", catalog));
	write_many_events(&cluster, path, sizeof path);
	struct rpc_client *client = api_open(&cluster);
	pid_t import = cluster_spawn(&cluster, "import", CLI("events", "import", "shop", path));
	for (unsigned kill_number = 1; kill_number <= 2; kill_number++) {
		struct progress progress = { client, kill_number * 20000 };
		wait_until("the import is under way", has_accepted, &progress);
		struct restart restart = { client, worker_pid(client, 0, &up) };
		uint64_t killed_ns = clock_monotonic_ns();
		assert_int_equal(kill(restart.old, SIGKILL), 0);
		wait_until("the killed worker is back", worker_is_back, &restart);
		print_message("worker back after %.0f ms\n", (double)(clock_monotonic_ns() - killed_ns) / 1e6);
	}
	process_wait(import); /* it may have carried on or given up: what counts is the end */
	cluster_ok(&cluster, CLI("events", "import", "shop", path));
	struct api_totals totals = api_totals(client);
	assert_int_equal(totals.accepted, MANY_EVENTS);
	assert_int_equal(totals.kept, MANY_EVENTS);
	assert_int_equal(totals.users, MANY_USERS);
	assert_int_equal(api_history_size(client, "m17"), MANY_EVENTS / MANY_USERS);
	rpc_close(client);
	cluster_fini(&cluster);
}

/*
 * While one worker is down its users get UNAVAILABLE or an answer, never a wrong one, and the other
 * worker's users notice nothing.
 */
static void test_other_users_notice_nothing(void **state)
{
	struct cluster cluster;
	bool up = false;
	unsigned failed = 0, answered = 0;
	(void)state;
	cluster_init(&cluster);
	cluster_start(&cluster, CLI("--workers", "2", "--build-every-minutes", "0"));
	small_shop_load(&cluster);
	struct rpc_client *client = api_open(&cluster);
	struct restart restart = { client, worker_pid(client, 0, &up) };
	kill(restart.old, SIGKILL);
	for (unsigned i = 0; i < 400; i++) {
		char user[16];
		Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
		Kindred__V1__RecommendResponse *answer = NULL;
		struct error err;
		snprintf(user, sizeof user, "u%u", i);
		request.user_id = user;
		request.definition = (char *)"wanted-next";
		request.count = 3;
		int code = api_try(client, "/kindred.v1.RecommendationService/Recommend", &request.base,
				   &kindred__v1__recommend_response__descriptor, &answer, &err);
		assert_true(code == 0 || code == E_UNAVAILABLE);
		if (code == 0) {
			assert_int_equal(answer->n_items, 3);
			answered++;
			kindred__v1__recommend_response__free_unpacked(answer, NULL);
		} else {
			failed++;
		}
	}
	print_message("%u answered, %u UNAVAILABLE while a worker restarted\n", answered, failed);
	assert_true(answered >= 100); /* the other worker's users, at the least */
	wait_until("the killed worker is back", worker_is_back, &restart);
	Kindred__V1__RecommendResponse *answer = NULL;
	for (unsigned i = 0; i < 50; i++) {
		char user[16];
		snprintf(user, sizeof user, "u%u", i);
		answer = api_recommend(client, "wanted-next", user, 3);
		assert_int_equal(answer->n_items, 3);
		kindred__v1__recommend_response__free_unpacked(answer, NULL);
	}
	rpc_close(client);
	cluster_fini(&cluster);
}

/* Every event acked before kill -9 of the whole server is there after a restart. */
static void test_acked_survives_the_server(void **state)
{
	struct cluster cluster;
	char catalog[256];
	(void)state;
	cluster_init(&cluster);
	cluster_start(&cluster, CLI("--workers", "2", "--build-every-minutes", "0"));
	small_shop_write(&cluster, 1700000000);
	snprintf(catalog, sizeof catalog, "%s/shop.csv", cluster.home);
	cluster_ok(&cluster, CLI("catalog", "import", "shop", catalog));
	struct rpc_client *client = api_open(&cluster);
	for (unsigned i = 0; i < 300; i++) {
		char user[16];
		snprintf(user, sizeof user, "k%u", i % 30);
		assert_int_equal(api_ingest(client, "shop", user, "a1", "Viewed", NULL),
				 KINDRED__V1__OUTCOME__OUTCOME_ACCEPTED);
	}
	rpc_close(client);
	cluster_kill(&cluster);
	cluster_start(&cluster, CLI("--workers", "2", "--build-every-minutes", "0"));
	client = api_open(&cluster);
	assert_int_equal(api_totals(client).accepted, 300);
	for (unsigned i = 0; i < 30; i++) {
		char user[16];
		snprintf(user, sizeof user, "k%u", i);
		assert_int_equal(api_history_size(client, user), 10);
	}
	rpc_close(client);
	cluster_fini(&cluster);
}

/*
 * The builder's pid: the child of the server whose name is kindred-builder; 0: none now. The loop
 * thread spawns children.
 */
static pid_t builder_pid(const struct cluster *cluster)
{
	char path[96], name[32];
	int child = 0;
	pid_t builder = 0;
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)cluster->server, (int)cluster->server);
	FILE *children = fopen(path, "r");
	while (children && !builder && fscanf(children, "%d", &child) == 1) {
		snprintf(path, sizeof path, "/proc/%d/comm", child);
		FILE *comm = fopen(path, "r");
		if (comm && fgets(name, sizeof name, comm) && strcmp(name, "kindred-builder\n") == 0)
			builder = child;
		if (comm)
			fclose(comm);
	}
	if (children)
		fclose(children);
	return builder;
}

/*
 * kill -9 of the builder at many moments: the old generation goes on serving the same answers, nothing
 * half-written can be read, and the next build works.
 */
static void test_builder_dies(void **state)
{
	struct cluster cluster;
	char path[256];
	unsigned killed = 0;
	(void)state;
	cluster_init(&cluster);
	cluster_start(&cluster, CLI("--workers", "2", "--build-every-minutes", "0"));
	small_shop_load(&cluster);
	struct rpc_client *client = api_open(&cluster);
	uint64_t generation = api_active_generation(client);
	Kindred__V1__RecommendResponse *before = api_recommend(client, "wanted-next", "u7", 10);
	write_many_events(&cluster, path, sizeof path);
	cluster_ok(&cluster, CLI("events", "import", "shop", path));
	for (unsigned moment = 0; moment < 12; moment++) {
		pid_t build = cluster_spawn(&cluster, "build", CLI("model", "build"));
		uint64_t end_ns = clock_monotonic_ns() + UINT64_C(10000000000);
		pid_t pid = 0;
		while (!(pid = builder_pid(&cluster)) && clock_monotonic_ns() < end_ns)
			continue;
		struct timespec later = { .tv_nsec = (long)moment * 40000000 };
		nanosleep(&later, NULL);
		if (pid && kill(pid, SIGKILL) == 0)
			killed++;
		process_wait(build);
		if (api_active_generation(client) != generation) {
			print_message("the build was through before moment %u\n", moment);
			break; /* it had finished before the kill: later moments would too */
		}
		Kindred__V1__RecommendResponse *after = api_recommend(client, "wanted-next", "u7", 10);
		assert_int_equal(after->generation, generation);
		assert_true(api_same_items(before, after));
		kindred__v1__recommend_response__free_unpacked(after, NULL);
	}
	print_message("killed the builder %u times\n", killed);
	assert_true(killed >= 1);
	kindred__v1__recommend_response__free_unpacked(before, NULL);
	cluster_ok(&cluster, CLI("model", "build"));
	assert_true(api_active_generation(client) > generation);
	char list[320];
	snprintf(list, sizeof list, "ls -A %s/data/models | grep -c '^\\.' || true", cluster.home);
	struct output leftovers = program_run("/bin/sh", NULL, CLI("-c", list));
	assert_int_equal(atoi(leftovers.out), 0);
	output_free(&leftovers);
	rpc_close(client);
	cluster_fini(&cluster);
}

struct awaited {
	struct rpc_client *client;
	uint64_t generation;
};

static bool is_active(void *context)
{
	const struct awaited *awaited = context;
	return api_active_generation(awaited->client) == awaited->generation;
}

/*
 * A definition that the model does not have is built for without being asked to, also when the first attempt fails:
 * nobody sends events meanwhile that would make another build due.
 */
static void test_builder_is_tried_again_for_a_definition(void **state)
{
	struct cluster cluster;
	char path[256];
	(void)state;
	cluster_init(&cluster);
	cluster_start(&cluster, CLI("--workers", "2", "--build-min-events", "1000000"));
	small_shop_write(&cluster, clock_wall_ms() / 1000 - 3600);
	struct awaited awaited = { .client = api_open(&cluster), .generation = 1 };
	snprintf(path, sizeof path, "%s/shop.csv", cluster.home);
	cluster_ok(&cluster, CLI("catalog", "import", "shop", path));
	snprintf(path, sizeof path, "%s/events.csv", cluster.home);
	cluster_ok(&cluster, CLI("events", "import", "shop", path));
	cluster_ok(&cluster, CLI("define", "bought", "--catalog", "shop", "--event", "Purchased"));
	wait_until("a model with the first definition", is_active, &awaited);

	/* no builder replaces a generation: this attempt fails, and numbers are not given twice */
	cluster_file(&cluster, "data/models/00000002.kindred", "in the way");
	cluster_ok(&cluster, CLI("define", "looked-at", "--catalog", "shop", "--event", "Viewed"));
	awaited.generation = 3;
	wait_until("a model with the second definition", is_active, &awaited);
	Kindred__V1__RecommendResponse *answer = api_recommend(awaited.client, "looked-at", "u7", 4);
	assert_int_equal(answer->n_items, 4);
	kindred__v1__recommend_response__free_unpacked(answer, NULL);
	rpc_close(awaited.client);
	cluster_fini(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_worker_dies_in_an_import),
		cmocka_unit_test(test_other_users_notice_nothing),
		cmocka_unit_test(test_acked_survives_the_server),
		cmocka_unit_test(test_builder_dies),
		cmocka_unit_test(test_builder_is_tried_again_for_a_definition),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
