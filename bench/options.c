#include "bench/options.h"

#include "common/clock.h"
#include "version.h"

#include <argp.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVER "127.0.0.1:7600"
#define IN_FLIGHT_CLOSED 16
#define IN_FLIGHT_OPEN 1024

enum type { HEADING, INTEGER, UNSIGNED, LARGE, REAL, TEXT, FLAG, PAIR };

/*
 * A line of the table: an option, where its value goes, and for numbers what is allowed; or a heading,
 * which has only words.
 */
struct setting {
	const char *name;
	int letter; /* 0: none */
	const char *value, *words;
	enum type type;
	size_t at; /* in struct options */
	double least, most;
};

#define TYPE_OF(value)                                                                                                 \
	_Generic((value),                                                                                              \
		int: INTEGER,                                                                                          \
		unsigned: UNSIGNED,                                                                                    \
		uint64_t: LARGE,                                                                                       \
		double: REAL,                                                                                          \
		const char *: TEXT,                                                                                    \
		bool: FLAG,                                                                                            \
		uint64_t *: PAIR)
#define INTO(member) TYPE_OF(((struct options *)NULL)->member), offsetof(struct options, member)

static const struct setting settings[] = {
	{ .words = "How:" },
	{ "server", 's', "HOST:PORT", "Where the server is ($KINDRED_SERVER, or " SERVER ")", INTO(load.target), 0, 0 },
	{ "connections", 'c', "N", "TCP connections (4)", INTO(load.connections), 1, 1000 },
	{ "in-flight", 'm', "N", "Calls at once in all; of a stream: messages at once (16; in an open loop 1024)",
	  INTO(load.in_flight), 1, 100000 },
	{ "streams", 0, "N", "Streams at once, for many and ingest (2) and audience (1)", INTO(load.streams), 1, 1000 },
	{ "rate", 0, "N",
	  "Open loop: calls (of streams: messages, of all streams) due a second, measured from when they were due",
	  INTO(load.rate), 0.1, 1e7 },
	{ "find-max", 0, "MS",
	  "Search for the highest --rate that holds this p99, without errors; it starts at --rate (1000)",
	  INTO(find_max_ms), 0.001, 1e6 },
	{ "deadline-ms", 0, "MS", "Deadline of a unary call (none)", INTO(load.deadline_ms), 1, 3.6e6 },
	{ "seconds", 't', "S", "Measured time; of each step of a search (10)", INTO(load.seconds), 0.1, 86400 },
	{ "warmup", 0, "S", "Time before it (2)", INTO(load.warmup_s), 0, 3600 },
	{ .words = "What:" },
	{ "definition", 0, "NAME", "Definition to ask for (bench)", INTO(work.definition), 0, 0 },
	{ "catalog", 0, "NAME", "Catalog to ingest into (bench)", INTO(work.catalog), 0, 0 },
	{ "users", 0, "N", "Users to choose from: u0 .. uN-1 (100000)", INTO(work.users.count), 1, 1e9 },
	{ "users-file", 0, "FILE", "Users to choose from: its lines", INTO(users_file), 0, 0 },
	{ "zipf", 0, "S", "Choose users by Zipf's law with this exponent, the first most often (evenly)",
	  INTO(work.users.zipf), 0.01, 5 },
	{ "in-order", 0, NULL, "Users one after another, each once a round, as in a campaign's list",
	  INTO(work.users.in_order), 0, 0 },
	{ "items", 0, "N", "Items of events, evenly: i0 .. iN-1 (100000)", INTO(work.items), 1, 1e9 },
	{ "ingest-share", 0, "S", "Share of a mix's calls that ingest an event (0.1)", INTO(work.ingest_share), 0, 1 },
	{ "batch", 0, "N", "Users or events a message of a stream (256)", INTO(work.batch), 1, WORK_BATCH_MAX },
	{ "count", 0, "N", "Items a recommendation (10)", INTO(work.count), 1, 1000 },
	{ "seed", 0, "N", "Seed of the choices (1)", INTO(work.users.seed), 0, 1e15 },
	{ .words = "Swaps of the model meanwhile:" },
	{ "swap", 0, "A,B", "Activate these two kept generations in turn", INTO(swaps.generations), 0, 0 },
	{ "swaps", 0, "N", "How many times (20)", INTO(swaps.count), 1, SWAPS_MAX },
	{ "swap-from", 0, "S", "Seconds into the measured time of the first one (10)", INTO(swaps.from_s), 0, 86400 },
	{ "swap-every", 0, "S", "Seconds between them (0.5)", INTO(swaps.every_s), 0.01, 3600 },
	{ .words = "Output:" },
	{ "pid", 0, "PID", "Measure the CPU time of this process instead of the server's", INTO(pid), 1, 1e9 },
	{ "plot", 0, "FILE.svg", "Draw latency over time and by percentile", INTO(plot), 0, 0 },
	{ "json", 0, NULL, "One JSON line instead of text", INTO(json), 0, 0 },
};
#define SETTINGS (sizeof settings / sizeof settings[0])
#define FIRST_KEY 256 /* of options without a letter: behind all letters */

