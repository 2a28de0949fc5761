#include "builder/cooccur.h"

#include "builder/quantise.h"
#include "lib/events_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ITEMS 60
#define DAY 86400u
#define NOW (1000 * DAY)

/* Users with lists of 0 to 30 items, some items far more often than others, over 200 days. */
static void make_users(struct events_fixture *f, uint32_t users, uint64_t seed)
{
	for (uint32_t u = 0; u < users; u++) {
		events_fixture_user(f);
		uint32_t time_s = NOW - 200 * DAY + events_fixture_random(&seed, 100 * DAY);
		for (uint32_t e = events_fixture_random(&seed, 40); e > 0; e--) {
			uint32_t item = events_fixture_random(&seed, 1 + events_fixture_random(&seed, ITEMS));
			events_fixture_add(f, item, time_s, (uint16_t)events_fixture_random(&seed, 2));
			time_s += events_fixture_random(&seed, 2 * DAY);
		}
	}
}

/* The formula of params.h, pair by pair, in doubles. */
static void plain_scores(const struct lists *lists, const struct params *p, double (*scores)[ITEMS])
{
	static double co[ITEMS][ITEMS];
	static uint32_t users[ITEMS][ITEMS];
	memset(co, 0, sizeof co);
	memset(users, 0, sizeof users);
	const uint64_t *offsets = lists_offsets(lists);
	for (uint32_t u = 0; u < lists->users; u++) {
		const struct list_entry *list = lists_entries(lists) + offsets[u];
		const uint32_t *times = lists_times(lists) + offsets[u];
		uint32_t length = (uint32_t)(offsets[u + 1] - offsets[u]);
		for (uint32_t x = 0; x < length; x++) {
			for (uint32_t y = 0; y < length; y++) {
				double apart = x > y ? x - y : y - x;
				if (x == y || (p->list_window > 0 && apart > p->list_window))
					continue;
				double newer = fmax(times[x], times[y]);
				double value = pow(length, -p->length_discount) * pow(apart, -p->gap) *
					       pow((double)list[x].weight, p->type_from) *
					       pow((double)list[y].weight, p->type_to);
				if (y < x)
					value *= p->back;
				if (p->pair_days > 0)
					value *= exp(-fabs((double)times[x] - times[y]) / (p->pair_days * DAY));
				if (p->age_days > 0)
					value *= fmax(exp(-(NOW - newer) / (p->age_days * DAY)), p->age_floor);
				co[list[x].item][list[y].item] += value;
				users[list[x].item][list[y].item] += y > x || p->back > 0;
			}
		}
	}
	for (uint32_t i = 0; i < ITEMS; i++)
		for (uint32_t j = 0; j < ITEMS; j++)
			scores[i][j] =
				users[i][j] < p->min_count
					? 0
					: pow(co[i][j] / (pow((double)lists_users(lists, i), p->norm_from) *
								  pow((double)lists_users(lists, j), p->norm_to) +
							  p->shrink),
					      p->sharpness);
}

static void assert_as_formula(const struct neighbours *n, double (*scores)[ITEMS], uint32_t keep, double tolerance)
{
	const uint64_t *offsets = n->offsets.data;
	const uint32_t *rows = n->rows.data;
	const float *found = n->scores.data;
	for (uint32_t i = 0; i < ITEMS; i++) {
		uint32_t expected = 0;
		for (uint32_t j = 0; j < ITEMS; j++)
			expected += scores[i][j] > 0;
		assert_int_equal(offsets[i + 1] - offsets[i], expected < keep ? expected : keep);
		double worst = INFINITY;
		for (uint64_t at = offsets[i]; at < offsets[i + 1]; at++) {
			double wanted = scores[i][rows[at]];
			assert_true(fabs((double)found[at] - wanted) <= tolerance * wanted);
			assert_true((double)found[at] <= worst); /* best first */
			worst = (double)found[at];
		}
		/* nothing better was left out */
		uint32_t better = 0;
		for (uint32_t j = 0; j < ITEMS; j++)
			better += scores[i][j] > worst * (1 + tolerance);
		assert_true(better <= keep);
	}
}

static struct params plain_params(void)
{
	struct params p = params_default();
	p.list_window = p.gap = p.age_days = p.age_floor = p.pair_days = p.length_discount = p.shrink = 0;
	p.back = p.min_count = 1;
	p.norm_from = p.norm_to = 0.5;
	p.pairs_per_item = 1000000;
	return p;
}

