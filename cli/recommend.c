/* `kindred recommend`: one or a few users as tables, or a file of users as a stream of JSON lines. */
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/input.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "cli/text.h"
#include "common/clock.h"
#include "common/ids.h"
#include "common/message_json.h"
#include "grpc/health/v1/health.pb-c.h"
#include "kindred/v1/recommend.pb-c.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SERVICE "/kindred.v1.RecommendationService/"
#define BATCH 500
#define CONTEXT_MAX 8
#define WINDOW 4 /* messages of a stream under way */

struct arguments {
	uint32_t count;
	uint64_t generation; /* 0: the one served */
	const char *users_file;
	Google__Protobuf__Timestamp as_of;
	bool has_as_of, no_names, explain;
	const char *filter, *context_item; /* NULL: none */
	Kindred__V1__ContextValue values[CONTEXT_MAX], *context[CONTEXT_MAX];
	size_t context_count;
};

enum {
	OPT_COUNT = 0x5000,
	OPT_AS_OF,
	OPT_USERS_FILE,
	OPT_NO_NAMES,
	OPT_GENERATION,
	OPT_CONTEXT_ITEM,
	OPT_CONTEXT,
	OPT_FILTER,
	OPT_EXPLAIN
};

static void as_of_option(struct arguments *arguments, const char *value, struct argp_state *state)
{
	int64_t time_ms = 0;
	if (!time_parse(value, strlen(value), &time_ms))
		argp_error(state, "--as-of '%s': give a time such as 2026-11-23T10:00:00Z or epoch seconds", value);
	google__protobuf__timestamp__init(&arguments->as_of);
	arguments->as_of.seconds = time_ms / 1000;
	arguments->as_of.nanos = (int32_t)(time_ms % 1000) * 1000000;
	arguments->has_as_of = true;
}

/* "sport=soccer" */
static void context_option(struct arguments *arguments, char *value, struct argp_state *state)
{
	char *equals = strchr(value, '=');
	if (!equals || equals == value)
		argp_error(state, "--context '%s': give an attribute and its value: sport=soccer", value);
	if (arguments->context_count == CONTEXT_MAX)
		argp_error(state, "more than %d --context", CONTEXT_MAX);
	Kindred__V1__ContextValue *one = &arguments->values[arguments->context_count];
	kindred__v1__context_value__init(one);
	*equals = '\0';
	one->attribute = value;
	one->value = equals + 1;
	arguments->context[arguments->context_count++] = one;
}

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	switch (key) {
	case OPT_COUNT:
		arguments->count = (uint32_t)cli_number(state, "--count", value, 1, 1000);
		return 0;
	case OPT_AS_OF:
		as_of_option(arguments, value, state);
		return 0;
	case OPT_GENERATION:
		arguments->generation = (uint64_t)cli_number(state, "--generation", value, 1, INT64_MAX);
		return 0;
	case OPT_USERS_FILE:
		arguments->users_file = value;
		return 0;
	case OPT_CONTEXT_ITEM:
		arguments->context_item = value;
		return 0;
	case OPT_CONTEXT:
		context_option(arguments, value, state);
		return 0;
	case OPT_FILTER:
		arguments->filter = value;
		return 0;
	case OPT_EXPLAIN:
		arguments->explain = true;
		return 0;
	case OPT_NO_NAMES:
		arguments->no_names = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "count", OPT_COUNT, "N", 0, "Items, 1 to 1000 (default: the definition's)", 1 },
	{ "as-of", OPT_AS_OF, "TIME", 0, "As if it were then: later events of the user do not count", 1 },
	{ "generation", OPT_GENERATION, "N", 0, "From this kept model generation (default: the one served)", 1 },
	{ "users-file", OPT_USERS_FILE, "FILE", 0,
	  "Users, one a line; blanks around them are left out (- is stdin); answers are JSON lines, in any order", 1 },
	{ "context-item", OPT_CONTEXT_ITEM, "ID", 0, "The item being looked at: it counts as the user's newest event",
	  1 },
	{ "context", OPT_CONTEXT, "NAME=VALUE", 0,
	  "Popular items with this value of the attribute come before others; may be repeated, all must hold", 1 },
	{ "filter", OPT_FILTER, "FILTER", 0, "Only items that it lets through, beside the definition's own filter", 1 },
	{ "explain", OPT_EXPLAIN, NULL, 0, "Also what each score is made of: which items of the user led there", 1 },
	{ "no-names", OPT_NO_NAMES, NULL, 0, "Ids only", 1 },
	{ 0 },
};

