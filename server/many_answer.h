/*
 * Answers of RecommendMany as bytes: what is said of users who cannot be answered, and an answer cut into several.
 * Pure.
 */
#ifndef KINDRED_SERVER_MANY_ANSWER_H
#define KINDRED_SERVER_MANY_ANSWER_H

#include "server/buffer.h"

#include <stddef.h>
#include <stdint.h>

/*
 * A RecommendManyResponse that says of every user of the request that it could not be answered; an id that is not UTF-8
 * is left out. E_INVALID, E_EXHAUSTED.
 */
int many_answer_failed(struct buffer *answer, const uint8_t *request, size_t bytes, int code, const char *text,
		       size_t text_bytes);
/*
 * Cuts a RecommendManyResponse longer than `most` into several, at the bounds of results; each() gets one
 * after another, in order. What is not a result (generation, definition version) is in each. A single result
 * longer than `most` stays whole. E_INVALID, E_EXHAUSTED.
 */
int many_answer_cut(const uint8_t *answer, size_t bytes, size_t most,
		    void (*each)(void *context, const uint8_t *piece, size_t bytes), void *context);

#endif
