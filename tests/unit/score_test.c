#include "common/score.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROWS 200

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* A relation over ROWS rows from a generator with a fixed seed. */
struct sample {
	struct model_relation relation;
	uint64_t offsets[ROWS + 1];
	uint32_t entries[ROWS * 40];
	uint16_t multipliers[ROWS];
};

/* Heaviest first, as in a model. */
static int compare_weights(const void *a, const void *b)
{
	return *(const uint16_t *)b - *(const uint16_t *)a;
}

static uint64_t weight_at(const struct sample *s, uint64_t at)
{
	return model_entry_weight(s->entries[at], s->relation.row_mask);
}

static struct sample *sample_new(uint32_t seed)
{
	struct sample *s = calloc(1, sizeof *s);
	assert_non_null(s);
	uint16_t weights[40];
	uint64_t at = 0;
	s->relation.row_mask =
		model_row_mask(seed % 2 ? 1u << 20 : ROWS); /* as in a large catalog, and in one of this size */
	for (uint32_t i = 0; i < ROWS; i++) {
		for (uint32_t j = next_random(&seed) % 7; j < ROWS && at - s->offsets[i] < 40;
		     j += 1 + next_random(&seed) % 9) {
			/* few different weights, so that ties abound */
			weights[at - s->offsets[i]] = (uint16_t)(1 + 9000 * (next_random(&seed) % 8));
			s->entries[at++] = j;
		}
		qsort(weights, at - s->offsets[i], sizeof *weights, compare_weights);
		for (uint64_t n = s->offsets[i]; n < at; n++)
			s->entries[n] = model_entry(s->entries[n], weights[n - s->offsets[i]], s->relation.row_mask);
		s->offsets[i + 1] = at;
		s->multipliers[i] = (uint16_t)(2048 + 1024 * (next_random(&seed) % 7));
	}
	s->relation.offsets = s->offsets;
	s->relation.entries = s->entries;
	return s;
}

static uint32_t judged_away(const struct score_counts *counts)
{
	uint32_t sum = 0;
	for (unsigned verdict = SCORE_SHOW + 1; verdict < SCORE_VERDICTS; verdict++)
		sum += counts->judged[verdict];
	return sum;
}

struct rules {
	bool excluded[ROWS], filtered[ROWS];
};

static enum score_verdict judge(void *context, uint32_t row)
{
	const struct rules *rules = context;
	return rules->excluded[row] ? SCORE_EXCLUDED : rules->filtered[row] ? SCORE_FILTERED : SCORE_SHOW;
}

static int compare_scored(const void *a, const void *b)
{
	const struct scored *x = a, *y = b;
	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	return (x->row > y->row) - (x->row < y->row);
}

/* What row `item` of the profile, its p-th, gives itself. */
static uint64_t plain_self(const struct sample *s, struct profile_item item, uint32_t p)
{
	const struct model_serving *serving = &s->relation.serving;
	uint64_t first = s->offsets[item.row];
	uint64_t best = first < s->offsets[item.row + 1] ? weight_at(s, first) : 1;
	uint64_t part = (item.weight * best >> 12) * (p ? serving->self_q12 : serving->self_newest_q12) >> 12;
	return part < 65535 ? part : 65535;
}

/* The formula of score.h without the blend, as plainly as it can be written. */
static uint32_t plain_ranking(const struct sample *s, const struct profile_item *profile, uint32_t count,
			      const struct rules *rules, struct scored *all, uint32_t *candidates)
{
	uint64_t sums[ROWS] = { 0 };
	bool by_warm[ROWS] = { false };
	const uint64_t *cold = s->relation.cold;
	for (uint32_t p = 0; p < count; p++) {
		bool warm = cold && !model_bit(cold, profile[p].row);
		uint64_t part = plain_self(s, profile[p], p);
		sums[profile[p].row] += part;
		by_warm[profile[p].row] |= warm && part;
		for (uint64_t at = s->offsets[profile[p].row]; at < s->offsets[profile[p].row + 1]; at++) {
			uint32_t row = model_entry_row(s->entries[at], s->relation.row_mask);
			part = (uint64_t)profile[p].weight * weight_at(s, at) >> 12;
			sums[row] += part;
			by_warm[row] |= warm && part;
		}
	}
	uint32_t found = 0;
	*candidates = 0;
	for (uint32_t row = 0; row < ROWS; row++) {
		if (sums[row] == 0)
			continue;
		++*candidates;
		if (s->relation.multipliers)
			sums[row] = sums[row] * s->multipliers[row] >> 12;
		if (!rules->excluded[row] && !rules->filtered[row])
			all[found++] =
				(struct scored){ .row = row, .score = (uint32_t)sums[row], .by_warm = by_warm[row] };
	}
	qsort(all, found, sizeof *all, compare_scored);
	return found;
}