static const struct cli_spec spec = {
	.arguments = "DEFINITION [USER..]",
	.prose = "Shows what users may want next."
		 "\v"
		 "The source says why an item is there: personal (from the user's own history), similar (by "
		 "attributes, where events are too few to have learnt it; or it goes with --context-item, and with "
		 "nothing that the user had), popular, recently popular, explore (shown to find out).\n"
		 "\n"
		 "Examples:\n"
		 "  kindred recommend wanted-next john\n"
		 "  kindred recommend wanted-next john jane --count 5 --json\n"
		 "  kindred recommend wanted-next john --filter 'price < 50' --explain\n"
		 "  kindred recommend wanted-next somebody-new --context-item korva-strike-fg\n"
		 "  kindred recommend wanted-next somebody-new --context sport=soccer\n"
		 "  kindred recommend wanted-next --users-file users.txt > next.ndjson\n",
	.options = options,
	.parse = parse,
	.least = 1,
	.most = CLI_ARGS_MAX,
};

/* --- one user --- */

static const char *source_name(Kindred__V1__Source source)
{
	switch (source) {
	case KINDRED__V1__SOURCE__SOURCE_PERSONAL:
		return "personal";
	case KINDRED__V1__SOURCE__SOURCE_SIMILAR:
		return "similar";
	case KINDRED__V1__SOURCE__SOURCE_EXPLORE:
		return "explore";
	case KINDRED__V1__SOURCE__SOURCE_TRENDING:
		return "trending";
	case KINDRED__V1__SOURCE__SOURCE_POPULAR:
		return "popular";
	case KINDRED__V1__SOURCE__SOURCE_RECENTLY_POPULAR:
		return "recently popular";
	default:
		return "-";
	}
}

/* What a part of a score comes from. */
static const char *part_name(const Kindred__V1__ScorePart *part)
{
	switch (part->kind) {
	case KINDRED__V1__SCORE_PART_KIND__SCORE_PART_KIND_TREND:
		return "season and trend";
	case KINDRED__V1__SCORE_PART_KIND__SCORE_PART_KIND_POPULAR:
		return "popularity";
	default:
		return *part->name ? part->name : *part->item_id ? part->item_id : "further items";
	}
}

/* "Korva Strike 812, Match Ball again 90, season and trend -33" */
static void print_parts(struct table *table, const Kindred__V1__RecommendedItem *item)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	if (!out)
		return;
	for (size_t i = 0; i < item->n_parts; i++) {
		const Kindred__V1__ScorePart *part = item->parts[i];
		bool again = part->kind == KINDRED__V1__SCORE_PART_KIND__SCORE_PART_KIND_REPEAT;
		fprintf(out, "%s%s%s %" PRId64, i ? ", " : "", part_name(part), again ? " again" : "", part->amount);
	}
	table_cell(table, fclose(out) == 0 ? text : "");
	free(text);
}

static void print_items(Kindred__V1__RecommendedItem *const *items, size_t count, bool explain)
{
	static const char *const headers[] = { "", "item", "name", "score", "source", "made of" };
	static const enum table_column kinds[] = { TABLE_RIGHT, TABLE_LEFT, TABLE_FLEXIBLE, TABLE_RIGHT, TABLE_LEFT };
	static const enum table_column explained[] = { TABLE_RIGHT, TABLE_LEFT, TABLE_LEFT,
						       TABLE_RIGHT, TABLE_LEFT, TABLE_FLEXIBLE };
	struct table *table = table_new(explain ? 6 : 5, headers, explain ? explained : kinds);
	for (size_t i = 0; i < count; i++) {
		table_format(table, "%zu", i + 1);
		table_cell(table, items[i]->item_id);
		table_cell(table, items[i]->name);
		table_format(table, "%u", items[i]->score);
		table_cell(table, source_name(items[i]->source));
		if (explain)
			print_parts(table, items[i]);
	}
	table_write(table, stdout, terminal_width(stdout));
	table_free(table);
}

static void print_shortfall(const Kindred__V1__Shortfall *shortfall)
{
	if (!shortfall)
		return;
	if (shortfall->candidates == 0) {
		printf("%u of %u: no candidates: the generation has learnt from no event of the definition, and none "
		       "of its items is popular (kindred model show)\n",
		       shortfall->returned, shortfall->wanted);
		return;
	}
	printf("%u of %u: of %u candidates %u were excluded by the user's own events, %u by the filter, ",
	       shortfall->returned, shortfall->wanted, shortfall->candidates, shortfall->excluded, shortfall->filtered);
	if (shortfall->filtered_by_call > 0)
		printf("%u by --filter, ", shortfall->filtered_by_call);
	printf("%u are hidden or gone\n", shortfall->unavailable);
	if (shortfall->returned == 0 && (shortfall->filtered > 0 || shortfall->filtered_by_call > 0))
		printf("Texts in a filter are compared exactly, also upper and lower case; `kindred catalog get "
		       "CATALOG ITEM_ID` shows an item's values\n");
}

