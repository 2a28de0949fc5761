/* The tuner seen from outside: a build on request searches, and the command line shows what it found. */
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

#define SECONDS "3600" /* a search is at its end long before, also on a slow machine */

/* 1,500 users who each walk through six items of one group: enough to ask about. */
static void import_walks(struct cluster *cluster)
{
	char path[256], time[32];
	snprintf(path, sizeof path, "%s/walks.csv", cluster->home);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "user_id,item_id,type,time\n");
	int64_t from_ms = clock_wall_ms() - INT64_C(20) * 86400000;
	for (unsigned u = 0; u < 1500; u++)
		for (unsigned step = 0; step < 6; step++) {
			time_format(from_ms + u * INT64_C(1000000) + step * INT64_C(10000), time);
			fprintf(file, "w%u,%c%u,Viewed,%s\n", u, "abcd"[u % 4], (u / 4 + step * (1 + u % 3)) % 10,
				time);
		}
	assert_int_equal(fclose(file), 0);
	cluster_ok(cluster, CLI("events", "import", "shop", path));
}

static void test_tune_and_show(void **state)
{
	struct cluster cluster;
	(void)state;
	cluster_init(&cluster);
	cluster_start(&cluster, CLI("--workers", "1", "--build-every-minutes", "0"));
	cluster_fails(&cluster, "no generation", CLI("model", "show"));
	small_shop_load(&cluster);
	import_walks(&cluster);
	cluster_ok(&cluster,
		   CLI("model", "tune", "--budget", SECONDS, "--objective", "hit-rate", "--coverage-floor", "30%"));
	json_t *shown = cluster_json(&cluster, CLI("model", "show", "--json"));
	json_t *relation = json_array_get(json_object_get(shown, "relations"), 0);
	json_t *tuning = json_object_get(relation, "tuning");
	json_t *choice = json_object_get(tuning, "choice"), *defaults = json_object_get(tuning, "defaults");
	assert_non_null(choice);
	assert_true(json_integer_value(json_object_get(tuning, "candidates")) > 8);
	assert_true(json_number_value(json_object_get(choice, "hit_rate")) >=
		    json_number_value(json_object_get(defaults, "hit_rate")));

	struct output shows = cluster_run(&cluster, CLI("model", "show"));
	assert_int_equal(shows.code, 0);
	assert_non_null(strstr(shows.out, "other than the defaults"));
	assert_non_null(strstr(shows.out, "* was taken"));
	output_free(&shows);

	/* The build after it does not search, and learns with what was chosen. */
	cluster_ok(&cluster, CLI("model", "build"));
	json_t *next = cluster_json(&cluster, CLI("model", "show", "--json"));
	assert_true(json_integer_value(json_object_get(next, "number")) >
		    json_integer_value(json_object_get(shown, "number")));
	relation = json_array_get(json_object_get(next, "relations"), 0);
	assert_true(json_equal(json_object_get(json_object_get(relation, "tuning"), "choice"), choice));
	json_decref(next);
	json_decref(shown);

	/* One that searches has nothing to look for in the same events; made to, it begins where that one ended. */
	assert_int_equal(cluster_stop(&cluster), 0);
	cluster_start(&cluster, CLI("--workers", "1", "--build-every-minutes", "0", "--build-tune-seconds", SECONDS));
	cluster_ok(&cluster, CLI("model", "build"));
	shows = cluster_run(&cluster, CLI("model", "show"));
	assert_non_null(strstr(shows.out, "unchanged    since generation 2"));
	assert_null(strstr(shows.out, "around the last choice"));
	output_free(&shows);
	cluster_ok(&cluster, CLI("model", "build", "--no-reuse"));
	shows = cluster_run(&cluster, CLI("model", "show"));
	assert_non_null(strstr(shows.out, "around the last choice"));
	output_free(&shows);
	cluster_fails(&cluster, "no such generation", CLI("model", "show", "99"));
	cluster_fails(&cluster, "seconds", CLI("model", "tune", "--budget", "-5"));
	cluster_fails(&cluster, "ndcg or hit-rate", CLI("model", "tune", "--objective", "money"));
	cluster_fails(&cluster, "1% to 100%", CLI("model", "tune", "--coverage-floor", "0"));
	cluster_fini(&cluster);
}

static void test_without_a_tuner(void **state)
{
	struct cluster cluster;
	(void)state;
	cluster_init(&cluster);
	cluster_start(&cluster, CLI("--workers", "1", "--build-every-minutes", "0", "--build-tune-seconds", "0"));
	small_shop_load(&cluster);
	struct output shows = cluster_run(&cluster, CLI("model", "show"));
	assert_int_equal(shows.code, 0);
	assert_non_null(strstr(shows.out, "default parameters"));
	output_free(&shows);

	/* What a definition is for makes a relation of its own. */
	cluster_ok(&cluster, CLI("define", "letter", "--catalog", "shop", "--event", "Viewed", "--occasion", "visit",
				 "--session", "on"));
	cluster_ok(&cluster, CLI("model", "build"));
	shows = cluster_run(&cluster, CLI("model", "show"));
	assert_non_null(strstr(shows.out, "Viewed=1|window=0|occasion=visit|session=1800"));
	output_free(&shows);
	cluster_ok(&cluster, CLI("recommend", "letter", "somebody"));
	cluster_fails(&cluster, "next, again or visit",
		      CLI("define", "other", "--catalog", "shop", "--event", "Viewed", "--occasion", "dinner"));
	cluster_fini(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tune_and_show),
		cmocka_unit_test(test_without_a_tuner),
	};
	return cmocka_run_group_tests_name("integration/tune", tests, NULL, NULL);
}
