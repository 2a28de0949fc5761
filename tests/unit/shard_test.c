#include "lib/shard_fixture.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const struct history_rules plenty = { 1000, 0 };

static struct shard_event make(const char *user, const char *type, uint64_t event, int64_t time_ms)
{
	return (struct shard_event){ .user = user,
				     .user_bytes = strlen(user),
				     .type = type,
				     .type_bytes = strlen(type),
				     .item = { event + 1000 },
				     .time_ms = time_ms,
				     .event = { event },
				     .weight = 1 };
}

static int write_one(const char *user, const char *type, uint64_t event, int64_t time_ms)
{
	struct shard_event it = make(user, type, event, time_ms);
	return shard_write_event(shard, &plenty, &it, &fault);
}

static void what_was_committed_is_read_and_survives(void **state)
{
	(void)state;
	begin();
	assert_int_equal(write_one("john", "Viewed", 1, 100), HISTORY_ACCEPTED);
	assert_int_equal(write_one("jane", "Watched", 2, 50), HISTORY_ACCEPTED);
	assert_int_equal(write_one("john", "Purchased", 3, 90), HISTORY_ACCEPTED);
	commit();
	for (int round = 0; round < 2; round++) {
		struct shard_reader *reader = read_begin();
		assert_int_equal(events_of(reader, "john"), 2);
		assert_int_equal(events_of(reader, "jane"), 1);
		assert_int_equal(events_of(reader, "joh"), 0);
		struct history_entry first = entry_of(reader, "john", 0);
		assert_int_equal(first.event.value, 3);
		assert_int_equal(first.item.value, 1003);
		assert_string_equal(shard_read_type_name(reader, first.type), "Purchased");
		assert_int_equal(shard_read_type(reader, "Purchased", 9), first.type);
		assert_int_equal(shard_read_type(reader, "purchased", 9), EVENT_TYPE_NONE);
		read_end(reader);
		struct shard_counters now = counters();
		assert_int_equal(now.users, 2);
		assert_int_equal(now.accepted, 3);
		assert_int_equal(now.kept, 3);
		assert_int_equal(now.newest_event_ms, 100);
		shard_fixture_reopen();
	}
}

static void a_reader_keeps_its_snapshot(void **state)
{
	(void)state;
	begin();
	write_one("john", "Viewed", 1, 100);
	commit();
	struct shard_reader *reader = read_begin();
	begin();
	write_one("john", "Purchased", 2, 200);
	assert_int_equal(events_of(reader, "john"), 1);
	commit();
	assert_int_equal(events_of(reader, "john"), 1);
	assert_null(shard_read_type_name(reader, 1));
	shard_read_end(reader);
	assert_int_equal(shard_read_begin(reader, &fault), 0);
	assert_int_equal(events_of(reader, "john"), 2);
	/* a type that came after the reader had filled its table */
	assert_string_equal(shard_read_type_name(reader, entry_of(reader, "john", 1).type), "Purchased");
	read_end(reader);
}

static void an_event_sent_again_counts_once(void **state)
{
	(void)state;
	begin();
	assert_int_equal(write_one("john", "Viewed", 1, 100), HISTORY_ACCEPTED);
	assert_int_equal(write_one("john", "Viewed", 1, 100), HISTORY_DUPLICATE);
	commit();
	shard_fixture_reopen();
	begin();
	assert_int_equal(write_one("john", "Viewed", 1, 100), HISTORY_DUPLICATE);
	/* the same id of another user is another event */
	assert_int_equal(write_one("jane", "Viewed", 1, 100), HISTORY_ACCEPTED);
	shard_write_refused(shard, 5);
	commit();
	struct shard_counters now = counters();
	assert_int_equal(now.accepted, 2);
	assert_int_equal(now.duplicates, 2);
	assert_int_equal(now.refused, 5);
}

