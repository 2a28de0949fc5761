/*
 * Takes a kindred.v1.ImportItemsRequest apart, item by item, so that one item that cannot be read (a
 * text that is not UTF-8, a NUL byte in it, a nested message that is malformed) is refused alone and
 * its neighbours are taken. What the items say is checked by common/control.h.
 *
 * Pure; any thread.
 */
#ifndef KINDRED_SERVER_IMPORT_BATCH_H
#define KINDRED_SERVER_IMPORT_BATCH_H

#include "common/arena.h"
#include "common/error.h"
#include "kindred/v1/catalogs.pb-c.h"

#include <stddef.h>
#include <stdint.h>

#define IMPORT_BATCH_MAX 10000

/* One item of the request that cannot be read. */
struct import_refusal {
	uint32_t index; /* in the request */
	const char *item_id; /* "": that neither */
	const char *reason;
};

/* Everything is in the arena. */
struct import_batch {
	const char *catalog; /* "": missing */
	uint64_t number; /* the caller's, of this batch */
	size_t count; /* items of the request */
	Kindred__V1__Item **items; /* those that can be read, in order */
	uint32_t *indexes; /* of each of them in the request */
	size_t readable;
	struct import_refusal *refusals; /* in order; count - readable of them */
};

/* E_INVALID: the request as a whole cannot be read, or has not 1 to 10,000 items. E_EXHAUSTED: the arena is. */
int import_batch_read(struct import_batch *batch, const uint8_t *request, size_t bytes, struct arena *arena,
		      struct error *err);

#endif
