/*
 * kindred-kernel: the scoring kernel alone, in a bare loop on all cores: profile_make
 * (common/profile.h) and scorer_top (common/score.h) over the served generation of a data directory and
 * the histories of its users, which are read before the clock starts. No gRPC, no processes, no LMDB,
 * no filters, no answers: what a campaign could do at most. Kindred's campaign figures are held against
 * it, in the same run. With --plain the same answers by the plain loop of bench/kernel_plain.h, a
 * yardstick that stays as it is when common/score.c becomes faster.
 *
 * It only reads, so the directory's server may run meanwhile; it should have nothing to do, though.
 */
#include "bench/argument.h"
#include "bench/kernel_plain.h"
#include "bench/kernel_users.h"
#include "common/clock.h"
#include "common/cores.h"
#include "common/score.h"
#include "version.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define THREADS_MAX 256
#define COUNT_MAX 1000

struct options {
	struct kernel_wanted wanted;
	uint32_t threads, count;
	double seconds;
	uint64_t queries; /* not 0: that many, on made-up users, whatever time it takes */
	bool plain, json;
};

/* One thread. It goes round through the users from a place of its own. */
struct runner {
	pthread_t thread;
	const struct options *options;
	const struct kernel_users *users;
	uint64_t first;
	uint64_t done, candidates, profile_items; /* users; sums over them */
	uint64_t cpu_ns;
	bool failed;
};

static uint64_t thread_cpu_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

struct profile {
	struct profile_item items[PROFILE_MAX];
	uint32_t count;
};

static void make_profile(const struct kernel_users *users, uint64_t user, struct profile *profile)
{
	profile->count = profile_make(&users->relation->serving, users->events + users->offsets[user],
				      (uint32_t)(users->offsets[user + 1] - users->offsets[user]), profile->items);
}

static void score(struct runner *runner, struct scorer *scorer, const struct profile *profile)
{
	struct scored top[COUNT_MAX];
	struct score_counts counts;
	scorer_top(scorer, runner->users->relation, profile->items, profile->count, runner->options->count, NULL, NULL,
		   top, &counts);
	runner->candidates += counts.candidates;
	runner->profile_items += profile->count;
}

/* Users by the hundred until time is up, or until all queries are done. */
#define BETWEEN_LOOKS 100
static bool goes_on(const struct runner *runner, uint64_t stop_ns)
{
	uint64_t queries = runner->options->queries;
	return queries ? runner->done < queries : clock_monotonic_ns() < stop_ns;
}

static uint64_t next_user(const struct kernel_users *users, uint64_t user)
{
	return user + 1 < users->count ? user + 1 : 0;
}

static bool run_scorer(struct runner *runner, uint64_t stop_ns)
{
	const struct kernel_users *users = runner->users;
	struct scorer *scorer = scorer_new(users->catalog->items);
	struct profile profiles[2]; /* one is scored while the next one's lists are on their way, as in a worker */
	unsigned now = 0;
	uint64_t user = runner->first;
	if (!scorer)
		return false;
	make_profile(users, user, &profiles[now]);
	do {
		for (unsigned i = 0; i < BETWEEN_LOOKS; i++, now ^= 1) {
			user = next_user(users, user);
			make_profile(users, user, &profiles[now ^ 1]);
			scorer_next(scorer, users->relation, profiles[now ^ 1].items, profiles[now ^ 1].count);
			score(runner, scorer, &profiles[now]);
		}
		runner->done += BETWEEN_LOOKS;
	} while (goes_on(runner, stop_ns));
	scorer_free(scorer);
	return true;
}

static bool run_plain(struct runner *runner, uint64_t stop_ns)
{
	const struct kernel_users *users = runner->users;
	struct plain *plain = plain_new(users->catalog->items);
	struct scored top[COUNT_MAX];
	struct profile profile;
	uint64_t user = runner->first;
	uint32_t candidates;
	if (!plain)
		return false;
	do {
		for (unsigned i = 0; i < BETWEEN_LOOKS; i++, user = next_user(users, user)) {
			make_profile(users, user, &profile);
			runner->profile_items += profile.count;
			plain_top(plain, users->relation, profile.items, profile.count, runner->options->count, top,
				  &candidates);
			runner->candidates += candidates;
		}
		runner->done += BETWEEN_LOOKS;
	} while (goes_on(runner, stop_ns));
	plain_free(plain);
	return true;
}

