/* Deletion and properties of common/shard.h, and a long random run against a simple model of it. */
#include "lib/dice.h"
#include "lib/shard_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* One event in a transaction of its own; note (when not NULL) is its property "note". */
static int send_one(const char *user, uint64_t event, int64_t time_ms, const char *note, uint32_t cap)
{
	const struct history_rules rules = { cap, 0 };
	const struct shard_property property = { "note", 4, note, note ? strlen(note) : 0 };
	const struct shard_event it = { .user = user,
					.user_bytes = strlen(user),
					.type = "Viewed",
					.type_bytes = 6,
					.item = { 7 },
					.time_ms = time_ms,
					.event = { event },
					.weight = 1,
					.properties = &property,
					.property_count = note ? 1 : 0 };
	assert_int_equal(shard_write_begin(shard, &fault), 0);
	int outcome = shard_write_event(shard, &rules, &it, &fault);
	assert_int_equal(shard_write_commit(shard, &fault), 0);
	return outcome;
}

struct forgotten {
	bool existed;
	uint32_t deleted;
	int64_t oldest_ms;
};

static struct forgotten forget(const char *user, int64_t now_ms)
{
	struct forgotten gone = { .oldest_ms = -1 };
	assert_int_equal(shard_write_begin(shard, &fault), 0);
	assert_int_equal(shard_write_forget(shard, user, strlen(user), now_ms, &gone.existed, &gone.deleted,
					    &gone.oldest_ms, &fault),
			 0);
	assert_int_equal(shard_write_commit(shard, &fault), 0);
	return gone;
}

static uint32_t kept_of(const char *user)
{
	struct shard_reader *reader = read_begin();
	uint32_t count = events_of(reader, user);
	read_end(reader);
	return count;
}

/* The note of each entry, oldest first, must be exactly these; "" for none. */
static void expect_notes(const char *user, uint32_t count, const char *const *notes)
{
	struct shard_reader *reader = read_begin();
	struct history history;
	assert_int_equal(shard_read_history(reader, user, strlen(user), &history, &fault), 0);
	assert_int_equal(history.count, count);
	for (uint32_t i = 0; i < count; i++) {
		struct history_entry entry = history_at(&history, i);
		struct shard_property property;
		size_t got = shard_read_properties(reader, user, strlen(user), &entry, &property, 1);
		assert_int_equal(got, notes[i][0] ? 1 : 0);
		if (got) {
			assert_int_equal(property.name_bytes, 4);
			assert_memory_equal(property.name, "note", 4);
			assert_int_equal(property.value_bytes, strlen(notes[i]));
			assert_memory_equal(property.value, notes[i], property.value_bytes);
		}
	}
	read_end(reader);
}

static void a_forgotten_user_is_gone_and_stays_gone(void **state)
{
	(void)state;
	for (uint64_t event = 1; event <= 5; event++)
		send_one("john", event, 100 * (int64_t)event, "x", 1000);
	send_one("jane", 1, 100, "y", 1000);
	struct forgotten gone = forget("john", 1000);
	assert_true(gone.existed);
	assert_int_equal(gone.deleted, 5);
	assert_int_equal(gone.oldest_ms, 100);
	assert_int_equal(kept_of("john"), 0);
	assert_int_equal(kept_of("jane"), 1);
	assert_int_equal(rows_in(SHARD_PROPERTIES), 1);
	assert_int_equal(counters().users, 1);
	assert_int_equal(counters().kept, 1);
	assert_int_equal(counters().accepted, 6);
	/* all sent again: nothing comes back */
	shard_fixture_reopen();
	for (uint64_t event = 1; event <= 5; event++)
		assert_int_equal(send_one("john", event, 100 * (int64_t)event, "x", 1000), HISTORY_DROPPED);
	assert_int_equal(kept_of("john"), 0);
	assert_int_equal(rows_in(SHARD_PROPERTIES), 1);
	/* what he does afterwards starts anew, and the floor holds on */
	assert_int_equal(send_one("john", 6, 1001, NULL, 1000), HISTORY_ACCEPTED);
	assert_int_equal(send_one("john", 5, 500, NULL, 1000), HISTORY_DROPPED);
	assert_int_equal(send_one("john", 7, 1000, NULL, 1000), HISTORY_DROPPED);
	assert_int_equal(kept_of("john"), 1);
	assert_int_equal(rows_in(SHARD_FORGOTTEN), 0);
	assert_int_equal(counters().users, 2);
}

