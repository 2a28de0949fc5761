/*
 * kindred-builder: one build, then it exits. The server starts it on a schedule and on request; by hand
 * it does the same.
 *
 * The way of the data: definitions say what is to be learnt (plan.c); catalogs become columns
 * (items.c); histories of all shards become the events of each catalog (scan.c). For each relation:
 * lists of users (lists.c), co-occurrence (cooccur.c), 16-bit weights (quantise.c), popularity
 * (popular.c), season and trend (lift.c), all called by learn.c; then the same again without the newest
 * tenth, to see how good it is (evaluate.c), and whether it is worse than what is served (gate.c). What
 * would be learnt from the same as the active generation's is copied from there instead (fingerprint.c,
 * reuse.c). The file is written, checked and renamed into place by publish.c. build.c is the order of all
 * that, build_relation.c of what is done for one relation.
 *
 * Progress goes to stdout (report.h), the log to stderr; the exit code is that of common/error.h.
 */
#include "builder/build.h"
#include "builder/parallel.h"
#include "builder/refresh.h"
#include "builder/tune.h"
#include "common/clock.h"
#include "common/cores.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/standard.h"
#include "version.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TUNE_SECONDS 0
#define MEMORY_MB_DEFAULT 1024
#define MEMORY_MB_MIN 64

const char *argp_program_version = "kindred-builder " KINDRED_VERSION " (" KINDRED_REVISION ")";

enum {
	OPTION_SET = 256,
	OPTION_TUNE_SECONDS,
	OPTION_TUNE_WHOLE,
	OPTION_OBJECTIVE,
	OPTION_FLOOR,
	OPTION_REFRESH,
	OPTION_NO_GATE,
	OPTION_NO_REUSE
};

static const struct argp_option options[] = {
	{ "data", 'd', "DIR", 0, "The data directory. Required", 0 },
	{ "generation", 'g', "N", 0,
	  "The number of the generation to build (default: one more than the highest there is)", 0 },
	{ "memory-mb", 'm', "M", 0,
	  "Memory for the large arrays; beyond it they move to files in the data directory (1024)", 0 },
	{ "threads", 't', "T", 0, "Threads; 0: one a core (0)", 0 },
	{ "set", OPTION_SET, "NAME=VALUE", 0, "Learn with another value of a parameter, for experiments; see below",
	  0 },
	{ "tune-seconds", OPTION_TUNE_SECONDS, "S", 0,
	  "Most seconds a relation for finding its parameters; 0: the last choice is taken as it is (0)", 0 },
	{ "tune-whole", OPTION_TUNE_WHOLE, NULL, 0, "A longer search, whatever was chosen before", 0 },
	{ "refresh", OPTION_REFRESH, NULL, 0,
	  "Learn nothing: the active generation again, with popularity, season and trend of today", 0 },
	{ "objective", OPTION_OBJECTIVE, "ndcg|hit_rate", 0,
	  "What is looked for (default: as in the last search, else ndcg)", 0 },
	{ "coverage-floor", OPTION_FLOOR, "SHARE", 0,
	  "Share of the learnt items that must be shown to somebody (default: as in the last search, else 0.1)", 0 },
	{ "no-gate", OPTION_NO_GATE, NULL, 0, "Do not compare with the generation that is served", 0 },
	{ "no-reuse", OPTION_NO_REUSE, NULL, 0,
	  "Learn, tune and evaluate also what did not change since the active generation, instead of taking it over",
	  0 },
	{ "log-level", 'l', "LEVEL", 0, "error, warning, info or debug (info)", 0 },
	{ 0 }
};

