/*
 * What the command line says and leaves behind when something is not as it should be. Through the
 * command line, into a real server.
 */
#include "lib/api.h"
#include "lib/cluster.h"
#include "lib/small_shop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

static struct cluster cluster;

static int setup(void **state)
{
	(void)state;
	setenv("KINDRED_WORKER", "4", 1);
	small_shop_open(&cluster, NULL);
	unsetenv("KINDRED_WORKER");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	small_shop_close(&cluster, NULL);
	return 0;
}

static struct output shell(const char *arguments)
{
	char command[600];
	snprintf(command, sizeof command, "%s/kindred %s", TEST_BIN, arguments);
	return program_run("/bin/sh", cluster.address, CLI("-c", command));
}

static unsigned count_of(const char *text, const char *part)
{
	unsigned count = 0;
	for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part))
		count++;
	return count;
}

/* One attempt to connect that fails oddly is not yet a server that is not there. */
static void an_odd_failure_to_connect_is_tried_again(void **state)
{
	char command[700];
	(void)state;
	snprintf(command, sizeof command,
		 "ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0 LD_PRELOAD=%s/odd_connect.so "
		 "%s/kindred "
		 "status",
		 TEST_BIN, TEST_BIN);
	struct output output = program_run("/bin/sh", cluster.address, CLI("-c", command));
	if (output.code != 0)
		fail_msg("%s", output.err);
	output_free(&output);
}

/* A full disk is told, once, and is no success, whatever the command. */
static void a_full_disk_is_told(void **state)
{
	static const char *const commands[] = { "status",
						"status --json",
						"recommend wanted-next u1",
						"help",
						"catalog items shop",
						"catalog items shop --json --limit 0",
						"catalog list",
						"catalog list --json",
						"model list",
						"recommend --help",
						"--version",
						"recommend wanted-next --users-file" };
	const char *users = cluster_file(&cluster, "users.txt", "u1\n");
	(void)state;
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		char line[400];
		snprintf(line, sizeof line, "%s %s > /dev/full", commands[i],
			 strstr(commands[i], "--users-file") ? users : "");
		struct output output = shell(line);
		if (output.code != EX_IOERR || count_of(output.err, "cannot write to standard output") != 1 ||
		    (i == 0 && !strstr(output.err, ": No space left on device")))
			fail_msg("%s: %d, \"%s\"", commands[i], output.code, output.err);
		output_free(&output);
	}
}

/* An id is the same text in every file. */
static void users_are_read_as_the_importers_read_them(void **state)
{
	(void)state;
	cluster_ok(&cluster, CLI("events", "import", "shop",
				 cluster_file(&cluster, "bom.csv",
					      "\xef\xbb\xbfuser,item,event,time\n"
					      "bom-1,a0,Viewed,2026-11-01T10:00:00Z\n"
					      " bom-2 ,a0,Viewed,2026-11-01T10:00:00Z\n")));
	struct output output = cluster_run(&cluster, CLI("recommend", "wanted-next", "--users-file",
							 cluster_file(&cluster, "users.txt",
								      "\xef\xbb\xbf"
								      "bom-1\n\t bom-2 \r\n  \n"),
							 "--quiet"));
	assert_int_equal(output.code, 0);
	assert_int_equal(count_of(output.out, "\n"), 2);
	assert_non_null(strstr(output.out, "\"bom-1\""));
	assert_non_null(strstr(output.out, "\"bom-2\""));
	output_free(&output);
}

/* A user's id is of who made it up: it must not steer the terminal. */
static void ids_cannot_steer_the_terminal(void **state)
{
	static const char *const user = "a\x1b[2Jb";
	static const char *const commands[][6] = {
		{ "recommend", "wanted-next", user },
		{ "events", "list", user },
		{ "user", "delete", user, "--yes" },
		{ "user", "delete", user, "--yes" },
		{ "catalog", "delete", "shop", "d9\x1b[2J", "--yes" },
		{ "events", "import", "shop", NULL },
	};
	(void)state;
	char events[256];
	snprintf(events, sizeof events, "%s",
		 cluster_file(&cluster, "odd.csv", "user,item,event,time\nu1,a0,\x1b[2J,2026-11-01\n"));
	cluster_ok(&cluster, CLI("events", "add", "shop", "--user", user, "--item", "a0", "--event", "Viewed"));
	cluster_ok(&cluster,
		   CLI("catalog", "import", "shop",
		       cluster_file(&cluster, "esc.ndjson", "{\"id\":\"d9\\u001b[2J\",\"category\":\"d\"}\n")));
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		const char *command[8];
		memcpy(command, commands[i], sizeof commands[i]);
		command[6] = NULL;
		if (strcmp(command[1], "import") == 0)
			command[3] = events;
		struct output output = cluster_run(&cluster, command);
		assert_int_equal(output.code, 0);
		assert_null(strchr(output.out, '\x1b'));
		assert_null(strchr(output.err, '\x1b'));
		output_free(&output);
	}
}

