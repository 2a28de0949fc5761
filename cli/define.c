/* `kindred define`: the rules of a recommendation. */
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/duration.h"
#include "cli/unknown.h"
#include "common/message_json.h"
#include "kindred/v1/definitions.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE "/kindred.v1.DefinitionService/"
#define EVENTS_MAX 16
#define EXCLUDE_MAX 64
#define SESSION_PAUSE_USUAL "30m"

struct define {
	Kindred__V1__Definition definition;
	Kindred__V1__EventWeight events[EVENTS_MAX], *event_pointers[EVENTS_MAX];
	char *exclude[EXCLUDE_MAX];
	Kindred__V1__Fallback fallback;
	Google__Protobuf__Duration lookback, window, session;
};

enum {
	OPT_CATALOG = 0x4000,
	OPT_EVENT,
	OPT_LOOKBACK,
	OPT_WINDOW,
	OPT_FILTER,
	OPT_EXCLUDE,
	OPT_EXCLUDE_SEEN,
	OPT_COUNT,
	OPT_FALLBACK,
	OPT_FALLBACK_FREE,
	OPT_STRATEGY,
	OPT_REPEAT,
	OPT_OCCASION,
	OPT_SESSION,
	OPT_EXPLORE,
	OPT_DESCRIPTION
};

/* "Purchased=5"; without a weight it is 1. */
static void event_option(struct define *define, char *value, struct argp_state *state)
{
	Kindred__V1__Definition *definition = &define->definition;
	char *equals = strrchr(value, '='), *end = NULL;
	if (definition->n_events == EVENTS_MAX)
		argp_error(state, "more than %d --event", EVENTS_MAX);
	Kindred__V1__EventWeight *event = &define->events[definition->n_events];
	kindred__v1__event_weight__init(event);
	event->weight = 1;
	if (equals) {
		event->weight = strtof(equals + 1, &end);
		if (end == equals + 1 || *end || !(event->weight > 0 && event->weight <= 1000))
			argp_error(state,
				   "--event '%s': the weight is a number more than 0, at most 1000: 'Purchased=5'",
				   value);
		*equals = '\0';
	}
	event->type = value;
	define->event_pointers[definition->n_events++] = event;
}

static Google__Protobuf__Duration *duration_option(Google__Protobuf__Duration *duration, const char *option,
						   const char *value, struct argp_state *state)
{
	struct error err;
	google__protobuf__duration__init(duration);
	if (duration_parse(option, value, &duration->seconds, &err) != 0)
		cli_usage(state, &err);
	return duration;
}

static void fallback_option(struct define *define, const char *value, struct argp_state *state)
{
	if (strcmp(value, "none") == 0)
		define->fallback.kind = KINDRED__V1__FALLBACK_KIND__FALLBACK_KIND_NONE;
	else if (strcmp(value, "popular") == 0)
		define->fallback.kind = KINDRED__V1__FALLBACK_KIND__FALLBACK_KIND_POPULAR;
	else if (strcmp(value, "recent") == 0)
		define->fallback.kind = KINDRED__V1__FALLBACK_KIND__FALLBACK_KIND_RECENTLY_POPULAR;
	else
		argp_error(state, "--fallback '%s': give none, popular or recent", value);
}

static void strategy_option(struct define *define, const char *value, struct argp_state *state)
{
	if (strcmp(value, "item-to-item") == 0)
		define->definition.strategy = KINDRED__V1__STRATEGY__STRATEGY_ITEM_TO_ITEM;
	else if (strcmp(value, "popular") == 0)
		define->definition.strategy = KINDRED__V1__STRATEGY__STRATEGY_POPULAR;
	else
		argp_error(state, "--strategy '%s': give item-to-item or popular", value);
}

static void repeat_option(struct define *define, const char *value, struct argp_state *state)
{
	if (strcmp(value, "best") == 0)
		define->definition.repeat = KINDRED__V1__REPEAT__REPEAT_UNSPECIFIED;
	else if (strcmp(value, "on") == 0)
		define->definition.repeat = KINDRED__V1__REPEAT__REPEAT_ON;
	else if (strcmp(value, "off") == 0)
		define->definition.repeat = KINDRED__V1__REPEAT__REPEAT_OFF;
	else
		argp_error(state, "--repeat '%s': give best, on or off", value);
}

static void occasion_option(struct define *define, const char *value, struct argp_state *state)
{
	if (strcmp(value, "next") == 0)
		define->definition.occasion = KINDRED__V1__OCCASION__OCCASION_NEXT;
	else if (strcmp(value, "visit") == 0)
		define->definition.occasion = KINDRED__V1__OCCASION__OCCASION_VISIT;
	else if (strcmp(value, "again") == 0)
		define->definition.occasion = KINDRED__V1__OCCASION__OCCASION_AGAIN;
	else
		argp_error(state, "--occasion '%s': give next, again or visit", value);
}

