#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/notation.h"
#include "common/clock.h"

static const struct notation plain;

static struct field field_of(const char *text)
{
	return (struct field){ .text = text, .bytes = strlen(text) };
}

static void assert_number(const struct notation *notation, const char *text, double expected)
{
	const struct field field = field_of(text);
	double number;
	if (!notation_number(notation, &field, &number))
		fail_msg("'%s' is no number", text);
	if (number != expected)
		fail_msg("'%s' is read as %.17g", text, number);
}

static void assert_no_numbers(const struct notation *notation, const char *const *texts)
{
	for (; *texts != NULL; texts++) {
		const struct field field = field_of(*texts);
		double number;
		if (notation_number(notation, &field, &number))
			fail_msg("'%s' is read as %.17g", *texts, number);
	}
}

#define NO_NUMBERS(notation, ...) assert_no_numbers(notation, (const char *const[]){ __VA_ARGS__, NULL })

static void numbers_are_those_of_programs_unless_said(void **state)
{
	(void)state;
	assert_number(&plain, "1e3", 1000);
	assert_number(&plain, "-9.95", -9.95);
	assert_number(&plain, "1.299", 1.299);
	NO_NUMBERS(&plain, "", " ", "1 2", "1,5", "1.299,95", "1.299.000", "9.95 EUR", "--1", "1e999", "0x1f", "inf",
		   "nan");
}

static void a_decimal_comma_has_groups_of_three(void **state)
{
	const struct notation comma = { .decimal_comma = true };
	(void)state;
	assert_number(&comma, "9,95", 9.95);
	assert_number(&comma, "-9,95", -9.95);
	assert_number(&comma, "+9,95", 9.95);
	assert_number(&comma, "0,5", 0.5);
	assert_number(&comma, "1299", 1299);
	assert_number(&comma, "1.299", 1299);
	assert_number(&comma, "1.299,00", 1299);
	assert_number(&comma, "12.345.678,9", 12345678.9);
	assert_number(&comma, "-1.299.000", -1299000);
	assert_number(&comma, "1 299,95", 1299.95);
	assert_number(&comma,
		      "1\xc2\xa0"
		      "299\xc2\xa0"
		      "000",
		      1299000);
	assert_number(&comma,
		      "1\xe2\x80\xaf"
		      "299,95",
		      1299.95);
	assert_number(&comma, "1,5E+03", 1500);
	/* what would be read with a point: nothing is guessed */
	NO_NUMBERS(&comma, "9.95", "12.5", "0.123", "1.2995", "1299.000", "-.5");
	NO_NUMBERS(&comma, "1.29,95", "1.299.00", "12.34.567", "1.2999", "1234.567,8", "1.299 000", "1 299.000",
		   "1..299", ".299", "1.299.", "1.", "1 ", "0.299,95");
	NO_NUMBERS(&comma, "9,9,5", "1,299,00", "1.299,95.1", "1,299.00", "9,", ",95", ",", "9,95 ", "9, 95", "9,9 5");
	NO_NUMBERS(&comma, "", "-", "--9,95", "- 9,95", "9,95-", "1e999", "1,5e", "9,95 EUR", "EUR", "0x1f", "nan",
		   "38,39,40");
}

static struct notation with_thousands(const char *sign, bool decimal_comma)
{
	struct notation notation = { .decimal_comma = decimal_comma };
	struct error err;
	if (notation_thousands_set(&notation, sign, &err) != 0 || notation_check(&notation, &err) != 0)
		fail_msg("%s", err.text);
	return notation;
}

static void thousands_that_are_said_are_groups_of_three(void **state)
{
	const struct notation comma = with_thousands(",", false);
	(void)state;
	assert_number(&comma, "1,299.00", 1299);
	assert_number(&comma, "1,299", 1299);
	assert_number(&comma, "-12,345,678.5", -12345678.5);
	assert_number(&comma, "+999,999", 999999);
	assert_number(&comma, "1,299e2", 129900);
	/* what has no groups is as it was */
	assert_number(&comma, "9.95", 9.95);
	assert_number(&comma, "1.299", 1.299);
	assert_number(&comma, "1299.95", 1299.95);
	assert_number(&comma, "0.123", 0.123);
	assert_number(&comma, "1e3", 1000);
	NO_NUMBERS(&comma, "1,29.00", "9,95", "1,2", "1,2999", "1299,000", "12,34,567", "1,299,00", "0,123", "00,123",
		   "-0,123", ",299", "1,", "1,299.", "1,,299", "1,299.00.00", "1.299,00", "1 299.00", "1'299",
		   "1,299 000", "1,299,", "1,299 ", " 1,299", "38,39,40", "$1,299.00", "", ",", "-", "1,299.9,9",
		   "1.000,000");
}

