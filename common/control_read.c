#include "common/control_private.h"

#include "common/arena.h"

#include <stdlib.h>

#define ARENA_BYTES (64u << 10)

int control_item_unpack(const struct control *control, const MDB_val *row, ProtobufCAllocator *allocator,
			Kindred__V1__Item **item, struct error *err)
{
	const uint8_t *data = row->mv_data;

	*item = NULL;
	if (row->mv_size > ITEM_HEAD)
		*item = kindred__v1__item__unpack(allocator, row->mv_size - ITEM_HEAD, data + ITEM_HEAD);
	if (!*item)
		return error_set(err, E_DATA_LOSS, "%s: an item is damaged; restore it from a backup",
				 store_path(control->store));
	(*item)->version = get_u64(data);
	return 0;
}

static int item_row(struct control *control, MDB_txn *txn, uint32_t number, struct item_key item, MDB_val *row)
{
	struct row_key at = row_key(number, item.value);
	MDB_val key = { sizeof at.bytes, at.bytes };

	return mdb_get(txn, control->items, &key, row);
}

/* Begins reading a catalog; the caller ends with store_read_end(control->store, control->reader) when it returns 0. */
static int catalog_read_begin(struct control *control, const char *name, uint32_t *number,
			      Kindred__V1__Catalog **catalog, struct error *err)
{
	int rc = store_read_begin(control->store, &control->reader, err);

	*catalog = NULL;
	if (rc != 0)
		return rc;
	rc = control_catalog_read(control, control->reader, name, number, catalog, err);
	if (rc != 0)
		store_read_end(control->store, control->reader);
	return rc;
}

/* Likewise, for callers that need its number only. */
static int number_read_begin(struct control *control, const char *name, uint32_t *number, struct error *err)
{
	Kindred__V1__Catalog *catalog = NULL;
	int rc = catalog_read_begin(control, name, number, &catalog, err);

	kindred__v1__catalog__free_unpacked(catalog, NULL);
	return rc;
}

int control_item_get(struct control *control, const char *catalog, const char *item_id, Kindred__V1__Item **item,
		     struct error *err)
{
	struct item_key key = item_key(catalog_seed(catalog, strlen(catalog)), item_id, strlen(item_id));
	uint32_t number;
	MDB_val row;
	int rc = id_check("item_id", item_id, strlen(item_id), ITEM_ID_MAX, err);

	*item = NULL;
	if (rc == 0)
		rc = number_read_begin(control, catalog, &number, err);
	if (rc != 0)
		return rc;
	rc = item_row(control, control->reader, number, key, &row);
	if (rc == 0)
		rc = control_item_unpack(control, &row, NULL, item, err);
	else if (rc != MDB_NOTFOUND)
		rc = store_error(control->store, rc, err, "items");
	store_read_end(control->store, control->reader);
	if (rc == 0 && strcmp((*item)->id, item_id) != 0) {
		kindred__v1__item__free_unpacked(*item, NULL);
		*item = NULL;
		rc = MDB_NOTFOUND;
	}
	if (rc == MDB_NOTFOUND)
		return error_set(err, E_NOT_FOUND, "there is no item \"%s\" in catalog \"%s\"", item_id, catalog);
	return rc;
}

static const char *intern(struct control *control, const MDB_val *text)
{
	struct control_name *name = control->names;

	while (name && (strncmp(name->text, text->mv_data, text->mv_size) != 0 || name->text[text->mv_size]))
		name = name->next;
	if (name)
		return name->text;
	name = malloc(sizeof *name + text->mv_size + 1);
	if (!name)
		return NULL;
	memcpy(name->text, text->mv_data, text->mv_size);
	name->text[text->mv_size] = '\0';
	name->next = control->names;
	control->names = name;
	return name->text;
}

static int find_in_catalogs(struct control *control, MDB_cursor *catalogs, struct item_key item, MDB_val *name,
			    MDB_val *row)
{
	MDB_val catalog;
	int rc;

	while ((rc = mdb_cursor_get(catalogs, name, &catalog, MDB_NEXT)) == 0) {
		rc = item_row(control, mdb_cursor_txn(catalogs), get_u32(catalog.mv_data), item, row);
		if (rc != MDB_NOTFOUND)
			break;
	}
	return rc;
}

int control_item_find(struct control *control, struct item_key key, Kindred__V1__Item **item, const char **catalog_name,
		      struct error *err)
{
	MDB_cursor *catalogs;
	MDB_val name, row;
	int rc = store_read_begin(control->store, &control->reader, err);

	*item = NULL;
	*catalog_name = NULL;
	if (rc != 0)
		return rc;
	rc = mdb_cursor_open(control->reader, control->catalogs, &catalogs);
	if (rc == 0) {
		rc = find_in_catalogs(control, catalogs, key, &name, &row);
		mdb_cursor_close(catalogs);
	}
	if (rc == MDB_NOTFOUND)
		rc = error_set(err, E_NOT_FOUND, "no catalog has an item of this key");
	else if (rc != 0)
		rc = store_error(control->store, rc, err, "items");
	else if (!(*catalog_name = intern(control, &name)))
		rc = error_set(err, E_EXHAUSTED, "out of memory");
	else
		rc = control_item_unpack(control, &row, NULL, item, err);
	store_read_end(control->store, control->reader);
	return rc;
}

/* --- lists --- */

static int take_item(struct control *control, MDB_txn *txn, void *context, const MDB_val *key, const MDB_val *row,
		     void **entry, struct error *err)
{
	const uint32_t *number = context;

	(void)txn;
	if (get_u32(key->mv_data) != *number)
		return CONTROL_LIST_END;
	return entry ? control_item_unpack(control, row, NULL, (Kindred__V1__Item **)entry, err) : CONTROL_LIST_TAKEN;
}

