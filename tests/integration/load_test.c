/* kindred-bench gives up where every call fails and would go on failing, and nowhere else; and it ends in time. */
#include "common/clock.h"
#include "lib/api.h"
#include "lib/cluster.h"
#include "lib/small_shop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#define LONG_S "100" /* a load that is given up does not take it */

/* Runs kindred-bench with these arguments; it must be given up, with this code, and say both. */
static void assert_given_up(const char *const *arguments, int code, const char *says)
{
	uint64_t begin_ns = clock_monotonic_ns();
	struct output output = program_run("kindred-bench", shop.cluster.address, arguments);
	if (output.code != code || !strstr(output.err, says) || !strstr(output.err, "given up"))
		fail_msg("%s: ended with %d, not %d: %s%s", arguments[0], output.code, code, output.out, output.err);
	assert_string_equal(output.out, "");
	assert_true(clock_monotonic_ns() - begin_ns < atoi(LONG_S) * UINT64_C(1000000000) / 2);
	output_free(&output);
}

static void test_what_is_not_there(void **state)
{
	static const char none[] = "definition 'none': none of that name", shed[] = "there is no catalog shed";
	(void)state;
	assert_given_up(CLI("recommend", "--definition", "none", "--seconds", LONG_S), EX_NOINPUT, none);
	assert_given_up(CLI("recommend", "--definition", "none", "--seconds", LONG_S, "--rate", "2000", "--json"),
			EX_NOINPUT, none);
	assert_given_up(CLI("recommend", "--definition", "none", "--seconds", LONG_S, "--find-max", "10"), EX_NOINPUT,
			none);
	assert_given_up(
		CLI("recommend", "--definition", "none", "--seconds", LONG_S, "--swap", "1,1", "--swap-from", "60"),
		EX_NOINPUT, none);
	assert_given_up(CLI("many", "--definition", "none", "--seconds", LONG_S), EX_NOINPUT, none);
	assert_given_up(CLI("audience", "--definition", "none", "--seconds", LONG_S), EX_NOINPUT, none);
	assert_given_up(CLI("ingest", "--catalog", "shed", "--seconds", LONG_S), EX_NOINPUT, shed);
	assert_given_up(CLI("ingest-unary", "--catalog", "shed", "--seconds", LONG_S), EX_NOINPUT, shed);
	/* what goes well beside it is not what was asked for */
	assert_given_up(CLI("mix", "--definition", "wanted-next", "--catalog", "shed", "--seconds", LONG_S), EX_NOINPUT,
			shed);
	/* too slow for a hundred of them */
	assert_given_up(CLI("recommend", "--definition", "none", "--rate", "20", "--seconds", "0.5", "--warmup", "0"),
			EX_NOINPUT, none);
}

static void test_what_is_not_built(void **state)
{
	(void)state;
	cluster_ok(&shop.cluster, CLI("define", "later", "--catalog", "shop", "--event", "Later"));
	assert_given_up(CLI("recommend", "--definition", "later", "--seconds", LONG_S), EX_CONFIG,
			"kindred model build");
}

/* Runs it for half a second, through which it must go on although there are errors, which it counts. */
static void assert_goes_on(const char *const *arguments, const char *error)
{
	uint64_t begin_ns = clock_monotonic_ns();
	struct output output = program_run("kindred-bench", shop.cluster.address, arguments);
	assert_true(clock_monotonic_ns() - begin_ns > 500000000);
	if (output.code != EX_UNAVAILABLE || !strstr(output.out, error))
		fail_msg("ended with %d: %s%s", output.code, output.out, output.err);
	assert_null(strstr(output.err, "given up"));
	output_free(&output);
}

#define HALF_A_SECOND "--definition", "wanted-next", "--seconds", "0.5", "--warmup", "0"

static void test_some_are_answered(void **state)
{
	(void)state;
	assert_goes_on(CLI("recommend", HALF_A_SECOND, "--users-file",
			   cluster_file(&shop.cluster, "users", "u1\nu2\nno UTF-8: \xff\n")),
		       "; INVALID_ARGUMENT ");
}

