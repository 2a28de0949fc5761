/*
 * `kindred events import`: a file of events into the server, in one pass: batches over
 * IngestEventStream, several in flight. Every event has an id, its own or one made from its fields
 * (events_plan.h), so that a batch may be sent twice, and a file imported twice.
 */
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/events_plan.h"
#include "cli/events_summary.h"
#include "cli/import_source.h"
#include "cli/problems.h"
#include "cli/sender.h"
#include "cli/types.h"
#include "cli/unknown.h"
#include "common/ids.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_EVENTS 1000
/* Below the smallest message_max_mb that a server can have; counted in memory, which is more than is sent. */
#define BATCH_BYTES ((size_t)900 << 10)
#define WINDOW 8
#define PATIENCE_MS 30000

struct arguments {
	struct import_options import;
	struct events_options events;
};

enum {
	OPT_USER = 0x2000,
	OPT_ITEM,
	OPT_EVENT,
	OPT_EVENT_TYPE,
	OPT_TIME,
	OPT_EVENT_ID,
	OPT_WEIGHT,
	OPT_PROPERTY,
	OPT_MAP,
	OPT_ONLY,
};

static const struct argp_option options[] = {
	{ "user", OPT_USER, "COL", 0, "Column of the user's id (guessed: user_id, customer_id, session_id ...)", 1 },
	{ "item", OPT_ITEM, "COL", 0, "Column of the item's id (guessed: item_id, product_id, movie_id ...)", 1 },
	{ "event", OPT_EVENT, "COL", 0, "Column of what was done (guessed: event, action, behavior, type ...)", 1 },
	{ "event-type", OPT_EVENT_TYPE, "NAME", 0, "What was done in every row, instead of a column", 1 },
	{ "time", OPT_TIME, "COL", 0, "Column of the time (guessed: timestamp, ts, time, date ...)", 1 },
	{ "event-id", OPT_EVENT_ID, "COL", 0, "Column of an id that is unique within the user (guessed: event_id)", 1 },
	{ "weight", OPT_WEIGHT, "COL", 0,
	  "Column of how much it counts against others of its type, more than 0 (guessed: weight)", 1 },
	{ "property", OPT_PROPERTY, "COL", 0, "A column that is kept with the event as a property; may be repeated",
	  1 },
	{ "map", OPT_MAP, "OLD=NEW", 0, "Events of type OLD are imported as NEW; may be repeated", 1 },
	{ "only", OPT_ONLY, "TYPE", 0, "Import events of this type (after --map) only; may be repeated", 1 },
	IMPORT_OPTIONS,
	{ 0 },
};

static void map_option(struct events_options *events, char *value, struct argp_state *state)
{
	char *equals = strchr(value, '=');
	if (equals == NULL || equals == value || equals[1] == '\0')
		argp_error(state, "--map '%s': give OLD=NEW, for example buy=Purchased", value);
	if (events->map_count == EVENTS_FLAGS_MAX)
		argp_error(state, "more than %d --map", EVENTS_FLAGS_MAX);
	*equals = '\0';
	events->map[events->map_count++] = (struct layout_pair){ value, equals + 1 };
}

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	struct events_options *events = &arguments->events;
	switch (key) {
	case OPT_USER:
		events->user = value;
		return 0;
	case OPT_ITEM:
		events->item = value;
		return 0;
	case OPT_EVENT:
		events->event = value;
		return 0;
	case OPT_EVENT_TYPE:
		events->event_type = value;
		return 0;
	case OPT_TIME:
		events->time = value;
		return 0;
	case OPT_EVENT_ID:
		events->event_id = value;
		return 0;
	case OPT_WEIGHT:
		events->weight = value;
		return 0;
	case OPT_PROPERTY:
		if (events->property_count == EVENTS_PROPERTIES_MAX)
			argp_error(state, "more than %d --property", EVENTS_PROPERTIES_MAX);
		events->properties[events->property_count++] = value;
		return 0;
	case OPT_MAP:
		map_option(events, value, state);
		return 0;
	case OPT_ONLY:
		if (events->only_count == EVENTS_FLAGS_MAX)
			argp_error(state, "more than %d --only", EVENTS_FLAGS_MAX);
		events->only[events->only_count++] = value;
		return 0;
	default:
		return import_option(&arguments->import, key, value, state);
	}
}