/* What is deleted, or made, is told as an object to who asked for JSON. */
static void json_is_printed_on_success(void **state)
{
	char data[200];
	(void)state;
	cluster_ok(&cluster, CLI("catalog", "create", "gone"));
	cluster_ok(&cluster, CLI("catalog", "import", "gone", cluster_file(&cluster, "gone.csv", "id\nx\n")));
	json_t *item = cluster_json(&cluster, CLI("catalog", "delete", "gone", "x", "--yes", "--json"));
	assert_string_equal(json_string_value(json_object_get(item, "item_id")), "x");
	assert_true(json_is_true(json_object_get(item, "deleted")));
	json_decref(item);
	cluster_ok(&cluster, CLI("define", "gone-next", "--catalog", "gone", "--event", "Viewed"));
	json_t *definition = cluster_json(&cluster, CLI("definitions", "delete", "gone-next", "--yes", "--json"));
	assert_string_equal(json_string_value(json_object_get(definition, "definition")), "gone-next");
	json_decref(definition);
	json_t *catalog = cluster_json(&cluster, CLI("catalog", "delete", "gone", "--yes", "--json"));
	assert_string_equal(json_string_value(json_object_get(catalog, "catalog")), "gone");
	assert_null(json_object_get(catalog, "item_id"));
	json_decref(catalog);
	snprintf(data, sizeof data, "%s/more", cluster.home);
	json_t *made = cluster_json(&cluster, CLI("init", data, "--shards", "8", "--json"));
	assert_string_equal(json_string_value(json_object_get(made, "data")), data);
	assert_int_equal(json_integer_value(json_object_get(made, "shards")), 8);
	json_decref(made);
}

static void the_address_is_checked(void **state)
{
	(void)state;
	cluster_fails(&cluster, "server address 'localhost': give it as HOST:PORT",
		      CLI("status", "--server", "localhost"));
}

static void what_a_deletion_drops_is_said_so(void **state)
{
	(void)state;
	struct output output = cluster_run(&cluster, CLI("user", "delete", "nobody", "--yes"));
	assert_non_null(strstr(output.out, "are dropped from now on"));
	output_free(&output);
	output = cluster_run(&cluster, CLI("events", "add", "shop", "--user", "nobody", "--item", "a0", "--event",
					   "Viewed", "--time", "2026-01-01T00:00:00Z"));
	assert_non_null(strstr(output.err, "dropped: "));
	assert_non_null(strstr(output.err, "or than the user's deletion"));
	output_free(&output);
	output = cluster_run(&cluster,
			     CLI("events", "import", "shop",
				 cluster_file(&cluster, "old.csv",
					      "user,item,event,time\nnobody,a0,Viewed,2026-01-01T00:00:00Z\n")));
	assert_int_equal(output.code, 0);
	assert_non_null(strstr(output.out, "the user's deletion"));
	output_free(&output);
}

static void files_without_rows_are_refused(void **state)
{
	static const char *const kinds[] = { "events", "catalog" };
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct output output =
			cluster_run(&cluster, CLI(kinds[i], "import", "shop",
						  cluster_file(&cluster, "empty.csv", "id,user,item,event,time\n")));
		assert_int_equal(output.code, EX_DATAERR);
		assert_non_null(strstr(output.err, "has a header and no rows"));
		output_free(&output);
		output = cluster_run(
			&cluster,
			CLI(kinds[i], "import", "shop",
			    cluster_file(&cluster, "mac.csv", "id,user,item,event,time\r1,u,a0,Viewed,2026-11-01\r")));
		assert_int_equal(output.code, EX_DATAERR);
		assert_non_null(strstr(output.err, "mac.csv: its lines end with CR alone"));
		output_free(&output);
	}
}

