/*
 * Welcome to kindred-server, the process that clients talk to.
 *
 * It owns the port, the catalogs and the definitions; it starts, watches and restarts one kindred-worker a
 * core, which keep the histories and answer, and a kindred-builder from time to time, which learns. What it
 * must be is fast at passing bytes on, and never wait.
 *
 *     server.c                 the order of things at the start and at the end
 *     door*.c cork.c accept.c  gRPC; everything else sees call.h
 *     methods.c                which method is handled by whom:
 *         route.c many.c ingest.c         one user, many users, events: to the workers and back
 *         catalogs.c items.c definitions.c  the control store, on a lane (lane.c) beside the loop
 *         models.c status.c health.c
 *     supervisor.c link.c      worker processes, and the socket to each
 *     align.c                  a worker that comes back is given the active generation
 *     round.c                  one question to all of them
 *     front_ends.c             with front_ends > 1: further processes of this program that take calls on the same port,
 *     front_end.c              and the life of one: the way of the data it serves itself, the rest it passes on
 *                              (door_pass.c)
 *     swap.c catchup.c         from one model generation to the next, in all workers
 *     builds.c                 when the builder runs, in a process of its own (builder_process.c)
 *     registry.c generation.c  what must be known without asking a disk
 *     admin.c stats.c          /healthz /status /metrics
 *
 * One thread, the loop, does all of it but the disk work of the lanes. To begin reading: route.c, then call.h.
 */
#include "common/fault.h"
#include "common/log.h"
#include "common/slice.h"
#include "common/standard.h"
#include "server/front_end.h"
#include "server/server.h"
#include "version.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *argp_program_version = "kindred-server " KINDRED_VERSION " (" KINDRED_REVISION ")";

enum { KEY_DATA = 'd', KEY_CONFIG = 'c', KEY_CONFIG_REFERENCE = 1000, KEY_METRICS_REFERENCE, KEY_PARAMETER };

struct options {
	const char *data, *config_file;
	/* in the order given */
	const char **names, **values;
	unsigned count;
};

