#include "common/control_private.h"

#include <stdlib.h>

/* A batch that is being written: one transaction. */
struct batch {
	struct control *control;
	MDB_txn *txn;
	MDB_cursor *cursor; /* over "items" */
	uint32_t number;
	Kindred__V1__Catalog *catalog; /* its version and item_count go up as items are written */
	uint8_t *row; /* the packed row of one item; reused */
	size_t room;
};

/* Begins the transaction and opens what a change of items needs. batch_end must follow, also after an error. */
static int batch_begin(struct batch *batch, struct control *control, const char *catalog, struct error *err)
{
	int rc;

	*batch = (struct batch){ .control = control };
	rc = store_write_begin(control->store, &batch->txn, err);
	if (rc == 0)
		rc = control_catalog_read(control, batch->txn, catalog, &batch->number, &batch->catalog, err);
	if (rc == 0)
		rc = store_error(control->store, mdb_cursor_open(batch->txn, control->items, &batch->cursor), err,
				 "items");
	return rc;
}

/* rc: what came of the batch so far. Commits when it is 0 and anything changed. */
static int batch_end(struct batch *batch, uint64_t version_before, int64_t now_ms, int rc, struct error *err)
{
	struct control *control = batch->control;
	bool changed = rc == 0 && batch->catalog->version != version_before;

	if (changed) {
		Kindred__V1__Catalog catalog = *batch->catalog;
		Google__Protobuf__Timestamp now;

		timestamp_set(&now, now_ms);
		catalog.update_time = &now;
		rc = control_catalog_write(control, batch->txn, batch->number, &catalog, err);
	}
	if (batch->cursor)
		mdb_cursor_close(batch->cursor);
	if (batch->txn && changed && rc == 0)
		rc = store_write_commit(control->store, batch->txn, err);
	else if (batch->txn)
		store_write_abort(control->store, batch->txn);
	kindred__v1__catalog__free_unpacked(batch->catalog, NULL);
	free(batch->row);
	return rc;
}

/* The row of the item, with room for its version, which is 0 in the packed message. */
static int pack_item(struct batch *batch, const Kindred__V1__Item *item, size_t *bytes, struct error *err)
{
	Kindred__V1__Item plain = *item;

	plain.version = 0;
	plain.base.n_unknown_fields = 0;
	*bytes = ITEM_HEAD + kindred__v1__item__get_packed_size(&plain);
	if (*bytes > batch->room) {
		uint8_t *row = realloc(batch->row, *bytes * 2);

		if (!row)
			return error_set(err, E_EXHAUSTED, "out of memory");
		batch->row = row;
		batch->room = *bytes * 2;
	}
	kindred__v1__item__pack(&plain, batch->row + ITEM_HEAD);
	return 0;
}

/* Packed items begin with their id: one byte of tag, one or two of length, the id. */
static bool same_id(const uint8_t *packed, const MDB_val *old, const char *id)
{
	size_t length = strlen(id);
	size_t bytes = 1 + (length < 128 ? 1 : 2) + length;

	return old->mv_size >= ITEM_HEAD + bytes &&
	       memcmp(packed, (const uint8_t *)old->mv_data + ITEM_HEAD, bytes) == 0;
}

static int refuse_collision(struct batch *batch, const MDB_val *old, const char *id, struct error *err)
{
	Kindred__V1__Item *other;
	int rc = control_item_unpack(batch->control, old, NULL, &other, err);

	if (rc != 0)
		return rc;
	rc = error_set(err, E_INVALID,
		       "id: \"%.160s\" has the same 64-bit key as \"%.160s\" of this catalog; only one of them can be "
		       "in it: change an id",
		       id, other->id);
	kindred__v1__item__free_unpacked(other, NULL);
	return rc;
}

static int change_remove(struct batch *batch, uint64_t version, struct error *err)
{
	struct row_key at = row_key(batch->number, version);
	MDB_val key = { sizeof at.bytes, at.bytes };
	int rc = mdb_del(batch->txn, batch->control->changes, &key, NULL);

	return rc == MDB_NOTFOUND ? 0 : store_error(batch->control->store, rc, err, "changes");
}

static int change_add(struct batch *batch, uint64_t version, struct item_key item, struct error *err)
{
	struct row_key at = row_key(batch->number, version);
	uint8_t bytes[8];
	MDB_val key = { sizeof at.bytes, at.bytes }, row = { sizeof bytes, bytes };

	put_u64(bytes, item.value);
	return store_error(batch->control->store, mdb_put(batch->txn, batch->control->changes, &key, &row, 0), err,
			   "changes");
}

