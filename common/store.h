/*
 * The door to LMDB: opens environments, begins and ends transactions, and translates LMDB's errors, for shard*.c and
 * control*.c (nothing else includes this or lmdb.h). Gets, puts and cursors are LMDB's own calls; what they return goes
 * through store_error().
 *
 * Invariants kept here: one writing process an environment (flock on <path>/owner, held until
 * store_close); never the same environment twice in one process (LMDB's locks would break); MDB_NOTLS,
 * so a read transaction belongs to whoever holds it, not to a thread; readers that died are cleared at
 * opening and now and then later; the names of new files are on disk before the first commit is.
 * Databases are plain ones, without MDB_DUPSORT.
 *
 * Opening:  store_open -> store_databases
 * Reading:  MDB_txn *txn = NULL;
 *           { store_read_begin(store, &txn, err) -> mdb_get.. -> store_read_end(store, txn) }..
 *           -> store_read_free(&txn)
 * Writing:  store_write_begin(store, &txn, err) -> mdb_put.. -> store_write_commit or store_write_abort(store, txn)
 */
#ifndef KINDRED_STORE_H
#define KINDRED_STORE_H

#include "common/error.h"

#include <lmdb.h>
#include <stdbool.h>
#include <stdint.h>

struct store;

struct store_options {
	/* writers: largest size of the file (address space, not memory). Readers take the file's. */
	uint64_t map_bytes;
	const char *map_option; /* name of the configuration parameter that sets it, for the error text; NULL: none */
	unsigned databases; /* most that will be opened */
	unsigned flags; /* MDB_NOMETASYNC, MDB_NOSYNC or 0 */
	bool read_only; /* another process writes, or nobody */
};

/*
 * path: a directory, made when missing (its parents are not) unless read_only. E_NOT_FOUND: read_only
 * and nothing there. E_UNAVAILABLE: another process writes to it (its pid in the text), and did so for
 * 3 seconds. E_INTERNAL: this process has it open already. E_DATA_LOSS: not an LMDB file, or damaged.
 * E_EXHAUSTED: address space, memory, disk.
 */
int store_open(struct store **store, const char *path, const struct store_options *options, struct error *err);
/* All transactions must have ended. Flushes what the durability flags left unflushed. */
void store_close(struct store *store);

/*
 * Opens the named databases, once, after store_open; makes the missing ones unless read only. dbis:
 * room for count handles, good until store_close. E_NOT_FOUND: read only, and one is missing (the
 * writer has not made it yet).
 */
int store_databases(struct store *store, const char *const *names, MDB_dbi *dbis, unsigned count, struct error *err);

/*
 * *txn NULL: begins one; else renews it (12 ns). A map that another process has made larger is adopted, when no other
 * transaction of this process is running (else E_UNAVAILABLE: try again). E_EXHAUSTED: too many readers.
 */
int store_read_begin(struct store *store, MDB_txn **txn, struct error *err);
/* The snapshot is let go; the transaction object stays for the next store_read_begin. */
void store_read_end(struct store *store, MDB_txn *txn);
/* After store_read_end; NULL is fine. */
void store_read_free(MDB_txn **txn);

/* One at a time in a process: a second one waits for the first (do not begin it on the same thread). */
int store_write_begin(struct store *store, MDB_txn **txn, struct error *err);
/* The transaction is over whatever is returned; after an error nothing of it is there. */
int store_write_commit(struct store *store, MDB_txn *txn, struct error *err);
void store_write_abort(struct store *store, MDB_txn *txn);

/*
 * Translates what an LMDB call returned: 0 to 0; MDB_NOTFOUND to E_NOT_FOUND; MDB_MAP_FULL,
 * MDB_TXN_FULL, MDB_READERS_FULL, ENOSPC, ENOMEM to E_EXHAUSTED; MDB_CORRUPTED, MDB_PAGE_NOTFOUND,
 * MDB_INVALID, EIO (of a full disk: E_EXHAUSTED) to E_DATA_LOSS; MDB_BAD_TXN (an earlier write of the
 * transaction failed) to E_ABORTED; MDB_PANIC to E_UNAVAILABLE; our own misuse to E_INTERNAL. Text:
 * "<path>: <what>: <reason>; <what to do>".
 */
int store_error(const struct store *store, int rc, struct error *err, const char *what);

/*
 * Whether a transaction has found (MDB_PANIC) that writing LMDB's meta page failed once, as after a
 * passing error of the disk: every later one fails too, readers' as well, until the environment is
 * opened anew. Any thread.
 */
bool store_broken(const struct store *store);
const char *store_path(const struct store *store);
/* Bytes of the file that are or were in use. */
uint64_t store_file_bytes(const struct store *store);

#endif
