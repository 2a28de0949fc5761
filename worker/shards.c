#include "worker/shards.h"
#include "common/ids.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int open_one(struct shards *shards, uint32_t index, const struct datadir *dir,
		    const struct shard_options *options, struct error *err)
{
	uint32_t number = shards->first + index;
	char path[DATADIR_PATH_MAX];
	int code = shard_open(&shards->shard[index], datadir_shard(dir, number, path), options, err);
	if (!code)
		code = shard_reader_open(shards->shard[index], &shards->reader[index], err);
	return code;
}

int shards_open(struct shards *shards, const struct datadir *dir, uint32_t total, uint32_t first, uint32_t count,
		const struct shard_options *options, struct error *err)
{
	memset(shards, 0, sizeof *shards);
	if (total < 1 || total > SHARDS_MAX || count < 1 || first >= total || count > total - first)
		return error_set(err, E_INVALID, "shards %u to %u of %u: not a run of shards", first, first + count - 1,
				 total);
	shards->total = total;
	shards->first = first;
	shards->shard = calloc(count, sizeof *shards->shard);
	shards->reader = calloc(count, sizeof *shards->reader);
	shards->begun = calloc(count, sizeof *shards->begun);
	shards->reading = calloc(count, sizeof *shards->reading);
	int code = 0;
	if (!shards->shard || !shards->reader || !shards->begun || !shards->reading)
		code = error_set(err, E_EXHAUSTED, "no memory for %u shards", count);
	for (uint32_t i = 0; i < count && !code; i++) {
		shards->count = i + 1;
		code = open_one(shards, i, dir, options, err);
	}
	if (code)
		shards_close(shards);
	return code;
}

void shards_close(struct shards *shards)
{
	if (shards->begun)
		shards_release(shards);
	for (uint32_t i = 0; i < shards->count; i++) {
		if (shards->reader[i])
			shard_reader_close(shards->reader[i]);
		if (shards->shard[i])
			shard_close(shards->shard[i]);
	}
	free(shards->shard);
	free(shards->reader);
	free(shards->begun);
	free(shards->reading);
	memset(shards, 0, sizeof *shards);
}

int shards_of_user(const struct shards *shards, const char *user, size_t bytes, uint32_t *index, struct error *err)
{
	uint32_t shard = user_shard(user, bytes, shards->total);
	*index = shard - shards->first;
	if (shard >= shards->first && *index < shards->count)
		return 0;
	return error_set(err, E_INTERNAL, "user_id \"%.*s\" belongs to shard %u; this worker has shards %u to %u",
			 (int)bytes, user, shard, shards->first, shards->first + shards->count - 1);
}

struct shard_reader *shards_reader(struct shards *shards, uint32_t index, struct error *err)
{
	struct shard_reader *reader = shards->reader[index];
	if (shards->reading[index])
		return reader;
	if (shard_read_begin(reader, err)) {
		error_prefix(err, "shard %u", shards->first + index);
		return NULL;
	}
	shards->reading[index] = true;
	shards->begun[shards->begun_count++] = index;
	return reader;
}

void shards_release(struct shards *shards)
{
	for (uint32_t i = 0; i < shards->begun_count; i++) {
		uint32_t index = shards->begun[i];
		shard_read_end(shards->reader[index]);
		shards->reading[index] = false;
	}
	shards->begun_count = 0;
}

int shards_check(const struct shards *shards, struct error *err)
{
	for (uint32_t i = 0; i < shards->count; i++)
		if (shard_broken(shards->shard[i]))
			return error_set(err, E_UNAVAILABLE,
					 "shard %u: a write to the disk failed, and nothing can be read until it is "
					 "opened anew; "
					 "ending, to be started again",
					 shards->first + i);
	return 0;
}
