/*
 * kindred-bench: puts load on a running server and says honestly what came back: rates, percentiles, errors by status,
 * and the CPU time that the server's processes spent a call.
 *
 *   recommend   unary Recommend calls
 *   many        the many-users stream
 *   ingest      the event stream, in batches; `ingest-unary` one event a call
 *
 * Users are u0..uN-1 and items i0..iN-1, as bench/synthetic.c makes them. How figures are made: bench/README.md.
 */
#include "bench/load.h"
#include "bench/usage.h"
#include "common/clock.h"
#include "kindred/v1/events.pb-c.h"
#include "kindred/v1/recommend.pb-c.h"
#include "version.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum workload { WORK_NONE, WORK_RECOMMEND, WORK_MANY, WORK_INGEST, WORK_INGEST_UNARY };
static const char *const workload_names[] = { "", "recommend", "many", "ingest", "ingest-unary" };

struct bench {
	enum workload workload;
	struct load_options load;
	const char *definition, *catalog;
	uint64_t users, items, batch, seed;
	unsigned count;
	bool json;
	int64_t event_time_ms;
	pid_t pid; /* measure this process instead of the server's */
};

#define BATCH_MAX 10000
#define ID_ROOM 24

/* Room for one batch of ids and events; the generator has one thread. */
static char ids[BATCH_MAX][2][ID_ROOM];
static Kindred__V1__Event events[BATCH_MAX];
static Kindred__V1__Event *event_pointers[BATCH_MAX];
static Google__Protobuf__Timestamp event_times[BATCH_MAX];
static char event_ids[BATCH_MAX][2 * ID_ROOM];

static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static char *user_name(const struct bench *bench, uint64_t number, uint64_t slot)
{
	snprintf(ids[slot][0], ID_ROOM, "u%" PRIu64, mix(number ^ mix(bench->seed)) % bench->users);
	return ids[slot][0];
}

static size_t make_recommend(void *context, uint64_t number, uint8_t *buffer)
{
	struct bench *bench = context;
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	request.user_id = user_name(bench, number, 0);
	request.definition = (char *)bench->definition;
	request.count = bench->count;
	return kindred__v1__recommend_request__pack(&request, buffer);
}

static size_t make_many(void *context, uint64_t number, uint8_t *buffer)
{
	struct bench *bench = context;
	static char *users[BATCH_MAX];
	Kindred__V1__RecommendManyRequest request = KINDRED__V1__RECOMMEND_MANY_REQUEST__INIT;
	for (uint64_t i = 0; i < bench->batch; i++)
		users[i] = user_name(bench, number * bench->batch + i, i);
	request.n_user_ids = bench->batch;
	request.user_ids = users;
	request.definition = (char *)bench->definition;
	request.count = bench->count;
	return kindred__v1__recommend_many_request__pack(&request, buffer);
}

static void make_events(struct bench *bench, uint64_t number, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		uint64_t event = number * count + i;
		int64_t time_ms = bench->event_time_ms + (int64_t)event;
		kindred__v1__event__init(&events[i]);
		google__protobuf__timestamp__init(&event_times[i]);
		event_times[i].seconds = time_ms / 1000;
		event_times[i].nanos = (int32_t)(time_ms % 1000) * 1000000;
		snprintf(ids[i][1], ID_ROOM, "i%" PRIu64, mix(event + 7 * bench->seed) % bench->items);
		snprintf(event_ids[i], sizeof event_ids[i], "b%" PRId64 "-%" PRIu64, bench->event_time_ms, event);
		events[i].user_id = user_name(bench, event, i);
		events[i].item_id = ids[i][1];
		events[i].type = "Viewed";
		events[i].time = &event_times[i];
		events[i].event_id = event_ids[i];
		event_pointers[i] = &events[i];
	}
}

static size_t make_ingest(void *context, uint64_t number, uint8_t *buffer)
{
	struct bench *bench = context;
	Kindred__V1__IngestEventStreamRequest request = KINDRED__V1__INGEST_EVENT_STREAM_REQUEST__INIT;
	make_events(bench, number, bench->batch);
	request.n_events = bench->batch;
	request.events = event_pointers;
	request.catalog = (char *)bench->catalog;
	request.batch = number;
	return kindred__v1__ingest_event_stream_request__pack(&request, buffer);
}

