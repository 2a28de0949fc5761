#include "common/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void expect(const char *text, int64_t time_ms)
{
	int64_t parsed = -1;
	if (!time_parse(text, strlen(text), &parsed))
		fail_msg("\"%s\" was refused", text);
	if (parsed != time_ms)
		fail_msg("\"%s\" was read as %lld, not %lld", text, (long long)parsed, (long long)time_ms);
}

static void refuse(const char *text)
{
	int64_t parsed = -1;
	if (time_parse(text, strlen(text), &parsed))
		fail_msg("\"%s\" was read as %lld", text, (long long)parsed);
	assert_int_equal(parsed, -1);
}

/* Checked against `date -u -d`. */
static void reads_iso_8601(void **state)
{
	(void)state;
	expect("1970-01-01", 0);
	expect("2026-11-23", INT64_C(1795392000000));
	expect("2026-11-23T10:00:00Z", INT64_C(1795428000000));
	expect("2026-11-23t10:00:00z", INT64_C(1795428000000));
	expect("2026-11-23 10:00:00", INT64_C(1795428000000));
	expect("2026-11-23 10:00", INT64_C(1795428000000));
	expect("2026-11-23 10:00:00.250+01:00", INT64_C(1795424400250));
	expect("2026-11-23T10:00:00-0530", INT64_C(1795447800000));
	expect("2026-11-23T10:00:00+01", INT64_C(1795424400000));
	expect("2026-11-23T10:00+01:00", INT64_C(1795424400000));
	expect("9999-12-31T23:59:59.999Z", TIME_MAX_MS);
}

static void reads_fractions_down_to_milliseconds(void **state)
{
	(void)state;
	expect("1970-01-01T00:00:01.5Z", 1500);
	expect("1970-01-01T00:00:01,05Z", 1050);
	expect("1970-01-01T00:00:01.123456789Z", 1123);
	expect("1970-01-01T00:00:01.9999999999999999999999Z", 1999);
	expect("1.5", 1500);
	expect("1.0009", 1000);
}

static void knows_leap_years(void **state)
{
	(void)state;
	expect("2024-02-29", INT64_C(1709164800000));
	expect("2000-02-29", INT64_C(951782400000));
	expect("2024-03-01", INT64_C(1709251200000));
	refuse("2023-02-29");
	refuse("2100-02-29");
	refuse("2024-02-30");
	refuse("2024-04-31");
}

static void numbers_are_seconds_up_to_eleven_digits(void **state)
{
	(void)state;
	expect("0", 0);
	expect("1", 1000);
	expect("2026", 2026000); /* no year */
	expect("1700000000", INT64_C(1700000000000));
	expect("1700000000.25", INT64_C(1700000000250));
	expect("99999999999", INT64_C(99999999999000));
	expect("100000000000", INT64_C(100000000000));
	expect("1700000000000", INT64_C(1700000000000));
	expect("253402300799999", TIME_MAX_MS);
	refuse("253402300800000");
	refuse("1700000000000.5");
	refuse("99999999999999999999999999");
}

static void refuses_nonsense(void **state)
{
	(void)state;
	const char *const nonsense[] = {
		"",
		" ",
		"-",
		"-1",
		"+1",
		"1.",
		".5",
		"1e9",
		"0x10",
		"1 ",
		" 1",
		"nan",
		"yesterday",
		"2026-",
		"2026-11",
		"2026-11-",
		"2026-13-01",
		"2026-00-01",
		"2026-01-00",
		"2026-1-1",
		"2026/11/23",
		"23-11-2026",
		"2026-11-23T",
		"2026-11-23T10",
		"2026-11-23T10:",
		"2026-11-23T10:00:",
		"2026-11-23T24:00:00Z",
		"2026-11-23T10:60:00Z",
		"2026-11-23T10:00:60Z",
		"2026-11-23T10:00:00.Z",
		"2026-11-23T10:00:00ZZ",
		"2026-11-23T10:00:00 Z",
		"2026-11-23T10:00:00+",
		"2026-11-23T10:00:00+1",
		"2026-11-23T10:00:00+01:",
		"2026-11-23T10:00:00+01:6",
		"2026-11-23T10:00:00+24:00",
		"2026-11-23T10:00:00+01:60",
		"2026-11-23T10:00:00+01:00x",
		"2026-11-23x10:00:00",
		"02026-11-23",
		"1969-12-31",
		"1969-12-31T23:59:59.999Z",
		"1970-01-01T00:00:00+01:00",
		"9999-12-31T23:59:59-01:00",
	};
	for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++)
		refuse(nonsense[i]);
	int64_t parsed;
	assert_false(time_parse("1\0", 2, &parsed));
}

/* text need not end with a NUL */
static void reads_no_further_than_told(void **state)
{
	(void)state;
	int64_t parsed;
	assert_true(time_parse("2026-11-23T10", 10, &parsed));
	assert_int_equal(parsed, INT64_C(1795392000000));
	assert_true(time_parse("12345", 2, &parsed));
	assert_int_equal(parsed, 12000);
	assert_false(time_parse("12345", 0, &parsed));
}