static void an_abort_leaves_nothing(void **state)
{
	(void)state;
	begin();
	write_one("john", "Viewed", 1, 100);
	commit();
	struct shard_counters before = counters();
	begin();
	write_one("john", "Purchased", 2, 200);
	write_one("jane", "Watched", 3, 300);
	shard_write_refused(shard, 1);
	shard_write_abort(shard);
	struct shard_counters after = counters();
	assert_memory_equal(&before, &after, sizeof before);
	/* the types of the aborted transaction are not remembered: the next new one takes their number, on disk too */
	begin();
	assert_int_equal(write_one("jane", "Liked", 4, 400), HISTORY_ACCEPTED);
	assert_int_equal(write_one("jane", "Viewed", 5, 500), HISTORY_ACCEPTED);
	commit();
	after = counters();
	assert_int_equal(after.accepted, before.accepted + 2);
	assert_int_equal(after.users, before.users + 1);
	assert_int_equal(after.refused, 0);
	for (int round = 0; round < 2; round++) {
		struct shard_reader *reader = read_begin();
		assert_int_equal(events_of(reader, "john"), 1);
		assert_string_equal(shard_read_type_name(reader, entry_of(reader, "jane", 0).type), "Liked");
		assert_string_equal(shard_read_type_name(reader, entry_of(reader, "jane", 1).type), "Viewed");
		assert_null(shard_read_type_name(reader, 2));
		assert_int_equal(shard_read_type(reader, "Purchased", 9), EVENT_TYPE_NONE);
		read_end(reader);
		shard_fixture_reopen();
	}
}

/* A child commits one transaction, begins another, and is killed in the middle of it. */
static void kill_9_keeps_what_was_committed_and_no_more(void **state)
{
	(void)state;
	shard_fixture_close();
	int ready[2];
	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	if (child == 0) {
		shard_fixture_open(SHARD_FIXTURE_BYTES);
		begin();
		write_one("john", "Viewed", 1, 100);
		commit();
		begin();
		write_one("john", "Viewed", 2, 200);
		write_one("jane", "Viewed", 3, 300);
		(void)!write(ready[1], "x", 1);
		pause();
		_exit(0);
	}
	char byte;
	assert_int_equal(read(ready[0], &byte, 1), 1);
	kill(child, SIGKILL);
	/* opened while the child may still be dying: the lock is waited for */
	shard_fixture_open(SHARD_FIXTURE_BYTES);
	waitpid(child, NULL, 0);
	close(ready[0]);
	close(ready[1]);
	struct shard_reader *reader = read_begin();
	assert_int_equal(events_of(reader, "john"), 1);
	assert_int_equal(events_of(reader, "jane"), 0);
	read_end(reader);
	assert_int_equal(counters().accepted, 1);
	begin();
	assert_int_equal(write_one("john", "Viewed", 1, 100), HISTORY_DUPLICATE);
	assert_int_equal(write_one("john", "Viewed", 2, 200), HISTORY_ACCEPTED);
	commit();
}

static void the_last_free_type_leaves_neighbours_alone(void **state)
{
	(void)state;
	begin();
	for (unsigned i = 0; i < SHARD_TYPES_MAX; i++) {
		char type[16];
		snprintf(type, sizeof type, "type-%u", i);
		assert_int_equal(write_one("john", type, i + 1, i), HISTORY_ACCEPTED);
	}
	assert_int_equal(write_one("jane", "one more", 1, 5000), E_EXHAUSTED);
	assert_non_null(strstr(fault.text, "one more"));
	assert_non_null(strstr(fault.text, "1000"));
	assert_false(shard_write_lost(shard));
	assert_int_equal(write_one("jane", "type-999", 2, 5000), HISTORY_ACCEPTED);
	commit();
	shard_fixture_reopen();
	struct shard_reader *reader = read_begin();
	assert_int_equal(events_of(reader, "jane"), 1);
	assert_string_equal(shard_read_type_name(reader, entry_of(reader, "jane", 0).type), "type-999");
	for (uint32_t i = 0; i < SHARD_TYPES_MAX; i += 37) {
		char type[16];
		snprintf(type, sizeof type, "type-%u", i);
		assert_string_equal(shard_read_type_name(reader, entry_of(reader, "john", i).type), type);
	}
	read_end(reader);
	assert_int_equal(counters().refused, 1);
	begin();
	assert_int_equal(write_one("jane", "one more", 3, 6000), E_EXHAUSTED);
	commit();
}

