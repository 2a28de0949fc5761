/*
 * What a RecommendAudience call asks for, read and checked: from its request, and when it continues another call
 * from the cursor. Pure.
 */
#ifndef KINDRED_SERVER_AUDIENCE_REQUEST_H
#define KINDRED_SERVER_AUDIENCE_REQUEST_H

#include "server/audience_cursor.h"

#include <stdbool.h>

struct audience_request {
	const char *definition; /* in the request's bytes; not NUL-terminated */
	size_t definition_bytes;
	/*
	 * generation and as_of_ms: the request's or the cursor's; 0 and -1 when neither says. The rest is zero
	 * when there is no cursor, but for the hash.
	 */
	struct audience_cursor pinned;
	/* A user's newest event up to as_of must be older than this, and not older than that; 0: any. */
	int64_t inactive_ms, active_ms;
	bool continues;
	struct audience_range *ranges; /* malloc'ed; those still to come, when it continues another call */
	size_t range_count;
};

/* shards: of the data directory. E_INVALID, E_PRECONDITION, E_EXHAUSTED; nothing is to be freed then. */
int audience_request_read(const uint8_t *bytes, size_t size, uint32_t shards, struct audience_request *request,
			  struct error *err);

#endif