static int key_of(size_t setting)
{
	return settings[setting].letter ? settings[setting].letter : FIRST_KEY + (int)setting;
}

/* options: room for SETTINGS and the end. */
static void list_options(struct argp_option *options)
{
	int group = 0;
	for (size_t i = 0; i < SETTINGS; i++) {
		const struct setting *setting = &settings[i];
		bool heading = setting->type == HEADING;
		group += heading;
		options[i] = (struct argp_option){ .name = setting->name,
						   .key = heading ? 0 : key_of(i),
						   .arg = setting->value,
						   .doc = setting->words,
						   .group = group };
	}
	options[SETTINGS] = (struct argp_option){ 0 };
}

static const char doc[] = "Puts load on a running Kindred server and says honestly what came back: rates, percentiles, "
			  "errors by status, and "
			  "the CPU time and memory of the server's processes.\n"
			  "\n"
			  "  recommend     unary Recommend calls\n"
			  "  many          the many-users stream\n"
			  "  audience      all users with a history, streamed; again and again\n"
			  "  ingest        the event stream, in batches\n"
			  "  ingest-unary  one event a call\n"
			  "  mix           Recommend calls, and one-event ingests among them\n"
			  "\v"
			  "Without --rate the loop is closed: the next call starts when one ends. That shows how fast "
			  "things can go, not what latency is at a rate.\n"
			  "\n"
			  "Errors, and users and events that were refused, are counted, and it goes on; at the end it "
			  "exits with 69 (UNAVAILABLE). But when "
			  "nothing came back from the first 100 calls but one error that is there to stay, such as "
			  "NOT_FOUND, it gives up, with that error's code. A stream that ended with an error is not "
			  "begun again.\n"
			  "\n"
			  "What is unanswered five seconds after the time is over (of calls with a deadline: after the "
			  "deadline) is cancelled, and told apart from answers and errors. When nothing at all was "
			  "answered, it exits with 69 too.\n"
			  "\n"
			  "Ctrl-C or SIGTERM end the load early: what was measured until then is told, and it ends by "
			  "the signal (130, 143). A second one ends it at once.\n"
			  "\n"
			  "Examples:\n"
			  "  kindred-bench recommend --in-flight 16 --seconds 10\n"
			  "  kindred-bench recommend --rate 5000 --plot latency.svg\n"
			  "  kindred-bench recommend --find-max 10 --seconds 5\n"
			  "  kindred-bench many --streams 2 --batch 256 --in-flight 4\n"
			  "  kindred-bench many --batch 1000 --in-order\n"
			  "  kindred-bench audience --seconds 10\n"
			  "  kindred-bench ingest --batch 1000 --rate 50 --json      # 50,000 events/s\n"
			  "  kindred-bench mix --ingest-share 0.2 --zipf 1\n"
			  "  kindred-bench recommend --rate 5000 --seconds 40 --swap 2,3 --swaps 20\n";

static double number(const struct setting *setting, const char *text, struct argp_state *state)
{
	char *end = NULL;
	double value = strtod(text, &end);
	if (end == text || *end || !(value >= setting->least && value <= setting->most))
		argp_error(state, "--%s '%s': %g to %g is allowed", setting->name, text, setting->least, setting->most);
	return value;
}

/* "2,3" */
static void read_pair(const struct setting *setting, const char *text, uint64_t *pair, struct argp_state *state)
{
	unsigned long long first, second;
	int used = 0;
	if (sscanf(text, "%llu,%llu%n", &first, &second, &used) != 2 || text[used] || !first || !second)
		argp_error(state, "--%s '%s': two numbers of generations, such as 2,3", setting->name, text);
	pair[0] = first;
	pair[1] = second;
}