static const struct cli_spec spec = {
	.arguments = "CATALOG FILE",
	.prose = "Imports the events of FILE (CSV or NDJSON, UTF-8, also packed by zstd or gzip; - is stdin). The "
		 "items they name are "
		 "of CATALOG."
		 "\v"
		 "Importing a file again adds nothing twice, also when rows were appended to it: a row without an "
		 "event id gets one "
		 "that is made from its fields, and from the how-manieth row with just these fields it is, so that "
		 "real repetitions "
		 "count. Knowing them takes 10 to 26 bytes of memory a row. After an interruption, run the same "
		 "command again. A server "
		 "or worker that restarts meanwhile is waited for, up to 30 seconds.\n"
		 "\n"
		 "Examples:\n"
		 "  kindred events import shop events.csv\n"
		 "  kindred events import shop log.ndjson --user visitor --map buy=Purchased\n"
		 "  kindred events import shop orders.csv --event-type Purchased \\\n"
		 "      --decimal-comma --time-format '%d.%m.%Y' --time-format '%d.%m.%Y %H:%M'\n"
		 "  kindred events import movies ratings.dat --layout movielens\n"
		 "  kindred events import shop Online_Retail.csv --layout online-retail\n"
		 "  zcat log.gz | kindred events import shop - --columns user,item,event,time\n",
	.options = options,
	.parse = parse,
	.least = 2,
	.most = 2,
};

struct import {
	struct cli *cli;
	const char *catalog;
	const struct arguments *arguments;
	struct input input;
	struct source *source;
	struct events_plan plan;
	struct progress progress;
	struct problems problems;
	struct occurrence *seen;
	struct sender *sender;
	struct arena arena;
	Kindred__V1__Event *events[BATCH_EVENTS];
	uint64_t *lines; /* of the events; handed to the sender with the batch */
	size_t count;
	uint64_t batch;
	struct type_counts weights; /* of the events' own */
	struct events_summary summary;
};

static int source_start(struct import *import, struct error *err)
{
	const struct import_options *options_given = &import->arguments->import;
	const struct layout *layout = options_given->layout;
	int code = import_source_open(&import->source, &import->input, options_given,
				      layout != NULL ? layout->events.columns : NULL, err);
	if (code != 0)
		return code;
	size_t count;
	const char *const *names = source_columns(import->source, &count);
	code = columns_check_lines(names, count, err);
	if (code == 0)
		code = events_plan_make(&import->plan, names, count, &import->arguments->events, err);
	if (code != 0)
		return error_prefix(err, "%s", import->input.name);
	char mapping[600];
	events_plan_text(&import->plan, mapping, sizeof mapping);
	import_source_say(import->cli, &import->input, import->source, mapping);
	return 0;
}

static uint64_t answer_batch(const ProtobufCMessage *answer)
{
	return ((const Kindred__V1__IngestEventStreamResponse *)answer)->batch;
}

static int on_answer(void *context, const ProtobufCMessage *message, void *batch, struct error *err)
{
	struct import *import = context;
	const Kindred__V1__IngestEventStreamResponse *answer = (const Kindred__V1__IngestEventStreamResponse *)message;
	const uint64_t *lines = batch;
	int code = 0;
	for (size_t i = 0; i < answer->n_outcomes; i++)
		events_summary_outcome(&import->summary, answer->outcomes[i]);
	for (size_t i = 0; i < answer->n_refusals && code == 0; i++) {
		uint32_t index = answer->refusals[i]->index;
		code = problem_add(&import->problems, index < BATCH_EVENTS ? lines[index] : 0,
				   answer->refusals[i]->reason, err);
	}
	free(batch);
	return code;
}

