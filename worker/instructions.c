#include "worker/instructions.h"
#include "common/clock.h"
#include "common/datadir.h"
#include "common/log.h"
#include "kindred/internal/link.pb-c.h"
#include "worker/stats.h"
#include "worker/worker.h"
#include "worker/write_call.h"

#include <stdio.h>
#include <unistd.h>

#define STATS_EVERY_MS 1000

/* Into the worker's arena (allocator NULL: malloc). NULL: unreadable, and the worker has ended. */
static void *unpack(struct worker *worker, const ProtobufCMessageDescriptor *type, ProtobufCAllocator *allocator,
		    const uint8_t *payload, size_t bytes)
{
	void *message = protobuf_c_message_unpack(type, allocator, bytes, payload);
	struct error err;
	if (!message) {
		error_set(&err, E_INTERNAL, "link: %s of %zu bytes cannot be read", type->short_name, bytes);
		worker_fail(worker, &err);
	}
	return message;
}

static void *unpack_here(struct worker *worker, const ProtobufCMessageDescriptor *type, const uint8_t *payload,
			 size_t bytes)
{
	arena_reset(&worker->arena);
	return unpack(worker, type, &worker->arena.protobuf, payload, bytes);
}

/* --- setup --- */

static void on_writes_done(void *context, const struct write_call *call)
{
	write_call_done(context, call);
}

static void on_writes_batch(void *context)
{
	struct worker *worker = context;
	worker_settle(worker);
	worker_flush(worker);
}

static const struct writer_handler writer_handler = { .done = on_writes_done, .batch = on_writes_batch };

static void on_stats_timer(uv_timer_t *timer)
{
	struct worker *worker = timer->data;
	struct error err;
	stats_report(worker);
	shards_release(&worker->shards);
	uplink_flush(&worker->link);
	front_ends_try_again(&worker->front_ends);
	/* counting them has tried to read each */
	if (shards_check(&worker->shards, &err))
		worker_fail(worker, &err);
}

static int check_setup(const Kindred__Internal__Setup *setup, struct error *err)
{
	if (setup->link_version != LINK_VERSION)
		return error_set(err, E_PRECONDITION,
				 "the server speaks link version %u, this worker %u; install both from one build",
				 setup->link_version, LINK_VERSION);
	if (setup->history_cap < 1 || setup->history_cap > HISTORY_CAP_MAX || setup->durability > SHARD_NOSYNC)
		return error_set(err, E_INVALID, "setup: history_cap %u, durability %u", setup->history_cap,
				 setup->durability);
	return 0;
}

/* Errors of what is done later go to clients, and name no directory; these go to the log. */
static int open_shards(struct worker *worker, const Kindred__Internal__Setup *setup,
		       const struct shard_options *options, struct error *err)
{
	struct datadir dir = { .lock_fd = -1 };
	snprintf(dir.path, sizeof dir.path, "%s", setup->data_directory);
	int code = datadir_enter(&dir, err);
	if (code)
		return code;
	code = shards_open(&worker->shards, &dir, setup->shard_total, setup->first_shard, setup->shard_count, options,
			   err);
	return code ? error_prefix(err, "%s", dir.path) : 0;
}

static int set_up(struct worker *worker, const Kindred__Internal__Setup *setup, struct error *err)
{
	int code = check_setup(setup, err);
	if (code)
		return code;
	struct shard_options options = { .map_bytes = setup->shard_map_bytes,
					 .durability = (enum shard_durability)setup->durability };
	struct history_rules rules = { .cap = setup->history_cap,
				       .retention_ms = (int64_t)setup->retention_days * DAY_MS };
	code = open_shards(worker, setup, &options, err);
	if (!code)
		code = recommender_init(&worker->recommender, err);
	if (!code)
		code = writer_start(&worker->writer, &worker->loop, &worker->shards, &rules, &worker->turns,
				    &writer_handler, worker, err);
	if (!code && setup->front_ends)
		code = front_ends_open(&worker->front_ends, worker, err);
	return code;
}

static void say_ready(struct worker *worker)
{
	Kindred__Internal__Ready ready = KINDRED__INTERNAL__READY__INIT;
	uint8_t packed[16];
	ready.pid = getpid();
	size_t bytes = kindred__internal__ready__pack(&ready, packed);
	uplink_send(&worker->link, FRAME_READY, 0, NULL, packed, bytes);
	stats_report(worker);
	worker->stats_timer.data = worker;
	uv_timer_start(&worker->stats_timer, on_stats_timer, STATS_EVERY_MS, STATS_EVERY_MS);
}

