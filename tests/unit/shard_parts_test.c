/*
 * Long histories, which a shard stores in two rows: how they are read, walked, forgotten and damaged,
 * and shards of before there were any.
 */
#include "lib/shard_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct history_rules plenty = { 1000, 0 };

static void reopen(bool read_only)
{
	shard_fixture_close();
	if (shard_fixture_try_open(SHARD_FIXTURE_BYTES, read_only))
		fail_msg("%s", fault.text);
}

/* Events first..last, of these ids and times. */
static int write_events(const char *user, uint64_t first, uint64_t last)
{
	int outcome = 0;
	begin();
	for (uint64_t event = first; event <= last; event++) {
		const struct shard_event it = { .user = user,
						.user_bytes = strlen(user),
						.type = "Viewed",
						.type_bytes = 6,
						.item = { event + 1000 },
						.time_ms = (int64_t)event,
						.event = { event },
						.weight = 1 };
		outcome = shard_write_event(shard, &plenty, &it, &fault);
	}
	commit();
	return outcome;
}

static MDB_val older_key(const char *user)
{
	static char buffer[SHARD_OLDER_KEY_BYTES];
	return shard_older_key(buffer, (MDB_val){ strlen(user), (void *)user });
}

/* Events 1..count, oldest first; *divided: whether they lie in two rows. */
static void expect(struct shard_reader *reader, const char *user, uint32_t count, bool divided)
{
	struct history history;
	assert_int_equal(shard_read_history(reader, user, strlen(user), &history, &fault), 0);
	assert_int_equal(history.count, count);
	assert_int_equal(history.older_count > 0, divided);
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(history_at(&history, i).event.value, i + 1);
}

static void long_histories_are_read_beside_short_ones(void **state)
{
	(void)state;
	/* ids that begin alike, so that the rows lie between each other */
	static const char *const users[] = { "u", "u1", "u10", "u2" };
	for (unsigned round = 0; round < 3; round++)
		for (unsigned u = 0; u < 4; u++)
			write_events(users[u], 1 + 40 * round, u == 1 ? 10 + 10 * round : 40 + 40 * round);
	assert_int_equal(rows_in(SHARD_HISTORY), 7);
	struct shard_reader *reader = read_begin();
	for (unsigned round = 0; round < 2; round++) {
		expect(reader, "u", 120, true);
		expect(reader, "u2", 120, true);
		expect(reader, "u1", 10, false);
		expect(reader, "u10", 120, true);
		struct history history;
		assert_int_equal(shard_read_history(reader, "u3", 2, &history, &fault), E_NOT_FOUND);
		/* the same reader, in another snapshot */
		shard_read_end(reader);
		assert_int_equal(shard_read_begin(reader, &fault), 0);
	}
	read_end(reader);
	assert_int_equal(write_events("u2", 1, 1), HISTORY_DUPLICATE);
	assert_int_equal(write_events("u2", 120, 120), HISTORY_DUPLICATE);
}

struct walked {
	struct shard_reader *reader;
	char names[160];
	uint64_t events;
};

static int on_user(void *context, const char *user, size_t user_bytes, const struct history *history)
{
	struct walked *walked = context;
	size_t used = strlen(walked->names);
	snprintf(walked->names + used, sizeof walked->names - used, "%.*s:%u ", (int)user_bytes, user, history->count);
	for (uint32_t i = 0; i < history->count; i++)
		walked->events += history_at(history, i).event.value == i + 1;
	/* who walks may read as well */
	if (walked->reader)
		expect(walked->reader, "a", 100, true);
	return 0;
}

struct counted {
	uint64_t users, events;
};

static int on_count(void *context, const char *user, size_t user_bytes, const struct history *history)
{
	struct counted *counted = context;
	(void)user;
	(void)user_bytes;
	counted->users++;
	counted->events += history->count;
	return 0;
}

static void a_walk_meets_each_user_once(void **state)
{
	(void)state;
	write_events("a", 1, 100);
	write_events("b", 1, 5);
	write_events("c", 1, 300);
	write_events("d", 1, 61);
	for (size_t portion = 1; portion <= 5; portion++) {
		struct walked walked = { .reader = read_begin() };
		struct shard_cursor cursor = { .bytes = 0 };
		bool done = false;
		for (unsigned n = 0; n < 10 && !done; n++)
			assert_int_equal(
				shard_read_users(walked.reader, &cursor, portion, on_user, &walked, &done, &fault), 0);
		assert_true(done);
		assert_string_equal(walked.names, "a:100 b:5 c:300 d:61 ");
		assert_int_equal(walked.events, 466);
		read_end(walked.reader);
	}
}

