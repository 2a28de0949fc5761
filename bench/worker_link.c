/*
 * kindred-bench-worker: one kindred-worker over its link, without gRPC: what a call costs the worker
 * itself. Made-up data: histories of 30 events of items by a skewed popularity, a model whose neighbours
 * are as skewed.
 *
 *     kindred-bench-worker DIRECTORY [ITEMS [NEIGHBOURS [USERS]]]        DIRECTORY: made, must not exist
 *
 * It prints ingest (frames of 500 events), Recommend (one user a frame; N = 10; 64 and 1 under way) and
 * RecommendMany (1,000 users a frame), each with the CPU that the worker alone took, from /proc.
 * kindred-worker is taken from the folder that this program is in.
 */
#include "bench/made.h"
#include "builder/publish.h"
#include "common/clock.h"
#include "common/frame.h"
#include "common/ids.h"
#include "kindred/internal/link.pb-c.h"
#include "kindred/v1/events.pb-c.h"
#include "kindred/v1/recommend.pb-c.h"
#include "version.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHARDS 8
#define HISTORY 30
#define BATCH 500
#define RECOMMEND_COUNT 10
#define RELATION "Viewed=1|window=0"

static uint32_t items = 20000, neighbours = 50, users = 20000;
static uint64_t random_state = 88172645463325252u;
static int link_fd;
static pid_t worker;

