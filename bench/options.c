#include "bench/options.h"

#include "common/clock.h"
#include "version.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	OPTION_DEFINITION = 256,
	OPTION_CATALOG,
	OPTION_USERS,
	OPTION_USERS_FILE,
	OPTION_ZIPF,
	OPTION_ITEMS,
	OPTION_BATCH,
	OPTION_COUNT,
	OPTION_JSON,
	OPTION_RATE,
	OPTION_WARMUP,
	OPTION_SEED,
	OPTION_STREAMS,
	OPTION_PID,
	OPTION_INGEST_SHARE,
	OPTION_DEADLINE,
	OPTION_FIND_MAX,
	OPTION_PLOT,
	OPTION_SWAP,
	OPTION_SWAPS,
	OPTION_SWAP_EVERY,
	OPTION_SWAP_FROM
};

#define SERVER "127.0.0.1:7600"
#define IN_FLIGHT_CLOSED 16
#define IN_FLIGHT_OPEN 1024

static const struct argp_option option_table[] = {
	{ NULL, 0, NULL, 0, "How:", 1 },
	{ "server", 's', "HOST:PORT", 0, "Where the server is ($KINDRED_SERVER, or " SERVER ")", 1 },
	{ "connections", 'c', "N", 0, "TCP connections (4)", 1 },
	{ "in-flight", 'm', "N", 0, "Calls at once in all; of a stream: messages at once (16; in an open loop 1024)",
	  1 },
	{ "streams", OPTION_STREAMS, "N", 0, "Streams at once, for many and ingest (2)", 1 },
	{ "rate", OPTION_RATE, "N", 0,
	  "Open loop: calls (of streams: messages, of all streams) due a second, measured from when they were due", 1 },
	{ "find-max", OPTION_FIND_MAX, "MS", 0,
	  "Search for the highest --rate that holds this p99, without errors; it starts at --rate (1000)", 1 },
	{ "deadline-ms", OPTION_DEADLINE, "MS", 0, "Deadline of a unary call (none)", 1 },
	{ "seconds", 't', "S", 0, "Measured time; of each step of a search (10)", 1 },
	{ "warmup", OPTION_WARMUP, "S", 0, "Time before it (2)", 1 },
	{ NULL, 0, NULL, 0, "What:", 2 },
	{ "definition", OPTION_DEFINITION, "NAME", 0, "Definition to ask for (bench)", 2 },
	{ "catalog", OPTION_CATALOG, "NAME", 0, "Catalog to ingest into (bench)", 2 },
	{ "users", OPTION_USERS, "N", 0, "Users to choose from: u0 .. uN-1 (100000)", 2 },
	{ "users-file", OPTION_USERS_FILE, "FILE", 0, "Users to choose from: its lines", 2 },
	{ "zipf", OPTION_ZIPF, "S", 0, "Choose users by Zipf's law with this exponent, the first most often (evenly)",
	  2 },
	{ "items", OPTION_ITEMS, "N", 0, "Items of events, evenly: i0 .. iN-1 (100000)", 2 },
	{ "ingest-share", OPTION_INGEST_SHARE, "S", 0, "Share of a mix's calls that ingest an event (0.1)", 2 },
	{ "batch", OPTION_BATCH, "N", 0, "Users or events a message of a stream (256)", 2 },
	{ "count", OPTION_COUNT, "N", 0, "Items a recommendation (10)", 2 },
	{ "seed", OPTION_SEED, "N", 0, "Seed of the choices (1)", 2 },
	{ NULL, 0, NULL, 0, "Swaps of the model meanwhile:", 3 },
	{ "swap", OPTION_SWAP, "A,B", 0, "Activate these two kept generations in turn", 3 },
	{ "swaps", OPTION_SWAPS, "N", 0, "How many times (20)", 3 },
	{ "swap-from", OPTION_SWAP_FROM, "S", 0, "Seconds into the measured time of the first one (10)", 3 },
	{ "swap-every", OPTION_SWAP_EVERY, "S", 0, "Seconds between them (0.5)", 3 },
	{ NULL, 0, NULL, 0, "Output:", 4 },
	{ "pid", OPTION_PID, "PID", 0, "Measure the CPU time of this process instead of the server's", 4 },
	{ "plot", OPTION_PLOT, "FILE.svg", 0, "Draw latency over time and by percentile", 4 },
	{ "json", OPTION_JSON, NULL, 0, "One JSON line instead of text", 4 },
	{ 0 },
};

