#include "common/history.h"
#include "lib/dice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROOM 1200u

struct fixture {
	char row[sizeof(struct history_head) + ROOM * sizeof(struct history_entry)];
	size_t bytes;
	struct history_entry gone[ROOM];
	uint32_t gone_count;
};

static void start(struct fixture *f)
{
	f->bytes = history_empty(f->row, HISTORY_NO_FLOOR);
	f->gone_count = 0;
}

static struct history_entry make(uint64_t event, int64_t time_ms)
{
	return (struct history_entry){
		.item = { event + 100 }, .time_ms = time_ms, .event = { event }, .weight = 1, .type = 3
	};
}

static int append(struct fixture *f, uint64_t event, int64_t time_ms, uint32_t cap, int64_t retention_ms)
{
	struct history_rules rules = { cap, retention_ms };
	struct history_entry entry = make(event, time_ms);
	int outcome = history_append(f->row, &f->bytes, &entry, &rules, f->gone, ROOM, &f->gone_count);
	assert_int_equal(f->bytes, history_bytes(history_count(f->row)));
	return outcome;
}

static int64_t floor_of(const struct fixture *f)
{
	struct history_head head;
	memcpy(&head, f->row, sizeof head);
	return head.floor_ms;
}

/* Event ids, oldest first, must be exactly these. */
static void expect(const struct fixture *f, uint32_t count, const uint64_t *events)
{
	assert_int_equal(history_count(f->row), count);
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(history_entry_at(f->row, i).event.value, events[i]);
}

static void keeps_entries_in_order_of_time(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	assert_int_equal(append(&f, 1, 100, 10, 0), HISTORY_ACCEPTED);
	assert_int_equal(append(&f, 2, 300, 10, 0), HISTORY_ACCEPTED);
	assert_int_equal(append(&f, 3, 200, 10, 0), HISTORY_ACCEPTED);
	assert_int_equal(append(&f, 4, 50, 10, 0), HISTORY_ACCEPTED);
	expect(&f, 4, (uint64_t[]){ 4, 1, 3, 2 });
	struct history_entry last = history_entry_at(f.row, 3);
	assert_int_equal(last.time_ms, 300);
	assert_int_equal(last.item.value, 102);
	assert_int_equal(last.type, 3);
	assert_true(last.weight == 1);
	assert_int_equal(f.bytes, history_bytes(4));
}

static void equal_times_keep_order_of_arrival(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	append(&f, 1, 100, 10, 0);
	append(&f, 2, 200, 10, 0);
	append(&f, 3, 100, 10, 0);
	append(&f, 4, 100, 10, 0);
	expect(&f, 4, (uint64_t[]){ 1, 3, 4, 2 });
}

static void an_id_counts_once_whatever_its_time(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	for (uint64_t event = 1; event <= 20; event++)
		assert_int_equal(append(&f, event, (int64_t)event, 100, 0), HISTORY_ACCEPTED);
	for (uint64_t event = 1; event <= 20; event++) {
		assert_int_equal(append(&f, event, (int64_t)event, 100, 0), HISTORY_DUPLICATE);
		assert_int_equal(append(&f, event, 1000, 100, 0), HISTORY_DUPLICATE);
	}
	assert_int_equal(history_count(f.row), 20);
}

static void events_without_id_are_never_duplicates(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	assert_int_equal(append(&f, 0, 100, 10, 0), HISTORY_ACCEPTED);
	assert_int_equal(append(&f, 0, 100, 10, 0), HISTORY_ACCEPTED);
	assert_int_equal(history_count(f.row), 2);
}

static void the_cap_keeps_the_newest_and_says_what_went(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	for (uint64_t event = 1; event <= 5; event++) {
		append(&f, event, (int64_t)event * 10, 3, 0);
		assert_int_equal(f.gone_count, event > 3 ? 1 : 0);
		if (event > 3)
			assert_int_equal(f.gone[0].event.value, event - 3);
	}
	expect(&f, 3, (uint64_t[]){ 3, 4, 5 });
	assert_int_equal(floor_of(&f), 20);
	/* older than all that is kept, and what went before */
	assert_int_equal(append(&f, 9, 25, 3, 0), HISTORY_DROPPED);
	assert_int_equal(append(&f, 2, 20, 3, 0), HISTORY_DROPPED);
	expect(&f, 3, (uint64_t[]){ 3, 4, 5 });
	/* in the middle */
	assert_int_equal(append(&f, 10, 45, 3, 0), HISTORY_ACCEPTED);
	expect(&f, 3, (uint64_t[]){ 4, 10, 5 });
	assert_int_equal(f.gone[0].event.value, 3);
}

