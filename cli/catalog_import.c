/*
 * `kindred catalog import`: a file of items into a catalog. Two passes over the file: the first detects
 * types and counts what is wrong, the second sends items in batches, several in flight. With --on-error
 * abort a pass without sending stands between them when the first found anything suspicious, so that
 * nothing is sent from a file that has an error.
 */
#include "cli/catalog.h"
#include "cli/catalog_plan.h"
#include "cli/catalog_schema.h"
#include "cli/catalog_summary.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/import_source.h"
#include "cli/problems.h"
#include "cli/sender.h"
#include "cli/text.h"
#include "common/arena.h"
#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_ITEMS 8000
/* Below the smallest message_max_mb a server can have; an item that is larger goes alone, up to the usual one. */
#define BATCH_BYTES ((size_t)900 << 10)
#define ITEM_BYTES ((size_t)4000 << 10)
#define WINDOW 4
#define PATIENCE_MS 30000
#define FLAGS_MAX 256

struct arguments {
	struct import_options import;
	struct plan_options plan;
	struct plan_type types[FLAGS_MAX];
	const char *ignore[FLAGS_MAX];
};

enum { OPT_ID = 0x2000, OPT_NAME, OPT_IMAGE, OPT_TYPE, OPT_IGNORE, OPT_SEPARATOR };

static const struct argp_option options[] = {
	{ "id", OPT_ID, "COL", 0, "Column of the item's id (guessed: Identity, id, item_id, product_id, sku ...)", 1 },
	{ "name", OPT_NAME, "COL", 0, "Column of its name (guessed: Name, title ...)", 1 },
	{ "image", OPT_IMAGE, "COL", 0, "Column of its image's URL (guessed: ImageURL, image ...)", 1 },
	{ "type", OPT_TYPE, "COL=TYPE", 0,
	  "The type of a column: string, number, boolean, timestamp, list; may be repeated (default: detected)", 1 },
	{ "ignore", OPT_IGNORE, "COL", 0, "A column that is left out; may be repeated", 1 },
	{ "list-separator", OPT_SEPARATOR, "C", 0, "What separates the elements of a list (default: |)", 1 },
	IMPORT_OPTIONS,
	{ 0 },
};

static void type_option(struct arguments *arguments, char *value, struct argp_state *state)
{
	char *equals = strrchr(value, '=');
	attribute_type type = equals != NULL ? type_parse(equals + 1) : TYPE_NONE;
	if (type == TYPE_NONE)
		argp_error(state,
			   "--type '%s': give COLUMN=TYPE, the type one of string, number, boolean, timestamp, list",
			   value);
	if (arguments->plan.type_count == FLAGS_MAX)
		argp_error(state, "more than %d --type", FLAGS_MAX);
	*equals = '\0';
	arguments->types[arguments->plan.type_count++] = (struct plan_type){ value, type };
}

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	switch (key) {
	case OPT_ID:
		arguments->plan.id = value;
		return 0;
	case OPT_NAME:
		arguments->plan.name = value;
		return 0;
	case OPT_IMAGE:
		arguments->plan.image = value;
		return 0;
	case OPT_TYPE:
		type_option(arguments, value, state);
		return 0;
	case OPT_IGNORE:
		if (arguments->plan.ignore_count == FLAGS_MAX)
			argp_error(state, "more than %d --ignore", FLAGS_MAX);
		arguments->ignore[arguments->plan.ignore_count++] = value;
		return 0;
	case OPT_SEPARATOR:
		if (*value == '\0')
			argp_error(state, "--list-separator: give one or more characters");
		arguments->plan.separator = value;
		return 0;
	default:
		return import_option(&arguments->import, key, value, state);
	}
}

