#include "common/history_parts.h"
#include "lib/dice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROOM 400u

/* A history in memory, and its rows as a shard would have them. */
struct fixture {
	char row[sizeof(struct history_head) + ROOM * sizeof(struct history_entry)];
	size_t bytes;
	struct history_parts parts;
	char newest[sizeof(struct history_stored_head) + ROOM * sizeof(struct history_entry)];
	char older[ROOM * sizeof(struct history_entry)];
	size_t newest_bytes, older_bytes; /* older_bytes 0: no such row */
	uint32_t older_written; /* how often */
	uint64_t next; /* event id */
	float weight; /* of the events that come */
};

static void start(struct fixture *f)
{
	*f = (struct fixture){ .next = 1, .weight = 1 };
	f->bytes = history_empty(f->row, HISTORY_NO_FLOOR);
}

static int append(struct fixture *f, int64_t time_ms, uint32_t cap, int64_t retention_ms)
{
	const struct history_rules rules = { cap, retention_ms };
	struct history_entry entry = {
		.item = { f->next }, .time_ms = time_ms, .event = { f->next }, .weight = f->weight, .type = 3
	};
	uint32_t gone;
	int outcome = history_append(f->row, &f->bytes, &entry, &rules, NULL, 0, &gone);
	f->next++;
	if (outcome == HISTORY_ACCEPTED)
		history_parts_follow(&f->parts, f->row, time_ms, gone);
	return outcome;
}

static void store(struct fixture *f)
{
	struct history_division division = history_divide(f->row, &f->parts);
	f->newest_bytes = division.newest_bytes;
	history_put_newest(&division, f->newest);
	if (division.older) {
		history_put_older(&division, f->older);
		f->older_bytes = division.older_bytes;
		f->older_written++;
	}
	if (division.erase_older) {
		assert_true(f->older_bytes > 0);
		f->older_bytes = 0;
	}
	assert_int_equal(f->parts.has_older, f->older_bytes > 0);
}

static size_t widen_run(char *to, const struct history_run *run)
{
	for (uint32_t i = 0; i < run->count; i++) {
		struct history_entry entry = history_run_at(run, i);
		memcpy(to + i * sizeof entry, &entry, sizeof entry);
	}
	return run->count * sizeof(struct history_entry);
}

/* Makes of what is stored the rows of a version that did not pack them: the user's, or the older one. */
static void widen(struct fixture *f, bool older)
{
	struct history history;
	struct history_stored_head head;
	char wide[sizeof f->newest];
	history_open(&history, f->newest, f->newest_bytes);
	memcpy(&head, f->newest, sizeof head);
	if (older && f->older_bytes) {
		assert_true(history_add_older(&history, f->older, f->older_bytes));
		f->older_bytes = widen_run(wide, &history.older);
		memcpy(f->older, wide, f->older_bytes);
		head.columns &= (1u << HISTORY_OLDER_SHIFT) - 1;
	} else if (!older) {
		f->newest_bytes = sizeof head + widen_run(wide, &history.newest);
		memcpy(f->newest + sizeof head, wide, f->newest_bytes - sizeof head);
		head.columns &= (uint8_t)(0xffu << HISTORY_OLDER_SHIFT);
	}
	memcpy(f->newest, &head, sizeof head);
}

/* What the rows say must be what is in memory, which is then loaded from them. */
static struct history reload(struct fixture *f)
{
	struct history history;
	enum history_stored stored = history_open(&history, f->newest, f->newest_bytes);
	assert_int_equal(stored, f->older_bytes ? HISTORY_IS_DIVIDED : HISTORY_IS_WHOLE);
	if (f->older_bytes)
		assert_true(history_add_older(&history, f->older, f->older_bytes));
	assert_int_equal(history.count, history_count(f->row));
	for (uint32_t i = 0; i < history.count; i++) {
		struct history_entry stored_one = history_at(&history, i), one = history_entry_at(f->row, i);
		assert_memory_equal(&stored_one, &one, sizeof one);
	}
	char before[sizeof f->row];
	memcpy(before, f->row, f->bytes);
	memset(f->row, 0xa5, sizeof f->row); /* what is not loaded is told */
	assert_int_equal(history_load(f->row, &history, &f->parts), f->bytes);
	assert_memory_equal(f->row, before, f->bytes);
	return history;
}