static void *run(void *context)
{
	struct runner *runner = context;
	uint64_t cpu_ns = thread_cpu_ns();
	uint64_t stop_ns = clock_monotonic_ns() + (uint64_t)(runner->options->seconds * 1e9);
	runner->failed = !(runner->options->plain ? run_plain : run_scorer)(runner, stop_ns);
	runner->cpu_ns = thread_cpu_ns() - cpu_ns;
	return NULL;
}

#define SAMPLE 1000 /* users */

static bool same_answer(struct scorer *scorer, struct plain *plain, const struct model_relation *relation,
			const struct profile *profile, uint32_t count)
{
	struct scored top[COUNT_MAX], plain_found[COUNT_MAX];
	struct score_counts counts;
	uint32_t candidates;
	uint32_t found = scorer_top(scorer, relation, profile->items, profile->count, count, NULL, NULL, top, &counts);
	bool same =
		plain_top(plain, relation, profile->items, profile->count, count, plain_found, &candidates) == found;
	for (uint32_t i = 0; same && i < found; i++)
		same = top[i].row == plain_found[i].row && top[i].score == plain_found[i].score;
	return same && candidates == counts.candidates;
}

/* Both kernels must give the same answers, or it is no yardstick. */
static int check_plain(const struct options *options, const struct kernel_users *users, struct error *err)
{
	struct scorer *scorer = scorer_new(users->catalog->items);
	struct plain *plain = plain_new(users->catalog->items);
	struct profile profile;
	int code = 0;
	if (!scorer || !plain)
		code = error_set(err, E_EXHAUSTED, "no memory to score %u items", users->catalog->items);
	else if (!plain_can(users->relation))
		code = error_set(err, E_PRECONDITION,
				 "--plain: the relation has a self weight or blends popular items in, which the plain "
				 "loop does not know");
	for (uint64_t user = 0; !code && user < users->count && user < SAMPLE; user++) {
		make_profile(users, user, &profile);
		if (!same_answer(scorer, plain, users->relation, &profile, options->count))
			code = error_set(err, E_INTERNAL, "--plain: user number %" PRIu64 " gets another answer", user);
	}
	scorer_free(scorer);
	plain_free(plain);
	return code;
}

static int run_all(const struct options *options, const struct kernel_users *users, struct runner *sum, double *seconds,
		   struct error *err)
{
	static struct runner runners[THREADS_MAX];
	uint64_t start_ns = clock_monotonic_ns();
	uint32_t started = 0;
	int code = 0;
	for (; started < options->threads && code == 0; started++) {
		runners[started] = (struct runner){ .options = options,
						    .users = users,
						    .first = users->count * started / options->threads };
		code = pthread_create(&runners[started].thread, NULL, run, &runners[started]);
	}
	if (code) {
		started--;
		code = error_set(err, E_EXHAUSTED, "cannot start %u threads", options->threads);
	}
	for (uint32_t i = 0; i < started; i++) {
		pthread_join(runners[i].thread, NULL);
		sum->done += runners[i].done;
		sum->candidates += runners[i].candidates;
		sum->profile_items += runners[i].profile_items;
		sum->cpu_ns += runners[i].cpu_ns;
		if (runners[i].failed)
			code = error_set(err, E_EXHAUSTED, "no memory to score %u items", users->catalog->items);
	}
	*seconds = (double)(clock_monotonic_ns() - start_ns) / 1e9;
	return code;
}

static void report(const struct options *options, const struct kernel_users *users, const struct runner *sum,
		   double seconds)
{
	const struct model_relation *relation = users->relation;
	double done = (double)sum->done;
	double per_item = (double)relation->neighbours / (double)(relation->items ? relation->items : 1);
	double history = (double)users->offsets[users->count] / (double)users->count;
	if (options->json) {
		printf("{\"users_per_s\":%.0f,\"cpu_us_per_user\":%.3f,\"threads\":%u,\"users\":%" PRIu64
		       ",\"items\":%u,\"neighbours_per_item\":%.2f,\"history\":%.2f,\"profile_items\":%.2f,"
		       "\"candidates\":%.1f}\n",
		       done / seconds, (double)sum->cpu_ns / 1e3 / done, options->threads, users->count,
		       users->catalog->items, per_item, history, (double)sum->profile_items / done,
		       (double)sum->candidates / done);
		return;
	}
	if (users->model)
		printf("generation %" PRIu64 ", catalog %s, %s: %u items, %.1f neighbours an item with events\n",
		       users->model->head->generation, users->catalog->name, relation->key, users->catalog->items,
		       per_item);
	printf("%" PRIu64 " users with %.1f events each; a profile has %.1f items, which lead to %.0f candidates\n",
	       users->count, history, (double)sum->profile_items / done, (double)sum->candidates / done);
	printf("%.0f users/s on %u threads, %.2f us of CPU a user\n", done / seconds, options->threads,
	       (double)sum->cpu_ns / 1e3 / done);
}