static const struct cli_spec spec = {
	.arguments = "NAME FILE",
	.prose = "Imports the items of FILE (CSV or NDJSON, UTF-8, also packed by zstd or gzip; - is stdin) into the "
		 "catalog NAME, "
		 "which is made when it is not there. Columns other than id, name and image become attributes. "
		 "An item that is there already is replaced, so importing again is safe."
		 "\v"
		 "Types are detected from all rows: true/false/yes/no are booleans, numbers such as 1299.95 (or as "
		 "--decimal-comma, --thousands and --unit say) numbers (a column with \"007\" in it stays text), ISO "
		 "8601 dates "
		 "(or times as --time-format says) timestamps, texts with the list separator in them lists, all else "
		 "strings. An existing catalog's types are kept. A few values that do not fit (one in a hundred) are "
		 "errors of their rows, reported by line and column.\n"
		 "\n"
		 "Examples:\n"
		 "  kindred catalog import shop products.csv\n"
		 "  kindred catalog import shop products.csv --id SKU --type in_stock=boolean\n"
		 "  kindred catalog import movies movies.dat --layout movielens\n"
		 "  kindred catalog import shop artikel.csv --decimal-comma --unit EUR \\\n"
		 "      --time-format '%d.%m.%Y'\n"
		 "  kindred catalog import shop products.csv --thousands , --unit '$'\n"
		 "  kindred catalog import shop items.tsv --ignore last_price --on-error abort\n"
		 "  zcat products.csv.gz | kindred catalog import shop -\n",
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
	struct catalog_plan plan;
	struct progress progress;
	struct problems problems;
	struct sender *sender;
	struct arena arena;
	Kindred__V1__Item *items[BATCH_ITEMS];
	uint64_t *lines; /* of the items; handed to the sender with the batch */
	size_t count, bytes;
	uint64_t batch;
	bool counting; /* a pass that sends nothing and tells nothing */
	struct catalog_summary summary;
};

static int source_start(struct import *import, struct error *err)
{
	const struct import_options *options_given = &import->arguments->import;
	const struct layout *layout = options_given->layout;
	return import_source_open(&import->source, &import->input, options_given,
				  layout != NULL ? layout->catalog.columns : NULL, err);
}

/* Every pass starts here; columns and plan stay as they were. */
static int source_restart(struct import *import, const char *what, struct error *err)
{
	int code = input_rewind(&import->input, err);
	if (code != 0)
		return code;
	source_close(import->source);
	import->source = NULL;
	code = source_start(import, err);
	if (code != 0)
		return code;
	size_t count;
	import->plan.names = source_columns(import->source, &count);
	if (count != import->plan.count)
		return error_set(err, E_ABORTED, "%s changed while it was read", import->input.name);
	import->problems.count = 0;
	import->summary.rows = 0;
	progress_start(&import->progress, what, "rows", import->cli->quiet);
	return 0;
}

/* Whether any was warned of for being kept as texts. */
static bool attributes_say(const struct import *import)
{
	const struct catalog_plan *plan = &import->plan;
	char text[PLAN_ATTRIBUTE_TEXT_MAX], hint[TYPE_HINT_MAX];
	bool texts = false;
	for (size_t i = 0; i <= plan->count; i++) {
		const struct plan_column *column = &plan->columns[i];
		if (column->use != PLAN_ATTRIBUTE)
			continue;
		cli_say(import->cli, "  attribute %s", catalog_plan_attribute_text(plan, i, text));
		bool chosen = column->given || column->known;
		if ((chosen && column->type == TYPE_STRING) ||
		    type_hint(&column->counts, column->type, &plan->notation, hint) == NULL)
			continue;
		cli_say(import->cli, "    warning: values such as '%s' are kept %s", column->counts.example, hint);
		texts |= column->type == TYPE_STRING;
	}
	return texts;
}

static int plan_prepare(struct import *import, Kindred__V1__Catalog **catalog, struct error *err)
{
	size_t count;
	const char *const *names = source_columns(import->source, &count);
	int code = columns_check_lines(names, count, err);
	if (code == 0)
		code = catalog_plan_make(&import->plan, names, count, &import->arguments->plan, err);
	if (code != 0)
		return error_prefix(err, "%s", import->input.name);
	char mapping[900];
	catalog_plan_text(&import->plan, mapping, sizeof mapping);
	import_source_say(import->cli, &import->input, import->source, mapping);
	Kindred__V1__GetCatalogResponse *response;
	code = catalog_fetch(import->cli, import->catalog, &response, err);
	*catalog = NULL;
	if (code == E_NOT_FOUND)
		return 0;
	if (code != 0)
		return code;
	*catalog = response->catalog;
	response->catalog = NULL;
	kindred__v1__get_catalog_response__free_unpacked(response, NULL);
	return *catalog == NULL ? 0 : catalog_plan_schema(&import->plan, *catalog, err);
}

static uint64_t answer_batch(const ProtobufCMessage *answer)
{
	return ((const Kindred__V1__ImportItemsResponse *)answer)->batch;
}

