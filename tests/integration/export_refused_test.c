/*
 * `kindred export` and a server that has too much to do: refused in the middle, it goes on when there is room again;
 * refused at its first call, it says so and leaves nothing in the way of the next.
 */
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
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#define METHOD "/kindred.v1.RecommendationService/RecommendMany"
#define USERS (SMALL_SHOP_CROWD + SMALL_SHOP_USERS)
#define CALLS_LIMIT "16" /* the least there can be */
#define LIMIT 16
#define STREAMS_MAX 200
#define STILL 20 /* looks at a file, after which it is taken for done */
#define REFUSALS 3 /* that the export has to outlast */

static struct rpc_stream *streams[STREAMS_MAX];
static unsigned stream_count;

static int setup(void **state)
{
	(void)state;
	cluster_init(&shop.cluster);
	cluster_start(&shop.cluster, CLI("--workers", "2", "--build-every-minutes", "0", "--calls-limit", CALLS_LIMIT));
	small_shop_load(&shop.cluster);
	small_shop_crowd(&shop.cluster);
	shop.client = api_open(&shop.cluster);
	return 0;
}

/* --- calls in work up to the limit --- */

/* One that is one too many is refused, and does not matter. */
static bool is_full(void *context)
{
	struct error err;
	(void)context;
	if (cluster_metric(&shop.cluster, "kindred_calls_in_flight") >= LIMIT)
		return true;
	assert_true(stream_count < STREAMS_MAX);
	assert_int_equal(rpc_stream_open(&streams[stream_count++], shop.client, METHOD,
					 &kindred__v1__recommend_many_response__descriptor, RPC_FOREVER, &err),
			 0);
	return false;
}

static bool is_empty(void *context)
{
	(void)context;
	return cluster_metric(&shop.cluster, "kindred_calls_in_flight") == 0;
}

static void leave(void)
{
	while (stream_count)
		rpc_stream_free(streams[--stream_count]);
}

static uint64_t refused(void)
{
	return cluster_metric(&shop.cluster, "kindred_refused_calls_total");
}

static bool refused_at_least(void *context)
{
	return refused() >= *(uint64_t *)context;
}

static bool is_there(void *path)
{
	return access(path, F_OK) == 0;
}

/* --- the tests --- */

static void has_each_user_once(const char *path)
{
	char command[800];
	unsigned lines = 0, users = 0;
	snprintf(command, sizeof command, "wc -l < '%s'; cut -d, -f1 '%s' | sort -u | wc -l", path, path);
	struct output output = program_run("/bin/sh", NULL, CLI("-c", command));
	assert_int_equal(sscanf(output.out, "%u %u", &lines, &users), 2);
	assert_int_equal(lines, USERS);
	assert_int_equal(users, USERS);
	output_free(&output);
}

struct watched {
	const char *part;
	off_t bytes;
	unsigned same; /* looks in a row */
};

static bool grows_no_more(void *context)
{
	struct watched *watched = context;
	struct stat info;
	assert_int_equal(stat(watched->part, &info), 0);
	watched->same = info.st_size == watched->bytes ? watched->same + 1 : 0;
	watched->bytes = info.st_size;
	return watched->same == STILL;
}

/*
 * A worker is held, so that the export cannot be at its end, and dies, which ends the export's call. Before it can call
 * again others have taken its place. It has read before what the other worker had for it: else its call would end only
 * when the connection is given up, a minute later.
 */
static void test_refused_in_the_middle(void **state)
{
	char out[256], progress[300], part[300];
	struct watched watched = { .part = part };
	struct victim victim = { .number = 1 };
	Kindred__V1__GetStatusResponse *status = api_status(shop.client);
	pid_t held = (pid_t)status->workers[1]->pid, export;
	uint64_t outlasted;
	(void)state;
	kindred__v1__get_status_response__free_unpacked(status, NULL);
	snprintf(out, sizeof out, "%s/refused.ndjson", shop.cluster.home);
	snprintf(progress, sizeof progress, "%s.progress", out);
	snprintf(part, sizeof part, "%s.part", out);
	assert_int_equal(kill(held, SIGSTOP), 0);
	export = cluster_spawn(&shop.cluster, "refused", CLI("export", "wanted-next", "--out", out, "--count", "40"));
	wait_until("the export has got somewhere", is_there, progress);
	wait_until("it has what the other worker had for it", grows_no_more, &watched);
	assert_int_equal(kill(export, SIGSTOP), 0);
	victim_kill(&victim, shop.client);
	victim_await(&victim, shop.client);
	wait_until("the export's call has ended", is_empty, NULL);
	wait_until("as many calls are in work as may be", is_full, NULL);
	outlasted = refused() + REFUSALS;
	assert_int_equal(kill(export, SIGCONT), 0);
	wait_until("the export was refused", refused_at_least, &outlasted);
	leave();
	assert_int_equal(process_wait(export), 0);
	has_each_user_once(out);
	assert_false(is_there(progress));
}

static void test_refused_at_once(void **state)
{
	char out[256], part[300];
	(void)state;
	snprintf(out, sizeof out, "%s/at-once.ndjson", shop.cluster.home);
	snprintf(part, sizeof part, "%s.part", out);
	wait_until("as many calls are in work as may be", is_full, NULL);
	struct output output = cluster_run(&shop.cluster, CLI("export", "wanted-next", "--out", out));
	assert_int_equal(output.code, EX_OSERR);
	if (!strstr(output.err, "calls_limit"))
		fail_msg("it says: %s", output.err);
	output_free(&output);
	assert_false(is_there(out));
	leave();
	wait_until("the calls have ended", is_empty, NULL);
	cluster_ok(&shop.cluster, CLI("export", "wanted-next", "--out", out));
	has_each_user_once(out);
	assert_false(is_there(part));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused_in_the_middle),
		cmocka_unit_test(test_refused_at_once),
	};
	return cmocka_run_group_tests(tests, setup, small_shop_tear_down);
}