static void check(const char *const *settings, uint32_t keep, double tolerance)
{
	static double scores[ITEMS][ITEMS];
	struct events_fixture f;
	struct lists lists;
	struct neighbours n;
	struct params p = plain_params();
	for (; *settings; settings++)
		assert_int_equal(params_set(&p, *settings, NULL), 0);
	p.neighbours = keep;
	events_fixture_init(&f);
	make_users(&f, 300, 5);
	events_fixture_lists(&f, &lists, ITEMS);
	plain_scores(&lists, &p, scores);
	assert_int_equal(cooccur_make(&n, &lists, &p, NOW, 2, NULL, NULL), 0);
	assert_true(n.count > 100);
	assert_as_formula(&n, scores, keep, tolerance);
	neighbours_free(&n);
	lists_free(&lists);
	events_fixture_fini(&f);
}

static void test_every_factor_of_the_formula(void **state)
{
	(void)state;
	static const char *const cosine[] = { NULL };
	static const char *const direction[] = { "back=0.3", NULL };
	static const char *const forward[] = { "back=0", NULL };
	static const char *const gap[] = { "gap=0.7", "list_window=5", NULL };
	static const char *const discount[] = { "length_discount=0.5", "norm_from=0.8", "norm_to=0.2", "shrink=3",
						NULL };
	static const char *const age[] = { "age_days=30", "age_floor=0.1", NULL };
	static const char *const pair[] = { "pair_days=2", NULL };
	static const char *const count[] = { "min_count=8", NULL };
	static const char *const all[] = { "back=0.6",    "gap=0.7",        "list_window=10", "length_discount=0.2",
					   "age_days=20", "norm_from=0.65", "norm_to=0.35",   "shrink=8",
					   NULL };
	static const char *const types[] = { "type_from=0", "type_to=2", "back=0.5", NULL };
	static const char *const one_exponent[] = { "type_from=0.5", "type_to=0.5", "age_days=20", NULL };
	static const char *const soft[] = { "sharpness=0.6", "norm_from=0.8", "shrink=1", NULL };
	check(cosine, ITEMS, 1e-5);
	check(types, ITEMS, 1e-5);
	check(one_exponent, ITEMS, 1e-5);
	check(soft, ITEMS, 1e-5);
	check(direction, ITEMS, 1e-5);
	check(forward, ITEMS, 1e-5);
	check(gap, ITEMS, 1e-5);
	check(discount, ITEMS, 1e-5);
	check(age, ITEMS, 1e-5);
	check(count, ITEMS, 1e-5);
	check(all, ITEMS, 1e-5);
	check(all, 7, 1e-5);
	check(pair, 7, 0.02); /* by a table of 64 steps a tau */
}

static void assert_same(const struct region *a, const struct region *b, size_t bytes)
{
	assert_memory_equal(a->data, b->data, bytes);
}

static void test_any_number_of_threads_gives_the_same_bytes(void **state)
{
	(void)state;
	struct events_fixture f;
	struct lists lists;
	struct neighbours one, other;
	struct params p = params_default();
	events_fixture_init(&f);
	make_users(&f, 2000, 9);
	events_fixture_lists(&f, &lists, ITEMS);
	assert_int_equal(cooccur_make(&one, &lists, &p, NOW, 1, NULL, NULL), 0);
	for (uint32_t threads = 2; threads <= 5; threads++) {
		lists_free(&lists);
		events_fixture_lists(&f, &lists, ITEMS);
		assert_int_equal(cooccur_make(&other, &lists, &p, NOW, threads, NULL, NULL), 0);
		assert_int_equal(one.count, other.count);
		assert_same(&one.offsets, &other.offsets, (ITEMS + 1) * sizeof(uint64_t));
		assert_same(&one.rows, &other.rows, one.count * sizeof(uint32_t));
		assert_same(&one.scores, &other.scores, one.count * sizeof(float));
		neighbours_free(&other);
	}
	neighbours_free(&one);
	lists_free(&lists);
	events_fixture_fini(&f);
}

