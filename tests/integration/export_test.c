/* `kindred export`: the whole audience in a file, each user once, whoever is killed meanwhile. */
#include "lib/api.h"
#include "lib/cluster.h"
#include "lib/small_shop.h"
#include "lib/victim.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define USERS (SMALL_SHOP_CROWD + SMALL_SHOP_USERS)

static struct cluster cluster;
static struct rpc_client *client;
static int64_t loaded_ms;

static int setup(void **state)
{
	(void)state;
	small_shop_open(&cluster, &client);
	loaded_ms = small_shop_crowd(&cluster);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	small_shop_close(&cluster, client);
	return 0;
}

static char *sorted(const char *path)
{
	char command[600];
	snprintf(command, sizeof command, "sort '%s'", path);
	struct output output = program_run("/bin/sh", NULL, CLI("-c", command));
	assert_int_equal(output.code, 0);
	free(output.err);
	return output.out;
}

static bool progress_or_end(void *context)
{
	pid_t *pid = context;
	char path[256];
	struct stat info;
	static ino_t last;
	snprintf(path, sizeof path, "%s/killed.ndjson.progress", cluster.home);
	if (waitpid(*pid, NULL, WNOHANG) == *pid) {
		*pid = 0;
		return true;
	}
	if (stat(path, &info) != 0 || info.st_ino == last)
		return false;
	last = info.st_ino;
	return true;
}

static pid_t pid_of_second(void)
{
	Kindred__V1__GetStatusResponse *status = api_status(client);
	pid_t pid = (pid_t)status->workers[1]->pid;
	kindred__v1__get_status_response__free_unpacked(status, NULL);
	return pid;
}

/*
 * Killed again and again, for the first time while a worker is held, so that it cannot be at its end; in the end the
 * file has the same lines as one that was written in one go.
 */
static void test_export_killed(void **state)
{
	char whole[256], killed[256], part[256], as_of[32];
	unsigned kills = 0;
	bool refused = false;
	(void)state;
	snprintf(whole, sizeof whole, "%s/whole.ndjson", cluster.home);
	snprintf(killed, sizeof killed, "%s/killed.ndjson", cluster.home);
	snprintf(part, sizeof part, "%s/killed.ndjson.part", cluster.home);
	snprintf(as_of, sizeof as_of, "%lld", (long long)(loaded_ms / 1000));
	json_t *summary = cluster_json(&cluster, CLI("export", "wanted-next", "--out", whole, "--count", "40",
						     "--with-names", "--as-of", as_of, "--json"));
	assert_int_equal(json_integer_value(json_object_get(summary, "users")), USERS);
	assert_int_equal(json_integer_value(json_object_get(summary, "generation")), api_active_generation(client));
	json_decref(summary);
	pid_t held = pid_of_second();
	assert_int_equal(kill(held, SIGSTOP), 0);
	for (pid_t pid = 1; pid && kills < 8;) {
		pid = cluster_spawn(&cluster, "export",
				    CLI("export", "wanted-next", "--out", killed, "--count", "40", "--with-names",
					"--as-of", as_of, "--continue"));
		wait_until("the export has got somewhere", progress_or_end, &pid);
		if (pid) {
			kill(pid, SIGKILL);
			process_wait(pid);
			kills++;
		}
		assert_int_equal(kill(held, SIGCONT), 0);
		/* killed at its very end, it may be whole */
		if (pid && !refused && access(part, F_OK) == 0) {
			refused = true;
			cluster_fails(&cluster, "--continue", CLI("export", "wanted-next", "--out", killed));
			cluster_fails(&cluster, "--count was 40, and is 39 now",
				      CLI("export", "wanted-next", "--out", killed, "--count", "39", "--with-names",
					  "--as-of", as_of, "--continue"));
		}
	}
	print_message("killed %u times\n", kills);
	assert_true(kills > 0 && refused);
	cluster_ok(&cluster, CLI("export", "wanted-next", "--out", killed, "--count", "40", "--with-names", "--as-of",
				 as_of, "--continue"));
	char *one = sorted(whole), *other = sorted(killed);
	assert_true(strcmp(one, other) == 0);
	free(one);
	free(other);
}

static bool is_there(void *path)
{
	return access(path, F_OK) == 0;
}