static size_t make_ingest_unary(void *context, uint64_t number, uint8_t *buffer)
{
	struct bench *bench = context;
	Kindred__V1__IngestEventsRequest request = KINDRED__V1__INGEST_EVENTS_REQUEST__INIT;
	make_events(bench, number, 1);
	request.n_events = 1;
	request.events = event_pointers;
	request.catalog = (char *)bench->catalog;
	return kindred__v1__ingest_events_request__pack(&request, buffer);
}

static uint64_t count_one(void *context, const uint8_t *answer, size_t bytes)
{
	(void)context;
	(void)answer;
	(void)bytes;
	return 1;
}

static uint64_t count_users(void *context, const uint8_t *answer, size_t bytes)
{
	(void)context;
	Kindred__V1__RecommendManyResponse *response =
		kindred__v1__recommend_many_response__unpack(NULL, bytes, answer);
	uint64_t users = response ? response->n_results : 0;
	if (response)
		kindred__v1__recommend_many_response__free_unpacked(response, NULL);
	return users;
}

static uint64_t count_accepted(void *context, const uint8_t *answer, size_t bytes)
{
	(void)context;
	Kindred__V1__IngestEventStreamResponse *response =
		kindred__v1__ingest_event_stream_response__unpack(NULL, bytes, answer);
	uint64_t accepted = 0;
	for (size_t i = 0; response && i < response->n_outcomes; i++)
		accepted += response->outcomes[i] == KINDRED__V1__OUTCOME__OUTCOME_ACCEPTED;
	if (response)
		kindred__v1__ingest_event_stream_response__free_unpacked(response, NULL);
	return accepted;
}

static struct load_work work_of(struct bench *bench)
{
	struct load_work work = { .context = bench, .units_per_message = 1, .count = count_one };
	switch (bench->workload) {
	case WORK_MANY:
		work.method = "/kindred.v1.RecommendationService/RecommendMany";
		work.make = make_many;
		work.count = count_users;
		work.units_per_message = bench->batch;
		break;
	case WORK_INGEST:
		work.method = "/kindred.v1.EventService/IngestEventStream";
		work.make = make_ingest;
		work.count = count_accepted;
		work.units_per_message = bench->batch;
		break;
	case WORK_INGEST_UNARY:
		work.method = "/kindred.v1.EventService/IngestEvents";
		work.make = make_ingest_unary;
		break;
	case WORK_NONE:
	case WORK_RECOMMEND:
		work.method = "/kindred.v1.RecommendationService/Recommend";
		work.make = make_recommend;
		break;
	}
	return work;
}

static uint64_t error_total(const struct load_result *result)
{
	uint64_t total = 0;
	for (unsigned i = 0; i < 17; i++)
		total += result->errors[i];
	return total;
}

static void report_text(const struct bench *bench, const struct load_result *r, const struct usage *used,
			uint64_t own_ns)
{
	static const double shares[] = { 0.5, 0.9, 0.99, 0.999, 1 };
	static const char *const names[] = { "p50", "p90", "p99", "p99.9", "max" };
	printf("%s: %.0f answers/s", workload_names[bench->workload], (double)r->calls / r->seconds);
	if (bench->load.streams)
		printf(", %.0f %s/s", (double)r->units / r->seconds, bench->workload == WORK_MANY ? "users" : "events");
	printf(" over %.1f s; %" PRIu64 " errors\n", r->seconds, error_total(r));
	printf("latency, ms:");
	for (unsigned i = 0; i < 5; i++)
		printf("  %s %.3f", names[i], (double)histogram_percentile(&r->latency, shares[i]) / 1e6);
	printf("\n");
	for (unsigned i = 0; i < used->count; i++)
		printf("cpu of %s (pid %d): %.2f us per %s, peak memory %.1f MiB\n", used->process[i].name,
		       used->process[i].pid,
		       (double)used->process[i].cpu_ns / 1e3 / (double)(r->all_units ? r->all_units : 1),
		       bench->load.streams ? "unit" : "call", (double)used->process[i].peak_bytes / 1048576);
	printf("cpu of this generator: %.2f us per unit\n",
	       (double)own_ns / 1e3 / (double)(r->all_units ? r->all_units : 1));
}