static struct history append_and_store(struct fixture *f, int64_t time_ms, uint32_t cap)
{
	assert_int_equal(append(f, time_ms, cap, 0), HISTORY_ACCEPTED);
	store(f);
	return reload(f);
}

static void a_short_history_is_one_row(void **state)
{
	(void)state;
	static struct fixture f;
	start(&f);
	for (int64_t time = 1; time <= HISTORY_NEWEST_MAX; time++)
		assert_int_equal(append_and_store(&f, time, ROOM).older_count, 0);
	struct history history = append_and_store(&f, 1000, ROOM);
	assert_int_equal(history.count, HISTORY_NEWEST_MAX + 1);
	assert_int_equal(history.count - history.older_count, HISTORY_NEWEST_KEPT);
}

static void an_event_at_the_end_leaves_the_older_row_alone(void **state)
{
	(void)state;
	static struct fixture f;
	start(&f);
	for (int64_t time = 1; time <= 300; time++)
		append_and_store(&f, time, ROOM);
	/* once to divide it, then once for every MAX - KEPT + 1 more */
	assert_int_equal(f.older_written,
			 1 + (300 - HISTORY_NEWEST_MAX - 1) / (HISTORY_NEWEST_MAX - HISTORY_NEWEST_KEPT + 1));
	/* the same at the cap, where each event lets one go */
	uint32_t before = f.older_written;
	for (int64_t time = 301; time <= 310; time++)
		assert_int_equal(append_and_store(&f, time, 300).count, 300);
	assert_true(f.older_written <= before + 1);
}

static void a_late_event_is_found_among_the_older_ones(void **state)
{
	(void)state;
	static struct fixture f;
	start(&f);
	for (int64_t time = 1; time <= 100; time++)
		append_and_store(&f, 10 * time, ROOM);
	uint32_t before = f.older_written;
	struct history history = append_and_store(&f, 55, ROOM);
	assert_int_equal(f.older_written, before + 1);
	assert_int_equal(history_at(&history, 5).time_ms, 55);
	/* at the border: what is as old as the newest of the older ones comes behind them */
	int64_t border_ms = history_at(&history, history.older_count - 1).time_ms;
	before = f.older_written;
	uint32_t older = history.older_count;
	history = append_and_store(&f, border_ms, ROOM);
	assert_int_equal(f.older_written, before);
	assert_int_equal(history.older_count, older);
	history = append_and_store(&f, border_ms - 1, ROOM);
	assert_int_equal(f.older_written, before + 1);
}

static void what_goes_at_the_old_end_is_only_counted(void **state)
{
	(void)state;
	static struct fixture f;
	start(&f);
	for (int64_t time = 1; time <= 61; time++)
		append_and_store(&f, time, ROOM);
	uint32_t before = f.older_written;
	struct history history = append_and_store(&f, 62, 50);
	assert_int_equal(history.count, 50);
	assert_int_equal(history.gone, 12);
	assert_int_equal(history.older_count, 19);
	assert_int_equal(f.older_written, before);
	assert_true(f.older_bytes > 0);
	/* all of them: the row goes */
	history = append_and_store(&f, 63, 20);
	assert_int_equal(history.count, 20);
	assert_int_equal(history.older_count, 0);
	assert_int_equal(f.older_bytes, 0);
	/* more than are left: no more is kept of them than that */
	start(&f);
	for (int64_t time = 1; time <= 330; time++)
		append_and_store(&f, time, ROOM);
	before = f.older_written;
	history = append_and_store(&f, 331, 200);
	assert_int_equal(f.older_written, before);
	assert_int_equal(history.gone, 131);
	history = append_and_store(&f, 332, 100);
	assert_int_equal(f.older_written, before + 1);
	assert_int_equal(history.gone, 0);
	assert_int_equal(f.older_bytes,
			 (100 - HISTORY_NEWEST_KEPT) * history_entry_bytes(HISTORY_PACKED | HISTORY_EVENTS));
}

