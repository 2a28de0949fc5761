/* The pure parts of the load generator: if they are wrong, every figure is. */
#include "bench/answers.h"
#include "bench/chance.h"
#include "bench/histogram.h"
#include "bench/schedule.h"
#include "bench/series.h"
#include "bench/users.h"
#include "bench/work.h"
#include "kindred/v1/events.pb-c.h"
#include "kindred/v1/recommend.pb-c.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct histogram histogram, other;

static void start(void)
{
	memset(&histogram, 0, sizeof histogram);
	memset(&other, 0, sizeof other);
}

/* --- histogram --- */

static void empty_has_no_percentiles(void **state)
{
	(void)state;
	start();
	assert_int_equal(histogram_percentile(&histogram, 0.5), 0);
	assert_int_equal(histogram_percentile(&histogram, 1), 0);
}

/* From a nanosecond to a day: never less than the truth, at most 1.6% more. */
static void percentile_is_close_and_never_less(void **state)
{
	(void)state;
	for (double value = 1; value < 8.64e13; value *= 1.37) {
		uint64_t ns = (uint64_t)value;
		start();
		histogram_add(&histogram, ns);
		histogram_add(&histogram, 2 * ns); /* so that the maximum does not help */
		uint64_t found = histogram_percentile(&histogram, 0.25);
		assert_true(found >= ns);
		assert_true((double)found <= (double)ns * 1.016);
	}
}

static void percentiles_of_a_known_thousand(void **state)
{
	static const double shares[] = { 0.5, 0.9, 0.99, 0.999 };
	(void)state;
	start();
	for (uint64_t i = 1000; i > 0; i--)
		histogram_add(&histogram, i * 1000);
	for (unsigned i = 0; i < 4; i++) {
		double truth = shares[i] * 1e6;
		double found = (double)histogram_percentile(&histogram, shares[i]);
		assert_true(found >= truth && found <= truth * 1.02);
	}
	assert_int_equal(histogram_percentile(&histogram, 1), 1000000);
	assert_int_equal(histogram.total, 1000);
}

static void one_slow_call_shows(void **state)
{
	(void)state;
	start();
	for (unsigned i = 0; i < 999; i++)
		histogram_add(&histogram, 100);
	histogram_add(&histogram, 5000000);
	assert_in_range(histogram_percentile(&histogram, 0.99), 100, 101);
	assert_int_equal(histogram_percentile(&histogram, 0.999), 5000000);
	assert_int_equal(histogram.max_ns, 5000000);
}

static void merged_is_as_if_added_to_one(void **state)
{
	static struct histogram both;
	(void)state;
	start();
	memset(&both, 0, sizeof both);
	for (uint64_t i = 0; i < 5000; i++) {
		uint64_t ns = chance_mix(i) % 10000000;
		histogram_add(i % 3 ? &histogram : &other, ns);
		histogram_add(&both, ns);
	}
	histogram_merge(&histogram, &other);
	assert_memory_equal(&histogram, &both, sizeof both);
}

/* --- series --- */

static void series_parts_by_when_it_was_due(void **state)
{
	struct series series;
	(void)state;
	assert_int_equal(series_init(&series, 1000000000, 2000000000), 0);
	assert_int_equal(series.interval_ns, 100000000);
	series_add(&series, 999999999, 1); /* the warm-up */
	series_add(&series, 1000000000, 20);
	series_add(&series, 1099999999, 30);
	series_add(&series, 1100000000, 40);
	series_add(&series, 99000000000, 50); /* after the end */
	assert_int_equal(series.intervals[0]->total, 2);
	assert_int_equal(series.intervals[0]->max_ns, 30);
	assert_int_equal(series.intervals[1]->total, 1);
	for (size_t i = 2; i < series.count; i++)
		assert_null(series.intervals[i]);
	series_fini(&series);
}