/* Events may be up to a day ahead of the clock: those must not come back either. */
static void events_of_the_future_are_blocked_too(void **state)
{
	(void)state;
	send_one("john", 1, 5000, NULL, 1000);
	forget("john", 1000);
	assert_int_equal(send_one("john", 1, 5000, NULL, 1000), HISTORY_DROPPED);
	assert_int_equal(send_one("john", 2, 5001, NULL, 1000), HISTORY_ACCEPTED);
}

static void forgetting_twice_keeps_the_later_floor(void **state)
{
	(void)state;
	send_one("john", 1, 5000, NULL, 1000);
	forget("john", 1000);
	struct forgotten again = forget("john", 2000);
	assert_false(again.existed);
	assert_int_equal(again.deleted, 0);
	assert_int_equal(send_one("john", 1, 5000, NULL, 1000), HISTORY_DROPPED);
	send_one("john", 2, 6000, NULL, 1000);
	assert_true(forget("john", 1500).existed);
	assert_int_equal(send_one("john", 2, 6000, NULL, 1000), HISTORY_DROPPED);
	assert_int_equal(counters().users, 0);
	assert_int_equal(counters().kept, 0);
}

static void a_user_nobody_knows_can_be_forgotten(void **state)
{
	(void)state;
	assert_false(forget("jane", 1000).existed);
	assert_int_equal(send_one("jane", 1, 1000, NULL, 1000), HISTORY_DROPPED);
	assert_int_equal(send_one("jane", 2, 1001, NULL, 1000), HISTORY_ACCEPTED);
}

/* The id itself is not kept: its bytes are nowhere in what a reader of the database can reach. */
static void the_id_of_a_forgotten_user_is_not_kept(void **state)
{
	(void)state;
	send_one("john-with-a-long-id", 1, 100, "x", 1000);
	forget("john-with-a-long-id", 1000);
	MDB_txn *txn = NULL;
	assert_int_equal(store_read_begin(shard->store, &txn, &fault), 0);
	for (enum shard_database database = 0; database < SHARD_DATABASES; database++) {
		MDB_cursor *cursor;
		MDB_val key, value;
		assert_int_equal(mdb_cursor_open(txn, shard->databases[database], &cursor), 0);
		while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
			assert_null(memmem(key.mv_data, key.mv_size, "john", 4));
			assert_null(memmem(value.mv_data, value.mv_size, "john", 4));
		}
		mdb_cursor_close(cursor);
	}
	store_read_end(shard->store, txn);
	store_read_free(&txn);
	assert_int_equal(rows_in(SHARD_FORGOTTEN), 1);
}