static void a_full_map_fails_the_whole_transaction_cleanly(void **state)
{
	(void)state;
	shard_fixture_close();
	shard_fixture_open(256 << 10);
	begin();
	assert_int_equal(write_one("john", "Viewed", 1, 100), HISTORY_ACCEPTED);
	commit();
	struct shard_counters before = counters();
	begin();
	int code = HISTORY_ACCEPTED;
	for (unsigned user = 0; user < 1000 && code > 0; user++) {
		char name[200];
		snprintf(name, sizeof name, "%0180u", user);
		for (uint64_t event = 1; event <= 20 && code > 0; event++)
			code = write_one(name, user % 2 ? "Viewed" : "Liked", event, (int64_t)event);
	}
	assert_int_equal(code, E_EXHAUSTED);
	assert_non_null(strstr(fault.text, "shard_map_gb"));
	assert_true(shard_write_lost(shard));
	/* the same answer to whoever comes next, and from the commit */
	struct error first = fault;
	assert_int_equal(write_one("jane", "Viewed", 2, 200), E_EXHAUSTED);
	assert_string_equal(fault.text, first.text);
	assert_int_equal(shard_write_commit(shard, &fault), E_EXHAUSTED);
	assert_string_equal(fault.text, first.text);
	struct shard_counters after = counters();
	assert_memory_equal(&before, &after, sizeof before);
	/* what fits is still taken */
	begin();
	assert_int_equal(write_one("john", "Liked", 2, 200), HISTORY_ACCEPTED);
	commit();
	struct shard_reader *reader = read_begin();
	assert_int_equal(events_of(reader, "john"), 2);
	assert_string_equal(shard_read_type_name(reader, entry_of(reader, "john", 1).type), "Liked");
	read_end(reader);
}

/* A limit on file sizes stands in for a full disk: the commit's writes fail in the same place. */
static void a_full_disk_fails_the_commit_and_no_other(void **state)
{
	(void)state;
	struct rlimit old, tight;
	begin();
	write_one("john", "Viewed", 1, 100);
	commit();
	struct shard_counters before = counters();
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	tight = old;
	tight.rlim_cur = shard_file_bytes(shard);
	setrlimit(RLIMIT_FSIZE, &tight);
	begin();
	for (uint64_t event = 2; event <= 1000; event++)
		assert_int_equal(write_one("jane", "Liked", event, (int64_t)event), HISTORY_ACCEPTED);
	int code = shard_write_commit(shard, &fault);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(code, E_EXHAUSTED);
	assert_non_null(strstr(fault.text, "cannot commit"));
	struct shard_counters after = counters();
	assert_memory_equal(&before, &after, sizeof before);
	/* there is room again */
	begin();
	assert_int_equal(write_one("jane", "Purchased", 2, 100), HISTORY_ACCEPTED);
	commit();
	shard_fixture_reopen();
	struct shard_reader *reader = read_begin();
	assert_int_equal(events_of(reader, "john"), 1);
	assert_int_equal(events_of(reader, "jane"), 1);
	assert_string_equal(shard_read_type_name(reader, entry_of(reader, "jane", 0).type), "Purchased");
	read_end(reader);
}

static void a_damaged_row_fails_its_user_only(void **state)
{
	(void)state;
	put_raw(SHARD_HISTORY, (MDB_val){ 4, "john" }, "garbage", 7);
	begin();
	assert_int_equal(write_one("john", "Viewed", 1, 100), E_DATA_LOSS);
	assert_non_null(strstr(fault.text, "john"));
	assert_int_equal(write_one("jane", "Viewed", 2, 100), HISTORY_ACCEPTED);
	commit();
	assert_int_equal(counters().refused, 1);
	struct shard_reader *reader = read_begin();
	struct history history;
	assert_int_equal(shard_read_history(reader, "john", 4, &history, &fault), E_DATA_LOSS);
	assert_int_equal(events_of(reader, "jane"), 1);
	read_end(reader);
	bool existed;
	uint32_t deleted;
	int64_t oldest_ms;
	begin();
	assert_int_equal(shard_write_forget(shard, "john", 4, 50, &existed, &deleted, &oldest_ms, &fault), 0);
	assert_true(existed);
	assert_int_equal(write_one("john", "Viewed", 1, 100), HISTORY_ACCEPTED);
	commit();
}

struct walked {
	char names[20][8];
	uint32_t count;
	int stop_with;
};

