/*
 * Real data through the real processes: every event of the file is accepted once, a model is built, ten
 * users are shown what they get with names, and a second generation and a rollback give the first
 * answers again. Uses ../shared/data (or the folder KINDRED_REAL_DATA) when it is there; says "skipped"
 * by name when it is not.
 */
#include "lib/api.h"
#include "lib/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SKIPPED 77
#define USERS 10

struct set {
	const char *name;
	const char *catalog_file, *catalog_options;
	const char *events_file, *events_options;
	const char *definition_options;
	uint64_t accepted; /* events of the file that have a user: ../shared/data/README.md */
	const char *users[USERS];
};

static const struct set sets[] = {
	{ "online-retail-2",
	  "online-retail-2/items.tsv",
	  "--delimiter tab --id stock_code --name title",
	  "online-retail-2/events.csv.zst",
	  "--user customer_id --item stock_code --time ts --event event",
	  "--event purchase --exclude-seen",
	  809560,
	  { "13085", "13078", "15362", "18102", "12682", "17841", "14911", "12748", "14606", "15311" } },
	{ "ml-1m",
	  "ml-1m/movies.dat",
	  "--layout movielens",
	  "ml-1m/ratings.csv.zst",
	  "--user user_id --item movie_id --time ts_est --event-type Rated",
	  "--event Rated --exclude-seen",
	  1000209,
	  { "1", "2", "3", "10", "100", "1000", "2000", "3000", "5000", "6040" } },
};

/* Runs a command line given as words; options hold no spaces within a word. */
static void run(struct cluster *cluster, const char *const *head, const char *options)
{
	const char *arguments[48];
	char *copy = strdup(options), *save = NULL;
	size_t count = 0;
	while (*head)
		arguments[count++] = *head++;
	for (char *word = strtok_r(copy, " ", &save); word && count < 47; word = strtok_r(NULL, " ", &save))
		arguments[count++] = word;
	arguments[count] = NULL;
	cluster_ok(cluster, arguments);
	free(copy);
}

static void ask(struct rpc_client *client, const struct set *set, Kindred__V1__RecommendResponse **answers)
{
	for (unsigned i = 0; i < USERS; i++) {
		answers[i] = api_recommend(client, "next", set->users[i], 10);
		assert_int_equal(answers[i]->n_items, 10);
		assert_int_equal(answers[i]->items[0]->source, KINDRED__V1__SOURCE__SOURCE_PERSONAL);
	}
}

static void print_with_names(struct cluster *cluster, const struct set *set)
{
	for (unsigned i = 0; i < USERS; i++) {
		struct output shown = cluster_run(cluster, CLI("recommend", "next", set->users[i], "--count", "5"));
		assert_int_equal(shown.code, 0);
		print_message("%s\n", shown.out);
		output_free(&shown);
	}
}

static void test_set(const struct set *set)
{
	struct cluster cluster;
	Kindred__V1__RecommendResponse *first[USERS], *second[USERS], *again[USERS];
	char catalog[512], events[512];
	snprintf(catalog, sizeof catalog, "%s", real_data_path(set->catalog_file));
	snprintf(events, sizeof events, "%s", real_data_path(set->events_file));
	cluster_init(&cluster);
	cluster_start(&cluster, CLI("--workers", "2", "--build-every-minutes", "0"));
	run(&cluster, CLI("catalog", "import", "items", catalog), set->catalog_options);
	run(&cluster, CLI("define", "next", "--catalog", "items"), set->definition_options);
	run(&cluster, CLI("events", "import", "items", events), set->events_options);
	struct rpc_client *client = api_open(&cluster);
	struct api_totals totals = api_totals(client);
	print_message("%s: %llu events accepted of %llu users, %llu kept\n", set->name,
		      (unsigned long long)totals.accepted, (unsigned long long)totals.users,
		      (unsigned long long)totals.kept);
	assert_int_equal(totals.accepted, set->accepted);
	assert_int_equal(totals.refused, 0);
	assert_int_equal(totals.dropped, 0);
	cluster_ok(&cluster, CLI("model", "build"));
	ask(client, set, first);
	print_with_names(&cluster, set);
	/* something new is learnt, served, and rolled back */
	for (unsigned i = 0; i < USERS; i++)
		api_ingest(client, "items", "newcomer", first[i]->items[0]->item_id,
			   set == &sets[0] ? "purchase" : "Rated", NULL);
	cluster_ok(&cluster, CLI("model", "build"));
	ask(client, set, second);
	assert_int_not_equal(first[0]->generation, second[0]->generation);
	cluster_ok(&cluster, CLI("model", "rollback"));
	ask(client, set, again);
	for (unsigned i = 0; i < USERS; i++) {
		assert_int_equal(first[i]->generation, again[i]->generation);
		assert_true(api_same_items(first[i], again[i]));
		kindred__v1__recommend_response__free_unpacked(first[i], NULL);
		kindred__v1__recommend_response__free_unpacked(second[i], NULL);
		kindred__v1__recommend_response__free_unpacked(again[i], NULL);
	}
	rpc_close(client);
	struct output list = cluster_run(&cluster, CLI("model", "list"));
	print_message("%s\n", list.out);
	output_free(&list);
	cluster_fini(&cluster);
}

static void test_online_retail(void **state)
{
	(void)state;
	test_set(&sets[0]);
}

static void test_movielens(void **state)
{
	(void)state;
	test_set(&sets[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_online_retail), cmocka_unit_test(test_movielens) };
	for (unsigned i = 0; i < 2; i++) {
		if (!real_data_path(sets[i].events_file)) {
			printf("skipped: online-retail-2 and ml-1m are not in ../shared/data (or KINDRED_REAL_DATA)\n");
			return SKIPPED;
		}
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
