/*
 * DefinitionService: definitions in the control store. As with catalogs, a change is on disk and has been
 * sent to the workers before the client is answered. Handlers run on the loop, the store's part on its lane.
 */
#ifndef KINDRED_SERVER_DEFINITIONS_H
#define KINDRED_SERVER_DEFINITIONS_H

#include "server/call.h"

/* Handlers (methods.c) */
void definitions_create(struct call *call, const uint8_t *data, size_t bytes);
void definitions_get(struct call *call, const uint8_t *data, size_t bytes);
void definitions_list(struct call *call, const uint8_t *data, size_t bytes);
void definitions_update(struct call *call, const uint8_t *data, size_t bytes);
void definitions_delete(struct call *call, const uint8_t *data, size_t bytes);

#endif
