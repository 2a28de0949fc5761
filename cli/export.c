/*
 * `kindred export`: the recommendations of a whole audience into a file, as fast as they come, and
 * continued after any break.
 */
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/duration.h"
#include "cli/export_state.h"
#include "cli/progress.h"
#include "cli/text.h"
#include "common/clock.h"
#include "common/wire.h"
#include "kindred/v1/recommend.pb-c.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define METHOD "/kindred.v1.RecommendationService/RecommendAudience"
#define CHECKPOINT_NS UINT64_C(1000000000)
#define PATIENCE_NS UINT64_C(60000000000) /* how long it tries again without any answer coming */
#define PAUSE_NS 100000000L
#define LOOK_UP_MS 200 /* while nothing comes, to see whether it was interrupted */

/* Field numbers of a RecommendAudienceResponse. */
enum { RESULT = 1, GENERATION, DEFINITION_VERSION, AS_OF, CURSOR, USERS_SEEN, USERS_TOTAL };

struct arguments {
	struct export_command command;
	const char *out;
	bool resume;
};

enum {
	OPT_OUT = 0x6000,
	OPT_FORMAT,
	OPT_COMPRESS,
	OPT_ACTIVE,
	OPT_INACTIVE,
	OPT_COUNT,
	OPT_NAMES,
	OPT_FILTER,
	OPT_AS_OF,
	OPT_GENERATION,
	OPT_CONTINUE
};

static int choose(struct argp_state *state, const char *option, const char *value, const char *first,
		  const char *second)
{
	if (strcmp(value, first) != 0 && strcmp(value, second) != 0)
		argp_error(state, "%s '%s': give %s or %s", option, value, first, second);
	return strcmp(value, second) == 0;
}

static int64_t span(struct argp_state *state, const char *option, const char *value)
{
	int64_t seconds = 0;
	struct error err;
	if (duration_parse(option, value, &seconds, &err) != 0)
		cli_usage(state, &err);
	if (seconds == 0)
		argp_error(state, "%s '%s': give more than 0; without it, all users are meant", option, value);
	return seconds;
}

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	struct export_command *command = &arguments->command;
	switch (key) {
	case OPT_OUT:
		arguments->out = strcmp(value, "-") == 0 ? NULL : value;
		return 0;
	case OPT_FORMAT:
		command->format = choose(state, "--format", value, "ndjson", "csv") ? EXPORT_CSV : EXPORT_NDJSON;
		return 0;
	case OPT_COMPRESS:
		command->packing = choose(state, "--compress", value, "gzip", "zstd") ? EXPORT_ZSTD : EXPORT_GZIP;
		return 0;
	case OPT_ACTIVE:
		command->active_s = span(state, "--active-within", value);
		return 0;
	case OPT_INACTIVE:
		command->inactive_s = span(state, "--inactive-for", value);
		return 0;
	case OPT_COUNT:
		command->count = (uint32_t)cli_number(state, "--count", value, 1, 1000);
		return 0;
	case OPT_FILTER:
		command->filter = *value ? value : NULL;
		return 0;
	case OPT_NAMES:
		command->names = true;
		return 0;
	case OPT_AS_OF:
		if (!time_parse(value, strlen(value), &command->as_of_ms))
			argp_error(state, "--as-of '%s': give a time such as 2026-11-23T10:00:00Z or epoch seconds",
				   value);
		return 0;
	case OPT_GENERATION:
		command->generation = (uint64_t)cli_number(state, "--generation", value, 1, INT64_MAX);
		return 0;
	case OPT_CONTINUE:
		arguments->resume = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "out", OPT_OUT, "FILE", 0, "Where to; - is stdout, the default. It appears when it is whole", 1 },
	{ "format", OPT_FORMAT, "ndjson|csv", 0, "A JSON line a user (default) or a CSV row an item", 1 },
	{ "compress", OPT_COMPRESS, "gzip|zstd", 0, "Pack it", 1 },
	{ "continue", OPT_CONTINUE, NULL, 0, "Go on with an interrupted export to this FILE, if there is one", 1 },
	{ "active-within", OPT_ACTIVE, "SPAN", 0, "Only users with an event in the last SPAN, for example 30d", 2 },
	{ "inactive-for", OPT_INACTIVE, "SPAN", 0, "Only users without any in the last SPAN, for example 90d", 2 },
	{ "count", OPT_COUNT, "N", 0, "Items a user, 1 to 1000 (default: the definition's)", 2 },
	{ "filter", OPT_FILTER, "FILTER", 0, "Only items that it lets through, beside the definition's own filter", 2 },
	{ "with-names", OPT_NAMES, NULL, 0, "Also names and image URLs of the items", 2 },
	{ "as-of", OPT_AS_OF, "TIME", 0, "As if it were then: later events do not count (default: when it begins)", 2 },
	{ "generation", OPT_GENERATION, "N", 0, "From this kept model generation (default: the one served)", 2 },
	{ 0 },
};

