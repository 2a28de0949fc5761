/*
 * How numbers and times are written in a file: values read by what options say of it, and for values that are not
 * read the options that would. Pure.
 *
 * A notation that is all zero is that of programs: numbers as 1299.95 or 1e3, times in ISO 8601 or as seconds or
 * milliseconds since 1970. What a file from elsewhere has is said by options (import_options.h), never guessed:
 * 1.299 is 1299 with --decimal-comma, and else 1.299; 1,299 is 1299 with --thousands ',', 1.299 with --decimal-comma,
 * and else no number. What is read does not depend on the locale, because no program of Kindred calls setlocale().
 */
#ifndef KINDRED_CLI_NOTATION_H
#define KINDRED_CLI_NOTATION_H

#include "cli/csv_source.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NOTATION_MAX 8

struct notation {
	bool decimal_comma; /* 1.299,95 */
	char thousands; /* between groups of three digits: , . ' or a blank; 0: not said, see notation_number */
	const char *units[NOTATION_MAX]; /* beside numbers, and no part of them: "EUR" */
	size_t unit_count;
	const char *time_formats[NOTATION_MAX]; /* for strptime; when there are any, times are written so alone */
	size_t time_format_count;
	bool fixed; /* a command has no options to say otherwise, so that none is told */
};

/*
 * Each of them adds one, which has to outlive the notation. E_INVALID: it is none (a unit has no digits; a day can be
 * read by a format; names of zones, %Z, are not read by strptime), or there are NOTATION_MAX; with the option's name.
 */
int notation_unit_add(struct notation *notation, const char *unit, struct error *err);
int notation_time_format_add(struct notation *notation, const char *format, struct error *err);
/* E_INVALID, with the option's name: it is none of the four (a blank may be a no-break one, the ' a typographic one). */
int notation_thousands_set(struct notation *notation, const char *sign, struct error *err);
/* When all is said. E_INVALID: thousands and decimals would have the same sign. */
int notation_check(const struct notation *notation, struct error *err);

/*
 * False: the field is no number. Digits before the decimals may stand in groups of three, the first of one to three,
 * all separated by the same sign: the one of thousands; when none is said, with decimal_comma, a point or a blank
 * (no-break ones too). With decimal_comma decimals stand behind a comma, and a point before them is none. A unit may
 * stand before or behind the number, with or without a blank. Numbers of JSON are what they are.
 */
bool notation_number(const struct notation *notation, const struct field *field, double *number);

/* Whether it is a number that is another one with decimal_comma: 1.299. Who said a sign of thousands meant the first. */
bool notation_number_unclear(const struct notation *notation, const struct field *field);

/* False: it is no time of the years 1 to 9999, or two of the formats read it as different ones. */
bool notation_time(const struct notation *notation, const char *text, size_t bytes, int64_t *time_ms);

/* Whether it looks like a number of elsewhere: "1.234,50 EUR", "$9.95", "1'200", "4,5 kg"; not "38,39,40" and "4XL". */
bool amount_guess(const char *text, size_t bytes);
/* Whether it looks like a day: "24.12.2026", "12/24/2026 18:00". */
bool day_guess(const char *text, size_t bytes);

#define NOTATION_HELP_MAX 300
/*
 * What follows the words that a value is no number, or no time: how these are written, and what to say that it is
 * read, or read as another: "(1299.95); say --decimal-comma --unit 'EUR' to read 9.95". All that is possible, when
 * there are several: 1.299 EUR is 1.299 or 1299, 03/04/2026 is in March or in April. Both return the buffer.
 */
const char *notation_number_help(const struct notation *notation, const char *text, size_t bytes, char *buffer);
const char *notation_time_help(const struct notation *notation, const char *text, size_t bytes, char *buffer);

/* A decimal number as programs write it. */
bool number_parse(const char *text, size_t bytes, double *number);
/* "007" and "+49": written as a number, meant as a code. */
bool number_is_code(const char *text, size_t bytes);

/*
 * By strptime(3), the whole text; UTC unless the format has %z. False also for a day that its month does not have, and
 * for a year before 1000: %Y reads the 26 of 24.12.26 as the year 26.
 */
bool time_parse_format(const char *text, size_t bytes, const char *format, int64_t *time_ms);

#endif
