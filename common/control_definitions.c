#include "common/control_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * "newest": the version, big endian, and whether the definition lives (1) or was deleted (0). Versions
 * go on after a deletion.
 */
struct newest {
	uint64_t version; /* 0: there never was one of this name */
	bool lives;
};
#define NEWEST_BYTES 9

static int newest_parse(const struct control *control, const MDB_val *row, struct newest *newest, struct error *err)
{
	const uint8_t *data = row->mv_data;

	if (row->mv_size != NEWEST_BYTES)
		return error_set(err, E_DATA_LOSS, "%s: the list of definitions is damaged; restore it from a backup",
				 store_path(control->store));
	newest->version = get_u64(data);
	newest->lives = data[8] != 0;
	return 0;
}

static int newest_get(struct control *control, MDB_txn *txn, const char *name, struct newest *newest, struct error *err)
{
	MDB_val key = text_val(name), row;
	int rc = name_check("definition", name, strlen(name), err);

	*newest = (struct newest){ 0 };
	if (rc != 0)
		return rc;
	rc = mdb_get(txn, control->newest, &key, &row);
	if (rc == MDB_NOTFOUND)
		return 0;
	return rc == 0 ? newest_parse(control, &row, newest, err) : store_error(control->store, rc, err, "newest");
}

static int newest_put(struct control *control, MDB_txn *txn, const char *name, struct newest newest, struct error *err)
{
	uint8_t bytes[NEWEST_BYTES];
	MDB_val key = text_val(name), row = { sizeof bytes, bytes };

	put_u64(bytes, newest.version);
	bytes[8] = newest.lives;
	return store_error(control->store, mdb_put(txn, control->newest, &key, &row, 0), err, "newest");
}

/* (name, 0, version) in `bytes`, which has room for NAME_MAX_BYTES + 9. */
static MDB_val version_key(const char *name, size_t name_bytes, uint64_t version, uint8_t *bytes)
{
	memcpy(bytes, name, name_bytes);
	bytes[name_bytes] = 0;
	put_u64(bytes + name_bytes + 1, version);
	return (MDB_val){ name_bytes + 9, bytes };
}

static int version_read(struct control *control, MDB_txn *txn, const char *name, size_t name_bytes, uint64_t version,
			Kindred__V1__Definition **definition, struct error *err)
{
	uint8_t bytes[NAME_MAX_BYTES + 9];
	MDB_val key = version_key(name, name_bytes, version, bytes), row;
	int rc = mdb_get(txn, control->definitions, &key, &row);

	*definition = NULL;
	if (rc == MDB_NOTFOUND)
		return error_set(err, E_NOT_FOUND, "definition \"%.*s\" has no version %" PRIu64, (int)name_bytes, name,
				 version);
	if (rc != 0)
		return store_error(control->store, rc, err, "definitions");
	*definition = kindred__v1__definition__unpack(NULL, row.mv_size, row.mv_data);
	if (!*definition)
		return error_set(err, E_DATA_LOSS, "%s: definition \"%.*s\" is damaged; restore it from a backup",
				 store_path(control->store), (int)name_bytes, name);
	return 0;
}

static int version_write(struct control *control, MDB_txn *txn, const Kindred__V1__Definition *definition,
			 struct error *err)
{
	uint8_t bytes[NAME_MAX_BYTES + 9];
	MDB_val key = version_key(definition->name, strlen(definition->name), definition->version, bytes), row;
	int rc = control_pack(&definition->base, "", 0, &row, err);

	if (rc != 0)
		return rc;
	rc = store_error(control->store, mdb_put(txn, control->definitions, &key, &row, 0), err, "definitions");
	free(row.mv_data);
	return rc;
}