static void retention_counts_back_from_the_newest(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	append(&f, 1, 1000, 10, 100);
	append(&f, 2, 1050, 10, 100);
	append(&f, 3, 1100, 10, 100);
	expect(&f, 3, (uint64_t[]){ 1, 2, 3 });
	assert_int_equal(append(&f, 4, 1151, 10, 100), HISTORY_ACCEPTED);
	assert_int_equal(f.gone_count, 2);
	expect(&f, 2, (uint64_t[]){ 3, 4 });
	assert_int_equal(append(&f, 2, 1050, 10, 100), HISTORY_DROPPED);
	assert_int_equal(append(&f, 5, 1050, 10, 100), HISTORY_DROPPED);
	assert_int_equal(append(&f, 6, 1051, 10, 100), HISTORY_ACCEPTED);
	expect(&f, 3, (uint64_t[]){ 6, 3, 4 });
}

static void one_late_event_may_take_everything_before_it(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	for (uint64_t event = 1; event <= 8; event++)
		append(&f, event, (int64_t)event, 10, 1000);
	assert_int_equal(append(&f, 9, 100000, 10, 1000), HISTORY_ACCEPTED);
	assert_int_equal(f.gone_count, 8);
	expect(&f, 1, (uint64_t[]){ 9 });
	assert_int_equal(floor_of(&f), 8);
}

static void a_lowered_cap_cuts_the_row_with_the_next_event(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	for (uint64_t event = 1; event <= 100; event++)
		append(&f, event, (int64_t)event, 100, 0);
	assert_int_equal(append(&f, 200, 90, 5, 0), HISTORY_DROPPED);
	assert_int_equal(history_count(f.row), 100);
	assert_int_equal(append(&f, 101, 98, 5, 0), HISTORY_ACCEPTED);
	assert_int_equal(f.gone_count, 96);
	assert_int_equal(f.gone[95].event.value, 96);
	expect(&f, 5, (uint64_t[]){ 97, 98, 101, 99, 100 });
}

/*
 * Ties at the floor: one of several events of the same millisecond went; its copy must not come in
 * again, nor push another one out.
 */
static void ties_at_the_floor_are_counted_once(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	for (uint64_t event = 1; event <= 5; event++)
		assert_int_equal(append(&f, event, 100, 3, 0), event < 5 ? HISTORY_ACCEPTED : HISTORY_DROPPED);
	/* 4 pushed 1 out, which put the floor at 100: from then on nothing more of that millisecond is taken */
	expect(&f, 3, (uint64_t[]){ 2, 3, 4 });
	assert_int_equal(append(&f, 1, 100, 3, 0), HISTORY_DROPPED);
	assert_int_equal(append(&f, 3, 100, 3, 0), HISTORY_DUPLICATE);
	expect(&f, 3, (uint64_t[]){ 2, 3, 4 });
}

static void a_floor_from_a_deletion_holds(void **state)
{
	(void)state;
	struct fixture f;
	f.bytes = history_empty(f.row, 500);
	assert_int_equal(append(&f, 1, 500, 10, 0), HISTORY_DROPPED);
	assert_int_equal(append(&f, 2, 501, 10, 0), HISTORY_ACCEPTED);
	expect(&f, 1, (uint64_t[]){ 2 });
}

struct sent {
	uint64_t event;
	int64_t time_ms;
};

static int by_time_then_id(const void *a, const void *b)
{
	const struct history_entry *x = a, *y = b;
	if (x->time_ms != y->time_ms)
		return x->time_ms < y->time_ms ? -1 : 1;
	return (x->event.value > y->event.value) - (x->event.value < y->event.value);
}

static void copy_sorted(const struct fixture *f, struct history_entry *out)
{
	uint32_t count = history_count(f->row);
	for (uint32_t i = 0; i < count; i++)
		out[i] = history_entry_at(f->row, i);
	qsort(out, count, sizeof *out, by_time_then_id);
}

/*
 * Under the cap, with and without retention, with many ties: what is kept does not depend on the order
 * or on how often.
 */