static void a_forgotten_user_leaves_no_row(void **state)
{
	(void)state;
	bool existed;
	uint32_t deleted;
	int64_t oldest_ms;
	write_events("john", 1, 100);
	write_events("john2", 1, 100);
	assert_int_equal(rows_in(SHARD_HISTORY), 4);
	begin();
	assert_int_equal(shard_write_forget(shard, "john", 4, 50, &existed, &deleted, &oldest_ms, &fault), 0);
	commit();
	assert_int_equal(deleted, 100);
	assert_int_equal(oldest_ms, 1);
	assert_int_equal(rows_in(SHARD_HISTORY), 2);
	assert_int_equal(write_events("john", 1, 100), HISTORY_DROPPED);
	assert_int_equal(rows_in(SHARD_HISTORY), 2);
}

/* Whatever is wrong with the older row, its user alone is refused, and can be forgotten. */
static void expect_damaged(void)
{
	struct shard_reader *reader = read_begin();
	struct history history;
	assert_int_equal(shard_read_history(reader, "b", 1, &history, &fault), E_DATA_LOSS);
	assert_non_null(strstr(fault.text, "\"b\""));
	struct walked walked = { 0 };
	struct shard_cursor cursor = { .bytes = 0 };
	bool done = false;
	assert_int_equal(shard_read_users(reader, &cursor, 10, on_user, &walked, &done, &fault), E_DATA_LOSS);
	assert_true(cursor.damaged);
	assert_int_equal(shard_read_users(reader, &cursor, 10, on_user, &walked, &done, &fault), 0);
	assert_true(done);
	assert_string_equal(walked.names, "a:100 c:100 ");
	read_end(reader);
	assert_int_equal(write_events("b", 101, 101), E_DATA_LOSS);
	assert_int_equal(write_events("c", 100, 100), HISTORY_DUPLICATE);
}

static void a_damaged_older_row_is_its_users_alone(void **state)
{
	(void)state;
	bool existed;
	uint32_t deleted;
	int64_t oldest_ms;
	for (unsigned wrong = 0; wrong < 3; wrong++) {
		write_events("a", 1, 100);
		write_events("b", 1 + 1000 * wrong, 100 + 1000 * wrong);
		write_events("c", 1, 100);
		assert_int_equal(rows_in(SHARD_HISTORY), 6);
		if (wrong == 0)
			put_raw(SHARD_HISTORY, older_key("b"), NULL, 0);
		else
			put_raw(SHARD_HISTORY, older_key("b"), "garbage", wrong == 1 ? 7 : 0);
		expect_damaged();
		begin();
		assert_int_equal(shard_write_forget(shard, "b", 1, 50, &existed, &deleted, &oldest_ms, &fault), 0);
		commit();
		assert_true(existed);
		assert_int_equal(rows_in(SHARD_HISTORY), 4);
	}
}

/* Only from outside can a user's own row get lost; it is not passed over in silence, wherever in the shard it was. */
static void an_older_row_alone_is_damage(void **state)
{
	(void)state;
	static const char *const users[] = { "a", "b", "c" };
	for (unsigned lost = 0; lost < 3; lost++) {
		for (unsigned u = 0; u < 3; u++)
			write_events(users[u], 1, 100);
		put_raw(SHARD_HISTORY, (MDB_val){ 1, (void *)users[lost] }, NULL, 0);
		struct walked walked = { 0 };
		struct shard_cursor cursor = { .bytes = 0 };
		struct shard_reader *reader = read_begin();
		bool done = false;
		assert_int_equal(shard_read_users(reader, &cursor, 10, on_user, &walked, &done, &fault), E_DATA_LOSS);
		assert_true(cursor.damaged);
		assert_int_equal(cursor.bytes, 1);
		assert_int_equal(cursor.user[0], users[lost][0]);
		assert_int_equal(shard_read_users(reader, &cursor, 10, on_user, &walked, &done, &fault), 0);
		assert_true(done);
		assert_int_equal(walked.events, 200);
		read_end(reader);
		/* the user begins anew, and what is left is written over */
		assert_int_equal(write_events(users[lost], 1, 100), HISTORY_ACCEPTED);
		assert_int_equal(rows_in(SHARD_HISTORY), 6);
	}
}