static const struct cli_spec spec = {
	.arguments = "DEFINITION",
	.prose =
		"Recommendations for all users with a history, each user once, all from one model and as of one moment."
		"\v"
		"Users need not be listed: the server goes through them itself. Both spans together mean users who "
		"were active "
		"between the two, and not since.\n"
		"\n"
		"While it runs, the file is called FILE.part, and FILE.progress says how far it is. When it breaks "
		"off, or is "
		"killed, the same command with --continue goes on where it stopped: no user is lost, none comes twice. "
		"When "
		"the server restarts meanwhile, it waits for it and goes on by itself.\n"
		"\n"
		"Examples:\n"
		"  kindred export wanted-next --out next.ndjson\n"
		"  kindred export wanted-next --out next.csv.gz --format csv --compress gzip\n"
		"  kindred export wanted-next --out names.csv --format csv --with-names\n"
		"  kindred export wanted-next --out sale.csv --format csv --filter 'price < 20'\n"
		"  kindred export wanted-next --out lapsed.ndjson.zst --compress zstd \\\n"
		"      --active-within 365d --inactive-for 90d\n"
		"  kindred export wanted-next --out next.ndjson --continue\n"
		"  kindred export wanted-next --active-within 30d --count 3 | head\n",
	.options = options,
	.parse = parse,
	.least = 1,
	.most = 1,
};

struct export
{
	struct cli *cli;
	const struct arguments *arguments;
	struct export_state state;
	struct export_file file;
	struct export_text text; /* of one response */
	struct progress progress;
	/* what the newest response said */
	uint64_t generation, definition_version, seen, total;
	int64_t as_of_ms;
	uint64_t users_before; /* by the calls of earlier runs */
	uint64_t checkpoint_ns, heard_ns; /* checkpoint_ns 0: none yet, so that the first response has one */
	bool continued, remarked;
	bool done; /* the file is whole already */
};

static int checkpoint(struct export *export, struct error *err)
{
	json_t *state = export_state_json(&export->state, &export->arguments->command);
	int code = export_file_checkpoint(&export->file, state, err);
	json_decref(state);
	export->checkpoint_ns = clock_monotonic_ns();
	return code;
}

/* Takes over what an earlier run left. */
static int take_over(struct export *export, const json_t *saved, struct error *err)
{
	int code = export_state_read(&export->state, saved, &export->arguments->command, export->file.progress, err);
	export->users_before = export->state.users;
	export->continued = true;
	export->done = export->file.fd < 0;
	return code;
}

static int open_file(struct export *export, struct error *err)
{
	const struct arguments *arguments = export->arguments;
	json_t *state;
	int code = export_file_open(&export->file, arguments->out, arguments->resume, arguments->command.packing,
				    &state, err);
	if (code == 0 && state != NULL)
		code = take_over(export, state, err);
	else if (code == 0 && export_head(&export->text, arguments->command.format, arguments->command.names) != 0)
		code = error_set(err, E_EXHAUSTED, "no memory");
	json_decref(state);
	return code;
}

/* --- responses --- */

