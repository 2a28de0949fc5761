#include "common/properties.h"
#include "common/shard_private.h"

#include <stdlib.h>
#include <string.h>

int shard_get_fixed(const struct shard *shard, MDB_txn *txn, enum shard_database database, const char *key, void *value,
		    size_t bytes, struct error *err)
{
	MDB_val name = { strlen(key), (void *)key }, found;
	int rc = mdb_get(txn, shard->databases[database], &name, &found);
	if (rc)
		return store_error(shard->store, rc, err, key);
	if (found.mv_size != bytes)
		return error_set(err, E_DATA_LOSS, "%s: '%s' has %zu bytes, not %zu; restore the shard from a backup",
				 store_path(shard->store), key, found.mv_size, bytes);
	memcpy(value, found.mv_data, bytes);
	return 0;
}

int shard_load_types(const struct shard *shard, MDB_txn *txn, struct event_types *types, struct error *err)
{
	MDB_cursor *cursor;
	int code = store_error(shard->store, mdb_cursor_open(txn, shard->databases[SHARD_TYPES], &cursor), err,
			       "cannot read event types");
	if (code)
		return code;
	MDB_val name, value;
	int rc = mdb_cursor_get(cursor, &name, &value, MDB_FIRST);
	while (!rc && !code) {
		uint16_t number = EVENT_TYPE_NONE;
		if (value.mv_size == sizeof number)
			memcpy(&number, value.mv_data, sizeof number);
		code = event_types_set(types, number, name.mv_data, name.mv_size);
		if (code == E_INVALID)
			error_set(err, code = E_DATA_LOSS, "%s: a damaged event type; restore the shard from a backup",
				  store_path(shard->store));
		else if (code)
			error_set(err, code, "%s: out of memory for event types", store_path(shard->store));
		rc = mdb_cursor_get(cursor, &name, &value, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	if (!code && rc != MDB_NOTFOUND)
		code = store_error(shard->store, rc, err, "cannot read event types");
	return code;
}

int shard_damaged(const struct shard *shard, const char *user, size_t user_bytes, struct error *err)
{
	return error_set(err, E_DATA_LOSS,
			 "%s: the history of user \"%.*s\" is damaged; delete the user or restore a backup",
			 store_path(shard->store), (int)user_bytes, user);
}

MDB_val shard_older_key(char *buffer, MDB_val user)
{
	memcpy(buffer, user.mv_data, user.mv_size);
	buffer[user.mv_size] = '\0';
	return (MDB_val){ user.mv_size + 1, buffer };
}

bool shard_is_older_key(MDB_val key)
{
	return key.mv_size > 0 && ((const char *)key.mv_data)[key.mv_size - 1] == '\0';
}

/* *format: SHARD_FORMAT_OLDEST..SHARD_FORMAT. */
static int read_format(const struct shard *shard, MDB_txn *txn, uint32_t *format, struct error *err)
{
	int code = shard_get_fixed(shard, txn, SHARD_COUNTERS, "format", format, sizeof *format, err);
	if (!code && (*format < SHARD_FORMAT_OLDEST || *format > SHARD_FORMAT))
		code = error_set(err, E_UNIMPLEMENTED, "%s: written in format %u; this program knows formats %u to %u",
				 store_path(shard->store), *format, SHARD_FORMAT_OLDEST, SHARD_FORMAT);
	return code;
}

static int write_format(const struct shard *shard, MDB_txn *txn, struct error *err)
{
	uint32_t format = SHARD_FORMAT;
	int rc = mdb_put(txn, shard->databases[SHARD_COUNTERS], &(MDB_val){ 6, "format" },
			 &(MDB_val){ sizeof format, &format }, 0);
	return store_error(shard->store, rc, err, "cannot write the format");
}

/* The first transaction of a new shard: its format and counters of nothing. */
static int write_first(const struct shard *shard, MDB_txn *txn, struct error *err)
{
	struct shard_counters counters = { .newest_event_ms = INT64_MIN };
	int rc = mdb_put(txn, shard->databases[SHARD_COUNTERS], &(MDB_val){ 8, "counters" },
			 &(MDB_val){ sizeof counters, &counters }, 0);
	int code = store_error(shard->store, rc, err, "cannot write the first counters");
	return code ? code : write_format(shard, txn, err);
}

static int writer_start(struct shard *shard, struct error *err)
{
	struct shard_writer *writer = shard->writer;
	MDB_txn *txn;
	int code = store_write_begin(shard->store, &txn, err);
	if (code)
		return code;
	uint32_t format = 0;
	code = read_format(shard, txn, &format, err);
	if (code == E_NOT_FOUND)
		code = write_first(shard, txn, err);
	else if (!code && format != SHARD_FORMAT)
		code = write_format(shard, txn, err);
	if (!code)
		code = shard_get_fixed(shard, txn, SHARD_COUNTERS, "counters", &writer->committed,
				       sizeof writer->committed, err);
	if (!code)
		code = shard_load_types(shard, txn, &writer->types, err);
	if (code) {
		store_write_abort(shard->store, txn);
		return code;
	}
	writer->counters = writer->committed;
	writer->types_committed = writer->types.count;
	return store_write_commit(shard->store, txn, err);
}

static int reader_check(struct shard *shard, struct error *err)
{
	MDB_txn *txn = NULL;
	int code = store_read_begin(shard->store, &txn, err);
	if (code)
		return code;
	uint32_t format = 0;
	code = read_format(shard, txn, &format, err);
	store_read_end(shard->store, txn);
	store_read_free(&txn);
	return code;
}

static struct shard_writer *writer_new(void)
{
	struct shard_writer *writer = calloc(1, sizeof *writer);
	if (!writer)
		return NULL;
	event_types_init(&writer->types);
	writer->row = malloc(history_bytes(HISTORY_CAP_MAX + 1));
	writer->gone = malloc(HISTORY_CAP_MAX * sizeof *writer->gone);
	writer->packed = malloc(PROPERTIES_BYTES_MAX);
	if (writer->row && writer->gone && writer->packed)
		return writer;
	free(writer->row);
	free(writer->gone);
	free(writer->packed);
	free(writer);
	return NULL;
}

static void writer_free(struct shard_writer *writer)
{
	if (!writer)
		return;
	event_types_fini(&writer->types);
	free(writer->row);
	free(writer->gone);
	free(writer->packed);
	free(writer);
}

static unsigned durability_flags(enum shard_durability durability)
{
	switch (durability) {
	case SHARD_SYNC:
		return 0;
	case SHARD_NOMETASYNC:
		return MDB_NOMETASYNC;
	case SHARD_NOSYNC:
		return MDB_NOSYNC;
	}
	return 0;
}

int shard_open(struct shard **opened, const char *path, const struct shard_options *options, struct error *err)
{
	static const char *const names[SHARD_DATABASES] = {
		[SHARD_HISTORY] = "history",     [SHARD_TYPES] = "types",       [SHARD_PROPERTIES] = "properties",
		[SHARD_FORGOTTEN] = "forgotten", [SHARD_COUNTERS] = "counters",
	};
	const struct store_options store_options = {
		.map_bytes = options->map_bytes,
		.map_option = "shard_map_gb",
		.databases = SHARD_DATABASES,
		.flags = options->read_only ? 0 : durability_flags(options->durability),
		.read_only = options->read_only,
	};
	*opened = NULL;
	struct shard *shard = calloc(1, sizeof *shard);
	if (shard && !options->read_only)
		shard->writer = writer_new();
	if (!shard || (!shard->writer && !options->read_only)) {
		free(shard);
		return error_set(err, E_EXHAUSTED, "%s: out of memory", path);
	}
	int code = store_open(&shard->store, path, &store_options, err);
	if (!code)
		code = store_databases(shard->store, names, shard->databases, SHARD_DATABASES, err);
	if (!code)
		code = options->read_only ? reader_check(shard, err) : writer_start(shard, err);
	if (code) {
		shard_close(shard);
		return code;
	}
	*opened = shard;
	return 0;
}

void shard_close(struct shard *shard)
{
	if (!shard)
		return;
	if (shard->writer && shard->writer->txn)
		shard_write_abort(shard);
	store_close(shard->store);
	writer_free(shard->writer);
	free(shard);
}

bool shard_broken(const struct shard *shard)
{
	return store_broken(shard->store);
}

uint64_t shard_file_bytes(struct shard *shard)
{
	return store_file_bytes(shard->store);
}