static void signal_workers(const Kindred__V1__GetStatusResponse *status, int number)
{
	for (size_t i = 0; i < status->n_workers; i++)
		assert_int_equal(kill((pid_t)status->workers[i]->pid, number), 0);
}

/* All fail in the same way, but it may pass. */
static void test_no_answer(void **state)
{
	Kindred__V1__GetStatusResponse *status = api_status(shop.client);
	(void)state;
	signal_workers(status, SIGSTOP);
	assert_goes_on(CLI("recommend", HALF_A_SECOND, "--deadline-ms", "50", "--in-flight", "100"),
		       "; DEADLINE_EXCEEDED ");
	signal_workers(status, SIGCONT);
	kindred__v1__get_status_response__free_unpacked(status, NULL);
}

/* What failed is no work that was done, however many answers say so: not in a rate, not in the CPU time of a unit. */
static void test_units_that_fail_are_no_work(void **state)
{
	char path[256];
	(void)state;
	snprintf(path, sizeof path, "%s", cluster_file(&shop.cluster, "bad", "no UTF-8: \xff\n"));
	struct output output =
		program_run("kindred-bench", shop.cluster.address, CLI("many", HALF_A_SECOND, "--users-file", path));
	assert_non_null(strstr(output.out, "many, closed loop: 0 users/s "));
	assert_non_null(strstr(output.out, " units answered with an error or not accepted: INVALID_ARGUMENT "));
	assert_non_null(strstr(output.out, "ms of CPU in all"));
	assert_null(strstr(output.out, "of CPU a user"));
	assert_int_equal(output.code, EX_UNAVAILABLE);
	output_free(&output);
	assert_goes_on(
		CLI("ingest-unary", "--catalog", "shop", "--seconds", "0.5", "--warmup", "0", "--users-file", path),
		"ingest-unary, closed loop: 0 calls/s ");
	/* beside others too */
	snprintf(path, sizeof path, "%s", cluster_file(&shop.cluster, "mixed", "u1\nu2\nno UTF-8: \xff\n"));
	assert_goes_on(CLI("many", HALF_A_SECOND, "--users-file", path), " units answered with an error ");
}

/* A message, or a call, of which nothing went well is in no percentile and no rate of answers. */
static void test_messages_that_fail_have_no_latency(void **state)
{
	char path[256];
	(void)state;
	snprintf(path, sizeof path, "%s", cluster_file(&shop.cluster, "bad", "no UTF-8: \xff\n"));
	assert_goes_on(CLI("many", HALF_A_SECOND, "--users-file", path),
		       "\nlatency of a message, ms: no call succeeded in the measured time\n");
	assert_goes_on(CLI("many", HALF_A_SECOND, "--users-file", path, "--json"),
		       "\"answers_per_s\":0.0,\"units_per_s\":0.0,\"p50_ms\":0.0,");
	assert_goes_on(
		CLI("ingest-unary", "--catalog", "shop", "--seconds", "0.5", "--warmup", "0", "--users-file", path),
		"\nlatency, ms: no call succeeded in the measured time\n");
	/* two messages, of one user each */
	snprintf(path, sizeof path, "%s", cluster_file(&shop.cluster, "half", "u1\nno UTF-8: \xff\n"));
	struct output output = program_run("kindred-bench", shop.cluster.address,
					   CLI("many", HALF_A_SECOND, "--users-file", path, "--in-order", "--batch",
					       "1", "--streams", "1", "--rate", "4", "--json"));
	assert_non_null(strstr(output.out, "\"answers_per_s\":2.0,\"units_per_s\":2.0,"));
	output_free(&output);
}

