#include "common/store.h"
#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define OWNER_WAIT_NS UINT64_C(3000000000)
#define OWNER_POLL_NS 10000000
/* A builder that was killed leaves its reader slot behind, which keeps pages from being used again. */
#define READER_CHECK_NS UINT64_C(10000000000)
#define READERS_MAX 512

struct store {
	MDB_env *env;
	char *path;
	const char *map_option;
	uint64_t map_bytes;
	int owner_fd; /* -1: read only */
	unsigned flags;
	uint64_t readers_checked_ns;
	/* Transactions that are running; -1 while the map is being replaced. */
	atomic_int running;
	atomic_bool broken;
	dev_t device;
	ino_t inode;
	struct store *next;
};

static pthread_mutex_t opened_lock = PTHREAD_MUTEX_INITIALIZER;
static struct store *opened; /* all of this process */

static int path_error(struct error *err, int errnum, const char *path, const char *what)
{
	return error_errno(err, errnum, "%s: %s", path, what);
}

static int directory_sync(const char *path, struct error *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return path_error(err, errno, path, "cannot open the directory");
	int failed = fsync(fd) ? errno : 0;
	close(fd);
	/* some file systems know no fsync of directories; then there is nothing to do */
	return failed && failed != EINVAL ? path_error(err, failed, path, "cannot sync the directory") : 0;
}

static int parent_sync(const char *path, struct error *err)
{
	char *parent = malloc(strlen(path) + 4);
	if (!parent)
		return error_set(err, E_EXHAUSTED, "%s: out of memory", path);
	sprintf(parent, "%s/..", path);
	int code = directory_sync(parent, err);
	free(parent);
	return code;
}

static int owner_taken(int fd, const char *path, struct error *err)
{
	char pid[24] = "";
	ssize_t bytes = pread(fd, pid, sizeof pid - 1, 0);
	pid[bytes > 0 ? bytes : 0] = '\0';
	pid[strcspn(pid, "\n")] = '\0';
	return error_set(err, E_UNAVAILABLE, "%s: process %s writes to it; only one may: end that one first", path,
			 pid[0] ? pid : "(unknown)");
}

