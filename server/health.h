/*
 * grpc.health.v1: https://github.com/grpc/grpc/blob/master/doc/health-checking.md. Every service we have, and
 * "" for the whole server, share one state: SERVING from the moment that all workers are up until the server
 * drains. Loop thread.
 */
#ifndef KINDRED_SERVER_HEALTH_H
#define KINDRED_SERVER_HEALTH_H

#include "server/call.h"

#include <stdbool.h>

struct health_watcher;

struct health {
	bool serving;
	struct health_watcher *watchers;
};

/* Tells all watchers. */
void health_set(struct health *health, bool serving);
/* Ends all watches: they would otherwise hold up a stop. */
void health_stop(struct health *health);

/* Handlers (methods.c) */
void health_check(struct call *call, const uint8_t *data, size_t bytes);
void health_watch(struct call *call, const uint8_t *data, size_t bytes);
void health_watch_stop(struct call *call);

#endif
