/*
 * The README's recipes for a backup and its restoring, word for word: taken while events come in, put back after the
 * server was killed and its data directory was lost; what it answers then is what it answered before.
 */
#include "lib/api.h"
#include "lib/small_shop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SKIPPED 77
#define OPTIONS "--workers", "2", "--build-every-minutes", "0"

static struct cluster cluster;

static int setup(void **state)
{
	(void)state;
	cluster_init(&cluster);
	cluster_start(&cluster, CLI(OPTIONS));
	small_shop_load(&cluster);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cluster_fini(&cluster);
	return 0;
}

/*
 * The lines of the README's block that begins with `first`, run in the home by a shell as a user would; what they print
 * is the output's. They are indented by four spaces, as Markdown has it, and end at an empty line.
 */
static struct output run_recipe(const char *first)
{
	char command[1024];
	snprintf(command, sizeof command,
		 "cd '%s' && awk -v first='    %s' '$0 == first { on = 1 } on && !NF { exit } on { print substr($0, 5) "
		 "}' "
		 "'" TEST_SOURCE "/README.md' >recipe && test -s recipe && bash recipe",
		 cluster.home, first);
	return program_run("/bin/sh", NULL, CLI("-c", command));
}

/* What the server says; free it. */
static char *answer(const char *const *arguments)
{
	struct output output = cluster_run(&cluster, arguments);
	if (output.code != 0)
		fail_msg("%s: %s", arguments[0], output.err);
	free(output.err);
	return output.out;
}

enum { ANSWERS = 7 };

/*
 * Histories, catalogs, definitions, models, and what is recommended, from each generation; without those who came
 * during the backup, of whom each shard has those up to its own moment.
 */
static void take_answers(char *answers[ANSWERS])
{
	char as_of[32];
	static long long now;
	now = now ? now : (long long)time(NULL);
	snprintf(as_of, sizeof as_of, "%lld", now);
	answers[0] = answer(CLI("events", "list", "u7", "--json"));
	answers[1] = answer(CLI("catalog", "get", "shop", "a3", "--json"));
	answers[2] = answer(CLI("definitions", "list", "--json"));
	answers[3] = answer(CLI("model", "list", "--json"));
	answers[4] = answer(CLI("model", "show", "1", "--json"));
	for (int i = 0; i < 2; i++) {
		char out[256], sorted[600];
		snprintf(out, sizeof out, "%s/answers", cluster.home);
		snprintf(sorted, sizeof sorted, "grep -v '\"busy' '%s' | LC_ALL=C sort", out);
		cluster_ok(&cluster,
			   CLI("export", "wanted-next", "--out", out, "--as-of", as_of, "--generation", i ? "2" : "1"));
		struct output output = program_run("/bin/sh", NULL, CLI("-c", sorted));
		assert_int_equal(output.code, 0);
		answers[5 + i] = output.out;
		free(output.err);
	}
}

/* Events of users of their own, until it is killed. */
static pid_t keep_ingesting(void)
{
	pid_t pid = fork();
	if (pid)
		return pid;
	struct rpc_client *client = api_open(&cluster);
	for (unsigned i = 0;; i++) {
		char user[32];
		snprintf(user, sizeof user, "busy%u", i);
		api_ingest(client, "shop", user, "a1", "Viewed", NULL);
	}
}

/* Over HTTP: a process that has used gRPC cannot be forked. */
static uint64_t accepted(void)
{
	return cluster_metric(&cluster, "kindred_events_accepted");
}

static bool some_more(void *before)
{
	return accepted() > *(uint64_t *)before + 20;
}

static bool as_many(void *before)
{
	return accepted() >= *(uint64_t *)before;
}

/* No file of it may be read by others: they are users' histories. */
static void expect_private(const char *folder)
{
	char path[256];
	struct stat info;
	snprintf(path, sizeof path, "%s/%s", cluster.home, folder);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 077, 0);
}

static void test_backup_and_restore(void **state)
{
	char *before[ANSWERS], *after[ANSWERS];
	struct output output;
	(void)state;
	cluster_ok(&cluster, CLI("model", "build", "--no-reuse"));
	cluster_ok(&cluster, CLI("model", "rollback"));
	cluster_ok(&cluster, CLI("catalog", "set", "shop", "a3", "in_stock=false"));
	cluster_file(&cluster, "data/kindred.yaml", "history_cap: 900\n");
	uint64_t events = accepted();
	pid_t ingesting = keep_ingesting();
	wait_until("events come in", some_more, &events);
	events = accepted();
	output = run_recipe("(");
	if (output.code != 0 || strcmp(output.out, "the backup is whole\n") != 0)
		fail_msg("the backup ended with %d: %s%s", output.code, output.out, output.err);
	output_free(&output);
	assert_int_equal(kill(ingesting, SIGKILL), 0);
	process_wait(ingesting);
	expect_private("backup");
	take_answers(before);
	/* what comes after the backup is not in it */
	cluster_ok(&cluster, CLI("events", "add", "shop", "--user", "u7", "--item", "b1", "--event", "Viewed"));
	cluster_ok(&cluster, CLI("definitions", "delete", "wanted-next", "--yes"));

	cluster_kill(&cluster);
	output = run_recipe("mv data data.before");
	if (output.code != 0)
		fail_msg("the recipe ended with %d: %s", output.code, output.err);
	output_free(&output);
	expect_private("data");
	cluster_start(&cluster, CLI(OPTIONS));
	wait_until("the events before the backup are there", as_many, &events);
	take_answers(after);
	for (int i = 0; i < ANSWERS; i++) {
		if (strcmp(before[i], after[i]) != 0)
			fail_msg("before:\n%.2000s\nafter:\n%.2000s", before[i], after[i]);
		free(before[i]);
		free(after[i]);
	}
	/* and it lives */
	cluster_ok(&cluster, CLI("events", "add", "shop", "--user", "u7", "--item", "b1", "--event", "Viewed"));
	cluster_ok(&cluster, CLI("model", "build"));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_backup_and_restore) };
	struct output found = program_run("/bin/sh", NULL, CLI("-c", "command -v mdb_copy"));
	bool missing = found.code != 0;
	output_free(&found);
	if (missing) {
		print_message("skipped: backup and restore, mdb_copy (lmdb-utils) is not installed\n");
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