static void test_top_equals_the_formula(void **state)
{
	(void)state;
	/* one that may end early, as sums of so many rows would not fit a cache, and one that never does */
	struct scorer *scorer = scorer_new(ROWS), *large = scorer_new(1u << 18);
	assert_non_null(scorer);
	assert_non_null(large);
	uint32_t seed = 99, early = 0;
	uint64_t cold[(ROWS + 63) / 64];
	for (uint32_t round = 0; round < 300; round++) {
		struct sample *s = sample_new(round);
		if (round % 2)
			s->relation.multipliers = s->multipliers;
		if (round % 4 == 1)
			s->relation.multiplier_max = multiplier_max(s->multipliers, ROWS);
		s->relation.serving =
			(struct model_serving){ .rank_decay = 1, .self_weight = round % 3, .self_newest = 0.5 };
		serving_prepare(&s->relation.serving);
		for (uint32_t w = 0; w < sizeof cold / sizeof cold[0]; w++)
			cold[w] = (uint64_t)next_random(&seed) << 32 | next_random(&seed);
		if (round % 3)
			s->relation.cold = cold;
		struct rules rules = { 0 };
		for (uint32_t row = 0; row < ROWS; row++) {
			rules.excluded[row] = next_random(&seed) % 10 == 0;
			rules.filtered[row] = next_random(&seed) % (1 + round % 3) != 0;
		}
		/*
		 * long ones, so that not all lists are asked for at once; weights so small that parts
		 * are 0 among them
		 */
		struct profile_item profile[60];
		uint32_t count = 1 + next_random(&seed) % (round % 4 ? 16 : 60);
		for (uint32_t p = 0; p < count; p++)
			profile[p] = (struct profile_item){ (p * 11 + round) % ROWS,
							    1 + next_random(&seed) % (p % 5 ? SCORE_ONE : 4) };
		/* the older the lighter, as most profiles are */
		for (uint32_t p = 0; p < count && round % 2; p++)
			profile[p].weight = (profile[p].weight >> p / 2) + 1;

		struct scored expected[ROWS], top[ROWS];
		uint32_t candidates;
		uint32_t all = plain_ranking(s, profile, count, &rules, expected, &candidates);
		uint32_t wanted = round % 5 == 0 ? ROWS : 1 + round % 30;
		struct score_counts counts;
		uint32_t found = scorer_top(scorer, &s->relation, profile, count, wanted, judge, &rules, top, &counts);
		assert_int_equal(found, all < wanted ? all : wanted);
		for (uint32_t i = 0; i < found; i++) {
			assert_int_equal(top[i].row, expected[i].row);
			assert_int_equal(top[i].score, expected[i].score);
			assert_int_equal(top[i].by_warm, expected[i].by_warm);
		}
		assert_int_equal(counts.candidates, candidates);
		if (found < wanted)
			assert_int_equal(found + judged_away(&counts), candidates);

		struct scored again[ROWS];
		assert_int_equal(scorer_top(large, &s->relation, profile, count, wanted, judge, &rules, again, &counts),
				 found);
		for (uint32_t i = 0; i < found; i++) {
			assert_int_equal(again[i].row, top[i].row);
			assert_int_equal(again[i].score, top[i].score);
			assert_false(again[i].by_warm);
		}
		if (counts.candidates < candidates)
			early++;
		if (found < wanted)
			assert_int_equal(found + judged_away(&counts), candidates);
		free(s);
	}
	assert_in_range(early, 50, 250);
	scorer_free(scorer);
	scorer_free(large);
}

