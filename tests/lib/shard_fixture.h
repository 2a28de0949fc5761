/*
 * One shard in a directory of its own, for tests of common/shard.h: shard_fixture_setup and _teardown
 * for each test. What fails here fails the test.
 */
#ifndef KINDRED_TEST_SHARD_FIXTURE_H
#define KINDRED_TEST_SHARD_FIXTURE_H

#include "common/shard.h"
#include "common/shard_private.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHARD_FIXTURE_BYTES (UINT64_C(64) << 20)

extern struct shard *shard; /* NULL: closed */
extern struct error fault; /* of the call before */

int shard_fixture_setup(void **state);
int shard_fixture_teardown(void **state);
/* Returns the error of shard_open. */
int shard_fixture_try_open(uint64_t map_bytes, bool read_only);
void shard_fixture_open(uint64_t map_bytes);
void shard_fixture_close(void);
void shard_fixture_reopen(void);

void begin(void);
void commit(void);
/* What stands under a key, written by hand, between transactions; value NULL: it is deleted. */
void put_raw(enum shard_database database, MDB_val key, const void *value, size_t bytes);

struct shard_reader *read_begin(void);
void read_end(struct shard_reader *reader);
/* 0: no history */
uint32_t events_of(struct shard_reader *reader, const char *user);
struct history_entry entry_of(struct shard_reader *reader, const char *user, uint32_t index);
struct shard_counters counters(void);
size_t rows_in(enum shard_database database);
MDB_stat stat_of(enum shard_database database);

#endif
