#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kindred/v1/recommend.pb-c.h"
#include "lib/events_fixture.h"
#include "worker/source.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 60u
#define LIST_MAX 8u
#define NOT_TOLD KINDRED__V1__SOURCE__SOURCE_UNSPECIFIED
#define PERSONAL KINDRED__V1__SOURCE__SOURCE_PERSONAL
#define SIMILAR KINDRED__V1__SOURCE__SOURCE_SIMILAR
#define POPULAR KINDRED__V1__SOURCE__SOURCE_RECENTLY_POPULAR

/* A relation, a profile and an answer, whatever they are. */
struct question {
	uint64_t offsets[ROWS_MAX + 1], by_attributes[ROWS_MAX * LIST_MAX / 64 + 1], cold[ROWS_MAX / 64 + 1];
	uint32_t entries[ROWS_MAX * LIST_MAX];
	struct model_relation relation;
	struct profile_item profile[ROWS_MAX];
	struct recommended items[ROWS_MAX];
	uint32_t row_count, profile_count, count, context_row;
};

/* The first n of the numbers below `below`, in an order of chance. */
static void draw(uint64_t *seed, uint32_t *numbers, uint32_t n, uint32_t below)
{
	uint32_t all[ROWS_MAX];
	for (uint32_t i = 0; i < below; i++)
		all[i] = i;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t other = i + events_fixture_random(seed, below - i);
		numbers[i] = all[other];
		all[other] = all[i];
	}
}

static void draw_bits(uint64_t *seed, uint64_t *bits, uint64_t count, uint32_t one_of)
{
	for (uint64_t i = 0; i < count; i++)
		if (events_fixture_random(seed, one_of) == 0)
			bits[i / 64] |= UINT64_C(1) << i % 64;
}

/* Only of a cold item, or to one, is a neighbour by attributes. */
static void leave_cold(struct question *q)
{
	for (uint32_t row = 0; row < q->row_count; row++)
		for (uint64_t at = q->offsets[row]; at < q->offsets[row + 1]; at++)
			if (!model_bit(q->cold, row) && !model_bit(q->cold, q->entries[at] & UINT16_MAX))
				q->by_attributes[at / 64] &= ~(UINT64_C(1) << at % 64);
}

enum lead { LEADS_NOT, LEADS_BY_ATTRIBUTES, LEADS_AS_LEARNT };

static enum lead lead_of(const struct model_relation *relation, uint32_t from, uint32_t to)
{
	for (uint64_t at = relation->offsets[from]; at < relation->offsets[from + 1]; at++)
		if (model_entry_row(relation->entries[at], relation->row_mask) == to)
			return relation->by_attributes && model_bit(relation->by_attributes, at) ? LEADS_BY_ATTRIBUTES
												 : LEADS_AS_LEARNT;
	return LEADS_NOT;
}

/* Whether an item of the profile counts for itself. */
static bool counts_itself(const struct question *q, uint32_t p)
{
	const struct model_serving *serving = &q->relation.serving;
	return (p == 0 ? serving->self_newest_q12 : serving->self_q12) > 0;
}

/* By itself or by a neighbour. */
static bool led_to(const struct question *q, uint32_t row)
{
	for (uint32_t p = 0; p < q->profile_count; p++)
		if ((q->profile[p].row == row && counts_itself(q, p)) ||
		    lead_of(&q->relation, q->profile[p].row, row) != LEADS_NOT)
			return true;
	return false;
}

