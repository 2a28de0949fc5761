/*
 * Ids and names: hashes of the caller's strings, and what strings are allowed. The only place that hashes an id.
 *
 * A user's shard is XXH3_64(user_id) mod shards. An item's key is XXH3_64 of its id, seeded by XXH3_64 of its
 * catalog's name (https://github.com/Cyan4973/xxHash), so that histories need no dictionary.
 *
 * Pure; any process, any thread.
 */
#ifndef KINDRED_IDS_H
#define KINDRED_IDS_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define USER_ID_MAX 256 /* bytes */
#define ITEM_ID_MAX 256
#define ITEM_NAME_MAX 1024
#define EVENT_ID_MAX 256
#define EVENT_TYPE_MAX 64
#define NAME_MAX_BYTES 64 /* of a catalog, a definition, an attribute */

struct item_key {
	uint64_t value; /* never 0: 0 is mapped to 1 */
};
struct catalog_seed {
	uint64_t value;
};
/* The hash of an event id; 0: the event has none. */
struct event_key {
	uint64_t value;
};

/* 128 bits stand for a user where the id itself may not be kept or is too long for a key. */
struct user_key {
	uint64_t high, low;
};

struct catalog_seed catalog_seed(const char *name, size_t bytes);
struct item_key item_key(struct catalog_seed seed, const char *id, size_t bytes);
struct event_key event_key(const char *id, size_t bytes);
struct user_key user_key(const char *user_id, size_t bytes);
/* shards > 0; result in 0..shards-1 */
uint32_t user_shard(const char *user_id, size_t bytes, uint32_t shards);
/* First shard of a worker's contiguous run: worker 0..workers-1; the run ends before run_first(worker + 1). */
uint32_t shard_run_first(uint32_t worker, uint32_t workers, uint32_t shards);
uint32_t shard_worker(uint32_t shard, uint32_t workers, uint32_t shards);

/* Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF; NUL bytes are refused. */
bool utf8_valid(const char *text, size_t bytes);
/* Length of the character that text starts with, 1 to 4; 0 when it starts with none (see utf8_valid). */
size_t utf8_step(const char *text, size_t bytes);

/*
 * An id: UTF-8, 1..max bytes. `field` names it in the error: "user_id: 300 bytes; 1 to 256 are
 * allowed". Returns 0 or E_INVALID.
 */
int id_check(const char *field, const char *id, size_t bytes, size_t max, struct error *err);
/* A name of a catalog or a definition: [a-z0-9][a-z0-9_-]*, 1..64 bytes. */
int name_check(const char *field, const char *name, size_t bytes, struct error *err);
/* An attribute's name: [A-Za-z_][A-Za-z0-9_]*, 1..64 bytes, and no word of the filter language. */
int attribute_name_check(const char *field, const char *name, size_t bytes, struct error *err);

#endif