static void within_one_transaction(void **state)
{
	(void)state;
	const struct history_rules rules = { 1000, 0 };
	struct shard_event it = { "john", 4, "Viewed", 6, { 7 }, 100, { 1 }, 1, NULL, 0 };
	struct forgotten gone;
	assert_int_equal(shard_write_begin(shard, &fault), 0);
	assert_int_equal(shard_write_event(shard, &rules, &it, &fault), HISTORY_ACCEPTED);
	/* not written to the database yet, but there */
	assert_int_equal(
		shard_write_forget(shard, "john", 4, 500, &gone.existed, &gone.deleted, &gone.oldest_ms, &fault), 0);
	assert_true(gone.existed);
	assert_int_equal(gone.deleted, 1);
	assert_int_equal(shard_write_event(shard, &rules, &it, &fault), HISTORY_DROPPED);
	it.time_ms = 600;
	assert_int_equal(shard_write_event(shard, &rules, &it, &fault), HISTORY_ACCEPTED);
	assert_int_equal(shard_write_commit(shard, &fault), 0);
	assert_int_equal(kept_of("john"), 1);
	assert_int_equal(counters().users, 1);
	assert_int_equal(counters().kept, 1);
	/* aborted: as if nobody had asked */
	assert_int_equal(shard_write_begin(shard, &fault), 0);
	assert_int_equal(
		shard_write_forget(shard, "john", 4, 900, &gone.existed, &gone.deleted, &gone.oldest_ms, &fault), 0);
	shard_write_abort(shard);
	assert_int_equal(kept_of("john"), 1);
	assert_int_equal(send_one("john", 2, 700, NULL, 1000), HISTORY_ACCEPTED);
}

static void properties_come_back_as_given(void **state)
{
	(void)state;
	char longest[256];
	memset(longest, 'v', sizeof longest);
	struct shard_property given[32];
	char names[32][8];
	for (uint32_t i = 0; i < 32; i++) {
		snprintf(names[i], sizeof names[i], "p%u", i);
		given[i] = (struct shard_property){ names[i], strlen(names[i]), longest, (i * 9) % 257 };
	}
	const struct history_rules rules = { 1000, 0 };
	struct shard_event it = { "john", 4, "Viewed", 6, { 7 }, 100, { 1 }, 1, given, 32 };
	assert_int_equal(shard_write_begin(shard, &fault), 0);
	assert_int_equal(shard_write_event(shard, &rules, &it, &fault), HISTORY_ACCEPTED);
	/* a copy with other properties changes nothing */
	it.property_count = 1;
	assert_int_equal(shard_write_event(shard, &rules, &it, &fault), HISTORY_DUPLICATE);
	/* more than the edge lets through */
	it.property_count = 32;
	given[0].value_bytes = 257;
	it.event.value = 2;
	assert_int_equal(shard_write_event(shard, &rules, &it, &fault), E_INVALID);
	given[0].value_bytes = 0;
	assert_int_equal(shard_write_commit(shard, &fault), 0);
	struct shard_reader *reader = read_begin();
	struct history history;
	assert_int_equal(shard_read_history(reader, "john", 4, &history, &fault), 0);
	assert_int_equal(history.count, 1);
	struct history_entry entry = history_at(&history, 0);
	struct shard_property read[32];
	assert_int_equal(shard_read_properties(reader, "john", 4, &entry, read, 3), 3);
	assert_int_equal(shard_read_properties(reader, "john", 4, &entry, read, 32), 32);
	for (uint32_t i = 0; i < 32; i++) {
		assert_int_equal(read[i].name_bytes, given[i].name_bytes);
		assert_memory_equal(read[i].name, given[i].name, given[i].name_bytes);
		assert_int_equal(read[i].value_bytes, given[i].value_bytes);
		assert_memory_equal(read[i].value, given[i].value, given[i].value_bytes);
	}
	read_end(reader);
}

static void properties_go_with_their_entries(void **state)
{
	(void)state;
	send_one("john", 1, 100, "first", 3);
	send_one("john", 2, 200, NULL, 3);
	send_one("john", 3, 300, "third", 3);
	expect_notes("john", 3, (const char *const[]){ "first", "", "third" });
	send_one("john", 4, 400, "fourth", 3);
	expect_notes("john", 3, (const char *const[]){ "", "third", "fourth" });
	assert_int_equal(rows_in(SHARD_PROPERTIES), 2);
	assert_int_equal(send_one("john", 1, 100, "first", 3), HISTORY_DROPPED);
	assert_int_equal(rows_in(SHARD_PROPERTIES), 2);
}

