/*
 * What every command of `kindred` shares: the global options, the connection, output and errors. A
 * command is a function that parses its arguments with cli_parse, does its work, and returns 0 or an
 * error code whose text it has printed (cli_fail).
 */
#ifndef KINDRED_CLI_CLI_H
#define KINDRED_CLI_CLI_H

#include "common/error.h"
#include "common/rpc/client.h"

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#define CLI_SERVER_DEFAULT "127.0.0.1:7600"
/* For calls that only read or change a little. */
#define CLI_TIMEOUT_MS INT64_C(30000)
#define CLI_ARGS_MAX 64

struct cli {
	const char *server; /* --server, else KINDRED_SERVER, else the default */
	bool json, quiet;
	struct rpc_client *client; /* opened by the first cli_call or cli_connect */
};

struct command {
	const char *group, *name; /* "catalog", "import"; group NULL: a command by itself */
	const char *prose; /* for the list of commands */
	int (*run)(struct cli *cli, int argc, char **argv);
};

/* The commands, in the order of the help; main.c. */
extern const struct command commands[];

/* How a command is called. */
struct cli_spec {
	const char *arguments; /* "NAME FILE" */
	const char *prose; /* what it does, then "\v" and what is shown behind the options: details and examples */
	const struct argp_option *options; /* NULL: only the global ones */
	/* one option: key, value; state->input is what cli_parse was given. ARGP_ERR_UNKNOWN for other keys */
	argp_parser_t parse;
	int least, most; /* positional arguments */
};

/*
 * Parses argv (argv[0] is "kindred catalog import"). Positional arguments go to args (room for
 * spec->most, at most CLI_ARGS_MAX); returns their number. Wrong usage and --help end the program, as
 * argp does (exit code 64, EX_USAGE, and 0).
 */
int cli_parse(struct cli *cli, const struct cli_spec *spec, void *input, int argc, char **argv, char **args);
/* For option parsers: a whole number in min..max, or the program ends with an explanation. */
int64_t cli_number(struct argp_state *state, const char *option, const char *text, int64_t min, int64_t max);
/* Ends the program with the error's text, as wrong usage. */
void cli_usage(struct argp_state *state, const struct error *err);

/* E_UNAVAILABLE and so on as rpc_call. */
int cli_connect(struct cli *cli, struct error *err);
int cli_call(struct cli *cli, const char *method, const void *request, const ProtobufCMessageDescriptor *type,
	     void *response, struct error *err);

/*
 * Whether what a stream ended with passes by itself. CANCELLED: a server that stops cancels what its
 * grace did not suffice for.
 */
bool cli_worth_another_try(int code);

/*
 * Standard output that cannot be written, a full disk for one, is told once and ends the program with
 * EX_IOERR, whatever a command does with what printf says, and also where argp ends it. To be called
 * before anything is printed.
 */
void cli_watch_output(void);
/* For a command that ends early by it: sets *err and returns its code. */
int cli_output_error(struct error *err);

/* "kindred: text" to stderr; returns err->code. */
int cli_fail(const struct error *err);
/* A remark on stderr, unless --quiet: one line, control characters in it as '?'. */
void cli_say(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Things that cannot be undone are done only with --yes: E_INVALID with a text that says so. */
int cli_confirm(bool yes, const char *what, struct error *err);

#endif