static int print_answer(struct cli *cli, const char *user, const Kindred__V1__RecommendResponse *response, bool explain,
			double seconds)
{
	char elapsed[TEXT_MAX];
	if (cli->json) {
		json_t *json = message_json(&response->base);
		json_object_set_new(json, "user_id", json_string(user));
		json_object_set_new(json, "seconds", json_real(seconds));
		return json_print(json, true);
	}
	text_write(stdout, user);
	printf(": %zu item%s in %s, generation %" PRIu64 ", definition version %" PRIu64 "\n", response->n_items,
	       text_s(response->n_items), text_elapsed(seconds, elapsed), response->generation,
	       response->definition_version);
	if (response->n_items > 0)
		print_items(response->items, response->n_items, explain);
	print_shortfall(response->shortfall);
	return 0;
}

static int recommend_user(struct cli *cli, const struct arguments *arguments, const char *definition, const char *user,
			  struct error *err)
{
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	Kindred__V1__RecommendResponse *response = NULL;
	request.user_id = (char *)user;
	request.definition = (char *)definition;
	request.count = arguments->count;
	request.generation = arguments->generation;
	request.as_of = arguments->has_as_of ? (Google__Protobuf__Timestamp *)&arguments->as_of : NULL;
	request.with_names = !arguments->no_names;
	request.filter = (char *)(arguments->filter ? arguments->filter : "");
	request.explain = arguments->explain;
	request.context_item = (char *)(arguments->context_item ? arguments->context_item : "");
	request.n_context = arguments->context_count;
	request.context = (Kindred__V1__ContextValue **)arguments->context;
	uint64_t start_ns = clock_monotonic_ns();
	int code = cli_call(cli, SERVICE "Recommend", &request, &kindred__v1__recommend_response__descriptor, &response,
			    err);
	double seconds = (double)(clock_monotonic_ns() - start_ns) / 1e9;
	if (code != 0)
		return code;
	code = print_answer(cli, user, response, arguments->explain, seconds);
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	return code;
}

/* The connection is made before the first answer is timed: the time shown is the call's. */
static int connect_first(struct cli *cli, struct error *err)
{
	Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	Grpc__Health__V1__HealthCheckResponse *response = NULL;
	int code = cli_call(cli, "/grpc.health.v1.Health/Check", &request,
			    &grpc__health__v1__health_check_response__descriptor, &response, err);
	if (code == 0)
		grpc__health__v1__health_check_response__free_unpacked(response, NULL);
	return code;
}

/* --- many users --- */

struct many {
	struct cli *cli;
	struct rpc_stream *stream;
	FILE *file;
	const struct arguments *arguments;
	const char *definition;
	char *users[BATCH];
	size_t count;
	uint64_t sent, answered, failed;
	uint64_t refused; /* lines that are no user id */
	struct progress progress;
};

static int receive(struct many *many, struct error *err)
{
	Kindred__V1__RecommendManyResponse *response = NULL;
	int got = rpc_stream_receive(many->stream, RPC_FOREVER, NULL, &response, NULL, err);
	if (got <= 0)
		return got == 0 ? error_set(err, E_UNAVAILABLE, "the server ended the stream early") : got;
	int code = 0;
	for (size_t i = 0; i < response->n_results && code == 0; i++) {
		many->answered++;
		many->failed += response->results[i]->error_code != 0;
		code = json_print(message_json(&response->results[i]->base), true);
	}
	kindred__v1__recommend_many_response__free_unpacked(response, NULL);
	progress_update(&many->progress, many->answered, -1);
	return code == 0 ? 0 : cli_output_error(err);
}

static int send_batch(struct many *many, struct error *err)
{
	Kindred__V1__RecommendManyRequest request = KINDRED__V1__RECOMMEND_MANY_REQUEST__INIT;
	if (many->count == 0)
		return 0;
	request.definition = (char *)many->definition;
	request.n_user_ids = many->count;
	request.user_ids = many->users;
	request.count = many->arguments->count;
	request.generation = many->arguments->generation;
	request.as_of = many->arguments->has_as_of ? (Google__Protobuf__Timestamp *)&many->arguments->as_of : NULL;
	request.with_names = !many->arguments->no_names;
	request.filter = (char *)(many->arguments->filter ? many->arguments->filter : "");
	request.explain = many->arguments->explain;
	request.context_item = (char *)(many->arguments->context_item ? many->arguments->context_item : "");
	request.n_context = many->arguments->context_count;
	request.context = (Kindred__V1__ContextValue **)many->arguments->context;
	int code = rpc_stream_send(many->stream, &request.base, err);
	many->sent += many->count;
	for (size_t i = 0; i < many->count; i++)
		free(many->users[i]);
	many->count = 0;
	while (code == 0 && many->sent - many->answered > (uint64_t)WINDOW * BATCH)
		code = receive(many, err);
	return code;
}