static uint64_t number_of(const struct wire_field *field)
{
	uint64_t value = 0;
	for (size_t i = 0; field->type == WIRE_VARINT && i < field->data_bytes; i++)
		value |= (uint64_t)(field->data[i] & 0x7f) << 7 * i;
	return value;
}

static int take_as_of(struct export *export, const struct wire_field *field)
{
	uint64_t seconds = 0, nanos = 0;
	if (wire_find_number(field->data, field->data_bytes, 1, &seconds) < 0 ||
	    wire_find_number(field->data, field->data_bytes, 2, &nanos) < 0)
		return E_DATA_LOSS;
	export->as_of_ms = (int64_t)(seconds * 1000 + nanos / 1000000);
	return 0;
}

static int take_cursor(struct export *export, const struct wire_field *field)
{
	if (field->data_bytes > sizeof export->state.cursor)
		return E_DATA_LOSS;
	memcpy(export->state.cursor, field->data, field->data_bytes);
	export->state.cursor_bytes = field->data_bytes;
	return 0;
}

static int take_field(struct export *export, const struct wire_field *field)
{
	const struct export_command *command = &export->arguments->command;
	bool failed = false;
	int code = 0;
	switch (field->number) {
	case RESULT:
		code = export_user(&export->text, command->format, command->names, field->data, field->data_bytes,
				   &failed);
		export->state.users++;
		export->state.failed += failed;
		return code;
	case GENERATION:
		export->generation = number_of(field);
		return 0;
	case DEFINITION_VERSION:
		export->definition_version = number_of(field);
		return 0;
	case AS_OF:
		return take_as_of(export, field);
	case CURSOR:
		return take_cursor(export, field);
	case USERS_SEEN:
		export->seen = number_of(field);
		return 0;
	case USERS_TOTAL:
		export->total = number_of(field);
		return 0;
	default:
		return 0;
	}
}

/* One response: all of it is in the file, or the export is over. */
static int take(struct export *export, const uint8_t *bytes, size_t size, struct error *err)
{
	struct wire_cursor cursor = { bytes, bytes + size };
	struct wire_field field;
	int got, code = 0;
	while (code == 0 && (got = wire_next(&cursor, &field)) != 0)
		code = got < 0 ? E_DATA_LOSS : take_field(export, &field);
	if (code != 0)
		return error_set(err, code,
				 code == E_DATA_LOSS ? "the server's answer is not a RecommendAudienceResponse"
						     : "no memory");
	code = export_file_write(&export->file, export->text.bytes, export->text.used, err);
	export->text.used = 0;
	if (code == 0 && export->file.part != NULL && clock_monotonic_ns() - export->checkpoint_ns > CHECKPOINT_NS)
		code = checkpoint(export, err);
	double share = export->total > 0 ? (double)export->seen / (double)export->total : -1;
	progress_update(&export->progress, export->state.users, share);
	return code;
}

/* --- Ctrl-C --- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

/*
 * The first time what is there is kept; the second time the process ends as it always did. In the background of a
 * script it is not meant.
 */