static void test_cost_is_bounded(void **state)
{
	(void)state;
	struct events_fixture f;
	struct lists lists;
	struct neighbours n;
	struct params p = plain_params();
	events_fixture_init(&f);
	events_fixture_user(&f);
	for (uint32_t item = 0; item < ITEMS; item++)
		events_fixture_add(&f, item, NOW - ITEMS + item, 0);
	events_fixture_lists(&f, &lists, ITEMS);

	assert_int_equal(cooccur_make(&n, &lists, &p, NOW, 1, NULL, NULL), 0);
	assert_int_equal(n.window, UINT32_MAX);
	assert_int_equal(n.pairs, ITEMS * (ITEMS - 1));
	assert_int_equal(n.pairs_skipped, 0);
	assert_int_equal(n.count, ITEMS * (ITEMS - 1));
	neighbours_free(&n);
	lists_free(&lists);

	events_fixture_lists(&f, &lists, ITEMS);
	p.pairs_per_item = 10;
	assert_int_equal(cooccur_make(&n, &lists, &p, NOW, 1, NULL, NULL), 0);
	assert_int_equal(n.window, 5); /* 5 before and 5 after, but for the ends */
	assert_int_equal(n.pairs, n.count);
	assert_true(n.pairs <= 10 * ITEMS);
	assert_int_equal(n.pairs + n.pairs_skipped, ITEMS * (ITEMS - 1));
	neighbours_free(&n);
	lists_free(&lists);

	events_fixture_lists(&f, &lists, ITEMS);
	p.pairs_per_item = 1; /* neighbours next to each other are always paired */
	assert_int_equal(cooccur_make(&n, &lists, &p, NOW, 1, NULL, NULL), 0);
	assert_int_equal(n.window, 1);
	neighbours_free(&n);
	lists_free(&lists);
	events_fixture_fini(&f);
}

static void test_nothing_to_pair(void **state)
{
	(void)state;
	struct events_fixture f;
	struct lists lists;
	struct neighbours n;
	struct region weights;
	struct params p = params_default();
	events_fixture_init(&f);
	for (uint32_t items = 0; items <= ITEMS; items += ITEMS) {
		events_fixture_lists(&f, &lists, items);
		assert_int_equal(cooccur_make(&n, &lists, &p, 0, 3, NULL, NULL), 0);
		assert_int_equal(n.count, 0);
		assert_int_equal(quantise(&n, 0, 2, &weights, NULL), 0);
		region_free(&f.space, &weights);
		neighbours_free(&n);
		lists_free(&lists);
	}
	/* users of one item each */
	for (uint32_t u = 0; u < 50; u++) {
		events_fixture_user(&f);
		events_fixture_add(&f, u, NOW, 0);
		events_fixture_add(&f, u, NOW, 1);
	}
	events_fixture_lists(&f, &lists, ITEMS);
	assert_int_equal(cooccur_make(&n, &lists, &p, NOW, 3, NULL, NULL), 0);
	assert_int_equal(n.count, 0);
	neighbours_free(&n);
	lists_free(&lists);
	events_fixture_fini(&f);
}

static void test_quantised_on_one_scale(void **state)
{
	(void)state;
	float scores[1000];
	uint32_t rows[1000] = { 0 };
	for (int n = 0; n < 1000; n++)
		scores[n] = (float)(1000 - n) / 1000;
	scores[0] = 1e6f; /* a freak */
	scores[999] = 1e-30f;
	struct space space;
	space_init(&space, "/nowhere", 1 << 20);
	struct neighbours n = { .space = &space, .count = 1000, .rows.data = rows, .scores.data = scores };
	struct region weights;
	assert_int_equal(quantise(&n, 0, 2, &weights, NULL), 0);
	const uint16_t *w = weights.data;
	assert_int_equal(w[0], UINT16_MAX);
	assert_int_equal(w[1], 1); /* all else drowns beside the freak */
	region_free(&space, &weights);

	assert_int_equal(quantise(&n, 0.001, 2, &weights, NULL), 0);
	w = weights.data;
	assert_int_equal(w[0], UINT16_MAX);
	assert_int_equal(w[1], UINT16_MAX); /* 0.999 is the top of the scale now */
	assert_in_range(w[500], 32790, 32805); /* 0.5 / 0.999 x 65535 = 32800 */
	assert_int_equal(w[999], 1);
	region_free(&space, &weights);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_factor_of_the_formula),
		cmocka_unit_test(test_any_number_of_threads_gives_the_same_bytes),
		cmocka_unit_test(test_cost_is_bounded),
		cmocka_unit_test(test_nothing_to_pair),
		cmocka_unit_test(test_quantised_on_one_scale),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