/* Ctrl-C, while a worker is held: what came is kept, how to go on is said, and it ends by the signal. */
static void test_export_interrupted(void **state)
{
	char out[256], progress[256], command[800];
	(void)state;
	snprintf(out, sizeof out, "%s/interrupted.ndjson", cluster.home);
	snprintf(progress, sizeof progress, "%s/interrupted.ndjson.progress", cluster.home);
	pid_t held = pid_of_second();
	assert_int_equal(kill(held, SIGSTOP), 0);
	pid_t pid = cluster_spawn(&cluster, "interrupted", CLI("export", "wanted-next", "--out", out, "--count", "40"));
	wait_until("the export has got somewhere", is_there, progress);
	/* somebody who begins the same meanwhile is not told that it broke off */
	cluster_fails(&cluster, "another export is writing to ", CLI("export", "wanted-next", "--out", out));
	cluster_fails(&cluster, "another export is writing to ",
		      CLI("export", "wanted-next", "--out", out, "--count", "40", "--continue"));
	assert_int_equal(kill(pid, SIGINT), 0);
	assert_int_equal(process_wait(pid), 128 + SIGINT);
	assert_int_equal(kill(held, SIGCONT), 0);
	assert_true(is_there(progress));
	snprintf(command, sizeof command,
		 "grep -c 'interrupted.ndjson.part has .* the same command with --continue goes on' "
		 "'%s/interrupted.log'",
		 cluster.home);
	struct output output = program_run("/bin/sh", NULL, CLI("-c", command));
	assert_string_equal(output.out, "1\n");
	output_free(&output);
	cluster_ok(&cluster, CLI("export", "wanted-next", "--out", out, "--count", "40", "--continue"));
	snprintf(command, sizeof command, "wc -l < '%s'; cut -d, -f1 '%s' | sort -u | wc -l", out, out);
	output = program_run("/bin/sh", NULL, CLI("-c", command));
	unsigned lines = 0, users = 0;
	assert_int_equal(sscanf(output.out, "%u %u", &lines, &users), 2);
	assert_int_equal(lines, USERS);
	assert_int_equal(users, USERS);
	output_free(&output);
}

/* Workers die under it: it waits and goes on by itself. Packed, and as CSV. */
static void test_export_of_dying_workers(void **state)
{
	char out[256], command[800];
	(void)state;
	snprintf(out, sizeof out, "%s/out.csv.zst", cluster.home);
	pid_t pid = cluster_spawn(&cluster, "dying",
				  CLI("export", "wanted-next", "--out", out, "--format", "csv", "--compress", "zstd",
				      "--count", "40", "--with-names"));
	for (unsigned i = 0; i < 3; i++) {
		struct victim victim = { .number = i % 2 };
		victim_kill(&victim, client);
	}
	assert_int_equal(process_wait(pid), 0);
	snprintf(command, sizeof command,
		 "zstd -dc '%s' | tail -n +2 | cut -d, -f1,2 | sort | uniq -d | wc -l; zstd -dc '%s' | cut -d, -f1 | "
		 "sort -u | "
		 "wc -l",
		 out, out);
	struct output output = program_run("/bin/sh", NULL, CLI("-c", command));
	unsigned twice = 1, users = 0;
	assert_int_equal(sscanf(output.out, "%u %u", &twice, &users), 2);
	assert_int_equal(twice, 0);
	assert_true(users >= USERS + 1); /* and the head */
	output_free(&output);
}

/* A filter with a mistake leaves nothing behind that the right one would stumble over. */
static void test_export_of_a_mistake(void **state)
{
	char out[256], part[256];
	(void)state;
	snprintf(out, sizeof out, "%s/mistake.ndjson", cluster.home);
	snprintf(part, sizeof part, "%s/mistake.ndjson.part", cluster.home);
	cluster_fails(&cluster, "filter, character",
		      CLI("export", "wanted-next", "--out", out, "--filter", "price < true"));
	assert_int_equal(access(part, F_OK), -1);
	cluster_ok(&cluster, CLI("export", "wanted-next", "--out", out, "--filter", "price < 5"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_export_killed),
		cmocka_unit_test(test_export_interrupted),
		cmocka_unit_test(test_export_of_dying_workers),
		cmocka_unit_test(test_export_of_a_mistake),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
