#include "common/control_private.h"

#include <stdio.h>
#include <stdlib.h>

#define META_NEXT_CATALOG "next catalog"
/* "version of NAME": where a deleted catalog's versions ended */
#define META_VERSION_BYTES (sizeof "version of " + NAME_MAX_BYTES)

static int catalog_unpack(struct control *control, const MDB_val *key, const MDB_val *row, uint32_t *number,
			  Kindred__V1__Catalog **catalog, struct error *err)
{
	if (row->mv_size > CATALOG_HEAD) {
		const uint8_t *data = row->mv_data;

		*number = get_u32(data);
		*catalog = kindred__v1__catalog__unpack(NULL, row->mv_size - CATALOG_HEAD, data + CATALOG_HEAD);
		if (*catalog)
			return 0;
	}
	return error_set(err, E_DATA_LOSS, "%s: catalog \"%.*s\" is damaged; restore it from a backup",
			 store_path(control->store), (int)key->mv_size, (const char *)key->mv_data);
}

int control_catalog_read(struct control *control, MDB_txn *txn, const char *name, uint32_t *number,
			 Kindred__V1__Catalog **catalog, struct error *err)
{
	MDB_val key = text_val(name), row;
	int rc = name_check("catalog", name, strlen(name), err);

	*catalog = NULL;
	if (rc != 0)
		return rc;
	rc = mdb_get(txn, control->catalogs, &key, &row);
	if (rc == MDB_NOTFOUND)
		return error_set(err, E_NOT_FOUND, "there is no catalog \"%s\"", name);
	if (rc != 0)
		return store_error(control->store, rc, err, "catalogs");
	return catalog_unpack(control, &key, &row, number, catalog, err);
}

int control_catalog_write(struct control *control, MDB_txn *txn, uint32_t number, const Kindred__V1__Catalog *catalog,
			  struct error *err)
{
	MDB_val key = text_val(catalog->name), row;
	uint8_t head[CATALOG_HEAD];
	int rc;

	put_u32(head, number);
	rc = control_pack(&catalog->base, head, sizeof head, &row, err);
	if (rc != 0)
		return rc;
	rc = store_error(control->store, mdb_put(txn, control->catalogs, &key, &row, 0), err, "catalogs");
	free(row.mv_data);
	return rc;
}

/* Writes the catalog, commits, and gives it back as it now is; the transaction is over in any case. */
static int write_and_commit(struct control *control, MDB_txn *txn, uint32_t number, const Kindred__V1__Catalog *catalog,
			    Kindred__V1__Catalog **made, struct error *err)
{
	uint32_t same;
	int rc = control_catalog_write(control, txn, number, catalog, err);

	if (rc == 0)
		rc = control_catalog_read(control, txn, catalog->name, &same, made, err);
	if (rc != 0) {
		store_write_abort(control->store, txn);
		return rc;
	}
	rc = store_write_commit(control->store, txn, err);
	if (rc != 0) {
		kindred__v1__catalog__free_unpacked(*made, NULL);
		*made = NULL;
	}
	return rc;
}

/* A new catalog of an old name goes on with the versions: models and overlays compare them. */
static int first_version(struct control *control, MDB_txn *txn, const char *name, uint64_t *version, struct error *err)
{
	char last[META_VERSION_BYTES];
	int rc;

	snprintf(last, sizeof last, "version of %s", name);
	rc = control_meta_get(control, txn, last, version, err);
	*version += 1;
	return rc;
}

static int new_numbers(struct control *control, MDB_txn *txn, const char *name, uint32_t *number, uint64_t *version,
		       struct error *err)
{
	uint64_t next;
	int rc = first_version(control, txn, name, version, err);

	if (rc == 0)
		rc = control_meta_get(control, txn, META_NEXT_CATALOG, &next, err);
	if (rc != 0)
		return rc;
	*number = next ? (uint32_t)next : 1;
	return control_meta_put(control, txn, META_NEXT_CATALOG, (uint64_t)*number + 1, err);
}

