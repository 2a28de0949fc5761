#include "cli/cli.h"

#include "cli/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

static const struct argp_option global_options[] = {
	{ "server", 's', "HOST:PORT", 0, "The server to talk to (KINDRED_SERVER; default " CLI_SERVER_DEFAULT ")", -2 },
	{ "json", 'j', NULL, 0, "Answer as JSON", -2 },
	{ "quiet", 'q', NULL, 0, "No progress, no remarks: results and errors only", -2 },
	{ 0 },
};

struct parsing {
	struct cli *cli;
	const struct cli_spec *spec;
	void *input;
	char **args;
	int count;
};

static error_t parse_global(int key, char *value, struct argp_state *state)
{
	struct cli *cli = ((struct parsing *)state->input)->cli;
	switch (key) {
	case 's':
		cli->server = value;
		return 0;
	case 'j':
		cli->json = true;
		return 0;
	case 'q':
		cli->quiet = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_arguments(int key, char *value, struct argp_state *state)
{
	struct parsing *parsing = state->input;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = parsing;
		state->child_inputs[1] = parsing->input;
		return 0;
	case ARGP_KEY_ARG:
		if (parsing->count >= parsing->spec->most)
			argp_error(state, "one argument too many: '%s'; it is called with %s", value,
				   parsing->spec->arguments[0] != '\0' ? parsing->spec->arguments : "options only");
		parsing->args[parsing->count++] = value;
		return 0;
	case ARGP_KEY_END:
		if (parsing->count < parsing->spec->least)
			argp_error(state, "an argument is missing; it is called with %s", parsing->spec->arguments);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_nothing(int key, char *value, struct argp_state *state)
{
	(void)key;
	(void)value;
	(void)state;
	return ARGP_ERR_UNKNOWN;
}

int cli_parse(struct cli *cli, const struct cli_spec *spec, void *input, int argc, char **argv, char **args)
{
	const struct argp global = { .options = global_options, .parser = parse_global };
	const struct argp own = { .options = spec->options,
				  .parser = spec->parse != NULL ? spec->parse : parse_nothing };
	const struct argp_child children[] = { { &global, 0, "Global options:", -2 }, { &own, 0, NULL, 0 }, { 0 } };
	const struct argp argp = {
		.parser = parse_arguments,
		.args_doc = spec->arguments,
		.doc = spec->prose,
		.children = children,
	};
	struct parsing parsing = { .cli = cli, .spec = spec, .input = input, .args = args };
	argp_parse(&argp, argc, argv, 0, NULL, &parsing);
	return parsing.count;
}

int64_t cli_number(struct argp_state *state, const char *option, const char *text, int64_t min, int64_t max)
{
	char *end;
	errno = 0;
	long long number = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || number < min || number > max)
		argp_error(state, "%s '%s': give a whole number from %lld to %lld", option, text, (long long)min,
			   (long long)max);
	return number;
}

void cli_usage(struct argp_state *state, const struct error *err)
{
	argp_error(state, "%s", err->text);
}

int cli_connect(struct cli *cli, struct error *err)
{
	return cli->client != NULL ? 0 : rpc_open(&cli->client, cli->server, err);
}

bool cli_worth_another_try(int code)
{
	return code == E_UNAVAILABLE || code == E_CANCELLED;
}

int cli_call(struct cli *cli, const char *method, const void *request, const ProtobufCMessageDescriptor *type,
	     void *response, struct error *err)
{
	int code = cli_connect(cli, err);
	if (code != 0)
		return code;
	return rpc_call(cli->client, method, request, type, CLI_TIMEOUT_MS, NULL, response, err);
}

static bool output_told;

int cli_output_error(struct error *err)
{
	static const char text[] = "cannot write to standard output";
	output_told = true;
	return errno != 0 ? error_errno(err, errno, "%s", text) : error_set(err, E_UNKNOWN, "%s", text);
}

/* Of what failed before the end the reason is gone, unless it is met again. */
static void on_exit_output(void)
{
	struct error err;
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return;
	if (!output_told) {
		cli_output_error(&err);
		fprintf(stderr, "kindred: %s\n", err.text);
	}
	_exit(EX_IOERR);
}

void cli_watch_output(void)
{
	atexit(on_exit_output);
}

int cli_fail(const struct error *err)
{
	fflush(stdout);
	fprintf(stderr, "kindred: %s\n", err->text);
	return err->code;
}

void cli_say(const struct cli *cli, const char *format, ...)
{
	if (cli->quiet)
		return;
	char *text = NULL;
	va_list args;
	va_start(args, format);
	int bytes = vasprintf(&text, format, args);
	va_end(args);
	if (bytes < 0)
		return;
	text_write(stderr, text);
	fputc('\n', stderr);
	free(text);
}

int cli_confirm(bool yes, const char *what, struct error *err)
{
	if (yes)
		return 0;
	return error_set(err, E_INVALID, "this deletes %s and cannot be undone; say --yes to do it", what);
}
