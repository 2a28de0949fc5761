#include "common/profile.h"

#include "common/clock.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct model_serving serving(uint32_t items, double decay, double half_life_days)
{
	struct model_serving params = { .profile_items = items, .rank_decay = decay, .half_life_days = half_life_days };
	serving_prepare(&params);
	return params;
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void test_profile_keeps_newest_distinct(void **state)
{
	(void)state;
	struct model_serving params = serving(3, 0.5, 0);
	struct profile_event events[] = {
		{ .row = 7, .weight = 1000, .time_ms = 50 }, { .row = 2, .weight = 4096, .time_ms = 40 },
		{ .row = 7, .weight = 4096, .time_ms = 30 }, { .row = 9, .weight = 2048, .time_ms = 20 },
		{ .row = 5, .weight = 4096, .time_ms = 10 },
	};
	struct profile_item profile[PROFILE_MAX];
	assert_int_equal(profile_make(&params, events, 5, profile), 3);
	assert_int_equal(profile[0].row, 7);
	assert_int_equal(profile[0].weight, 4096); /* the stronger of its two events, at the newest place */
	assert_int_equal(profile[1].row, 2);
	assert_int_equal(profile[1].weight, 2048);
	assert_int_equal(profile[2].row, 9);
	assert_int_equal(profile[2].weight, 512);
}

static void test_profile_ages(void **state)
{
	(void)state;
	struct model_serving params = serving(PROFILE_MAX, 1, 10);
	struct profile_event events[] = {
		{ .row = 0, .weight = SCORE_ONE, .time_ms = 1000 * DAY_MS },
		{ .row = 1, .weight = SCORE_ONE, .time_ms = 990 * DAY_MS },
		{ .row = 2, .weight = SCORE_ONE, .time_ms = 980 * DAY_MS },
		{ .row = 3, .weight = SCORE_ONE, .time_ms = 975 * DAY_MS },
		{ .row = 4, .weight = SCORE_ONE, .time_ms = 0 },
	};
	struct profile_item profile[PROFILE_MAX];
	/* the last one is a hundred half-lives old: nothing is left of it */
	assert_int_equal(profile_make(&params, events, 5, profile), 4);
	assert_int_equal(profile[0].weight, 4096);
	assert_in_range(profile[1].weight, 2047, 2048);
	assert_in_range(profile[2].weight, 1023, 1024);
	assert_in_range(profile[3].weight, 723, 725); /* 4096 x 2^-2.5 = 724.1 */
}

static void test_profile_falls_by_rank(void **state)
{
	(void)state;
	struct model_serving params = serving(PROFILE_MAX, 0.5, 0);
	params.rank_slope = 1;
	serving_prepare(&params);
	struct profile_event events[3];
	for (uint32_t r = 0; r < 3; r++)
		events[r] = (struct profile_event){ .row = r, .weight = SCORE_ONE };
	struct profile_item profile[PROFILE_MAX];
	assert_int_equal(profile_make(&params, events, 3, profile), 3);
	assert_int_equal(profile[0].weight, 4096);
	assert_int_equal(profile[1].weight, 1024); /* a half for the rank, a half for the slope */
	assert_int_equal(profile[2].weight, 341); /* a quarter, a third */
}

static void test_profile_of_light_events(void **state)
{
	(void)state;
	struct model_serving params = serving(PROFILE_MAX, 0.5, 0);
	/* a purchase counts 4096 looks, and this user only looked; the second item twice as much as the first */
	struct profile_event looks[] = { { .row = 1, .weight = 1 },
					 { .row = 2, .weight = 2 },
					 { .row = 3, .weight = 1 } };
	struct profile_item profile[PROFILE_MAX];
	assert_int_equal(profile_make(&params, looks, 3, profile), 3);
	assert_int_equal(profile[0].weight, 2048);
	assert_int_equal(profile[1].weight, 2048);
	assert_int_equal(profile[2].weight, 512);
	/* three parts of 4096 do not divide it: the strongest is still the whole */
	looks[0].weight = looks[1].weight = looks[2].weight = 3;
	profile_make(&params, looks, 3, profile);
	assert_int_equal(profile[0].weight, SCORE_ONE);
	assert_int_equal(profile[1].weight, SCORE_ONE / 2);
}

static void test_profile_edges(void **state)
{
	(void)state;
	struct profile_item profile[PROFILE_MAX];
	struct model_serving params = serving(2, 0.9, 1);
	assert_int_equal(profile_make(&params, NULL, 0, profile), 0);

	/* times that run backwards, or at the ends of the range, are no reason to fail */
	struct profile_event odd[] = { { .row = 1, .weight = 1, .time_ms = TIME_MIN_MS },
				       { .row = 2, .weight = SCORE_ONE, .time_ms = TIME_MAX_MS } };
	assert_int_equal(profile_make(&params, odd, 2, profile), 2);
	struct profile_event far[] = { { .row = 1, .weight = SCORE_ONE, .time_ms = INT64_MAX },
				       { .row = 2, .weight = SCORE_ONE, .time_ms = INT64_MIN } };
	assert_int_equal(profile_make(&params, far, 2, profile), 1);

	/* looks at no more than four events an item: a thousand times the same one hides the rest */
	static struct profile_event same[1000];
	for (int i = 0; i < 1000; i++)
		same[i] = (struct profile_event){ .row = i < 999 ? 3 : 4, .weight = SCORE_ONE };
	assert_int_equal(profile_make(&params, same, 1000, profile), 1);
}

/* Items of many events against a search through all, one after the other; rows far apart and close together. */
static void test_profile_finds_every_item_again(void **state)
{
	(void)state;
	uint32_t seed = 7;
	for (uint32_t round = 0; round < 200; round++) {
		uint32_t room = 1 + next_random(&seed) % PROFILE_MAX, step = round % 2 ? 1 : 65536, made = 0;
		uint32_t count = next_random(&seed) % (6 * room), look = count < 4 * room ? count : 4 * room;
		struct model_serving params = serving(room, 1, 0);
		static struct profile_event events[6 * PROFILE_MAX];
		static struct profile_item expected[PROFILE_MAX], profile[PROFILE_MAX];
		for (uint32_t e = 0; e < count; e++)
			events[e] = (struct profile_event){ .row = next_random(&seed) % (2 * room) * step,
							    .weight = 1 + next_random(&seed) % SCORE_ONE };
		for (uint32_t e = 0; e < look; e++) {
			uint32_t at = 0;
			while (at < made && expected[at].row != events[e].row)
				at++;
			if (at == made && made < room)
				expected[made++] = (struct profile_item){ events[e].row, 0 };
			if (at < made && events[e].weight > expected[at].weight)
				expected[at].weight = events[e].weight;
		}
		assert_int_equal(profile_make(&params, events, count, profile), made);
		uint32_t strongest = 1;
		for (uint32_t i = 0; i < made; i++)
			strongest = expected[i].weight > strongest ? expected[i].weight : strongest;
		for (uint32_t i = 0; i < made; i++) {
			assert_int_equal(profile[i].row, expected[i].row);
			double scaled = (double)expected[i].weight / strongest * SCORE_ONE;
			assert_true(fabs((double)profile[i].weight - scaled) <= 1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_profile_keeps_newest_distinct),
		cmocka_unit_test(test_profile_ages),
		cmocka_unit_test(test_profile_falls_by_rank),
		cmocka_unit_test(test_profile_of_light_events),
		cmocka_unit_test(test_profile_edges),
		cmocka_unit_test(test_profile_finds_every_item_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