static void ask(uint64_t *seed, struct question *q)
{
	uint32_t numbers[ROWS_MAX], kind = events_fixture_random(seed, 8);
	memset(q, 0, sizeof *q);
	q->row_count = 1 + events_fixture_random(seed, ROWS_MAX - 1);
	for (uint32_t row = 0; row < q->row_count; row++) {
		uint32_t most = q->row_count < LIST_MAX ? q->row_count : LIST_MAX;
		uint32_t n = events_fixture_random(seed, most + 1);
		draw(seed, q->entries + q->offsets[row], n, q->row_count);
		for (uint32_t i = 0; i < n; i++)
			q->entries[q->offsets[row] + i] |= 7u << 16; /* a weight, which does not matter */
		q->offsets[row + 1] = q->offsets[row] + n;
	}
	draw_bits(seed, q->cold, q->row_count, 1 + events_fixture_random(seed, 20));
	draw_bits(seed, q->by_attributes, q->offsets[q->row_count], 1 + events_fixture_random(seed, 4));
	if (kind > 1)
		leave_cold(q);
	q->relation = (struct model_relation){
		.offsets = q->offsets,
		.entries = q->entries,
		.row_mask = UINT16_MAX,
		.by_attributes = kind == 0 ? NULL : q->by_attributes,
		.cold = kind <= 1 ? NULL : q->cold,
	};
	if (events_fixture_random(seed, 2))
		q->relation.serving.self_q12 = SCORE_ONE;
	if (q->relation.serving.self_q12 && events_fixture_random(seed, 2))
		q->relation.serving.self_newest_q12 = SCORE_ONE;
	q->profile_count = 1 + events_fixture_random(seed, q->row_count);
	draw(seed, numbers, q->profile_count, q->row_count);
	for (uint32_t p = 0; p < q->profile_count; p++)
		q->profile[p] = (struct profile_item){ .row = numbers[p], .weight = SCORE_ONE };
	q->context_row = events_fixture_random(seed, 2) ? MODEL_NO_ROW : q->profile[0].row;
	uint32_t count = 1 + events_fixture_random(seed, q->row_count);
	draw(seed, numbers, count, q->row_count);
	for (uint32_t i = 0; i < count; i++) {
		bool popular = !led_to(q, numbers[i]) || events_fixture_random(seed, 10) == 0;
		q->items[q->count++] =
			(struct recommended){ .row = numbers[i], .source = popular ? POPULAR : NOT_TOLD };
	}
}

static bool may_be_similar(const struct question *q, uint32_t row)
{
	const struct model_relation *relation = &q->relation;
	if (q->context_row != MODEL_NO_ROW)
		return true;
	if (!relation->by_attributes || !relation->cold)
		return false;
	for (uint32_t p = 0; p < q->profile_count; p++)
		if (model_bit(relation->cold, q->profile[p].row) &&
		    lead_of(relation, q->profile[p].row, row) == LEADS_BY_ATTRIBUTES)
			return true;
	return model_bit(relation->cold, row);
}

/* The plain way: each item by itself, against every list. */
static uint32_t plainly(const struct question *q, uint32_t row)
{
	if (!may_be_similar(q, row))
		return PERSONAL;
	for (uint32_t p = 0; p < q->profile_count; p++) {
		uint32_t from = q->profile[p].row;
		if (from == q->context_row)
			continue;
		if ((from == row && counts_itself(q, p)) || lead_of(&q->relation, from, row) == LEADS_AS_LEARNT)
			return PERSONAL;
	}
	return SIMILAR;
}

static void test_as_the_plain_way(void **state)
{
	static struct question q;
	uint64_t seed = 11;
	uint32_t seen[8] = { 0 };
	struct arena arena;
	(void)state;
	assert_int_equal(arena_init(&arena, 4096, 0), 0);
	for (unsigned round = 0; round < 50000; round++) {
		struct recommended before[ROWS_MAX];
		ask(&seed, &q);
		memcpy(before, q.items, sizeof before);
		arena_reset(&arena);
		assert_true(
			source_find(&arena, &q.relation, q.profile, q.profile_count, q.context_row, q.items, q.count));
		for (uint32_t i = 0; i < q.count; i++) {
			uint32_t expected = before[i].source ? before[i].source : plainly(&q, before[i].row);
			assert_int_equal(q.items[i].row, before[i].row);
			assert_int_equal(q.items[i].source, expected);
			seen[expected]++;
		}
	}
	arena_fini(&arena);
	/* the questions were worth asking */
	assert_in_range(seen[PERSONAL], 100000, UINT32_MAX);
	assert_in_range(seen[SIMILAR], 20000, UINT32_MAX);
	assert_in_range(seen[POPULAR], 10000, UINT32_MAX);
}