/* 64: the command is wrong; 65: what is in the file; 66: there is no such file; for every command that reads one. */
static void the_exit_code_tells_what_is_wrong(void **state)
{
	static const struct {
		int code;
		const char *arguments;
	} cases[] = {
		{ EX_DATAERR, "events import shop %s/bad.csv" },
		{ EX_DATAERR, "events import shop %s/half.csv --on-error abort" },
		{ EX_DATAERR, "events import shop %s/half.csv --max-errors 0" },
		{ EX_DATAERR, "catalog import codes %s/bad.csv --id item --type time=number" },
		{ EX_DATAERR, "catalog import codes %s/half.csv --id item --type time=timestamp --on-error abort" },
		{ EX_DATAERR, "catalog import codes %s/half.csv --id item --type time=timestamp --max-errors 0" },
		{ EX_DATAERR, "recommend wanted-next --users-file %s/long.txt" },
		{ EX_USAGE, "events import shop %s/half.csv --user nobody" },
		{ EX_USAGE, "catalog import codes %s/half.csv --id item --type price=number" },
		{ EX_USAGE, "events import shop %s/half.csv --time-format %%H:%%M" },
		{ EX_USAGE, "catalog import codes %s/half.csv --unit 5" },
		{ EX_USAGE, "events import shop %s" },
		{ EX_USAGE, "recommend wanted-next --users-file %s" },
		{ EX_NOINPUT, "events import shop %s/none.csv" },
		{ EX_NOINPUT, "catalog import codes %s/none.csv" },
		{ EX_NOINPUT, "recommend wanted-next --users-file %s/none.txt" },
	};
	char line[400], name[400];
	(void)state;
	cluster_file(&cluster, "bad.csv", "user,item,event,time\nu1,a0,Viewed,x\n");
	cluster_file(&cluster, "half.csv", "user,item,event,time\nu1,a0,Viewed,x\nu1,a0,Viewed,2026-11-01\n");
	memset(name, 'u', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	cluster_file(&cluster, "long.txt", name);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(line, sizeof line, cases[i].arguments, cluster.home);
		struct output output = shell(line);
		if (output.code != cases[i].code)
			fail_msg("%s: %d, \"%s\"", line, output.code, output.err);
		output_free(&output);
	}
}

/* What a file is that an office program or another country made, and how to read it. */
static void files_of_elsewhere_are_understood(void **state)
{
	static const char zip[] = "PK\x03\x04";
	(void)state;
	struct output output =
		cluster_run(&cluster, CLI("catalog", "import", "office", cluster_file(&cluster, "office.xlsx", zip)));
	assert_int_equal(output.code, EX_DATAERR);
	assert_non_null(strstr(output.err, "office.xlsx: it is a spreadsheet or a ZIP archive; save it as CSV"));
	output_free(&output);
	output = cluster_run(&cluster,
			     CLI("catalog", "import", "prices",
				 cluster_file(&cluster, "prices.csv",
					      "id;price;since\na;9,95 EUR;24.12.2025\nb;1.200,00 EUR;1.2.2025\n")));
	assert_int_equal(output.code, 0);
	assert_non_null(strstr(output.err, "warning: values such as '9,95 EUR' are kept as texts, "));
	assert_non_null(strstr(output.err, "; say --decimal-comma --unit 'EUR' to read 9.95\n"));
	assert_non_null(strstr(output.err, "warning: values such as '24.12.2025' are kept as texts, "));
	assert_non_null(strstr(output.err, "; say --time-format '%d.%m.%Y'\n"));
	assert_non_null(strstr(output.err,
			       "a type never changes: to read the values that were warned of, `kindred catalog "
			       "delete prices --yes` and import again\n"));
	output_free(&output);
	cluster_ok(&cluster, CLI("catalog", "delete", "prices", "--yes"));
	output = cluster_run(&cluster, CLI("events", "import", "shop",
					   cluster_file(&cluster, "days.csv",
							"user;item;event;time\nu1;a0;Viewed;24.12.2025 18:00\n")));
	assert_int_equal(output.code, EX_DATAERR);
	assert_non_null(strstr(output.err, "say --time-format '%d.%m.%Y %H:%M'"));
	output_free(&output);
}

