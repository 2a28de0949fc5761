#include "common/history_columns.h"
#include "lib/dice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROOM 100u

static struct history_entry plain(uint64_t number)
{
	return (struct history_entry){ .item = { UINT64_MAX - number },
				       .time_ms = (int64_t)number * 1000,
				       .weight = 1,
				       .type = (uint16_t)number };
}

/* Stores the entries, at an odd address, and compares what is read. Returns the columns. */
static unsigned store(const struct history_entry *entries, uint32_t count)
{
	unsigned columns = history_columns_of(entries, count);
	size_t bytes = count * history_entry_bytes(columns);
	char *room = malloc(bytes + 1); /* no more, for the sanitizer */
	assert_non_null(room);
	assert_true(history_columns_valid(columns));
	history_columns_put(room + 1, entries, count, columns);
	const struct history_run run = { room + 1, count, columns };
	for (uint32_t i = 0; i < count; i++) {
		struct history_entry entry = history_run_at(&run, i);
		assert_memory_equal(&entry, &entries[i], sizeof entry);
	}
	free(room);
	return columns;
}

static void what_no_entry_has_takes_no_room(void **state)
{
	(void)state;
	struct history_entry entries[ROOM];
	for (uint32_t i = 0; i < ROOM; i++)
		entries[i] = plain(i);
	assert_int_equal(store(entries, ROOM), HISTORY_PACKED);
	assert_int_equal(history_entry_bytes(HISTORY_PACKED), 16);
	entries[ROOM - 1].event.value = 1;
	assert_int_equal(store(entries, ROOM), HISTORY_PACKED | HISTORY_EVENTS);
	assert_int_equal(history_entry_bytes(HISTORY_PACKED | HISTORY_EVENTS), 24);
	entries[0].weight = 0.5F;
	assert_int_equal(store(entries, ROOM), HISTORY_PACKED | HISTORY_EVENTS | HISTORY_WEIGHTS);
	entries[50].flags = HISTORY_HAS_PROPERTIES;
	assert_int_equal(store(entries, ROOM), HISTORY_PACKED | HISTORY_EVENTS | HISTORY_WEIGHTS | HISTORY_FLAGS);
	/* without that one */
	assert_int_equal(store(entries, 50), HISTORY_PACKED | HISTORY_WEIGHTS);
	assert_int_equal(store(entries + 51, 10), HISTORY_PACKED);
	assert_int_equal(store(entries, 0), HISTORY_PACKED);
}

static void a_time_that_is_too_large_or_before_1970_is_kept(void **state)
{
	(void)state;
	const int64_t largest_ms = (INT64_C(1) << 48) - 1;
	const int64_t times_ms[] = { 0, largest_ms, largest_ms + 1, INT64_MAX, -1, INT64_MIN };
	for (size_t i = 0; i < sizeof times_ms / sizeof times_ms[0]; i++) {
		struct history_entry entries[] = { plain(1), plain(2), plain(3) };
		entries[1].time_ms = times_ms[i];
		assert_int_equal(store(entries, 3), i < 2 ? HISTORY_PACKED : 0);
	}
}

static void any_entries_come_back(void **state)
{
	(void)state;
	struct history_entry entries[ROOM];
	bool seen[2 * HISTORY_PACKED] = { false };
	for (uint32_t run = 0; run < 2000; run++) {
		uint32_t count = 1 + chance(ROOM), events = chance(3), weights = chance(3), flags = chance(3);
		for (uint32_t i = 0; i < count; i++) {
			entries[i] = plain(chance(1000));
			entries[i].event.value = events ? chance(events * 20) : 0;
			entries[i].weight = weights && chance(10) == 0 ? (float)(1 + chance(100)) / 7 : 1;
			entries[i].flags = flags && chance(10) == 0 ? (uint16_t)(1 + chance(UINT16_MAX)) : 0;
		}
		seen[store(entries, count)] = true;
	}
	for (unsigned columns = HISTORY_PACKED; columns < 2 * HISTORY_PACKED; columns++)
		assert_true(seen[columns]);
}

/* As shards have them: with other bytes what was written before would be misread. */
static void stored_columns_keep_their_bytes(void **state)
{
	(void)state;
	const struct history_entry entries[] = {
		{ { 0x1122334455667788 }, 1700000000000, { 0x0102030405060708 }, 1, 0x0102, 0 },
		{ { 1 }, (INT64_C(1) << 48) - 1, { 0 }, 2.5F, 999, HISTORY_HAS_PROPERTIES | 1u << HISTORY_TWIN_SHIFT },
	};
	static const char bytes[] = "\x88\x77\x66\x55\x44\x33\x22\x11" /* item */
				    "\x02\x01\x00\x68\xe5\xcf\x8b\x01" /* type and time */
				    "\x01\0\0\0\0\0\0\0"
				    "\xe7\x03\xff\xff\xff\xff\xff\xff"
				    "\0\0\x80\x3f" /* weights */
				    "\0\0\x20\x40"
				    "\x08\x07\x06\x05\x04\x03\x02\x01" /* events */
				    "\0\0\0\0\0\0\0\0"
				    "\0\0" /* flags */
				    "\x03\0";
	unsigned columns = history_columns_of(entries, 2);
	char room[sizeof bytes - 1];
	assert_int_equal(columns, 15);
	assert_int_equal(2 * history_entry_bytes(columns), sizeof room);
	history_columns_put(room, entries, 2, columns);
	assert_memory_equal(room, bytes, sizeof room);
	static const char wide[] = "\x88\x77\x66\x55\x44\x33\x22\x11" /* item */
				   "\x00\x68\xe5\xcf\x8b\x01\0\0" /* time */
				   "\x08\x07\x06\x05\x04\x03\x02\x01" /* event */
				   "\0\0\x80\x3f" /* weight */
				   "\x02\x01" /* type */
				   "\0\0"; /* flags */
	const struct history_run run = { wide, 1, 0 };
	struct history_entry entry = history_run_at(&run, 0);
	assert_int_equal(sizeof wide - 1, history_entry_bytes(0));
	assert_memory_equal(&entry, &entries[0], sizeof entry);
}

static void columns_that_nobody_writes_are_told(void **state)
{
	(void)state;
	for (unsigned columns = 0; columns < 256; columns++)
		assert_int_equal(history_columns_valid(columns), columns == 0 || (columns >= 8 && columns < 16));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_no_entry_has_takes_no_room),
		cmocka_unit_test(a_time_that_is_too_large_or_before_1970_is_kept),
		cmocka_unit_test(any_entries_come_back),
		cmocka_unit_test(stored_columns_keep_their_bytes),
		cmocka_unit_test(columns_that_nobody_writes_are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
