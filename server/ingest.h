/*
 * IngestEvents and IngestEventStream: a batch is split by worker, and the workers' outcomes and refusals are
 * merged back into the order of the request; when one worker has all of it, its answer's bytes are passed
 * through. A stream's batches are in work beside each other, and answered in their order. When a worker dies
 * with a part of a batch, the call ends with UNAVAILABLE: sent again, event ids make it count once.
 */
#ifndef KINDRED_SERVER_INGEST_H
#define KINDRED_SERVER_INGEST_H

#include "server/buffer.h"
#include "server/call.h"

/* Handlers (methods.c), for both methods */
void ingest_message(struct call *call, const uint8_t *data, size_t bytes);
void ingest_stop(struct call *call);
void ingest_release(struct call *call);

/* Pure; tests. One worker's share of a batch and its IngestEventsResponse. */
struct ingest_share {
	const uint32_t *indexes; /* [count]: the request's numbers of its events */
	uint32_t count;
	const uint8_t *answer;
	size_t answer_bytes;
};
/*
 * Adds the merged IngestEventsResponse to `answer`: an outcome for each of `events` events, refusals by
 * rising index. E_INTERNAL: a share's answer is not of its events (malformed, or another number of outcomes);
 * E_EXHAUSTED.
 */
int ingest_merge(const struct ingest_share *shares, size_t share_count, uint32_t events, struct buffer *answer,
		 struct error *err);

#endif
