#include "lib/damage.h"
#include "common/ids.h"
#include "common/shard_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SHARDS 16 /* of a server that is not told otherwise */

uint32_t damage_history(const struct cluster *cluster, const char *user)
{
	const struct shard_options options = { .map_bytes = UINT64_C(1) << 30 };
	uint32_t number = user_shard(user, strlen(user), SHARDS);
	MDB_val key = { strlen(user), (void *)user }, row = { 7, (void *)"garbage" };
	char path[256];
	struct shard *shard;
	struct error err;
	MDB_txn *txn = NULL;
	snprintf(path, sizeof path, "%s/data/shards/%03u", cluster->home, (unsigned)number);
	if (shard_open(&shard, path, &options, &err) || store_write_begin(shard->store, &txn, &err))
		fail_msg("%s", err.text);
	assert_int_equal(mdb_put(txn, shard->databases[SHARD_HISTORY], &key, &row, 0), 0);
	assert_int_equal(store_write_commit(shard->store, txn, &err), 0);
	shard_close(shard);
	return number;
}
