#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/types.h"

static const struct notation plain;

static void see(struct type_counts *counts, const char *text, size_t bytes, const struct notation *notation)
{
	const struct field field = { .text = text, .bytes = bytes };
	type_see(counts, &field, "|", notation);
}

/* The type that a column with these values gets; each `times` times. */
static attribute_type detect(unsigned times, const char *const *values, const char *stranger)
{
	struct type_counts counts = { 0 };
	for (; *values != NULL; values++)
		for (unsigned i = 0; i < times; i++)
			see(&counts, *values, strlen(*values), &plain);
	if (stranger != NULL)
		see(&counts, stranger, strlen(stranger), &plain);
	return type_decide(&counts);
}

#define DETECT(...) detect(1, (const char *const[]){ __VA_ARGS__, NULL }, NULL)

static void detects_types(void **state)
{
	(void)state;
	assert_int_equal(DETECT("1", "2.5", "-3e2", ""), TYPE_NUMBER);
	assert_int_equal(DETECT("true", "False", "YES", "n"), TYPE_BOOLEAN);
	assert_int_equal(DETECT("2026-11-23", "2026-11-23T10:00:00Z"), TYPE_TIMESTAMP);
	assert_int_equal(DETECT("1939-12-15", "1966-09-08"), TYPE_TIMESTAMP);
	assert_int_equal(DETECT("Drama|Crime", "Drama"), TYPE_LIST);
	assert_int_equal(DETECT("red", "1", "true"), TYPE_STRING);
	assert_int_equal(DETECT("", ""), TYPE_STRING);
	/* numbers that are flags stay numbers: who says they are not counts? */
	assert_int_equal(DETECT("0", "1", "1"), TYPE_NUMBER);
}

static bool hinted(const struct notation *notation, const char *about, const char *const *values)
{
	struct type_counts counts = { 0 };
	char hint[TYPE_HINT_MAX];
	for (; *values != NULL; values++)
		see(&counts, *values, strlen(*values), notation);
	return type_hint(&counts, type_decide(&counts), notation, hint) != NULL && strstr(hint, about) != NULL;
}

#define HINTED(about, ...) hinted(&plain, about, (const char *const[]){ __VA_ARGS__, NULL })
#define HINTED_BY(notation, about, ...) hinted(notation, about, (const char *const[]){ __VA_ARGS__, NULL })

/* Prices and days as they are written elsewhere stay texts, which nobody may have meant. */
static void numbers_and_days_of_elsewhere_are_told(void **state)
{
	(void)state;
	assert_true(HINTED("numbers", "1.234,50 \xe2\x82\xac", "9,95 \xe2\x82\xac"));
	assert_true(HINTED("numbers", "$9.95", "$1,200.00"));
	assert_true(HINTED("numbers", "EUR 9.95", "12 EUR", "7"));
	assert_true(HINTED("numbers", "9,5", "12"));
	assert_true(HINTED("numbers", "4.5 kg"));
	assert_true(HINTED("timestamps", "24.12.2026", "1.2.2026"));
	assert_true(HINTED("timestamps", "12/24/2026 18:00"));
	assert_false(HINTED("", "4XL", "2XL"));
	assert_false(HINTED("", "1.2.3", "1.2.4"));
	assert_false(HINTED("", "38,39,40", "42,43,44"));
	assert_false(HINTED("", "iPhone 12", "Pixel 9"));
	assert_false(HINTED("", "007", "01234"));
	assert_false(HINTED("", "9.95", "12"));
	assert_false(HINTED("", "red", "9,95"));
	/* with the options that read them, where there are any */
	assert_true(HINTED("--decimal-comma --unit 'EUR' to read 9.95", "9,95 EUR", "1.200,00 EUR"));
	assert_true(HINTED("--decimal-comma to read 1299.95",
			   "1\xe2\x80\xaf"
			   "299,95",
			   "9"));
	assert_true(HINTED("--thousands ',' to read 1299.95", "1,299.95", "9.95"));
	assert_true(HINTED("--thousands \"'\" to read 1299", "1'299", "9.95"));
	assert_true(HINTED("--decimal-comma to read 1.299, or --thousands ',' to read 1299", "1,299", "999"));
	assert_true(HINTED("--time-format '%d.%m.%Y %H:%M'", "24.12.2026 18:30", "1.2.2026 00:00"));
}

