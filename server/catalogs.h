/*
 * CatalogService, the catalogs: their schemas in the control store (items.c has the items). Every change is
 * on disk, and has been sent to the workers, before the client is answered: the client's next call sees it.
 * Handlers run on the loop, the store's part on its lane.
 */
#ifndef KINDRED_SERVER_CATALOGS_H
#define KINDRED_SERVER_CATALOGS_H

#include "server/call.h"

/* Handlers (methods.c) */
void catalogs_create(struct call *call, const uint8_t *data, size_t bytes);
void catalogs_get(struct call *call, const uint8_t *data, size_t bytes);
void catalogs_list(struct call *call, const uint8_t *data, size_t bytes);
void catalogs_update(struct call *call, const uint8_t *data, size_t bytes);
void catalogs_delete(struct call *call, const uint8_t *data, size_t bytes);

#endif