/* Checks the definition against its catalog, writes it as version `version`, and gives it back as it is stored. */
static int write_checked(struct control *control, MDB_txn *txn, const Kindred__V1__Definition *given,
			 const char *catalog_name, uint64_t version, const Google__Protobuf__Timestamp *created,
			 int64_t now_ms, Kindred__V1__Definition **made, struct error *err)
{
	Kindred__V1__Definition definition = *given;
	Google__Protobuf__Timestamp now, first;
	Kindred__V1__Catalog *catalog = NULL;
	uint32_t number;
	int rc = control_catalog_read(control, txn, catalog_name, &number, &catalog, err);

	if (rc == 0)
		rc = control_check_definition(given, catalog, err);
	kindred__v1__catalog__free_unpacked(catalog, NULL);
	if (rc != 0)
		return rc;
	timestamp_set(&now, now_ms);
	first = created ? *created : now;
	definition.base.n_unknown_fields = 0;
	definition.catalog = (char *)catalog_name;
	definition.version = version;
	definition.create_time = &first;
	definition.update_time = &now;
	rc = version_write(control, txn, &definition, err);
	if (rc == 0)
		rc = newest_put(control, txn, given->name, (struct newest){ version, true }, err);
	return rc != 0 ? rc : version_read(control, txn, given->name, strlen(given->name), version, made, err);
}

static int create(struct control *control, MDB_txn *txn, const Kindred__V1__Definition *given, int64_t now_ms,
		  Kindred__V1__Definition **made, struct error *err)
{
	struct newest newest;
	int rc = newest_get(control, txn, given->name, &newest, err);

	if (rc != 0)
		return rc;
	if (newest.lives)
		return error_set(err, E_EXISTS, "there is a definition \"%s\" already", given->name);
	return write_checked(control, txn, given, given->catalog, newest.version + 1, NULL, now_ms, made, err);
}

static int newest_living(struct control *control, MDB_txn *txn, const char *name, struct newest *newest,
			 struct error *err)
{
	int rc = newest_get(control, txn, name, newest, err);

	if (rc == 0 && !newest->lives)
		rc = error_set(err, E_NOT_FOUND, "there is no definition \"%s\"", name);
	return rc;
}

static int update(struct control *control, MDB_txn *txn, const Kindred__V1__Definition *given, int64_t now_ms,
		  Kindred__V1__Definition **made, struct error *err)
{
	Kindred__V1__Definition *old;
	struct newest newest;
	int rc = newest_living(control, txn, given->name, &newest, err);

	if (rc == 0)
		rc = version_read(control, txn, given->name, strlen(given->name), newest.version, &old, err);
	if (rc != 0)
		return rc;
	if (*given->catalog && strcmp(given->catalog, old->catalog) != 0)
		rc = error_set(err, E_INVALID,
			       "catalog: \"%.64s\"; definition \"%s\" recommends from \"%s\", which cannot change: "
			       "make another definition",
			       given->catalog, given->name, old->catalog);
	else
		rc = write_checked(control, txn, given, old->catalog, newest.version + 1, old->create_time, now_ms,
				   made, err);
	kindred__v1__definition__free_unpacked(old, NULL);
	return rc;
}

static int change(struct control *control, const Kindred__V1__Definition *given, int64_t now_ms,
		  Kindred__V1__Definition **made, struct error *err,
		  int (*step)(struct control *control, MDB_txn *txn, const Kindred__V1__Definition *given,
			      int64_t now_ms, Kindred__V1__Definition **made, struct error *err))
{
	MDB_txn *txn = NULL;
	int rc = store_write_begin(control->store, &txn, err);

	*made = NULL;
	if (rc != 0)
		return rc;
	rc = step(control, txn, given, now_ms, made, err);
	if (rc == 0)
		rc = store_write_commit(control->store, txn, err);
	else
		store_write_abort(control->store, txn);
	if (rc != 0) {
		kindred__v1__definition__free_unpacked(*made, NULL);
		*made = NULL;
	}
	return rc;
}

int control_definition_create(struct control *control, const Kindred__V1__Definition *definition, int64_t now_ms,
			      Kindred__V1__Definition **made, struct error *err)
{
	return change(control, definition, now_ms, made, err, create);
}

int control_definition_update(struct control *control, const Kindred__V1__Definition *definition, int64_t now_ms,
			      Kindred__V1__Definition **made, struct error *err)
{
	return change(control, definition, now_ms, made, err, update);
}

int control_definition_get(struct control *control, const char *name, uint64_t version,
			   Kindred__V1__Definition **definition, struct error *err)
{
	struct newest newest;
	int rc = store_read_begin(control->store, &control->reader, err);

	*definition = NULL;
	if (rc != 0)
		return rc;
	rc = newest_living(control, control->reader, name, &newest, err);
	if (rc == 0)
		rc = version_read(control, control->reader, name, strlen(name), version ? version : newest.version,
				  definition, err);
	store_read_end(control->store, control->reader);
	return rc;
}