static const char doc[] = "Puts load on a running Kindred server and says honestly what came back: rates, percentiles, "
			  "errors by status, and "
			  "the CPU time and memory of the server's processes.\n"
			  "\n"
			  "  recommend     unary Recommend calls\n"
			  "  many          the many-users stream\n"
			  "  ingest        the event stream, in batches\n"
			  "  ingest-unary  one event a call\n"
			  "  mix           Recommend calls, and one-event ingests among them\n"
			  "\v"
			  "Without --rate the loop is closed: the next call starts when one ends. That shows how fast "
			  "things can go, not what latency is at a rate.\n"
			  "Examples:\n"
			  "  kindred-bench recommend --in-flight 16 --seconds 10\n"
			  "  kindred-bench recommend --rate 5000 --plot latency.svg\n"
			  "  kindred-bench recommend --find-max 10 --seconds 5\n"
			  "  kindred-bench many --streams 2 --batch 256 --in-flight 4\n"
			  "  kindred-bench ingest --batch 1000 --rate 50 --json      50,000 events/s\n"
			  "  kindred-bench mix --ingest-share 0.2 --zipf 1\n"
			  "  kindred-bench recommend --rate 5000 --seconds 40 --swap 2,3 --swaps 20\n";

static double number(const char *text, double low, double high, struct argp_state *state)
{
	char *end = NULL;
	double value = strtod(text, &end);
	if (end == text || *end || !(value >= low && value <= high))
		argp_error(state, "'%s': %g to %g is allowed", text, low, high);
	return value;
}

static void on_workload(struct work *work, const char *text, struct argp_state *state)
{
	if (work->kind != WORK_NONE)
		argp_error(state, "'%s': one is enough; %s is there already", text, work_names[work->kind]);
	for (unsigned i = WORK_RECOMMEND; i < WORK_KINDS; i++)
		if (strcmp(text, work_names[i]) == 0)
			work->kind = (enum work_kind)i;
	if (work->kind == WORK_NONE)
		argp_error(state, "'%s': recommend, many, ingest, ingest-unary or mix", text);
}

static void on_swap(struct swaps *swaps, const char *text, struct argp_state *state)
{
	unsigned long long first, second;
	int used = 0;
	if (sscanf(text, "%llu,%llu%n", &first, &second, &used) != 2 || text[used] || !first || !second)
		argp_error(state, "--swap '%s': two numbers of generations, such as 2,3", text);
	swaps->generations[0] = first;
	swaps->generations[1] = second;
}

static void on_end(struct options *options, struct argp_state *state)
{
	struct load_options *load = &options->load;
	if (options->work.kind == WORK_NONE)
		argp_error(state, "say what to load: recommend, many, ingest, ingest-unary or mix");
	if (!work_streams(options->work.kind))
		load->streams = 0;
	if (options->find_max_ms > 0 && load->rate <= 0)
		load->rate = 1000;
	if (!load->in_flight)
		load->in_flight = load->rate > 0 ? IN_FLIGHT_OPEN : IN_FLIGHT_CLOSED;
	if (!options->swaps.generations[0]) {
		options->swaps.count = 0;
		return;
	}
	if (options->find_max_ms > 0)
		argp_error(state, "--swap and --find-max do not go together");
	if (options->swaps.from_s + options->swaps.count * options->swaps.every_s > load->seconds)
		argp_error(state, "the swaps end after the measured time: --seconds is too short for them");
}