static int on_user(void *context, const char *user, size_t user_bytes, const struct history *history)
{
	struct walked *walked = context;
	assert_true(history->count > 0);
	snprintf(walked->names[walked->count++], 8, "%.*s", (int)user_bytes, user);
	return walked->stop_with;
}

static void users_are_walked_in_portions(void **state)
{
	(void)state;
	begin();
	for (uint64_t i = 0; i < 10; i++) {
		char name[8];
		snprintf(name, sizeof name, "u%u", (unsigned)((i * 7) % 10));
		write_one(name, "Viewed", i + 1, 100);
	}
	commit();
	struct walked walked = { 0 };
	struct shard_cursor cursor = { .bytes = 0 };
	bool done = false;
	struct shard_reader *reader = read_begin();
	for (unsigned portion = 0; !done; portion++) {
		assert_true(portion < 5);
		assert_int_equal(shard_read_users(reader, &cursor, 3, on_user, &walked, &done, &fault), 0);
		/* between portions the snapshot is let go, and users come and go */
		shard_read_end(reader);
		begin();
		if (portion == 0) {
			bool existed;
			uint32_t deleted;
			int64_t oldest_ms;
			assert_int_equal(
				shard_write_forget(shard, "u2", 2, 100, &existed, &deleted, &oldest_ms, &fault), 0);
			write_one("u22", "Viewed", 50, 100);
			write_one("a", "Viewed", 51, 100);
		}
		commit();
		assert_int_equal(shard_read_begin(reader, &fault), 0);
	}
	static const char *const expected[] = { "u0", "u1", "u2", "u22", "u3", "u4", "u5", "u6", "u7", "u8", "u9" };
	assert_int_equal(walked.count, 11);
	for (uint32_t i = 0; i < 11; i++)
		assert_string_equal(walked.names[i], expected[i]);
	walked = (struct walked){ .stop_with = -77 };
	cursor.bytes = 0;
	assert_int_equal(shard_read_users(reader, &cursor, 3, on_user, &walked, &done, &fault), -77);
	assert_int_equal(walked.count, 1);
	assert_false(done);
	read_end(reader);
}

static void a_walk_goes_on_behind_a_damaged_row(void **state)
{
	(void)state;
	begin();
	write_one("jane", "Viewed", 1, 100);
	write_one("zoe", "Viewed", 2, 100);
	commit();
	put_raw(SHARD_HISTORY, (MDB_val){ 4, "john" }, "garbage", 7);
	struct shard_reader *reader = read_begin();
	struct walked walked = { 0 };
	struct shard_cursor cursor = { .bytes = 0 };
	bool done = false;
	assert_int_equal(shard_read_users(reader, &cursor, 10, on_user, &walked, &done, &fault), E_DATA_LOSS);
	assert_true(cursor.damaged);
	assert_false(done);
	assert_non_null(strstr(fault.text, "john"));
	assert_int_equal(shard_read_users(reader, &cursor, 10, on_user, &walked, &done, &fault), 0);
	assert_false(cursor.damaged);
	assert_true(done);
	assert_int_equal(walked.count, 2);
	assert_string_equal(walked.names[1], "zoe");
	read_end(reader);
}

static void an_empty_shard_has_nothing(void **state)
{
	(void)state;
	struct shard_reader *reader = read_begin();
	struct walked walked = { 0 };
	struct shard_cursor cursor = { .bytes = 0 };
	bool done = false;
	assert_int_equal(shard_read_users(reader, &cursor, 3, on_user, &walked, &done, &fault), 0);
	assert_true(done);
	assert_int_equal(walked.count, 0);
	assert_int_equal(events_of(reader, "john"), 0);
	assert_int_equal(events_of(reader, ""), 0);
	assert_null(shard_read_type_name(reader, 0));
	read_end(reader);
	assert_int_equal(counters().newest_event_ms, INT64_MIN);
	assert_true(shard_file_bytes(shard) > 0);
}

/* --- two threads: the writer, and a reader that checks that what it sees was committed together --- */

enum { COMMITS = 300 };
static atomic_bool written;
static _Atomic uint64_t acked; /* events whose commit has returned */

static int on_count(void *context, const char *user, size_t user_bytes, const struct history *history)
{
	(void)user;
	(void)user_bytes;
	*(uint64_t *)context += history->count;
	return 0;
}

