#include "lib/shard_fixture.h"
#include "lib/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct shard *shard;
struct error fault;
static struct temp_dir dir;

int shard_fixture_try_open(uint64_t map_bytes, bool read_only)
{
	const struct shard_options options = { .map_bytes = map_bytes, .read_only = read_only };
	char path[128];
	snprintf(path, sizeof path, "%s/000", dir.path);
	return shard_open(&shard, path, &options, &fault);
}

void shard_fixture_open(uint64_t map_bytes)
{
	if (shard_fixture_try_open(map_bytes, false))
		fail_msg("%s", fault.text);
}

void shard_fixture_close(void)
{
	shard_close(shard);
	shard = NULL;
}

void shard_fixture_reopen(void)
{
	shard_fixture_close();
	shard_fixture_open(SHARD_FIXTURE_BYTES);
}

int shard_fixture_setup(void **state)
{
	(void)state;
	return temp_dir_make(&dir) || shard_fixture_try_open(SHARD_FIXTURE_BYTES, false) ? -1 : 0;
}

int shard_fixture_teardown(void **state)
{
	(void)state;
	shard_fixture_close();
	return temp_dir_remove(&dir);
}

void begin(void)
{
	if (shard_write_begin(shard, &fault))
		fail_msg("%s", fault.text);
}

void commit(void)
{
	if (shard_write_commit(shard, &fault))
		fail_msg("%s", fault.text);
}

void put_raw(enum shard_database database, MDB_val key, const void *value, size_t bytes)
{
	MDB_txn *txn;
	MDB_dbi dbi = shard->databases[database];
	assert_int_equal(store_write_begin(shard->store, &txn, &fault), 0);
	assert_int_equal(value ? mdb_put(txn, dbi, &key, &(MDB_val){ bytes, (void *)value }, 0)
			       : mdb_del(txn, dbi, &key, NULL),
			 0);
	assert_int_equal(store_write_commit(shard->store, txn, &fault), 0);
}

struct shard_reader *read_begin(void)
{
	struct shard_reader *reader;
	if (shard_reader_open(shard, &reader, &fault) || shard_read_begin(reader, &fault))
		fail_msg("%s", fault.text);
	return reader;
}

void read_end(struct shard_reader *reader)
{
	shard_read_end(reader);
	shard_reader_close(reader);
}

uint32_t events_of(struct shard_reader *reader, const char *user)
{
	struct history history;
	int code = shard_read_history(reader, user, strlen(user), &history, &fault);
	if (code == E_NOT_FOUND)
		return 0;
	assert_int_equal(code, 0);
	return history.count;
}

struct history_entry entry_of(struct shard_reader *reader, const char *user, uint32_t index)
{
	struct history history;
	assert_int_equal(shard_read_history(reader, user, strlen(user), &history, &fault), 0);
	assert_true(index < history.count);
	return history_at(&history, index);
}

struct shard_counters counters(void)
{
	struct shard_counters now;
	struct shard_reader *reader = read_begin();
	assert_int_equal(shard_read_counters(reader, &now, &fault), 0);
	read_end(reader);
	return now;
}

MDB_stat stat_of(enum shard_database database)
{
	MDB_txn *txn = NULL;
	MDB_stat status;
	assert_int_equal(store_read_begin(shard->store, &txn, &fault), 0);
	assert_int_equal(mdb_stat(txn, shard->databases[database], &status), 0);
	store_read_end(shard->store, txn);
	store_read_free(&txn);
	return status;
}

size_t rows_in(enum shard_database database)
{
	return stat_of(database).ms_entries;
}
