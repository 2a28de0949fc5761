#include "common/clock.h"
#include "common/store.h"
#include "lib/temp_dir.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct temp_dir dir;
static char path[128];
static struct error err;
static const char *const names[] = { "things" };

static int setup(void **state)
{
	(void)state;
	if (temp_dir_make(&dir))
		return -1;
	snprintf(path, sizeof path, "%s/store", dir.path);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return temp_dir_remove(&dir);
}

static const struct store_options small = { .map_bytes = 1 << 20, .databases = 1 };
static const struct store_options large = { .map_bytes = 64 << 20, .databases = 1 };
static const struct store_options reading = { .databases = 1, .read_only = true };

static int put(struct store *store, MDB_dbi dbi, uint32_t key, size_t bytes)
{
	static char value[64 << 10];
	MDB_txn *txn;
	int code = store_write_begin(store, &txn, &err);
	if (code)
		return code;
	int rc = mdb_put(txn, dbi, &(MDB_val){ sizeof key, &key }, &(MDB_val){ bytes, value }, 0);
	if (!rc)
		return store_write_commit(store, txn, &err);
	code = store_error(store, rc, &err, "cannot put");
	store_write_abort(store, txn);
	return code;
}

static int get(struct store *store, MDB_txn **txn, MDB_dbi dbi, uint32_t key)
{
	MDB_val value;
	int code = store_read_begin(store, txn, &err);
	if (code)
		return code;
	code = store_error(store, mdb_get(*txn, dbi, &(MDB_val){ sizeof key, &key }, &value), &err, "cannot get");
	store_read_end(store, *txn);
	return code;
}

static void writes_and_reads(void **state)
{
	(void)state;
	struct store *store;
	MDB_dbi dbi;
	MDB_txn *txn = NULL;
	assert_int_equal(store_open(&store, path, &small, &err), 0);
	assert_int_equal(store_databases(store, names, &dbi, 1, &err), 0);
	assert_int_equal(put(store, dbi, 1, 10), 0);
	assert_int_equal(get(store, &txn, dbi, 1), 0);
	assert_int_equal(get(store, &txn, dbi, 2), E_NOT_FOUND);
	assert_string_equal(store_path(store), path);
	store_read_free(&txn);
	store_close(store);
	/* by another process that only reads; here a second opening after the first has closed */
	assert_int_equal(store_open(&store, path, &reading, &err), 0);
	assert_int_equal(store_databases(store, names, &dbi, 1, &err), 0);
	assert_int_equal(get(store, &txn, dbi, 1), 0);
	store_read_free(&txn);
	store_close(store);
}

static void what_is_not_there_is_not_found(void **state)
{
	(void)state;
	struct store *store;
	MDB_dbi dbi;
	assert_int_equal(store_open(&store, path, &reading, &err), E_NOT_FOUND);
	assert_null(store);
	assert_non_null(strstr(err.text, path));
	mkdir(path, 0755);
	assert_int_equal(store_open(&store, path, &reading, &err), E_NOT_FOUND);
	assert_int_equal(store_open(&store, path, &small, &err), 0);
	store_close(store);
	assert_int_equal(store_open(&store, path, &reading, &err), 0);
	assert_int_equal(store_databases(store, names, &dbi, 1, &err), E_NOT_FOUND);
	store_close(store);
	assert_int_equal(store_open(&store, "/nowhere/at/all", &small, &err), E_NOT_FOUND);
}

static void a_file_that_is_none_of_ours_is_refused(void **state)
{
	(void)state;
	struct store *store;
	char name[160], junk[16384];
	memset(junk, 'j', sizeof junk);
	mkdir(path, 0755);
	snprintf(name, sizeof name, "%s/data.mdb", path);
	FILE *file = fopen(name, "w");
	fwrite(junk, 1, sizeof junk, file);
	fclose(file);
	assert_int_equal(store_open(&store, path, &small, &err), E_DATA_LOSS);
	assert_non_null(strstr(err.text, "backup"));
}