static void a_wrong_command_is_told_shortly(void **state)
{
	(void)state;
	struct output output = cluster_run(&cluster, CLI("definition", "get", "wanted-next"));
	assert_int_equal(output.code, EX_USAGE);
	assert_non_null(strstr(output.err, "there is no command 'definition'; do you mean 'kindred define' or"));
	assert_non_null(strstr(output.err, "; kindred help lists them\n"));
	assert_int_equal(count_of(output.err, "\n"), 1);
	output_free(&output);
	output = cluster_run(&cluster, CLI("catalog", "show"));
	assert_non_null(strstr(output.err, "there is no command 'catalog show'; kindred help catalog lists them\n"));
	output_free(&output);
	output = program_run("kindred", NULL, CLI("--server"));
	assert_int_equal(output.code, 64);
	assert_non_null(strstr(output.err, "--server: give HOST:PORT"));
	output_free(&output);
}

/* Types guessed from rows of which none is good would stay with the catalog for ever. */
static void a_failed_import_makes_no_catalog(void **state)
{
	(void)state;
	cluster_fails(&cluster, "nothing was imported",
		      CLI("catalog", "import", "failed", "--type", "price=number",
			  cluster_file(&cluster, "failed.csv", "id,price\na,cheap\nb,dear\n")));
	cluster_fails(&cluster, "failed", CLI("catalog", "get", "failed"));
	cluster_ok(&cluster, CLI("catalog", "import", "failed", "--type", "price=string",
				 cluster_file(&cluster, "failed.csv", "id,price\na,cheap\nb,dear\n")));
	cluster_fails(&cluster, "`kindred catalog delete failed --yes`",
		      CLI("catalog", "import", "failed", "--type", "price=number",
			  cluster_file(&cluster, "failed.csv", "id,price\na,1\n")));
	/* two errors in one row, and a good row: it is made, and each error is told once */
	struct output output = cluster_run(
		&cluster, CLI("catalog", "import", "half", "--type", "price=number", "--type", "size=number",
			      cluster_file(&cluster, "half.csv", "id,price,size\na,cheap,big\nb,1,2\n")));
	assert_int_equal(output.code, 0);
	assert_int_equal(count_of(output.err, "half.csv:2:"), 1);
	output_free(&output);
}

static void ids_of_ndjson_are_strings_or_whole_numbers(void **state)
{
	(void)state;
	struct output output =
		cluster_run(&cluster, CLI("catalog", "import", "ids",
					  cluster_file(&cluster, "ids.ndjson",
						       "{\"id\":{\"x\":1}}\n{\"id\":[1]}\n{\"id\":true}\n{\"id\":1.0}\n"
						       "{\"id\":7}\n{\"id\":\"{}\"}\n")));
	assert_int_equal(output.code, 0);
	for (unsigned line = 1; line <= 4; line++) {
		char place[64];
		snprintf(place, sizeof place, "ids.ndjson:%u: column 'id': an id is a string or", line);
		assert_non_null(strstr(output.err, place));
	}
	assert_non_null(strstr(output.out, "2 created"));
	output_free(&output);
}

static void event_types_beyond_the_list_are_counted(void **state)
{
	(void)state;
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	fputs("user,item,event,time\n", out);
	for (int i = 0; i < 40; i++)
		fprintf(out, "types,a0,T%d,2026-11-01T10:00:00Z\n", i);
	fclose(out);
	json_t *json = cluster_json(
		&cluster, CLI("events", "import", "shop", cluster_file(&cluster, "types.csv", text), "--json"));
	assert_int_equal(json_object_size(json_object_get(json, "types")), 32);
	assert_int_equal(json_integer_value(json_object_get(json, "other_types")), 8);
	json_decref(json);
	struct output output =
		cluster_run(&cluster, CLI("events", "import", "shop", cluster_file(&cluster, "types.csv", text)));
	assert_non_null(strstr(output.out, "and 8 events of other types"));
	output_free(&output);
	free(text);
}

