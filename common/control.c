#include "common/control_private.h"

#include "common/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SWEEP_ROWS 10000
#define META_FORMAT "format"

/* --- rows --- */

int control_pack(const ProtobufCMessage *message, const void *head, size_t head_bytes, MDB_val *row, struct error *err)
{
	size_t bytes = protobuf_c_message_get_packed_size(message);
	uint8_t *data = malloc(head_bytes + bytes + 1);

	if (!data)
		return error_set(err, E_EXHAUSTED, "out of memory");
	memcpy(data, head, head_bytes);
	protobuf_c_message_pack(message, data + head_bytes);
	*row = (MDB_val){ head_bytes + bytes, data };
	return 0;
}

static int list_add(struct control_list *list, void *entry, struct error *err)
{
	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : 64;
		void **entries = realloc(list->entries, room * sizeof *entries);

		if (!entries)
			return error_set(err, E_EXHAUSTED, "out of memory");
		list->entries = entries;
		list->room = room;
	}
	list->entries[list->count++] = entry;
	return 0;
}

static int fill_list(struct control *control, MDB_txn *txn, MDB_cursor *cursor, const struct control_lister *lister,
		     MDB_val after, size_t limit, struct control_list *list, bool *more, struct error *err)
{
	MDB_val key = after, row;
	/* LMDB knows no empty keys */
	int rc = mdb_cursor_get(cursor, &key, &row, after.mv_size ? MDB_SET_RANGE : MDB_FIRST);

	if (rc == 0 && key.mv_size == after.mv_size && memcmp(key.mv_data, after.mv_data, key.mv_size) == 0)
		rc = mdb_cursor_get(cursor, &key, &row, MDB_NEXT);
	for (; rc == 0; rc = mdb_cursor_get(cursor, &key, &row, MDB_NEXT)) {
		void *entry = NULL;
		int took = lister->take(control, txn, lister->context, &key, &row, list->count == limit ? NULL : &entry,
					err);

		if (took == CONTROL_LIST_END)
			return 0;
		if (took < 0)
			return took;
		if (took == CONTROL_LIST_SKIP)
			continue;
		if (list->count == limit) {
			*more = true;
			return 0;
		}
		if (list_add(list, entry, err) != 0) {
			lister->release(entry, NULL);
			return E_EXHAUSTED;
		}
	}
	return rc == MDB_NOTFOUND ? 0 : store_error(control->store, rc, err, "cannot list");
}

int control_list_rows(struct control *control, MDB_txn *txn, MDB_dbi dbi, const struct control_lister *lister,
		      MDB_val after, size_t limit, struct control_list *list, bool *more, struct error *err)
{
	MDB_cursor *cursor;
	int rc = store_error(control->store, mdb_cursor_open(txn, dbi, &cursor), err, "cannot list");

	*list = (struct control_list){ 0 };
	*more = false;
	if (rc != 0)
		return rc;
	rc = fill_list(control, txn, cursor, lister, after, limit, list, more, err);
	mdb_cursor_close(cursor);
	if (rc != 0) {
		for (size_t i = 0; i < list->count; i++)
			lister->release(list->entries[i], NULL);
		free(list->entries);
		*list = (struct control_list){ 0 };
	}
	return rc;
}

int control_meta_get(struct control *control, MDB_txn *txn, const char *name, uint64_t *value, struct error *err)
{
	MDB_val key = text_val(name), row;
	int rc = mdb_get(txn, control->meta, &key, &row);

	*value = 0;
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc != 0)
		return store_error(control->store, rc, err, name);
	if (row.mv_size != 8)
		return error_set(err, E_DATA_LOSS, "%s: \"%s\" is damaged; restore it from a backup",
				 store_path(control->store), name);
	*value = get_u64(row.mv_data);
	return 0;
}

int control_meta_put(struct control *control, MDB_txn *txn, const char *name, uint64_t value, struct error *err)
{
	uint8_t bytes[8];
	MDB_val key = text_val(name), row = { sizeof bytes, bytes };

	put_u64(bytes, value);
	return store_error(control->store, mdb_put(txn, control->meta, &key, &row, 0), err, name);
}

