/*
 * RecommendMany: messages of many users come in, are split by worker, and the workers' answers go out as they
 * come. Loop thread.
 *
 * A part has as many users as a quarter of a megabyte of answers is of, and an answer that is larger yet is cut: so
 * what waits for a client is bounded, and no answer outgrows what clients take. Workers are asked only as far as the
 * client reads. Users whose worker is down, overloaded or late come back as results with an error_code; any other
 * error (no such definition) ends the stream with it.
 */
#ifndef KINDRED_SERVER_MANY_H
#define KINDRED_SERVER_MANY_H

#include "server/call.h"

/* Handlers (methods.c) */
void many_message(struct call *call, const uint8_t *data, size_t bytes);
void many_stop(struct call *call);
void many_room(struct call *call);
void many_release(struct call *call);

#endif