static void any_order_and_repetition_ends_alike(void **state)
{
	(void)state;
	enum { EVENTS = 60, ROUNDS = 300 };
	static struct fixture once, mixed;
	struct history_entry a[EVENTS], b[EVENTS];
	for (int round = 0; round < ROUNDS; round++) {
		struct sent sent[EVENTS];
		int64_t retention_ms = round % 2 ? 25 : 0;
		for (uint32_t i = 0; i < EVENTS; i++)
			sent[i] = (struct sent){ i + 1, 1000 + chance(40) };
		start(&once);
		for (uint32_t i = 0; i < EVENTS; i++)
			append(&once, sent[i].event, sent[i].time_ms, EVENTS, retention_ms);
		start(&mixed);
		for (uint32_t i = EVENTS - 1; i > 0; i--) {
			uint32_t j = chance(i + 1);
			struct sent swap = sent[i];
			sent[i] = sent[j];
			sent[j] = swap;
		}
		for (uint32_t i = 0; i < EVENTS; i++) {
			append(&mixed, sent[i].event, sent[i].time_ms, EVENTS, retention_ms);
			struct sent again = sent[chance(i + 1)];
			assert_int_not_equal(append(&mixed, again.event, again.time_ms, EVENTS, retention_ms),
					     HISTORY_ACCEPTED);
		}
		assert_int_equal(history_count(once.row), history_count(mixed.row));
		copy_sorted(&once, a);
		copy_sorted(&mixed, b);
		assert_memory_equal(a, b, history_count(once.row) * sizeof *a);
	}
}

/* At the cap, with ties and late arrivals: sending all again, in the same order, is a no-op down to the bytes. */
static void sending_all_again_changes_nothing(void **state)
{
	(void)state;
	enum { EVENTS = 200, ROUNDS = 200 };
	static struct fixture f;
	static char before[sizeof f.row];
	for (int round = 0; round < ROUNDS; round++) {
		struct sent sent[EVENTS];
		uint32_t cap = 1 + chance(50);
		int64_t retention_ms = round % 3 ? 0 : 20 + chance(100);
		for (uint32_t i = 0; i < EVENTS; i++)
			sent[i] = (struct sent){ i + 1, 1000 + i / 4 + chance(8) };
		start(&f);
		uint32_t accepted = 0;
		for (uint32_t i = 0; i < EVENTS; i++)
			accepted += append(&f, sent[i].event, sent[i].time_ms, cap, retention_ms) == HISTORY_ACCEPTED;
		assert_true(accepted >= history_count(f.row));
		memcpy(before, f.row, f.bytes);
		size_t bytes = f.bytes;
		for (uint32_t i = 0; i < EVENTS; i++)
			assert_int_not_equal(append(&f, sent[i].event, sent[i].time_ms, cap, retention_ms),
					     HISTORY_ACCEPTED);
		assert_int_equal(f.bytes, bytes);
		assert_memory_equal(f.row, before, bytes);
	}
}

static void gone_is_cut_to_its_room(void **state)
{
	(void)state;
	static struct fixture f;
	start(&f);
	for (uint64_t event = 1; event <= 10; event++)
		append(&f, event, (int64_t)event, 10, 0);
	struct history_rules rules = { 3, 0 };
	struct history_entry entry = make(11, 11), gone[2] = { 0 };
	uint32_t gone_count;
	assert_int_equal(history_append(f.row, &f.bytes, &entry, &rules, gone, 1, &gone_count), HISTORY_ACCEPTED);
	assert_int_equal(gone_count, 8);
	assert_int_equal(gone[0].event.value, 1);
	assert_int_equal(gone[1].event.value, 0);
	entry = make(12, 12);
	assert_int_equal(history_append(f.row, &f.bytes, &entry, &rules, NULL, 0, &gone_count), HISTORY_ACCEPTED);
	assert_int_equal(gone_count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_entries_in_order_of_time),
		cmocka_unit_test(equal_times_keep_order_of_arrival),
		cmocka_unit_test(an_id_counts_once_whatever_its_time),
		cmocka_unit_test(events_without_id_are_never_duplicates),
		cmocka_unit_test(the_cap_keeps_the_newest_and_says_what_went),
		cmocka_unit_test(retention_counts_back_from_the_newest),
		cmocka_unit_test(one_late_event_may_take_everything_before_it),
		cmocka_unit_test(a_lowered_cap_cuts_the_row_with_the_next_event),
		cmocka_unit_test(ties_at_the_floor_are_counted_once),
		cmocka_unit_test(a_floor_from_a_deletion_holds),
		cmocka_unit_test(any_order_and_repetition_ends_alike),
		cmocka_unit_test(sending_all_again_changes_nothing),
		cmocka_unit_test(gone_is_cut_to_its_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