/* --- opening --- */

static int open_databases(struct control *control, struct error *err)
{
	static const char *const names[] = {
		"meta", "catalogs", "items", "changes", "deleted", "definitions", "newest"
	};
	MDB_dbi *const places[] = { &control->meta,    &control->catalogs,    &control->items, &control->changes,
				    &control->deleted, &control->definitions, &control->newest };
	MDB_dbi dbis[sizeof names / sizeof names[0]];
	int rc = store_databases(control->store, names, dbis, sizeof names / sizeof names[0], err);

	for (size_t i = 0; rc == 0 && i < sizeof names / sizeof names[0]; i++)
		*places[i] = dbis[i];
	return rc;
}

static int check_format(struct control *control, MDB_txn *txn, struct error *err)
{
	uint64_t format;
	int rc = control_meta_get(control, txn, META_FORMAT, &format, err);

	if (rc == 0 && format > CONTROL_FORMAT)
		rc = error_set(err, E_UNIMPLEMENTED,
			       "%s has format %" PRIu64 ", this program knows up to %u: use a newer Kindred",
			       store_path(control->store), format, CONTROL_FORMAT);
	return rc;
}

static int prepare_reader(struct control *control, struct error *err)
{
	int rc = store_read_begin(control->store, &control->reader, err);

	if (rc != 0)
		return rc;
	rc = check_format(control, control->reader, err);
	store_read_end(control->store, control->reader);
	return rc;
}

static int prepare_writer(struct control *control, struct error *err)
{
	MDB_txn *txn = NULL;
	int rc = store_write_begin(control->store, &txn, err);

	if (rc != 0)
		return rc;
	rc = check_format(control, txn, err);
	if (rc == 0)
		rc = control_meta_put(control, txn, META_FORMAT, CONTROL_FORMAT, err);
	if (rc == 0)
		return store_write_commit(control->store, txn, err);
	store_write_abort(control->store, txn);
	return rc;
}

/* Removes up to SWEEP_ROWS rows of a catalog that is gone; *more: there may be others. */
static int sweep_some(struct control *control, MDB_dbi dbi, uint32_t number, bool *more, struct error *err)
{
	struct row_key first = row_key(number, 0);
	MDB_cursor *cursor = NULL;
	MDB_txn *txn = NULL;
	MDB_val key, row;
	unsigned count = 0;
	int rc = store_write_begin(control->store, &txn, err);

	*more = false;
	if (rc != 0)
		return rc;
	rc = mdb_cursor_open(txn, dbi, &cursor);
	while (rc == 0 && count < SWEEP_ROWS) {
		key = (MDB_val){ sizeof first.bytes, first.bytes };
		rc = mdb_cursor_get(cursor, &key, &row, MDB_SET_RANGE);
		if (rc != 0 || get_u32(key.mv_data) != number)
			break;
		rc = mdb_cursor_del(cursor, 0);
		count++;
	}
	if (cursor)
		mdb_cursor_close(cursor);
	if (rc != 0 && rc != MDB_NOTFOUND) {
		store_write_abort(control->store, txn);
		return store_error(control->store, rc, err, "cannot remove a deleted catalog's rows");
	}
	*more = count == SWEEP_ROWS;
	return store_write_commit(control->store, txn, err);
}

/*
 * What a deleted catalog leaves: nobody can see it, since numbers are not used again. In portions, because a
 * transaction over millions of rows would spill pages. A failure is made good at the next opening.
 */
void control_sweep(struct control *control, uint32_t number)
{
	const MDB_dbi databases[] = { control->items, control->changes, control->deleted };
	struct error err;

	for (size_t i = 0; i < sizeof databases / sizeof databases[0]; i++) {
		bool more = true;

		while (more) {
			if (sweep_some(control, databases[i], number, &more, &err) != 0) {
				log_warning("control: %s", err.text);
				return;
			}
		}
	}
}