static void release_item(void *item, ProtobufCAllocator *allocator)
{
	kindred__v1__item__free_unpacked(item, allocator);
}

int control_item_list(struct control *control, const char *catalog, struct item_key after, size_t limit,
		      Kindred__V1__Item ***items, size_t *count, bool *more, struct error *err)
{
	uint32_t number = 0;
	const struct control_lister lister = { take_item, release_item, &number };
	struct control_list list = { 0 };
	struct row_key at;
	int rc = number_read_begin(control, catalog, &number, err);

	*more = false;
	if (rc == 0) {
		at = row_key(number, after.value); /* 0 is no item's key */
		rc = control_list_rows(control, control->reader, control->items, &lister,
				       (MDB_val){ sizeof at.bytes, at.bytes }, limit, &list, more, err);
		store_read_end(control->store, control->reader);
	}
	*items = (Kindred__V1__Item **)list.entries;
	*count = list.count;
	return rc;
}

/* --- walks: one item at a time, in memory that is used again for the next --- */

struct walk {
	struct control *control;
	struct arena arena;
	MDB_cursor *cursor;
	uint32_t number;
};

static int walk_begin(struct walk *walk, struct control *control, MDB_dbi dbi, uint32_t number, struct error *err)
{
	int rc;

	*walk = (struct walk){ .control = control, .number = number };
	if (arena_init(&walk->arena, ARENA_BYTES, 0) != 0)
		return error_set(err, E_EXHAUSTED, "out of memory");
	rc = mdb_cursor_open(control->reader, dbi, &walk->cursor);
	if (rc != 0)
		arena_fini(&walk->arena);
	return store_error(control->store, rc, err, "items");
}

static void walk_end(struct walk *walk)
{
	mdb_cursor_close(walk->cursor);
	arena_fini(&walk->arena);
}

/* The first row whose number is at least `from`, or the next one; MDB_NOTFOUND: no more of this catalog. */
static int walk_step(struct walk *walk, const uint64_t *from, uint64_t *number, MDB_val *row)
{
	struct row_key at = row_key(walk->number, from ? *from : 0);
	MDB_val key = { sizeof at.bytes, at.bytes };
	int rc = mdb_cursor_get(walk->cursor, &key, row, from ? MDB_SET_RANGE : MDB_NEXT);

	if (rc != 0)
		return rc;
	if (key.mv_size != sizeof at.bytes || get_u32(key.mv_data) != walk->number)
		return MDB_NOTFOUND;
	*number = get_u64((const uint8_t *)key.mv_data + 4);
	return 0;
}

static int walk_unpack(struct walk *walk, const MDB_val *row, Kindred__V1__Item **item, struct error *err)
{
	arena_reset(&walk->arena);
	return control_item_unpack(walk->control, row, &walk->arena.protobuf, item, err);
}

/* An item that has a change but no row is a deleted one. */
static int changed_item(struct walk *walk, struct item_key key, Kindred__V1__Item **item, struct error *err)
{
	MDB_val row;
	int rc = item_row(walk->control, walk->control->reader, walk->number, key, &row);

	*item = NULL;
	if (rc == MDB_NOTFOUND)
		return 0;
	return rc == 0 ? walk_unpack(walk, &row, item, err) : store_error(walk->control->store, rc, err, "items");
}

int control_changes(struct control *control, const char *catalog, uint64_t version, size_t limit,
		    int (*each)(void *context, struct item_key key, uint64_t version, const Kindred__V1__Item *item),
		    void *context, uint64_t *last, struct error *err)
{
	struct walk walk;
	uint64_t from = version + 1, change;
	uint32_t number;
	MDB_val row;
	int step, rc = number_read_begin(control, catalog, &number, err);

	*last = version;
	if (rc != 0)
		return rc;
	rc = walk_begin(&walk, control, control->changes, number, err);
	if (rc != 0) {
		store_read_end(control->store, control->reader);
		return rc;
	}
	step = from == 0 ? MDB_NOTFOUND : walk_step(&walk, &from, &change, &row);
	for (size_t given = 0; rc == 0 && step == 0 && given < limit; given++) {
		struct item_key key = { get_u64(row.mv_data) };
		Kindred__V1__Item *item;

		rc = changed_item(&walk, key, &item, err);
		if (rc != 0)
			break;
		*last = change;
		rc = each(context, key, change, item);
		step = walk_step(&walk, NULL, &change, &row);
	}
	if (rc == 0 && step != 0 && step != MDB_NOTFOUND)
		rc = store_error(control->store, step, err, "changes");
	walk_end(&walk);
	store_read_end(control->store, control->reader);
	return rc;
}

int control_items_scan(struct control *control, const char *name, Kindred__V1__Catalog **catalog,
		       int (*each)(void *context, struct item_key key, const Kindred__V1__Item *item), void *context,
		       struct error *err)
{
	const uint64_t start = 0;
	struct walk walk;
	uint32_t number;
	uint64_t key;
	MDB_val row;
	int step, rc = catalog_read_begin(control, name, &number, catalog, err);

	if (rc != 0)
		return rc;
	rc = walk_begin(&walk, control, control->items, number, err);
	if (rc != 0) {
		store_read_end(control->store, control->reader);
		return rc;
	}
	step = walk_step(&walk, &start, &key, &row);
	while (rc == 0 && step == 0) {
		Kindred__V1__Item *item;

		rc = walk_unpack(&walk, &row, &item, err);
		if (rc == 0)
			rc = each(context, (struct item_key){ key }, item);
		step = walk_step(&walk, NULL, &key, &row);
	}
	if (rc == 0 && step != MDB_NOTFOUND)
		rc = store_error(control->store, step, err, "items");
	walk_end(&walk);
	store_read_end(control->store, control->reader);
	return rc;
}
