/* What the command line says and leaves behind when something is not as it should be. Through the command line, into a real server. */
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

#define EX_INVALID 64

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

/* A file of the cluster's home with this text; the path is valid until the next call. */
static const char *file(const char *name, const char *text)
{
	static char path[256];
	snprintf(path, sizeof path, "%s/%s", cluster.home, name);
	FILE *out = fopen(path, "w");
	assert_non_null(out);
	fputs(text, out);
	assert_int_equal(fclose(out), 0);
	return path;
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
	const char *users = file("users.txt", "u1\n");
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
				 file("bom.csv", "\xef\xbb\xbfuser,item,event,time\n"
						 "bom-1,a0,Viewed,2026-11-01T10:00:00Z\n"
						 " bom-2 ,a0,Viewed,2026-11-01T10:00:00Z\n")));
	struct output output = cluster_run(&cluster, CLI("recommend", "wanted-next", "--users-file",
							 file("users.txt", "\xef\xbb\xbf"
									   "bom-1\n\t bom-2 \r\n  \n"),
							 "--quiet"));
	assert_int_equal(output.code, 0);
	assert_int_equal(count_of(output.out, "\n"), 2);
	assert_non_null(strstr(output.out, "\"bom-1\""));
	assert_non_null(strstr(output.out, "\"bom-2\""));
	output_free(&output);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_disk_is_told),
		cmocka_unit_test(users_are_read_as_the_importers_read_them),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
