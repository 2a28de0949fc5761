/*
 * kindred: the command line. It talks to a running server over gRPC like any other client; only `init`
 * and `serve` touch a data directory. Start reading at the table of commands: each is a function in the
 * file of its group. What they share is in cli.h.
 */
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/layouts.h"
#include "common/log.h"
#include "common/standard.h"
#include "version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct command commands[] = {
	{ NULL, "init", "make a data directory", cmd_init },
	{ NULL, "serve", "run a server", cmd_serve },
	{ NULL, "status", "how the server is: workers, shards, rates", cmd_status },
	{ "catalog", "import", "items from CSV or NDJSON", cmd_catalog_import },
	{ "catalog", "create", "an empty catalog", cmd_catalog_create },
	{ "catalog", "list", "all catalogs", cmd_catalog_list },
	{ "catalog", "get", "a catalog's schema, or one item", cmd_catalog_get },
	{ "catalog", "items", "items of a catalog", cmd_catalog_items },
	{ "catalog", "set", "change an item, at once", cmd_catalog_set },
	{ "catalog", "delete", "a catalog, or one item", cmd_catalog_delete },
	{ "events", "import", "what users did, from CSV or NDJSON", cmd_events_import },
	{ "events", "add", "one event, now", cmd_events_add },
	{ "events", "list", "a user's history", cmd_events_list },
	{ "user", "delete", "forget a user", cmd_user_delete },
	{ NULL, "define", "the rules of a recommendation", cmd_define },
	{ "definitions", "list", "all definitions", cmd_definitions_list },
	{ "definitions", "get", "one definition", cmd_definitions_get },
	{ "definitions", "delete", "one definition", cmd_definitions_delete },
	{ NULL, "recommend", "what users may want next", cmd_recommend },
	{ NULL, "export", "recommendations for all users, into a file", cmd_export },
	{ "model", "build", "learn a new generation", cmd_model_build },
	{ "model", "refresh", "count popularity, season and trend anew", cmd_model_refresh },
	{ "model", "tune", "learn with a longer search for parameters", cmd_model_tune },
	{ "model", "show", "what a generation was learnt with, and why", cmd_model_show },
	{ "model", "list", "kept generations and how good they are", cmd_model_list },
	{ "model", "activate", "serve another generation", cmd_model_activate },
	{ "model", "rollback", "serve the one before", cmd_model_rollback },
	{ "model", "status", "what the builder does", cmd_model_status },
	{ 0 },
};

static void print_help(FILE *out, const char *group)
{
	fprintf(out, "Usage: kindred [--server HOST:PORT] %s [OPTION..] [ARGUMENT..]\n\n", group ? group : "COMMAND");
	for (const struct command *command = commands; command->run; command++) {
		char name[64];
		if (group && (!command->group || strcmp(command->group, group) != 0))
			continue;
		snprintf(name, sizeof name, "%s%s%s", command->group ? command->group : "", command->group ? " " : "",
			 command->name);
		fprintf(out, "  kindred %-20s %s\n", name, command->prose);
	}
	fprintf(out,
		"\nkindred COMMAND --help says more and shows examples; kindred help layouts lists\n"
		"known data sets. The server is %s unless --server or KINDRED_SERVER\n"
		"say otherwise; --json and --quiet go with every command.\n",
		CLI_SERVER_DEFAULT);
	if (!group)
		fprintf(out, "\nA first try:\n"
			     "  kindred serve --data ./data --init &\n"
			     "  kindred catalog import shop products.csv\n"
			     "  kindred define next --catalog shop --event Purchased=5 --event Viewed=1\n"
			     "  kindred events import shop events.csv\n"
			     "  kindred model build\n"
			     "  kindred recommend next john\n");
}

/*
 * Options before the command; the command's own parser reads them again, wherever they stand. Returns
 * the index of the first word; 0: --server is the last one.
 */
static int skip_options(int argc, char **argv, struct cli *cli)
{
	int at = 1;
	while (at < argc && argv[at][0] == '-') {
		if (strcmp(argv[at], "--server") == 0 || strcmp(argv[at], "-s") == 0) {
			if (++at == argc)
				return 0;
			cli->server = argv[at];
		} else if (strncmp(argv[at], "--server=", 9) == 0) {
			cli->server = argv[at] + 9;
		} else if (strcmp(argv[at], "--json") == 0 || strcmp(argv[at], "-j") == 0) {
			cli->json = true;
		} else if (strcmp(argv[at], "--quiet") == 0 || strcmp(argv[at], "-q") == 0) {
			cli->quiet = true;
		} else {
			break;
		}
		at++;
	}
	return at;
}

static bool is_group(const char *word)
{
	for (const struct command *command = commands; command->run; command++)
		if (command->group && strcmp(command->group, word) == 0)
			return true;
	return false;
}