/* What fails silently until somebody looks at a recommendation is said when it is made. */
static void slips_are_warned_of(void **state)
{
	(void)state;
	struct output output = cluster_run(&cluster, CLI("define", "slip", "--catalog", "shop", "--event", "viewed=2",
							 "--event", "Viewed", "--exclude", "Sold"));
	assert_int_equal(output.code, 0);
	assert_int_equal(count_of(output.err, "warning: no event of type"), 2);
	assert_non_null(strstr(output.err, "'viewed' was ever sent; do you mean 'Viewed'?"));
	assert_non_null(strstr(output.err, "'Sold' was ever sent; types that were: "));
	assert_non_null(strstr(output.out, "slip is defined, version 1"));
	output_free(&output);
	output = cluster_run(&cluster, CLI("define", "slip", "--catalog", "shop", "--event", "viewed=2", "--quiet"));
	assert_string_equal(output.err, "");
	output_free(&output);
	output = cluster_run(&cluster, CLI("define", "slip", "--catalog", "shop", "--event", "Viewed"));
	assert_string_equal(output.err, "");
	output_free(&output);
	output = cluster_run(&cluster, CLI("status"));
	assert_non_null(strstr(output.out, "\n          types: "));
	output_free(&output);

	output = cluster_run(&cluster,
			     CLI("events", "add", "shop", "--user", "slip", "--item", "A0", "--event", "Viewed"));
	assert_int_equal(output.code, 0);
	assert_non_null(strstr(output.err, "warning: catalog 'shop' has no item 'A0'"));
	output_free(&output);
	output = cluster_run(&cluster, CLI("events", "import", "shop",
					   cluster_file(&cluster, "upper.csv",
							"user,item,event,time\nslip,A0,Viewed,2026-11-01\n"
							"slip,A1,Viewed,2026-11-01\nslip,a2,Viewed,2026-11-01\n")));
	assert_int_equal(output.code, 0);
	assert_non_null(strstr(output.err, "warning: 2 of 3 items of these events"));
	assert_non_null(strstr(output.err, "are not in catalog 'shop', such as 'A0'"));
	output_free(&output);
	cluster_ok(&cluster, CLI("definitions", "delete", "slip", "--yes"));
}

static void a_build_that_learns_nothing_says_so(void **state)
{
	(void)state;
	cluster_ok(&cluster, CLI("catalog", "import", "bare", cluster_file(&cluster, "bare.csv", "id\nx\ny\n")));
	cluster_ok(&cluster, CLI("define", "nothing", "--catalog", "shop", "--event", "Never"));
	cluster_ok(&cluster, CLI("define", "alone", "--catalog", "bare", "--event", "Lonely"));
	cluster_ok(&cluster, CLI("define", "top", "--catalog", "bare", "--event", "Lonely", "--window", "30d",
				 "--strategy", "popular"));
	cluster_ok(&cluster, CLI("events", "add", "bare", "--user", "slip", "--item", "x", "--event", "Lonely"));
	struct output output = cluster_run(&cluster, CLI("model", "build"));
	assert_int_equal(output.code, 0);
	assert_non_null(strstr(output.err, "warning: nothing of shop learnt from no event"));
	assert_non_null(strstr(output.err, "warning: alone of bare found no two items"));
	assert_int_equal(count_of(output.err, "warning:"), 2);
	output_free(&output);
	output = cluster_run(&cluster, CLI("recommend", "nothing", "u1"));
	assert_int_equal(output.code, 0);
	assert_non_null(strstr(output.out, "0 of 20: no candidates"));
	assert_null(strstr(output.out, "score"));
	output_free(&output);
	cluster_ok(&cluster, CLI("definitions", "delete", "nothing", "--yes"));
	cluster_ok(&cluster, CLI("definitions", "delete", "alone", "--yes"));
	cluster_ok(&cluster, CLI("definitions", "delete", "top", "--yes"));
	cluster_ok(&cluster, CLI("catalog", "delete", "bare", "--yes"));
}

