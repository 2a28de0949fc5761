/*
 * Calls about one user: the request's bytes go to the worker that owns the user, its answer's bytes are the
 * reply. Of the request only the user id is read. Loop thread.
 */
#ifndef KINDRED_SERVER_ROUTE_H
#define KINDRED_SERVER_ROUTE_H

#include "server/call.h"

/* Handlers (methods.c) */
void route_recommend(struct call *call, const uint8_t *data, size_t bytes);
void route_recommend_release(struct call *call);
void route_list_events(struct call *call, const uint8_t *data, size_t bytes);
void route_delete_user(struct call *call, const uint8_t *data, size_t bytes);
void route_stop(struct call *call);

#endif