/* "0.1", "10%". */
static void explore_option(struct define *define, const char *value, struct argp_state *state)
{
	char *end = NULL;
	float share = strtof(value, &end);
	bool percent = end != value && strcmp(end, "%") == 0;
	share = percent ? share / 100 : share;
	if (end == value || (*end && !percent) || !(share >= 0 && share <= 0.5f))
		argp_error(state, "--explore '%s': give a share from 0 to 0.5, or 0%% to 50%%", value);
	define->definition.explore = share;
}

static error_t define_option(int key, char *value, struct argp_state *state)
{
	struct define *define = state->input;
	Kindred__V1__Definition *definition = &define->definition;
	switch (key) {
	case OPT_CATALOG:
		definition->catalog = value;
		return 0;
	case OPT_EVENT:
		event_option(define, value, state);
		return 0;
	case OPT_LOOKBACK:
		definition->lookback = duration_option(&define->lookback, "--lookback", value, state);
		return 0;
	case OPT_WINDOW:
		definition->model_window = duration_option(&define->window, "--window", value, state);
		return 0;
	case OPT_FILTER:
		definition->filter = value;
		return 0;
	case OPT_EXCLUDE:
		if (definition->n_exclude_events == EXCLUDE_MAX)
			argp_error(state, "more than %d --exclude", EXCLUDE_MAX);
		define->exclude[definition->n_exclude_events++] = value;
		return 0;
	case OPT_EXCLUDE_SEEN:
		definition->exclude_seen = true;
		return 0;
	case OPT_COUNT:
		definition->count = (uint32_t)cli_number(state, "--count", value, 1, 1000);
		return 0;
	case OPT_FALLBACK:
		fallback_option(define, value, state);
		return 0;
	case OPT_FALLBACK_FREE:
		define->fallback.ignore_filter = true;
		return 0;
	case OPT_STRATEGY:
		strategy_option(define, value, state);
		return 0;
	case OPT_REPEAT:
		repeat_option(define, value, state);
		return 0;
	case OPT_OCCASION:
		occasion_option(define, value, state);
		return 0;
	case OPT_SESSION:
		definition->session_pause = duration_option(
			&define->session, "--session", strcmp(value, "on") == 0 ? SESSION_PAUSE_USUAL : value, state);
		return 0;
	case OPT_EXPLORE:
		explore_option(define, value, state);
		return 0;
	case OPT_DESCRIPTION:
		definition->description = value;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option define_options[] = {
	{ "catalog", OPT_CATALOG, "NAME", 0, "The catalog to recommend from", 1 },
	{ "event", OPT_EVENT, "TYPE[=WEIGHT]", 0,
	  "An event it is based on, and how much it counts (1); may be repeated", 1 },
	{ "lookback", OPT_LOOKBACK, "SPAN", 0,
	  "How far back the user's own history counts: 30d, 12h (default, and 0: all that is kept)", 1 },
	{ "window", OPT_WINDOW, "SPAN", 0, "How far back the model learns (default, and 0: all that is kept)", 1 },
	{ "filter", OPT_FILTER, "FILTER", 0, "Which items may be shown", 1 },
	{ "exclude", OPT_EXCLUDE, "TYPE", 0, "Do not show items that the user has this event with; may be repeated",
	  1 },
	{ "exclude-seen", OPT_EXCLUDE_SEEN, NULL, 0,
	  "Do not show items that the user has any of the --event types with, within the lookback", 1 },
	{ "repeat", OPT_REPEAT, "HOW", 0,
	  "Whether what the user had counts for itself: best (as the model finds it, default), on, off; --exclude-seen "
	  "removes it altogether",
	  1 },
	{ "occasion", OPT_OCCASION, "WHEN", 0,
	  "When it is shown: next, while the user is there (default); again, the same, and what was had before is "
	  "worth "
	  "showing too; visit, before the user comes again, as in a campaign",
	  1 },
	{ "session", OPT_SESSION, "SPAN", 0,
	  "Learn from sessions, which end with a pause of this length, such as 20m; on: 30m (default, and 0: from all "
	  "that a user does, or as the tuner finds better)",
	  1 },
	{ "explore", OPT_EXPLORE, "SHARE", 0,
	  "Share of the places, the last ones, that items with too few events may take: 0.1 or 10% (0)", 1 },
	{ "count", OPT_COUNT, "N", 0, "Items to return when the call does not say (20)", 1 },
	{ "fallback", OPT_FALLBACK, "KIND", 0, "What fills up to the count: recent (default), popular, none", 1 },
	{ "fallback-ignores-filter", OPT_FALLBACK_FREE, NULL, 0, "Fill up without asking the filter", 1 },
	{ "strategy", OPT_STRATEGY, "NAME", 0, "item-to-item (default) or popular", 1 },
	{ "description", OPT_DESCRIPTION, "TEXT", 0, "For people", 1 },
	{ 0 },
};

static const struct cli_spec define_spec = {
	.arguments = "NAME",
	.prose = "Makes the definition NAME, or a new version of it. All rules are given anew each time."
		 "\v"
		 "A filter compares attributes of the item, and of the user's last item, by = != < <= > >= and IN; "
		 "AND, OR, NOT and parentheses combine. Texts are compared exactly, also upper and lower case. "
		 "A definition serves once a model was built that knows its events; the server builds one soon by "
		 "itself.\n"
		 "\n"
		 "Examples:\n"
		 "  kindred define wanted-next --catalog shop --event Purchased=5 \\\n"
		 "      --event 'Added to Cart=3' --event Viewed=1 --exclude Purchased \\\n"
		 "      --filter 'in_stock = true AND price < 50 AND category = last.category'\n"
		 "  kindred define watch-next --catalog series --event Watched --exclude-seen \\\n"
		 "      --filter 'language = last.language AND NOT genres IN (\"Horror\", \"Gore\")'\n"
		 "  kindred define newsletter --catalog shop --event Purchased --occasion visit\n"
		 "  kindred define play-again --catalog songs --event Played --repeat on\n"
		 "  kindred define top --catalog shop --event Purchased --strategy popular\n",
	.options = define_options,
	.parse = define_option,
	.least = 1,
	.most = 1,
};

/* Updates; what is not there yet is created. *made: 1 created, 0 updated. */
static int put(struct cli *cli, Kindred__V1__Definition *definition, Kindred__V1__Definition **stored, bool *created,
	       struct error *err)
{
	Kindred__V1__UpdateDefinitionRequest update = KINDRED__V1__UPDATE_DEFINITION_REQUEST__INIT;
	Kindred__V1__UpdateDefinitionResponse *updated = NULL;
	Kindred__V1__CreateDefinitionRequest create = KINDRED__V1__CREATE_DEFINITION_REQUEST__INIT;
	Kindred__V1__CreateDefinitionResponse *made = NULL;
	Kindred__V1__GetDefinitionRequest get = KINDRED__V1__GET_DEFINITION_REQUEST__INIT;
	Kindred__V1__GetDefinitionResponse *there = NULL;
	get.name = definition->name;
	int code = cli_call(cli, SERVICE "GetDefinition", &get, &kindred__v1__get_definition_response__descriptor,
			    &there, err);
	*created = code == E_NOT_FOUND;
	if (code == 0) {
		kindred__v1__get_definition_response__free_unpacked(there, NULL);
		update.definition = definition;
		code = cli_call(cli, SERVICE "UpdateDefinition", &update,
				&kindred__v1__update_definition_response__descriptor, &updated, err);
		if (code == 0) {
			*stored = updated->definition;
			updated->definition = NULL;
			kindred__v1__update_definition_response__free_unpacked(updated, NULL);
		}
	} else if (code == E_NOT_FOUND) {
		create.definition = definition;
		code = cli_call(cli, SERVICE "CreateDefinition", &create,
				&kindred__v1__create_definition_response__descriptor, &made, err);
		if (code == 0) {
			*stored = made->definition;
			made->definition = NULL;
			kindred__v1__create_definition_response__free_unpacked(made, NULL);
		}
	}
	return code;
}

int cmd_define(struct cli *cli, int argc, char **argv)
{
	static struct define define;
	Kindred__V1__Definition *stored = NULL;
	struct error err;
	char *args[1];
	bool created = false;
	kindred__v1__definition__init(&define.definition);
	kindred__v1__fallback__init(&define.fallback);
	define.definition.events = define.event_pointers;
	define.definition.exclude_events = define.exclude;
	define.definition.fallback = &define.fallback;
	cli_parse(cli, &define_spec, &define, argc, argv, args);
	define.definition.name = args[0];
	if (*define.definition.catalog == '\0') {
		error_set(&err, E_INVALID, "say which catalog to recommend from: --catalog NAME");
		return cli_fail(&err);
	}
	if (define.definition.n_events == 0) {
		error_set(&err, E_INVALID, "say which events it is based on: --event Purchased=5 --event Viewed=1");
		return cli_fail(&err);
	}
	int code = put(cli, &define.definition, &stored, &created, &err);
	if (code != 0)
		return cli_fail(&err);
	unknown_types_warn(cli, stored);
	if (cli->json)
		code = message_print(&stored->base);
	else
		printf("%s is %s, version %" PRIu64 "\n", stored->name, created ? "defined" : "changed",
		       stored->version);
	kindred__v1__definition__free_unpacked(stored, NULL);
	return code;
}
