/* `kindred definitions list | get | delete`. */
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/duration.h"
#include "cli/table.h"
#include "cli/text.h"
#include "common/message_json.h"
#include "kindred/v1/definitions.pb-c.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define SERVICE "/kindred.v1.DefinitionService/"
#define COUNT_DEFAULT 20u

enum { OPT_VERSION = 0x4000, OPT_YES };

static void events_text(const Kindred__V1__Definition *definition, char *buffer, size_t room)
{
	size_t used = 0;
	buffer[0] = '\0';
	for (size_t i = 0; i < definition->n_events && used < room; i++)
		used += (size_t)snprintf(buffer + used, room - used, "%s%s=%g", i ? ", " : "",
					 definition->events[i]->type, (double)definition->events[i]->weight);
}

static void list_page(struct table *table, const Kindred__V1__ListDefinitionsResponse *response)
{
	for (size_t i = 0; i < response->n_definitions; i++) {
		const Kindred__V1__Definition *definition = response->definitions[i];
		char events[1400], span[DURATION_TEXT_MAX];
		events_text(definition, events, sizeof events);
		table_cell(table, definition->name);
		table_format(table, "%" PRIu64, definition->version);
		table_cell(table, definition->catalog);
		table_cell(table, events);
		table_cell(table, duration_text(definition->lookback ? definition->lookback->seconds : 0, span));
		table_format(table, "%u", definition->count != 0 ? definition->count : COUNT_DEFAULT);
		table_cell(table, definition->filter);
	}
}

int cmd_definitions_list(struct cli *cli, int argc, char **argv)
{
	static const char *const headers[] = { "name", "version", "catalog", "events", "lookback", "count", "filter" };
	static const enum table_column kinds[] = { TABLE_LEFT, TABLE_RIGHT, TABLE_LEFT,    TABLE_LEFT,
						   TABLE_LEFT, TABLE_RIGHT, TABLE_FLEXIBLE };
	static const struct cli_spec spec = {
		.arguments = "",
		.prose = "Shows all definitions."
			 "\v"
			 "Example:\n"
			 "  kindred definitions list --json\n",
	};
	Kindred__V1__ListDefinitionsRequest request = KINDRED__V1__LIST_DEFINITIONS_REQUEST__INIT;
	Kindred__V1__ListDefinitionsResponse *response = NULL;
	char token[80] = "";
	struct error err;
	int code = 0;
	cli_parse(cli, &spec, NULL, argc, argv, NULL);
	struct table *table = cli->json ? NULL : table_new(7, headers, kinds);
	json_t *all = cli->json ? json_array() : NULL;
	do {
		request.page_size = 1000;
		request.page_token = token;
		code = cli_call(cli, SERVICE "ListDefinitions", &request,
				&kindred__v1__list_definitions_response__descriptor, &response, &err);
		if (code != 0)
			break;
		list_page(table, response);
		for (size_t i = 0; all && i < response->n_definitions; i++)
			json_array_append_new(all, message_json(&response->definitions[i]->base));
		snprintf(token, sizeof token, "%s", response->next_page_token);
		kindred__v1__list_definitions_response__free_unpacked(response, NULL);
	} while (*token);
	if (code != 0) {
		json_decref(all);
		code = cli_fail(&err);
	} else if (all) {
		code = json_print(all, false);
	} else {
		table_write(table, stdout, terminal_width(stdout));
	}
	table_free(table);
	return code;
}

static error_t get_option(int key, char *value, struct argp_state *state)
{
	if (key != OPT_VERSION)
		return ARGP_ERR_UNKNOWN;
	*(uint64_t *)state->input = (uint64_t)cli_number(state, "--version", value, 1, INT64_MAX);
	return 0;
}

