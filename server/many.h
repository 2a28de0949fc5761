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

#include "server/buffer.h"
#include "server/call.h"

/* Handlers (methods.c) */
void many_message(struct call *call, const uint8_t *data, size_t bytes);
void many_stop(struct call *call);
void many_room(struct call *call);
void many_release(struct call *call);

/* Pure; tests. */
/*
 * A RecommendManyResponse that says of every user of the request that it could not be answered; an id that is not UTF-8
 * is left out. E_INVALID, E_EXHAUSTED.
 */
int many_failed(struct buffer *answer, const uint8_t *request, size_t bytes, int code, const char *text,
		size_t text_bytes);
/*
 * Cuts a RecommendManyResponse longer than `most` into several, at the bounds of results; each() gets one
 * after another, in order. What is not a result (generation, definition version) is in each. A single result
 * longer than `most` stays whole. E_INVALID, E_EXHAUSTED.
 */
int many_cut(const uint8_t *answer, size_t bytes, size_t most,
	     void (*each)(void *context, const uint8_t *piece, size_t bytes), void *context);

#endif
