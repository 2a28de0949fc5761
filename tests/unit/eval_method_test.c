#include "bench/eval/method.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NEAR 1e-6f

static void test_figures_of_known_places(void **state)
{
	(void)state;
	struct figures figures = { 0 };
	const uint32_t places[] = { 1, 3, 15, 0 };
	for (size_t p = 0; p < 4; p++)
		figures_add(&figures, places[p]);
	/* item 3 is cold: it counts as shown, not as covered */
	const uint32_t shown[] = { 6, 2, 0, 4 }, users_of[] = { 10, 4, 1, 0 };
	assert_int_equal(figures_end(&figures, shown, users_of, 4), 0);
	assert_float_equal((float)figures.hr20.value, (float)(0.75), NEAR);
	assert_float_equal((float)figures.hr20.error, (float)(sqrt(0.75 * 0.25 / 4)), NEAR);
	assert_float_equal((float)figures.ndcg20.value, (float)((1 + 0.5 + 0.25) / 4), NEAR); /* log2 of 2, 4 and 16 */
	assert_float_equal((float)figures.ndcg10.value, (float)((1 + 0.5) / 4), NEAR);
	assert_float_equal((float)figures.mrr20.value, (float)((1 + 1.0 / 3 + 1.0 / 15) / 4), NEAR);
	assert_float_equal((float)figures.coverage, (float)(2.0 / 3), NEAR);
	assert_float_equal((float)figures.popularity, (float)(68.0 / 12), NEAR);
	/* 0, 2, 6: 2 (1x0 + 2x2 + 3x6) / (3 x 8) - 4/3 */
	assert_float_equal((float)figures.gini, (float)(0.5), NEAR);
}

static void test_place_21_is_a_miss(void **state)
{
	(void)state;
	struct figures figures = { 0 };
	figures_add(&figures, 21);
	figures_add(&figures, 20);
	assert_float_equal((float)figures.hr20.sum, (float)(1), NEAR);
	assert_float_equal((float)figures.mrr20.sum, (float)(0.05), NEAR);
}

/*
 * Six users look at a, then b; three at c, then d; then one at e. Two come later and are asked about: a -> b, c -> d.
 */
static struct dataset made_up(void)
{
	struct dataset dataset = { .users = 12, .items = 5 };
	dataset.events = calloc(32, sizeof *dataset.events);
	for (uint32_t user = 0; user < 9; user++) {
		for (uint32_t step = 0; step < 2; step++) {
			struct dataset_event *event = &dataset.events[dataset.count];
			event->user = user;
			event->item = user < 6 ? step : 2 + step;
			event->time_s = 1000 + (uint32_t)dataset.count++;
		}
	}
	dataset.events[dataset.count++] = (struct dataset_event){ .user = 9, .item = 4, .time_s = 1100 };
	for (uint32_t user = 10; user < 12; user++)
		for (uint32_t step = 0; step < 2; step++)
			dataset.events[dataset.count++] = (struct dataset_event){ .user = user,
										  .item = 2 * (user - 10) + step,
										  .time_s = 1200 + user + step };
	return dataset;
}

struct fixture {
	struct space space;
	struct questions q;
	struct map map;
	struct params params;
	struct method method;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct dataset dataset = made_up();
	struct protocol protocol = {
		.mode = PROTOCOL_SESSNEW, .from = 19.5 / 23, .to = 1, .train_file = -1, .test_file = -1
	};
	struct error error;
	space_init(&f->space, "/tmp", 1 << 24);
	f->params = params_default();
	*state = f;
	int code = protocol_make(&f->q, &dataset, &protocol, &f->space, &error);
	dataset_free(&dataset);
	return code;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	method_free(&f->method);
	protocol_free(&f->q);
	free(f);
	return 0;
}

static void test_neighbours_find_both(void **state)
{
	struct fixture *f = *state;
	struct error error;
	struct method_input input = { .questions = &f->q, .map = &f->map, .params = &f->params, .threads = 2 };
	assert_int_equal(f->q.count, 2);
	assert_int_equal(method_kindred(&f->method, &input, &error), 0);
	assert_int_equal(method_ask(&f->method, &f->q, &f->map, &error), 0);
	assert_float_equal((float)f->method.figures.hr20.value, (float)(1), NEAR);
	assert_float_equal((float)f->method.figures.mrr20.value, (float)(1), NEAR);
	/* filled up to everything but the item seen */
	assert_float_equal((float)f->method.figures.coverage, (float)(1), NEAR);
	method_free(&f->method);

	assert_int_equal(method_cosine(&f->method, &input, &error), 0);
	assert_int_equal(method_ask(&f->method, &f->q, &f->map, &error), 0);
	assert_float_equal((float)f->method.figures.mrr20.value, (float)(1), NEAR);
}

static void test_popular_goes_by_events(void **state)
{
	struct fixture *f = *state;
	struct error error;
	assert_int_equal(method_popular(&f->method, &f->q, 0, &error), 0);
	assert_int_equal(method_ask(&f->method, &f->q, &f->map, &error), 0);
	/* order a b c d e. After a: b first. After c: a b d, third */
	assert_float_equal((float)f->method.figures.mrr20.value, (float)((1 + 1.0 / 3) / 2), NEAR);
	method_free(&f->method);

	/* in the last 195 seconds: d, c, d, e */
	assert_int_equal(method_popular(&f->method, &f->q, 195.0 / 86400, &error), 0);
	assert_int_equal(f->method.list_count, 3);
	assert_int_equal(method_ask(&f->method, &f->q, &f->map, &error), 0);
	assert_float_equal((float)f->method.figures.hr20.value, (float)(0.5), NEAR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_figures_of_known_places),
		cmocka_unit_test(test_place_21_is_a_miss),
		cmocka_unit_test_setup_teardown(test_neighbours_find_both, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_popular_goes_by_events, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
