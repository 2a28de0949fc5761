/* What explain() says of scores that scorer_top() gave: adding up each profile item by itself is the plain way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/profile.h"
#include "kindred/v1/recommend.pb-c.h"
#include "lib/events_fixture.h"
#include "worker/explain.h"

#include <stdlib.h>
#include <string.h>

#define ROWS 61u /* a prime: steps of any length meet every row once */
#define LIST_MAX 40u
#define NEIGHBOUR KINDRED__V1__SCORE_PART_KIND__SCORE_PART_KIND_NEIGHBOUR
#define REPEAT KINDRED__V1__SCORE_PART_KIND__SCORE_PART_KIND_REPEAT

struct question {
	uint64_t offsets[ROWS + 1];
	uint32_t entries[ROWS * LIST_MAX];
	uint16_t multipliers[ROWS];
	uint32_t recent_rows[ROWS], recent_scores[ROWS];
	struct model_relation relation;
	struct profile_item profile[ROWS];
	uint32_t profile_count;
};

static void ask(uint64_t *seed, struct question *q)
{
	memset(q, 0, sizeof *q);
	for (uint32_t row = 0; row < ROWS; row++) {
		uint32_t n = events_fixture_random(seed, LIST_MAX + 1),
			 step = 1 + events_fixture_random(seed, ROWS - 1);
		uint32_t weight = events_fixture_random(seed, UINT16_MAX + 1);
		for (uint32_t i = 0; i < n; i++) {
			q->entries[q->offsets[row] + i] = weight << 16 | (row + (i + 1) * step) % ROWS;
			weight -= events_fixture_random(seed, weight / 4 + 1);
		}
		q->offsets[row + 1] = q->offsets[row] + n;
		q->multipliers[row] = (uint16_t)(SCORE_ONE / 2 + events_fixture_random(seed, SCORE_ONE));
		q->recent_rows[row] = row;
		q->recent_scores[row] = 1000 - 10 * row;
	}
	bool often = events_fixture_random(seed, 2), blended = events_fixture_random(seed, 2);
	q->relation = (struct model_relation){
		.offsets = q->offsets,
		.entries = q->entries,
		.row_mask = UINT16_MAX,
		.multipliers = events_fixture_random(seed, 2) ? q->multipliers : NULL,
		.recent_rows = q->recent_rows,
		.recent_scores = q->recent_scores,
		.recent_count = 50,
		.best_weight = 3000,
		.serving = { .profile_items = ROWS,
			     .rank_decay = 1,
			     .self_weight = often ? 0.5 : 0,
			     .self_newest = 0.25,
			     .blend = blended ? 0.1 : 0 },
	};
	q->relation.multiplier_max = multiplier_max(q->relation.multipliers, ROWS);
	serving_prepare(&q->relation.serving);
	q->profile_count = 1 + events_fixture_random(seed, 30);
	uint32_t first = events_fixture_random(seed, ROWS), step = 1 + events_fixture_random(seed, ROWS - 1);
	for (uint32_t p = 0; p < q->profile_count; p++)
		q->profile[p] = (struct profile_item){ .row = (first + p * step) % ROWS,
						       .weight = 1 + events_fixture_random(seed, SCORE_ONE) };
}

/* What item p of the profile gives the row, by common/score.h: as a neighbour, and for itself. */
static void plain_parts(const struct question *q, uint32_t p, uint32_t row, uint32_t *neighbour, uint32_t *self)
{
	const struct model_serving *serving = &q->relation.serving;
	uint32_t from = q->profile[p].row, weight = q->profile[p].weight;
	uint64_t first = q->offsets[from], end = q->offsets[from + 1];
	*neighbour = *self = 0;
	for (uint64_t at = first; at < end; at++)
		if ((q->entries[at] & UINT16_MAX) == row)
			*neighbour = (q->entries[at] >> 16) * weight >> 12;
	if (from != row || !serving->self_q12)
		return;
	uint32_t best = first < end ? q->entries[first] >> 16 : 0;
	uint64_t part = (uint64_t)(weight * (best ? best : q->relation.best_weight) >> 12) *
				(p == 0 ? serving->self_newest_q12 : serving->self_q12) >>
			12;
	*self = part < UINT16_MAX ? (uint32_t)part : UINT16_MAX;
}

static int by_amount(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? 1 : x > y ? -1 : 0;
}

/* The parts told one by one are the profile's greatest, and each is what its item gave. */
static uint64_t check_parts(const struct question *q, const struct explanation *explanation, uint32_t row)
{
	uint32_t all[2 * ROWS], count = 0;
	uint64_t sum = 0, told = 0;
	for (uint32_t p = 0; p < q->profile_count; p++) {
		plain_parts(q, p, row, &all[count], &all[count + 1]);
		count += 2;
	}
	qsort(all, count, sizeof *all, by_amount);
	for (uint32_t i = 0; i < count; i++)
		sum += all[i];
	for (uint32_t i = 0; i < explanation->count; i++) {
		const struct explain_part *part = &explanation->parts[i];
		uint32_t p = 0, neighbour, self;
		while (p < q->profile_count && q->profile[p].row != part->row)
			p++;
		assert_in_range(p, 0, q->profile_count - 1);
		plain_parts(q, p, row, &neighbour, &self);
		assert_int_equal(part->amount, part->kind == NEIGHBOUR ? neighbour : self);
		assert_int_equal(part->amount, all[i]);
		assert_true(part->kind == NEIGHBOUR || (part->kind == REPEAT && part->row == row));
		told += part->amount;
	}
	assert_int_equal(explanation->rest, sum - told);
	assert_true(explanation->count == EXPLAIN_PARTS || explanation->rest == 0);
	return sum;
}

