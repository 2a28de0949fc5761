/*
 * The worker's run of shards: opened once, each with a reader for the loop thread. The writer thread uses
 * shards_at() alone.
 *
 * Reading: shards_reader() begins a read transaction at its first use after shards_release(), so that a
 * batch of frames shares one and each sees what was acked before it was sent. shards_release() at the end
 * of every batch: a transaction left open would keep pages from being used again.
 */
#ifndef KINDRED_WORKER_SHARDS_H
#define KINDRED_WORKER_SHARDS_H

#include "common/datadir.h"
#include "common/error.h"
#include "common/shard.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shards {
	uint32_t total; /* of the data directory */
	uint32_t first, count; /* of this worker */
	struct shard **shard; /* [count] */
	struct shard_reader **reader; /* [count] */
	uint32_t *begun; /* indexes of the readers in a transaction */
	uint32_t begun_count;
	bool *reading; /* [count] */
};

/*
 * Opens the directory's shards first..first+count-1. On an error everything is closed again, and the
 * text says which shard.
 */
int shards_open(struct shards *shards, const struct datadir *dir, uint32_t total, uint32_t first, uint32_t count,
		const struct shard_options *options, struct error *err);
void shards_close(struct shards *shards);

/* The index (0..count-1) of a user's shard. E_INTERNAL: the user belongs to another worker. */
int shards_of_user(const struct shards *shards, const char *user, size_t bytes, uint32_t *index, struct error *err);

/* Of index; in a read transaction. NULL: err says why. */
struct shard_reader *shards_reader(struct shards *shards, uint32_t index, struct error *err);
void shards_release(struct shards *shards);

/* E_UNAVAILABLE: one of them is broken (shard_broken), which opening it anew would mend; the text says which. */
int shards_check(const struct shards *shards, struct error *err);

#endif