/* A rule can be read to the byte, and steers no terminal. */
static void rules_are_shown_escaped(void **state)
{
	(void)state;
	cluster_ok(&cluster,
		   CLI("define", "odd", "--catalog", "shop", "--event", "View\x1b[2Jed", "--exclude", "Bought\x07",
		       "--filter", "category =\n\"\x1b[31mred\"", "--description", "for\x1b[5mus"));
	struct output output = cluster_run(&cluster, CLI("definitions", "get", "odd"));
	assert_null(strchr(output.out, '\x1b'));
	assert_null(strchr(output.out, '\x07'));
	assert_non_null(strstr(output.out, "odd, version 1: for\\x1b[5mus"));
	assert_non_null(strstr(output.out, "View\\x1b[2Jed=1"));
	assert_non_null(strstr(output.out, "category =\\n\"\\x1b[31mred\""));
	assert_non_null(strstr(output.out, "excluded  Bought\\x07"));
	output_free(&output);
	output = cluster_run(&cluster, CLI("definitions", "get", "odd", "--json"));
	assert_null(strchr(output.out, '\x1b'));
	output_free(&output);
	cluster_ok(&cluster, CLI("model", "build"));
	output = cluster_run(&cluster, CLI("model", "show"));
	assert_null(strchr(output.out, '\x1b'));
	assert_non_null(strstr(output.out, "key          View\\x1b[2Jed=1|window=0"));
	output_free(&output);
	cluster_ok(&cluster, CLI("definitions", "delete", "odd", "--yes"));
}

static void an_export_that_never_began_leaves_nothing(void **state)
{
	char out[200], part[220];
	(void)state;
	snprintf(out, sizeof out, "%s/none.ndjson", cluster.home);
	snprintf(part, sizeof part, "%s.part", out);
	cluster_fails(&cluster, "no-such", CLI("export", "no-such", "--out", out));
	assert_int_not_equal(access(part, F_OK), 0);
	cluster_fails(&cluster, "is a directory", CLI("export", "wanted-next", "--out", cluster.home));
}

/* A disk that is full is no reason to begin anew. */
static void an_export_that_found_no_room_goes_on(void **state)
{
	char line[600], out[200];
	(void)state;
	snprintf(out, sizeof out, "%s/room.ndjson", cluster.home);
	/* files of at most 8 blocks of 512 bytes, and no signal where one would grow beyond */
	snprintf(line, sizeof line, "trap '' XFSZ; ulimit -f 8; %s/kindred export wanted-next --out %s", TEST_BIN, out);
	struct output output = program_run("/bin/sh", cluster.address, CLI("-c", line));
	assert_int_equal(output.code, EX_OSERR);
	assert_non_null(strstr(output.err, "room.ndjson.part: File too large"));
	assert_non_null(strstr(output.err, "the same command with --continue goes on"));
	output_free(&output);
	cluster_ok(&cluster, CLI("export", "wanted-next", "--out", out, "--continue"));
	assert_int_equal(access(out, F_OK), 0);
}

/* A variable that nothing reads is a slip: the server's log says so. */
static void unknown_variables_are_warned_of(void **state)
{
	char path[200], log[4096] = "";
	(void)state;
	snprintf(path, sizeof path, "%s/server.log", cluster.home);
	FILE *in = fopen(path, "r");
	assert_non_null(in);
	assert_true(fread(log, 1, sizeof log - 1, in) > 0);
	fclose(in);
	assert_non_null(strstr(log, "KINDRED_WORKER, from the environment, is not a parameter"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_odd_failure_to_connect_is_tried_again),
		cmocka_unit_test(a_full_disk_is_told),
		cmocka_unit_test(users_are_read_as_the_importers_read_them),
		cmocka_unit_test(ids_cannot_steer_the_terminal),
		cmocka_unit_test(json_is_printed_on_success),
		cmocka_unit_test(the_address_is_checked),
		cmocka_unit_test(what_a_deletion_drops_is_said_so),
		cmocka_unit_test(files_without_rows_are_refused),
		cmocka_unit_test(the_exit_code_tells_what_is_wrong),
		cmocka_unit_test(files_of_elsewhere_are_understood),
		cmocka_unit_test(a_wrong_command_is_told_shortly),
		cmocka_unit_test(a_failed_import_makes_no_catalog),
		cmocka_unit_test(ids_of_ndjson_are_strings_or_whole_numbers),
		cmocka_unit_test(event_types_beyond_the_list_are_counted),
		cmocka_unit_test(unknown_variables_are_warned_of),
		cmocka_unit_test(slips_are_warned_of),
		cmocka_unit_test(a_build_that_learns_nothing_says_so),
		cmocka_unit_test(rules_are_shown_escaped),
		cmocka_unit_test(an_export_that_never_began_leaves_nothing),
		cmocka_unit_test(an_export_that_found_no_room_goes_on),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
