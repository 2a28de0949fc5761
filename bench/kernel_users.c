#include "bench/kernel_users.h"

#include "bench/made.h"
#include "common/datadir.h"
#include "common/history.h"
#include "common/shard.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPES_MAX 16
#define PORTION 1000 /* users a read transaction */

/* What is being read, and the weights of the relation's event types. */
struct reading {
	struct kernel_users *users;
	uint64_t event_count, event_room, user_room;
	struct {
		char name[EVENT_TYPE_MAX + 1];
		uint32_t weight; /* Q12 */
	} types[TYPES_MAX];
	uint32_t type_count;
	uint16_t numbers[TYPES_MAX]; /* of the types, in the shard that is being read */
	uint64_t left; /* users still wanted of this shard */
};

static int no_memory(struct error *err)
{
	return error_set(err, E_EXHAUSTED, "no memory for the users' histories");
}

/* The name in a key, its %XX undone; returns what follows it. */
static const char *read_name(const char *key, char *name)
{
	size_t bytes = 0;
	for (; *key && *key != '=' && bytes < EVENT_TYPE_MAX; bytes++) {
		unsigned code;
		if (*key == '%' && sscanf(key + 1, "%2x", &code) == 1) {
			name[bytes] = (char)code;
			key += 3;
		} else {
			name[bytes] = *key++;
		}
	}
	name[bytes] = '\0';
	return key;
}

/*
 * "Purchased=5;Viewed=1|window=0" (common/relation.h) into types, the largest weight being SCORE_ONE as
 * in worker/recipe.c.
 */
static void read_types(struct reading *reading, const char *key)
{
	double weights[TYPES_MAX], largest = 0;
	while (*key && *key != '|' && reading->type_count < TYPES_MAX) {
		char *end;
		key = read_name(key, reading->types[reading->type_count].name);
		weights[reading->type_count] = strtod(key + (*key == '='), &end);
		if (weights[reading->type_count] > largest)
			largest = weights[reading->type_count];
		reading->type_count++;
		key = end + (*end == ';');
	}
	for (uint32_t i = 0; i < reading->type_count; i++) {
		uint32_t scaled = (uint32_t)(weights[i] / largest * SCORE_ONE + 0.5);
		reading->types[i].weight = scaled ? scaled : 1;
	}
}

static uint32_t weight_of(const struct reading *reading, uint16_t type)
{
	for (uint32_t i = 0; i < reading->type_count; i++)
		if (reading->numbers[i] == type)
			return reading->types[i].weight;
	return 0;
}

static bool make_room(struct reading *reading, uint64_t events)
{
	struct kernel_users *users = reading->users;
	if (users->count + 2 > reading->user_room) {
		uint64_t room = reading->user_room * 2 + 1024;
		uint64_t *offsets = realloc(users->offsets, room * sizeof *offsets);
		if (!offsets)
			return false;
		offsets[0] = 0;
		users->offsets = offsets;
		reading->user_room = room;
	}
	if (reading->event_count + events > reading->event_room) {
		uint64_t room = reading->event_room * 2 + events + 65536;
		struct profile_event *all = realloc(users->events, room * sizeof *all);
		if (!all)
			return false;
		users->events = all;
		reading->event_room = room;
	}
	return true;
}

static int take_user(void *context, const char *user, size_t user_bytes, const struct history *history)
{
	struct reading *reading = context;
	struct kernel_users *users = reading->users;
	uint32_t most = 4 * users->relation->serving.profile_items, taken = 0; /* profile_make looks at no more */
	(void)user;
	(void)user_bytes;
	if (!make_room(reading, most))
		return E_EXHAUSTED;
	for (uint32_t i = history->count; i > 0 && taken < most; i--) {
		struct history_entry entry = history_at(history, i - 1);
		uint32_t weight = weight_of(reading, entry.type);
		uint32_t at = weight ? model_row(users->catalog, entry.item) : MODEL_NO_ROW;
		if (at == MODEL_NO_ROW)
			continue;
		users->events[reading->event_count + taken++] = (struct profile_event){
			.row = at, .weight = profile_event_weight(weight, entry.weight), .time_ms = entry.time_ms
		};
	}
	if (taken) {
		reading->event_count += taken;
		users->offsets[++users->count] = reading->event_count;
		reading->left--;
	}
	return 0;
}

