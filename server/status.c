#include "server/status.h"

#include "common/log.h"
#include "kindred/internal/link.pb-c.h"
#include "server/round.h"
#include "server/server.h"
#include "server/stamp.h"
#include "version.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

/* --- what workers say --- */

void status_update(struct worker *worker, const uint8_t *data, size_t bytes)
{
	struct server *server = worker->server;
	Kindred__Internal__WorkerStats *stats = kindred__internal__worker_stats__unpack(NULL, bytes, data);

	if (!stats) {
		log_warning("status: worker %u sent statistics that cannot be read", worker->number);
		return;
	}
	worker->resident_bytes = stats->resident_bytes;
	for (size_t i = 0; i < stats->n_shards; i++) {
		const Kindred__Internal__ShardStats *from = stats->shards[i];

		if (from->number < worker->first_shard || from->number >= worker->first_shard + worker->shard_count)
			continue;
		server->shards[from->number] = (struct shard_status){
			.users = from->users,
			.accepted = from->accepted,
			.kept = from->kept,
			.duplicates = from->duplicates,
			.dropped = from->dropped,
			.refused = from->refused,
			.bytes = from->bytes,
			.newest_event_ms = from->newest_event_ms,
		};
	}
	for (size_t i = 0; i < stats->n_event_types; i++) {
		const char *type = stats->event_types[i];
		struct event_types *known = &server->event_types;

		if (event_types_find(known, type, strlen(type)) == EVENT_TYPE_NONE)
			event_types_set(known, known->count, type, strlen(type)); /* beyond its bound: left out */
	}
	kindred__internal__worker_stats__free_unpacked(stats, NULL);
}

uint64_t status_silent_ms(const struct worker *worker)
{
	return round_silent_ms(worker->server, worker->owing, worker->owing_ms);
}

void status_ask_all(struct server *server, void (*done)(void *context), void *context)
{
	if (round_ask(server, FRAME_STATS_WANTED, done, context) && done)
		done(context); /* with what is known: at most a second old */
}

/* --- sums --- */

uint64_t status_accepted(const struct server *server)
{
	uint64_t accepted = 0;

	for (uint32_t i = 0; i < server->dir.shards; i++)
		accepted += server->shards[i].accepted;
	return accepted;
}

uint64_t status_events_unseen(const struct server *server)
{
	uint64_t accepted = status_accepted(server), seen = server->active ? server->active->accepted : 0;

	if (kept_held(&server->kept) && server->kept.held_accepted > seen)
		seen = server->kept.held_accepted;
	return accepted > seen ? accepted - seen : 0;
}

uint64_t status_events_since(const struct server *server)
{
	uint64_t accepted = status_accepted(server), before = 0;

	if (server->active)
		before = server->active->accepted;
	return accepted > before ? accepted - before : 0;
}

/* Of all front-ends. */
static uint32_t calls_in_flight(const struct server *server)
{
	return (server->door ? door_calls(server->door) : 0) + front_ends_calls(&server->front_ends);
}

static uint64_t calls_limit(const struct server *server)
{
	return (uint64_t)server->config.calls_limit * (server->front_ends.count + 1);
}

/* No disk is waited for: of a local file system the kernel has these in memory. */
static void look_at_disk(struct server *server)
{
	struct statvfs disk = { 0 };

	if (statvfs(server->dir.path, &disk))
		log_debug("status: %s: how much is free there is not known: %s", server->dir.path, strerror(errno));
	server->stats.disk_free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
	server->stats.disk_bytes = (uint64_t)disk.f_blocks * disk.f_frsize;
}

void status_gauges(struct server *server)
{
	struct stats *stats = &server->stats;

	look_at_disk(server);
	stats->calls_in_flight = calls_in_flight(server);
	stats->calls_limit = calls_limit(server);
	stats->front_ends = server->front_ends.count + 1;
	stats->front_ends_up = front_ends_up(&server->front_ends) + (server->state == SERVER_SERVING);
	stats->workers = server->supervisor.count;
	stats->workers_up = supervisor_up(&server->supervisor);
	stats->active_generation = server_active(server);
	stats->held_back_generation = kept_held(&server->kept);
	stats->build_running = builds_running(&server->builds);
	stats->events_since_build = status_events_since(server);
	stats->users = stats->events_accepted = stats->events_kept = stats->events_duplicate = 0;
	stats->events_dropped = stats->events_refused = stats->shard_bytes = stats->worker_resident_bytes = 0;
	for (uint32_t i = 0; i < server->dir.shards; i++) {
		const struct shard_status *shard = &server->shards[i];

		stats->users += shard->users;
		stats->events_accepted += shard->accepted;
		stats->events_kept += shard->kept;
		stats->events_duplicate += shard->duplicates;
		stats->events_dropped += shard->dropped;
		stats->events_refused += shard->refused;
		stats->shard_bytes += shard->bytes;
	}
	for (uint32_t i = 0; i < server->supervisor.count; i++)
		stats->worker_resident_bytes += server->supervisor.workers[i].resident_bytes;
}

uint32_t status_worker_calls(const struct worker *worker)
{
	return link_asked(&worker->link) + front_ends_asked(&worker->server->front_ends, worker->number);
}

/* --- the message --- */