/* Units that fail are named as calls are: counts by what was said of them, and the first text of each. */
static void test_units_that_fail_are_named(void **state)
{
	char path[256];
	(void)state;
	snprintf(path, sizeof path, "%s", cluster_file(&shop.cluster, "mixed", "u1\nu2\nno UTF-8: \xff\n"));
	const char *const many[] = { "many", HALF_A_SECOND, "--users-file", path, "--json", NULL };
	struct output output = program_run("kindred-bench", shop.cluster.address, many);
	assert_non_null(strstr(output.err, "first error of a user INVALID_ARGUMENT: "));
	assert_non_null(strstr(output.out, ",\"errors\":{},\"unit_errors\":{\"INVALID_ARGUMENT\":"));
	output_free(&output);
	const char *const events[] = { "ingest", "--catalog", "shop", "--seconds",    "0.5", "--batch",
				       "3",      "--warmup",  "0",    "--users-file", path,  NULL };
	output = program_run("kindred-bench", shop.cluster.address, events);
	assert_non_null(strstr(output.err, "first event REFUSED: "));
	assert_non_null(strstr(output.out, " units answered with an error or not accepted: REFUSED "));
	output_free(&output);
}

/* Runs it; it must end soon after its time, with this code, and say that of what it sent something was not answered. */
static void assert_ends(const char *const *arguments, int code, const char *says)
{
	uint64_t begin_ns = clock_monotonic_ns();
	struct output output = program_run("kindred-bench", shop.cluster.address, arguments);
	assert_true(clock_monotonic_ns() - begin_ns < UINT64_C(30000000000));
	if (output.code != code || !strstr(output.out, says) || strstr(output.err, "error"))
		fail_msg("%s: ended with %d, not %d: %s%s", arguments[0], output.code, code, output.out, output.err);
	output_free(&output);
}

/* A server that hangs, or has got more than it can do for long, is not waited for; that is no error. */
static void test_unanswered(void **state)
{
	Kindred__V1__GetStatusResponse *status = api_status(shop.client);
	(void)state;
	/* so many nobody answers: but some were */
	assert_ends(CLI("recommend", HALF_A_SECOND, "--rate", "1e7"), 0, " calls were unanswered 5 s after ");
	signal_workers(status, SIGSTOP);
	assert_ends(CLI("many", HALF_A_SECOND, "--streams", "20", "--in-flight", "5"), EX_UNAVAILABLE,
		    " 0 errors\n100 messages were unanswered 5 s after ");
	assert_ends(CLI("many", HALF_A_SECOND, "--rate", "40", "--in-flight", "2", "--json"), EX_UNAVAILABLE,
		    "\"unanswered\":20,");
	assert_ends(CLI("recommend", HALF_A_SECOND, "--in-flight", "7", "--json"), EX_UNAVAILABLE,
		    "\"error_count\":0,\"bad_units\":0,\"unanswered\":7,");
	signal_workers(status, SIGCONT);
	kindred__v1__get_status_response__free_unpacked(status, NULL);
}

/* The last call of a slow load is answered before its time is over. */
static void test_rate_of_a_slow_load(void **state)
{
	(void)state;
	struct output output =
		program_run("kindred-bench", shop.cluster.address, CLI("recommend", HALF_A_SECOND, "--rate", "2"));
	assert_non_null(strstr(output.out, "recommend, open loop: 2 calls/s over 0.5 s, 2.0 calls/s due; 0 errors\n"));
	assert_int_equal(output.code, 0);
	output_free(&output);
}

