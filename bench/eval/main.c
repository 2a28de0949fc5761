/*
 * kindred-eval: replays a data set through the builder's learning (builder/learn.h) and the worker's
 * scoring (common/score.h), and says how often what people did next was among the 20 shown, beside
 * popularity and plain cosine. The protocol is in protocol.h, reading in map.h.
 *
 * load -> split (protocol.c) -> choose parameters -> learn each method -> ask (ask.c) -> output.c
 */
#include "bench/argument.h"
#include "bench/eval/output.h"
#include "builder/parallel.h"
#include "builder/tune.h"
#include "common/clock.h"
#include "common/log.h"
#include "version.h"

#include <argp.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEMORY_BYTES (UINT64_C(3) << 30)
#define METHODS 4
#define TUNE_SECONDS 600

const char *argp_program_version = "kindred-eval " KINDRED_VERSION " (" KINDRED_REVISION ")";

enum {
	OPTION_SET = 256,
	OPTION_JSON,
	OPTION_PLOT,
	OPTION_SLICE,
	OPTION_SPLIT,
	OPTION_RECENT,
	OPTION_MAPS,
	OPTION_TUNE,
	OPTION_NO_TUNE,
	OPTION_OBJECTIVE,
	OPTION_REPORT
};

static const struct argp_option options[] = {
	{ "data", 'd', "DIR", 0, "Where the folders of the data sets are", 0 },
	{ "maps", OPTION_MAPS, "DIR", 0,
	  "Where the mapping files are; a SET.map in the folder of the data set comes first", 0 },
	{ "tune", OPTION_TUNE, "SECONDS", OPTION_ARG_OPTIONAL,
	  "The builder's tuner finds the parameters in at most so long (600); without --set it always does", 0 },
	{ "set", OPTION_SET, "NAME=VALUE", 0,
	  "Another value of a parameter, see below; then the tuner runs only with --tune, and begins from there", 0 },
	{ "no-tune", OPTION_NO_TUNE, NULL, 0, "The default parameters, and those of --set", 0 },
	{ "objective", OPTION_OBJECTIVE, "ndcg|hit_rate", 0, "What the tuner looks for (ndcg)", 0 },
	{ "slice", OPTION_SLICE, "FROM,TO", 0, "The part that is asked about, in shares of the events (0.9,1)", 0 },
	{ "split", OPTION_SPLIT, "time|own", 0,
	  "By time, or by the data set's own files (default: what the mapping file says for the mode)", 0 },
	{ "recent", OPTION_RECENT, "DAYS", 0, "Window of the recent popularity beside (default: the mapping file's)",
	  0 },
	{ "threads", 't', "N", 0, "Threads that learn (one a core)", 0 },
	{ "json", OPTION_JSON, NULL, 0, "The last line of the output is JSON", 0 },
	{ "report", OPTION_REPORT, "FILE", 0, "All figures and parameters as JSON", 0 },
	{ "plot", OPTION_PLOT, "FILE", 0, "A plot, SVG", 0 },
	{ 0 }
};

struct run {
	const char *set, *mode, *data, *maps, *report, *plot;
	bool json, own, by_time, given; /* asked for; given: parameters were */
	double from, to, recent_days;
	double tune_seconds; /* 0: the parameters as given */
	uint32_t threads;
	struct params params;
	struct map map;
	struct space space;
	struct dataset dataset;
	struct questions questions;
	struct method methods[METHODS];
	enum protocol_mode protocol_mode;
	enum tune_objective objective;
};