static const struct argp_option option_table[] = {
	{ "data", 'd', "DIR", 0, "The data directory", 0 },
	{ "generation", 'g', "N", 0, "Generation to score with (the active one)", 0 },
	{ "catalog", 'c', "NAME", 0, "Catalog of the generation (its first)", 0 },
	{ "users", 'u', "N", 0, "Most users to read (100000)", 0 },
	{ "threads", 't', "N", 0, "Threads (one a core)", 0 },
	{ "count", 'n', "N", 0, "Items a recommendation (10)", 0 },
	{ "seconds", 's', "S", 0, "How long (5)", 0 },
	{ "plain", 'p', NULL, 0, "Score by a plain loop instead, which stays as it is: a yardstick", 0 },
	{ "made-up", 'm', "N", 0,
	  "Instead of a data directory: N queries (in hundreds) on one thread, over made-up users that are the same "
	  "everywhere",
	  0 },
	{ "json", 'j', NULL, 0, "One JSON line instead of text", 0 },
	{ 0 },
};

static double number(int key, const char *text, double low, double high, struct argp_state *state)
{
	char *end = NULL;
	double value = strtod(text, &end);
	if (end == text || *end || !(value >= low && value <= high))
		argp_error(state, "--%s '%s': %g to %g is allowed", argument_name(option_table, key), text, low, high);
	return value;
}

static error_t on_option(int key, char *text, struct argp_state *state)
{
	struct options *options = state->input;
	switch (key) {
	case 'd':
		options->wanted.data = text;
		return 0;
	case 'g':
		options->wanted.generation = (uint64_t)number(key, text, 1, 1e8, state);
		return 0;
	case 'c':
		options->wanted.catalog = text;
		return 0;
	case 'u':
		options->wanted.users = (uint64_t)number(key, text, 1, 1e8, state);
		return 0;
	case 't':
		options->threads = (uint32_t)number(key, text, 1, THREADS_MAX, state);
		return 0;
	case 'n':
		options->count = (uint32_t)number(key, text, 1, COUNT_MAX, state);
		return 0;
	case 's':
		options->seconds = number(key, text, 0.1, 3600, state);
		return 0;
	case 'm':
		options->queries = (uint64_t)number(key, text, 100, 1e9, state);
		options->threads = 1;
		return 0;
	case 'p':
		options->plain = true;
		return 0;
	case 'j':
		options->json = true;
		return 0;
	case ARGP_KEY_END:
		if (!options->wanted.data == !options->queries)
			argp_error(state, "say --data, a data directory with a model, or --made-up");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const char *argp_program_version = "kindred-kernel " KINDRED_VERSION " (" KINDRED_REVISION ")";

int main(int argc, char **argv)
{
	static const char doc[] =
		"Runs the scoring kernel alone over the users of a data directory: the ceiling of a campaign.\v"
		"Examples:\n"
		"  kindred-kernel --data ./data\n"
		"  kindred-kernel --data ./data --threads 1 --generation 7 --json\n"
		"  kindred-kernel --data ./data --plain\n"
		"  valgrind --tool=callgrind kindred-kernel --made-up 1000";
	struct options options = { .wanted = { .users = 100000 },
				   .threads = cores_count() < THREADS_MAX ? cores_count() : THREADS_MAX,
				   .count = 10,
				   .seconds = 5 };
	struct argp argp = { option_table, on_option, NULL, doc, NULL, NULL, NULL };
	struct kernel_users users;
	struct runner sum = { 0 };
	struct error err = { 0 };
	double seconds = 0;
	argp_err_exit_status = error_exit_code(E_INVALID);
	argp_parse(&argp, argc, argv, 0, NULL, &options);
	int code = options.queries ? kernel_users_make(&users, &err) : kernel_users_read(&users, &options.wanted, &err);
	if (code == 0 && options.plain)
		code = check_plain(&options, &users, &err);
	if (code == 0)
		code = run_all(&options, &users, &sum, &seconds, &err);
	if (code)
		fprintf(stderr, "kindred-kernel: %s\n", err.text);
	else
		report(&options, &users, &sum, seconds);
	kernel_users_free(&users);
	return error_exit_code(code);
}
