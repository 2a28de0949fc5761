/* The best of many, against a sort of all of them: rows in any order, equal scores, more and fewer than are kept. */
#include "builder/best.h"
#include "lib/events_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROWS 3000

struct pair {
	float score;
	uint32_t row;
};

static int better_first(const void *left, const void *right)
{
	const struct pair *a = left, *b = right;
	if (a->score > b->score || a->score < b->score)
		return a->score > b->score ? -1 : 1;
	return (a->row > b->row) - (a->row < b->row);
}

static float score_of(uint32_t kind, uint32_t n, uint64_t *seed)
{
	switch (kind) {
	case 0:
		return 1; /* the row alone decides */
	case 1:
		return (float)(n + 1); /* ever better */
	case 2:
		return (float)(ROWS - n); /* ever worse */
	default:
		return (float)(1 + events_fixture_random(seed, 50)) / 7;
	}
}

static void check(uint32_t keep, uint32_t count, uint32_t kind, uint64_t *seed)
{
	static struct pair all[ROWS];
	struct best best;
	assert_int_equal(best_init(&best, keep), 0);
	for (int turn = 0; turn < 2; turn++) { /* nothing is left of the first */
		best_clear(&best);
		for (uint32_t n = 0; n < count; n++) {
			all[n] = (struct pair){ score_of(kind, n, seed), n * 7919u % 2000003u };
			best_add(&best, all[n].score, all[n].row);
		}
		qsort(all, count, sizeof *all, better_first);
		assert_int_equal(best_sort(&best), count < keep ? count : keep);
		for (uint32_t n = 0; n < best.count; n++) {
			assert_int_equal(best_row(&best, n), all[n].row);
			assert_true(best_score(&best, n) >= all[n].score && best_score(&best, n) <= all[n].score);
		}
	}
	best_fini(&best);
}

static void test_as_a_sort_of_all(void **state)
{
	(void)state;
	uint64_t seed = 3;
	for (uint32_t kind = 0; kind < 4; kind++) {
		check(1, 1, kind, &seed);
		check(1, 500, kind, &seed);
		check(100, 0, kind, &seed);
		check(100, 100, kind, &seed);
		check(100, ROWS, kind, &seed);
		for (uint32_t n = 0; n < 200; n++)
			check(1 + events_fixture_random(&seed, 150), events_fixture_random(&seed, ROWS), kind, &seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_a_sort_of_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
