/*
 * RecommendAudience: the workers walk through their shards, each portion of theirs goes out as one response as it
 * comes, with a cursor behind it. Results are passed on as bytes. Loop thread.
 *
 *     request or cursor -> what it is pinned to (generation, definition version, as_of) -> generation held and at
 *     hand -> a walk for each run of shards, on the worker that has it -> portions -> OK
 *
 * Flow control: AUDIENCE_ASKED portions of a walk are asked for at once, and none while AUDIENCE_UNSENT
 * bytes wait for the client, or more than call_unsent_max. A worker that dies, and a server that stops,
 * end the call with UNAVAILABLE; the last cursor goes on exactly behind the last response.
 */
#ifndef KINDRED_SERVER_AUDIENCE_H
#define KINDRED_SERVER_AUDIENCE_H

#include "server/call.h"

/* Handlers (methods.c) */
void audience_message(struct call *call, const uint8_t *data, size_t bytes);
void audience_stop(struct call *call);
void audience_room(struct call *call);
void audience_release(struct call *call);

#endif