static void one_process_opens_it_once(void **state)
{
	(void)state;
	struct store *store, *again;
	assert_int_equal(store_open(&store, path, &small, &err), 0);
	assert_int_equal(store_open(&again, path, &reading, &err), E_INTERNAL);
	assert_int_equal(store_open(&again, path, &small, &err), E_INTERNAL);
	store_close(store);
	assert_int_equal(store_open(&store, path, &small, &err), 0);
	store_close(store);
}

/* A child that opens the store as told, says so, and stays until it is told to go on. */
struct child {
	pid_t pid;
	int to, from;
};

static struct child start_child(int (*run)(int from, int to))
{
	int down[2], up[2];
	assert_int_equal(pipe(down), 0);
	assert_int_equal(pipe(up), 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(down[1]);
		close(up[0]);
		_exit(run(down[0], up[1]));
	}
	close(down[0]);
	close(up[1]);
	return (struct child){ pid, down[1], up[0] };
}

static void hear(int from)
{
	char byte;
	assert_int_equal(read(from, &byte, 1), 1);
}

static void tell(int to)
{
	assert_int_equal(write(to, "x", 1), 1);
}

static int end_child(struct child *child)
{
	int status;
	close(child->to);
	close(child->from);
	waitpid(child->pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int owner_child(int from, int to)
{
	struct store *store;
	char byte;
	if (store_open(&store, path, &small, NULL))
		return 1;
	(void)!write(to, "x", 1);
	(void)!read(from, &byte, 1);
	store_close(store);
	return 0;
}

static void a_second_writer_is_told_who_has_it(void **state)
{
	(void)state;
	struct store *store;
	char pid[24];
	struct child child = start_child(owner_child);
	hear(child.from);
	uint64_t start_ns = clock_monotonic_ns();
	assert_int_equal(store_open(&store, path, &small, &err), E_UNAVAILABLE);
	uint64_t waited_ns = clock_monotonic_ns() - start_ns;
	assert_true(waited_ns > UINT64_C(2900000000)); /* and not for ever */
	snprintf(pid, sizeof pid, "process %d ", (int)child.pid);
	assert_non_null(strstr(err.text, pid));
	/* readers come in at any time */
	assert_int_equal(store_open(&store, path, &reading, &err), 0);
	store_close(store);
	assert_int_equal(end_child(&child), 0);
	assert_int_equal(store_open(&store, path, &small, &err), 0);
	store_close(store);
}

static void a_dying_predecessor_is_waited_for(void **state)
{
	(void)state;
	struct store *store;
	struct child child = start_child(owner_child);
	hear(child.from);
	kill(child.pid, SIGKILL);
	assert_int_equal(store_open(&store, path, &small, &err), 0);
	store_close(store);
	assert_int_equal(end_child(&child), -1);
}

static void a_full_map_says_what_to_raise(void **state)
{
	(void)state;
	struct store *store;
	MDB_dbi dbi;
	struct store_options options = small;
	options.map_option = "shard_map_gb";
	assert_int_equal(store_open(&store, path, &options, &err), 0);
	assert_int_equal(store_databases(store, names, &dbi, 1, &err), 0);
	int code = 0;
	uint32_t key = 0;
	while (code == 0 && key < 100)
		code = put(store, dbi, key++, 60000);
	assert_int_equal(code, E_EXHAUSTED);
	assert_non_null(strstr(err.text, "largest size of 1 MiB"));
	assert_non_null(strstr(err.text, "raise shard_map_gb"));
	/* what was committed before is there, and a larger map takes more */
	MDB_txn *txn = NULL;
	assert_int_equal(get(store, &txn, dbi, 0), 0);
	store_read_free(&txn);
	store_close(store);
	assert_int_equal(store_open(&store, path, &large, &err), 0);
	assert_int_equal(store_databases(store, names, &dbi, 1, &err), 0);
	assert_int_equal(put(store, dbi, key, 60000), 0);
	store_close(store);
}

static int growing_child(int from, int to)
{
	struct store *store;
	MDB_dbi dbi;
	char byte;
	if (store_open(&store, path, &small, NULL) || store_databases(store, names, &dbi, 1, NULL) ||
	    put(store, dbi, 0, 10))
		return 1;
	(void)!write(to, "x", 1);
	(void)!read(from, &byte, 1);
	store_close(store);
	if (store_open(&store, path, &large, NULL) || store_databases(store, names, &dbi, 1, NULL))
		return 2;
	for (uint32_t key = 1; key < 100; key++)
		if (put(store, dbi, key, 60000))
			return 3;
	(void)!write(to, "x", 1);
	(void)!read(from, &byte, 1);
	store_close(store);
	return 0;
}

/* A worker restarted with a larger shard_map_gb while a builder reads. */
static void a_reader_adopts_a_map_that_grew(void **state)
{
	(void)state;
	struct store *store;
	MDB_dbi dbi;
	MDB_txn *txn = NULL, *other = NULL;
	struct child child = start_child(growing_child);
	hear(child.from);
	assert_int_equal(store_open(&store, path, &reading, &err), 0);
	assert_int_equal(store_databases(store, names, &dbi, 1, &err), 0);
	assert_int_equal(get(store, &txn, dbi, 0), 0);
	assert_int_equal(get(store, &txn, dbi, 99), E_NOT_FOUND);
	/* a transaction that still looks at the old map: the new one must wait */
	assert_int_equal(store_read_begin(store, &other, &err), 0);
	tell(child.to);
	hear(child.from);
	assert_int_equal(get(store, &txn, dbi, 99), E_UNAVAILABLE);
	assert_non_null(strstr(err.text, "try again"));
	store_read_end(store, other);
	assert_int_equal(get(store, &txn, dbi, 99), 0);
	assert_int_equal(store_read_begin(store, &other, &err), 0);
	store_read_end(store, other);
	store_read_free(&other);
	store_read_free(&txn);
	store_close(store);
	assert_int_equal(end_child(&child), 0);
}

static void errors_have_a_code_and_a_place(void **state)
{
	(void)state;
	struct store *store;
	assert_int_equal(store_open(&store, path, &small, &err), 0);
	assert_int_equal(store_error(store, 0, &err, "x"), 0);
	assert_int_equal(store_error(store, ENOSPC, &err, "cannot commit"), E_EXHAUSTED);
	assert_non_null(strstr(err.text, "cannot commit: the disk is full; free some space"));
	assert_non_null(strstr(err.text, path));
	assert_int_equal(store_error(store, EIO, &err, "cannot commit"), E_DATA_LOSS);
	assert_non_null(strstr(err.text, "the disk is full or reports an error"));
	assert_int_equal(store_error(store, MDB_CORRUPTED, &err, "x"), E_DATA_LOSS);
	assert_int_equal(store_error(store, MDB_PAGE_NOTFOUND, &err, "x"), E_DATA_LOSS);
	assert_int_equal(store_error(store, MDB_READERS_FULL, &err, "x"), E_EXHAUSTED);
	assert_int_equal(store_error(store, MDB_PANIC, &err, "x"), E_UNAVAILABLE);
	assert_int_equal(store_error(store, MDB_BAD_VALSIZE, &err, "x"), E_INTERNAL);
	assert_int_equal(store_error(store, EACCES, &err, "x"), E_PRECONDITION);
	store_close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(writes_and_reads, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_there_is_not_found, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_is_none_of_ours_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(one_process_opens_it_once, setup, teardown),
		cmocka_unit_test_setup_teardown(a_second_writer_is_told_who_has_it, setup, teardown),
		cmocka_unit_test_setup_teardown(a_dying_predecessor_is_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_map_says_what_to_raise, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reader_adopts_a_map_that_grew, setup, teardown),
		cmocka_unit_test_setup_teardown(errors_have_a_code_and_a_place, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