/* Thousands of one country are decimals of another: told when no value of the column says which. */
static void numbers_that_may_be_others_are_told(void **state)
{
	const struct notation comma = { .decimal_comma = true }, groups = { .thousands = ',' };
	const struct field json = { .text = "1.299", .bytes = 5, .odd = true };
	struct type_counts counts = { 0 };
	char hint[TYPE_HINT_MAX];
	(void)state;
	assert_true(HINTED("--decimal-comma to read 1299", "1.299", "999", "12.499"));
	assert_false(HINTED("", "1.299", "9.95"));
	assert_false(HINTED("", "0.299", "0.5"));
	assert_false(HINTED("", "1", "999"));
	assert_false(HINTED_BY(&comma, "", "1.299", "999"));
	assert_false(HINTED_BY(&groups, "", "1.299", "1,299"));
	type_see(&counts, &json, "|", &plain);
	assert_null(type_hint(&counts, TYPE_NUMBER, &plain, hint));
}

/* A notation that is said is the only one, for numbers as for times, also where the file has another. */
static void a_notation_decides_what_is_a_number(void **state)
{
	const struct notation comma = { .decimal_comma = true };
	struct notation days = { .decimal_comma = true };
	struct type_counts prices = { 0 }, points = { 0 }, since = { 0 };
	(void)state;
	see(&prices, "1.299,95", 8, &comma);
	see(&prices, "9", 1, &comma);
	assert_int_equal(type_decide(&prices), TYPE_NUMBER);
	see(&points, "9.95", 4, &comma);
	assert_int_equal(type_decide(&points), TYPE_STRING);
	assert_true(HINTED_BY(&comma, "(1.299,95 by --decimal-comma)", "9.95", "12"));
	assert_int_equal(notation_time_format_add(&days, "%d.%m.%Y", NULL), 0);
	see(&since, "24.12.2026", 10, &days);
	assert_int_equal(type_decide(&since), TYPE_TIMESTAMP);
	assert_true(HINTED_BY(&days, "(as --time-format has it)", "12/24/2026", "24/12/2026"));
	see(&since, "2026-12-24", 10, &days);
	assert_int_equal(type_decide(&since), TYPE_STRING);
}

/* A value ends where it is said to end, whatever stands behind it. */
static void looks_no_further_than_the_value(void **state)
{
	struct type_counts counts = { 0 };
	(void)state;
	see(&counts, "1.2.2026", 5, &plain);
	assert_int_equal(counts.days, 0);
	see(&counts, "24.12.2026", 10, &plain);
	assert_int_equal(counts.days, 1);
}

/* What would lose something as a number is none. */
static void codes_are_no_numbers(void **state)
{
	(void)state;
	assert_int_equal(DETECT("01234", "98765"), TYPE_STRING);
	assert_int_equal(DETECT("+491234", "12"), TYPE_STRING);
	assert_int_equal(DETECT("0x1f", "12"), TYPE_STRING);
	assert_int_equal(DETECT("nan", "12"), TYPE_STRING);
	assert_int_equal(DETECT("0.5", "-0.25", "0"), TYPE_NUMBER);
	const char *const many[] = { "12345", NULL };
	assert_int_equal(detect(1000, many, "01234"), TYPE_STRING);
}

/* One typo in a thousand prices is an error of its row; in ten it may be what the column is. */
static void a_stranger_in_a_crowd_is_an_error(void **state)
{
	(void)state;
	const char *const prices[] = { "9.95", NULL };
	assert_int_equal(detect(1000, prices, "abc"), TYPE_NUMBER);
	assert_int_equal(detect(10, prices, "abc"), TYPE_STRING);
	struct type_counts counts = { 0 };
	for (unsigned i = 0; i < 1000; i++)
		see(&counts, "9.95", 4, &plain);
	assert_int_equal(type_strangers(&counts, TYPE_NUMBER), 0);
	see(&counts, "abc", 3, &plain);
	assert_int_equal(type_strangers(&counts, TYPE_NUMBER), 1);
	assert_int_equal(type_strangers(&counts, TYPE_STRING), 0);
}

static void reads_booleans(void **state)
{
	bool boolean;
	(void)state;
	assert_true(boolean_parse("No", 2, &boolean));
	assert_false(boolean);
	assert_true(boolean_parse("1", 1, &boolean));
	assert_true(boolean);
	assert_false(boolean_parse("maybe", 5, &boolean));
}

static void names_types(void **state)
{
	(void)state;
	assert_int_equal(type_parse("List"), TYPE_LIST);
	assert_int_equal(type_parse("float"), TYPE_NONE);
	assert_string_equal(type_name(TYPE_TIMESTAMP), "timestamp");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(detects_types),
		cmocka_unit_test(numbers_and_days_of_elsewhere_are_told),
		cmocka_unit_test(numbers_that_may_be_others_are_told),
		cmocka_unit_test(a_notation_decides_what_is_a_number),
		cmocka_unit_test(looks_no_further_than_the_value),
		cmocka_unit_test(codes_are_no_numbers),
		cmocka_unit_test(a_stranger_in_a_crowd_is_an_error),
		cmocka_unit_test(reads_booleans),
		cmocka_unit_test(names_types),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