static void each_sign_of_thousands_is_the_only_one(void **state)
{
	const struct notation quote = with_thousands("'", false), blank = with_thousands(" ", false);
	const struct notation swiss = with_thousands("\xe2\x80\x99", true), point = with_thousands(".", true);
	const struct notation narrow = with_thousands("\xe2\x80\xaf", true);
	(void)state;
	assert_number(&quote, "1'299.95", 1299.95);
	assert_number(&quote,
		      "1\xe2\x80\x99"
		      "299\xe2\x80\x99"
		      "000",
		      1299000);
	NO_NUMBERS(&quote, "1,299.95", "1 299",
		   "1'299\xe2\x80\x99"
		   "000",
		   "1'299,95", "5'10");
	assert_number(&blank, "1 299.95", 1299.95);
	assert_number(&blank,
		      "1\xc2\xa0"
		      "299",
		      1299);
	assert_number(&blank,
		      "1\xe2\x80\xaf"
		      "299.5",
		      1299.5);
	NO_NUMBERS(&blank, "1 299,95", "1,299", "1  299", "1 29",
		   "1 299\xc2\xa0"
		   "000");
	assert_number(&swiss, "1'299,95", 1299.95);
	assert_number(&swiss, "9,95", 9.95);
	NO_NUMBERS(&swiss, "1.299,95", "1 299,95", "1.299", "1'299.95");
	assert_number(&point, "1.299,95", 1299.95);
	NO_NUMBERS(&point, "1 299,95", "1'299,95", "9.95");
	assert_number(&narrow, "1 299,95", 1299.95);
	NO_NUMBERS(&narrow, "1.299,95");
}

static void thousands_and_decimals_have_signs_of_their_own(void **state)
{
	static const char *const none[] = { "", "_", ",,", "a", "1", "''", "\xc2", "\t" };
	struct notation notation = { 0 };
	struct error err;
	(void)state;
	for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
		assert_int_equal(notation_thousands_set(&notation, none[i], &err), E_INVALID);
		assert_non_null(strstr(err.text, "--thousands '"));
	}
	assert_int_equal(notation_thousands_set(&notation, ".", &err), 0);
	assert_int_equal(notation_thousands_set(&notation, ".", &err), 0);
	assert_int_equal(notation_thousands_set(&notation, ",", &err), E_INVALID);
	assert_string_equal(err.text, "more than one --thousands");
	assert_int_equal(notation_check(&notation, &err), E_INVALID);
	assert_non_null(strstr(err.text, "unless --decimal-comma says"));
	notation.decimal_comma = true;
	assert_int_equal(notation_check(&notation, &err), 0);
	notation.thousands = ',';
	assert_int_equal(notation_check(&notation, &err), E_INVALID);
	assert_non_null(strstr(err.text, "--thousands ',' and --decimal-comma"));
}

static void numbers_end_somewhere(void **state)
{
	const struct notation comma = { .decimal_comma = true };
	char text[400];
	(void)state;
	memset(text, '9', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	NO_NUMBERS(&plain, text);
	NO_NUMBERS(&comma, text, "1,5e309", "9,95e9999");
	const struct notation groups = with_thousands(",", false);
	char grouped[400];
	for (size_t i = 0; i + 4 < sizeof grouped; i += 4)
		memcpy(grouped + i, "999,", 5);
	strcpy(grouped + sizeof grouped - 8, "999");
	NO_NUMBERS(&groups, grouped);
	text[63] = '\0';
	assert_number(&comma, text, 1e63);
}

static void units_are_taken_off_when_they_are_said(void **state)
{
	struct notation notation = { .decimal_comma = true };
	struct error err;
	(void)state;
	assert_int_equal(notation_unit_add(&notation, "EUR", &err), 0);
	assert_int_equal(notation_unit_add(&notation, "\xe2\x82\xac", &err), 0);
	assert_number(&notation, "9,95 EUR", 9.95);
	assert_number(&notation, "9,95EUR", 9.95);
	assert_number(&notation, "EUR 1.299,00", 1299);
	assert_number(&notation, "9,95\xc2\xa0\xe2\x82\xac", 9.95);
	assert_number(&notation, "\xe2\x82\xac-9,95", -9.95);
	assert_number(&notation, "-9,95 \xe2\x82\xac", -9.95);
	assert_number(&notation, "9,95", 9.95);
	NO_NUMBERS(&notation, "9,95 USD", "9,95 eur", "9,95  EUR", "EUR 9,95 EUR", "9,95 EUR EUR", "EUR", "-EUR 9,95",
		   "9.95 EUR", "9,95 EURO");
	notation.decimal_comma = false;
	assert_number(&notation, "9.95 EUR", 9.95);
	assert_number(&notation, "1.299 EUR", 1.299);
	NO_NUMBERS(&notation, "9,95 EUR");
}

static void a_unit_is_no_part_of_a_number(void **state)
{
	static const char *const none[] = { "", "0", "m2", "-", "+EUR" };
	struct notation notation = { 0 };
	struct error err;
	(void)state;
	for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
		assert_int_equal(notation_unit_add(&notation, none[i], &err), E_INVALID);
		assert_non_null(strstr(err.text, "--unit '"));
	}
	for (size_t i = 0; i < NOTATION_MAX; i++)
		assert_int_equal(notation_unit_add(&notation, "kg", &err), 0);
	assert_int_equal(notation_unit_add(&notation, "kg", &err), E_INVALID);
	assert_string_equal(err.text, "more than 8 --unit");
}

