/*
 * Kindred's API for tests: calls that a test expects to succeed, and fail it with the error's text when they do not.
 * Messages returned are freed with the message's own *__free_unpacked(message, NULL).
 */
#ifndef KINDRED_TEST_API_H
#define KINDRED_TEST_API_H

#include "common/rpc/client.h"
#include "kindred/v1/events.pb-c.h"
#include "kindred/v1/models.pb-c.h"
#include "kindred/v1/recommend.pb-c.h"
#include "kindred/v1/status.pb-c.h"
#include "lib/cluster.h"

#include <stdint.h>

/* How long an answer is waited for that comes: only a failure takes it. */
#define API_PATIENCE_MS 120000

/* A client of the cluster's address. */
struct rpc_client *api_open(const struct cluster *cluster);

/* One call; the code is returned, the answer (NULL on error) is *response, which is of the method's type. */
int api_try(struct rpc_client *client, const char *method, const ProtobufCMessage *request,
	    const ProtobufCMessageDescriptor *type, void *response, struct error *err);

Kindred__V1__RecommendResponse *api_recommend(struct rpc_client *client, const char *definition, const char *user,
					      uint32_t count);
/* Whether two answers have the same items, scores and sources in the same order. */
bool api_same_items(const Kindred__V1__RecommendResponse *a, const Kindred__V1__RecommendResponse *b);
/* Position of the item in the answer, -1: not there. */
int api_position(const Kindred__V1__RecommendResponse *answer, const char *item_id);

/* A stream of RecommendMany, and a message on it, of whose answer nothing is waited for. */
struct rpc_stream *api_open_many(struct rpc_client *client);
void api_send_many(struct rpc_stream *stream, const char *definition, char **users, size_t user_count, uint32_t count,
		   bool with_names);

/* One event, now; returns its outcome. event_id may be NULL. */
Kindred__V1__Outcome api_ingest(struct rpc_client *client, const char *catalog, const char *user, const char *item,
				const char *type, const char *event_id);
/* The code of ingesting it, for tests in which the worker may be away. */
int api_try_ingest(struct rpc_client *client, const char *catalog, const char *user, const char *item, const char *type,
		   const char *event_id, Kindred__V1__Outcome *outcome);

Kindred__V1__GetStatusResponse *api_status(struct rpc_client *client);
/* Sums over all shards, with no worker's figures older than the call. */
struct api_totals {
	uint64_t users, accepted, kept, duplicates, dropped, refused;
};
struct api_totals api_totals(struct rpc_client *client);

uint64_t api_active_generation(struct rpc_client *client);
/* Events of a user's history. */
uint32_t api_history_size(struct rpc_client *client, const char *user);

#endif