/* NULL, or what was wrong. */
static void *read_snapshots(void *context)
{
	struct shard_reader *reader = context;
	struct shard_counters now;
	bool done = false;
	while (!atomic_load(&written)) {
		/*
		 * Not the last snapshot: LMDB may show a commit that has not returned yet, and then the
		 * one before it again.
		 */
		uint64_t promised = atomic_load(&acked), kept = 0;
		struct shard_cursor cursor = { .bytes = 0 };
		if (shard_read_begin(reader, NULL))
			return "cannot begin";
		int code = shard_read_counters(reader, &now, NULL) |
			   shard_read_users(reader, &cursor, 1000, on_count, &kept, &done, NULL);
		const char *name = now.kept ? shard_read_type_name(reader, (uint16_t)(now.kept / 10 - 1)) : "type";
		shard_read_end(reader);
		if (code || !done)
			return "cannot read";
		if (kept != now.kept || kept % 10)
			return "half a transaction";
		if (kept < promised)
			return "an acked event is not seen";
		if (!name)
			return "an event without its type";
	}
	return NULL;
}

static void a_reader_in_another_thread_sees_whole_transactions(void **state)
{
	(void)state;
	struct shard_reader *reader;
	pthread_t thread;
	void *wrong;
	atomic_store(&written, false);
	atomic_store(&acked, 0);
	assert_int_equal(shard_reader_open(shard, &reader, &fault), 0);
	assert_int_equal(pthread_create(&thread, NULL, read_snapshots, reader), 0);
	for (uint64_t n = 0; n < COMMITS; n++) {
		char type[16];
		snprintf(type, sizeof type, "type-%u", (unsigned)n);
		begin();
		for (uint64_t i = 0; i < 10; i++) {
			char user[8];
			snprintf(user, sizeof user, "u%u", (unsigned)((n + i * 7) % 50));
			write_one(user, type, n * 10 + i + 1, (int64_t)n);
		}
		commit();
		atomic_store(&acked, (n + 1) * 10);
	}
	atomic_store(&written, true);
	pthread_join(thread, &wrong);
	shard_reader_close(reader);
	if (wrong)
		fail_msg("%s", (const char *)wrong);
	assert_int_equal(counters().kept, COMMITS * 10);
}

static void a_long_transaction_says_how_much_it_holds(void **state)
{
	(void)state;
	begin();
	uint64_t before = shard_write_bytes(shard);
	for (uint64_t event = 1; event <= 1000; event++)
		write_one("john", "Viewed", event, (int64_t)event);
	assert_true(shard_write_bytes(shard) >= before + history_bytes(1000));
	/* with the next user the rows are stored, in two; her own is held */
	write_one("jane", "Viewed", 1, 1);
	uint64_t stored = 1000 * history_entry_bytes(HISTORY_PACKED | HISTORY_EVENTS) + history_bytes(1);
	assert_true(shard_write_bytes(shard) >= before + stored);
	assert_true(shard_write_bytes(shard) <= before + stored + UINT64_C(6) * 4096);
	commit();
	begin();
	assert_int_equal(shard_write_bytes(shard), 0);
	shard_write_abort(shard);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_committed_is_read_and_survives, shard_fixture_setup,
						shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(a_reader_keeps_its_snapshot, shard_fixture_setup,
						shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(an_event_sent_again_counts_once, shard_fixture_setup,
						shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(an_abort_leaves_nothing, shard_fixture_setup, shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(kill_9_keeps_what_was_committed_and_no_more, shard_fixture_setup,
						shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(the_last_free_type_leaves_neighbours_alone, shard_fixture_setup,
						shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(a_full_map_fails_the_whole_transaction_cleanly, shard_fixture_setup,
						shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(a_full_disk_fails_the_commit_and_no_other, shard_fixture_setup,
						shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(a_damaged_row_fails_its_user_only, shard_fixture_setup,
						shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(users_are_walked_in_portions, shard_fixture_setup,
						shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(a_walk_goes_on_behind_a_damaged_row, shard_fixture_setup,
						shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(an_empty_shard_has_nothing, shard_fixture_setup,
						shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(a_reader_in_another_thread_sees_whole_transactions, shard_fixture_setup,
						shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(a_long_transaction_says_how_much_it_holds, shard_fixture_setup,
						shard_fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
