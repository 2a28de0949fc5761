/*
 * ModelService: builds, generations, which one serves. The work is done by builds.c and swap.c; here are the
 * calls. Loop thread, files on the model lane.
 */
#ifndef KINDRED_SERVER_MODELS_H
#define KINDRED_SERVER_MODELS_H

#include "server/call.h"

/* Handlers (methods.c) */
void models_build(struct call *call, const uint8_t *data, size_t bytes);
void models_list(struct call *call, const uint8_t *data, size_t bytes);
void models_activate(struct call *call, const uint8_t *data, size_t bytes);
void models_rollback(struct call *call, const uint8_t *data, size_t bytes);
void models_status(struct call *call, const uint8_t *data, size_t bytes);

#endif