int control_catalog_create(struct control *control, const Kindred__V1__Catalog *given, int64_t now_ms,
			   Kindred__V1__Catalog **made, struct error *err)
{
	Kindred__V1__Catalog catalog = KINDRED__V1__CATALOG__INIT;
	Google__Protobuf__Timestamp now;
	MDB_val key = text_val(given->name), row;
	MDB_txn *txn = NULL;
	uint32_t number = 0;
	int rc = control_check_catalog(given, err);

	*made = NULL;
	if (rc == 0)
		rc = store_write_begin(control->store, &txn, err);
	if (rc != 0)
		return rc;
	timestamp_set(&now, now_ms);
	catalog.name = given->name;
	catalog.n_attributes = given->n_attributes;
	catalog.attributes = given->attributes;
	catalog.create_time = catalog.update_time = &now;

	rc = mdb_get(txn, control->catalogs, &key, &row);
	if (rc == 0)
		rc = error_set(err, E_EXISTS, "there is a catalog \"%s\" already", given->name);
	else if (rc == MDB_NOTFOUND)
		rc = new_numbers(control, txn, given->name, &number, &catalog.version, err);
	else
		rc = store_error(control->store, rc, err, "catalogs");
	if (rc == 0)
		return write_and_commit(control, txn, number, &catalog, made, err);
	store_write_abort(control->store, txn);
	return rc;
}

int control_catalog_get(struct control *control, const char *name, Kindred__V1__Catalog **catalog, struct error *err)
{
	uint32_t number;
	int rc = store_read_begin(control->store, &control->reader, err);

	*catalog = NULL;
	if (rc != 0)
		return rc;
	rc = control_catalog_read(control, control->reader, name, &number, catalog, err);
	store_read_end(control->store, control->reader);
	return rc;
}

int control_catalog_first_version(struct control *control, const char *name, uint64_t *version, struct error *err)
{
	int rc = name_check("catalog", name, strlen(name), err);

	if (rc == 0)
		rc = store_read_begin(control->store, &control->reader, err);
	if (rc != 0)
		return rc;
	rc = first_version(control, control->reader, name, version, err);
	store_read_end(control->store, control->reader);
	return rc;
}

static int take_catalog(struct control *control, MDB_txn *txn, void *context, const MDB_val *key, const MDB_val *row,
			void **entry, struct error *err)
{
	uint32_t number;

	(void)txn;
	(void)context;
	if (!entry)
		return CONTROL_LIST_TAKEN;
	return catalog_unpack(control, key, row, &number, (Kindred__V1__Catalog **)entry, err);
}

static void release_catalog(void *catalog, ProtobufCAllocator *allocator)
{
	kindred__v1__catalog__free_unpacked(catalog, allocator);
}

int control_catalog_list(struct control *control, const char *after, size_t limit, Kindred__V1__Catalog ***catalogs,
			 size_t *count, bool *more, struct error *err)
{
	const struct control_lister lister = { take_catalog, release_catalog, NULL };
	struct control_list list = { 0 };
	int rc = *after ? name_check("page_token", after, strlen(after), err) : 0;

	*more = false;
	if (rc == 0)
		rc = store_read_begin(control->store, &control->reader, err);
	if (rc == 0) {
		rc = control_list_rows(control, control->reader, control->catalogs, &lister, text_val(after), limit,
				       &list, more, err);
		store_read_end(control->store, control->reader);
	}
	*catalogs = (Kindred__V1__Catalog **)list.entries;
	*count = list.count;
	return rc;
}