/* *words: how many words of the line name it. */
static const struct command *find(int argc, char **argv, int *words)
{
	for (const struct command *command = commands; command->run; command++) {
		*words = command->group ? 2 : 1;
		if (argc >= *words && (!command->group || strcmp(command->group, argv[0]) == 0) &&
		    strcmp(command->name, argv[*words - 1]) == 0)
			return command;
	}
	return NULL;
}

/* "; do you mean ..": the first few that begin as the word does: "defin", "import", "catalogs". */
static void print_likely(const char *word, const char *group)
{
	unsigned count = 0;
	for (const struct command *command = commands; command->run; command++) {
		bool likely = strncmp(command->name, word, 3) == 0 ||
			      (!group && command->group && strncmp(command->group, word, 3) == 0);
		if (!likely || (group && (!command->group || strcmp(command->group, group) != 0)))
			continue;
		fprintf(stderr, "%s'kindred %s%s%s'", count++ ? " or " : "; do you mean ",
			command->group ? command->group : "", command->group ? " " : "", command->name);
		if (count == 3)
			return;
	}
}

static int unknown(int argc, char **argv)
{
	bool group = is_group(argv[0]);
	if (group && (argc == 1 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0)) {
		print_help(argc == 1 ? stderr : stdout, argv[0]);
		return argc == 1 ? E_INVALID : 0;
	}
	fprintf(stderr, "kindred: there is no command '%s%s%s'", argv[0], group ? " " : "", group ? argv[1] : "");
	print_likely(argv[group ? 1 : 0], group ? argv[0] : NULL);
	fprintf(stderr, "; kindred help%s%s lists them\n", group ? " " : "", group ? argv[0] : "");
	return E_INVALID;
}

/* argp takes the program's name from argv[0]: the command is part of it. */
static int run(struct cli *cli, const struct command *command, int argc, char **argv)
{
	static char name[96];
	snprintf(name, sizeof name, "kindred %s%s%s", command->group ? command->group : "", command->group ? " " : "",
		 command->name);
	argv[0] = name;
	return command->run(cli, argc, argv);
}

static void print_layouts(void)
{
	size_t count;
	const struct layout *all = layouts(&count);
	printf("Layouts of known data sets, for --layout of `kindred events import` and `kindred catalog import`:\n\n");
	for (size_t i = 0; i < count; i++)
		printf("  %-15s %s\n", all[i].name, all[i].prose);
}

/* `kindred help [layouts | COMMAND]`; argv begins behind "help". */
static int help(struct cli *cli, int argc, char **argv)
{
	int words = 0;
	if (argc == 0) {
		print_help(stdout, NULL);
		return 0;
	}
	if (strcmp(argv[0], "layouts") == 0) {
		print_layouts();
		return 0;
	}
	if (argc == 1 && is_group(argv[0])) {
		print_help(stdout, argv[0]);
		return 0;
	}
	const struct command *command = find(argc, argv, &words);
	if (command == NULL)
		return unknown(argc, argv);
	static char option[] = "--help";
	char *line[] = { NULL, option, NULL };
	return run(cli, command, 2, line);
}

int main(int argc, char **argv)
{
	struct cli cli = { .server = getenv("KINDRED_SERVER") };
	int words = 0, code;
	standard_hold();
	log_init("kindred", LOG_WARNING);
	cli_watch_output();
	setenv("ARGP_HELP_FMT", "no-dup-args-note", 0);
	if (!cli.server || !*cli.server)
		cli.server = CLI_SERVER_DEFAULT;
	int first = skip_options(argc, argv, &cli);
	if (!first) {
		fprintf(stderr, "kindred: %s: give HOST:PORT and a command behind it; kindred help lists those\n",
			argv[argc - 1]);
		return error_exit_code(E_INVALID);
	}
	if (first == argc) {
		print_help(stderr, NULL);
		return error_exit_code(E_INVALID);
	}
	if (strcmp(argv[first], "--version") == 0 || strcmp(argv[first], "-V") == 0 ||
	    strcmp(argv[first], "version") == 0) {
		printf("kindred %s (%s)\n", KINDRED_VERSION, KINDRED_REVISION);
		return 0;
	}
	if (strcmp(argv[first], "--help") == 0 || strcmp(argv[first], "-?") == 0) {
		print_help(stdout, NULL);
		return 0;
	}
	if (strcmp(argv[first], "help") == 0)
		return error_exit_code(help(&cli, argc - first - 1, argv + first + 1));
	const struct command *command = find(argc - first, argv + first, &words);
	if (command)
		code = run(&cli, command, argc - first - words + 1, argv + first + words - 1);
	else
		code = unknown(argc - first, argv + first);
	rpc_close(cli.client);
	return error_exit_code(code);
}