/* JSON has one way to write a number, whatever its strings hold. */
static void numbers_of_json_stay_what_they_are(void **state)
{
	const struct notation comma = { .decimal_comma = true };
	const struct field field = { .text = "1.299", .bytes = 5, .odd = true };
	double number;
	(void)state;
	assert_true(notation_number(&comma, &field, &number));
	assert_true(number == 1.299);
}

static struct notation times(const char *const *formats)
{
	struct notation notation = { 0 };
	struct error err;
	for (; *formats != NULL; formats++) {
		if (notation_time_format_add(&notation, *formats, &err) != 0)
			fail_msg("%s", err.text);
	}
	return notation;
}

#define TIMES(...) times((const char *const[]){ __VA_ARGS__, NULL })

/* iso: how the time is written by us; NULL: it is none. */
static void assert_time(const struct notation *notation, const char *text, const char *iso)
{
	char written[32] = "none";
	int64_t time_ms;
	if (notation_time(notation, text, strlen(text), &time_ms))
		time_format(time_ms, written);
	if (strcmp(written, iso != NULL ? iso : "none") != 0)
		fail_msg("'%s' is read as %s", text, written);
}

static void times_are_iso_or_numbers_unless_said(void **state)
{
	(void)state;
	assert_time(&plain, "2026-12-24", "2026-12-24T00:00:00Z");
	assert_time(&plain, "1795428000", "2026-11-23T10:00:00Z");
	assert_time(&plain, "0001-01-01", "0001-01-01T00:00:00Z");
	assert_time(&plain, "24.12.2026", NULL);
}

static void times_by_a_format_are_whole_and_of_the_calendar(void **state)
{
	const struct notation days = TIMES("%d.%m.%Y");
	const struct notation minutes = TIMES("%d.%m.%Y %H:%M:%S");
	(void)state;
	assert_time(&days, "24.12.2026", "2026-12-24T00:00:00Z");
	assert_time(&days, "1.2.2026", "2026-02-01T00:00:00Z");
	assert_time(&days, "29.02.2024", "2024-02-29T00:00:00Z");
	assert_time(&days, "29.02.2000", "2000-02-29T00:00:00Z");
	assert_time(&days, "31.12.9999", "9999-12-31T00:00:00Z");
	assert_time(&days, "29.02.2026", NULL);
	assert_time(&days, "29.02.1900", NULL);
	assert_time(&days, "31.04.2026", NULL);
	assert_time(&days, "00.12.2026", NULL);
	assert_time(&days, "24.13.2026", NULL);
	assert_time(&days, "24.12.26", NULL); /* not of the year 26 */
	assert_time(&days, "24.12.2026 18:30", NULL);
	assert_time(&days, "2026-12-24", NULL);
	assert_time(&days, "1795428000", NULL);
	assert_time(&days, "", NULL);
	assert_time(&minutes, "24.12.2026 23:59:59", "2026-12-24T23:59:59Z");
	assert_time(&minutes, "24.12.2026 23:59:60", NULL);
	assert_time(&minutes, "24.12.2026 24:00:00", NULL);
	assert_time(&minutes, "24.12.2026", NULL);
	const struct notation short_years = TIMES("%d.%m.%y");
	assert_time(&short_years, "24.12.26", "2026-12-24T00:00:00Z");
	assert_time(&short_years, "24.12.2026", NULL);
}