/* An item that comes back after its deletion: that deletion is not its newest change any more. */
static int forget_deletion(struct batch *batch, struct item_key item, struct error *err)
{
	struct row_key at = row_key(batch->number, item.value);
	MDB_val key = { sizeof at.bytes, at.bytes }, row;
	int rc = mdb_get(batch->txn, batch->control->deleted, &key, &row);
	uint64_t version;

	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc != 0)
		return store_error(batch->control->store, rc, err, "deleted");
	version = get_u64(row.mv_data);
	rc = store_error(batch->control->store, mdb_del(batch->txn, batch->control->deleted, &key, NULL), err,
			 "deleted");
	return rc != 0 ? rc : change_remove(batch, version, err);
}

/*
 * The item is checked. *change is CONTROL_REFUSED when its key belongs to another item; any other error
 * ends the batch.
 */
static int put_item(struct batch *batch, struct item_key item_key, Kindred__V1__Item *item, enum control_change *change,
		    struct error *err)
{
	struct row_key at = row_key(batch->number, item_key.value);
	MDB_val key = { sizeof at.bytes, at.bytes }, old, row;
	size_t bytes;
	int found, rc = pack_item(batch, item, &bytes, err);

	*change = CONTROL_UNCHANGED;
	if (rc != 0)
		return rc;
	found = mdb_cursor_get(batch->cursor, &key, &old, MDB_SET);
	if (found != 0 && found != MDB_NOTFOUND)
		return store_error(batch->control->store, found, err, "items");
	if (found == 0) {
		if (!same_id(batch->row + ITEM_HEAD, &old, item->id)) {
			*change = CONTROL_REFUSED;
			return refuse_collision(batch, &old, item->id, err);
		}
		item->version = get_u64(old.mv_data);
		if (old.mv_size == bytes &&
		    memcmp(batch->row + ITEM_HEAD, (const uint8_t *)old.mv_data + ITEM_HEAD, bytes - ITEM_HEAD) == 0)
			return 0;
		*change = CONTROL_UPDATED;
		rc = change_remove(batch, item->version, err);
	} else {
		*change = CONTROL_CREATED;
		batch->catalog->item_count++;
		rc = forget_deletion(batch, item_key, err);
	}
	if (rc != 0)
		return rc;
	item->version = ++batch->catalog->version;
	put_u64(batch->row, item->version);
	row = (MDB_val){ bytes, batch->row };
	key = (MDB_val){ sizeof at.bytes, at.bytes };
	rc = store_error(batch->control->store, mdb_cursor_put(batch->cursor, &key, &row, 0), err, "items");
	return rc != 0 ? rc : change_add(batch, item->version, item_key, err);
}

struct place {
	uint64_t key;
	uint32_t index;
};

/* Neighbours in the tree follow each other; of two items with one id the later one of the batch wins. */
static int compare_places(const void *a, const void *b)
{
	const struct place *left = a, *right = b;

	if (left->key != right->key)
		return left->key < right->key ? -1 : 1;
	return left->index < right->index ? -1 : left->index > right->index;
}

static int refuse(enum control_change *change, char **reason, const struct error *wrong, struct error *err)
{
	*change = CONTROL_REFUSED;
	*reason = strdup(wrong->text);
	return *reason ? 0 : error_set(err, E_EXHAUSTED, "out of memory");
}

static int put_items(struct batch *batch, size_t count, Kindred__V1__Item **items, struct place *places,
		     enum control_change *changes, char **reasons, struct error *err)
{
	const char *name = batch->catalog->name;
	struct catalog_seed seed = catalog_seed(name, strlen(name));
	struct schema schema;
	struct error wrong;
	size_t good = 0;
	int rc = 0;

	schema_init(&schema, batch->catalog);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		if (control_check_item(&schema, items[i], &wrong) != 0) {
			rc = refuse(&changes[i], &reasons[i], &wrong, err);
			continue;
		}
		places[good].key = item_key(seed, items[i]->id, strlen(items[i]->id)).value;
		places[good++].index = (uint32_t)i;
	}
	qsort(places, good, sizeof *places, compare_places);
	for (size_t i = 0; rc == 0 && i < good; i++) {
		uint32_t index = places[i].index;

		rc = put_item(batch, (struct item_key){ places[i].key }, items[index], &changes[index], &wrong);
		if (rc != 0 && changes[index] == CONTROL_REFUSED)
			rc = refuse(&changes[index], &reasons[index], &wrong, err);
		else if (rc != 0)
			error_set(err, rc, "%s", wrong.text);
	}
	return rc;
}