static void test_top_of_nothing(void **state)
{
	(void)state;
	struct sample *s = sample_new(1);
	struct scorer *scorer = scorer_new(ROWS);
	struct score_counts counts;
	struct scored top[4];
	assert_int_equal(scorer_top(scorer, &s->relation, NULL, 0, 4, NULL, NULL, top, &counts), 0);
	assert_int_equal(counts.candidates, 0);

	/* asked for none: counts only, and the scorer is clean for the next call */
	struct profile_item profile = { .row = 5, .weight = SCORE_ONE };
	assert_int_equal(scorer_top(scorer, &s->relation, &profile, 1, 0, NULL, NULL, top, &counts), 0);
	uint32_t candidates = counts.candidates;
	assert_true(candidates > 0);
	assert_int_equal(scorer_top(scorer, &s->relation, &profile, 1, 4, NULL, NULL, top, &counts), 4);
	assert_int_equal(counts.candidates, candidates);
	uint32_t best = top[0].score;
	assert_int_equal(scorer_resize(scorer, 10 * ROWS), 0);
	assert_int_equal(scorer_top(scorer, &s->relation, &profile, 1, 4, NULL, NULL, top, &counts), 4);
	assert_int_equal(top[0].score, best);
	scorer_free(scorer);
	free(s);
}

static void test_largest_sums_do_not_wrap(void **state)
{
	(void)state;
	struct sample *s = calloc(1, sizeof *s);
	for (uint32_t i = 0; i < ROWS; i++) {
		s->entries[i] = model_entry(0, UINT16_MAX, UINT16_MAX);
		s->offsets[i + 1] = i + 1;
		s->multipliers[i] = UINT16_MAX;
	}
	s->relation = (struct model_relation){ .offsets = s->offsets, .entries = s->entries, .row_mask = UINT16_MAX };
	s->relation.multipliers = s->multipliers;
	struct profile_item profile[ROWS];
	for (uint32_t i = 0; i < ROWS; i++)
		profile[i] = (struct profile_item){ .row = i, .weight = SCORE_ONE };
	struct scorer *scorer = scorer_new(ROWS);
	struct scored top[1];
	struct score_counts counts;
	assert_int_equal(scorer_top(scorer, &s->relation, profile, ROWS, 1, NULL, NULL, top, &counts), 1);
	assert_int_equal(top[0].score, (uint64_t)ROWS * UINT16_MAX * UINT16_MAX >> 12);
	scorer_free(scorer);
	free(s);
}

/* 0 -> 1 (4000), 0 -> 2 (1000), 1 -> 2 (2000); popular of late: 3, 2, 0 */
static const uint64_t small_offsets[] = { 0, 2, 3, 3, 3 };
static const uint32_t small_entries[] = { 4000u << 16 | 1, 1000u << 16 | 2, 2000u << 16 | 2 },
		      small_recent[] = { 3, 2, 0 };
static const uint32_t small_scores[] = { 1000000000, 500000000, 100000000 };

static struct model_relation small_relation(double self_weight, double blend)
{
	struct model_relation relation = { .offsets = small_offsets,
					   .entries = small_entries,
					   .row_mask = UINT16_MAX,
					   .recent_rows = small_recent,
					   .recent_scores = small_scores,
					   .recent_count = 3 };
	relation.serving.rank_decay = 1;
	relation.serving.self_weight = self_weight;
	relation.serving.self_newest = 1;
	relation.serving.blend = blend;
	serving_prepare(&relation.serving);
	return relation;
}

static enum score_verdict judge_one(void *context, uint32_t row)
{
	return row == *(const uint32_t *)context ? SCORE_EXCLUDED : SCORE_SHOW;
}

static void expect_scores(const struct scored *top, uint32_t found, const struct scored *expected, uint32_t count)
{
	assert_int_equal(found, count);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(top[i].row, expected[i].row);
		assert_int_equal(top[i].score, expected[i].score);
		assert_int_equal(top[i].popular, expected[i].popular);
	}
}