static void a_zone_that_is_said_counts(void **state)
{
	const struct notation zones = TIMES("%d.%m.%Y %H:%M %z");
	struct notation notation = { 0 };
	struct error err;
	(void)state;
	assert_time(&zones, "24.12.2026 18:30 +0100", "2026-12-24T17:30:00Z");
	assert_time(&zones, "24.12.2026 18:30 +01:00", "2026-12-24T17:30:00Z");
	assert_time(&zones, "01.01.2027 00:30 +0100", "2026-12-31T23:30:00Z");
	assert_time(&zones, "24.12.2026 18:30 -0330", "2026-12-24T22:00:00Z");
	assert_time(&zones, "24.12.2026 18:30 Z", "2026-12-24T18:30:00Z");
	assert_time(&zones, "31.12.9999 23:30 -0100", NULL);
	assert_time(&zones, "24.12.2026 18:30 CET", NULL);
	assert_time(&zones, "24.12.2026 18:30", NULL);
	/* strptime takes any name for none */
	assert_int_equal(notation_time_format_add(&notation, "%d.%m.%Y %H:%M %Z", &err), E_INVALID);
	assert_non_null(strstr(err.text, "names of zones (%Z) are not read; give %z"));
	assert_int_equal(notation_time_format_add(&notation, "%d.%m.%Y %%Z", &err), 0);
}

static void of_several_formats_one_alone_has_to_fit(void **state)
{
	const struct notation both = TIMES("%d.%m.%Y", "%d.%m.%Y %H:%M");
	const struct notation unclear = TIMES("%d/%m/%Y", "%m/%d/%Y");
	(void)state;
	assert_time(&both, "24.12.2026", "2026-12-24T00:00:00Z");
	assert_time(&both, "24.12.2026 18:30", "2026-12-24T18:30:00Z");
	assert_time(&both, "24.12.2026 18", NULL);
	assert_time(&unclear, "24/12/2026", "2026-12-24T00:00:00Z");
	assert_time(&unclear, "12/24/2026", "2026-12-24T00:00:00Z");
	assert_time(&unclear, "04/04/2026", "2026-04-04T00:00:00Z");
	assert_time(&unclear, "03/04/2026", NULL);
}

static void a_format_has_a_day_in_it(void **state)
{
	static const char *const none[] = { "%Q", "%Y-%m", "today", "", "%H:%M", "%d.%m." };
	struct notation notation = { 0 };
	struct error err;
	(void)state;
	for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
		assert_int_equal(notation_time_format_add(&notation, none[i], &err), E_INVALID);
		assert_non_null(strstr(err.text, "no day can be read by it"));
	}
	for (size_t i = 0; i < NOTATION_MAX; i++)
		assert_int_equal(notation_time_format_add(&notation, "%Y%m%d", &err), 0);
	assert_int_equal(notation_time_format_add(&notation, "%Y%m%d", &err), E_INVALID);
	assert_string_equal(err.text, "more than 8 --time-format");
}

static void assert_number_help(const struct notation *notation, const char *text, const char *expected)
{
	char help[NOTATION_HELP_MAX];
	assert_string_equal(notation_number_help(notation, text, strlen(text), help), expected);
}

