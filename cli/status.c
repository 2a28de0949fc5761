/* `kindred status`: the whole server at a glance. */
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "cli/text.h"
#include "common/clock.h"
#include "common/message_json.h"
#include "kindred/v1/status.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct totals {
	uint64_t users, accepted, kept, duplicates, dropped, refused, bytes;
	int64_t newest_s; /* 0: no event */
};

static struct totals totals_of(const Kindred__V1__GetStatusResponse *status)
{
	struct totals totals = { 0 };
	for (size_t i = 0; i < status->n_shards; i++) {
		const Kindred__V1__ShardStatus *shard = status->shards[i];
		totals.users += shard->users;
		totals.accepted += shard->accepted;
		totals.kept += shard->kept;
		totals.duplicates += shard->duplicates;
		totals.dropped += shard->dropped;
		totals.refused += shard->refused;
		totals.bytes += shard->bytes;
		if (shard->newest_event_time && shard->newest_event_time->seconds > totals.newest_s)
			totals.newest_s = shard->newest_event_time->seconds;
	}
	return totals;
}

static void print_types(const Kindred__V1__GetStatusResponse *status)
{
	char names[400];
	if (status->n_event_types == 0)
		return;
	printf("          types: ");
	text_write(stdout, text_names(status->event_types, status->n_event_types, names, sizeof names));
	printf("\n");
}

/*
 * Less than a gigabyte, and less than a twentieth: a twentieth of a large disk is room for long yet, and a small one may
 * never have had a gigabyte free.
 */
#define LOW_BYTES (UINT64_C(1) << 30)

static bool disk_is_low(const Kindred__V1__GetStatusResponse *status)
{
	uint64_t low = status->disk_bytes / 20 < LOW_BYTES ? status->disk_bytes / 20 : LOW_BYTES;
	return status->disk_free_bytes < low;
}

static void print_data(const Kindred__V1__GetStatusResponse *status, uint64_t shard_bytes)
{
	char sizes[2][TEXT_MAX];
	printf("data      %s, %s in %zu shard%s", status->data_directory, text_bytes(shard_bytes, sizes[0]),
	       status->n_shards, text_s(status->n_shards));
	if (status->disk_bytes)
		printf("; %s of the disk's %s are free", text_bytes(status->disk_free_bytes, sizes[0]),
		       text_bytes(status->disk_bytes, sizes[1]));
	printf("\n");
	if (disk_is_low(status))
		printf("          the disk is nearly full: when it is, no events are taken and no model is built; free "
		       "some space\n");
}

static void print_server(const Kindred__V1__GetStatusResponse *status)
{
	char elapsed[TEXT_MAX], newest[32], counts[6][TEXT_MAX];
	struct totals totals = totals_of(status);
	double up_s = status->start_time ? (double)(clock_wall_ms() / 1000 - status->start_time->seconds) : 0;
	printf("server    %s, up %s%s\n", status->version, text_elapsed(up_s, elapsed),
	       status->draining ? ", draining" : "");
	print_data(status, totals.bytes);
	if (status->active_generation)
		printf("model     generation %" PRIu64 " is served; %s event%s came since its build began\n",
		       status->active_generation, text_count(status->events_since_build, counts[0]),
		       text_s(status->events_since_build));
	else
		printf("model     none yet: kindred model build\n");
	if (status->held_back_generation)
		printf("          generation %" PRIu64 " is held back, it is worse: %s\n"
		       "          kindred model show %" PRIu64
		       "; to serve it all the same: kindred model activate %" PRIu64 "\n",
		       status->held_back_generation, status->held_back_reason, status->held_back_generation,
		       status->held_back_generation);
	printf("events    %s accepted, %s kept in the histories of %s user%s; %s duplicate%s, %s dropped, %s refused\n",
	       text_count(totals.accepted, counts[0]), text_count(totals.kept, counts[1]),
	       text_count(totals.users, counts[2]), text_s(totals.users), text_count(totals.duplicates, counts[3]),
	       text_s(totals.duplicates), text_count(totals.dropped, counts[4]), text_count(totals.refused, counts[5]));
	if (totals.newest_s) {
		time_format(totals.newest_s * 1000, newest);
		printf("          the newest is of %s\n", newest);
	}
	print_types(status);
	printf("rates     %.1f users recommended to and %.1f events taken a second, over the last ten seconds\n",
	       (double)status->recommend_rate, (double)status->ingest_rate);
	printf("calls     %u in work of at most %u; since the start %s user%s recommended to, %s event%s taken, %s "
	       "call%s answered with an error\n",
	       status->calls_in_flight, status->calls_limit, text_count(status->recommend_users, counts[0]),
	       text_s(status->recommend_users), text_count(status->ingest_events, counts[1]),
	       text_s(status->ingest_events), text_count(status->failed_calls, counts[2]),
	       text_s(status->failed_calls));
}

static const char *state_text(const Kindred__V1__WorkerStatus *worker, char *text)
{
	char elapsed[TEXT_MAX];
	if (!worker->silent_ms)
		return worker->up ? "up" : "starting";
	snprintf(text, 2 * TEXT_MAX, "no answer for %s", text_elapsed((double)worker->silent_ms / 1000, elapsed));
	return text;
}