static void set(struct options *options, const struct setting *setting, const char *text, struct argp_state *state)
{
	void *at = (char *)options + setting->at;
	if (setting->type == INTEGER || setting->type == UNSIGNED || setting->type == LARGE)
		if (number(setting, text, state) != trunc(number(setting, text, state)))
			argp_error(state, "--%s '%s': a whole number is wanted", setting->name, text);
	switch (setting->type) {
	case HEADING:
		return;
	case INTEGER:
		*(int *)at = (int)number(setting, text, state);
		return;
	case UNSIGNED:
		*(unsigned *)at = (unsigned)number(setting, text, state);
		return;
	case LARGE:
		*(uint64_t *)at = (uint64_t)number(setting, text, state);
		return;
	case REAL:
		*(double *)at = number(setting, text, state);
		return;
	case TEXT:
		*(const char **)at = text;
		return;
	case FLAG:
		*(bool *)at = true;
		return;
	case PAIR:
		read_pair(setting, text, at, state);
		return;
	}
}

#define WORKLOADS "recommend, many, audience, ingest, ingest-unary or mix"

static void on_workload(struct work *work, const char *text, struct argp_state *state)
{
	if (work->kind != WORK_NONE)
		argp_error(state, "'%s': one is enough; %s is there already", text, work_names[work->kind]);
	for (unsigned i = WORK_RECOMMEND; i < WORK_KINDS; i++)
		if (strcmp(text, work_names[i]) == 0)
			work->kind = (enum work_kind)i;
	if (work->kind == WORK_NONE)
		argp_error(state, "'%s': " WORKLOADS, text);
}

static void on_end(struct options *options, struct argp_state *state)
{
	struct load_options *load = &options->load;
	if (options->work.kind == WORK_NONE)
		argp_error(state, "say what to load: " WORKLOADS);
	if (load->streams && !work_streams(options->work.kind))
		argp_error(state, "--streams is for many, ingest and audience; %s has --in-flight",
			   work_names[options->work.kind]);
	if (load->deadline_ms && work_streams(options->work.kind))
		argp_error(state, "--deadline-ms is for unary calls; %s is a stream", work_names[options->work.kind]);
	if (options->work.kind == WORK_MIX && options->find_max_ms > 0 && options->work.ingest_share >= 1)
		argp_error(state,
			   "--find-max looks at the Recommend calls of a mix; with this --ingest-share there are none");
	if (!work_streams(options->work.kind))
		load->streams = 0;
	else if (!load->streams)
		load->streams = options->work.kind == WORK_AUDIENCE ? 1 : 2;
	if (options->work.kind == WORK_AUDIENCE && (load->rate > 0 || options->find_max_ms > 0))
		argp_error(state, "an audience comes as fast as it is read: neither --rate nor --find-max go with it");
	if (options->work.users.in_order && options->work.users.zipf > 0)
		argp_error(state, "users are asked for --in-order or by --zipf, not both");
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
	if (key == ARGP_KEY_ARG) {
		on_workload(&options->work, text, state);
		return 0;
	}
	if (key == ARGP_KEY_END) {
		on_end(options, state);
		return 0;
	}
	for (size_t i = 0; i < SETTINGS; i++)
		if (settings[i].type != HEADING && key_of(i) == key) {
			set(options, &settings[i], text, state);
			return 0;
		}
	return ARGP_ERR_UNKNOWN;
}

const char *argp_program_version = "kindred-bench " KINDRED_VERSION " (" KINDRED_REVISION ")";

void options_parse(struct options *options, int argc, char **argv)
{
	struct argp_option list[SETTINGS + 1];
	const struct argp argp = { list, on_option, "recommend|many|audience|ingest|ingest-unary|mix", doc, NULL,
				   NULL, NULL };
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
			  .warmup_s = 2,
			  .seconds = 10 },
		.swaps = { .count = 20, .from_s = 10, .every_s = 0.5 },
	};
	list_options(list);
	argp_err_exit_status = error_exit_code(E_INVALID);
	argp_parse(&argp, argc, argv, 0, NULL, options);
}
