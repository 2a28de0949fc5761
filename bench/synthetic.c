/*
 * kindred-synthetic: writes a made-up data set of any size as CSV, streamed: a catalog, or events. Deterministic: the
 * same options give the same bytes. Users have a taste (one of the groups of items) and pick items by a Zipf law within
 * it, so that neighbours exist to be learnt; it says nothing about ranking quality and is used for load only.
 */
#include "bench/argument.h"
#include "bench/chance.h"
#include "version.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LENGTH_MAX 10000 /* events of a user */

struct options {
	const char *what;
	uint64_t users, items, per_user, groups, seed, days;
	double zipf, length_zipf;
	int64_t now_s;
};

static double uniform(uint64_t *state)
{
	*state = chance_mix(*state);
	return chance_share(*state);
}

static uint64_t zipf(uint64_t *state, uint64_t n, double s)
{
	return chance_zipf(uniform(state), n, s);
}

static void write_catalog(const struct options *o)
{
	printf("id,name,image_url,group,price,in_stock\n");
	for (uint64_t i = 0; i < o->items; i++)
		printf("i%" PRIu64 ",Item %" PRIu64 ",https://images.example/%" PRIu64 ".jpg,g%" PRIu64 ",%.2f,%s\n", i,
		       i, i, i % o->groups, 1 + (double)(chance_mix(i ^ o->seed) % 20000) / 100,
		       chance_mix(i + o->seed) % 20 ? "true" : "false");
}

/*
 * Without an exponent even from half to one and a half of the average; else a power law with that
 * average: few users have very many.
 */
static uint64_t history_length(const struct options *o, double u)
{
	if (o->length_zipf <= 0)
		return o->per_user / 2 + (uint64_t)(u * (double)(o->per_user + 1));
	double length = (double)o->per_user * (1 - o->length_zipf) * pow(1 - u, -o->length_zipf);
	return length < LENGTH_MAX ? (uint64_t)(length + 0.5) : LENGTH_MAX;
}

/* Items of group g are g, g + groups, g + 2 groups ..: nine of ten events of a user are of the user's own group. */
static void write_events(const struct options *o)
{
	uint64_t in_group = o->items / o->groups ? o->items / o->groups : 1;
	uint64_t span_s = o->days * 86400;
	printf("event_id,user,item,event,time\n");
	for (uint64_t user = 0; user < o->users; user++) {
		uint64_t state = chance_mix(o->seed ^ (user * UINT64_C(0x2545f4914f6cdd1d)));
		uint64_t own = zipf(&state, o->groups, 0.5);
		uint64_t count = history_length(o, uniform(&state));
		int64_t time_s = o->now_s - (int64_t)(uniform(&state) * (double)span_s) - 1;
		int64_t step_s = (o->now_s - time_s) / (int64_t)(count + 1);
		for (uint64_t e = 0; e < count; e++) {
			uint64_t group = uniform(&state) < 0.9 ? own : zipf(&state, o->groups, 0.5);
			uint64_t item = group + o->groups * zipf(&state, in_group, o->zipf);
			double kind = uniform(&state);
			printf("e%" PRIu64 ",u%" PRIu64 ",i%" PRIu64 ",%s,%" PRId64 "\n", e, user,
			       item < o->items ? item : own,
			       kind < 0.8    ? "Viewed"
			       : kind < 0.95 ? "Added to Cart"
					     : "Purchased",
			       time_s + (int64_t)e * step_s);
		}
	}
}

static const struct argp_option option_table[] = {
	{ "users", 'u', "N", 0, "Users (100000)", 0 },
	{ "items", 'i', "N", 0, "Items (100000)", 0 },
	{ "per-user", 'p', "N", 0, "Events a user, on average (30)", 0 },
	{ "groups", 'g', "N", 0, "Groups of items that tastes are made of (500)", 0 },
	{ "zipf", 'z', "S", 0, "Exponent of item popularity within a group (1.0)", 0 },
	{ "length-zipf", 'l', "S", 0,
	  "Exponent of history lengths among users, 0 to 0.7 (0: even, from half to one and a half of --per-user)", 0 },
	{ "days", 'd', "N", 0, "Days before --now that events are spread over (90)", 0 },
	{ "now", 'n', "SECONDS", 0, "Epoch seconds of the newest event (the present)", 0 },
	{ "seed", 's', "N", 0, "Seed (1)", 0 },
	{ 0 },
};

static error_t on_option(int key, char *text, struct argp_state *state)
{
	struct options *o = state->input;
	switch (key) {
	case 'u':
		o->users = argument_number(option_table, key, text, 1, 1000000000, state);
		return 0;
	case 'i':
		o->items = argument_number(option_table, key, text, 1, 100000000, state);
		return 0;
	case 'p':
		o->per_user = argument_number(option_table, key, text, 1, 10000, state);
		return 0;
	case 'g':
		o->groups = argument_number(option_table, key, text, 1, 1000000, state);
		return 0;
	case 'z':
		o->zipf = argument_real(text);
		if (!(o->zipf > 0 && o->zipf < 5))
			argp_error(state, "--zipf %s: more than 0 and less than 5 is allowed", text);
		return 0;
	case 'l':
		o->length_zipf = argument_real(text);
		if (!(o->length_zipf >= 0 && o->length_zipf <= 0.7))
			argp_error(state, "--length-zipf %s: 0 to 0.7 is allowed", text);
		return 0;
	case 'd':
		o->days = argument_number(option_table, key, text, 1, 36500, state);
		return 0;
	case 'n':
		o->now_s = (int64_t)argument_number(option_table, key, text, 4000000000 / 4, 4000000000, state);
		return 0;
	case 's':
		o->seed = argument_number(option_table, key, text, 0, UINT64_MAX, state);
		return 0;
	case ARGP_KEY_ARG:
		if (o->what || (strcmp(text, "catalog") != 0 && strcmp(text, "events") != 0))
			argp_error(state, "'%s': say catalog or events", text);
		o->what = text;
		return 0;
	case ARGP_KEY_END:
		if (!o->what)
			argp_error(state, "say catalog or events");
		if (o->groups > o->items)
			o->groups = o->items;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const char *argp_program_version = "kindred-synthetic " KINDRED_VERSION " (" KINDRED_REVISION ")";

int main(int argc, char **argv)
{
	static const char doc[] = "Writes a made-up catalog or its events as CSV to standard output.\v"
				  "Examples:\n"
				  "  kindred-synthetic catalog --items 100000 > items.csv\n"
				  "  kindred-synthetic events --users 1000000 --per-user 30 |\n"
				  "      kindred events import shop -\n";
	struct options options = { .users = 100000,
				   .items = 100000,
				   .per_user = 30,
				   .groups = 500,
				   .seed = 1,
				   .days = 90,
				   .zipf = 1.0,
				   .now_s = (int64_t)time(NULL) };
	struct argp argp = { option_table, on_option, "catalog|events", doc, NULL, NULL, NULL };
	argp_parse(&argp, argc, argv, 0, NULL, &options);
	if (strcmp(options.what, "catalog") == 0)
		write_catalog(&options);
	else
		write_events(&options);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "kindred-synthetic: writing: %s\n", strerror(errno));
		return 74; /* EX_IOERR */
	}
	return 0;
}