static error_t on_option(int key, char *text, struct argp_state *state)
{
	struct options *options = state->input;
	struct work *work = &options->work;
	struct load_options *load = &options->load;
	switch (key) {
	case 's':
		load->target = text;
		return 0;
	case 'c':
		load->connections = (unsigned)number(text, 1, 1000, state);
		return 0;
	case 'm':
		load->in_flight = (unsigned)number(text, 1, 100000, state);
		return 0;
	case 't':
		load->seconds = number(text, 0.1, 86400, state);
		return 0;
	case OPTION_STREAMS:
		load->streams = (unsigned)number(text, 1, 1000, state);
		return 0;
	case OPTION_RATE:
		load->rate = number(text, 0.1, 1e7, state);
		return 0;
	case OPTION_FIND_MAX:
		options->find_max_ms = number(text, 0.001, 1e6, state);
		return 0;
	case OPTION_DEADLINE:
		load->deadline_ms = (unsigned)number(text, 1, 3.6e6, state);
		return 0;
	case OPTION_WARMUP:
		load->warmup_s = number(text, 0, 3600, state);
		return 0;
	case OPTION_DEFINITION:
		work->definition = text;
		return 0;
	case OPTION_CATALOG:
		work->catalog = text;
		return 0;
	case OPTION_USERS:
		work->users.count = (uint64_t)number(text, 1, 1e9, state);
		return 0;
	case OPTION_USERS_FILE:
		options->users_file = text;
		return 0;
	case OPTION_ZIPF:
		work->users.zipf = number(text, 0.01, 5, state);
		return 0;
	case OPTION_ITEMS:
		work->items = (uint64_t)number(text, 1, 1e9, state);
		return 0;
	case OPTION_INGEST_SHARE:
		work->ingest_share = number(text, 0, 1, state);
		return 0;
	case OPTION_BATCH:
		work->batch = (uint64_t)number(text, 1, WORK_BATCH_MAX, state);
		return 0;
	case OPTION_COUNT:
		work->count = (unsigned)number(text, 1, 1000, state);
		return 0;
	case OPTION_SEED:
		work->users.seed = (uint64_t)number(text, 0, 1e15, state);
		return 0;
	case OPTION_SWAP:
		on_swap(&options->swaps, text, state);
		return 0;
	case OPTION_SWAPS:
		options->swaps.count = (unsigned)number(text, 1, SWAPS_MAX, state);
		return 0;
	case OPTION_SWAP_FROM:
		options->swaps.from_s = number(text, 0, 86400, state);
		return 0;
	case OPTION_SWAP_EVERY:
		options->swaps.every_s = number(text, 0.01, 3600, state);
		return 0;
	case OPTION_PID:
		options->pid = (pid_t)number(text, 1, 1e9, state);
		return 0;
	case OPTION_PLOT:
		options->plot = text;
		return 0;
	case OPTION_JSON:
		options->json = true;
		return 0;
	case ARGP_KEY_ARG:
		on_workload(work, text, state);
		return 0;
	case ARGP_KEY_END:
		on_end(options, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const char *argp_program_version = "kindred-bench " KINDRED_VERSION " (" KINDRED_REVISION ")";

void options_parse(struct options *options, int argc, char **argv)
{
	static const struct argp argp = { option_table, on_option, "recommend|many|ingest|ingest-unary|mix", doc, NULL,
					  NULL,         NULL };
	const char *server = getenv("KINDRED_SERVER");
	*options = (struct options){
		.work = { .users = { .count = 100000, .seed = 1 },
			  .items = 100000,
			  .batch = 256,
			  .count = 10,
			  .definition = "bench",
			  .catalog = "bench",
			  .event_time_ms = clock_wall_ms() - DAY_MS,
			  .ingest_share = 0.1 },
		.load = { .target = server && *server ? server : SERVER,
			  .connections = 4,
			  .streams = 2,
			  .warmup_s = 2,
			  .seconds = 10 },
		.swaps = { .count = 20, .from_s = 10, .every_s = 0.5 },
	};
	argp_err_exit_status = error_exit_code(E_INVALID);
	argp_parse(&argp, argc, argv, 0, NULL, options);
}