static void series_that_is_cut_ends_there(void **state)
{
	struct series series;
	(void)state;
	assert_int_equal(series_init(&series, 1000000000, 100000000000), 0);
	series_add(&series, 1250000000, 20);
	series_cut(&series, 200000000000); /* later than its end */
	assert_true(series.count > 500);
	series_cut(&series, 1250000001);
	assert_int_equal(series.count, 1250000000 / series.interval_ns - 1000000000 / series.interval_ns + 1);
	series_cut(&series, 7); /* in the warm-up */
	assert_int_equal(series.count, 1);
	series_fini(&series);
}

/* --- schedule --- */

static void due_times_do_not_drift(void **state)
{
	struct schedule schedule = { .start_ns = 7, .rate = 30000 };
	(void)state;
	assert_int_equal(schedule_due_ns(&schedule, 0), 7);
	/* a gap of 33,333.3 ns: rounded and added up it would be 1.2 s early after an hour and a half of it */
	assert_in_range(schedule_due_ns(&schedule, UINT64_C(30000) * 3600), UINT64_C(3600000000007) - 1000,
			UINT64_C(3600000000007) + 1000);
	for (uint64_t i = 1; i < 100000; i++) {
		uint64_t gap = schedule_due_ns(&schedule, i) - schedule_due_ns(&schedule, i - 1);
		assert_in_range(gap, 33333, 33334);
	}
}

static void as_many_are_due_before_a_time_as_have_an_earlier_one(void **state)
{
	static const double rates[] = { 0.1, 3, 1000, 30000, 1e7 };
	(void)state;
	for (unsigned i = 0; i < sizeof rates / sizeof rates[0]; i++) {
		struct schedule schedule = { .start_ns = 1000, .rate = rates[i] };
		assert_int_equal(schedule_count(&schedule, 0), 0);
		assert_int_equal(schedule_count(&schedule, 1000), 0);
		assert_int_equal(schedule_count(&schedule, 1001), 1);
		for (uint64_t until_ns = 1001; until_ns < UINT64_C(86400000000000); until_ns = until_ns * 3 / 2) {
			uint64_t count = schedule_count(&schedule, until_ns);
			assert_true(schedule_due_ns(&schedule, count - 1) < until_ns);
			assert_true(schedule_due_ns(&schedule, count) >= until_ns);
		}
	}
}

static double search_below(double truth, double first, unsigned *steps)
{
	struct rate_search search = rate_search_start(first);
	double rate;
	*steps = 0;
	while (rate_search_next(&search, &rate)) {
		rate_search_tell(&search, rate, rate <= truth);
		assert_true(++*steps < 50);
	}
	return search.holds;
}

static void search_finds_the_highest_rate(void **state)
{
	static const double truths[] = { 3, 999, 1000, 1001, 41234, 2e6 };
	unsigned steps;
	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		double found = search_below(truths[i], 1000, &steps);
		assert_true(found <= truths[i] && found >= truths[i] / 1.03);
	}
	search_below(41234, 30000, &steps);
	assert_true(steps <= 7); /* from a good first guess it is cheap */
}

static void search_gives_up_when_nothing_holds(void **state)
{
	unsigned steps;
	(void)state;
	assert_true(search_below(0, 1000, &steps) == 0);
	assert_true(steps <= 12);
}

/* --- chance --- */

static void shares_are_even(void **state)
{
	unsigned counts[10] = { 0 };
	(void)state;
	for (uint64_t i = 0; i < 100000; i++) {
		double share = chance_share(chance_mix(i));
		assert_true(share >= 0 && share < 1);
		counts[(unsigned)(share * 10)]++;
	}
	for (unsigned i = 0; i < 10; i++)
		assert_in_range(counts[i], 9600, 10400);
}