void on_setup(struct worker *worker, const uint8_t *payload, size_t bytes)
{
	struct error err;
	Kindred__Internal__Setup *setup = unpack_here(worker, &kindred__internal__setup__descriptor, payload, bytes);
	if (!setup)
		return;
	char name[32];
	snprintf(name, sizeof name, "worker/%u", setup->worker);
	log_init(name, log_level_now());
	if (set_up(worker, setup, &err)) {
		worker_fail(worker, &err);
		return;
	}
	worker_move(worker, WORKER_SERVING);
	log_info("serving shards %u to %u of %u", worker->shards.first, worker->shards.first + worker->shards.count - 1,
		 worker->shards.total);
	say_ready(worker);
}

/* --- catalogs and definitions --- */

void on_catalog_set(struct worker *worker, const uint8_t *payload, size_t bytes)
{
	struct error err;
	Kindred__Internal__CatalogSet *set =
		unpack_here(worker, &kindred__internal__catalog_set__descriptor, payload, bytes);
	if (set && set->catalog && rules_catalog_set(&worker->rules, set->catalog, set->first_version, &err))
		worker_fail(worker, &err);
}

void on_catalog_drop(struct worker *worker, const uint8_t *payload, size_t bytes)
{
	Kindred__Internal__Drop *drop = unpack_here(worker, &kindred__internal__drop__descriptor, payload, bytes);
	if (!drop)
		return;
	rules_catalog_drop(&worker->rules, drop->name);
	generations_catalog_drop(&worker->generations, drop->name);
}

void on_definition_set(struct worker *worker, const uint8_t *payload, size_t bytes)
{
	struct error err;
	Kindred__Internal__DefinitionSet *set =
		unpack(worker, &kindred__internal__definition_set__descriptor, NULL, payload, bytes);
	if (!set)
		return;
	Kindred__V1__Definition *definition = set->definition;
	set->definition = NULL;
	kindred__internal__definition_set__free_unpacked(set, NULL);
	if (definition && rules_definition_set(&worker->rules, definition, &err))
		worker_fail(worker, &err);
}

void on_definition_drop(struct worker *worker, const uint8_t *payload, size_t bytes)
{
	Kindred__Internal__Drop *drop = unpack_here(worker, &kindred__internal__drop__descriptor, payload, bytes);
	if (drop)
		rules_definition_drop(&worker->rules, drop->name);
}

void on_item_set(struct worker *worker, const uint8_t *payload, size_t bytes)
{
	struct error err;
	Kindred__Internal__ItemSet *set = unpack_here(worker, &kindred__internal__item_set__descriptor, payload, bytes);
	if (!set)
		return;
	const struct catalog *catalog = rules_catalog(&worker->rules, set->catalog, strlen(set->catalog));
	/* without the change, items that are hidden would be shown: rather be started anew */
	if (catalog && generations_item(&worker->generations, catalog, set, &err))
		worker_fail(worker, &err);
}

/* --- generations --- */

void on_generation_load(struct worker *worker, uint64_t call, const uint8_t *payload, size_t bytes)
{
	struct error err;
	Kindred__Internal__GenerationCommand *command =
		unpack_here(worker, &kindred__internal__generation_command__descriptor, payload, bytes);
	if (command && generations_load(&worker->generations, command->number, command->path, call, &err))
		uplink_send(&worker->link, FRAME_GENERATION_LOADED, call, &err, NULL, 0);
}

void on_generation_activate(struct worker *worker, uint64_t call, const uint8_t *payload, size_t bytes)
{
	struct error err = { 0 };
	Kindred__Internal__GenerationCommand *command =
		unpack_here(worker, &kindred__internal__generation_command__descriptor, payload, bytes);
	if (!command)
		return;
	if (!generations_activate(&worker->generations, command->number, &err)) {
		rules_forget_recipes(&worker->rules);
		log_info("generation %llu answers", (unsigned long long)command->number);
	}
	uplink_send(&worker->link, FRAME_GENERATION_ACTIVATED, call, &err, NULL, 0);
}

void on_generation_drop(struct worker *worker, const uint8_t *payload, size_t bytes)
{
	struct error err;
	Kindred__Internal__GenerationCommand *command =
		unpack_here(worker, &kindred__internal__generation_command__descriptor, payload, bytes);
	if (!command)
		return;
	rules_forget_recipes(&worker->rules); /* one of them may hold it */
	if (generations_drop(&worker->generations, command->number, &err))
		log_warning("%s", err.text);
}