static void each_part_has_the_columns_that_it_needs(void **state)
{
	(void)state;
	static struct fixture f;
	start(&f);
	for (int64_t time = 1; time <= 60; time++)
		append_and_store(&f, time, ROOM);
	f.weight = 2;
	struct history history = append_and_store(&f, 61, ROOM);
	assert_int_equal(history.older.columns, HISTORY_PACKED | HISTORY_EVENTS);
	assert_int_equal(history.newest.columns, HISTORY_PACKED | HISTORY_EVENTS | HISTORY_WEIGHTS);
	/* an early one with a weight */
	history = append_and_store(&f, 0, ROOM);
	assert_int_equal(history.older.columns, HISTORY_PACKED | HISTORY_EVENTS | HISTORY_WEIGHTS);
}

static void an_undivided_long_row_is_divided_by_the_next_event(void **state)
{
	(void)state;
	static struct fixture f;
	start(&f);
	for (int64_t time = 1; time <= 200; time++)
		assert_int_equal(append(&f, time, ROOM, 0), HISTORY_ACCEPTED);
	/* as a version that knew one row only wrote it */
	const struct history_stored_head head = { .format = HISTORY_WHOLE, .count = 200, .floor_ms = HISTORY_NO_FLOOR };
	memcpy(f.newest, &head, sizeof head);
	memcpy(f.newest + sizeof head, f.row + sizeof(struct history_head), 200 * sizeof(struct history_entry));
	f.newest_bytes = sizeof head + 200 * sizeof(struct history_entry);
	f.parts = (struct history_parts){ 0 };
	assert_int_equal(reload(&f).older_count, 0);
	assert_int_equal(append_and_store(&f, 201, ROOM).older_count, 201 - HISTORY_NEWEST_KEPT);
}

static struct history_stored_head head_of(const struct fixture *f)
{
	struct history_stored_head head;
	memcpy(&head, f->newest, sizeof head);
	return head;
}

/* As shards have them, of this version, and of those that did not pack rows. */
static void heads_keep_their_bytes(void **state)
{
	(void)state;
	const uint8_t packed[] = { 2, 0x8b, 1, 0, 2, 0, 3, 0, 9, 0, 0, 0, 0, 0, 0, 0 };
	const uint8_t wide[] = { 2, 0, 1, 0, 2, 0, 3, 0, 9, 0, 0, 0, 0, 0, 0, 0 };
	const struct history_entry entries[] = {
		{ { 5 }, 9, { 0 }, 1, 3, 0 }, /* has gone */
		{ { 6 }, 10, { 0 }, 1, 3, 0 },     { { 7 }, 11, { 0 }, 1, 4, 0 },
		{ { 8 }, 12, { 21 }, 2.5F, 3, 0 }, { { 9 }, 13, { 22 }, 1, 3, 0 },
	};
	for (unsigned old = 0; old < 2; old++) {
		char newest[16 + 2 * 32], older[3 * 32];
		size_t newest_bytes = old ? 2 * 32 : 2 * 28, older_bytes = old ? 3 * 32 : 3 * 16;
		struct history history;
		memcpy(newest, old ? wide : packed, 16);
		history_columns_put(newest + 16, entries + 3, 2,
				    old ? 0 : HISTORY_PACKED | HISTORY_WEIGHTS | HISTORY_EVENTS);
		history_columns_put(older, entries, 3, old ? 0 : HISTORY_PACKED);
		assert_int_equal(history_open(&history, newest, 16 + newest_bytes), HISTORY_IS_DIVIDED);
		assert_true(history_add_older(&history, older, older_bytes));
		assert_int_equal(history.count, 4);
		assert_int_equal(history.floor_ms, 9);
		for (uint32_t i = 0; i < history.count; i++) {
			struct history_entry entry = history_at(&history, i);
			assert_memory_equal(&entry, &entries[1 + i], sizeof entry);
		}
	}
}

