/*
 * CatalogService, the items: import, read, change, delete. Every call is a job on the control lane; workers
 * that serve a model are told of each change before the client is answered, so that its next recommendation
 * knows it.
 *
 * Handlers of the methods table (server/call.h). Loop thread.
 */
#ifndef KINDRED_SERVER_ITEMS_H
#define KINDRED_SERVER_ITEMS_H

#include "server/call.h"

/* A stream: one answer per batch, after its flush. */
void items_import(struct call *call, const uint8_t *data, size_t bytes);
void items_get(struct call *call, const uint8_t *data, size_t bytes);
void items_list(struct call *call, const uint8_t *data, size_t bytes);
void items_update(struct call *call, const uint8_t *data, size_t bytes);
void items_delete(struct call *call, const uint8_t *data, size_t bytes);

#endif
