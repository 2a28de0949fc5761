/*
 * What the parts of the control store share; common/control.h is its door.
 *
 *     control.c              opening, rows, lists
 *     control_catalogs.c     catalogs
 *     control_items.c        changing items
 *     control_read.c         reading items
 *     control_definitions.c  definitions
 *     control_check.c        what is allowed; pure
 */
#ifndef KINDRED_CONTROL_PRIVATE_H
#define KINDRED_CONTROL_PRIVATE_H

#include "common/control.h"
#include "common/store.h"

#include <string.h>

#define CONTROL_FORMAT 1u
#define CONTROL_ATTRIBUTES_MAX 200
#define CONTROL_BATCH_MAX 10000

struct control_name {
	struct control_name *next;
	char text[];
};

struct control {
	struct store *store;
	MDB_txn *reader; /* renewed by every read */
	MDB_dbi meta, catalogs, items, changes, deleted, definitions, newest;
	struct control_name *names; /* of catalogs, given out by control_item_find */
};

/* --- rows: numbers are big endian in keys and values --- */

static inline void put_u32(uint8_t *at, uint32_t value)
{
	for (int i = 3; i >= 0; i--, value >>= 8)
		at[i] = (uint8_t)value;
}

static inline void put_u64(uint8_t *at, uint64_t value)
{
	for (int i = 7; i >= 0; i--, value >>= 8)
		at[i] = (uint8_t)value;
}

static inline uint32_t get_u32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline uint64_t get_u64(const uint8_t *at)
{
	return (uint64_t)get_u32(at) << 32 | get_u32(at + 4);
}

/* The key of "items" and "deleted" (number: an item's key) and of "changes" (number: a version). */
struct row_key {
	uint8_t bytes[12];
};

static inline struct row_key row_key(uint32_t catalog, uint64_t number)
{
	struct row_key key;

	put_u32(key.bytes, catalog);
	put_u64(key.bytes + 4, number);
	return key;
}

#define ITEM_HEAD 8u /* an "items" row is the item's version and the packed Item, whose own version is 0 */
#define CATALOG_HEAD 4u /* a "catalogs" row is the catalog's number and the packed Catalog */

static inline MDB_val text_val(const char *text)
{
	return (MDB_val){ strlen(text), (char *)text };
}

/* Makes a row of `head_bytes` bytes of head and the packed message; *row is malloced. */
int control_pack(const ProtobufCMessage *message, const void *head, size_t head_bytes, MDB_val *row, struct error *err);

/* The catalog as the transaction sees it; E_NOT_FOUND: there is none. Free with kindred__v1__catalog__free_unpacked. */
int control_catalog_read(struct control *control, MDB_txn *txn, const char *name, uint32_t *number,
			 Kindred__V1__Catalog **catalog, struct error *err);
int control_catalog_write(struct control *control, MDB_txn *txn, uint32_t number, const Kindred__V1__Catalog *catalog,
			  struct error *err);
/* An item from its row; allocator NULL: malloc. E_DATA_LOSS. */
int control_item_unpack(const struct control *control, const MDB_val *row, ProtobufCAllocator *allocator,
			Kindred__V1__Item **item, struct error *err);
/* "a, b, c and 4 more": the definitions that use the catalog. *count 0: none. */
int control_definitions_using(struct control *control, MDB_txn *txn, const char *catalog, char *names, size_t bytes,
			      size_t *count, struct error *err);

int control_meta_get(struct control *control, MDB_txn *txn, const char *name, uint64_t *value, struct error *err);
int control_meta_put(struct control *control, MDB_txn *txn, const char *name, uint64_t value, struct error *err);
/* Removes the rows of a catalog that is gone. */
void control_sweep(struct control *control, uint32_t number);

/* --- lists --- */

struct control_list {
	void **entries; /* malloced */
	size_t count, room;
};

enum { CONTROL_LIST_TAKEN = 0, CONTROL_LIST_SKIP = 1, CONTROL_LIST_END = 2 };

struct control_lister {
	/* Makes an entry of a row. entry NULL: the list is full, only whether this row would be taken is asked. */
	int (*take)(struct control *control, MDB_txn *txn, void *context, const MDB_val *key, const MDB_val *row,
		    void **entry, struct error *err);
	void (*release)(void *entry, ProtobufCAllocator *allocator);
	void *context;
};

/*
 * Up to limit entries after the key `after` (empty: from the start). *more: there are others. The list
 * is empty after an error.
 */
int control_list_rows(struct control *control, MDB_txn *txn, MDB_dbi dbi, const struct control_lister *lister,
		      MDB_val after, size_t limit, struct control_list *list, bool *more, struct error *err);

static inline void timestamp_set(Google__Protobuf__Timestamp *timestamp, int64_t time_ms)
{
	google__protobuf__timestamp__init(timestamp);
	timestamp->seconds = time_ms / 1000;
	timestamp->nanos = (int32_t)(time_ms % 1000) * 1000000;
}

/* --- control_check.c --- */

/* "a string" */
const char *control_type_name(int type);
int control_check_attributes(size_t count, Kindred__V1__AttributeSchema *const *attributes, struct error *err);
int control_check_catalog(const Kindred__V1__Catalog *catalog, struct error *err);
/* catalog: the one that the definition names. */
int control_check_definition(const Kindred__V1__Definition *definition, const Kindred__V1__Catalog *catalog,
			     struct error *err);

/* Finds attributes of a schema by name. Refers to the catalog, which must outlive it. */
struct schema {
	const Kindred__V1__Catalog *catalog;
	uint16_t by_name[CONTROL_ATTRIBUTES_MAX];
};
void schema_init(struct schema *schema, const Kindred__V1__Catalog *catalog);
/* `hint`: where it may well be. SIZE_MAX: there is none of that name. */
size_t schema_find(const struct schema *schema, const char *name, size_t hint);

/* Checks an item, and puts its attributes into the schema's order. The text does not name the item. */
int control_check_item(const struct schema *schema, Kindred__V1__Item *item, struct error *err);

#endif
