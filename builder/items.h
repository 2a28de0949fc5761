/*
 * A catalog's items for the model: a snapshot of the control store as columns, at first in the order of their keys
 * ("slots"), then, when the events are counted, in rows by popularity.
 *
 * Call order: items_load -> items_slot.. (any thread) -> items_order -> items_bind -> .. -> items_free. One thread
 * but for items_slot. items.c loads and frees, items_order.c does the rest.
 */
#ifndef KINDRED_BUILDER_ITEMS_H
#define KINDRED_BUILDER_ITEMS_H

#include "builder/dictionary.h"
#include "builder/space.h"
#include "common/control.h"
#include "common/model.h"

/* Texts behind each other: uint64_t[count + 1] offsets, and the bytes. */
struct item_texts {
	struct pile offsets, bytes;
};

struct item_column {
	char *name;
	enum value_type type;
	struct pile values; /* number, boolean, timestamp: as in the model; string: codes; list: codes of all */
	struct pile list_offsets; /* uint64_t[count + 1], lists only */
	struct dictionary dictionary; /* strings and lists */
};

struct items {
	struct space *space;
	char *catalog;
	uint64_t version; /* of the catalog in the snapshot */
	uint64_t first_version; /* control_catalog_first_version's */
	uint32_t count;
	uint32_t column_count;
	struct item_column *columns;
	struct pile keys; /* uint64_t[count] */
	struct pile versions; /* uint64_t[count]: the catalog's when the item last changed */
	struct pile hidden; /* uint8_t[count] */
	struct item_texts ids, names, images;
	struct model_place *index; /* model_index_make of keys; of slots, after items_order of rows */
	uint32_t index_mask;
};

/*
 * A catalog that is not there any more was deleted since the plan was made: it is as one without items, so that a
 * build for the others goes on. items is to be freed after an error too.
 */
int items_load(struct items *items, struct space *space, struct control *control, const char *catalog,
	       struct error *err);
void items_free(struct items *items);

/* MODEL_NO_ROW: not in the catalog. */
static inline uint32_t items_slot(const struct items *items, uint64_t key)
{
	return model_index_row(items->index, items->index_mask, key);
}

/* Of one value in a column of the type; 0: lists, which have offsets. */
size_t items_value_bytes(enum value_type type);

/*
 * Puts the items in rows: most events first, then by key. events: [count], by slot. *row_of: uint32_t[count], the row
 * of each slot, malloced for the caller.
 */
int items_order(struct items *items, const uint64_t *events, uint32_t threads, uint32_t **row_of, struct error *err);

/* Points the model's catalog at the columns; its attributes array is malloced, its names are the items' own. */
int items_bind(const struct items *items, struct model_catalog *catalog, struct error *err);

#endif
