/* `kindred model build`, `refresh` and `tune`: a generation is asked for, and followed until it is there. */
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/model.h"
#include "cli/progress.h"
#include "cli/text.h"
#include "cli/unknown.h"
#include "common/clock.h"
#include "common/message_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SERVICE "/kindred.v1.ModelService/"
#define POLL_NS 50000000L

struct build {
	bool no_wait, keep_inactive, refresh, promote, no_reuse;
	uint32_t tune_seconds, coverage_floor_permille;
	Kindred__V1__Objective objective;
};

enum { OPT_NO_WAIT = 0x3000, OPT_KEEP_INACTIVE, OPT_PROMOTE, OPT_OBJECTIVE, OPT_FLOOR, OPT_BUDGET, OPT_NO_REUSE };

static error_t build_option(int key, char *value, struct argp_state *state)
{
	struct build *build = state->input;
	char *end = NULL;
	unsigned long seconds;
	switch (key) {
	case OPT_NO_WAIT:
		build->no_wait = true;
		return 0;
	case OPT_KEEP_INACTIVE:
		build->keep_inactive = true;
		return 0;
	case OPT_PROMOTE:
		build->promote = true;
		return 0;
	case OPT_NO_REUSE:
		build->no_reuse = true;
		return 0;
	case OPT_OBJECTIVE:
		if (strcmp(value, "ndcg") == 0)
			build->objective = KINDRED__V1__OBJECTIVE__OBJECTIVE_NDCG;
		else if (strcmp(value, "hit-rate") == 0)
			build->objective = KINDRED__V1__OBJECTIVE__OBJECTIVE_HIT_RATE;
		else
			argp_error(state, "--objective '%s': ndcg or hit-rate", value);
		return 0;
	case OPT_FLOOR:
		seconds = strtoul(value, &end, 10);
		if (*value == '-' || end == value || (*end && strcmp(end, "%") != 0) || seconds < 1 || seconds > 100)
			argp_error(state, "--coverage-floor '%s': 1%% to 100%% is wanted, as in --coverage-floor 20%%",
				   value);
		build->coverage_floor_permille = (uint32_t)seconds * 10;
		return 0;
	case OPT_BUDGET:
		seconds = strtoul(value, &end, 10);
		if (*value == '-' || end == value || *end || seconds < 1 || seconds > 86400)
			argp_error(state, "--budget=%s: a number of seconds from 1 to 86400 is wanted", value);
		build->tune_seconds = (uint32_t)seconds;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Follows the build until it is over. *response: the last status. */
static int follow(struct cli *cli, uint64_t generation, Kindred__V1__GetModelStatusResponse **response,
		  struct error *err)
{
	struct progress progress;
	const struct timespec nap = { .tv_nsec = POLL_NS };
	int code;
	char what[128] = "Building";
	progress_start(&progress, what, "", cli->quiet);
	for (;;) {
		code = model_status_get(cli, response, err);
		if (code != 0)
			break;
		bool busy = (*response)->generation == generation &&
			    ((*response)->state == KINDRED__V1__BUILD_STATE__BUILD_STATE_RUNNING ||
			     (*response)->state == KINDRED__V1__BUILD_STATE__BUILD_STATE_ACTIVATING);
		if (!busy)
			break;
		if ((*response)->phase[0])
			snprintf(what, sizeof what, "%s", (*response)->phase);
		progress_update(&progress, 0, (double)(*response)->progress);
		kindred__v1__get_model_status_response__free_unpacked(*response, NULL);
		*response = NULL;
		nanosleep(&nap, NULL);
	}
	progress_hide(&progress);
	return code;
}

/* A server that is older than the field does not say. */
static int failure_code(const Kindred__V1__GetModelStatusResponse *status)
{
	return status->error_code ? error_from_grpc_status((int)status->error_code) : E_ABORTED;
}

/* "unchanged since generation 3: reading of books" */
static void say_unchanged(const Kindred__V1__UnchangedRelation *relation)
{
	printf("unchanged since generation %" PRIu64 ": ", relation->since_generation);
	text_write(stdout, relation->definition);
	printf(" of ");
	text_write(stdout, relation->catalog);
	printf("\n");
}

static int told(struct cli *cli, const struct build *build, uint64_t generation,
		const Kindred__V1__GetModelStatusResponse *status, double seconds, struct error *err)
{
	char elapsed[TEXT_MAX];
	if (status->generation == generation && status->state == KINDRED__V1__BUILD_STATE__BUILD_STATE_FAILED)
		return error_set(err, failure_code(status), "generation %" PRIu64 " was not built: %s", generation,
				 status->error);
	if (!build->refresh)
		unlearnt_warn(cli, generation);
	if (cli->json)
		return message_print(&status->base);
	if (status->held_back_generation == generation)
		printf("generation %" PRIu64 " built in %s, and held back because it is worse: %s\n"
		       "generation %" PRIu64 " goes on serving. See: kindred model show %" PRIu64
		       "; to serve it all the same: kindred model activate %" PRIu64 "\n",
		       generation, text_elapsed(seconds, elapsed), status->held_back_reason, status->active_generation,
		       generation, generation);
	else
		printf("generation %" PRIu64 " %s in %s%s\n", generation, build->refresh ? "refreshed" : "built",
		       text_elapsed(seconds, elapsed), status->active_generation == generation ? ", and served" : "");
	for (size_t i = 0; status->generation == generation && i < status->n_unchanged; i++)
		say_unchanged(status->unchanged[i]);
	return 0;
}

static int build_follow(struct cli *cli, const struct build *build, uint64_t generation, uint64_t start_ns,
			struct error *err)
{
	Kindred__V1__GetModelStatusResponse *status = NULL;
	int code = follow(cli, generation, &status, err);
	if (code != 0)
		return code;
	code = told(cli, build, generation, status, (double)(clock_monotonic_ns() - start_ns) / 1e9, err);
	kindred__v1__get_model_status_response__free_unpacked(status, NULL);
	return code;
}

static int build_run(struct cli *cli, const struct build *build)
{
	Kindred__V1__BuildModelRequest request = KINDRED__V1__BUILD_MODEL_REQUEST__INIT;
	Kindred__V1__BuildModelResponse *response = NULL;
	struct error err;
	uint64_t start_ns = clock_monotonic_ns();
	request.keep_inactive = build->keep_inactive;
	request.promote = build->promote;
	request.tune_seconds = build->tune_seconds;
	request.refresh = build->refresh;
	request.no_reuse = build->no_reuse;
	request.objective = build->objective;
	request.coverage_floor_permille = build->coverage_floor_permille;
	int code = cli_call(cli, SERVICE "BuildModel", &request, &kindred__v1__build_model_response__descriptor,
			    &response, &err);
	if (code != 0)
		return cli_fail(&err);
	uint64_t generation = response->generation;
	if (build->no_wait) {
		if (cli->json)
			code = message_print(&response->base);
		else
			printf("generation %" PRIu64 " is being built: kindred model status\n", generation);
	}
	kindred__v1__build_model_response__free_unpacked(response, NULL);
	if (!build->no_wait)
		code = build_follow(cli, build, generation, start_ns, &err) == 0 ? 0 : cli_fail(&err);
	return code;
}

int cmd_model_build(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "no-wait", OPT_NO_WAIT, NULL, 0, "Only start it", 1 },
		{ "keep-inactive", OPT_KEEP_INACTIVE, NULL, 0, "Keep the new generation without serving it", 1 },
		{ "promote", OPT_PROMOTE, NULL, 0, "Serve it even when worse than what is served", 1 },
		{ "no-reuse", OPT_NO_REUSE, NULL, 0, "Learn also what did not change since the model being served", 1 },
		{ 0 },
	};
	static const struct cli_spec spec = {
		.arguments = "",
		.prose =
			"Learns a new model generation from all events, and serves it, unless it is worse than the one "
			"being served."
			"\v"
			"Both answer the same questions, about events that neither has learnt from. One that is worse "
			"is "
			"kept and marked, not served (gate). What would be learnt from the same as before (a catalog "
			"without new events, the same definitions) is taken over as it is, and named.\n"
			"\n"
			"The server also builds by itself when enough new events came (build_every_minutes, "
			"build_min_events).\n"
			"\n"
			"Examples:\n"
			"  kindred model build\n"
			"  kindred model build --promote\n"
			"  kindred model build --keep-inactive && kindred model list\n",
		.options = options,
		.parse = build_option,
	};
	struct build build = { 0 };
	cli_parse(cli, &spec, &build, argc, argv, NULL);
	return build_run(cli, &build);
}