/* How often each rank comes, against its share of the continuous law. */
static void zipf_follows_its_law(void **state)
{
	enum { RANKS = 1000, DRAWS = 400000 };
	static const double exponents[] = { 0.5, 1, 1.5 };
	static unsigned counts[RANKS];
	(void)state;
	for (unsigned e = 0; e < 3; e++) {
		double s = exponents[e];
		memset(counts, 0, sizeof counts);
		for (uint64_t i = 0; i < DRAWS; i++)
			counts[chance_zipf(chance_share(chance_mix(i)), RANKS, s)]++;
		for (unsigned rank = 0; rank < 100; rank += 11) {
			double from = rank + 1, until = rank + 2, top = RANKS + 1;
			double share = s == 1 ? log(until / from) / log(top)
					      : (pow(until, 1 - s) - pow(from, 1 - s)) / (pow(top, 1 - s) - 1);
			double expected = share * DRAWS, slack = 5 * sqrt(expected) + 1;
			assert_true(fabs(counts[rank] - expected) < slack);
		}
	}
}

static void zipf_stays_within(void **state)
{
	(void)state;
	for (double s = 0.1; s < 5; s += 0.7) {
		assert_int_equal(chance_zipf(0, 10000000, s), 0);
		assert_true(chance_zipf(0.9999999999999999, 10000000, s) < 10000000);
		assert_int_equal(chance_zipf(0.7, 1, s), 0);
	}
}

/* --- users --- */

static uint64_t picked(const struct users *users, uint64_t number)
{
	char room[USER_ID_MAX + 1];
	const char *user = users_pick(users, number, room);
	assert_int_equal(user[0], 'u');
	return strtoull(user + 1, NULL, 10);
}

static void users_in_order_come_once_a_round(void **state)
{
	const struct users users = { .count = 1000, .in_order = true, .seed = 7 };
	(void)state;
	for (uint64_t number = 0; number < 3000; number++)
		assert_int_equal(picked(&users, number), number % 1000);
}

static void users_by_chance_come_in_no_order(void **state)
{
	const struct users users = { .count = 1000, .seed = 7 };
	unsigned times[1000] = { 0 }, followers = 0;
	(void)state;
	for (uint64_t number = 0; number < 20000; number++) {
		uint64_t user = picked(&users, number);
		assert_true(user < 1000);
		times[user]++;
		followers += user + 1 == picked(&users, number + 1);
	}
	for (unsigned user = 0; user < 1000; user++)
		assert_in_range(times[user], 1, 60); /* 20 on average */
	assert_true(followers < 100); /* 20 */
}

/* --- answers --- */

static void users_that_failed_are_named(void **state)
{
	Kindred__V1__RecommendedItem item = KINDRED__V1__RECOMMENDED_ITEM__INIT, *items[] = { &item };
	Kindred__V1__UserRecommendations results[4], *list[4];
	Kindred__V1__RecommendManyResponse response = KINDRED__V1__RECOMMEND_MANY_RESPONSE__INIT;
	struct unit_errors errors = { 0 };
	uint8_t bytes[400];
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		kindred__v1__user_recommendations__init(list[i] = &results[i]);
		results[i].user_id = (char *)"u1";
	}
	results[0].n_items = 1;
	results[0].items = items;
	results[1].error_code = 14;
	results[1].error = (char *)"a worker restarts";
	results[2].error_code = 14;
	results[2].error = (char *)"another one";
	results[3].error_code = 99;
	response.n_results = 4;
	response.results = list;
	size_t size = kindred__v1__recommend_many_response__pack(&response, bytes);
	struct load_units units = answers_users(bytes, size, &errors);
	assert_int_equal(units.answered, 4);
	assert_int_equal(units.good, 1);
	assert_int_equal(errors.counts[14], 2);
	assert_string_equal(unit_error_name(14), "UNAVAILABLE");
	assert_string_equal(errors.first[14].text, "a worker restarts");
	assert_int_equal(errors.counts[UNIT_OTHER], 1);
	assert_string_equal(errors.first[UNIT_OTHER].text, "");
	/* a list without items went well */
	results[3].error_code = 0;
	size = kindred__v1__recommend_many_response__pack(&response, bytes);
	assert_int_equal(answers_users(bytes, size, &errors).good, 2);
}