/* Ids of all lengths that begin alike, in a tree of several levels, and one reader for all of it. */
static void many_users_of_all_lengths(void **state)
{
	enum { USERS = 256, ROUNDS = 4, EVENTS = 30 };
	(void)state;
	static char ids[USERS][USER_ID_MAX + 1];
	struct shard_reader *reader = read_begin();
	shard_read_end(reader);
	for (unsigned u = 0; u < USERS; u++)
		memset(ids[u], 'u', u + 1);
	for (uint64_t round = 0; round < ROUNDS; round++) {
		for (unsigned u = 0; u < USERS; u++)
			if (round == 0 || u % 3)
				write_events(ids[u], 1 + EVENTS * round, EVENTS * (round + 1));
		assert_int_equal(shard_read_begin(reader, &fault), 0);
		for (unsigned u = 0; u < USERS; u++)
			expect(reader, ids[u], u % 3 ? EVENTS * ((uint32_t)round + 1) : EVENTS, u % 3 && round >= 2);
		struct counted counted = { 0 };
		struct shard_cursor cursor = { .bytes = 0 };
		bool done = false;
		while (!done)
			assert_int_equal(shard_read_users(reader, &cursor, 7, on_count, &counted, &done, &fault), 0);
		assert_int_equal(counted.users, USERS);
		assert_int_equal(counted.events, counters().kept);
		shard_read_end(reader);
	}
	shard_reader_close(reader);
}

/* Events with all columns, of a user whose id has so many bytes. Returns the pages that rows have for themselves. */
static size_t pages_of_a_user(uint32_t id_bytes, uint32_t events)
{
	char user[USER_ID_MAX];
	memset(user, 'u', sizeof user);
	begin();
	for (uint64_t i = 1; i <= events; i++) {
		const struct shard_property property = { "colour", 6, "red", 3 };
		const struct shard_event it = { .user = user,
						.user_bytes = id_bytes,
						.type = "Viewed",
						.type_bytes = 6,
						.item = { i },
						.time_ms = (int64_t)i,
						.event = { i },
						.weight = 2,
						.properties = &property,
						.property_count = 1 };
		assert_int_equal(shard_write_event(shard, &plenty, &it, &fault), HISTORY_ACCEPTED);
	}
	commit();
	return stat_of(SHARD_HISTORY).ms_overflow_pages;
}

static void the_newest_events_lie_inside_a_page(void **state)
{
	(void)state;
	assert_int_equal(pages_of_a_user(1, HISTORY_NEWEST_MAX), 0);
	assert_int_equal(pages_of_a_user(214, HISTORY_NEWEST_MAX), 0);
}

static uint32_t format(void)
{
	MDB_txn *txn = NULL;
	uint32_t number = 0;
	assert_int_equal(store_read_begin(shard->store, &txn, &fault), 0);
	assert_int_equal(shard_get_fixed(shard, txn, SHARD_COUNTERS, "format", &number, sizeof number, &fault), 0);
	store_read_end(shard->store, txn);
	store_read_free(&txn);
	return number;
}

static void set_format(uint32_t number)
{
	put_raw(SHARD_COUNTERS, (MDB_val){ 6, "format" }, &number, sizeof number);
}

static void a_shard_of_before_is_read_and_taken_over(void **state)
{
	(void)state;
	static struct {
		struct history_stored_head head;
		struct history_entry entries[100];
	} row = { .head = { .format = HISTORY_WHOLE, .count = 100, .floor_ms = HISTORY_NO_FLOOR } };
	for (uint64_t i = 0; i < 100; i++)
		row.entries[i] = (struct history_entry){ .event = { i + 1 }, .time_ms = (int64_t)i + 1, .weight = 1 };
	put_raw(SHARD_HISTORY, (MDB_val){ 4, "john" }, &row, sizeof row);
	set_format(SHARD_FORMAT_OLDEST);
	reopen(true);
	assert_int_equal(format(), SHARD_FORMAT_OLDEST);
	struct shard_reader *reader = read_begin();
	expect(reader, "john", 100, false);
	read_end(reader);

	reopen(false);
	assert_int_equal(format(), SHARD_FORMAT);
	assert_int_equal(write_events("john", 101, 101), HISTORY_ACCEPTED);
	reopen(true);
	reader = read_begin();
	expect(reader, "john", 101, true);
	read_end(reader);

	reopen(false);
	set_format(SHARD_FORMAT + 1);
	shard_fixture_close();
	assert_int_equal(shard_fixture_try_open(SHARD_FIXTURE_BYTES, true), E_UNIMPLEMENTED);
	assert_int_equal(shard_fixture_try_open(SHARD_FIXTURE_BYTES, false), E_UNIMPLEMENTED);
	assert_non_null(strstr(fault.text, "knows formats 1 to 3"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(long_histories_are_read_beside_short_ones, shard_fixture_setup,
						shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(a_walk_meets_each_user_once, shard_fixture_setup,
						shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(a_forgotten_user_leaves_no_row, shard_fixture_setup,
						shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(a_damaged_older_row_is_its_users_alone, shard_fixture_setup,
						shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(an_older_row_alone_is_damage, shard_fixture_setup,
						shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(many_users_of_all_lengths, shard_fixture_setup, shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(the_newest_events_lie_inside_a_page, shard_fixture_setup,
						shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(a_shard_of_before_is_read_and_taken_over, shard_fixture_setup,
						shard_fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