static void print_workers(const Kindred__V1__GetStatusResponse *status)
{
	static const char *const headers[] = { "worker",     "pid",     "state",  "shards",
					       "generation", "in work", "memory", "restarts" };
	static const enum table_column kinds[] = { TABLE_RIGHT, TABLE_RIGHT, TABLE_LEFT,  TABLE_LEFT,
						   TABLE_RIGHT, TABLE_RIGHT, TABLE_RIGHT, TABLE_RIGHT };
	char text[2 * TEXT_MAX];
	struct table *table = table_new(8, headers, kinds);
	for (size_t i = 0; i < status->n_workers; i++) {
		const Kindred__V1__WorkerStatus *worker = status->workers[i];
		table_format(table, "%u", worker->number);
		table_format(table, "%d", worker->pid);
		table_cell(table, state_text(worker, text));
		table_format(table, "%u-%u", worker->first_shard, worker->first_shard + worker->shard_count - 1);
		table_format(table, "%" PRIu64, worker->generation);
		table_format(table, "%u", worker->calls_in_flight);
		table_cell(table, text_bytes(worker->resident_bytes, text));
		table_format(table, "%u", worker->restarts);
	}
	printf("\n");
	table_write(table, stdout, terminal_width(stdout));
	table_free(table);
}

/* Beside the server. */
static void print_front_ends(const Kindred__V1__GetStatusResponse *status)
{
	static const char *const headers[] = { "front-end", "pid", "state", "in work", "restarts" };
	static const enum table_column kinds[] = { TABLE_RIGHT, TABLE_RIGHT, TABLE_LEFT, TABLE_RIGHT, TABLE_RIGHT };
	struct table *table;
	if (status->n_front_ends == 0)
		return;
	table = table_new(5, headers, kinds);
	for (size_t i = 0; i < status->n_front_ends; i++) {
		const Kindred__V1__FrontEndStatus *front_end = status->front_ends[i];
		table_format(table, "%u", front_end->number);
		table_format(table, "%d", front_end->pid);
		table_cell(table, front_end->up ? "up" : "starting");
		table_format(table, "%u", front_end->calls_in_flight);
		table_format(table, "%u", front_end->restarts);
	}
	printf("\n");
	table_write(table, stdout, terminal_width(stdout));
	table_free(table);
}

static void print_shards(const Kindred__V1__GetStatusResponse *status)
{
	static const char *const headers[] = { "shard",   "users",   "accepted", "kept",        "duplicates",
					       "dropped", "refused", "size",     "newest event" };
	static const enum table_column kinds[] = { TABLE_RIGHT, TABLE_RIGHT, TABLE_RIGHT, TABLE_RIGHT, TABLE_RIGHT,
						   TABLE_RIGHT, TABLE_RIGHT, TABLE_RIGHT, TABLE_LEFT };
	char text[TEXT_MAX];
	struct table *table = table_new(9, headers, kinds);
	for (size_t i = 0; i < status->n_shards; i++) {
		const Kindred__V1__ShardStatus *shard = status->shards[i];
		const uint64_t counts[] = { shard->users,      shard->accepted, shard->kept,
					    shard->duplicates, shard->dropped,  shard->refused };
		table_format(table, "%u", shard->number);
		for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++)
			table_cell(table, text_count(counts[k], text));
		table_cell(table, text_bytes(shard->bytes, text));
		strcpy(text, "-");
		if (shard->newest_event_time)
			time_format(shard->newest_event_time->seconds * 1000, text);
		table_cell(table, text);
	}
	printf("\n");
	table_write(table, stdout, terminal_width(stdout));
	table_free(table);
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
	(void)value;
	if (key != 'S')
		return ARGP_ERR_UNKNOWN;
	*(bool *)state->input = true;
	return 0;
}

int cmd_status(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "shards", 'S', NULL, 0, "Also a line for each shard", 1 },
		{ 0 },
	};
	static const struct cli_spec spec = {
		.arguments = "",
		.prose = "Shows how the server is. Counts are exact as of now, but for the shards of a worker that "
			 "does not answer within a second: theirs are what it said last."
			 "\v"
			 "Examples:\n"
			 "  kindred status\n"
			 "  kindred status --shards\n"
			 "  kindred status --json\n",
		.options = options,
		.parse = parse_option,
	};
	Kindred__V1__GetStatusRequest request = KINDRED__V1__GET_STATUS_REQUEST__INIT;
	Kindred__V1__GetStatusResponse *response = NULL;
	struct error err;
	bool shards = false;
	int code = 0;
	cli_parse(cli, &spec, &shards, argc, argv, NULL);
	if (cli_call(cli, "/kindred.v1.StatusService/GetStatus", &request,
		     &kindred__v1__get_status_response__descriptor, &response, &err) != 0)
		return cli_fail(&err);
	if (cli->json) {
		code = message_print(&response->base);
	} else {
		print_server(response);
		print_front_ends(response);
		print_workers(response);
		if (shards)
			print_shards(response);
	}
	kindred__v1__get_status_response__free_unpacked(response, NULL);
	return code;
}