/* Two sizes of one shoe put into the cart in the same millisecond, without event ids. */
static void events_alike_keep_their_own_properties(void **state)
{
	(void)state;
	send_one("john", 0, 100, "42", 4);
	send_one("john", 0, 100, "43", 4);
	send_one("john", 0, 100, "44", 4);
	send_one("john", 0, 50, "early", 4);
	expect_notes("john", 4, (const char *const[]){ "early", "42", "43", "44" });
	send_one("john", 0, 200, "late", 4);
	send_one("john", 0, 200, "later", 4);
	expect_notes("john", 4, (const char *const[]){ "43", "44", "late", "later" });
	assert_int_equal(rows_in(SHARD_PROPERTIES), 4);
	forget("john", 1000);
	assert_int_equal(rows_in(SHARD_PROPERTIES), 0);
}

/* --- a random run --- */

/* Half of the users have long histories, which are stored in two rows. */
enum { USERS = 12, MODEL_EVENTS = 600, CAP_SHORT = 15, CAP = 150, STEPS = 12000 };

struct model_user {
	char row[sizeof(struct history_head) + (CAP + 1) * sizeof(struct history_entry)];
	size_t bytes;
	bool exists;
};

struct model {
	struct model_user users[USERS];
	struct shard_counters counters;
};

static void model_event(struct model *model, uint32_t user, const struct history_rules *rules, uint64_t event,
			int64_t time_ms, int outcome)
{
	struct model_user *it = &model->users[user];
	struct history_entry entry = { .item = { 7 }, .time_ms = time_ms, .event = { event }, .weight = 1 };
	if (event % 3 == 0)
		entry.flags = HISTORY_HAS_PROPERTIES;
	uint32_t gone;
	assert_int_equal(history_append(it->row, &it->bytes, &entry, rules, NULL, 0, &gone), outcome);
	if (outcome == HISTORY_DUPLICATE)
		model->counters.duplicates++;
	if (outcome == HISTORY_DROPPED)
		model->counters.dropped++;
	if (outcome != HISTORY_ACCEPTED)
		return;
	model->counters.users += !it->exists;
	it->exists = true;
	model->counters.accepted++;
	model->counters.kept += UINT64_C(1) - gone;
	if (time_ms > model->counters.newest_event_ms)
		model->counters.newest_event_ms = time_ms;
}

static void model_forget(struct model *model, uint32_t user, int64_t now_ms, const struct forgotten *gone)
{
	struct model_user *it = &model->users[user];
	struct history_head head;
	memcpy(&head, it->row, sizeof head);
	assert_int_equal(gone->existed, it->exists);
	assert_int_equal(gone->deleted, head.count);
	int64_t floor_ms = head.floor_ms > now_ms ? head.floor_ms : now_ms;
	if (head.count) {
		assert_int_equal(gone->oldest_ms, history_entry_at(it->row, 0).time_ms);
		int64_t newest_ms = history_entry_at(it->row, head.count - 1).time_ms;
		floor_ms = newest_ms > floor_ms ? newest_ms : floor_ms;
	}
	model->counters.users -= it->exists;
	model->counters.kept -= head.count;
	it->exists = false;
	it->bytes = history_empty(it->row, floor_ms);
}

/* Returns how many histories are stored in two rows. */
static size_t compare(const struct model *model)
{
	struct shard_reader *reader = read_begin();
	size_t properties = 0, divided = 0;
	for (uint32_t user = 0; user < USERS; user++) {
		char name[8];
		snprintf(name, sizeof name, "u%u", user);
		struct history history;
		int code = shard_read_history(reader, name, strlen(name), &history, &fault);
		assert_int_equal(code, model->users[user].exists ? 0 : E_NOT_FOUND);
		if (code)
			continue;
		const char *row = model->users[user].row;
		struct history_head head;
		memcpy(&head, row, sizeof head);
		assert_int_equal(history.count, head.count);
		assert_int_equal(history.floor_ms, head.floor_ms);
		for (uint32_t i = 0; i < history.count; i++) {
			struct history_entry entry = history_at(&history, i), expected = history_entry_at(row, i);
			assert_memory_equal(&entry, &expected, sizeof entry);
			properties += entry.flags & HISTORY_HAS_PROPERTIES;
		}
		divided += history.older_count > 0;
	}
	read_end(reader);
	struct shard_counters now = counters();
	assert_memory_equal(&now, &model->counters, sizeof now);
	assert_int_equal(rows_in(SHARD_PROPERTIES), properties);
	assert_int_equal(rows_in(SHARD_HISTORY), now.users + divided);
	return divided;
}