static void report_json(const struct bench *bench, const struct load_result *r, const struct usage *used,
			uint64_t own_ns)
{
	json_t *errors = json_object();
	json_t *processes = json_array();
	uint64_t all_ns = 0;
	for (unsigned i = 0; i < 17; i++) {
		char status[8];
		snprintf(status, sizeof status, "%u", i);
		if (r->errors[i])
			json_object_set_new(errors, status, json_integer((json_int_t)r->errors[i]));
	}
	for (unsigned i = 0; i < used->count; i++)
		all_ns += used->process[i].cpu_ns;
	for (unsigned i = 0; i < used->count; i++)
		json_array_append_new(processes, json_pack("{s:s,s:i,s:f,s:I}", "name", used->process[i].name, "pid",
							   used->process[i].pid, "cpu_us",
							   (double)used->process[i].cpu_ns / 1e3 /
								   (double)(r->all_units ? r->all_units : 1),
							   "peak_bytes", (json_int_t)used->process[i].peak_bytes));
	json_t *all = json_pack("{s:s,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:I,s:f,s:o,s:o,s:f}", "workload",
				workload_names[bench->workload], "seconds", r->seconds, "answers_per_s",
				(double)r->calls / r->seconds, "units_per_s", (double)r->units / r->seconds, "p50_ms",
				(double)histogram_percentile(&r->latency, 0.5) / 1e6, "p90_ms",
				(double)histogram_percentile(&r->latency, 0.9) / 1e6, "p99_ms",
				(double)histogram_percentile(&r->latency, 0.99) / 1e6, "p999_ms",
				(double)histogram_percentile(&r->latency, 0.999) / 1e6, "max_ms",
				(double)r->latency.max_ns / 1e6, "error_count", (json_int_t)error_total(r),
				"cpu_us_per_unit", (double)all_ns / 1e3 / (double)(r->all_units ? r->all_units : 1),
				"errors", errors, "processes", processes, "generator_us_per_unit",
				(double)own_ns / 1e3 / (double)(r->all_units ? r->all_units : 1));
	json_dumpf(all, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
	printf("\n");
	json_decref(all);
}

enum {
	OPTION_DEFINITION = 256,
	OPTION_CATALOG,
	OPTION_USERS,
	OPTION_ITEMS,
	OPTION_BATCH,
	OPTION_COUNT,
	OPTION_JSON,
	OPTION_RATE,
	OPTION_WARMUP,
	OPTION_SEED,
	OPTION_STREAMS,
	OPTION_PID
};

static const struct argp_option option_table[] = {
	{ "server", 's', "HOST:PORT", 0, "Where the server is (127.0.0.1:7600)", 0 },
	{ "connections", 'c', "N", 0, "TCP connections (4)", 0 },
	{ "in-flight", 'm', "N", 0, "Calls at once in all; of a stream: messages at once (16)", 0 },
	{ "streams", OPTION_STREAMS, "N", 0, "Streams at once, for many and ingest (2)", 0 },
	{ "rate", OPTION_RATE, "N", 0, "Open loop: calls due a second, measured from when they were due", 0 },
	{ "seconds", 't', "S", 0, "Measured time (10)", 0 },
	{ "warmup", OPTION_WARMUP, "S", 0, "Time before it (2)", 0 },
	{ "definition", OPTION_DEFINITION, "NAME", 0, "Definition to ask for (bench)", 0 },
	{ "catalog", OPTION_CATALOG, "NAME", 0, "Catalog to ingest into (bench)", 0 },
	{ "users", OPTION_USERS, "N", 0, "Users to choose from, evenly (100000)", 0 },
	{ "items", OPTION_ITEMS, "N", 0, "Items to choose from, evenly (100000)", 0 },
	{ "batch", OPTION_BATCH, "N", 0, "Users or events a message of a stream (256)", 0 },
	{ "count", OPTION_COUNT, "N", 0, "Items a recommendation (10)", 0 },
	{ "seed", OPTION_SEED, "N", 0, "Seed of the choices (1)", 0 },
	{ "pid", OPTION_PID, "PID", 0, "Measure the CPU time of this process instead of the server's", 0 },
	{ "json", OPTION_JSON, NULL, 0, "One JSON line instead of text", 0 },
	{ 0 },
};

static double number(const char *text, double low, double high, struct argp_state *state)
{
	char *end = NULL;
	double value = strtod(text, &end);
	if (end == text || *end || !(value >= low && value <= high))
		argp_error(state, "'%s': %g to %g is allowed", text, low, high);
	return value;
}

static void on_workload(struct bench *bench, const char *text, struct argp_state *state)
{
	for (unsigned i = WORK_RECOMMEND; i <= WORK_INGEST_UNARY; i++)
		if (strcmp(text, workload_names[i]) == 0)
			bench->workload = (enum workload)i;
	if (bench->workload == WORK_NONE)
		argp_error(state, "'%s': recommend, many, ingest or ingest-unary", text);
}

static error_t on_option(int key, char *text, struct argp_state *state)
{
	struct bench *bench = state->input;
	switch (key) {
	case 's':
		bench->load.target = text;
		return 0;
	case 'c':
		bench->load.connections = (unsigned)number(text, 1, 1000, state);
		return 0;
	case 'm':
		bench->load.in_flight = (unsigned)number(text, 1, 100000, state);
		return 0;
	case 't':
		bench->load.seconds = number(text, 0.1, 86400, state);
		return 0;
	case OPTION_STREAMS:
		bench->load.streams = (unsigned)number(text, 1, 1000, state);
		return 0;
	case OPTION_RATE:
		bench->load.rate = number(text, 0.1, 1e7, state);
		return 0;
	case OPTION_WARMUP:
		bench->load.warmup_s = number(text, 0, 3600, state);
		return 0;
	case OPTION_DEFINITION:
		bench->definition = text;
		return 0;
	case OPTION_CATALOG:
		bench->catalog = text;
		return 0;
	case OPTION_USERS:
		bench->users = (uint64_t)number(text, 1, 1e9, state);
		return 0;
	case OPTION_ITEMS:
		bench->items = (uint64_t)number(text, 1, 1e9, state);
		return 0;
	case OPTION_BATCH:
		bench->batch = (uint64_t)number(text, 1, BATCH_MAX, state);
		return 0;
	case OPTION_COUNT:
		bench->count = (unsigned)number(text, 1, 1000, state);
		return 0;
	case OPTION_SEED:
		bench->seed = (uint64_t)number(text, 0, 1e15, state);
		return 0;
	case OPTION_PID:
		bench->pid = (pid_t)number(text, 1, 1e9, state);
		return 0;
	case OPTION_JSON:
		bench->json = true;
		return 0;
	case ARGP_KEY_ARG:
		on_workload(bench, text, state);
		return 0;
	case ARGP_KEY_END:
		if (bench->workload == WORK_NONE)
			argp_error(state, "say what to load: recommend, many, ingest or ingest-unary");
		if (bench->load.rate > 0 && (bench->workload == WORK_MANY || bench->workload == WORK_INGEST))
			argp_error(state,
				   "--rate is for unary calls: recommend, ingest-unary; streams are closed loops");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const char *argp_program_version = "kindred-bench " KINDRED_VERSION " (" KINDRED_REVISION ")";

int main(int argc, char **argv)
{
	static const char doc[] = "Puts load on a running Kindred server and reports what came back.\v"
				  "Examples:\n"
				  "  kindred-bench recommend --in-flight 16 --seconds 10\n"
				  "  kindred-bench recommend --rate 5000          open loop, honest percentiles\n"
				  "  kindred-bench many --streams 2 --batch 256\n"
				  "  kindred-bench ingest --batch 1000 --json";
	static struct load_result result;
	struct bench bench = { .load = { .target = "127.0.0.1:7600",
					 .connections = 4,
					 .in_flight = 16,
					 .streams = 2,
					 .warmup_s = 2,
					 .seconds = 10 },
			       .definition = "bench",
			       .catalog = "bench",
			       .users = 100000,
			       .items = 100000,
			       .batch = 256,
			       .seed = 1,
			       .count = 10,
			       .event_time_ms = clock_wall_ms() - DAY_MS };
	struct argp argp = { option_table, on_option, "recommend|many|ingest|ingest-unary", doc, NULL, NULL, NULL };
	struct error err = { 0 };
	struct usage used;
	argp_parse(&argp, argc, argv, 0, NULL, &bench);
	if (bench.workload == WORK_RECOMMEND || bench.workload == WORK_INGEST_UNARY)
		bench.load.streams = 0;
	struct load_work work = work_of(&bench);
	usage_start(&used, bench.load.target, bench.pid);
	uint64_t own_ns = usage_own_ns();
	if (load_run(&bench.load, &work, &result, &err) != 0) {
		fprintf(stderr, "kindred-bench: %s\n", err.text);
		return error_exit_code(err.code);
	}
	own_ns = usage_own_ns() - own_ns;
	usage_stop(&used);
	(bench.json ? report_json : report_text)(&bench, &result, &used, own_ns);
	return error_total(&result) ? error_exit_code(E_UNAVAILABLE) : 0;
}
