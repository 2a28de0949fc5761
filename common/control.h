/*
 * The control store: catalogs, their items, and definitions, in the LMDB environment <data>/control. The server is its
 * only writer (its catalog thread); the builder reads. Values are protobuf messages of kindred.v1, packed.
 *
 * Databases: "catalogs" name -> Catalog; "items" (catalog number, item key; big endian) -> Item; "changes" (catalog number, version; big
 * endian) -> item key, the newest change of each item only; "definitions" (name, 0, version big endian) -> Definition;
 * "newest" name -> version.
 *
 * Everything given is checked here (ids, UTF-8, sizes, types against the schema, filters by common/filter.h), once.
 */
#ifndef KINDRED_CONTROL_H
#define KINDRED_CONTROL_H

#include "common/error.h"
#include "common/ids.h"
#include "kindred/v1/catalogs.pb-c.h"
#include "kindred/v1/definitions.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

struct control;

/* path: <data>/control; made when missing unless read_only. */
int control_open(struct control **control, const char *path, uint64_t map_bytes, bool read_only, struct error *err);
void control_close(struct control *control);

/*
 * Every call below is one transaction of its own, and may be called from any one thread at a time. Messages returned are
 * unpacked from `allocator` (NULL: malloc; free with the message's *__free_unpacked).
 */
int control_catalog_create(struct control *control, const Kindred__V1__Catalog *catalog, int64_t now_ms,
			   Kindred__V1__Catalog **made, struct error *err);
int control_catalog_get(struct control *control, const char *name, Kindred__V1__Catalog **catalog, struct error *err);
/* Up to limit names after `after` ("" from the start), in order. *more: whether there are others. */
int control_catalog_list(struct control *control, const char *after, size_t limit, Kindred__V1__Catalog ***catalogs,
			 size_t *count, bool *more, struct error *err);
int control_catalog_add_attributes(struct control *control, const char *name, size_t count,
				   Kindred__V1__AttributeSchema **attributes, int64_t now_ms,
				   Kindred__V1__Catalog **catalog, struct error *err);
int control_catalog_delete(struct control *control, const char *name, struct error *err);

/* What happened to one item of a batch. */
enum control_change { CONTROL_UNCHANGED, CONTROL_CREATED, CONTROL_UPDATED, CONTROL_REFUSED };

/* Creates or replaces items; one transaction, one flush. changes[i] and, for refused ones, reasons[i] (caller frees each with free()); versions in items[i]->version are set. */
int control_items_put(struct control *control, const char *catalog, size_t count, Kindred__V1__Item **items,
		      int64_t now_ms, enum control_change *changes, char **reasons, struct error *err);
int control_item_get(struct control *control, const char *catalog, const char *item_id, Kindred__V1__Item **item,
		     struct error *err);
/* By key; used to give histories their names. *catalog_name lives as long as the control store. E_NOT_FOUND: no catalog has it. */
int control_item_find(struct control *control, struct item_key key, Kindred__V1__Item **item, const char **catalog_name,
		      struct error *err);
/* In key order after key `after` (0 from the start). */
int control_item_list(struct control *control, const char *catalog, struct item_key after, size_t limit,
		      Kindred__V1__Item ***items, size_t *count, bool *more, struct error *err);
int control_item_update(struct control *control, const Kindred__V1__UpdateItemRequest *request, int64_t now_ms,
			Kindred__V1__Item **item, struct error *err);
/* *version: the catalog's version of the deletion. */
int control_item_delete(struct control *control, const char *catalog, const char *item_id, int64_t now_ms,
			uint64_t *version, struct error *err);

/*
 * Items of a catalog whose newest change is after `version`, in order of version, at most `limit`; item is NULL for a deleted one. each()
 * returning non-zero stops. *last: version of the last one given.
 */
int control_changes(struct control *control, const char *catalog, uint64_t version, size_t limit,
		    int (*each)(void *context, struct item_key key, uint64_t version, const Kindred__V1__Item *item),
		    void *context, uint64_t *last, struct error *err);

/*
 * All items of a catalog from one snapshot, with the catalog as it was in that snapshot. For the builder. each() gets an item that lives only
 * during the call. *catalog is given before the first item is.
 */
int control_items_scan(struct control *control, const char *name, Kindred__V1__Catalog **catalog,
		       int (*each)(void *context, struct item_key key, const Kindred__V1__Item *item), void *context,
		       struct error *err);

/* Compiles the filter and checks everything else; *made carries version and times. */
int control_definition_create(struct control *control, const Kindred__V1__Definition *definition, int64_t now_ms,
			      Kindred__V1__Definition **made, struct error *err);
int control_definition_update(struct control *control, const Kindred__V1__Definition *definition, int64_t now_ms,
			      Kindred__V1__Definition **made, struct error *err);
/* version 0: the newest */
int control_definition_get(struct control *control, const char *name, uint64_t version,
			   Kindred__V1__Definition **definition, struct error *err);
int control_definition_list(struct control *control, const char *after, size_t limit,
			    Kindred__V1__Definition ***definitions, size_t *count, bool *more, struct error *err);
int control_definition_delete(struct control *control, const char *name, struct error *err);

#endif
