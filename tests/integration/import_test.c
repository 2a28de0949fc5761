/* What people do with files: import, import again, append, mend, pipe. Through the command line, into a real server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

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

/* The attributes of an item, on one line. */
static void assert_attributes(const char *catalog, const char *item, const char *expected)
{
	json_t *json = cluster_json(&cluster, CLI("catalog", "get", catalog, item, "--json"));
	char *text = json_dumps(json_object_get(json, "attributes"), JSON_COMPACT | JSON_REAL_PRECISION(15));
	assert_string_equal(text, expected);
	free(text);
	json_decref(json);
}

static void a_catalogs_columns_become_attributes(void **state)
{
	(void)state;
	cluster_ok(&cluster, CLI("catalog", "import", "things",
				 cluster_file(&cluster, "things.csv",
					      "Identity,Name,ImageURL,Price,In Stock,tags,code\n"
					      "a,\"Shoe, red\",http://i/a.jpg,9.95,yes,red|warm,007\n"
					      "b,Sock,,4,no,,008\n")));
	assert_attributes("things", "a",
			  "{\"Price\":9.95,\"in_stock\":true,\"tags\":[\"red\",\"warm\"],\"code\":\"007\"}");
	json_t *item = cluster_json(&cluster, CLI("catalog", "get", "things", "a", "--json"));
	assert_string_equal(json_string_value(json_object_get(item, "name")), "Shoe, red");
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

#define AS_WRITTEN                                                                                                     \
	"--decimal-comma", "--unit", "EUR", "--unit", "\xe2\x82\xac", "--time-format", "%d.%m.%Y", "--time-format",    \
		"%d.%m.%Y %H:%M"

static void a_catalog_as_europe_writes_it(void **state)
{
	static const char csv[] = "id;price;weight;since\n"
				  "a;9,95 EUR;1.299;24.12.2026\n"
				  "b;1.299,00 \xe2\x82\xac;0,5;24.12.2026 18:30\n";
	(void)state;
	cluster_ok(&cluster, CLI("catalog", "import", "europe", AS_WRITTEN, cluster_file(&cluster, "europe.csv", csv)));
	assert_attributes("europe", "a", "{\"price\":9.95,\"weight\":1299,\"since\":\"2026-12-24T00:00:00Z\"}");
	assert_attributes("europe", "b", "{\"price\":1299,\"weight\":0.5,\"since\":\"2026-12-24T18:30:00Z\"}");

	/* a number of JSON is a number, a string is what was written */
	cluster_ok(
		&cluster,
		CLI("catalog", "import", "europe", AS_WRITTEN,
		    cluster_file(&cluster, "europe.ndjson",
				 "{\"id\":\"c\",\"price\":\"EUR 9,95\",\"weight\":1.299,\"since\":\"1.2.2026\"}\n")));
	assert_attributes("europe", "c", "{\"price\":9.95,\"weight\":1.299,\"since\":\"2026-02-01T00:00:00Z\"}");

	/* without the options each value says which it needs, and in another notation each is an error */
	struct output output =
		cluster_run(&cluster, CLI("catalog", "import", "europe", cluster_file(&cluster, "europe.csv", csv)));
	assert_int_equal(output.code, EX_DATAERR);
	assert_non_null(strstr(output.err, "europe.csv:2: column 'price': '9,95 EUR' is not a number (1299.95); "
					   "say --decimal-comma --unit 'EUR' to read 9.95"));
	output_free(&output);
	cluster_fails(
		&cluster,
		"column 'since': '24.12.2026' is not a time of the years 1 to 9999 (ISO 8601, or seconds or "
		"milliseconds since 1970); say --time-format '%d.%m.%Y'",
		CLI("catalog", "import", "europe", cluster_file(&cluster, "days.csv", "id,since\nd,24.12.2026\n")));
	cluster_fails(&cluster, "column 'price': '9.95' is not a number (1.299,95 by --decimal-comma)",
		      CLI("catalog", "import", "europe", AS_WRITTEN,
			  cluster_file(&cluster, "points.csv", "id,price\nd,9.95\n")));
	cluster_fails(&cluster, "price: '9,95' is not a number (1299.95)\n",
		      CLI("catalog", "set", "europe", "a", "price=9,95"));
}

static void events_as_europe_writes_them(void **state)
{
	static const char csv[] = "user;item;event;time;weight\n"
				  "e1;a;Viewed;24.12.2025 18:30;1,5\n"
				  "e1;b;Viewed;25.12.2025;1.000\n"
				  "e1;c;Viewed;29.02.2025;1,5\n";
	(void)state;
	struct output output = cluster_run(
		&cluster, CLI("events", "import", "europe", AS_WRITTEN, cluster_file(&cluster, "europe.csv", csv)));
	assert_int_equal(output.code, 0);
	assert_non_null(strstr(output.err, "europe.csv:4: column 'time': '29.02.2025' is not a time "));
	output_free(&output);
	json_t *history = cluster_json(&cluster, CLI("events", "list", "e1", "--json"));
	const json_t *events = json_object_get(history, "events");
	assert_int_equal(json_array_size(events), 2);
	const json_t *newest = json_array_get(events, 0), *first = json_array_get(events, 1);
	assert_string_equal(json_string_value(json_object_get(newest, "time")), "2025-12-25T00:00:00Z");
	assert_true(json_number_value(json_object_get(newest, "weight")) == 1000);
	assert_string_equal(json_string_value(json_object_get(first, "time")), "2025-12-24T18:30:00Z");
	assert_true(json_number_value(json_object_get(first, "weight")) == 1.5);
	json_decref(history);

	output = cluster_run(&cluster, CLI("events", "import", "europe",
					   cluster_file(&cluster, "weights.csv",
							"user,item,event,time,weight\ne2,a,Viewed,2025-12-24,\"1,5\"\n"
							"e2,a,Viewed,24.12.2025 18:30,\n")));
	assert_int_equal(output.code, EX_DATAERR);
	assert_non_null(strstr(output.err, "weights.csv:2: column 'weight': '1,5' is not a number (1299.95); say "
					   "--decimal-comma to read 1.5\n"));
	assert_non_null(strstr(output.err, "since 1970); say --time-format '%d.%m.%Y %H:%M'\n"));
	output_free(&output);
}

static void prices_with_thousands(void **state)
{
	static const char csv[] = "id;price;stock\na;$1,299.00;12,345\nb;$9.95;7\nc;$1,29.00;1\n";
	const char *path = cluster_file(&cluster, "us.csv", csv);
	(void)state;
	struct output output = cluster_run(&cluster, CLI("catalog", "import", "us", path, "--thousands", ",", "--unit",
							 "$", "--type", "price=number"));
	assert_int_equal(output.code, 0);
	assert_non_null(
		strstr(output.err, "us.csv:4: column 'price': '$1,29.00' is not a number (1,299.95 by --thousands)"));
	output_free(&output);
	assert_attributes("us", "a", "{\"price\":1299,\"stock\":12345}");
	assert_attributes("us", "b", "{\"price\":9.95,\"stock\":7}");
	output = cluster_run(&cluster, CLI("catalog", "import", "us", cluster_file(&cluster, "us.csv", csv),
					   "--thousands", ",", "--decimal-comma"));
	assert_int_equal(output.code, EX_USAGE);
	output_free(&output);

	/* without the option each value is an error that names it, or a text that is warned of */
	cluster_fails(&cluster,
		      "column 'stock': '12,345' is not a number (1299.95); say --decimal-comma to read 12.345, or "
		      "--thousands ',' to read 12345",
		      CLI("catalog", "import", "us", cluster_file(&cluster, "us.csv", "id;stock\na;12,345\n")));
	output = cluster_run(&cluster, CLI("catalog", "import", "us-texts",
					   cluster_file(&cluster, "us.csv", "id;price\na;$1,299.00\nb;$9.95\n")));
	assert_int_equal(output.code, 0);
	assert_non_null(strstr(output.err, "say --thousands ',' --unit '$' to read 1299"));
	output_free(&output);
}

static struct output import_weights(const char *weights, const char *more)
{
	char csv[300];
	snprintf(csv, sizeof csv, "user;item;event;time;weight\n%s", weights);
	return cluster_run(&cluster, CLI("events", "import", "us", cluster_file(&cluster, "weights.csv", csv), more));
}

/* A weight that may be a thousand times as much is told, when no other one of the file says which it is. */
static void weights_that_may_be_others_are_told(void **state)
{
	static const char unclear[] =
		"w1;a;Viewed;2025-12-24;1.299\nw1;b;Viewed;2025-12-24;\nw2;a;Viewed;2025-12-24;3\n";
	(void)state;
	struct output output = import_weights(unclear, NULL);
	assert_int_equal(output.code, 0);
	assert_non_null(strstr(output.err,
			       "warning: column 'weight': weights such as '1.299' were taken as numbers with a "
			       "decimal point (1299.95); say --decimal-comma to read 1299; "));
	output_free(&output);
	output = import_weights(unclear, "--decimal-comma");
	assert_int_equal(output.code, 0);
	assert_null(strstr(output.err, "warning: column 'weight'"));
	output_free(&output);
	output = import_weights("w3;a;Viewed;2025-12-24;1.299\nw3;b;Viewed;2025-12-24;0.5\n", NULL);
	assert_int_equal(output.code, 0);
	assert_null(strstr(output.err, "warning: column 'weight'"));
	output_free(&output);
	output = import_weights("w4;a;Viewed;2025-12-24;1,299\nw4;b;Viewed;2025-12-24;1,5\n", "--thousands=,");
	assert_int_equal(output.code, 0);
	assert_non_null(
		strstr(output.err, "weights.csv:3: column 'weight': '1,5' is not a number (1,299.95 by --thousands)"));
	output_free(&output);
	json_t *history = cluster_json(&cluster, CLI("events", "list", "w4", "--json"));
	const json_t *event = json_array_get(json_object_get(history, "events"), 0);
	assert_true(json_number_value(json_object_get(event, "weight")) == 1299);
	json_decref(history);
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
		cmocka_unit_test(a_catalog_as_europe_writes_it),
		cmocka_unit_test(events_as_europe_writes_them),
		cmocka_unit_test(prices_with_thousands),
		cmocka_unit_test(weights_that_may_be_others_are_told),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