static void expect_format(int64_t time_ms, const char *text)
{
	char buffer[32];
	size_t length = time_format(time_ms, buffer);
	assert_string_equal(buffer, text);
	assert_int_equal(length, strlen(text));
}

static void formats(void **state)
{
	(void)state;
	expect_format(0, "1970-01-01T00:00:00Z");
	expect_format(INT64_C(1795428000000), "2026-11-23T10:00:00Z");
	expect_format(INT64_C(1795428000250), "2026-11-23T10:00:00.250Z");
	expect_format(INT64_C(1709164800007), "2024-02-29T00:00:00.007Z");
	expect_format(TIME_MAX_MS, "9999-12-31T23:59:59.999Z");
	/* times that are none: a number is better than a wrong date */
	expect_format(INT64_MIN, "-9223372036854775808");
	expect_format(INT64_MAX, "9223372036854775807");
	expect_format(CALENDAR_MIN_MS - 1, "-62135596800001");
}

static void dates_of_things_go_back_to_the_year_1(void **state)
{
	static const struct {
		const char *text;
		int64_t time_ms;
	} times[] = {
		{ "1939-12-15T00:00:00Z", INT64_C(-948240000000) },
		{ "1969-12-31T23:59:59.999Z", -1 },
		{ "1969-12-31T00:00:00Z", -DAY_MS },
		{ "1900-02-28T23:59:59.001Z", INT64_C(-2203891200999) },
		{ "1900-03-01T00:00:00Z", INT64_C(-2203891200000) },
		{ "0001-01-01T00:00:00Z", CALENDAR_MIN_MS },
		{ "1970-01-01T00:00:00Z", 0 },
		{ "9999-12-31T23:59:59.999Z", TIME_MAX_MS },
	};
	int64_t parsed;
	(void)state;
	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
		size_t bytes = strlen(times[i].text);
		assert_true(time_parse_calendar(times[i].text, bytes, &parsed));
		assert_int_equal(parsed, times[i].time_ms);
		expect_format(times[i].time_ms, times[i].text);
		assert_int_equal(time_parse(times[i].text, bytes, &parsed), times[i].time_ms >= 0); /* as an event's */
	}
	assert_true(time_parse_calendar("1939-12-15", 10, &parsed));
	assert_int_equal(parsed, INT64_C(-948240000000));
	assert_false(time_parse_calendar("0000-12-31", 10, &parsed));
	assert_false(time_parse_calendar("0001-01-01T00:00:00+00:01", 25, &parsed));
	assert_false(time_parse_calendar("1900-02-29", 10, &parsed));
	assert_true(time_parse_calendar("946684800", 9, &parsed)); /* numbers are what they are for events */
	assert_int_equal(parsed, INT64_C(946684800000));
	assert_false(time_parse_calendar("-1", 2, &parsed));
}

static void what_is_formatted_can_be_read(void **state)
{
	(void)state;
	/* a step that is prime to days and years: about 236,000 times over 9,999 years */
	for (int64_t time_ms = CALENDAR_MIN_MS; time_ms <= TIME_MAX_MS; time_ms += INT64_C(1333333337)) {
		char buffer[32];
		int64_t parsed;
		assert_true(time_parse_calendar(buffer, time_format(time_ms, buffer), &parsed));
		assert_int_equal(parsed, time_ms);
	}
}

static void the_clocks_run(void **state)
{
	(void)state;
	int64_t wall_ms = clock_wall_ms();
	uint64_t before_ns = clock_monotonic_ns();
	assert_true(wall_ms > INT64_C(1600000000000));
	assert_true(wall_ms < TIME_MAX_MS);
	while (clock_monotonic_ns() == before_ns)
		;
	assert_true(clock_monotonic_ns() > before_ns);
}

/* A deadline in the year 9999 is none, not one that wraps around to the past. */
static void times_that_are_too_late_are_never(void **state)
{
	(void)state;
	assert_int_equal(clock_time_ns(0, 5), 5);
	assert_int_equal(clock_time_ns(3, 7), UINT64_C(3000000007));
	assert_int_equal(clock_time_ns(-1, 999999999), 0);
	assert_int_equal(clock_time_ns(INT64_C(18446744073), 709551614), UINT64_MAX - 1);
	assert_int_equal(clock_time_ns(INT64_C(18446744073), 709551616), UINT64_MAX);
	assert_int_equal(clock_time_ns(INT64_C(18446744074), 0), UINT64_MAX);
	assert_int_equal(clock_time_ns(INT64_C(251640000000), 0), UINT64_MAX);
	assert_int_equal(clock_time_ns(INT64_MAX, 0), UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_iso_8601),
		cmocka_unit_test(reads_fractions_down_to_milliseconds),
		cmocka_unit_test(knows_leap_years),
		cmocka_unit_test(numbers_are_seconds_up_to_eleven_digits),
		cmocka_unit_test(refuses_nonsense),
		cmocka_unit_test(reads_no_further_than_told),
		cmocka_unit_test(formats),
		cmocka_unit_test(what_is_formatted_can_be_read),
		cmocka_unit_test(the_clocks_run),
		cmocka_unit_test(dates_of_things_go_back_to_the_year_1),
		cmocka_unit_test(times_that_are_too_late_are_never),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