static error_t parse_argument(struct run *run, char *argument, struct argp_state *state)
{
	if (!run->set)
		run->set = argument;
	else if (!run->mode)
		run->mode = argument;
	else
		argp_error(state, "\"%s\" is one argument too many", argument);
	if (run->mode && !protocol_mode_parse(run->mode, &run->protocol_mode))
		argp_error(state, "mode \"%s\": sessnew, session, user or llo is wanted", run->mode);
	return 0;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct run *run = state->input;
	struct error error = { 0 };
	char extra;
	switch (key) {
	case 'd':
		run->data = argument;
		return 0;
	case 't':
		run->threads = (uint32_t)argument_number(options, key, argument, 1, PARALLEL_MAX, state);
		return 0;
	case OPTION_MAPS:
		run->maps = argument;
		return 0;
	case OPTION_SET:
		if (params_set(&run->params, argument, &error))
			argp_error(state, "%s", error.text);
		run->given = true;
		return 0;
	case OPTION_NO_TUNE:
		run->given = true;
		run->tune_seconds = 0;
		return 0;
	case OPTION_OBJECTIVE:
		if (!tune_objective_parse(argument, &run->objective))
			argp_error(state, "--objective=%s: ndcg or hit_rate is wanted", argument);
		return 0;
	case OPTION_SLICE:
		if (sscanf(argument, "%lf,%lf%c", &run->from, &run->to, &extra) != 2 ||
		    !(run->from > 0 && run->from < run->to && run->to <= 1))
			argp_error(state, "--slice=%s: two shares are wanted, as in 0.8,0.9", argument);
		return 0;
	case OPTION_SPLIT:
		run->own = strcmp(argument, "own") == 0;
		run->by_time = strcmp(argument, "time") == 0;
		if (!run->own && !run->by_time)
			argp_error(state, "--split=%s: time or own is wanted", argument);
		return 0;
	case OPTION_RECENT:
		run->recent_days = argument_real(argument);
		if (!(run->recent_days > 0) || !isfinite(run->recent_days))
			argp_error(state, "--recent=%s: days are wanted", argument);
		return 0;
	case OPTION_TUNE:
		run->tune_seconds = argument ? argument_real(argument) : TUNE_SECONDS;
		if (!(run->tune_seconds > 0) || !isfinite(run->tune_seconds))
			argp_error(state, "--tune=%s: seconds are wanted", argument);
		return 0;
	case OPTION_JSON:
		run->json = true;
		return 0;
	case OPTION_REPORT:
		run->report = argument;
		return 0;
	case OPTION_PLOT:
		run->plot = argument;
		return 0;
	case ARGP_KEY_ARG:
		return parse_argument(run, argument, state);
	case ARGP_KEY_END:
		if (!run->mode)
			argp_error(state, "a data set and a mode are wanted, as in: yoochoose-17d sessnew");
		if (!run->given && !(run->tune_seconds > 0))
			run->tune_seconds = TUNE_SECONDS;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static char *help_filter(int key, const char *text, void *input)
{
	(void)input;
	return key == ARGP_KEY_HELP_POST_DOC ? params_help(text) : (char *)text;
}

static int load(struct run *run, struct error *err)
{
	char path[2 * PATH_MAX], folder[PATH_MAX];
	snprintf(folder, sizeof folder, "%s/%s", run->data, run->set);
	snprintf(path, sizeof path, "%s/%s.map", folder, run->set);
	if (access(path, R_OK))
		snprintf(path, sizeof path, "%s/%s.map", run->maps, run->set);
	int code = map_load(&run->map, path, err);
	if (code)
		return code;
	if (run->recent_days > 0)
		run->map.recent_days = run->recent_days;
	uint64_t start_ns = clock_monotonic_ns();
	code = dataset_load(&run->dataset, &run->map, folder, &run->space, err);
	if (code)
		return code;
	printf("%s: %llu events, %u users, %u items, in %.1f s", run->set, (unsigned long long)run->dataset.count,
	       run->dataset.users, run->dataset.items, (double)(clock_monotonic_ns() - start_ns) * 1e-9);
	if (run->dataset.left_out || run->dataset.unweighted)
		printf("; left out: %llu lines that could not be read, %llu that the map does not want",
		       (unsigned long long)run->dataset.left_out, (unsigned long long)run->dataset.unweighted);
	printf("\n");
	return 0;
}

static int file_number(const struct map *map, const char *name, struct error *err)
{
	for (uint32_t f = 0; f < map->file_count; f++)
		if (name[0] && strcmp(map->files[f], name) == 0)
			return (int)f;
	return error_set(err, E_INVALID, "\"%s\" is not one of the mapping file's files", name);
}

static int split(struct run *run, struct error *err)
{
	struct protocol protocol = { .mode = run->protocol_mode, .from = run->from, .to = run->to };
	protocol.train_file = protocol.test_file = -1;
	const struct map *map = &run->map;
	bool own = run->own || (!run->by_time && strcmp(map->own_mode, run->mode) == 0);
	if (own) {
		protocol.train_file = file_number(map, map->own_train, err);
		if (protocol.train_file >= 0)
			protocol.test_file = file_number(map, run->to < 1 ? map->own_tune : map->own_test, err);
		if (protocol.train_file < 0 || protocol.test_file < 0)
			return E_INVALID;
	}
	int code = protocol_make(&run->questions, &run->dataset, &protocol, &run->space, err);
	if (code)
		return code;
	const struct questions *q = &run->questions;
	printf("%s: learnt from %llu events of %u users, %u items; %u questions, cold targets %.4f\n", run->mode,
	       (unsigned long long)q->train.count, q->train.users, q->known, q->count, (double)q->cold / q->count);
	dataset_free(&run->dataset);
	return 0;
}

static void show_tuning(const struct tuning *tuning)
{
	struct params defaults = params_default();
	char changes[600];
	if (tuning->note[0]) {
		printf("tuner: %s\n", tuning->note);
		return;
	}
	params_changes(&tuning->choice.params, &defaults, changes, sizeof changes);
	printf("tuner: %u candidates, %.0f plain builds' work in %.1f s; %u questions of %u older slices: NDCG@20 %.4f "
	       "HR@20 "
	       "%.4f "
	       "coverage %.3f, defaults %.4f %.4f %.3f\ntuner: %s\n",
	       tuning->candidates, tuning->builds, tuning->seconds, tuning->queries, tuning->slices,
	       tuning->choice.ndcg, tuning->choice.hit_rate, tuning->choice.coverage, tuning->standard.ndcg,
	       tuning->standard.hit_rate, tuning->standard.coverage, changes);
}

/*
 * The parameters of Kindred: the defaults and --set, or what the builder's tuner finds when it is given
 * the events before T, as a build at that time would be. Nothing here may look at anything but
 * run->questions.train.
 */
static int choose_params(struct run *run, struct error *err)
{
	if (!(run->tune_seconds > 0))
		return 0;
	struct plan_relation relation = method_relation(&run->map);
	struct learn_input input = { .space = &run->space,
				     .events = &run->questions.train,
				     .items = run->questions.items,
				     .relation = &relation,
				     .params = &run->params,
				     .threads = run->threads };
	struct tune_options search = { .seconds = run->tune_seconds,
				       .builds = TUNE_BUILDS_LONG,
				       .goal = { run->objective, TUNE_COVERAGE_FLOOR },
				       .to = 1,
				       .new_users = run->protocol_mode == PROTOCOL_SESSNEW ||
						    run->protocol_mode == PROTOCOL_SESSION };
	relation.occasion = run->protocol_mode == PROTOCOL_SESSION ? OCCASION_AGAIN
			    : run->protocol_mode == PROTOCOL_USER  ? OCCASION_VISIT
								   : OCCASION_NEXT;
	struct tuning *tuning = calloc(1, sizeof *tuning);
	if (!tuning)
		return error_set(err, E_EXHAUSTED, "no memory for the tuner");
	int code = tune(tuning, &input, &search, run->questions.train.newest_s, err);
	if (!code) {
		run->params = tuning->choice.params;
		show_tuning(tuning);
	}
	free(tuning);
	return code;
}

static int ask(struct run *run, struct error *err)
{
	struct method_input input = {
		.questions = &run->questions, .map = &run->map, .params = &run->params, .threads = run->threads
	};
	int code = method_popular(&run->methods[0], &run->questions, 0, err);
	if (!code)
		code = method_popular(&run->methods[1], &run->questions, run->map.recent_days, err);
	if (!code)
		code = method_cosine(&run->methods[2], &input, err);
	if (!code)
		code = choose_params(run, err);
	if (!code)
		code = method_kindred(&run->methods[3], &input, err);
	for (uint32_t m = 0; m < METHODS && !code; m++)
		code = method_ask(&run->methods[m], &run->questions, &run->map, err);
	return code;
}

static int show(struct run *run, struct error *err)
{
	struct output output = { .set = run->set,
				 .mode = run->mode,
				 .questions = &run->questions,
				 .methods = run->methods,
				 .count = METHODS,
				 .params = &run->params };
	output_table(&output);
	int code = run->report ? output_json(&output, run->report, err) : 0;
	if (!code && run->plot)
		code = output_plot(&output, run->plot, err);
	if (!code && run->json)
		code = output_line(&output, err);
	return code;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.args_doc = "SET MODE",
		.doc = "Replays the data set SET through Kindred's learning and scoring. MODE: sessnew, session, user "
		       "or llo; see "
		       "bench/README.md.\vParameters:",
		.help_filter = help_filter,
	};
	static struct run run = { .data = "../shared/data", .maps = "bench/eval/sets", .from = 0.9, .to = 1 };
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	run.threads = cores < 1 ? 1 : cores > PARALLEL_MAX ? PARALLEL_MAX : (uint32_t)cores;
	run.params = params_default();
	log_init("eval", LOG_WARNING);
	argp_err_exit_status = error_exit_code(E_INVALID);
	argp_parse(&argp, argc, argv, 0, NULL, &run);
	space_init(&run.space, "/tmp", MEMORY_BYTES);
	struct error error = { 0 };
	static int (*const steps[])(struct run * run, struct error * err) = { load, split, ask, show };
	int code = 0;
	for (size_t s = 0; s < sizeof steps / sizeof *steps && !code; s++)
		code = steps[s](&run, &error);
	for (uint32_t m = 0; m < METHODS; m++)
		method_free(&run.methods[m]);
	protocol_free(&run.questions);
	dataset_free(&run.dataset);
	if (code)
		log_error("%s", error.text);
	return error_exit_code(code);
}