static uint64_t parse_number(struct argp_state *state, const char *name, const char *text, uint64_t least,
			     uint64_t most)
{
	char *end;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || value < least || value > most)
		argp_error(state, "--%s=%s: a number from %llu to %llu is wanted", name, text,
			   (unsigned long long)least, (unsigned long long)most);
	return value;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct build_options *build = state->input;
	struct error error = { 0 };
	enum tune_objective objective;
	char *end;
	switch (key) {
	case 'd':
		build->data = argument;
		return 0;
	case 'g':
		build->generation = parse_number(state, "generation", argument, 1, INT64_MAX);
		return 0;
	case 'm':
		build->memory_mb = parse_number(state, "memory-mb", argument, MEMORY_MB_MIN, UINT64_C(1) << 24);
		return 0;
	case 't':
		build->threads = (uint32_t)parse_number(state, "threads", argument, 0, PARALLEL_MAX);
		return 0;
	case 'l':
		if (log_level_parse(argument) < 0)
			argp_error(state, "--log-level=%s: error, warning, info or debug is wanted", argument);
		log_init("builder", (enum log_level)log_level_parse(argument));
		return 0;
	case OPTION_TUNE_SECONDS:
		build->tune_seconds = (double)parse_number(state, "tune-seconds", argument, 0, 86400);
		return 0;
	case OPTION_OBJECTIVE:
		if (!tune_objective_parse(argument, &objective))
			argp_error(state, "--objective=%s: ndcg or hit_rate is wanted", argument);
		build->tune_objective = argument;
		return 0;
	case OPTION_FLOOR:
		build->coverage_floor = strtod(argument, &end);
		if (end == argument || *end || !(build->coverage_floor >= 0 && build->coverage_floor <= 1))
			argp_error(state, "--coverage-floor=%s: a share from 0 to 1 is wanted", argument);
		return 0;
	case OPTION_TUNE_WHOLE:
		build->tune_whole = true;
		return 0;
	case OPTION_REFRESH:
		build->refresh = true;
		return 0;
	case OPTION_NO_GATE:
		build->no_gate = true;
		return 0;
	case OPTION_NO_REUSE:
		build->no_reuse = true;
		return 0;
	case OPTION_SET:
		build->tune_seconds = 0;
		build->params_as_given = true;
		if (params_set(&build->params, argument, &error))
			argp_error(state, "%s", error.text);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is one argument too many", argument);
		return 0;
	case ARGP_KEY_END:
		if (!build->data)
			argp_error(state, "--data is required: the data directory to build from");
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

static uint32_t cores(void)
{
	return cores_count() < PARALLEL_MAX ? cores_count() : PARALLEL_MAX;
}

/* Set by the server, so that all processes log as much. */
static enum log_level level_from_environment(void)
{
	const char *name = getenv("KINDRED_LOG_LEVEL");
	int level = name ? log_level_parse(name) : -1;
	return level < 0 ? LOG_INFO : (enum log_level)level;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.doc = "Learns a model from the histories and catalogs of a data directory and publishes it as a new "
		       "generation there.\v"
		       "Examples:\n"
		       "  kindred-builder --data /srv/kindred                 # as the server does it\n"
		       "  kindred-builder -d DIR --threads 2 --memory-mb 2048 # what it may take\n"
		       "  kindred-builder -d DIR --tune-seconds 60            # search first\n"
		       "  kindred-builder -d DIR --set gap=1                  # an experiment\n"
		       "\n"
		       "The log's last line says what each part took. The new generation is not served until the "
		       "server is "
		       "told: kindred model activate N.\n\n"
		       "Parameters:",
		.help_filter = help_filter,
	};
	struct build_options build = { .enter = true,
				       .memory_mb = MEMORY_MB_DEFAULT,
				       .progress_fd = STDOUT_FILENO,
				       .tune_seconds = TUNE_SECONDS,
				       .coverage_floor = -1,
				       .params = params_default() };
	standard_hold();
	log_init("builder", level_from_environment());
	fault_init();
	argp_err_exit_status = error_exit_code(E_INVALID);
	argp_parse(&argp, argc, argv, 0, NULL, &build);
	if (build.threads == 0)
		build.threads = cores();
	build.now_ms = clock_wall_ms();
	struct error error = { 0 };
	int code = build.refresh ? refresh_run(&build, NULL, &error) : build_run(&build, NULL, &error);
	if (code)
		log_error("%s of %s: %s", build.refresh ? "refresh" : "build", build.data, error.text);
	return error_exit_code(code);
}