static int take_definition(struct control *control, MDB_txn *txn, void *context, const MDB_val *key, const MDB_val *row,
			   void **entry, struct error *err)
{
	struct newest newest = { 0 };
	int rc = newest_parse(control, row, &newest, err);

	(void)context;
	if (rc != 0)
		return rc;
	if (!newest.lives)
		return CONTROL_LIST_SKIP;
	if (!entry)
		return CONTROL_LIST_TAKEN;
	return version_read(control, txn, key->mv_data, key->mv_size, newest.version, (Kindred__V1__Definition **)entry,
			    err);
}

static void release_definition(void *definition, ProtobufCAllocator *allocator)
{
	kindred__v1__definition__free_unpacked(definition, allocator);
}

static const struct control_lister definition_lister = { take_definition, release_definition, NULL };

int control_definition_list(struct control *control, const char *after, size_t limit,
			    Kindred__V1__Definition ***definitions, size_t *count, bool *more, struct error *err)
{
	struct control_list list = { 0 };
	int rc = *after ? name_check("page_token", after, strlen(after), err) : 0;

	*more = false;
	if (rc == 0)
		rc = store_read_begin(control->store, &control->reader, err);
	if (rc == 0) {
		rc = control_list_rows(control, control->reader, control->newest, &definition_lister, text_val(after),
				       limit, &list, more, err);
		store_read_end(control->store, control->reader);
	}
	*definitions = (Kindred__V1__Definition **)list.entries;
	*count = list.count;
	return rc;
}

/* All versions go; the number of the last one stays. */
static int delete_versions(struct control *control, MDB_txn *txn, const char *name, uint64_t newest, struct error *err)
{
	uint8_t bytes[NAME_MAX_BYTES + 9];
	MDB_val from = version_key(name, strlen(name), 0, bytes), key = from, row;
	MDB_cursor *cursor;
	int rc = mdb_cursor_open(txn, control->definitions, &cursor);

	if (rc != 0)
		return store_error(control->store, rc, err, "definitions");
	while ((rc = mdb_cursor_get(cursor, &key, &row, MDB_SET_RANGE)) == 0) {
		/* name and the 0 after it */
		if (key.mv_size != from.mv_size || memcmp(key.mv_data, bytes, from.mv_size - 8) != 0)
			break;
		rc = mdb_cursor_del(cursor, 0);
		if (rc != 0)
			break;
		key = from;
	}
	mdb_cursor_close(cursor);
	if (rc != 0 && rc != MDB_NOTFOUND)
		return store_error(control->store, rc, err, "definitions");
	return newest_put(control, txn, name, (struct newest){ newest, false }, err);
}

int control_definition_delete(struct control *control, const char *name, struct error *err)
{
	struct newest newest;
	MDB_txn *txn = NULL;
	int rc = store_write_begin(control->store, &txn, err);

	if (rc != 0)
		return rc;
	rc = newest_living(control, txn, name, &newest, err);
	if (rc == 0)
		rc = delete_versions(control, txn, name, newest.version, err);
	if (rc == 0)
		return store_write_commit(control->store, txn, err);
	store_write_abort(control->store, txn);
	return rc;
}

int control_definitions_using(struct control *control, MDB_txn *txn, const char *catalog, char *names, size_t bytes,
			      size_t *count, struct error *err)
{
	struct control_list list;
	size_t length = 0, left_out = 0;
	bool more;
	int rc = control_list_rows(control, txn, control->newest, &definition_lister, (MDB_val){ 0 }, SIZE_MAX, &list,
				   &more, err);

	*count = 0;
	*names = '\0';
	for (size_t i = 0; i < list.count; i++) {
		Kindred__V1__Definition *definition = list.entries[i];
		const char *comma = *count ? ", " : "";

		if (strcmp(definition->catalog, catalog) == 0) {
			++*count;
			/* "and N more" must fit, too */
			if (left_out || length + strlen(definition->name) + 40 > bytes)
				left_out++;
			else
				length += (size_t)snprintf(names + length, bytes - length, "%s%s", comma,
							   definition->name);
		}
		kindred__v1__definition__free_unpacked(definition, NULL);
	}
	if (left_out)
		snprintf(names + length, bytes - length, " and %zu more", left_out);
	free(list.entries);
	return rc;
}