static void damaged_rows_are_refused(void **state)
{
	(void)state;
	static struct fixture f;
	struct history history;
	start(&f);
	append_and_store(&f, 1, ROOM);
	assert_int_equal(history_open(&history, f.newest, 0), HISTORY_IS_DAMAGED);
	assert_int_equal(history_open(&history, f.newest, sizeof(struct history_stored_head) - 1), HISTORY_IS_DAMAGED);
	assert_int_equal(history_open(&history, f.newest, f.newest_bytes - 1), HISTORY_IS_DAMAGED);
	assert_int_equal(history_open(&history, f.newest, f.newest_bytes + 1), HISTORY_IS_DAMAGED);
	f.newest[0] = 3;
	assert_int_equal(history_open(&history, f.newest, f.newest_bytes), HISTORY_IS_DAMAGED);

	start(&f);
	for (int64_t time = 1; time <= 100; time++)
		append_and_store(&f, time, ROOM);
	assert_int_equal(history_open(&history, f.newest, f.newest_bytes - 1), HISTORY_IS_DAMAGED);
	assert_int_equal(history_open(&history, f.newest, f.newest_bytes), HISTORY_IS_DIVIDED);
	assert_true(history_add_older(&history, f.older, f.older_bytes));
	for (int wrong = 0; wrong < 4; wrong++) {
		const size_t sizes[] = { 0, 32, f.older_bytes - 1, f.older_bytes + 32 };
		assert_int_equal(history_open(&history, f.newest, f.newest_bytes), HISTORY_IS_DIVIDED);
		assert_false(history_add_older(&history, f.older, sizes[wrong]));
	}
	/*
	 * an older part of which all has gone, more entries than a history can have, a whole history
	 * with an older part, columns that nobody writes, and columns of an older part that there is not
	 */
	const struct history_stored_head good = head_of(&f);
	for (int wrong = 0; wrong < 5; wrong++) {
		struct history_stored_head head = good;
		if (wrong == 0)
			head.gone = head.older;
		if (wrong == 1)
			head.older = HISTORY_CAP_MAX;
		if (wrong == 2)
			head.format = HISTORY_WHOLE;
		if (wrong == 3)
			head.columns = (uint8_t)(head.columns & ~HISTORY_PACKED);
		if (wrong == 4)
			head.columns = (uint8_t)(head.columns & ~(HISTORY_PACKED << HISTORY_OLDER_SHIFT));
		memcpy(f.newest, &head, sizeof head);
		/* of the size that the head says, so that nothing but that is wrong */
		size_t bytes = sizeof head + head.count * history_entry_bytes(head.columns & 15u);
		assert_int_equal(history_open(&history, f.newest, bytes), HISTORY_IS_DAMAGED);
	}
	struct history_stored_head head = good;
	head.format = HISTORY_WHOLE;
	head.gone = head.older = 0;
	memcpy(f.newest, &head, sizeof head);
	assert_int_equal(history_open(&history, f.newest, f.newest_bytes), HISTORY_IS_DAMAGED);
	head.columns &= 15u;
	memcpy(f.newest, &head, sizeof head);
	assert_int_equal(history_open(&history, f.newest, f.newest_bytes), HISTORY_IS_WHOLE);
}

static void any_history_comes_back_as_it_was_stored(void **state)
{
	(void)state;
	static struct fixture f;
	uint32_t divided = 0, with_gone = 0, wide_ones = 0;
	for (uint32_t run = 0; run < 40; run++) {
		uint32_t late = chance(2) ? 1 : 200, cap = 20 + chance(ROOM - 21);
		int64_t retention_ms = chance(3) ? 0 : 100 + chance(400);
		start(&f);
		for (int64_t step = 0; step < 600; step++) {
			append(&f, 2 * step - chance(20 * late) * (chance(8) == 0), chance(50) ? cap : 1 + chance(cap),
			       retention_ms);
			if (chance(3))
				continue;
			store(&f);
			f.weight = chance(4) ? 1 : 2.5F;
			for (uint32_t which = chance(4); which; which >>= 1)
				widen(&f, which & 1);
			struct history history = reload(&f);
			wide_ones += !history.newest.columns || (history.older_count && !history.older.columns);
			divided += history.older_count > 0;
			with_gone += history.gone > 0;
		}
	}
	assert_true(divided > 1000);
	assert_true(with_gone > 100);
	assert_true(wide_ones > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_short_history_is_one_row),
		cmocka_unit_test(an_event_at_the_end_leaves_the_older_row_alone),
		cmocka_unit_test(a_late_event_is_found_among_the_older_ones),
		cmocka_unit_test(what_goes_at_the_old_end_is_only_counted),
		cmocka_unit_test(each_part_has_the_columns_that_it_needs),
		cmocka_unit_test(an_undivided_long_row_is_divided_by_the_next_event),
		cmocka_unit_test(heads_keep_their_bytes),
		cmocka_unit_test(damaged_rows_are_refused),
		cmocka_unit_test(any_history_comes_back_as_it_was_stored),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
