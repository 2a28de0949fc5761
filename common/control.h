/*
 * The control store: catalogs, their items, and definitions, in the LMDB environment <data>/control. The server is its
 * only writer (its catalog thread); the builder reads. Values are protobuf messages of kindred.v1, packed.
 *
 * Databases (numbers big endian): "catalogs" name -> number (4 bytes), Catalog; "items" (catalog
 * number, item key) -> version (8 bytes), Item; "changes" (catalog number, version) -> item key, the
 * newest change of each item only, deletions too; "deleted" (catalog number, item key) -> version of
 * the deletion; "definitions" (name, 0, version) -> Definition; "newest" name -> version, 1 or 0 when
 * deleted; "meta".
 *
 * Everything given is checked here (ids, UTF-8, sizes, types against the schema, filters by
 * common/filter.h), once. A catalog's version rises by one with each changed item and each schema
 * change; an item's version is the catalog's of its last change, so no two changes of a catalog have
 * the same. Nothing compiled against a schema gets stale by a change: schemas only grow, at their end,
 * and attribute numbers stay. Versions of catalogs and definitions go on where they ended when one is
 * deleted and made again.
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

/*
 * path: <data>/control; made when missing unless read_only. E_NOT_FOUND: read only, and nothing there
 * yet. E_UNIMPLEMENTED: a newer format. Else as store_open. map_bytes: largest size of the file
 * (address space), for the writer, from shard_map_gb; about 400 bytes an item of five attributes are
 * needed.
 */
int control_open(struct control **control, const char *path, uint64_t map_bytes, bool read_only, struct error *err);
void control_close(struct control *control);

/*
 * Every call below is one transaction of its own, and may be made from one thread at a time, not from
 * within each(). Messages returned are malloced, the caller's: kindred__v1__*__free_unpacked(message,
 * NULL); of lists also the array: free(). On an error nothing is changed and NULL is returned. Errors
 * of all: E_INVALID (field, value, what is allowed), E_NOT_FOUND, E_EXHAUSTED (disk, map, memory),
 * E_DATA_LOSS.
 */
/* name and attributes are read. E_EXISTS. */
int control_catalog_create(struct control *control, const Kindred__V1__Catalog *catalog, int64_t now_ms,
			   Kindred__V1__Catalog **made, struct error *err);
int control_catalog_get(struct control *control, const char *name, Kindred__V1__Catalog **catalog, struct error *err);
/*
 * The version that the catalog of this name was made with, or will be. What has a smaller one, a model or a change,
 * is of a catalog of the same name that was deleted. (Times do not tell: clocks are set back.)
 */
int control_catalog_first_version(struct control *control, const char *name, uint64_t *version, struct error *err);
/* Up to limit names after `after` ("" from the start), in order. *more: whether there are others. */
int control_catalog_list(struct control *control, const char *after, size_t limit, Kindred__V1__Catalog ***catalogs,
			 size_t *count, bool *more, struct error *err);
/* Those that are there with the same type are fine; when all are, nothing changes. */
int control_catalog_add_attributes(struct control *control, const char *name, size_t count,
				   Kindred__V1__AttributeSchema **attributes, int64_t now_ms,
				   Kindred__V1__Catalog **catalog, struct error *err);
/*
 * E_PRECONDITION: definitions use it; the text names them. Its items are gone at once; their rows are
 * removed in portions (0.6 s for a million).
 */
int control_catalog_delete(struct control *control, const char *name, struct error *err);

/* What happened to one item of a batch. */
enum control_change { CONTROL_UNCHANGED, CONTROL_CREATED, CONTROL_UPDATED, CONTROL_REFUSED };

/*
 * Creates or replaces 1 to 10,000 items; one transaction, one flush. changes[i] and, for refused ones,
 * reasons[i] (caller frees each with free(); NULL for the others); versions in items[i]->version are
 * set, and attributes are put into the schema's order. An item that is as it was keeps its version. Of
 * two items with one id the later one wins.
 */
int control_items_put(struct control *control, const char *catalog, size_t count, Kindred__V1__Item **items,
		      int64_t now_ms, enum control_change *changes, char **reasons, struct error *err);
int control_item_get(struct control *control, const char *catalog, const char *item_id, Kindred__V1__Item **item,
		     struct error *err);
/*
 * By key; used to give histories their names. *catalog_name lives as long as the control store.
 * E_NOT_FOUND: no catalog has it.
 */
int control_item_find(struct control *control, struct item_key key, Kindred__V1__Item **item, const char **catalog_name,
		      struct error *err);
/* In key order after key `after` (0 from the start). */
int control_item_list(struct control *control, const char *catalog, struct item_key after, size_t limit,
		      Kindred__V1__Item ***items, size_t *count, bool *more, struct error *err);
/* Nothing changes, the version neither, when the item is as wanted already. */
int control_item_update(struct control *control, const Kindred__V1__UpdateItemRequest *request, int64_t now_ms,
			Kindred__V1__Item **item, struct error *err);
/* *version: the catalog's version of the deletion. */
int control_item_delete(struct control *control, const char *catalog, const char *item_id, int64_t now_ms,
			uint64_t *version, struct error *err);

/*
 * Items of a catalog whose newest change is after `version`, in order of version, at most `limit`; item
 * is NULL for a deleted one, and lives only during the call. each() returning non-zero stops the walk
 * with that value. *last: version of the last one given; `version` when there was none.
 */
int control_changes(struct control *control, const char *catalog, uint64_t version, size_t limit,
		    int (*each)(void *context, struct item_key key, uint64_t version, const Kindred__V1__Item *item),
		    void *context, uint64_t *last, struct error *err);

/*
 * All items of a catalog from one snapshot, with the catalog as it was in that snapshot. For the
 * builder. each() gets an item that lives only during the call; returning non-zero stops the scan with
 * that value. *catalog is given before the first item is, and is the caller's, after an error too (NULL
 * when it was not found). A million items take half a second.
 */
int control_items_scan(struct control *control, const char *name, Kindred__V1__Catalog **catalog,
		       int (*each)(void *context, struct item_key key, const Kindred__V1__Item *item), void *context,
		       struct error *err);

/* Compiles the filter and checks everything else; *made carries version and times. */
int control_definition_create(struct control *control, const Kindred__V1__Definition *definition, int64_t now_ms,
			      Kindred__V1__Definition **made, struct error *err);
/* A new version; older ones can still be read. An empty catalog is the one it has; another one is E_INVALID. */
int control_definition_update(struct control *control, const Kindred__V1__Definition *definition, int64_t now_ms,
			      Kindred__V1__Definition **made, struct error *err);
/* version 0: the newest */
int control_definition_get(struct control *control, const char *name, uint64_t version,
			   Kindred__V1__Definition **definition, struct error *err);
int control_definition_list(struct control *control, const char *after, size_t limit,
			    Kindred__V1__Definition ***definitions, size_t *count, bool *more, struct error *err);
/* With all versions. */
int control_definition_delete(struct control *control, const char *name, struct error *err);

#endif
