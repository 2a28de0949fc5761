/* What people do with files: import, import again, append, mend, pipe. Through the command line, into a real server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/api.h"
#include "lib/cluster.h"

static struct cluster cluster;

static int setup(void **state)
{
	(void)state;
	cluster_init(&cluster);
	cluster_start(&cluster, CLI("--workers", "2", "--build-every-minutes", "0"));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cluster_fini(&cluster);
	return 0;
}

static long long number(const json_t *json, const char *key)
{
	const json_t *value = json_object_get(json, key);
	assert_non_null(value);
	return json_integer_value(value);
}

static void assert_import(const char *path, long long accepted, long long duplicate, long long skipped,
			  long long without_user)
{
	json_t *json = cluster_json(&cluster, CLI("events", "import", "shop", path, "--json", "--quiet"));
	assert_int_equal(number(json, "accepted"), accepted);
	assert_int_equal(number(json, "duplicate"), duplicate);
	assert_int_equal(number(json, "skipped"), skipped);
	assert_int_equal(number(json, "without_user"), without_user);
	json_decref(json);
}

#define ROWS                                                                                                           \
	"user,item,event,time\n"                                                                                       \
	"u1,i1,Viewed,2026-11-01T10:00:00Z\n"                                                                          \
	"u1,i1,Viewed,2026-11-01T10:00:00Z\n"                                                                          \
	"u2,i2,Purchased,2026-11-01T10:00:01Z\n"                                                                       \
	",i2,Viewed,2026-11-01T10:00:02Z\n"                                                                            \
	"u3,i3,Viewed,yesterday\n"

static void importing_again_adds_nothing_twice(void **state)
{
	(void)state;
	cluster_ok(&cluster, CLI("catalog", "create", "shop"));
	/* two rows that are the same are two events, in the first run and in the second */
	assert_import(cluster_file(&cluster, "events.csv", ROWS), 3, 0, 1, 1);
	assert_import(cluster_file(&cluster, "events.csv", ROWS), 0, 3, 1, 1);
	/* rows that were appended are new, one of them like two that were there */
	assert_import(cluster_file(&cluster, "events.csv",
				   ROWS "u4,i1,Viewed,2026-11-01T11:00:00Z\nu1,i1,Viewed,2026-11-01T10:00:00Z\n"),
		      2, 3, 1, 1);
	json_t *history = cluster_json(&cluster, CLI("events", "list", "u1", "--json"));
	assert_int_equal(number(history, "total_size"), 3);
	json_decref(history);
}

static void errors_name_line_and_column(void **state)
{
	(void)state;
	struct output output =
		cluster_run(&cluster, CLI("events", "import", "shop", cluster_file(&cluster, "events.csv", ROWS)));
	assert_int_equal(output.code, 0);
	assert_non_null(strstr(output.err, "events.csv:6: column 'time': 'yesterday' is not a time"));
	assert_non_null(strstr(output.out, "without a user"));
	output_free(&output);
	cluster_fails(
		&cluster, "stopped at its first error",
		CLI("events", "import", "shop", cluster_file(&cluster, "events.csv", ROWS), "--on-error", "abort"));
	cluster_fails(&cluster, "--user",
		      CLI("events", "import", "shop", cluster_file(&cluster, "odd.csv", "a,b,c\n1,2,3\n")));
	cluster_fails(&cluster, "every row has an error",
		      CLI("events", "import", "shop",
			  cluster_file(&cluster, "odd.csv", "user,item,event,time\nu,i,Viewed,x\n")));
}

/* Refusals of the server come back to the line that caused them. */
static void refusals_name_the_line(void **state)
{
	(void)state;
	cluster_fails(&cluster, "future.csv:2: ",
		      CLI("events", "import", "shop",
			  cluster_file(&cluster, "future.csv", "user,item,event,time\nu1,i1,Viewed,2999-01-01\n")));
}