static void watch_interrupt(void)
{
	struct sigaction action = { .sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND }, before;
	sigemptyset(&action.sa_mask);
	if (sigaction(SIGINT, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
		sigaction(SIGINT, &action, NULL);
}

/* Of the signal, so that a shell and what runs in it stop too (README: 130). */
static void end_interrupted(void)
{
	fflush(stdout);
	signal(SIGINT, SIG_DFL);
	raise(SIGINT);
}

/* --- calls --- */

static int open_stream(struct export *export, struct rpc_stream **stream, struct error *err)
{
	Kindred__V1__RecommendAudienceRequest request = KINDRED__V1__RECOMMEND_AUDIENCE_REQUEST__INIT;
	Google__Protobuf__Timestamp as_of = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Google__Protobuf__Duration active = GOOGLE__PROTOBUF__DURATION__INIT, inactive = active;
	const struct export_command *command = &export->arguments->command;
	as_of.seconds = command->as_of_ms / 1000;
	as_of.nanos = (int32_t)(command->as_of_ms % 1000) * 1000000;
	active.seconds = command->active_s;
	inactive.seconds = command->inactive_s;
	request.definition = (char *)command->definition;
	request.count = command->count;
	request.filter = (char *)(command->filter ? command->filter : "");
	request.with_names = command->names;
	request.generation = command->generation;
	request.as_of = command->as_of_ms >= 0 ? &as_of : NULL;
	request.active_within = command->active_s > 0 ? &active : NULL;
	request.inactive_for = command->inactive_s > 0 ? &inactive : NULL;
	request.cursor = (ProtobufCBinaryData){ export->state.cursor_bytes, export->state.cursor };
	int code = cli_connect(export->cli, err);
	if (code == 0)
		code = rpc_stream_open(stream, export->cli->client, METHOD,
				       &kindred__v1__recommend_audience_response__descriptor, RPC_FOREVER, err);
	if (code == 0)
		code = rpc_stream_send(*stream, &request.base, err);
	if (code == 0)
		code = rpc_stream_half_close(*stream, err);
	return code;
}

/* From the cursor on. *ours: the error is not the server's, so that trying again does not help. */
static int receive_all(struct export *export, bool *ours, struct error *err)
{
	struct rpc_stream *stream = NULL;
	const uint8_t *bytes;
	size_t size;
	*ours = false;
	int code = open_stream(export, &stream, err);
	while (code == 0) {
		bool waiting = false;
		int got = rpc_stream_receive_packed(stream, LOOK_UP_MS, &bytes, &size, &waiting, err);
		if (interrupted)
			got = error_set(err, E_CANCELLED, "interrupted");
		else if (waiting)
			continue;
		if (got <= 0) {
			code = got;
			break;
		}
		export->heard_ns = clock_monotonic_ns();
		export->remarked = false;
		code = take(export, bytes, size, err);
		*ours = code != 0;
	}
	rpc_stream_free(stream);
	return code;
}

/*
 * Also when the server has too much to do: where clients fill the memory that gRPC has there, it ends calls of others,
 * too (server/door_port.c).
 */
static bool goes_on_after(int code)
{
	return cli_worth_another_try(code) || code == E_EXHAUSTED;
}

/* A server or a worker that restarts is back in a moment, and the cursor goes on where it was. */
static int receive_patiently(struct export *export, bool *ours, struct error *err)
{
	static const struct timespec pause = { .tv_nsec = PAUSE_NS };
	export->heard_ns = clock_monotonic_ns();
	for (;;) {
		int code = receive_all(export, ours, err);
		bool first = export->state.cursor_bytes == 0; /* it never began: nobody may be there at all */
		if (interrupted || !goes_on_after(code) || *ours || first ||
		    clock_monotonic_ns() - export->heard_ns > PATIENCE_NS)
			return code;
		progress_hide(&export->progress);
		if (!export->remarked)
			cli_say(export->cli, "%s; going on", err->text);
		export->remarked = true;
		nanosleep(&pause, NULL);
	}
}

/* --- the command --- */

static void print_json(const struct export *export, double seconds, FILE *out)
{
	char as_of[64];
	time_format(export->as_of_ms, as_of);
	json_t *json =
		json_pack("{s:I, s:I, s:b, s:I, s:I, s:s, s:f, s:f, s:I, s:s?}", "users",
			  (json_int_t) export->state.users, "failed", (json_int_t) export->state.failed, "continued",
			  (int)export->continued, "generation", (json_int_t) export->generation, "definition_version",
			  (json_int_t) export->definition_version, "as_of", as_of, "seconds", seconds, "users_per_s",
			  (double)(export->state.users - export->users_before) / seconds, "bytes",
			  (json_int_t) export->file.bytes, "file", export->arguments->out);
	json_dumpf(json, out, JSON_COMPACT | JSON_REAL_PRECISION(6));
	fputc('\n', out);
	json_decref(json);
}

static void print_summary(const struct export *export, double seconds, FILE *out)
{
	char users[TEXT_MAX], before[TEXT_MAX], rate[TEXT_MAX], size[TEXT_MAX], elapsed[TEXT_MAX], as_of[64];
	time_format(export->as_of_ms, as_of);
	fprintf(out, "%s user%s", text_count(export->state.users, users), text_s(export->state.users));
	if (export->continued)
		fprintf(out, ", %s of them before it was interrupted", text_count(export->users_before, before));
	fprintf(out, ", in %s, %s/s: generation %" PRIu64 ", definition version %" PRIu64 ", as of %s\n",
		text_elapsed(seconds, elapsed),
		text_count((uint64_t)((double)(export->state.users - export->users_before) / seconds), rate),
		export->generation, export->definition_version, as_of);
	if (export->arguments->out != NULL)
		fprintf(out, "%s: %s\n", export->arguments->out, text_bytes(export->file.bytes, size));
}

static void say_result(const struct export *export)
{
	double seconds = progress_seconds(&export->progress);
	FILE *out = export->arguments->out != NULL ? stdout : stderr;
	if (export->cli->json)
		print_json(export, seconds, out);
	else if (out == stdout || !export->cli->quiet)
		print_summary(export, seconds, out);
}

/* The file could not be written; what was on disk at the last checkpoint stays. */
static void say_how_to_go_on(const struct export *export)
{
	if (export->file.part != NULL)
		cli_say(export->cli, "once that is put right, the same command with --continue goes on");
}

static int finish(struct export *export, struct error *err)
{
	json_t *state = export_state_json(&export->state, &export->arguments->command);
	int code = export_file_finish(&export->file, state, err);
	json_decref(state);
	if (code == 0)
		say_result(export);
	else
		say_how_to_go_on(export);
	if (code == 0 && export->state.failed > 0)
		code = error_set(err, E_DATA_LOSS,
				 "%" PRIu64 " of %" PRIu64 " users could not be answered: their lines have the error",
				 export->state.failed, export->state.users);
	return code;
}

/* What came since the last checkpoint is kept, for --continue. A command that is wrong would be refused again. */
static void keep(struct export *export, int code)
{
	struct error err;
	if (code == E_INVALID && !export->continued && export->state.users == 0) {
		export_file_discard(&export->file);
		return;
	}
	if (export->file.part == NULL || export->state.cursor_bytes == 0 || checkpoint(export, &err) != 0)
		return;
	cli_say(export->cli, "%s has %" PRIu64 " user%s; the same command with --continue goes on", export->file.part,
		export->state.users, text_s(export->state.users));
}

static int run(struct export *export, struct error *err)
{
	bool ours = false;
	int code = open_file(export, err);
	if (code != 0)
		return code;
	progress_start(&export->progress, "Exporting", "users", export->cli->quiet);
	if (!export->done)
		code = receive_patiently(export, &ours, err);
	progress_hide(&export->progress);
	if (code == 0)
		return finish(export, err);
	if (!ours) /* else the file may lack what the cursor is behind */
		keep(export, code);
	else
		say_how_to_go_on(export);
	return code;
}

int cmd_export(struct cli *cli, int argc, char **argv)
{
	struct arguments arguments = { .command.as_of_ms = -1 };
	struct export_command *command = &arguments.command;
	static struct export export;
	struct error err;
	char *args[CLI_ARGS_MAX];
	cli_parse(cli, &spec, &arguments, argc, argv, args);
	if (arguments.resume && arguments.out == NULL) {
		error_set(&err, E_INVALID, "--continue goes on with a file: say which, with --out FILE");
		return cli_fail(&err);
	}
	if (command->active_s > 0 && command->inactive_s >= command->active_s) {
		error_set(&err, E_INVALID, "--inactive-for must be less than --active-within: nobody is both");
		return cli_fail(&err);
	}
	command->definition = args[0];
	export = (struct export){ .cli = cli, .arguments = &arguments };
	watch_interrupt();
	int code = run(&export, &err);
	export_text_fini(&export.text);
	export_file_close(&export.file);
	if (code == E_CANCELLED && interrupted)
		end_interrupted();
	return code == 0 ? 0 : cli_fail(&err);
}