static void test_parts_add_up_to_the_score(void **state)
{
	static struct question q;
	uint64_t seed = 5;
	struct arena arena;
	uint32_t rests = 0, trends = 0, blended = 0, popular = 0, repeats = 0;
	struct scorer *scorer = scorer_new(ROWS);
	(void)state;
	assert_non_null(scorer);
	assert_int_equal(arena_init(&arena, 4096, 0), 0);
	for (unsigned round = 0; round < 5000; round++) {
		struct scored top[ROWS];
		struct recommended items[ROWS];
		struct score_counts counts;
		ask(&seed, &q);
		uint32_t found = scorer_top(scorer, &q.relation, q.profile, q.profile_count, 1 + round % ROWS, NULL,
					    NULL, top, &counts);
		for (uint32_t i = 0; i < found; i++)
			items[i] = (struct recommended){
				.row = top[i].row,
				.score = top[i].score,
				.source = top[i].popular ? KINDRED__V1__SOURCE__SOURCE_RECENTLY_POPULAR
							 : KINDRED__V1__SOURCE__SOURCE_PERSONAL,
			};
		arena_reset(&arena);
		const struct explanation *explanations =
			explain(&arena, &q.relation, q.profile, q.profile_count, items, found);
		assert_non_null(explanations);
		for (uint32_t i = 0; i < found; i++) {
			const struct explanation *one = &explanations[i];
			if (items[i].score == 0)
				continue;
			uint64_t sum = check_parts(&q, one, items[i].row);
			assert_true((int64_t)sum + one->trend + one->popular == items[i].score);
			assert_true(q.relation.multipliers || one->trend == 0);
			assert_true(q.relation.serving.blend_q12 || one->popular == 0);
			assert_true(!top[i].popular || one->popular == items[i].score);
			rests += one->rest > 0;
			trends += one->trend < 0;
			popular += top[i].popular;
			blended += one->popular > 0 && !top[i].popular;
			for (uint32_t p = 0; p < one->count; p++)
				repeats += one->parts[p].kind == REPEAT;
		}
	}
	/* the questions were worth asking */
	assert_in_range(rests, 1000, UINT32_MAX);
	assert_in_range(trends, 1000, UINT32_MAX);
	assert_in_range(blended, 1000, UINT32_MAX);
	assert_in_range(popular, 100, UINT32_MAX);
	assert_in_range(repeats, 1000, UINT32_MAX);
	arena_fini(&arena);
	scorer_free(scorer);
}

/* What is in the list for another reason has no parts of the user's items, even where these lead to it. */
static void test_other_sources(void **state)
{
	static struct question q;
	uint64_t seed = 6;
	struct arena arena;
	struct recommended items[] = {
		{ .row = 3, .score = 700, .source = KINDRED__V1__SOURCE__SOURCE_POPULAR },
		{ .row = 4, .score = 0, .source = KINDRED__V1__SOURCE__SOURCE_EXPLORE },
	};
	(void)state;
	assert_int_equal(arena_init(&arena, 4096, 0), 0);
	ask(&seed, &q);
	for (uint32_t row = 0; row < ROWS; row++)
		q.profile[row] = (struct profile_item){ .row = row, .weight = SCORE_ONE };
	const struct explanation *explanations = explain(&arena, &q.relation, q.profile, ROWS, items, 2);
	assert_non_null(explanations);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(explanations[i].count, 0);
		assert_int_equal(explanations[i].rest, 0);
		assert_true(explanations[i].trend == 0);
		assert_int_equal(explanations[i].popular, items[i].score);
	}
	assert_non_null(explain(&arena, &q.relation, q.profile, ROWS, items, 0));
	arena_fini(&arena);
}

/* Season and trend can take all of a small score: nothing is left to explain. */
static void test_a_score_of_nothing(void **state)
{
	static struct question q;
	uint64_t seed = 7;
	struct arena arena;
	struct recommended item = { .row = 1, .source = KINDRED__V1__SOURCE__SOURCE_PERSONAL };
	(void)state;
	assert_int_equal(arena_init(&arena, 4096, 0), 0);
	ask(&seed, &q);
	q.relation.multipliers = q.multipliers;
	q.multipliers[1] = SCORE_ONE - 1;
	q.entries[0] = 1u << 16 | 1;
	for (uint32_t row = 1; row <= ROWS; row++)
		q.offsets[row] = 1;
	q.profile[0] = (struct profile_item){ .row = 0, .weight = SCORE_ONE };
	const struct explanation *one = explain(&arena, &q.relation, q.profile, 1, &item, 1);
	assert_non_null(one);
	assert_int_equal(one->count, 0);
	assert_true(one->trend == 0);
	assert_int_equal(one->popular, 0);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_add_up_to_the_score),
		cmocka_unit_test(test_other_sources),
		cmocka_unit_test(test_a_score_of_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
