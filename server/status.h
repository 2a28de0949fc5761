/*
 * The state of the whole server: what the workers said of their shards, put together. Workers send their
 * statistics each second; whoever needs them exact (GetStatus, the start of a build) asks all first. Loop
 * thread.
 */
#ifndef KINDRED_SERVER_STATUS_H
#define KINDRED_SERVER_STATUS_H

#include "kindred/v1/status.pb-c.h"
#include "server/call.h"

#include <stddef.h>
#include <stdint.h>

struct server;
struct worker;

struct shard_status {
	uint64_t users, accepted, kept, duplicates, dropped, refused, bytes;
	int64_t newest_event_ms; /* INT64_MIN: none */
};

/* A worker's FRAME_STATS. */
void status_update(struct worker *worker, const uint8_t *data, size_t bytes);
/* Asks every worker that runs; then done, once, later. What a worker that is down said last stays. */
void status_ask_all(struct server *server, void (*done)(void *context), void *context);

/* Events ever accepted, and those since the active generation's build began (all, when there is none). */
uint64_t status_accepted(const struct server *server);
uint64_t status_events_since(const struct server *server);
/* Those since the later of the active generation's and of the one's that is held back: what a new build would see anew. */
uint64_t status_events_unseen(const struct server *server);
/* Fills the gauges of server->stats. */
void status_gauges(struct server *server);
/* malloc'ed; free with kindred__v1__get_status_response__free_unpacked. NULL: no memory. */
Kindred__V1__GetStatusResponse *status_message(struct server *server);

/* Handler (methods.c) */
void status_get(struct call *call, const uint8_t *data, size_t bytes);

#endif
