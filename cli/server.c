/* `kindred init` and `kindred serve`: the two commands that touch a data directory themselves. */
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/text.h"
#include "common/config.h"
#include "common/datadir.h"
#include "common/message_json.h"
#include "common/prose.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DATA_DEFAULT "./kindred-data"

/* --- init --- */

static error_t init_option(int key, char *value, struct argp_state *state)
{
	uint32_t *shards = state->input;
	if (key != 'n')
		return ARGP_ERR_UNKNOWN;
	*shards = (uint32_t)cli_number(state, "--shards", value, 1, SHARDS_MAX);
	return 0;
}

int cmd_init(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "shards", 'n', "N", 0,
		  "Shards that users are spread over, 1 to 1024; never changes afterwards (default: 16)", 1 },
		{ 0 },
	};
	static const struct cli_spec spec = {
		.arguments = "DIR",
		.prose = "Makes DIR a data directory of Kindred."
			 "\v"
			 "The number of shards bounds the number of worker processes, which is free at every start.\n"
			 "\n"
			 "Examples:\n"
			 "  kindred init /var/lib/kindred\n"
			 "  kindred init ./data --shards 64\n",
		.options = options,
		.parse = init_option,
		.least = 1,
		.most = 1,
	};
	uint32_t shards = SHARDS_DEFAULT;
	struct error err;
	char *args[1];
	cli_parse(cli, &spec, &shards, argc, argv, args);
	if (datadir_init(args[0], shards, &err) != 0)
		return cli_fail(&err);
	if (cli->json)
		return json_print(json_pack("{s:s, s:i}", "data", args[0], "shards", (int)shards), false);
	cli_say(cli, "%s is ready: %u shard%s. Start a server on it: kindred serve --data %s", args[0], shards,
		text_s(shards), args[0]);
	return 0;
}

/* --- serve --- */

struct serve {
	const char *data;
	bool init;
	char **server_argv; /* for kindred-server */
	int count;
};

/* Every parameter of the configuration is an option of kindred-server; this one passes them on unread. */
static int take_option(struct serve *serve, int argc, char **argv, int at)
{
	char *option = argv[at];
	if (strcmp(option, "--init") == 0) {
		serve->init = true;
		return at + 1;
	}
	if (strncmp(option, "--data=", 7) == 0) {
		serve->data = option + 7;
		return at + 1;
	}
	if ((strcmp(option, "--data") == 0 || strcmp(option, "-d") == 0) && at + 1 < argc) {
		serve->data = argv[at + 1];
		return at + 2;
	}
	serve->server_argv[serve->count++] = option;
	return at + 1;
}

/* As argp would write it. */
static void option_help(const char *option, const char *prose)
{
	int at = printf("      --%s", option);
	prose_fill(stdout, prose, (size_t)at, 29);
}

/* "history_cap", in events: --history-cap=EVENTS. */
static void parameter_help(const struct config_parameter *parameter)
{
	char option[128], prose[400];
	int bytes = snprintf(option, sizeof option, "%s=%s", parameter->name,
			     parameter->choices ? "WORD" : parameter->unit);
	for (int i = 0; i < bytes; i++)
		option[i] = option[i] == '_' ? '-' : option[i];
	if (!parameter->choices)
		for (char *c = strchr(option, '='); *c; c++)
			*c = (char)toupper((unsigned char)*c);
	snprintf(prose, sizeof prose, "%s%s%s (default: %s)", parameter->prose, parameter->choices ? ": " : "",
		 parameter->choices ? parameter->choices : "", *parameter->fallback ? parameter->fallback : "none");
	option_help(option, prose);
}

static void serve_help(void)
{
	unsigned count = 0;
	const struct config_parameter *parameters = config_parameters(&count);
	printf("Usage: kindred serve [OPTION...]\n"
	       "Runs a server in the foreground, until SIGTERM or Ctrl-C, which let calls in\n"
	       "work end first.\n\n");
	option_help("data=DIR", "The data directory (KINDRED_DATA; default: " DATA_DEFAULT ")");
	option_help("init", "Make the data directory when it is not there");
	option_help("config=FILE", "YAML with the parameters below (default: DIR/kindred.yaml, when it is there)");
	printf("\n Parameters:\n");
	for (unsigned i = 0; i < count; i++)
		parameter_help(&parameters[i]);
	printf("\nExamples:\n"
	       "  kindred serve --data ./data --init\n"
	       "  kindred serve --data /var/lib/kindred --listen 0.0.0.0:7600 --workers 4\n"
	       "  KINDRED_HISTORY_CAP=500 kindred serve --data ./data\n");
}

/* kindred-server stands beside our own executable. */
static int server_path(char *path, size_t room, struct error *err)
{
	ssize_t bytes = readlink("/proc/self/exe", path, room - 1);
	if (bytes < 0)
		return error_errno(err, errno, "/proc/self/exe");
	path[bytes] = '\0';
	char *slash = strrchr(path, '/');
	size_t used = (size_t)(slash - path) + 1;
	if (used + sizeof "kindred-server" > room)
		return error_set(err, E_EXHAUSTED, "the path of our own executable is too long");
	strcpy(slash + 1, "kindred-server");
	return 0;
}

static int data_ready(struct cli *cli, const struct serve *serve, struct error *err)
{
	int code;
	if (!serve->init)
		return 0; /* kindred-server says what is wrong with it */
	code = datadir_init(serve->data, SHARDS_DEFAULT, err);
	if (code == E_EXISTS)
		return 0;
	if (code == 0)
		cli_say(cli, "made the data directory %s", serve->data);
	return code;
}

int cmd_serve(struct cli *cli, int argc, char **argv)
{
	struct serve serve = { .data = getenv("KINDRED_DATA") };
	char path[PATH_MAX];
	struct error err;
	serve.server_argv = calloc((size_t)argc + 4, sizeof *serve.server_argv);
	if (!serve.server_argv) {
		error_set(&err, E_EXHAUSTED, "no memory");
		return cli_fail(&err);
	}
	if (!serve.data || !*serve.data)
		serve.data = DATA_DEFAULT;
	serve.server_argv[serve.count++] = (char *)"kindred-server";
	for (int at = 1; at < argc;) {
		if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-?") == 0) {
			serve_help();
			free(serve.server_argv);
			return 0;
		}
		at = take_option(&serve, argc, argv, at);
	}
	serve.server_argv[serve.count++] = (char *)"--data";
	serve.server_argv[serve.count++] = (char *)serve.data;
	int code = data_ready(cli, &serve, &err);
	if (code == 0)
		code = server_path(path, sizeof path, &err);
	if (code == 0) {
		execv(path, serve.server_argv);
		error_errno(&err, errno, "%s", path);
	}
	free(serve.server_argv);
	return cli_fail(&err);
}