/* A predecessor that was killed may still be on its way out: the kernel drops its lock when it is gone. */
static int owner_lock(struct store *store, struct error *err)
{
	char *name = malloc(strlen(store->path) + sizeof "/owner");
	if (!name)
		return error_set(err, E_EXHAUSTED, "%s: out of memory", store->path);
	sprintf(name, "%s/owner", store->path);
	store->owner_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	free(name);
	if (store->owner_fd < 0)
		return path_error(err, errno, store->path, "cannot open the file 'owner'");
	uint64_t until_ns = clock_monotonic_ns() + OWNER_WAIT_NS;
	while (flock(store->owner_fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return path_error(err, errno, store->path, "cannot lock the file 'owner'");
		if (clock_monotonic_ns() >= until_ns)
			return owner_taken(store->owner_fd, store->path, err);
		nanosleep(&(struct timespec){ .tv_nsec = OWNER_POLL_NS }, NULL);
	}
	/* only for the text above: nothing depends on it */
	char pid[24];
	int length = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
	if (ftruncate(store->owner_fd, 0) || pwrite(store->owner_fd, pid, (size_t)length, 0) < 0)
		return path_error(err, errno, store->path, "cannot write the file 'owner'");
	return 0;
}

static int register_opened(struct store *store, struct error *err)
{
	struct stat status;
	if (stat(store->path, &status))
		return path_error(err, errno, store->path, "cannot open");
	store->device = status.st_dev;
	store->inode = status.st_ino;
	int code = 0;
	pthread_mutex_lock(&opened_lock);
	for (struct store *other = opened; other && !code; other = other->next)
		if (other->device == store->device && other->inode == store->inode)
			code = error_set(err, E_INTERNAL, "%s: opened twice in one process", store->path);
	if (!code) {
		store->next = opened;
		opened = store;
	}
	pthread_mutex_unlock(&opened_lock);
	return code;
}

static void unregister_opened(struct store *store)
{
	pthread_mutex_lock(&opened_lock);
	for (struct store **at = &opened; *at; at = &(*at)->next) {
		if (*at == store) {
			*at = store->next;
			break;
		}
	}
	pthread_mutex_unlock(&opened_lock);
}

static int environment_open(struct store *store, const struct store_options *options, struct error *err)
{
	/*
	 * Rows are found by key, all over the file: reading ahead would fill the page cache with what
	 * nobody asked for.
	 */
	unsigned flags = options->flags | MDB_NOTLS | MDB_NORDAHEAD;
	if (options->read_only)
		flags |= MDB_RDONLY;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t map_bytes = options->read_only ? 0 : (options->map_bytes + page - 1) / page * page;
	int rc = mdb_env_create(&store->env);
	if (!rc && map_bytes)
		rc = mdb_env_set_mapsize(store->env, map_bytes);
	if (!rc)
		rc = mdb_env_set_maxdbs(store->env, options->databases);
	if (!rc)
		rc = mdb_env_set_maxreaders(store->env, READERS_MAX);
	if (!rc)
		rc = mdb_env_open(store->env, store->path, flags, 0644);
	if (rc)
		return store_error(store, rc, err, "cannot open");
	MDB_envinfo info;
	mdb_env_info(store->env, &info);
	store->map_bytes = info.me_mapsize;
	mdb_reader_check(store->env, NULL);
	store->readers_checked_ns = clock_monotonic_ns();
	return 0;
}

static struct store *store_new(const char *path, const struct store_options *options)
{
	struct store *store = calloc(1, sizeof *store);
	if (!store)
		return NULL;
	store->owner_fd = -1;
	store->flags = options->flags;
	store->map_option = options->map_option;
	store->map_bytes = options->map_bytes;
	store->path = strdup(path);
	if (!store->path) {
		free(store);
		return NULL;
	}
	return store;
}

int store_open(struct store **opened_store, const char *path, const struct store_options *options, struct error *err)
{
	*opened_store = NULL;
	struct store *store = store_new(path, options);
	if (!store)
		return error_set(err, E_EXHAUSTED, "%s: out of memory", path);
	int code = 0;
	if (!options->read_only && mkdir(path, 0755) && errno != EEXIST)
		code = path_error(err, errno, path, "cannot make the directory");
	if (!code)
		code = register_opened(store, err);
	if (!code && !options->read_only)
		code = owner_lock(store, err);
	if (!code)
		code = environment_open(store, options, err);
	if (!code && !options->read_only) {
		code = directory_sync(path, err);
		if (!code)
			code = parent_sync(path, err);
	}
	if (code) {
		store_close(store);
		return code;
	}
	*opened_store = store;
	return 0;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	if (store->env) {
		if (store->flags & (MDB_NOSYNC | MDB_NOMETASYNC))
			mdb_env_sync(store->env, 1);
		mdb_env_close(store->env);
	}
	unregister_opened(store);
	if (store->owner_fd >= 0)
		close(store->owner_fd);
	free(store->path);
	free(store);
}

static void running_enter(struct store *store)
{
	int running = atomic_load_explicit(&store->running, memory_order_relaxed);
	for (;;) {
		if (running < 0) {
			sched_yield();
			running = atomic_load_explicit(&store->running, memory_order_relaxed);
		} else if (atomic_compare_exchange_weak_explicit(&store->running, &running, running + 1,
								 memory_order_acquire, memory_order_relaxed)) {
			return;
		}
	}
}

static void running_leave(struct store *store)
{
	atomic_fetch_sub_explicit(&store->running, 1, memory_order_release);
}

/* A transaction that was to begin did not. */
static void not_begun(struct store *store, int rc)
{
	running_leave(store);
	if (rc == MDB_PANIC)
		atomic_store_explicit(&store->broken, true, memory_order_relaxed);
}

static int read_try(struct store *store, MDB_txn **txn)
{
	running_enter(store);
	int rc = *txn ? mdb_txn_renew(*txn) : mdb_txn_begin(store->env, NULL, MDB_RDONLY, txn);
	if (rc)
		not_begun(store, rc);
	return rc;
}

/* LMDB replaces the mapping: nobody in this process may be looking at the old one. */
static int adopt_larger_map(struct store *store)
{
	int none = 0;
	if (!atomic_compare_exchange_strong(&store->running, &none, -1))
		return MDB_MAP_RESIZED;
	int rc = mdb_env_set_mapsize(store->env, 0);
	atomic_store(&store->running, 0);
	return rc;
}

int store_read_begin(struct store *store, MDB_txn **txn, struct error *err)
{
	int rc = read_try(store, txn);
	if (rc == MDB_MAP_RESIZED) {
		rc = adopt_larger_map(store);
		if (!rc)
			rc = read_try(store, txn);
	}
	return rc ? store_error(store, rc, err, "cannot read") : 0;
}

void store_read_end(struct store *store, MDB_txn *txn)
{
	mdb_txn_reset(txn);
	running_leave(store);
}

void store_read_free(MDB_txn **txn)
{
	if (*txn)
		mdb_txn_abort(*txn);
	*txn = NULL;
}

int store_write_begin(struct store *store, MDB_txn **txn, struct error *err)
{
	uint64_t now_ns = clock_monotonic_ns();
	if (now_ns - store->readers_checked_ns > READER_CHECK_NS) {
		mdb_reader_check(store->env, NULL);
		store->readers_checked_ns = now_ns;
	}
	running_enter(store);
	int rc = mdb_txn_begin(store->env, NULL, 0, txn);
	if (!rc)
		return 0;
	not_begun(store, rc);
	*txn = NULL;
	return store_error(store, rc, err, "cannot write");
}

int store_write_commit(struct store *store, MDB_txn *txn, struct error *err)
{
	int rc = mdb_txn_commit(txn);
	running_leave(store);
	return rc ? store_error(store, rc, err, "cannot commit") : 0;
}

void store_write_abort(struct store *store, MDB_txn *txn)
{
	mdb_txn_abort(txn);
	running_leave(store);
}

/* A handle outlives the transaction it was opened in only when that one is committed; so are reading ones. */
int store_databases(struct store *store, const char *const *names, MDB_dbi *dbis, unsigned count, struct error *err)
{
	bool writes = store->owner_fd >= 0;
	MDB_txn *txn = NULL;
	int code = writes ? store_write_begin(store, &txn, err) : store_read_begin(store, &txn, err);
	if (code)
		return code;
	for (unsigned i = 0; i < count && !code; i++)
		code = store_error(store, mdb_dbi_open(txn, names[i], writes ? MDB_CREATE : 0, &dbis[i]), err,
				   names[i]);
	if (!code)
		return store_write_commit(store, txn, err);
	store_write_abort(store, txn);
	return code;
}

static int map_full(const struct store *store, struct error *err, const char *what)
{
	unsigned long long mib = store->map_bytes >> 20;
	if (store->map_option)
		return error_set(err, E_EXHAUSTED,
				 "%s: %s: the file has reached its largest size of %llu MiB; raise %s and restart",
				 store->path, what, mib, store->map_option);
	return error_set(err, E_EXHAUSTED, "%s: %s: the file has reached its largest size of %llu MiB", store->path,
			 what, mib);
}

/* What LMDB's and the system's codes mean to whoever runs the server. */
static const struct {
	int rc;
	int code;
	const char *reason;
} meanings[] = {
	{ MDB_NOTFOUND, E_NOT_FOUND, "not found" },
	{ MDB_KEYEXIST, E_EXISTS, "exists already" },
	{ MDB_TXN_FULL, E_EXHAUSTED, "too much for one transaction; send smaller batches" },
	{ MDB_READERS_FULL, E_EXHAUSTED, "too many readers at once; end some builds or offline commands" },
	{ ENOSPC, E_EXHAUSTED, "the disk is full; free some space" },
	{ EDQUOT, E_EXHAUSTED, "the disk quota is used up; free some space" },
	{ ENOMEM, E_EXHAUSTED, "out of memory or address space (see ulimit -v)" },
	{ MDB_CORRUPTED, E_DATA_LOSS, "the file is damaged; restore it from a backup" },
	{ MDB_PAGE_NOTFOUND, E_DATA_LOSS, "the file is damaged; restore it from a backup" },
	{ MDB_INVALID, E_DATA_LOSS, "not an LMDB file, or damaged; restore it from a backup" },
	{ EIO, E_DATA_LOSS, "the disk is full or reports an error; free some space, or see the system's log" },
	{ MDB_VERSION_MISMATCH, E_UNIMPLEMENTED, "made by another version of LMDB" },
	{ MDB_PANIC, E_UNAVAILABLE, "an earlier write to the disk failed; restart the process" },
	{ MDB_MAP_RESIZED, E_UNAVAILABLE, "its map was enlarged by another process; try again" },
	{ MDB_BAD_TXN, E_ABORTED, "an earlier write of the transaction failed" },
};

#define FULL_BYTES (1u << 20)

/* EIO is also LMDB's word for a write that a full disk cut short. */
static bool disk_is_full(const struct store *store)
{
	struct statvfs disk;
	if (statvfs(store->path, &disk))
		return false;
	return (geteuid() ? disk.f_bavail : disk.f_bfree) * disk.f_frsize < FULL_BYTES;
}

int store_error(const struct store *store, int rc, struct error *err, const char *what)
{
	if (rc == 0)
		return 0;
	if (rc == EIO && disk_is_full(store))
		rc = ENOSPC;
	if (rc == MDB_MAP_FULL)
		return map_full(store, err, what);
	for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
		if (meanings[i].rc == rc)
			return error_set(err, meanings[i].code, "%s: %s: %s", store->path, what, meanings[i].reason);
	if (rc > 0)
		return error_errno(err, rc, "%s: %s", store->path, what);
	return error_set(err, E_INTERNAL, "%s: %s: %s", store->path, what, mdb_strerror(rc));
}

bool store_broken(const struct store *store)
{
	return atomic_load_explicit(&store->broken, memory_order_relaxed);
}

const char *store_path(const struct store *store)
{
	return store->path;
}

uint64_t store_file_bytes(const struct store *store)
{
	MDB_envinfo info;
	MDB_stat status;
	if (mdb_env_info(store->env, &info) || mdb_env_stat(store->env, &status))
		return 0;
	return ((uint64_t)info.me_last_pgno + 1) * status.ms_psize;
}