/* A line that is no user id has its answer too, so that one of them does not end a campaign. */
static int refuse_line(struct many *many, uint64_t number, struct error *err)
{
	many->refused++;
	int code = json_print(json_pack("{s:I, s:i, s:s}", "line", (json_int_t)number, "error_code",
					error_grpc_status(err->code), "error", err->text),
			      true);
	return code == 0 ? 0 : cli_output_error(err);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* As the importers read it, so that the same text names the same user: no byte order mark, no blanks around it. */
static const char *user_of_line(const char *line, size_t *bytes, bool first)
{
	if (first && *bytes >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
		line += 3;
		*bytes -= 3;
	}
	while (*bytes > 0 && is_blank(line[*bytes - 1]))
		--*bytes;
	while (*bytes > 0 && is_blank(*line)) {
		line++;
		--*bytes;
	}
	return line;
}

static int send_all(struct many *many, struct error *err)
{
	char *line = NULL;
	size_t room = 0;
	uint64_t number = 0;
	int code = 0;
	for (ssize_t got; code == 0 && (got = getline(&line, &room, many->file)) >= 0;) {
		size_t bytes = (size_t)got;
		const char *user = user_of_line(line, &bytes, ++number == 1);
		if (bytes == 0)
			continue;
		if (id_check("user_id", user, bytes, USER_ID_MAX, err) != 0) {
			code = refuse_line(many, number, err);
			continue;
		}
		many->users[many->count] = strndup(user, bytes);
		if (!many->users[many->count])
			code = error_set(err, E_EXHAUSTED, "no memory");
		else if (++many->count == BATCH)
			code = send_batch(many, err);
	}
	free(line);
	if (code == 0 && ferror(many->file))
		code = error_errno(err, errno, "reading users");
	return code == 0 ? send_batch(many, err) : code;
}

static int recommend_file(struct cli *cli, const struct arguments *arguments, const char *definition, struct error *err)
{
	static struct many many;
	many = (struct many){ .cli = cli, .arguments = arguments, .definition = definition };
	many.file = strcmp(arguments->users_file, "-") == 0 ? stdin : fopen(arguments->users_file, "r");
	if (!many.file)
		return input_cannot_open(arguments->users_file, errno, err);
	struct stat status;
	if (fstat(fileno(many.file), &status) == 0 && S_ISDIR(status.st_mode)) {
		fclose(many.file);
		return input_cannot_open(arguments->users_file, EISDIR, err);
	}
	int code = cli_connect(cli, err);
	if (code == 0)
		code = rpc_stream_open(&many.stream, cli->client, SERVICE "RecommendMany",
				       &kindred__v1__recommend_many_response__descriptor, RPC_FOREVER, err);
	progress_start(&many.progress, "Recommending", "users", cli->quiet);
	if (code == 0)
		code = send_all(&many, err);
	if (code == 0)
		code = rpc_stream_half_close(many.stream, err);
	while (code == 0 && many.answered < many.sent)
		code = receive(&many, err);
	if (code == 0)
		code = rpc_stream_finish(many.stream, err);
	progress_hide(&many.progress);
	if (code == 0 && many.failed > 0)
		code = error_set(err, E_UNAVAILABLE,
				 "%" PRIu64 " of %" PRIu64
				 " users could not be answered: their lines have error_code and error",
				 many.failed, many.answered);
	if (code == 0 && many.refused > 0)
		code = error_set(err, E_DATA_LOSS,
				 "%s: %" PRIu64 " lines are no user id: their answers have line and error",
				 arguments->users_file, many.refused);
	rpc_stream_free(many.stream);
	if (many.file != stdin)
		fclose(many.file);
	return code;
}

int cmd_recommend(struct cli *cli, int argc, char **argv)
{
	struct arguments arguments = { 0 };
	struct error err;
	char *args[CLI_ARGS_MAX];
	int count = cli_parse(cli, &spec, &arguments, argc, argv, args);
	int code = 0;
	if ((count > 1) == (arguments.users_file != NULL)) {
		error_set(&err, E_INVALID, "say for whom: users behind the definition's name, or --users-file FILE%s",
			  count > 1 ? ", not both" : "");
		return cli_fail(&err);
	}
	if (arguments.users_file)
		code = recommend_file(cli, &arguments, args[0], &err);
	else
		code = connect_first(cli, &err);
	for (int i = 1; i < count && code == 0; i++) {
		if (i > 1 && !cli->json)
			printf("\n");
		code = recommend_user(cli, &arguments, args[0], args[i], &err);
	}
	return code == 0 ? 0 : cli_fail(&err);
}