static void print_definition(const Kindred__V1__Definition *definition)
{
	static const char *const fallbacks[] = { "recent", "none", "popular", "recent" };
	static const char *const occasions[] = { "the next item", "the next item", "the next visit",
						 "the next item, new or not" };
	static const char *const repeats[] = { "as the model finds best", "on", "off" };
	char events[1400], span[DURATION_TEXT_MAX];
	events_text(definition, events, sizeof events);
	printf("%s, version %" PRIu64 "%s", definition->name, definition->version,
	       *definition->description ? ": " : "");
	text_escape(stdout, definition->description);
	printf("\n  catalog   %s\n  events    ", definition->catalog);
	text_escape(stdout, events);
	printf("\n");
	printf("  strategy  %s\n",
	       definition->strategy == KINDRED__V1__STRATEGY__STRATEGY_POPULAR ? "popular" : "item-to-item");
	printf("  lookback  %s\n", duration_text(definition->lookback ? definition->lookback->seconds : 0, span));
	printf("  window    %s\n",
	       duration_text(definition->model_window ? definition->model_window->seconds : 0, span));
	printf("  filter    ");
	text_escape(stdout, *definition->filter ? definition->filter : "none");
	printf("\n  excluded  ");
	for (size_t i = 0; i < definition->n_exclude_events; i++) {
		printf("%s", i ? ", " : "");
		text_escape(stdout, definition->exclude_events[i]);
	}
	printf("%s\n  count     %u\n",
	       definition->exclude_seen       ? (definition->n_exclude_events ? ", all seen" : "all seen")
	       : definition->n_exclude_events ? ""
					      : "nothing",
	       definition->count != 0 ? definition->count : COUNT_DEFAULT);
	if (definition->repeat < 3)
		printf("  repeat    %s\n", repeats[definition->repeat]);
	if (definition->occasion < 4)
		printf("  occasion  %s\n", occasions[definition->occasion]);
	if (definition->session_pause && definition->session_pause->seconds > 0)
		printf("  sessions  end after a pause of %s\n",
		       duration_text(definition->session_pause->seconds, span));
	printf("  explore   %g%%\n", round((double)definition->explore * 1e6) / 1e4);
	if (definition->fallback && definition->fallback->kind < 4)
		printf("  fallback  %s%s\n", fallbacks[definition->fallback->kind],
		       definition->fallback->ignore_filter ? ", filter or not" : "");
}

int cmd_definitions_get(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		/* argp puts a "version" among its own options, wherever it belongs */
		{ "    --version=N", 0, NULL, OPTION_DOC, "That version (default: the newest)", 1 },
		{ "version", OPT_VERSION, "N", OPTION_HIDDEN, NULL, 1 },
		{ 0 },
	};
	static const struct cli_spec spec = {
		.arguments = "NAME",
		.prose = "Shows the rules of one definition."
			 "\v"
			 "Examples:\n"
			 "  kindred definitions get wanted-next\n"
			 "  kindred definitions get wanted-next --version 1 --json\n",
		.options = options,
		.parse = get_option,
		.least = 1,
		.most = 1,
	};
	Kindred__V1__GetDefinitionRequest request = KINDRED__V1__GET_DEFINITION_REQUEST__INIT;
	Kindred__V1__GetDefinitionResponse *response = NULL;
	struct error err;
	char *args[1];
	int code = 0;
	cli_parse(cli, &spec, &request.version, argc, argv, args);
	request.name = args[0];
	if (cli_call(cli, SERVICE "GetDefinition", &request, &kindred__v1__get_definition_response__descriptor,
		     &response, &err) != 0)
		return cli_fail(&err);
	if (cli->json)
		code = message_print(&response->definition->base);
	else
		print_definition(response->definition);
	kindred__v1__get_definition_response__free_unpacked(response, NULL);
	return code;
}

static error_t delete_option(int key, char *value, struct argp_state *state)
{
	(void)value;
	if (key != OPT_YES)
		return ARGP_ERR_UNKNOWN;
	*(bool *)state->input = true;
	return 0;
}

int cmd_definitions_delete(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "yes", OPT_YES, NULL, 0, "Do it", 1 },
		{ 0 },
	};
	static const struct cli_spec spec = {
		.arguments = "NAME",
		.prose = "Deletes a definition with all its versions; calls that name it are answered NOT_FOUND from "
			 "then on."
			 "\v"
			 "Example:\n"
			 "  kindred definitions delete wanted-next --yes\n",
		.options = options,
		.parse = delete_option,
		.least = 1,
		.most = 1,
	};
	Kindred__V1__DeleteDefinitionRequest request = KINDRED__V1__DELETE_DEFINITION_REQUEST__INIT;
	Kindred__V1__DeleteDefinitionResponse *response = NULL;
	struct error err;
	char *args[1], what[128];
	bool yes = false;
	cli_parse(cli, &spec, &yes, argc, argv, args);
	snprintf(what, sizeof what, "the definition '%.64s'", args[0]);
	request.name = args[0];
	if (cli_confirm(yes, what, &err) != 0 ||
	    cli_call(cli, SERVICE "DeleteDefinition", &request, &kindred__v1__delete_definition_response__descriptor,
		     &response, &err) != 0)
		return cli_fail(&err);
	kindred__v1__delete_definition_response__free_unpacked(response, NULL);
	if (cli->json)
		return json_print(json_pack("{s:s, s:b}", "definition", args[0], "deleted", 1), false);
	cli_say(cli, "%s is deleted", args[0]);
	return 0;
}