/* Appends the attributes that are new; those that are there must have the same type. *added: how many. */
static int merge_attributes(Kindred__V1__Catalog *catalog, Kindred__V1__AttributeSchema **merged, size_t count,
			    Kindred__V1__AttributeSchema **attributes, size_t *added, struct error *err)
{
	struct schema schema;

	*added = 0;
	schema_init(&schema, catalog);
	if (catalog->n_attributes)
		memcpy(merged, catalog->attributes, catalog->n_attributes * sizeof *merged);
	for (size_t i = 0; i < count; i++) {
		size_t place = schema_find(&schema, attributes[i]->name, i);

		if (place != SIZE_MAX && catalog->attributes[place]->type != attributes[i]->type)
			return error_set(
				err, E_INVALID,
				"add_attributes: \"%s\" is %s in catalog \"%s\"; an attribute's type cannot change",
				attributes[i]->name, control_type_name((int)catalog->attributes[place]->type),
				catalog->name);
		if (place != SIZE_MAX)
			continue;
		if (catalog->n_attributes + *added == CONTROL_ATTRIBUTES_MAX)
			return error_set(err, E_INVALID,
					 "add_attributes: with \"%s\" the catalog would have %d attributes; at most %d "
					 "are allowed",
					 attributes[i]->name, CONTROL_ATTRIBUTES_MAX + 1, CONTROL_ATTRIBUTES_MAX);
		merged[catalog->n_attributes + (*added)++] = attributes[i];
	}
	return 0;
}

int control_catalog_add_attributes(struct control *control, const char *name, size_t count,
				   Kindred__V1__AttributeSchema **attributes, int64_t now_ms,
				   Kindred__V1__Catalog **made, struct error *err)
{
	Kindred__V1__AttributeSchema *merged[CONTROL_ATTRIBUTES_MAX];
	Kindred__V1__Catalog *old = NULL, catalog;
	Google__Protobuf__Timestamp now;
	MDB_txn *txn = NULL;
	size_t added = 0;
	uint32_t number;
	int rc = control_check_attributes(count, attributes, err);

	*made = NULL;
	if (rc == 0)
		rc = store_write_begin(control->store, &txn, err);
	if (rc != 0)
		return rc;
	rc = control_catalog_read(control, txn, name, &number, &old, err);
	if (rc == 0)
		rc = merge_attributes(old, merged, count, attributes, &added, err);
	if (rc != 0 || added == 0) {
		store_write_abort(control->store, txn);
		if (rc == 0) {
			*made = old;
			return 0;
		}
	} else {
		timestamp_set(&now, now_ms);
		catalog = *old;
		catalog.attributes = merged;
		catalog.n_attributes += added;
		catalog.version++;
		catalog.update_time = &now;
		rc = write_and_commit(control, txn, number, &catalog, made, err);
	}
	kindred__v1__catalog__free_unpacked(old, NULL);
	return rc;
}

static int refuse_while_used(struct control *control, MDB_txn *txn, const char *name, struct error *err)
{
	char names[256];
	size_t count;
	int rc = control_definitions_using(control, txn, name, names, sizeof names, &count, err);

	if (rc == 0 && count > 0)
		rc = error_set(err, E_PRECONDITION, "catalog \"%s\" is used by %s %s: delete %s first", name,
			       count == 1 ? "definition" : "definitions", names, count == 1 ? "it" : "them");
	return rc;
}

static int drop_catalog(struct control *control, MDB_txn *txn, const char *name, uint64_t version, struct error *err)
{
	char last[META_VERSION_BYTES];
	MDB_val key = text_val(name);
	int rc = refuse_while_used(control, txn, name, err);

	if (rc != 0)
		return rc;
	rc = store_error(control->store, mdb_del(txn, control->catalogs, &key, NULL), err, "catalogs");
	if (rc != 0)
		return rc;
	snprintf(last, sizeof last, "version of %s", name);
	return control_meta_put(control, txn, last, version, err);
}

int control_catalog_delete(struct control *control, const char *name, struct error *err)
{
	Kindred__V1__Catalog *catalog = NULL;
	MDB_txn *txn = NULL;
	uint32_t number;
	int rc = store_write_begin(control->store, &txn, err);

	if (rc != 0)
		return rc;
	rc = control_catalog_read(control, txn, name, &number, &catalog, err);
	if (rc == 0)
		rc = drop_catalog(control, txn, name, catalog->version, err);
	kindred__v1__catalog__free_unpacked(catalog, NULL);
	if (rc != 0) {
		store_write_abort(control->store, txn);
		return rc;
	}
	rc = store_write_commit(control->store, txn, err);
	if (rc == 0)
		control_sweep(control, number);
	return rc;
}