static void events_not_accepted_are_named(void **state)
{
	Kindred__V1__Outcome outcomes[] = { KINDRED__V1__OUTCOME__OUTCOME_ACCEPTED,
					    KINDRED__V1__OUTCOME__OUTCOME_REFUSED,
					    KINDRED__V1__OUTCOME__OUTCOME_DUPLICATE,
					    KINDRED__V1__OUTCOME__OUTCOME_REFUSED,
					    KINDRED__V1__OUTCOME__OUTCOME_DROPPED };
	Kindred__V1__Refusal first = KINDRED__V1__REFUSAL__INIT, second = KINDRED__V1__REFUSAL__INIT;
	Kindred__V1__Refusal *refusals[] = { &first, &second };
	Kindred__V1__IngestEventStreamResponse response = KINDRED__V1__INGEST_EVENT_STREAM_RESPONSE__INIT;
	struct unit_errors errors = { 0 };
	uint8_t bytes[400];
	(void)state;
	first.index = 1;
	first.reason = (char *)"no user";
	second.reason = (char *)"no item";
	response.n_outcomes = 5;
	response.outcomes = outcomes;
	response.n_refusals = 2;
	response.refusals = refusals;
	size_t size = kindred__v1__ingest_event_stream_response__pack(&response, bytes);
	struct load_units units = answers_events(bytes, size, &errors);
	assert_int_equal(units.answered, 5);
	assert_int_equal(units.good, 1);
	assert_int_equal(errors.counts[UNIT_REFUSED], 2);
	assert_string_equal(errors.first[UNIT_REFUSED].text, "no user");
	assert_int_equal(errors.counts[UNIT_DUPLICATE], 1);
	assert_int_equal(errors.counts[UNIT_DROPPED], 1);
	assert_string_equal(unit_error_name(UNIT_DROPPED), "DROPPED");
}

/* --- events --- */

static void events_are_never_of_later_than_now(void **state)
{
	const struct work work = { .event_time_ms = 1000000 };
	(void)state;
	assert_int_equal(work_event_time_ms(&work, 0, 1000500), 1000000);
	assert_int_equal(work_event_time_ms(&work, 499, 1000500), 1000499);
	assert_int_equal(work_event_time_ms(&work, 500, 1000500), 1000500);
	assert_int_equal(work_event_time_ms(&work, 501, 1000500), 1000500);
	assert_int_equal(work_event_time_ms(&work, UINT64_MAX, 1000500), 1000500);
	/* a clock that was set back, or a search that began further steps */
	assert_int_equal(work_event_time_ms(&work, 0, 999000), 999000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_has_no_percentiles),
		cmocka_unit_test(percentile_is_close_and_never_less),
		cmocka_unit_test(percentiles_of_a_known_thousand),
		cmocka_unit_test(one_slow_call_shows),
		cmocka_unit_test(merged_is_as_if_added_to_one),
		cmocka_unit_test(series_parts_by_when_it_was_due),
		cmocka_unit_test(series_that_is_cut_ends_there),
		cmocka_unit_test(due_times_do_not_drift),
		cmocka_unit_test(as_many_are_due_before_a_time_as_have_an_earlier_one),
		cmocka_unit_test(search_finds_the_highest_rate),
		cmocka_unit_test(search_gives_up_when_nothing_holds),
		cmocka_unit_test(shares_are_even),
		cmocka_unit_test(zipf_follows_its_law),
		cmocka_unit_test(zipf_stays_within),
		cmocka_unit_test(users_in_order_come_once_a_round),
		cmocka_unit_test(users_by_chance_come_in_no_order),
		cmocka_unit_test(users_that_failed_are_named),
		cmocka_unit_test(events_not_accepted_are_named),
		cmocka_unit_test(events_are_never_of_later_than_now),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
