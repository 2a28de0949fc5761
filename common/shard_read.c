#include "common/properties.h"
#include "common/shard_private.h"

#include <stdlib.h>
#include <string.h>

struct shard_reader {
	struct shard *shard;
	MDB_txn *txn;
	MDB_cursor *cursor; /* on "history"; NULL: none yet */
	bool renewed; /* the cursor belongs to the running transaction */
	const char *page; /* of the row that was read last */
	uint8_t together; /* the last rows, a bit each, the lowest the last one's: in the page of the row before */
	struct event_types types; /* as many as this reader has met */
};

int shard_reader_open(struct shard *shard, struct shard_reader **reader, struct error *err)
{
	*reader = calloc(1, sizeof **reader);
	if (!*reader)
		return error_set(err, E_EXHAUSTED, "%s: out of memory", store_path(shard->store));
	(*reader)->shard = shard;
	event_types_init(&(*reader)->types);
	return 0;
}

void shard_reader_close(struct shard_reader *reader)
{
	if (!reader)
		return;
	if (reader->cursor)
		mdb_cursor_close(reader->cursor);
	store_read_free(&reader->txn);
	event_types_fini(&reader->types);
	free(reader);
}

int shard_read_begin(struct shard_reader *reader, struct error *err)
{
	reader->renewed = false;
	return store_read_begin(reader->shard->store, &reader->txn, err);
}

void shard_read_end(struct shard_reader *reader)
{
	store_read_end(reader->shard->store, reader->txn);
}

/* The cursor, for use in the running transaction. */
static int history_cursor(struct shard_reader *reader)
{
	int rc = 0;
	if (!reader->cursor)
		rc = mdb_cursor_open(reader->txn, reader->shard->databases[SHARD_HISTORY], &reader->cursor);
	else if (!reader->renewed)
		rc = mdb_cursor_renew(reader->txn, reader->cursor);
	reader->renewed = rc == 0;
	return rc;
}

static bool is_older_of(MDB_val key, MDB_val user)
{
	return shard_is_older_key(key) && key.mv_size == user.mv_size + 1 &&
	       memcmp(key.mv_data, user.mv_data, user.mv_size) == 0;
}

/*
 * The history of the user whose row the cursor is at; leaves it at the last of the user's rows.
 * E_DATA_LOSS: it is damaged (*damaged), or the file is.
 */
static int open_history(const struct shard *shard, MDB_cursor *cursor, MDB_val user, MDB_val row,
			struct history *history, bool *damaged, struct error *err)
{
	*damaged = false;
	enum history_stored stored = history_open(history, row.mv_data, row.mv_size);
	if (stored == HISTORY_IS_WHOLE)
		return 0;
	if (stored == HISTORY_IS_DIVIDED) {
		MDB_val key, older;
		int rc = mdb_cursor_get(cursor, &key, &older, MDB_NEXT);
		if (rc && rc != MDB_NOTFOUND)
			return store_error(shard->store, rc, err, "cannot read a history");
		if (!rc && is_older_of(key, user) && history_add_older(history, older.mv_data, older.mv_size))
			return 0;
	}
	*damaged = true;
	return shard_damaged(shard, user.mv_data, user.mv_size, err);
}

#define LINE 64u
#define PAGE 4096u /* LMDB's, on most machines */

static const char *page_of(const void *row)
{
	return (const char *)row - (uintptr_t)row % PAGE;
}

static void ask_for_page(const char *page)
{
	for (size_t at = 0; at < PAGE; at += LINE)
		__builtin_prefetch(page + at);
}

/*
 * Users who are asked for in the order of their ids have their rows in the same pages, which is seen by the last eight:
 * then the first one of a page asks for it as a whole, so that the searches and rows behind it wait for nothing.
 */
static void foresee(struct shard_reader *reader, const void *row)
{
	const char *page = page_of(row);
	bool together = page == reader->page;
	if (!together && __builtin_popcount(reader->together) >= 4)
		ask_for_page(page);
	reader->page = page;
	reader->together = (uint8_t)(reader->together << 1 | together);
}

int shard_read_history(struct shard_reader *reader, const char *user, size_t user_bytes, struct history *history,
		       struct error *err)
{
	struct shard *shard = reader->shard;
	MDB_val key = { user_bytes, (void *)user }, row;
	/* LMDB calls an empty or overlong key misuse; to a reader it is a user that nobody has */
	int rc = user_bytes == 0 || user_bytes > USER_ID_MAX ? MDB_NOTFOUND : history_cursor(reader);
	if (!rc)
		rc = mdb_cursor_get(reader->cursor, &key, &row, MDB_SET);
	if (rc == MDB_NOTFOUND)
		return E_NOT_FOUND;
	if (rc)
		return store_error(shard->store, rc, err, "cannot read a history");
	foresee(reader, row.mv_data);
	bool damaged;
	return open_history(shard, reader->cursor, key, row, history, &damaged, err);
}