/* What would be passed over in silence is an error. */
static void test_options_that_do_not_go_together(void **state)
{
	static const struct {
		const char *arguments[6], *says;
	} wrong[] = {
		{ { "recommend", "--streams", "2" }, "--streams is for many, ingest and audience" },
		{ { "many", "--deadline-ms", "50" }, "--deadline-ms is for unary calls" },
		{ { "mix", "--find-max", "10", "--ingest-share", "1" }, "--find-max looks at the Recommend calls" },
		{ { "recommend", "--in-flight", "1.5" }, "--in-flight '1.5': a whole number is wanted" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct output output = program_run("kindred-bench", shop.cluster.address, wrong[i].arguments);
		assert_non_null(strstr(output.err, wrong[i].says));
		assert_int_equal(output.code, EX_USAGE);
		output_free(&output);
	}
}

/* Before the load: of a process that is not there would be nothing but zeros. */
static void test_pid_of_no_process(void **state)
{
	char pid[16], says[80];
	(void)state;
	struct output output =
		program_run("kindred-bench", shop.cluster.address,
			    CLI("recommend", "--pid", "999999999" /* Linux has no such number */, "--seconds", LONG_S));
	assert_int_equal(output.code, EX_USAGE);
	assert_non_null(strstr(output.err, "kindred-bench: --pid 999999999: there is no such process"));
	assert_string_equal(output.out, "");
	output_free(&output);
	snprintf(pid, sizeof pid, "%d", (int)shop.cluster.server);
	output = program_run("kindred-bench", shop.cluster.address, CLI("recommend", HALF_A_SECOND, "--pid", pid));
	snprintf(says, sizeof says, "\nprocess (pid %s): ", pid);
	assert_non_null(strstr(output.out, says));
	assert_int_equal(output.code, 0);
	output_free(&output);
}

/* The line has all its fields also when there is nothing to say in them. */
static void test_no_rate_holds(void **state)
{
	(void)state;
	struct output output = program_run("kindred-bench", shop.cluster.address,
					   CLI("recommend", "--definition", "wanted-next", "--seconds", "0.1",
					       "--warmup", "0", "--find-max", "0.001", "--json"));
	assert_non_null(strstr(output.out, ",\"interrupted\":false,\"max_rate\":0.0,"));
	assert_non_null(strstr(output.out, ",\"answers_per_s\":0.0,\"units_per_s\":0.0,"));
	output_free(&output);
}

static void await_answer(void)
{
	uint64_t before = cluster_metric(&shop.cluster, "kindred_recommend_users_total");
	while (cluster_metric(&shop.cluster, "kindred_recommend_users_total") == before)
		continue;
}

/* Whether a signal would be taken note of: it is kindred-bench by now, and its load has begun. */
static bool is_watching(int pid, int number)
{
	char path[64], line[128], name[32] = "";
	unsigned long long caught = 0;
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	FILE *file = fopen(path, "r");
	while (file && fgets(line, sizeof line, file)) {
		sscanf(line, "Name: %31s", name);
		sscanf(line, "SigCgt: %llx", &caught);
	}
	if (file)
		fclose(file);
	return strcmp(name, "kindred-bench") == 0 && (caught >> (number - 1) & 1);
}

/* Nothing is answered any more, so that all that the load has in flight is stuck. */
static void await_standstill(void)
{
	uint64_t now = cluster_metric(&shop.cluster, "kindred_recommend_users_total"), before;
	do {
		before = now;
		now = cluster_metric(&shop.cluster, "kindred_recommend_users_total");
	} while (now != before);
}

/* In a process of its own: sends the signals to the load whose pid the file has. 0, or 1: it cannot. */
static int send_signals(const char *path, int first, int second, const Kindred__V1__GetStatusResponse *held)
{
	int pid = 0;
	alarm(300); /* it ended by itself: nothing would ever be answered */
	while (!pid || !is_watching(pid, first)) {
		FILE *file = fopen(path, "r");
		if (file && fscanf(file, "%d", &pid) != 1)
			pid = 0;
		if (file)
			fclose(file);
	}
	await_answer();
	if (held) {
		signal_workers(held, SIGSTOP);
		await_standstill();
	}
	return kill(pid, first) == 0 && (!second || kill(pid, second) == 0) ? 0 : 1;
}

/*
 * Runs it, and sends it these signals once something was answered; held: workers that are stopped before, so that its
 * last calls are not answered. It must end with this code, soon, and say that on standard output; "": nothing.
 */
static void assert_ends_by(int first, int second, const Kindred__V1__GetStatusResponse *held, const char *says,
			   const char *const *arguments)
{
	const char *all[32] = { "-c", "echo $$ >\"$0\"; exec \"$@\"" };
	char path[256];
	size_t count = 2;
	snprintf(path, sizeof path, "%s", cluster_file(&shop.cluster, "pid", ""));
	all[count++] = path;
	all[count++] = TEST_BIN "/kindred-bench";
	while (*arguments)
		all[count++] = *arguments++;
	uint64_t begin_ns = clock_monotonic_ns();
	pid_t killer = fork();
	if (killer == 0)
		_exit(send_signals(path, first, second, held));
	struct output output = program_run("/bin/sh", shop.cluster.address, all);
	assert_int_equal(process_wait(killer), 0);
	if (held)
		signal_workers(held, SIGCONT);
	assert_true(clock_monotonic_ns() - begin_ns < atoi(LONG_S) * UINT64_C(1000000000) / 2);
	/* of two that come at once, each in a thread of its own, either may be the second */
	bool by_signal = output.code == 128 + first || (second && output.code == 128 + second);
	if (!by_signal || !(*says ? strstr(output.out, says) != NULL : !*output.out))
		fail_msg("ended with %d: %s%s", output.code, output.out, output.err);
	output_free(&output);
}

#define LONG_LOAD "--definition", "wanted-next", "--seconds", LONG_S, "--warmup", "0"

/* Ctrl-C loses nothing of what was measured, and is seen by who started it. */
static void test_interrupted(void **state)
{
	static const char early[] = "interrupted before the time was over; what was measured until then:\n";
	(void)state;
	assert_ends_by(SIGINT, 0, NULL, early, CLI("recommend", LONG_LOAD));
	assert_ends_by(SIGINT, 0, NULL, "\nrecommend, open loop: ", CLI("recommend", LONG_LOAD, "--rate", "500"));
	assert_ends_by(SIGTERM, 0, NULL, ",\"interrupted\":true,", CLI("many", LONG_LOAD, "--json"));
	assert_ends_by(SIGINT, 0, NULL, "; 0 errors\n", CLI("many", LONG_LOAD, "--rate", "10"));
	assert_ends_by(SIGINT, 0, NULL, "; 0 errors\n", CLI("audience", LONG_LOAD));
	assert_ends_by(SIGINT, 0, NULL,
		       "interrupted before the search was over; what was found until then:\n"
		       "no rate was found that holds a p99 of 10 ms\n",
		       CLI("recommend", LONG_LOAD, "--find-max", "10"));
}

/* A server that hangs keeps it for no longer than at its time's end; who cannot wait sends another signal. */
static void test_interrupted_while_the_server_hangs(void **state)
{
	Kindred__V1__GetStatusResponse *status = api_status(shop.client);
	(void)state;
	assert_ends_by(SIGINT, 0, status, "\n3 calls were unanswered 5 s after ",
		       CLI("recommend", LONG_LOAD, "--in-flight", "3", "--deadline-ms", "3600000"));
	assert_ends_by(SIGINT, SIGTERM, status, "", CLI("recommend", LONG_LOAD));
	kindred__v1__get_status_response__free_unpacked(status, NULL);
}

/*
 * No stream is begun again, so a load whose server dies is over; it says how much too early. The last test: it ends
 * the server.
 */
static void test_no_stream_is_left(void **state)
{
	(void)state;
	pid_t killer = fork();
	if (killer == 0) {
		await_answer();
		kill(shop.cluster.server, SIGKILL);
		_exit(0);
	}
	struct output output =
		program_run("kindred-bench", shop.cluster.address,
			    CLI("many", "--definition", "wanted-next", "--seconds", LONG_S, "--warmup", "0"));
	assert_int_equal(waitpid(killer, NULL, 0), killer);
	cluster_kill(&shop.cluster);
	if (output.code != EX_UNAVAILABLE || !strstr(output.out, "; 2 errors; UNAVAILABLE 2\n") ||
	    !strstr(output.err, "all streams had ended with errors "))
		fail_msg("ended with %d: %s%s", output.code, output.out, output.err);
	output_free(&output);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_not_there),
		cmocka_unit_test(test_what_is_not_built),
		cmocka_unit_test(test_some_are_answered),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_units_that_fail_are_no_work),
		cmocka_unit_test(test_messages_that_fail_have_no_latency),
		cmocka_unit_test(test_units_that_fail_are_named),
		cmocka_unit_test(test_unanswered),
		cmocka_unit_test(test_rate_of_a_slow_load),
		cmocka_unit_test(test_options_that_do_not_go_together),
		cmocka_unit_test(test_pid_of_no_process),
		cmocka_unit_test(test_no_rate_holds),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_interrupted_while_the_server_hangs),
		cmocka_unit_test(test_no_stream_is_left),
	};
	return cmocka_run_group_tests(tests, small_shop_set_up, small_shop_tear_down);
}
