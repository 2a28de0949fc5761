/*
 * The state of the whole server: what the workers said of their shards, put together. Workers send their
 * statistics each second when they have changed; whoever needs them exact (GetStatus, the start of a build)
 * asks all first. A worker that hangs holds nobody up for longer than ROUND_PATIENCE_MS, and it is known then
 * since when it has been silent. Loop thread.
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
/*
 * Asks every worker and further front-end that runs; then done, once: when all have answered, or
 * ROUND_PATIENCE_MS later. What a worker said last stays when it is down or silent. done NULL: nobody
 * waits, but it is known later who did not answer.
 */
void status_ask_all(struct server *server, void (*done)(void *context), void *context);

/* How long it has owed an answer; 0: it answers, as far as is known. Never between 0 and ROUND_PATIENCE_MS. */
uint64_t status_silent_ms(const struct worker *worker);

/* Events ever accepted, and those since the active generation's build began (all, when there is none). */
uint64_t status_accepted(const struct server *server);
uint64_t status_events_since(const struct server *server);
/*
 * Those since the later of the active generation's and of the one's that is held back: what a new build
 * would see anew.
 */
uint64_t status_events_unseen(const struct server *server);
/* Calls the worker has not answered, of all front-ends. */
uint32_t status_worker_calls(const struct worker *worker);
/* Fills the gauges of server->stats. */
void status_gauges(struct server *server);
/* malloc'ed; free with kindred__v1__get_status_response__free_unpacked. NULL: no memory. */
Kindred__V1__GetStatusResponse *status_message(struct server *server);

/* Handler (methods.c) */
void status_get(struct call *call, const uint8_t *data, size_t bytes);

#endif