static void random_step(struct model *model)
{
	const struct shard_property property = { "n", 1, "v", 1 };
	uint32_t user = chance(USERS);
	const struct history_rules rules = { user % 2 ? CAP_SHORT : CAP, user % 4 < 2 && chance(2) ? 300 : 0 };
	char name[8];
	int bytes = snprintf(name, sizeof name, "u%u", user);
	if (chance(60) == 0) {
		struct forgotten gone = { 0 };
		int64_t now_ms = chance(1000);
		assert_int_equal(shard_write_forget(shard, name, (size_t)bytes, now_ms, &gone.existed, &gone.deleted,
						    &gone.oldest_ms, &fault),
				 0);
		model_forget(model, user, now_ms, &gone);
		return;
	}
	uint64_t event = 1 + chance(MODEL_EVENTS);
	int64_t time_ms = (int64_t)(event * 2) + chance(3) * 500;
	const struct shard_event it = { name,    (size_t)bytes, "Viewed", 6,         { 7 },
					time_ms, { event },     1,        &property, event % 3 == 0 };
	int outcome = shard_write_event(shard, &rules, &it, &fault);
	assert_true(outcome > 0);
	model_event(model, user, &rules, event, time_ms, outcome);
}

static void a_random_run_agrees_with_a_simple_model(void **state)
{
	(void)state;
	static struct model model, before;
	memset(&model, 0, sizeof model);
	model.counters.newest_event_ms = INT64_MIN;
	for (uint32_t user = 0; user < USERS; user++)
		model.users[user].bytes = history_empty(model.users[user].row, HISTORY_NO_FLOOR);
	size_t divided = 0;
	for (uint32_t step = 0; step < STEPS;) {
		before = model;
		assert_int_equal(shard_write_begin(shard, &fault), 0);
		for (uint32_t left = 1 + chance(60); left > 0; left--, step++)
			random_step(&model);
		if (chance(4)) {
			assert_int_equal(shard_write_commit(shard, &fault), 0);
		} else {
			shard_write_abort(shard);
			model = before;
		}
		if (chance(10) == 0) {
			shard_fixture_reopen();
		}
		divided += compare(&model);
	}
	assert_true(divided > 10);
	assert_true(model.counters.duplicates > 10);
	assert_true(model.counters.dropped > 10);
	assert_true(model.counters.accepted > model.counters.kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_forgotten_user_is_gone_and_stays_gone, shard_fixture_setup,
						shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(events_of_the_future_are_blocked_too, shard_fixture_setup,
						shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(forgetting_twice_keeps_the_later_floor, shard_fixture_setup,
						shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(a_user_nobody_knows_can_be_forgotten, shard_fixture_setup,
						shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(the_id_of_a_forgotten_user_is_not_kept, shard_fixture_setup,
						shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(within_one_transaction, shard_fixture_setup, shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(properties_come_back_as_given, shard_fixture_setup,
						shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(properties_go_with_their_entries, shard_fixture_setup,
						shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(events_alike_keep_their_own_properties, shard_fixture_setup,
						shard_fixture_teardown),
		cmocka_unit_test_setup_teardown(a_random_run_agrees_with_a_simple_model, shard_fixture_setup,
						shard_fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