int cmd_model_refresh(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "no-wait", OPT_NO_WAIT, NULL, 0, "Only start it", 1 },
		{ 0 },
	};
	static const struct cli_spec spec = {
		.arguments = "",
		.prose = "Serves the active generation anew, with popularity, season and trend of today."
			 "\v"
			 "Nothing is learnt, so it takes a small part of a build's time. Items and definitions that "
			 "came since "
			 "the last build wait for the next one. The server does it by itself (refresh_every_minutes).\n"
			 "\n"
			 "Example:\n"
			 "  kindred model refresh\n",
		.options = options,
		.parse = build_option,
	};
	struct build build = { .refresh = true };
	cli_parse(cli, &spec, &build, argc, argv, NULL);
	return build_run(cli, &build);
}

int cmd_model_tune(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "budget", OPT_BUDGET, "SECONDS", 0, "Most time a relation for the search (600)", 1 },
		{ "objective", OPT_OBJECTIVE, "WHAT", 0,
		  "What is looked for: ndcg, how far up in the list; hit-rate, whether in the list (default: as in the "
		  "last search, else ndcg)",
		  1 },
		{ "coverage-floor", OPT_FLOOR, "SHARE", 0,
		  "How many of the items must be shown to somebody, such as 20% (default: as in the last search, else "
		  "10%)",
		  1 },
		{ "no-wait", OPT_NO_WAIT, NULL, 0, "Only start it", 1 },
		{ "keep-inactive", OPT_KEEP_INACTIVE, NULL, 0, "Keep the new generation without serving it", 1 },
		{ "promote", OPT_PROMOTE, NULL, 0, "Serve it even when worse than what is served", 1 },
		{ 0 },
	};
	static const struct cli_spec spec = {
		.arguments = "",
		.prose = "Learns a new model generation with parameters searched anew, until nothing helps any more or "
			 "the "
			 "budget is used up."
			 "\v"
			 "Every build searches a little, mostly around the choice before (build_tune_seconds); this is "
			 "the "
			 "long search, for a first model or when what people do has changed. Later builds keep to its "
			 "objective and floor.\n"
			 "\n"
			 "Examples:\n"
			 "  kindred model tune --budget 1800\n"
			 "  kindred model tune --objective hit-rate --coverage-floor 20%\n"
			 "  kindred model show\n",
		.options = options,
		.parse = build_option,
	};
	struct build build = { .tune_seconds = 600 };
	cli_parse(cli, &spec, &build, argc, argv, NULL);
	return build_run(cli, &build);
}
