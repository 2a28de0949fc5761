/*
 * The edge for events: what a batch must look like, and what is refused and why. After this, nobody checks
 * an event again.
 *
 * ingest_head runs on the loop thread: it needs the table of catalogs, and its count bounds the writer's
 * queue. The events themselves are read on the writer thread, so that a batch of 10,000 (some milliseconds)
 * delays no recommendation. Both are pure.
 */
#ifndef KINDRED_WORKER_INGEST_H
#define KINDRED_WORKER_INGEST_H

#include "common/arena.h"
#include "common/error.h"
#include "common/shard.h"
#include "worker/decode.h"

#include <stdint.h>

#define INGEST_EVENTS_MAX 10000
#define INGEST_PROPERTIES_MAX 32
#define INGEST_PROPERTY_MAX 256 /* bytes of a name or a value */
#define INGEST_WEIGHT_MAX 1e6f

/*
 * Finds catalog and number of events of a packed kindred.v1.IngestEventsRequest. E_INVALID: not such a
 * message, not 1 to 10,000 events, or no catalog; then nothing of it is taken.
 */
int ingest_head(const void *payload, size_t bytes, struct text_view *catalog, uint32_t *events, struct error *err);

/*
 * The events of a batch, one after the other, as views of its bytes: 1 and *message, or 0 at the end.
 * cursor: decode_start() over the payload that ingest_head took.
 */
int ingest_next(struct wire_cursor *cursor, struct text_view *message);

/*
 * Reads and checks one kindred.v1.Event. now_ms: when the batch arrived, the time of events that carry
 * none. *event points into the message and the arena (properties). E_INVALID: refused; the text is for the
 * Refusal; event->user is set as far as it was readable. E_EXHAUSTED: the arena is.
 */
int ingest_event(struct text_view message, struct catalog_seed seed, int64_t now_ms, struct arena *arena,
		 struct shard_event *event, struct error *err);

#endif