static void on_lost(void *context, void *batch)
{
	(void)context;
	free(batch);
}

static void on_remark(void *context, const char *text)
{
	struct import *import = context;
	progress_hide(&import->progress);
	cli_say(import->cli, "%s", text);
}

static int batch_send(struct import *import, struct error *err)
{
	Kindred__V1__IngestEventStreamRequest request = KINDRED__V1__INGEST_EVENT_STREAM_REQUEST__INIT;
	if (import->count == 0)
		return 0;
	request.catalog = (char *)import->catalog;
	request.n_events = import->count;
	request.events = import->events;
	request.batch = ++import->batch;
	bool taken;
	int code = sender_send(import->sender, request.batch, &request.base, import->lines, &taken, err);
	if (taken)
		import->lines = NULL;
	import->count = 0;
	arena_reset(&import->arena);
	return code;
}

static int event_add(struct import *import, uint64_t line, Kindred__V1__Event *event, struct error *err)
{
	if (event->event_id[0] == '\0' && event_id_derive(import->catalog, import->seen, event, &import->arena) != 0)
		return error_set(err, E_EXHAUSTED,
				 "no memory to tell repeated rows; a column of ids needs none (--event-id)");
	if (import->lines == NULL)
		import->lines = malloc(BATCH_EVENTS * sizeof *import->lines);
	if (import->lines == NULL)
		return error_set(err, E_EXHAUSTED, "no memory for a batch");
	import->lines[import->count] = line;
	import->events[import->count++] = event;
	if (import->count == BATCH_EVENTS || import->arena.used >= BATCH_BYTES)
		return batch_send(import, err);
	return 0;
}

static int row_bad(struct import *import, uint64_t line, const struct error *why, struct error *err)
{
	import->summary.skipped++;
	int code = problem_add(&import->problems, line, why->text, err);
	if (code == 0 && import->arguments->import.abort_on_error)
		code = error_set(
			err, E_DATA_LOSS,
			"%s: stopped at its first error. What was sent before is kept; after mending it, the same "
			"command adds nothing twice",
			import->input.name);
	return code;
}

static int row_take(struct import *import, const struct row *row, struct error *err)
{
	Kindred__V1__Event *event;
	struct error why;
	switch (events_plan_row(&import->plan, row, &import->arena, &event, &why)) {
	case EVENT_OK:
		events_summary_event(&import->summary, event);
		if (import->plan.weight >= 0)
			type_see(&import->weights, &row->fields[import->plan.weight], "",
				 &import->arguments->events.notation);
		return event_add(import, row->line, event, err);
	case EVENT_NO_USER:
		import->summary.no_user++;
		return 0;
	case EVENT_LEFT_OUT:
		import->summary.left_out++;
		return 0;
	case EVENT_BAD:
		return row_bad(import, row->line, &why, err);
	case EVENT_NO_MEMORY:
		break;
	}
	return error_set(err, E_EXHAUSTED, "no memory for an event");
}

static int send_all(struct import *import, struct error *err)
{
	int code = 0;
	while (code == 0) {
		struct row row;
		struct error why;
		int got = source_next(import->source, &row, &why);
		if (got == SOURCE_END)
			break;
		if (got < 0) {
			*err = why;
			return got;
		}
		import->summary.rows++;
		code = got == SOURCE_BAD ? row_bad(import, row.line, &why, err) : row_take(import, &row, err);
		if (import->summary.rows % 256 == 0)
			progress_update(&import->progress, import->summary.rows, input_share(&import->input));
	}
	/* Also what came before an error that ends the import: acked, so that it is counted. */
	struct error late;
	int sent = import->sender != NULL ? batch_send(import, &late) : 0;
	if (sent == 0)
		sent = sender_finish(import->sender, &late);
	if (code == 0 && sent != 0)
		*err = late;
	progress_hide(&import->progress);
	return code != 0 ? code : sent;
}

