/*
 * What is damaged or in the way is told to clients with its name, and with what to do, but where on the server's disk
 * the data directory is, only the log knows. And a server that works in its data directory still finds what its
 * options name with relative paths.
 */
#include "lib/api.h"
#include "lib/damage.h"
#include "lib/small_shop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DAMAGED "damaged"
#define OPTIONS "--workers", "2", "--build-every-minutes", "0"

static struct cluster cluster;
static uint32_t shard; /* of the damaged history */

static int setup(void **state)
{
	(void)state;
	cluster_init(&cluster);
	cluster_start(&cluster, CLI(OPTIONS));
	small_shop_load(&cluster);
	cluster_stop(&cluster);
	shard = damage_history(&cluster, DAMAGED);
	cluster_start(&cluster, CLI(OPTIONS));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cluster_fini(&cluster);
	return 0;
}

/* In what the command says. */
static void expect_told(const char *text, const char *const *arguments)
{
	struct output output = cluster_run(&cluster, arguments);
	if (!strstr(output.out, text) && !strstr(output.err, text))
		fail_msg("\"%s\" is not in: %s%s", text, output.out, output.err);
	if (strstr(output.out, cluster.home) || strstr(output.err, cluster.home))
		fail_msg("the server's directory is in: %s%s", output.out, output.err);
	output_free(&output);
}

static void expect_logged(const char *format, const char *text)
{
	char line[512], command[1024];
	snprintf(line, sizeof line, format, cluster.home, text);
	snprintf(command, sizeof command, "grep -qF -e '%s' '%s/server.log'", line, cluster.home);
	struct output output = program_run("/bin/sh", NULL, CLI("-c", command));
	if (output.code != 0)
		fail_msg("\"%s\" is not in the log", line);
	output_free(&output);
}

static void test_a_damaged_history(void **state)
{
	char text[160], list[256];
	(void)state;
	snprintf(text, sizeof text,
		 "shards/%03u: the history of user \"" DAMAGED "\" is damaged; delete the user or restore a backup",
		 (unsigned)shard);
	snprintf(list, sizeof list, "%s", cluster_file(&cluster, "users.txt", "u1\n" DAMAGED "\n"));
	expect_told(text, CLI("recommend", "wanted-next", DAMAGED));
	/* in JSON, quotes are not as in the text */
	text[strlen("shards/000: the history of user")] = '\0';
	expect_told(text, CLI("recommend", "wanted-next", "--users-file", list));
	expect_told(text, CLI("export", "wanted-next", "--format", "csv"));
	expect_told(text, CLI("events", "list", DAMAGED));
	expect_told(text, CLI("events", "add", "shop", "--user", DAMAGED, "--item", "a1", "--event", "Viewed"));
	expect_logged(" data %s/data generation %s", "");
}

/* A generation is never replaced, so a file where the next one is to be makes a build fail. */
static void test_a_build_that_fails(void **state)
{
	(void)state;
	cluster_file(&cluster, "data/models/00000002.kindred", "in the way");
	expect_told("models/00000002.kindred is there already", CLI("model", "build"));
	expect_told("models/00000002.kindred is there already", CLI("model", "status"));
	expect_logged("build of %s/data: %s", "models/00000002.kindred is there already");
}

/* What is in the way is kept as the generation before; it is no model. */
static void test_a_damaged_model(void **state)
{
	(void)state;
	cluster_ok(&cluster, CLI("model", "build"));
	expect_told("models/00000002.kindred: 10 bytes are too few for a model", CLI("model", "rollback"));
	cluster_ok(&cluster, CLI("recommend", "wanted-next", "u1"));
}

/* All that the options and the environment name is relative to where the server was started. No builder is there. */
static void test_relative_paths(void **state)
{
	(void)state;
	assert_int_equal(cluster_stop(&cluster), 0);
	assert_int_equal(chdir(cluster.home), 0);
	assert_int_equal(mkdir("bin", 0700), 0);
	assert_int_equal(symlink(TEST_BIN "/kindred-worker", "bin/kindred-worker"), 0);
	assert_int_equal(setenv("KINDRED_BIN", "bin", 1), 0);
	cluster_start(&cluster, CLI(OPTIONS, "--data", "data", "--port-file", "ports"));
	unsetenv("KINDRED_BIN");
	cluster_ok(&cluster, CLI("recommend", "wanted-next", "u1"));
	expect_told("cannot start the builder: no such file", CLI("model", "build"));
	expect_logged("cannot start %s/bin/kindred-builder: %s", "no such file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_damaged_history),
		cmocka_unit_test(test_a_build_that_fails),
		cmocka_unit_test(test_a_damaged_model),
		cmocka_unit_test(test_relative_paths),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