/* What scoring says of an item by itself (worker/recommend.c) is what would be found. */
static void test_scoring_tells_the_same(void **state)
{
	static struct question q;
	uint64_t seed = 12;
	uint32_t told = 0;
	struct arena arena;
	struct scorer *scorer = scorer_new(ROWS_MAX);
	(void)state;
	assert_non_null(scorer);
	assert_int_equal(arena_init(&arena, 4096, 0), 0);
	for (unsigned round = 0; round < 20000; round++) {
		struct scored top[ROWS_MAX];
		struct score_counts counts;
		ask(&seed, &q);
		uint32_t found =
			scorer_top(scorer, &q.relation, q.profile, q.profile_count, ROWS_MAX, NULL, NULL, top, &counts);
		for (uint32_t i = 0; i < found; i++)
			q.items[i] = (struct recommended){ .row = top[i].row };
		arena_reset(&arena);
		assert_true(source_find(&arena, &q.relation, q.profile, q.profile_count, MODEL_NO_ROW, q.items, found));
		for (uint32_t i = 0; i < found; i++) {
			if (!top[i].by_warm || model_bit(q.relation.cold, top[i].row))
				continue;
			assert_int_equal(q.items[i].source, PERSONAL);
			told++;
		}
	}
	assert_in_range(told, 50000, UINT32_MAX);
	scorer_free(scorer);
	arena_fini(&arena);
}

/* Few are looked for one by one, which takes no memory; many by a table. */
static void test_memory(void **state)
{
	enum { MANY = 20 };
	uint64_t offsets[MANY + 2] = { 0, MANY };
	uint32_t entries[MANY];
	uint64_t none = 0;
	struct model_relation relation = {
		.offsets = offsets, .entries = entries, .row_mask = UINT16_MAX, .by_attributes = &none, .cold = &none
	};
	struct profile_item profile = { .row = 0, .weight = 1 };
	struct recommended items[MANY] = { 0 };
	struct arena arena;
	(void)state;
	for (uint32_t i = 0; i < MANY; i++) {
		offsets[i + 2] = MANY;
		entries[i] = 7u << 16 | (i + 1);
		items[i].row = i + 1;
	}
	assert_int_equal(arena_init(&arena, 4096, 1), 0); /* there is no memory */
	assert_true(source_find(&arena, &relation, &profile, 1, MODEL_NO_ROW, items, MANY));
	for (uint32_t i = 0; i < MANY; i++) {
		assert_int_equal(items[i].source, PERSONAL);
		items[i].source = NOT_TOLD;
	}
	assert_true(source_find(&arena, &relation, &profile, 1, 0, items, 1));
	assert_int_equal(items[0].source, SIMILAR);
	items[0].source = NOT_TOLD;
	none = 1; /* the profile's item is cold */
	assert_false(source_find(&arena, &relation, &profile, 1, MODEL_NO_ROW, items, MANY));
	arena_fini(&arena);
}

/*
 * An item that the user had, which only the item being looked at leads to, or attributes alone: it is similar, as any
 * other would be, unless it counts for itself.
 */
static void test_the_users_own_items(void **state)
{
	enum { LOOKED_AT, OWN, ALIKE, ROWS };
	uint64_t offsets[ROWS + 1] = { 0, 1, 1, 2 }, by_attributes = 2, cold = 1u << ALIKE;
	uint32_t entries[] = { 7u << 16 | OWN, 7u << 16 | OWN };
	struct model_relation relation = { .offsets = offsets,
					   .entries = entries,
					   .row_mask = UINT16_MAX,
					   .by_attributes = &by_attributes,
					   .cold = &cold };
	struct profile_item looking[] = { { LOOKED_AT, SCORE_ONE }, { OWN, SCORE_ONE } },
			    alike[] = { { ALIKE, SCORE_ONE }, { OWN, SCORE_ONE } };
	struct arena arena;
	(void)state;
	assert_int_equal(arena_init(&arena, 4096, 0), 0);
	for (uint32_t self = 0; self <= SCORE_ONE; self += SCORE_ONE) {
		struct recommended item = { .row = OWN };
		relation.serving.self_q12 = self;
		assert_true(source_find(&arena, &relation, looking, 2, LOOKED_AT, &item, 1));
		assert_int_equal(item.source, self ? PERSONAL : SIMILAR);
		item.source = NOT_TOLD;
		assert_true(source_find(&arena, &relation, alike, 2, MODEL_NO_ROW, &item, 1));
		assert_int_equal(item.source, self ? PERSONAL : SIMILAR);
	}
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_users_own_items),
		cmocka_unit_test(test_as_the_plain_way),
		cmocka_unit_test(test_scoring_tells_the_same),
		cmocka_unit_test(test_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