static int read_users(struct reading *reading, struct shard_reader *reader, struct error *err)
{
	struct shard_cursor cursor = { .bytes = 0 };
	bool done = false;
	int code = 0;
	while (code == 0 && !done && reading->left > 0) {
		code = shard_read_begin(reader, err);
		if (code)
			return code;
		for (uint32_t i = 0; i < reading->type_count; i++)
			reading->numbers[i] =
				shard_read_type(reader, reading->types[i].name, strlen(reading->types[i].name));
		code = shard_read_users(reader, &cursor, reading->left < PORTION ? reading->left : PORTION, take_user,
					reading, &done, err);
		if (code == E_EXHAUSTED)
			code = no_memory(err);
		shard_read_end(reader);
	}
	return code;
}

static int read_shard(struct reading *reading, const struct datadir *dir, uint32_t number, struct error *err)
{
	static const struct shard_options options = { .read_only = true };
	char path[DATADIR_PATH_MAX];
	struct shard *shard = NULL;
	struct shard_reader *reader = NULL;
	int code = shard_open(&shard, datadir_shard(dir, number, path), &options, err);
	if (code == E_NOT_FOUND)
		return 0; /* nothing was ever written to it */
	if (code)
		return code;
	code = shard_reader_open(shard, &reader, err);
	if (code == 0)
		code = read_users(reading, reader, err);
	shard_reader_close(reader);
	shard_close(shard);
	return code;
}

static int open_model(struct kernel_users *users, const struct kernel_wanted *wanted, const struct datadir *dir,
		      struct error *err)
{
	char models[DATADIR_PATH_MAX], path[DATADIR_PATH_MAX + 32];
	uint64_t number = wanted->generation;
	int code = number ? 0 : datadir_active_read(dir, &number, err);
	if (code)
		return code;
	if (number == 0)
		return error_set(err, E_NOT_FOUND, "%s has no active generation; build one, or say --generation",
				 wanted->data);
	model_path(path, sizeof path, datadir_models(dir, models), number);
	code = model_open(&users->model, path, true, err);
	if (code)
		return code;
	for (size_t i = 0; i < users->model->catalog_count && !users->catalog; i++)
		if (!wanted->catalog || strcmp(users->model->catalogs[i].name, wanted->catalog) == 0)
			users->catalog = &users->model->catalogs[i];
	if (!users->catalog || users->catalog->relation_count == 0)
		return error_set(err, E_NOT_FOUND, "%s: no catalog %s with a relation", path,
				 wanted->catalog ? wanted->catalog : "at all");
	users->relation = &users->catalog->relations[0];
	return 0;
}

int kernel_users_read(struct kernel_users *users, const struct kernel_wanted *wanted, struct error *err)
{
	struct datadir dir;
	struct reading reading = { .users = users };
	memset(users, 0, sizeof *users);
	int code = datadir_open(&dir, wanted->data, false, err);
	if (code)
		return code;
	code = open_model(users, wanted, &dir, err);
	if (code == 0)
		read_types(&reading, users->relation->key);
	for (uint32_t shard = 0; code == 0 && shard < dir.shards; shard++) {
		reading.left = (wanted->users + dir.shards - 1) / dir.shards;
		code = read_shard(&reading, &dir, shard, err);
	}
	if (code == 0 && users->count == 0)
		code = error_set(err, E_PRECONDITION, "%s: no user has an event of %s", wanted->data,
				 users->relation->key);
	datadir_close(&dir);
	return code;
}

int kernel_users_make(struct kernel_users *users, struct error *err)
{
	enum { ITEMS = 20000, NEIGHBOURS = 50, USERS = 1000, HISTORY = 30 };
	static struct model_relation relation;
	static const struct model_catalog catalog = { .name = (char *)"made-up", .items = ITEMS };
	uint64_t state = 88172645463325252u;
	*users = (struct kernel_users){ .catalog = &catalog, .relation = &relation, .count = USERS };
	users->offsets = malloc((USERS + 1) * sizeof *users->offsets);
	users->events = malloc(USERS * HISTORY * sizeof *users->events);
	if (!users->offsets || !users->events || made_relation(&relation, "", ITEMS, NEIGHBOURS, &state))
		return no_memory(err);
	for (uint64_t user = 0; user <= USERS; user++)
		users->offsets[user] = user * HISTORY;
	for (uint64_t i = 0; i < USERS * HISTORY; i++)
		users->events[i] = (struct profile_event){ .row = made_skewed(&state, ITEMS),
							   .weight = SCORE_ONE,
							   .time_ms = 1000000 - (int64_t)(i % HISTORY) };
	return 0;
}

void kernel_users_free(struct kernel_users *users)
{
	if (users->model)
		model_close(users->model);
	free(users->offsets);
	free(users->events);
	memset(users, 0, sizeof *users);
}
