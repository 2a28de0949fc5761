/*
 * The cursor of RecommendAudience: what a call is pinned to, and which users are still to come, as bytes that a
 * client keeps and sends back. Ranges are of shards and users, not of workers, so that a cursor outlives a
 * restart with another number of workers.
 *
 * Format: a byte of version (1), eight bytes of XXH3_64 over what follows (little endian), and fields as in
 * protobuf: 1 generation, 2 definition version, 3 hash of the request, 4 as_of in milliseconds, 5 shards of the
 * data directory, 6 users seen, 7 users in all, and for each range an 8: 1 first shard, 2 the shard behind its last,
 * 3 the user of the first shard behind whom it goes on. The hash finds damage; it keeps no secret.
 *
 * Pure.
 */
#ifndef KINDRED_SERVER_AUDIENCE_CURSOR_H
#define KINDRED_SERVER_AUDIENCE_CURSOR_H

#include "common/error.h"
#include "common/ids.h"
#include "server/buffer.h"

/* Shards first..end-1; of the first one the users behind `user`, which is empty for all of them. */
struct audience_range {
	uint32_t first, end;
	uint32_t user_bytes;
	uint8_t user[USER_ID_MAX];
};

struct audience_cursor {
	uint64_t generation, definition_version;
	uint64_t request; /* hash of what must be the same in all calls that continue one another */
	int64_t as_of_ms;
	uint32_t shards;
	uint64_t users_seen, users_total;
};

/*
 * Begins a cursor at the end of a buffer, which then gets its ranges, in order of shards, and is ended. All
 * return 0 or E_EXHAUSTED. start: where it began, from audience_cursor_begin.
 */
int audience_cursor_begin(struct buffer *out, const struct audience_cursor *cursor, size_t *start);
int audience_cursor_range(struct buffer *out, const struct audience_range *range);
void audience_cursor_end(struct buffer *out, size_t start);

/*
 * Reads one; *ranges is malloc'ed, also when there are none. E_INVALID, with a text that names the field: damaged,
 * or of another format. shards: what the data directory has; E_PRECONDITION when the cursor is of another one.
 */
int audience_cursor_read(const uint8_t *bytes, size_t size, uint32_t shards, struct audience_cursor *cursor,
			 struct audience_range **ranges, size_t *count, struct error *err);

#endif