static void must(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "kindred-bench-worker: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- the model --- */

static const uint64_t *texts(char prefix, char **bytes)
{
	uint64_t *offsets = calloc(items + 1, sizeof *offsets);
	*bytes = malloc((size_t)items * 12);
	must(offsets && *bytes, "memory");
	for (uint32_t i = 0; i < items; i++)
		offsets[i + 1] = offsets[i] + (uint64_t)sprintf(*bytes + offsets[i], "%c%08u", prefix, i);
	return offsets;
}

static void write_model(const char *directory, char *path)
{
	static struct model_relation relation;
	static struct model_catalog catalog;
	static struct model model;
	struct error err;
	char *id_bytes, *name_bytes;
	uint64_t *keys = calloc(items, sizeof *keys);
	uint8_t *hidden = calloc(items, 1);
	uint64_t *no_images = calloc(items + 1, sizeof *no_images);
	must(keys && hidden && no_images, "memory");
	must(neighbours < items && made_relation(&relation, RELATION, items, neighbours, &random_state) == 0,
	     "a made-up model");
	catalog = (struct model_catalog){ .name = (char *)"shop",
					  .version = 1,
					  .items = items,
					  .hidden = hidden,
					  .relations = &relation,
					  .relation_count = 1 };
	catalog.id_offsets = texts('i', &id_bytes);
	catalog.name_offsets = texts('n', &name_bytes);
	catalog.image_offsets = no_images;
	catalog.id_bytes = id_bytes;
	catalog.name_bytes = name_bytes;
	catalog.image_bytes = "";
	for (uint32_t i = 0; i < items; i++)
		keys[i] = item_key(catalog_seed("shop", 4), id_bytes + catalog.id_offsets[i], 9).value;
	catalog.keys = keys;
	catalog.index = model_index_make(keys, items, &catalog.index_mask, NULL);
	model = (struct model){ .newest_event_ms = 1, .catalogs = &catalog, .catalog_count = 1 };
	const struct publication publication = { .model = &model, .generation = 1, .create_ms = 1, .builder = "bench" };
	if (publish_write(&publication, directory, path, &err)) {
		fprintf(stderr, "kindred-bench-worker: %s\n", err.text);
		exit(1);
	}
}

/* --- the link --- */

static void send_bytes(const void *data, size_t bytes)
{
	const char *at = data;
	while (bytes) {
		ssize_t written = write(link_fd, at, bytes);
		must(written > 0, "write to the worker");
		at += written;
		bytes -= (size_t)written;
	}
}

/* One frame in one write. */
static void send_message(enum frame_kind kind, const ProtobufCMessage *message)
{
	static uint8_t *buffer;
	static size_t room;
	size_t bytes = message ? protobuf_c_message_get_packed_size(message) : 0;
	struct frame_head head = {
		.bytes = (uint32_t)bytes, .kind = (uint16_t)kind, .call = 1, .timeout_ms = UINT32_MAX
	};
	if (room < sizeof head + bytes) {
		room = 2 * (sizeof head + bytes);
		buffer = realloc(buffer, room);
		must(buffer != NULL, "memory");
	}
	memcpy(buffer, &head, sizeof head);
	if (message)
		protobuf_c_message_pack(message, buffer + sizeof head);
	send_bytes(buffer, sizeof head + bytes);
}

/* Takes whole frames in until one of that kind came; status 0 is a must. Others (statistics) are skipped. */
static void await(enum frame_kind kind)
{
	static uint8_t *buffer;
	static size_t room, used, taken;
	for (;;) {
		struct frame_head head;
		int64_t whole = frame_next(buffer + taken, used - taken, &head);
		if (whole > 0) {
			taken += (size_t)whole;
			if (head.status) {
				fprintf(stderr, "kindred-bench-worker: %.*s\n", (int)head.bytes,
					buffer + taken - head.bytes);
				exit(1);
			}
			if (head.kind == kind)
				return;
			continue;
		}
		if (taken) {
			used -= taken;
			memmove(buffer, buffer + taken, used);
			taken = 0;
		}
		if (room - used < 1 << 20) {
			room = 2 * room + (1 << 21);
			buffer = realloc(buffer, room);
			must(buffer != NULL, "memory");
		}
		ssize_t bytes = read(link_fd, buffer + used, room - used);
		must(bytes > 0, "read from the worker");
		used += (size_t)bytes;
	}
}

static void start_worker(const char *directory)
{
	int pair[2];
	char program[PATH_MAX];
	ssize_t bytes = readlink("/proc/self/exe", program, sizeof program - 32);
	must(bytes > 0, "/proc/self/exe");
	program[bytes] = '\0';
	strcpy(strrchr(program, '/') + 1, "kindred-worker");
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
	worker = fork();
	must(worker >= 0, "fork");
	if (worker == 0) {
		int theirs = fcntl(pair[1], F_DUPFD, 10);
		dup2(theirs, LINK_FD);
		close(theirs);
		execl(program, program, (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
	link_fd = pair[0];
	Kindred__Internal__Setup setup = KINDRED__INTERNAL__SETUP__INIT;
	setup.link_version = LINK_VERSION;
	setup.data_directory = (char *)directory;
	setup.shard_total = setup.shard_count = SHARDS;
	setup.history_cap = 1000;
	setup.shard_map_bytes = UINT64_C(8) << 30;
	send_message(FRAME_SETUP, &setup.base);
	await(FRAME_READY);
}

static void set_up(char *model)
{
	Kindred__V1__Catalog catalog = KINDRED__V1__CATALOG__INIT;
	Kindred__Internal__CatalogSet catalog_set = KINDRED__INTERNAL__CATALOG_SET__INIT;
	Kindred__V1__EventWeight viewed = KINDRED__V1__EVENT_WEIGHT__INIT, *events[] = { &viewed };
	Kindred__V1__Definition definition = KINDRED__V1__DEFINITION__INIT;
	Kindred__Internal__DefinitionSet definition_set = KINDRED__INTERNAL__DEFINITION_SET__INIT;
	Kindred__Internal__GenerationCommand command = KINDRED__INTERNAL__GENERATION_COMMAND__INIT;
	catalog.name = (char *)"shop";
	catalog_set.catalog = &catalog;
	send_message(FRAME_CATALOG_SET, &catalog_set.base);
	viewed.type = (char *)"Viewed";
	definition.name = (char *)"next";
	definition.catalog = (char *)"shop";
	definition.version = 1;
	definition.n_events = 1;
	definition.events = events;
	definition.exclude_seen = 1;
	definition_set.definition = &definition;
	send_message(FRAME_DEFINITION_SET, &definition_set.base);
	command.number = 1;
	command.path = model;
	send_message(FRAME_GENERATION_LOAD, &command.base);
	await(FRAME_GENERATION_LOADED);
	send_message(FRAME_GENERATION_ACTIVATE, &command.base);
	await(FRAME_GENERATION_ACTIVATED);
}

/* --- measuring --- */

static double worker_cpu_seconds(void)
{
	char path[64], line[512];
	unsigned long user, kernel;
	snprintf(path, sizeof path, "/proc/%d/stat", (int)worker);
	FILE *file = fopen(path, "re");
	must(file && fgets(line, sizeof line, file), path);
	fclose(file);
	must(sscanf(strrchr(line, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) == 2,
	     path);
	return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

struct span {
	uint64_t start_ns;
	double cpu;
};

static struct span span_start(void)
{
	return (struct span){ clock_monotonic_ns(), worker_cpu_seconds() };
}

static void span_print(struct span span, const char *what, const char *unit, uint64_t count)
{
	double seconds = (double)(clock_monotonic_ns() - span.start_ns) / 1e9;
	double cpu = worker_cpu_seconds() - span.cpu;
	printf("%-34s %9.0f %s/s   %7.2f us of worker CPU each\n", what, (double)count / seconds, unit,
	       cpu / (double)count * 1e6);
	fflush(stdout);
}

/* Keeps `depth` frames under way. */
static void run(uint64_t frames, uint32_t depth, void (*send)(uint64_t number))
{
	for (uint64_t sent = 0, done = 0; done < frames; done++) {
		while (sent < frames && sent < done + depth)
			send(sent++);
		await(FRAME_REPLY);
	}
}

static uint64_t event_number;

static void send_batch(uint64_t number)
{
	static Kindred__V1__Event events[BATCH], *list[BATCH];
	static Google__Protobuf__Timestamp times[BATCH];
	static char user_ids[BATCH][16], item_ids[BATCH][16], event_ids[BATCH][16];
	Kindred__V1__IngestEventsRequest request = KINDRED__V1__INGEST_EVENTS_REQUEST__INIT;
	(void)number;
	for (uint32_t i = 0; i < BATCH; i++, event_number++) {
		sprintf(user_ids[i], "u%08u", (uint32_t)(made_random(&random_state) % users));
		sprintf(item_ids[i], "i%08u", made_skewed(&random_state, items));
		sprintf(event_ids[i], "e%llu", (unsigned long long)event_number);
		kindred__v1__event__init(&events[i]);
		google__protobuf__timestamp__init(&times[i]);
		times[i].seconds = 1700000000 + (int64_t)event_number / 100;
		events[i].user_id = user_ids[i];
		events[i].item_id = item_ids[i];
		events[i].type = (char *)"Viewed";
		events[i].event_id = event_ids[i];
		events[i].time = &times[i];
		list[i] = &events[i];
	}
	request.catalog = (char *)"shop";
	request.events = list;
	request.n_events = BATCH;
	send_message(FRAME_CALL_INGEST, &request.base);
}

static void send_one(uint64_t number)
{
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	char user[16];
	(void)number;
	sprintf(user, "u%08u", (uint32_t)(made_random(&random_state) % users));
	request.user_id = user;
	request.definition = (char *)"next";
	request.count = RECOMMEND_COUNT;
	send_message(FRAME_CALL_RECOMMEND, &request.base);
}

static void send_many(uint64_t number)
{
	enum { MANY = 1000 };
	static char ids[MANY][16], *list[MANY];
	Kindred__V1__RecommendManyRequest request = KINDRED__V1__RECOMMEND_MANY_REQUEST__INIT;
	(void)number;
	for (uint32_t i = 0; i < MANY; i++) {
		sprintf(ids[i], "u%08u", (uint32_t)(made_random(&random_state) % users));
		list[i] = ids[i];
	}
	request.n_user_ids = MANY;
	request.user_ids = list;
	request.definition = (char *)"next";
	request.count = RECOMMEND_COUNT;
	send_message(FRAME_CALL_RECOMMEND_MANY, &request.base);
}

static uint32_t number(const char *text, struct argp_state *state)
{
	char *end;
	long value = strtol(text, &end, 10);
	if (end == text || *end || value < 1 || value > 99999999)
		argp_error(state, "'%s': 1 to 99999999 is allowed", text);
	return (uint32_t)value;
}

static error_t on_argument(int key, char *text, struct argp_state *state)
{
	uint32_t *const numbers[] = { &items, &neighbours, &users };
	const char **directory = state->input;
	switch (key) {
	case ARGP_KEY_ARG:
		if (state->arg_num == 0)
			*directory = text;
		else if (state->arg_num <= 3)
			*numbers[state->arg_num - 1] = number(text, state);
		else
			argp_error(state, "\"%s\" is one argument too many", text);
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "say in which directory");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const char *argp_program_version = "kindred-bench-worker " KINDRED_VERSION " (" KINDRED_REVISION ")";

int main(int argc, char **argv)
{
	static const char doc[] =
		"Measures what a call costs one kindred-worker, over its link, without gRPC. DIRECTORY "
		"is made, and must not exist.\v"
		"Examples:\n"
		"  kindred-bench-worker /tmp/one-worker\n"
		"  kindred-bench-worker /tmp/one-worker 100000 50 100000";
	static const struct argp argp = { NULL, on_argument, "DIRECTORY [ITEMS [NEIGHBOURS [USERS]]]", doc, NULL,
					  NULL, NULL };
	char path[PATH_MAX], model[PATH_MAX];
	const char *directory = NULL;
	argp_err_exit_status = 64; /* EX_USAGE */
	argp_parse(&argp, argc, argv, 0, NULL, &directory);
	must(mkdir(directory, 0700) == 0, directory);
	directory = realpath(directory, NULL); /* the worker works in it; lives until the end */
	must(directory != NULL, "realpath");
	snprintf(path, sizeof path, "%s/shards", directory);
	must(mkdir(path, 0700) == 0, path);
	snprintf(path, sizeof path, "%s/models", directory);
	must(mkdir(path, 0700) == 0, path);
	printf("%u items, %u neighbours, %u users with %d events each, %d shards, one worker\n", items, neighbours,
	       users, HISTORY, SHARDS);
	write_model(path, model);
	start_worker(directory);
	set_up(model);

	uint64_t batches = (uint64_t)users * HISTORY / BATCH;
	struct span span = span_start();
	run(batches, 8, send_batch);
	span_print(span, "ingest, 500 a frame, 8 under way", "events", batches * BATCH);
	run(20000, 64, send_one); /* warm-up */
	span = span_start();
	run(300000, 64, send_one);
	span_print(span, "Recommend, 64 under way", "calls", 300000);
	span = span_start();
	run(50000, 1, send_one);
	span_print(span, "Recommend, 1 under way", "calls", 50000);
	span = span_start();
	run(300, 4, send_many);
	span_print(span, "RecommendMany, 1000 a frame", "users", 300000);

	send_message(FRAME_DRAIN, NULL);
	await(FRAME_DRAINED);
	int status = 0;
	must(waitpid(worker, &status, 0) == worker && status == 0, "the worker's end");
	return 0;
}