static error_t take_option(int key, char *value, struct argp_state *state)
{
	struct options *options = state->input;
	unsigned parameters;
	const struct config_parameter *table = config_parameters(&parameters);

	if (key >= KEY_PARAMETER && (unsigned)(key - KEY_PARAMETER) < parameters) {
		options->names[options->count] = table[key - KEY_PARAMETER].name;
		options->values[options->count++] = value;
		return 0;
	}
	switch (key) {
	case KEY_DATA:
		options->data = value;
		return 0;
	case KEY_CONFIG:
		options->config_file = value;
		return 0;
	case KEY_CONFIG_REFERENCE:
		config_reference(stdout);
		exit(0);
	case KEY_METRICS_REFERENCE:
		stats_reference(stdout);
		exit(0);
	case ARGP_KEY_ARG:
		argp_error(state, "%s: no such argument; the data directory is given by --data", value);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* "history_cap" is --history-cap; what it says comes from the table. */
static int add_parameter(struct argp_option *option, const struct config_parameter *parameter, int key)
{
	char *name = strdup(parameter->name), *text = NULL;
	int written;

	for (char *at = name; at && *at; at++)
		if (*at == '_')
			*at = '-';
	if (parameter->kind == CONFIG_KIND_CHOICE)
		written = asprintf(&text, "%s: %s (default: %s)", parameter->prose, parameter->choices,
				   parameter->fallback);
	else
		written = asprintf(&text, "%s (default: %s)", parameter->prose,
				   *parameter->fallback ? parameter->fallback : "none");
	if (!name || written < 0) {
		free(name);
		return E_EXHAUSTED;
	}
	*option = (struct argp_option){ .name = name, .key = key, .doc = text, .group = 2 };
	option->arg = parameter->kind == CONFIG_KIND_CHOICE ? "WORD" : parameter->unit;
	return 0;
}

static int parse_options(struct options *options, int argc, char **argv)
{
	static const struct argp_option own[] = {
		{ "data", KEY_DATA, "DIRECTORY", 0,
		  "The data directory, made by `kindred init`; also the environment's KINDRED_DATA", 1 },
		{ "config", KEY_CONFIG, "FILE", 0,
		  "Parameters in YAML (default: DIRECTORY/kindred.yaml, when it is there)", 1 },
		{ "config-reference", KEY_CONFIG_REFERENCE, 0, 0, "Print all parameters as a Markdown table", 3 },
		{ "metrics-reference", KEY_METRICS_REFERENCE, 0, 0, "Print all metrics as a Markdown table", 3 },
	};
	enum { OWN = sizeof own / sizeof own[0] };
	unsigned parameters;
	const struct config_parameter *table = config_parameters(&parameters);
	struct argp_option *all = calloc(OWN + parameters + 1, sizeof *all);
	struct argp argp = { all, take_option, NULL, "Kindred's server: recommendations over gRPC.", NULL, NULL, NULL };
	int rc = 0;

	options->names = calloc((size_t)argc, sizeof *options->names);
	options->values = calloc((size_t)argc, sizeof *options->values);
	if (!all || !options->names || !options->values) {
		free(all);
		return E_EXHAUSTED;
	}
	memcpy(all, own, sizeof own);
	for (unsigned i = 0; i < parameters && !rc; i++)
		rc = add_parameter(&all[OWN + i], &table[i], KEY_PARAMETER + (int)i);
	if (!rc && argp_parse(&argp, argc, argv, 0, NULL, options))
		rc = E_INVALID;
	for (unsigned i = 0; i < parameters; i++) {
		free((char *)all[OWN + i].name);
		free((char *)all[OWN + i].doc);
	}
	free(all);
	return rc;
}

/* Defaults, the file, the environment, the command line: the last one wins. */
static int read_config(struct config *config, const struct options *options, const struct datadir *dir,
		       struct error *err)
{
	char path[DATADIR_PATH_MAX];
	int rc = config_init(config, err);

	if (!rc && options->config_file) {
		rc = config_load_file(config, options->config_file, err);
	} else if (!rc) {
		snprintf(path, sizeof path, "%s/kindred.yaml", dir->path);
		if (access(path, F_OK) == 0)
			rc = config_load_file(config, path, err);
	}
	if (!rc)
		rc = config_load_environment(config, err);
	for (unsigned i = 0; i < options->count && !rc; i++)
		rc = config_set(config, options->names[i], options->values[i], err);
	return rc;
}

static void warn_of_variables(void)
{
	const char *variable;

	for (size_t at = 0; (variable = config_unknown_variable(&at)) != NULL;)
		log_warning("%.*s, from the environment, is not a parameter, and not heeded; `kindred-server --help` "
			    "lists them",
			    (int)strcspn(variable, "="), variable);
}

static int run(struct server *server, const struct options *options, struct error *err)
{
	const char *data = options->data ? options->data : getenv("KINDRED_DATA");
	int rc;

	if (!data || !*data)
		return error_set(err, E_INVALID,
				 "no data directory: give --data DIRECTORY (and `kindred init DIRECTORY` before)");
	rc = datadir_open(&server->dir, data, true, err);
	if (rc)
		return rc;
	rc = read_config(&server->config, options, &server->dir, err);
	if (!rc) {
		log_init("server", (enum log_level)log_level_parse(server->config.log_level));
		warn_of_variables();
		rc = server_open(server, err);
		if (!rc)
			server->exit_code = server_run(server);
		server_close(server);
	}
	config_fini(&server->config);
	datadir_close(&server->dir);
	return rc;
}

static int serve(int argc, char **argv)
{
	struct options options = { 0 };
	struct server *server = calloc(1, sizeof *server);
	struct error err = { 0 };
	int code = EXIT_FAILURE;

	log_init("server", LOG_INFO);
	fault_init();
	if (server && !parse_options(&options, argc, argv)) {
		server->dir.lock_fd = -1;
		if (run(server, &options, &err)) {
			log_error("%s", err.text);
			code = error_exit_code(err.code);
		} else {
			code = server->exit_code;
		}
	}
	free(options.names);
	free(options.values);
	free(server);
	return code;
}

int main(int argc, char **argv)
{
	bool further = argc == 2 && !strcmp(argv[1], FRONT_END_ARGUMENT);

	standard_hold();
	(void)slice_take(SLICE_SHORT); /* the loop: little a call, and each call waits for it */
	return further ? front_end_run() : serve(argc, argv);
}