static void a_pipe_of_ndjson(void **state)
{
	char command[600];
	(void)state;
	snprintf(command, sizeof command,
		 "printf '%%s\\n' '{\"user\":\"j1\",\"item\":7,\"action\":\"buy\",\"ts\":1795428000}' "
		 "'{\"user\":\"j1\",\"item\":8,\"action\":\"see\",\"ts\":1795428000.5,\"from\":\"mail\"}' | "
		 "%s/kindred events import shop - --map buy=Purchased --property from --json",
		 TEST_BIN);
	struct output output = program_run("/bin/sh", cluster.address, CLI("-c", command));
	assert_int_equal(output.code, 0);
	assert_non_null(strstr(output.out, "\"accepted\": 2"));
	output_free(&output);
	json_t *history = cluster_json(&cluster, CLI("events", "list", "j1", "--json"));
	const json_t *events = json_object_get(history, "events");
	assert_int_equal(json_array_size(events), 2);
	const json_t *newest = json_array_get(events, 0);
	assert_string_equal(json_string_value(json_object_get(newest, "type")), "see");
	assert_string_equal(json_string_value(json_object_get(newest, "time")), "2026-11-23T10:00:00.500Z");
	assert_string_equal(json_string_value(json_object_get(json_object_get(newest, "properties"), "from")), "mail");
	assert_string_equal(json_string_value(json_object_get(json_array_get(events, 1), "type")), "Purchased");
	json_decref(history);
}

static void a_catalogs_columns_become_attributes(void **state)
{
	(void)state;
	cluster_ok(&cluster, CLI("catalog", "import", "things",
				 cluster_file(&cluster, "things.csv",
					      "Identity,Name,ImageURL,Price,In Stock,tags,code\n"
					      "a,\"Shoe, red\",http://i/a.jpg,9.95,yes,red|warm,007\n"
					      "b,Sock,,4,no,,008\n")));
	json_t *item = cluster_json(&cluster, CLI("catalog", "get", "things", "a", "--json"));
	char *text = json_dumps(json_object_get(item, "attributes"), JSON_COMPACT | JSON_REAL_PRECISION(15));
	assert_string_equal(text, "{\"Price\":9.95,\"in_stock\":true,\"tags\":[\"red\",\"warm\"],\"code\":\"007\"}");
	assert_string_equal(json_string_value(json_object_get(item, "name")), "Shoe, red");
	free(text);
	json_decref(item);

	/* again with one thing changed and a column more */
	json_t *summary =
		cluster_json(&cluster, CLI("catalog", "import", "things", "--json",
					   cluster_file(&cluster, "things.csv",
							"Identity,Name,ImageURL,Price,In Stock,tags,code,colour\n"
							"a,\"Shoe, red\",http://i/a.jpg,9.95,yes,red|warm,007,\n"
							"b,Sock,,5,no,,008,blue\n")));
	assert_int_equal(number(summary, "created"), 0);
	assert_int_equal(number(summary, "updated"), 1);
	assert_int_equal(number(summary, "unchanged"), 1);
	json_decref(summary);
}

/* The types of a catalog that is there rule: a file cannot make its numbers texts. */
static void a_catalogs_types_stay(void **state)
{
	(void)state;
	cluster_fails(
		&cluster, "column 'Price': 'cheap' is not a number",
		CLI("catalog", "import", "things", cluster_file(&cluster, "more.csv", "Identity,Price\nc,cheap\n")));
	cluster_fails(&cluster, "never changes",
		      CLI("catalog", "import", "things", "--type", "Price=string",
			  cluster_file(&cluster, "more.csv", "Identity,Price\nc,1\n")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(importing_again_adds_nothing_twice),
		cmocka_unit_test(errors_name_line_and_column),
		cmocka_unit_test(refusals_name_the_line),
		cmocka_unit_test(a_pipe_of_ndjson),
		cmocka_unit_test(a_catalogs_columns_become_attributes),
		cmocka_unit_test(a_catalogs_types_stay),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