static int catalog_numbers(struct control *control, MDB_txn *txn, struct control_list *numbers, struct error *err)
{
	MDB_cursor *cursor;
	MDB_val key, row;
	int rc = mdb_cursor_open(txn, control->catalogs, &cursor);
	int failed = 0;

	if (rc != 0)
		return store_error(control->store, rc, err, "catalogs");
	while (failed == 0 && (rc = mdb_cursor_get(cursor, &key, &row, MDB_NEXT)) == 0)
		if (row.mv_size > CATALOG_HEAD)
			failed = list_add(numbers, (void *)(uintptr_t)get_u32(row.mv_data), err);
	mdb_cursor_close(cursor);
	return failed != 0 || rc == MDB_NOTFOUND ? failed : store_error(control->store, rc, err, "catalogs");
}

static bool has_number(const struct control_list *numbers, uint32_t number)
{
	for (size_t i = 0; i < numbers->count; i++)
		if ((uintptr_t)numbers->entries[i] == number)
			return true;
	return false;
}

/* The first number from `from` on that has rows but no catalog; 0: none. Rows of living catalogs are leapt over. */
static int find_orphan(struct control *control, MDB_txn *txn, MDB_dbi dbi, const struct control_list *living,
		       uint32_t *orphan, struct error *err)
{
	struct row_key at = row_key(0, 0);
	MDB_cursor *cursor;
	MDB_val key, row;
	int rc = mdb_cursor_open(txn, dbi, &cursor);

	*orphan = 0;
	if (rc != 0)
		return store_error(control->store, rc, err, "items");
	for (;;) {
		uint32_t number;

		key = (MDB_val){ sizeof at.bytes, at.bytes };
		rc = mdb_cursor_get(cursor, &key, &row, MDB_SET_RANGE);
		if (rc != 0)
			break;
		number = get_u32(key.mv_data);
		if (!has_number(living, number)) {
			*orphan = number;
			break;
		}
		at = row_key(number + 1, 0);
	}
	mdb_cursor_close(cursor);
	return rc == 0 || rc == MDB_NOTFOUND ? 0 : store_error(control->store, rc, err, "items");
}

/* A process that was killed while it swept left rows of deleted catalogs. */
static int sweep_orphans(struct control *control, struct error *err)
{
	const MDB_dbi databases[] = { control->items, control->changes, control->deleted };
	struct control_list living = { 0 };
	int rc = store_read_begin(control->store, &control->reader, err);

	if (rc != 0)
		return rc;
	rc = catalog_numbers(control, control->reader, &living, err);
	store_read_end(control->store, control->reader);
	for (size_t i = 0; rc == 0 && i < sizeof databases / sizeof databases[0];) {
		uint32_t orphan = 0;

		rc = store_read_begin(control->store, &control->reader, err);
		if (rc != 0)
			break;
		rc = find_orphan(control, control->reader, databases[i], &living, &orphan, err);
		store_read_end(control->store, control->reader);
		if (rc == 0 && orphan)
			control_sweep(control, orphan);
		else
			i++;
	}
	free(living.entries);
	return rc;
}

int control_open(struct control **opened, const char *path, uint64_t map_bytes, bool read_only, struct error *err)
{
	const struct store_options options = {
		.map_bytes = map_bytes, .map_option = "shard_map_gb", .databases = 8, .read_only = read_only
	};
	struct control *control = calloc(1, sizeof *control);
	int rc;

	*opened = NULL;
	if (!control)
		return error_set(err, E_EXHAUSTED, "out of memory");
	rc = store_open(&control->store, path, &options, err);
	if (rc == 0)
		rc = open_databases(control, err);
	if (rc == 0)
		rc = read_only ? prepare_reader(control, err) : prepare_writer(control, err);
	if (rc == 0 && !read_only)
		rc = sweep_orphans(control, err);
	if (rc != 0) {
		control_close(control);
		return rc;
	}
	*opened = control;
	return 0;
}

void control_close(struct control *control)
{
	if (!control)
		return;
	while (control->names) {
		struct control_name *name = control->names;

		control->names = name->next;
		free(name);
	}
	store_read_free(&control->reader);
	store_close(control->store);
	free(control);
}
