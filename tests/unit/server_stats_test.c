/* Rates over the last ten seconds, and what Prometheus reads. */
#include "server/stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_rates(void **state)
{
	struct stats stats = { 0 };
	struct stats_rates rates = { 0 };

	(void)state;
	assert_true(stats_ingest_rate(&rates) == 0);
	stats_sample(&rates, &stats);
	assert_true(stats_ingest_rate(&rates) == 0);
	stats.ingest_events = 100;
	stats_sample(&rates, &stats);
	assert_true(stats_ingest_rate(&rates) == 100);
	for (unsigned second = 0; second < 50; second++) {
		stats.ingest_events += 30;
		stats.recommend_users += 7;
		stats_sample(&rates, &stats);
	}
	assert_true(stats_ingest_rate(&rates) == 30);
	assert_true(stats_recommend_rate(&rates) == 7);
	for (unsigned second = 0; second < 5; second++)
		stats_sample(&rates, &stats);
	assert_true(stats_ingest_rate(&rates) == 15); /* five busy seconds of ten */
	for (unsigned second = 0; second < 5; second++)
		stats_sample(&rates, &stats);
	assert_true(stats_ingest_rate(&rates) == 0);
}

static void test_metrics(void **state)
{
	struct stats stats = { .calls = 12, .workers_up = 3 };
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);

	(void)state;
	assert_non_null(out);
	stats_metrics(&stats, out);
	assert_int_equal(fclose(out), 0);
	assert_non_null(strstr(text, "# TYPE kindred_calls_total counter\nkindred_calls_total 12\n"));
	assert_non_null(strstr(text, "# TYPE kindred_workers_up gauge\nkindred_workers_up 3\n"));
	free(text);
}

static void test_workers_metrics(void **state)
{
	const struct stats_worker workers[] = { { .worker_up = 1, .worker_calls_in_flight = 3 },
						{ .worker_silent_seconds = 1.5 } };
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);

	(void)state;
	assert_non_null(out);
	stats_workers_metrics(workers, 2, out);
	assert_int_equal(fclose(out), 0);
	assert_non_null(strstr(text, "# TYPE kindred_worker_up gauge\n"
				     "kindred_worker_up{worker=\"0\"} 1\nkindred_worker_up{worker=\"1\"} 0\n"));
	assert_non_null(strstr(text, "kindred_worker_calls_in_flight{worker=\"0\"} 3\n"));
	assert_non_null(strstr(text, "kindred_worker_silent_seconds{worker=\"1\"} 1.5\n"));
	free(text);
}

/* What another process counted is added once, gauges stay out of it. */
static void test_of_another_process(void **state)
{
	struct stats theirs = { .calls = 5, .ingest_events = 7, .swaps = 1, .workers_up = 9 };
	struct stats ours = { .calls = 100, .workers_up = 2 };
	uint64_t counted[STATS_COUNTERS_MAX];

	(void)state;
	assert_true(stats_counted(&theirs));
	stats_add(&ours, counted, stats_take(&theirs, counted));
	assert_false(stats_counted(&theirs));
	stats_add(&ours, counted, stats_take(&theirs, counted));
	assert_int_equal(ours.calls, 105);
	assert_int_equal(ours.ingest_events, 7);
	assert_int_equal(ours.swaps, 1);
	assert_int_equal(ours.workers_up, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_metrics),
		cmocka_unit_test(test_workers_metrics),
		cmocka_unit_test(test_of_another_process),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