static int import_run(struct import *import, double *seconds, struct error *err)
{
	const struct sender_options sending = {
		.method = "/kindred.v1.EventService/IngestEventStream",
		.answer = &kindred__v1__ingest_event_stream_response__descriptor,
		.window = WINDOW,
		.patience_ms = PATIENCE_MS,
		.answer_batch = answer_batch,
		.on_answer = on_answer,
		.on_lost = on_lost,
		.on_remark = on_remark,
		.context = import,
	};
	int code = source_start(import, err);
	if (code == 0)
		code = cli_connect(import->cli, err);
	if (code == 0)
		code = sender_open(&import->sender, import->cli->client, &sending, err);
	if (code != 0)
		return code;
	progress_start(&import->progress, "Importing", "rows", import->cli->quiet);
	code = send_all(import, err);
	if (code == 0 && import->summary.rows == 0)
		code = import_no_rows(&import->arguments->import, &import->input, err);
	*seconds = progress_seconds(&import->progress);
	return code;
}

/* A file of which not a row was of use is more likely the wrong file than a fine import of nothing. */
static int judge(const struct import *import, struct error *err)
{
	if (import->summary.skipped + import->summary.refused < import->summary.rows)
		return 0;
	return error_set(err, E_DATA_LOSS, "%s: every row has an error; are the columns right?", import->input.name);
}

static void items_check(struct import *import)
{
	const char *items[FOUND_USERS_MAX];
	const struct found_sample *sample = &import->summary.found.items;
	for (size_t i = 0; i < sample->count; i++)
		items[i] = sample->ids[i];
	unknown_items_warn(import->cli, import->catalog, items, sample->count);
}

/* Told at the end, because one weight that is clear makes them all clear. */
static void weights_check(const struct import *import)
{
	char hint[TYPE_HINT_MAX];
	if (type_hint(&import->weights, TYPE_NUMBER, &import->arguments->events.notation, hint) != NULL)
		cli_say(import->cli,
			"warning: column '%s': weights such as '%s' were taken %s; events that are imported already "
			"keep the weight that they have",
			import->plan.names[import->plan.weight], import->weights.example, hint);
}

static int import_file(struct import *import, const char *path)
{
	struct error err;
	double seconds = 0;
	int code = input_open(&import->input, path, false, &err);
	if (code != 0)
		return cli_fail(&err);
	import->problems = (struct problems){ .file = import->input.name,
					      .progress = &import->progress,
					      .max = import->arguments->import.max_errors };
	code = import_run(import, &seconds, &err);
	if (seconds > 0 && (code == 0 || import->batch > 0)) {
		import->summary.resent = sender_resent(import->sender);
		events_summary_print(&import->summary, import->cli, import->catalog, seconds);
	}
	if (code == 0)
		code = judge(import, &err);
	if (code == 0) {
		weights_check(import);
		items_check(import);
	}
	if (code != 0)
		cli_fail(&err);
	sender_close(import->sender);
	source_close(import->source);
	input_close(&import->input);
	return code;
}

int cmd_events_import(struct cli *cli, int argc, char **argv)
{
	static struct arguments arguments;
	static struct import import;
	struct error err;
	char *args[2];
	import_options_init(&arguments.import);
	cli_parse(cli, &spec, &arguments, argc, argv, args);
	arguments.events.layout = arguments.import.layout;
	arguments.events.notation = arguments.import.notation;
	import.cli = cli;
	import.catalog = args[0];
	import.arguments = &arguments;
	int code = name_check("catalog", args[0], strlen(args[0]), &err);
	if (code != 0)
		return cli_fail(&err);
	import.seen = occurrence_new();
	if (import.seen == NULL || arena_init(&import.arena, (size_t)1 << 18, 0) != 0) {
		error_set(&err, E_EXHAUSTED, "no memory for an import");
		code = cli_fail(&err);
	} else {
		code = import_file(&import, args[1]);
		arena_fini(&import.arena);
	}
	occurrence_free(import.seen);
	free(import.lines);
	return code;
}