static Kindred__V1__WorkerStatus *worker_message(const struct worker *worker)
{
	Kindred__V1__WorkerStatus *message = malloc(sizeof *message);

	if (!message)
		return NULL;
	kindred__v1__worker_status__init(message);
	message->number = worker->number;
	message->pid = worker->pid;
	message->up = worker->state == WORKER_UP;
	message->restarts = worker->restarts;
	message->first_shard = worker->first_shard;
	message->shard_count = worker->shard_count;
	message->generation = worker->generation;
	message->calls_in_flight = status_worker_calls(worker);
	message->resident_bytes = worker->pid ? worker->resident_bytes : 0;
	message->silent_ms = status_silent_ms(worker);
	return message;
}

static Kindred__V1__FrontEndStatus *front_end_message(const struct front_end *front_end)
{
	Kindred__V1__FrontEndStatus *message = malloc(sizeof *message);

	if (!message)
		return NULL;
	kindred__v1__front_end_status__init(message);
	message->number = front_end->number;
	message->pid = front_end->pid;
	message->up = front_end->state == FRONT_END_UP;
	message->restarts = front_end->restarts;
	message->calls_in_flight = front_end->calls;
	return message;
}

static Kindred__V1__ShardStatus *shard_message(const struct shard_status *shard, uint32_t number)
{
	Kindred__V1__ShardStatus *message = malloc(sizeof *message);

	if (!message)
		return NULL;
	kindred__v1__shard_status__init(message);
	message->number = number;
	message->users = shard->users;
	message->accepted = shard->accepted;
	message->kept = shard->kept;
	message->duplicates = shard->duplicates;
	message->dropped = shard->dropped;
	message->refused = shard->refused;
	message->bytes = shard->bytes;
	if (shard->newest_event_ms != INT64_MIN)
		message->newest_event_time = stamp_new(shard->newest_event_ms);
	return message;
}

static bool fill_parts(const struct server *server, Kindred__V1__GetStatusResponse *message)
{
	message->workers = calloc(server->supervisor.count, sizeof *message->workers);
	message->shards = calloc(server->dir.shards, sizeof *message->shards);
	message->front_ends = calloc(server->front_ends.count + 1, sizeof *message->front_ends);
	if (!message->workers || !message->shards || !message->front_ends)
		return false;
	for (uint32_t i = 0; i < server->front_ends.count; i++) {
		message->front_ends[i] = front_end_message(&server->front_ends.list[i]);
		if (!message->front_ends[i])
			return false;
		message->n_front_ends++;
	}
	for (uint32_t i = 0; i < server->supervisor.count; i++) {
		message->workers[i] = worker_message(&server->supervisor.workers[i]);
		if (!message->workers[i])
			return false;
		message->n_workers++;
	}
	for (uint32_t i = 0; i < server->dir.shards; i++) {
		message->shards[i] = shard_message(&server->shards[i], i);
		if (!message->shards[i])
			return false;
		message->n_shards++;
	}
	return true;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool fill_types(const struct server *server, Kindred__V1__GetStatusResponse *message)
{
	const struct event_types *types = &server->event_types;

	message->event_types = calloc(types->count + 1, sizeof *message->event_types);
	for (uint32_t i = 0; message->event_types && i < types->count; i++) {
		message->event_types[i] = strdup(types->names[i]);
		if (!message->event_types[i])
			return false;
		message->n_event_types++;
	}
	if (!message->event_types)
		return false;
	qsort(message->event_types, message->n_event_types, sizeof *message->event_types, by_bytes);
	return true;
}

Kindred__V1__GetStatusResponse *status_message(struct server *server)
{
	Kindred__V1__GetStatusResponse *message = malloc(sizeof *message);

	if (!message)
		return NULL;
	kindred__v1__get_status_response__init(message);
	message->version = strdup(KINDRED_VERSION " (" KINDRED_REVISION ")");
	message->start_time = stamp_new(server->start_ms);
	message->data_directory = strdup(server->dir.path);
	if (kept_held(&server->kept))
		message->held_back_reason = strdup(server->kept.held_why);
	if (!message->version || !message->data_directory || !message->held_back_reason ||
	    !fill_parts(server, message) || !fill_types(server, message)) {
		kindred__v1__get_status_response__free_unpacked(message, NULL);
		return NULL;
	}
	look_at_disk(server);
	message->disk_free_bytes = server->stats.disk_free_bytes;
	message->disk_bytes = server->stats.disk_bytes;
	message->active_generation = server_active(server);
	message->held_back_generation = kept_held(&server->kept);
	message->draining = server->state >= SERVER_DRAINING;
	message->calls_in_flight = calls_in_flight(server);
	message->calls_limit = (uint32_t)calls_limit(server);
	message->recommend_calls = server->stats.recommend_calls;
	message->recommend_users = server->stats.recommend_users;
	message->ingest_events = server->stats.ingest_events;
	message->failed_calls = server->stats.failed_calls;
	message->recommend_rate = (float)stats_recommend_rate(&server->rates);
	message->ingest_rate = (float)stats_ingest_rate(&server->rates);
	message->events_since_build = status_events_since(server);
	return message;
}

static void answer(void *context)
{
	struct call *call = context;
	Kindred__V1__GetStatusResponse *message = status_message(call->server);
	struct buffer packed = { 0 };

	if (message && !buffer_pack(&packed, &message->base))
		call_reply(call, packed.data, packed.bytes);
	else
		call_fail(call, E_EXHAUSTED, "out of memory");
	buffer_fini(&packed);
	if (message)
		kindred__v1__get_status_response__free_unpacked(message, NULL);
}

void status_get(struct call *call, const uint8_t *data, size_t bytes)
{
	(void)data; /* an empty message */
	(void)bytes;
	status_ask_all(call->server, answer, call);
}