static int on_answer(void *context, const ProtobufCMessage *message, void *batch, struct error *err)
{
	struct import *import = context;
	const Kindred__V1__ImportItemsResponse *answer = (const Kindred__V1__ImportItemsResponse *)message;
	const uint64_t *lines = batch;
	int code = 0;
	catalog_summary_answer(&import->summary, answer);
	for (size_t i = 0; i < answer->n_errors && code == 0; i++) {
		uint32_t index = answer->errors[i]->index;
		code = problem_add(&import->problems, index < BATCH_ITEMS ? lines[index] : 0, answer->errors[i]->reason,
				   err);
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
	Kindred__V1__ImportItemsRequest request = KINDRED__V1__IMPORT_ITEMS_REQUEST__INIT;
	if (import->count == 0)
		return 0;
	request.catalog = (char *)import->catalog;
	request.n_items = import->count;
	request.items = import->items;
	request.batch = ++import->batch;
	bool taken;
	int code = sender_send(import->sender, request.batch, &request.base, import->lines, &taken, err);
	if (taken)
		import->lines = NULL;
	import->count = 0;
	import->bytes = 0;
	arena_reset(&import->arena);
	return code;
}

/*
 * What an item of this row packs to at most: an element of a list takes twice its text, an attribute
 * its name as well.
 */
static size_t row_bound(const struct import *import, const struct row *row)
{
	const struct field *first = &row->fields[0], *last = &row->fields[row->count - 1];
	return (size_t)(last->text + last->bytes - first->text) * 2 + import->plan.attributes * (NAME_MAX_BYTES + 16);
}

static int item_add(struct import *import, uint64_t line, Kindred__V1__Item *item, struct error *err)
{
	if (import->lines == NULL)
		import->lines = malloc(BATCH_ITEMS * sizeof *import->lines);
	if (import->lines == NULL)
		return error_set(err, E_EXHAUSTED, "no memory for a batch");
	import->lines[import->count] = line;
	import->items[import->count++] = item;
	import->bytes += kindred__v1__item__get_packed_size(item) + 4;
	return 0;
}

/* A row that is sent: first what is due before it, so that the arena holds the items of one batch. */
static int row_send(struct import *import, const struct row *row, bool *own, struct error *err)
{
	Kindred__V1__Item *item;
	if (import->count == BATCH_ITEMS ||
	    (import->count > 0 && import->bytes + row_bound(import, row) > BATCH_BYTES)) {
		*own = false;
		int code = batch_send(import, err);
		if (code != 0)
			return code;
	}
	int code = catalog_plan_item(&import->plan, row, &import->arena, &item, err);
	*own = code == E_INVALID;
	if (code == 0 && kindred__v1__item__get_packed_size(item) > ITEM_BYTES) {
		*own = true;
		return error_set(err, E_INVALID, "the item is larger than %zu bytes", ITEM_BYTES);
	}
	return code == 0 ? item_add(import, row->line, item, err) : code;
}

/* One row of a pass. E_INVALID: the row's own error. */
static int row_take(struct import *import, bool see, const struct row *row, bool *own, struct error *err)
{
	*own = true;
	if (see)
		return catalog_plan_see(&import->plan, row, err);
	if (import->sender != NULL)
		return row_send(import, row, own, err);
	Kindred__V1__Item *item;
	int code = catalog_plan_item(&import->plan, row, &import->arena, &item, err);
	*own = code == E_INVALID;
	arena_reset(&import->arena);
	return code;
}

/* Goes through the file; with see, looks at values; else makes items, and sends them when there is a sender. */
static int pass(struct import *import, bool see, struct error *err)
{
	for (;;) {
		struct row row;
		struct error why;
		bool own = true;
		int got = source_next(import->source, &row, &why);
		if (got == SOURCE_END)
			break;
		if (got < 0) {
			*err = why;
			return got;
		}
		import->summary.rows++;
		int code = got == SOURCE_BAD ? E_INVALID : row_take(import, see, &row, &own, &why);
		if (code != 0 && !own) {
			*err = why;
			return code;
		}
		if (code != 0 && (see || import->counting))
			import->problems.count++; /* told by the pass that skips it, or by the one that aborts */
		else if (code != 0 && problem_add(&import->problems, row.line, why.text, err) != 0)
			return err->code;
		if (import->summary.rows % 256 == 0)
			progress_update(&import->progress, import->summary.rows, input_share(&import->input));
	}
	progress_hide(&import->progress);
	return 0;
}

/*
 * Whether a row is good. A catalog made for a file of which none is would have types for ever that
 * nobody wanted: they were guessed from what cannot be imported.
 */
static int look_for_good(struct import *import, bool *none, struct error *err)
{
	int code = source_restart(import, "Checking", err);
	import->counting = true;
	if (code == 0)
		code = pass(import, false, err);
	import->counting = false;
	*none = import->problems.count == import->summary.rows;
	return code;
}

/* The pass that sends nothing and tells every error. */
static int check_all(struct import *import, struct error *err)
{
	char count[TEXT_MAX];
	int code = source_restart(import, "Checking", err);
	if (code == 0)
		code = pass(import, false, err);
	if (code == 0 && import->problems.count > 0)
		code = error_set(err, E_DATA_LOSS, "%s: %s row%s with errors; nothing was imported. %s",
				 import->input.name, text_count(import->problems.count, count),
				 text_s(import->problems.count),
				 import->problems.count == import->summary.rows ? "Are the columns right?"
										: "Mend them, or say --on-error skip");
	return code;
}

static int send_all(struct import *import, struct error *err)
{
	const struct sender_options sending = {
		.method = "/kindred.v1.CatalogService/ImportItems",
		.answer = &kindred__v1__import_items_response__descriptor,
		.window = WINDOW,
		.patience_ms = PATIENCE_MS,
		.answer_batch = answer_batch,
		.on_answer = on_answer,
		.on_lost = on_lost,
		.on_remark = on_remark,
		.context = import,
	};
	int code = source_restart(import, "Importing", err);
	if (code == 0)
		code = sender_open(&import->sender, import->cli->client, &sending, err);
	if (code == 0)
		code = pass(import, false, err);
	if (code == 0)
		code = batch_send(import, err);
	if (code == 0)
		code = sender_finish(import->sender, err);
	progress_hide(&import->progress);
	return code;
}

static int import_run(struct import *import, struct error *err)
{
	Kindred__V1__Catalog *catalog = NULL;
	int code = source_start(import, err);
	if (code == 0)
		code = plan_prepare(import, &catalog, err);
	bool exists = catalog != NULL;
	if (exists)
		kindred__v1__catalog__free_unpacked(catalog, NULL);
	progress_start(&import->progress, "Reading", "rows", import->cli->quiet);
	if (code == 0)
		code = pass(import, true, err);
	if (code != 0)
		return code;
	if (import->summary.rows == 0)
		return import_no_rows(&import->arguments->import, &import->input, err);
	uint64_t suspicions = catalog_plan_decide(&import->plan) + import->problems.count;
	bool texts = attributes_say(import);
	bool none = import->problems.count == import->summary.rows;
	bool aborting = import->arguments->import.abort_on_error && suspicions > 0;
	if (!none && !aborting && !exists && suspicions >= import->summary.rows)
		code = look_for_good(import, &none, err);
	if (code == 0 && (none || aborting))
		code = check_all(import, err);
	if (code == 0)
		code = catalog_schema_send(import->cli, import->catalog, &import->plan, exists, err);
	if (code == 0)
		code = send_all(import, err);
	if (code == 0 && import->problems.count == import->summary.rows)
		code = error_set(err, E_DATA_LOSS, "%s: every row has an error; are the columns right?",
				 import->input.name);
	if (code == 0 && texts)
		cli_say(import->cli,
			"a type never changes: to read the values that were warned of, `kindred catalog delete %s "
			"--yes` and import again",
			import->catalog);
	return code;
}

int cmd_catalog_import(struct cli *cli, int argc, char **argv)
{
	static struct arguments arguments;
	static struct import import;
	struct error err;
	char *args[2];
	import_options_init(&arguments.import);
	arguments.plan.types = arguments.types;
	arguments.plan.ignore = arguments.ignore;
	cli_parse(cli, &spec, &arguments, argc, argv, args);
	arguments.plan.layout = arguments.import.layout;
	arguments.plan.notation = arguments.import.notation;
	import.cli = cli;
	import.catalog = args[0];
	import.arguments = &arguments;
	int code = name_check("catalog", args[0], strlen(args[0]), &err);
	if (code == 0)
		code = arena_init(&import.arena, (size_t)1 << 20, 0);
	if (code != 0)
		return cli_fail(&err);
	uint64_t start_ns = clock_monotonic_ns();
	code = input_open(&import.input, args[1], true, &err);
	if (code == 0) {
		import.problems = (struct problems){ .file = import.input.name,
						     .progress = &import.progress,
						     .max = arguments.import.max_errors };
		code = import_run(&import, &err);
		progress_hide(&import.progress);
		import.summary.skipped = import.problems.count - import.summary.refused;
		if (code != 0)
			cli_fail(&err);
		else
			code = catalog_summary_print(&import.summary, cli, import.catalog,
						     (double)(clock_monotonic_ns() - start_ns) / 1e9);
		sender_close(import.sender);
		source_close(import.source);
		input_close(&import.input);
	} else {
		cli_fail(&err);
	}
	free(import.lines);
	arena_fini(&import.arena);
	return code;
}
