/*
 * The options that `catalog import` and `events import` share: how to read the file and its values, and
 * what to do with rows that have errors.
 */
#ifndef KINDRED_CLI_IMPORT_OPTIONS_H
#define KINDRED_CLI_IMPORT_OPTIONS_H

#include "cli/csv_source.h"
#include "cli/layouts.h"
#include "cli/notation.h"

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

struct import_options {
	struct source_options source;
	struct notation notation;
	const struct layout *layout; /* NULL: none */
	bool abort_on_error;
	uint64_t max_errors;
};

enum {
	IMPORT_DELIMITER = 0x1000,
	IMPORT_COLUMNS,
	IMPORT_NO_QUOTES,
	IMPORT_LAYOUT,
	IMPORT_ON_ERROR,
	IMPORT_MAX_ERRORS,
	IMPORT_FORMAT,
	IMPORT_DECIMAL_COMMA,
	IMPORT_THOUSANDS,
	IMPORT_UNIT,
	IMPORT_TIME_FORMAT,
};

#define IMPORT_OPTIONS                                                                                                    \
	{ "format", IMPORT_FORMAT, "csv|ndjson", 0, "Format of the file (default: told by its first byte)", 10 },         \
		{ "delimiter",                                                                                            \
		  IMPORT_DELIMITER,                                                                                       \
		  "D",                                                                                                    \
		  0,                                                                                                      \
		  "What separates columns, one or more characters, \\t for a tab (default: guessed from the first "       \
		  "line)",                                                                                                \
		  10 },                                                                                                   \
		{ "columns", IMPORT_COLUMNS, "A,B,C", 0, "Names of the columns of a file that has no header", 10 },       \
		{ "decimal-comma",                                                                                        \
		  IMPORT_DECIMAL_COMMA,                                                                                   \
		  NULL,                                                                                                   \
		  0,                                                                                                      \
		  "Numbers are written 1.299,95 or 1 299,95 (else 1299.95)",                                              \
		  10 },                                                                                                   \
		{ "thousands",                                                                                            \
		  IMPORT_THOUSANDS,                                                                                       \
		  "C",                                                                                                    \
		  0,                                                                                                      \
		  "What stands between groups of three digits: a comma, point, blank or ' (else nothing; with "           \
		  "--decimal-comma points or blanks)",                                                                    \
		  10 },                                                                                                   \
		{ "unit",                                                                                                 \
		  IMPORT_UNIT,                                                                                            \
		  "U",                                                                                                    \
		  0,                                                                                                      \
		  "What stands before or behind numbers and is no part of them: EUR, kg; may be repeated",                \
		  10 },                                                                                                   \
		{ "time-format",                                                                                          \
		  IMPORT_TIME_FORMAT,                                                                                     \
		  "F",                                                                                                    \
		  0,                                                                                                      \
		  "How times are written, for strptime: %d.%m.%Y %H:%M, in UTC unless it has %z; may be repeated "        \
		  "(else ISO 8601, or seconds or milliseconds since 1970)",                                               \
		  10 },                                                                                                   \
		{ "no-quotes", IMPORT_NO_QUOTES, NULL, 0, "A quote (\") is a character like any other", 10 },             \
		{ "layout",                                                                                               \
		  IMPORT_LAYOUT,                                                                                          \
		  "L",                                                                                                    \
		  0,                                                                                                      \
		  "A known data set: movielens, online-retail, yoochoose, taobao; flags that are given win over it",      \
		  10 },                                                                                                   \
		{ "on-error", IMPORT_ON_ERROR, "skip|abort", 0, "What a row with an error does (default: skip it)", 10 }, \
	{                                                                                                                 \
		"max-errors", IMPORT_MAX_ERRORS, "N", 0, "Stop when more than N rows have errors", 10                     \
	}

void import_options_init(struct import_options *options);
/* Wants ARGP_KEY_END as well. ARGP_ERR_UNKNOWN: not one of these. */
error_t import_option(struct import_options *options, int key, char *value, struct argp_state *state);

#endif