/* Where a value can be read in two ways, both are told, and what comes of each. */
static void helps_with_numbers(void **state)
{
	const struct notation comma = { .decimal_comma = true }, fixed = { .fixed = true };
	const struct notation groups = with_thousands(",", false), swiss = with_thousands("'", true);
	(void)state;
	assert_number_help(&plain, "abc", "(1299.95)");
	assert_number_help(&plain, "9,95", "(1299.95); say --decimal-comma to read 9.95");
	assert_number_help(&plain, "-9,95 EUR", "(1299.95); say --decimal-comma --unit 'EUR' to read -9.95");
	assert_number_help(&plain, "12 EUR", "(1299.95); say --unit 'EUR' to read 12");
	assert_number_help(&plain, "$9.95", "(1299.95); say --unit '$' to read 9.95");
	assert_number_help(&plain, "1.299\xc2\xa0\xe2\x82\xac",
			   "(1299.95); say --unit '\xe2\x82\xac' to read 1.299, or --decimal-comma --unit "
			   "'\xe2\x82\xac' to read 1299");
	assert_number_help(&plain, "1.299", "(1299.95); say --decimal-comma to read 1299");
	assert_number_help(&plain, "1,299.00", "(1299.95); say --thousands ',' to read 1299");
	assert_number_help(&plain, "1,299",
			   "(1299.95); say --decimal-comma to read 1.299, or --thousands ',' to read 1299");
	assert_number_help(&plain, "$12,345,678.90", "(1299.95); say --thousands ',' --unit '$' to read 12345678.9");
	assert_number_help(&plain, "1'299.00", "(1299.95); say --thousands \"'\" to read 1299");
	assert_number_help(&plain,
			   "1\xe2\x80\x99"
			   "299,50",
			   "(1299.95); say --decimal-comma --thousands \"'\" to read 1299.5");
	assert_number_help(&plain, "1 299.00", "(1299.95); say --thousands ' ' to read 1299");
	assert_number_help(&plain, "1 299", "(1299.95); say --decimal-comma to read 1299");
	assert_number_help(&plain, "1,29.00", "(1299.95)");
	assert_number_help(&plain, "1.299.00", "(1299.95)");
	assert_number_help(&plain, "-\xe2\x82\xac 9,95", "(1299.95)");
	assert_number_help(&comma, "9.95", "(1.299,95 by --decimal-comma)");
	assert_number_help(&comma, "9,95 EUR", "(1.299,95 by --decimal-comma); say --unit 'EUR' to read 9.95");
	assert_number_help(&comma, "1'299,95", "(1.299,95 by --decimal-comma); say --thousands \"'\" to read 1299.95");
	assert_number_help(&comma, "1,299.00", "(1.299,95 by --decimal-comma)");
	assert_number_help(&groups, "9,95", "(1,299.95 by --thousands)");
	assert_number_help(&groups, "1'299", "(1,299.95 by --thousands)");
	assert_number_help(&groups, "1,299 EUR", "(1,299.95 by --thousands); say --unit 'EUR' to read 1299");
	assert_number_help(&swiss, "9.95", "(1'299,95 by --decimal-comma and --thousands)");
	assert_number_help(&fixed, "9,95", "(1299.95)");
	assert_number_help(&fixed, "1,299", "(1299.95)");
}

static void assert_time_help(const struct notation *notation, const char *text, const char *expected)
{
	char help[NOTATION_HELP_MAX];
	assert_string_equal(notation_time_help(notation, text, strlen(text), help), expected);
}

#define ISO "(ISO 8601, or seconds or milliseconds since 1970)"

static void helps_with_times(void **state)
{
	const struct notation one = TIMES("%d.%m.%Y"), two = TIMES("%d.%m.%Y", "%d.%m.%Y %H:%M");
	const struct notation fixed = { .fixed = true };
	(void)state;
	assert_time_help(&plain, "24.12.2026", ISO "; say --time-format '%d.%m.%Y'");
	assert_time_help(&plain, "24.12.2026 18:30", ISO "; say --time-format '%d.%m.%Y %H:%M'");
	assert_time_help(&plain, "03/04/2026", ISO "; say --time-format '%m/%d/%Y' or '%d/%m/%Y'");
	assert_time_help(&plain, "24/12/2026", ISO "; say --time-format '%d/%m/%Y'");
	assert_time_help(&plain, "soon", ISO "; see --time-format");
	assert_time_help(&plain, "29.02.2026", ISO "; see --time-format");
	assert_time_help(&one, "2026-12-24", "(as --time-format has it)");
	assert_time_help(&two, "2026-12-24", "(as one --time-format alone has it)");
	assert_time_help(&fixed, "24.12.2026", ISO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_those_of_programs_unless_said),
		cmocka_unit_test(a_decimal_comma_has_groups_of_three),
		cmocka_unit_test(thousands_that_are_said_are_groups_of_three),
		cmocka_unit_test(each_sign_of_thousands_is_the_only_one),
		cmocka_unit_test(thousands_and_decimals_have_signs_of_their_own),
		cmocka_unit_test(numbers_end_somewhere),
		cmocka_unit_test(units_are_taken_off_when_they_are_said),
		cmocka_unit_test(a_unit_is_no_part_of_a_number),
		cmocka_unit_test(numbers_of_json_stay_what_they_are),
		cmocka_unit_test(times_are_iso_or_numbers_unless_said),
		cmocka_unit_test(times_by_a_format_are_whole_and_of_the_calendar),
		cmocka_unit_test(a_zone_that_is_said_counts),
		cmocka_unit_test(of_several_formats_one_alone_has_to_fit),
		cmocka_unit_test(a_format_has_a_day_in_it),
		cmocka_unit_test(helps_with_numbers),
		cmocka_unit_test(helps_with_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