static void test_self_weight_shows_what_the_user_has(void **state)
{
	(void)state;
	struct model_relation relation = small_relation(1.5, 0);
	struct profile_item profile[] = { { 0, SCORE_ONE }, { 3, SCORE_ONE } };
	struct scorer *scorer = scorer_new(4);
	struct scored top[4];
	struct score_counts counts;
	uint32_t found = scorer_top(scorer, &relation, profile, 2, 4, NULL, NULL, top, &counts);
	/* 3 has no neighbours: the least there is */
	expect_scores(top, found,
		      (struct scored[]){ { 0, 6000, false, false },
					 { 1, 4000, false, false },
					 { 2, 1000, false, false },
					 { 3, 1, false, false } },
		      4);

	/* what has no neighbours of its own is taken to have what others have */
	relation.best_weight = 3000;
	found = scorer_top(scorer, &relation, profile, 2, 4, NULL, NULL, top, &counts);
	expect_scores(top, found,
		      (struct scored[]){ { 0, 6000, false, false },
					 { 3, 4500, false, false },
					 { 1, 4000, false, false },
					 { 2, 1000, false, false } },
		      4);
	relation.best_weight = 0;

	/* where nobody looks twice at the same thing in a row, the newest is not shown, the one before is */
	relation.serving.self_newest = 0;
	serving_prepare(&relation.serving);
	profile[0].row = 3;
	profile[1].row = 0;
	found = scorer_top(scorer, &relation, profile, 2, 4, NULL, NULL, top, &counts);
	expect_scores(
		top, found,
		(struct scored[]){ { 0, 6000, false, false }, { 1, 4000, false, false }, { 2, 1000, false, false } },
		3);

	/* large ones end at the top of the scale */
	relation = small_relation(SERVING_SELF_MAX, 0);
	profile[0].row = 0;
	relation.entries = (const uint32_t[]){ 60000u << 16 | 1, 1000u << 16 | 2, 2000u << 16 | 2 };
	scorer_top(scorer, &relation, profile, 1, 1, NULL, NULL, top, &counts);
	assert_int_equal(top[0].score, UINT16_MAX);
	scorer_free(scorer);
}

static void test_blend_measures_against_the_best_shown(void **state)
{
	(void)state;
	struct model_relation relation = small_relation(0, 0.5);
	struct profile_item profile = { 0, SCORE_ONE };
	struct scorer *scorer = scorer_new(4);
	struct scored top[4];
	struct score_counts counts;
	uint32_t found = scorer_top(scorer, &relation, &profile, 1, 4, NULL, NULL, top, &counts);
	/*
	 * the best sum is 4000: the middle one of three gets 2000, the most popular twice that, the
	 * last a fifth; fractions are cut off
	 */
	expect_scores(top, found,
		      (struct scored[]){ { 1, 4000, false, false },
					 { 3, 3999, true, false },
					 { 2, 2999, false, false },
					 { 0, 399, true, false } },
		      4);

	/* without row 1 the best is 1000 */
	uint32_t excluded = 1;
	found = scorer_top(scorer, &relation, &profile, 1, 4, judge_one, &excluded, top, &counts);
	expect_scores(top, found,
		      (struct scored[]){ { 2, 1499, false, false }, { 3, 999, true, false }, { 0, 99, true, false } },
		      3);
	assert_int_equal(counts.judged[SCORE_EXCLUDED], 1);

	/* however far the first is above the middle one, it gets no more than the greatest share there is */
	relation.recent_scores = (const uint32_t[]){ 4000000000, 1000, 10 };
	found = scorer_top(scorer, &relation, &profile, 1, 1, NULL, NULL, top, &counts);
	expect_scores(top, found, (struct scored[]){ { 3, 4000 * (uint32_t)SERVING_BLEND_MAX, true, false } }, 1);

	/* no candidates: nothing to blend with, the caller fills up */
	profile.row = 2;
	assert_int_equal(scorer_top(scorer, &relation, &profile, 1, 4, NULL, NULL, top, &counts), 0);
	scorer_free(scorer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_top_equals_the_formula),
		cmocka_unit_test(test_top_of_nothing),
		cmocka_unit_test(test_largest_sums_do_not_wrap),
		cmocka_unit_test(test_self_weight_shows_what_the_user_has),
		cmocka_unit_test(test_blend_measures_against_the_best_shown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