int control_items_put(struct control *control, const char *catalog, size_t count, Kindred__V1__Item **items,
		      int64_t now_ms, enum control_change *changes, char **reasons, struct error *err)
{
	struct place *places;
	struct batch batch;
	uint64_t before;
	int rc;

	memset(reasons, 0, count * sizeof *reasons);
	if (count < 1 || count > CONTROL_BATCH_MAX)
		return error_set(err, E_INVALID, "items: %zu; 1 to %d are allowed in a batch", count,
				 CONTROL_BATCH_MAX);
	places = malloc(count * sizeof *places);
	if (!places)
		return error_set(err, E_EXHAUSTED, "out of memory");
	rc = batch_begin(&batch, control, catalog, err);
	before = rc == 0 ? batch.catalog->version : 0;
	if (rc == 0)
		rc = put_items(&batch, count, items, places, changes, reasons, err);
	rc = batch_end(&batch, before, now_ms, rc, err);
	free(places);
	for (size_t i = 0; rc != 0 && i < count; i++) {
		free(reasons[i]);
		reasons[i] = NULL;
	}
	return rc;
}

/* --- one item --- */

/* As the transaction sees it. E_NOT_FOUND: there is none. */
static int read_item(struct batch *batch, const char *id, struct item_key *item_key_of, Kindred__V1__Item **item,
		     struct error *err)
{
	const char *catalog = batch->catalog->name;
	struct row_key at;
	MDB_val key = { sizeof at.bytes, at.bytes }, row;
	int rc = id_check("item_id", id, strlen(id), ITEM_ID_MAX, err);

	*item = NULL;
	if (rc != 0)
		return rc;
	*item_key_of = item_key(catalog_seed(catalog, strlen(catalog)), id, strlen(id));
	at = row_key(batch->number, item_key_of->value);
	rc = mdb_get(batch->txn, batch->control->items, &key, &row);
	if (rc == 0) {
		rc = control_item_unpack(batch->control, &row, NULL, item, err);
		if (rc != 0 || strcmp((*item)->id, id) == 0)
			return rc;
		/* another item that has the same key */
		kindred__v1__item__free_unpacked(*item, NULL);
		*item = NULL;
	} else if (rc != MDB_NOTFOUND) {
		return store_error(batch->control->store, rc, err, "items");
	}
	return error_set(err, E_NOT_FOUND, "there is no item \"%s\" in catalog \"%s\"", id, catalog);
}

static bool is_set(const Kindred__V1__UpdateItemRequest *request, const char *name)
{
	for (size_t i = 0; i < request->n_set_attributes; i++)
		if (strcmp(request->set_attributes[i]->name, name) == 0)
			return true;
	return false;
}

static bool is_cleared(const Kindred__V1__UpdateItemRequest *request, const char *name)
{
	for (size_t i = 0; i < request->n_clear_attributes; i++)
		if (strcmp(request->clear_attributes[i], name) == 0)
			return true;
	return false;
}

static int check_update(const Kindred__V1__UpdateItemRequest *request, const struct schema *schema, struct error *err)
{
	if (request->n_set_attributes > CONTROL_ATTRIBUTES_MAX || request->n_clear_attributes > CONTROL_ATTRIBUTES_MAX)
		return error_set(err, E_INVALID,
				 "set_attributes: %zu, clear_attributes: %zu; at most %d each are allowed",
				 request->n_set_attributes, request->n_clear_attributes, CONTROL_ATTRIBUTES_MAX);
	for (size_t i = 0; i < request->n_clear_attributes; i++) {
		const char *name = request->clear_attributes[i];

		if (schema_find(schema, name, i) == SIZE_MAX)
			return error_set(err, E_INVALID,
					 "clear_attributes: \"%.64s\" is not in the schema of catalog \"%s\"", name,
					 schema->catalog->name);
		if (is_set(request, name))
			return error_set(
				err, E_INVALID,
				"clear_attributes: \"%s\" is in set_attributes, too; only one of them is allowed",
				name);
	}
	return 0;
}

