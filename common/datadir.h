/*
 * The data directory: its layout, and who may open it.
 *
 *     kindred.json       format, number of shards, creation time; written once by datadir_init, never changed
 *     lock               flock()ed by the one server that runs on it
 *     control/           LMDB: catalogs, items, definitions (common/control.h)
 *     shards/000..       LMDB: histories (common/shard.h)
 *     models/            00000007.kindred (common/model.h); temporary files start with a dot
 *     models/00000007.accepted  events accepted when that generation's build began, as text (server/generation.h);
 *                               losing it costs an early build
 *     models/00000007.held      why that generation is held back, as text (server/kept.h)
 *     models/active      the active generation's number, as text; absent: none. Replaced by rename.
 *     tmp/               the builder's spill files; emptied when a server starts
 */
#ifndef KINDRED_DATADIR_H
#define KINDRED_DATADIR_H

#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

#define DATADIR_FORMAT 1
#define SHARDS_DEFAULT 16
#define SHARDS_MAX 1024
#define DATADIR_PATH_MAX 4096

struct datadir {
	char path[DATADIR_PATH_MAX - 64]; /* absolute */
	uint32_t shards;
	int lock_fd; /* -1: not locked by us */
	bool entered; /* it is the process's working directory */
};

/*
 * Makes the directory (and parents) and its layout; kindred.json is renamed into place last, so that a
 * directory is whole or not one at all, and what a killed init left is taken over by the next one.
 * E_INVALID: shards. E_EXISTS: it is one already. E_PRECONDITION: not empty and not one of ours.
 */
int datadir_init(const char *path, uint32_t shards, struct error *err);
/*
 * E_NOT_FOUND: not a data directory (the text says: run kindred init). E_UNIMPLEMENTED: a newer format.
 * E_DATA_LOSS: kindred.json is damaged. lock: a server starts. E_UNAVAILABLE when another one (its pid
 * in the text) has it; else tmp/ is emptied and unfinished generations are removed. The lock ends with
 * datadir_close or the process, and is not handed to children.
 */
int datadir_open(struct datadir *dir, const char *path, bool lock, struct error *err);
void datadir_close(struct datadir *dir);
/*
 * Makes it the process's working directory, as PostgreSQL's servers do with theirs: the names below are relative to it
 * from now on, and so are all that errors tell. Clients get those errors, and where the data lie is not theirs to know.
 * At the start, before threads; what else has a relative path is made absolute before.
 */
int datadir_enter(struct datadir *dir, struct error *err);

/* path: at least DATADIR_PATH_MAX bytes; all return it. Relative once it is entered. */
const char *datadir_control(const struct datadir *dir, char *path);
const char *datadir_shard(const struct datadir *dir, uint32_t shard, char *path);
const char *datadir_models(const struct datadir *dir, char *path);
const char *datadir_tmp(const struct datadir *dir, char *path);

/*
 * Whether what a server made here is still there, so that one that starts on half a backup does not begin anew where
 * something is missing. E_DATA_LOSS: there are histories but no control data; or, when used (a catalog was made, which
 * a server lets nobody do before all shards are open), a shard is gone. An empty file counts as there: whoever wants
 * to go on without it says so by making one.
 */
int datadir_check_whole(const struct datadir *dir, bool used, struct error *err);

/* 0: none yet. E_DATA_LOSS: the file holds no number. */
int datadir_active_read(const struct datadir *dir, uint64_t *generation, struct error *err);
/* Durable when it returns. generation 0: none any more. */
int datadir_active_write(const struct datadir *dir, uint64_t generation, struct error *err);

#endif
