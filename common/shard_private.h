/* What the shard's modules (shard.c, shard_write.c, shard_read.c) share. */
#ifndef KINDRED_SHARD_PRIVATE_H
#define KINDRED_SHARD_PRIVATE_H

#include "common/event_types.h"
#include "common/history_parts.h"
#include "common/shard.h"
#include "common/store.h"

/*
 * 2: long histories are divided; 3: rows may be packed. Formats from SHARD_FORMAT_OLDEST on are read, and become
 * SHARD_FORMAT when they are opened for writing; rows stay as they are until an event changes them.
 */
#define SHARD_FORMAT 3u
#define SHARD_FORMAT_OLDEST 1u

enum shard_database {
	SHARD_HISTORY,
	SHARD_TYPES,
	SHARD_PROPERTIES,
	SHARD_FORGOTTEN,
	SHARD_COUNTERS, /* "counters", and "format": uint32_t */
	SHARD_DATABASES
};

/* What is being written; empty between transactions. */
struct shard_writer {
	MDB_txn *txn; /* NULL: no transaction */
	struct error lost; /* code 0: the transaction is good */
	struct shard_counters counters;
	struct shard_counters committed;
	struct event_types types;
	uint32_t types_committed;
	uint64_t bytes;

	/* the row held: of the user who came last */
	char user[USER_ID_MAX];
	size_t user_bytes; /* 0: none is held */
	bool stored; /* the row is in the database too */
	bool changed; /* and differs from what is held */
	bool forgotten; /* the user has an entry in "forgotten" */
	char *row; /* room for history_bytes(HISTORY_CAP_MAX + 1); one row, however it is stored */
	size_t row_bytes;
	struct history_parts parts; /* how it is stored */
	struct history_entry *gone; /* HISTORY_CAP_MAX */
	char *packed; /* PROPERTIES_BYTES_MAX */
};

struct shard {
	struct store *store;
	MDB_dbi databases[SHARD_DATABASES];
	struct shard_writer *writer; /* NULL: read only */
};

/* A value of fixed size. E_NOT_FOUND; E_DATA_LOSS: another size. */
int shard_get_fixed(const struct shard *shard, MDB_txn *txn, enum shard_database database, const char *key, void *value,
		    size_t bytes, struct error *err);
/*
 * The key of a history's older part: the user's id and a NUL byte, which no id has. So it stands right behind the
 * user's own row, mostly on the same page. buffer: room for SHARD_OLDER_KEY_BYTES; user: at most USER_ID_MAX bytes.
 */
#define SHARD_OLDER_KEY_BYTES (USER_ID_MAX + 1)
MDB_val shard_older_key(char *buffer, MDB_val user);
bool shard_is_older_key(MDB_val key);
/* Says that a user's history is damaged: E_DATA_LOSS. */
int shard_damaged(const struct shard *shard, const char *user, size_t user_bytes, struct error *err);
/* Reads the types that the table does not know yet. */
int shard_load_types(const struct shard *shard, MDB_txn *txn, struct event_types *types, struct error *err);

#endif