size_t shard_read_properties(struct shard_reader *reader, const char *user, size_t user_bytes,
			     const struct history_entry *entry, struct shard_property *properties, size_t room)
{
	if (!(entry->flags & HISTORY_HAS_PROPERTIES))
		return 0;
	unsigned char name[PROPERTIES_KEY_BYTES];
	properties_key(user, user_bytes, entry, name);
	MDB_val key = { sizeof name, name }, value;
	if (mdb_get(reader->txn, reader->shard->databases[SHARD_PROPERTIES], &key, &value))
		return 0;
	return properties_unpack(value.mv_data, value.mv_size, properties, room);
}

/* True when the snapshot has types that this reader has not met, and they could be read. */
static bool met_newer_types(struct shard_reader *reader)
{
	MDB_stat status;
	if (mdb_stat(reader->txn, reader->shard->databases[SHARD_TYPES], &status) ||
	    status.ms_entries <= reader->types.count)
		return false;
	return shard_load_types(reader->shard, reader->txn, &reader->types, NULL) == 0;
}

uint16_t shard_read_type(struct shard_reader *reader, const char *type, size_t bytes)
{
	uint16_t number = event_types_find(&reader->types, type, bytes);
	if (number == EVENT_TYPE_NONE && met_newer_types(reader))
		number = event_types_find(&reader->types, type, bytes);
	return number;
}

const char *shard_read_type_name(struct shard_reader *reader, uint16_t type)
{
	if (type >= reader->types.count && !met_newer_types(reader))
		return NULL;
	return type < reader->types.count ? reader->types.names[type] : NULL;
}

int shard_read_counters(struct shard_reader *reader, struct shard_counters *counters, struct error *err)
{
	return shard_get_fixed(reader->shard, reader->txn, SHARD_COUNTERS, "counters", counters, sizeof *counters, err);
}

/* The first user behind the cursor. */
static int seek(MDB_cursor *cursor, const struct shard_cursor *from, MDB_val *user, MDB_val *row)
{
	if (from->bytes == 0)
		return mdb_cursor_get(cursor, user, row, MDB_FIRST);
	*user = (MDB_val){ from->bytes, (void *)from->user };
	int rc = mdb_cursor_get(cursor, user, row, MDB_SET_RANGE);
	if (!rc && user->mv_size == from->bytes && memcmp(user->mv_data, from->user, from->bytes) == 0)
		rc = mdb_cursor_get(cursor, user, row, MDB_NEXT);
	if (!rc && is_older_of(*user, (MDB_val){ from->bytes, (void *)from->user }))
		rc = mdb_cursor_get(cursor, user, row, MDB_NEXT);
	return rc;
}

int shard_read_users(struct shard_reader *reader, struct shard_cursor *cursor, size_t limit,
		     int (*each)(void *context, const char *user, size_t user_bytes, const struct history *history),
		     void *context, bool *done, struct error *err)
{
	struct shard *shard = reader->shard;
	MDB_cursor *walk; /* not the reader's: each() may read histories */
	*done = false;
	cursor->damaged = false;
	int code = store_error(shard->store, mdb_cursor_open(reader->txn, shard->databases[SHARD_HISTORY], &walk), err,
			       "cannot walk the users");
	if (code)
		return code;
	MDB_val user, row;
	const char *page = NULL;
	int rc = seek(walk, cursor, &user, &row);
	for (size_t n = 0; !rc && !code && n < limit; n++) {
		struct history history;
		/* in no order that the processor foresees, and all of them are read */
		if (page_of(user.mv_data) != page)
			ask_for_page(page = page_of(user.mv_data));
		bool lost = shard_is_older_key(user); /* its user's own row would have come before */
		user.mv_size -= lost;
		cursor->bytes = (uint32_t)(user.mv_size < USER_ID_MAX ? user.mv_size : USER_ID_MAX);
		memcpy(cursor->user, user.mv_data, cursor->bytes);
		cursor->damaged = lost;
		code = lost ? shard_damaged(shard, user.mv_data, user.mv_size, err)
			    : open_history(shard, walk, user, row, &history, &cursor->damaged, err);
		if (!code)
			code = each(context, user.mv_data, user.mv_size, &history);
		if (!code)
			rc = mdb_cursor_get(walk, &user, &row, MDB_NEXT);
	}
	mdb_cursor_close(walk);
	if (rc == MDB_NOTFOUND) {
		*done = true;
		return 0;
	}
	return rc ? store_error(shard->store, rc, err, "cannot walk the users") : code;
}