/* The item as the request wants it; attributes: room for those of both. Not checked yet. */
static Kindred__V1__Item updated_item(const Kindred__V1__Item *old, const Kindred__V1__UpdateItemRequest *request,
				      Kindred__V1__Attribute **attributes)
{
	Kindred__V1__Item item = *old;

	item.attributes = attributes;
	item.n_attributes = 0;
	for (size_t i = 0; i < old->n_attributes; i++)
		if (!is_set(request, old->attributes[i]->name) && !is_cleared(request, old->attributes[i]->name))
			attributes[item.n_attributes++] = old->attributes[i];
	for (size_t i = 0; i < request->n_set_attributes; i++)
		attributes[item.n_attributes++] = request->set_attributes[i];
	if (request->new_hidden_case == KINDRED__V1__UPDATE_ITEM_REQUEST__NEW_HIDDEN_HIDDEN)
		item.hidden = request->hidden;
	if (request->new_name_case == KINDRED__V1__UPDATE_ITEM_REQUEST__NEW_NAME_NAME)
		item.name = request->name;
	if (request->new_image_url_case == KINDRED__V1__UPDATE_ITEM_REQUEST__NEW_IMAGE_URL_IMAGE_URL)
		item.image_url = request->image_url;
	return item;
}

static int update_item(struct batch *batch, const Kindred__V1__UpdateItemRequest *request, Kindred__V1__Item **made,
		       struct error *err)
{
	Kindred__V1__Attribute *attributes[2 * CONTROL_ATTRIBUTES_MAX];
	Kindred__V1__Item *old = NULL, item;
	enum control_change change;
	struct schema schema;
	struct item_key key;
	int rc;

	schema_init(&schema, batch->catalog);
	rc = check_update(request, &schema, err);
	if (rc == 0)
		rc = read_item(batch, request->item_id, &key, &old, err);
	if (rc != 0)
		return rc;
	item = updated_item(old, request, attributes);
	rc = control_check_item(&schema, &item, err);
	if (rc == 0)
		rc = put_item(batch, key, &item, &change, err);
	kindred__v1__item__free_unpacked(old, NULL);
	return rc != 0 ? rc : read_item(batch, request->item_id, &key, made, err);
}

int control_item_update(struct control *control, const Kindred__V1__UpdateItemRequest *request, int64_t now_ms,
			Kindred__V1__Item **item, struct error *err)
{
	struct batch batch;
	uint64_t before;
	int rc = batch_begin(&batch, control, request->catalog, err);

	*item = NULL;
	before = rc == 0 ? batch.catalog->version : 0;
	if (rc == 0)
		rc = update_item(&batch, request, item, err);
	rc = batch_end(&batch, before, now_ms, rc, err);
	if (rc != 0) {
		kindred__v1__item__free_unpacked(*item, NULL);
		*item = NULL;
	}
	return rc;
}

static int delete_item(struct batch *batch, const char *id, struct error *err)
{
	uint8_t bytes[8];
	Kindred__V1__Item *old;
	struct item_key item;
	struct row_key at;
	MDB_val key = { sizeof at.bytes, at.bytes }, row = { sizeof bytes, bytes };
	int rc = read_item(batch, id, &item, &old, err);

	if (rc != 0)
		return rc;
	at = row_key(batch->number, item.value);
	rc = change_remove(batch, old->version, err);
	kindred__v1__item__free_unpacked(old, NULL);
	if (rc == 0)
		rc = store_error(batch->control->store, mdb_del(batch->txn, batch->control->items, &key, NULL), err,
				 "items");
	if (rc != 0)
		return rc;
	batch->catalog->item_count--;
	put_u64(bytes, ++batch->catalog->version);
	rc = store_error(batch->control->store, mdb_put(batch->txn, batch->control->deleted, &key, &row, 0), err,
			 "deleted");
	return rc != 0 ? rc : change_add(batch, batch->catalog->version, item, err);
}

int control_item_delete(struct control *control, const char *catalog, const char *item_id, int64_t now_ms,
			uint64_t *version, struct error *err)
{
	struct batch batch;
	uint64_t before;
	int rc = batch_begin(&batch, control, catalog, err);

	*version = 0;
	before = rc == 0 ? batch.catalog->version : 0;
	if (rc == 0)
		rc = delete_item(&batch, item_id, err);
	if (rc == 0)
		*version = batch.catalog->version;
	return batch_end(&batch, before, now_ms, rc, err);
}
