/*
 * Types of attributes: which one the values of a column have, and a value's text read as a type. Pure.
 *
 * Detection, over all values that are not empty: boolean when all are true/false/yes/no/t/f/y/n (any
 * case); number when all are numbers by the notation (and none has a leading zero: "007" is a code, not
 * a number); timestamp when all are times by it, and no numbers; a list when the separator occurs in any;
 * else string. A few strangers in a long column are errors, not a reason to make it a string: with 100
 * values or more, one in a hundred may differ.
 */
#ifndef KINDRED_CLI_TYPES_H
#define KINDRED_CLI_TYPES_H

#include "cli/notation.h"
#include "kindred/v1/catalogs.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef Kindred__V1__AttributeType attribute_type;
#define TYPE_NONE KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_UNSPECIFIED
#define TYPE_STRING KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_STRING
#define TYPE_NUMBER KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_NUMBER
#define TYPE_BOOLEAN KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_BOOLEAN
#define TYPE_TIMESTAMP KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_TIMESTAMP
#define TYPE_LIST KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_STRING_LIST

#define STRING_VALUE_MAX 4096
#define LIST_VALUES_MAX 100
#define LIST_VALUE_MAX 256

/* "string", "number", "boolean", "timestamp", "list". TYPE_NONE for anything else. */
const char *type_name(attribute_type type);
attribute_type type_parse(const char *name);

/* What was seen of a column. Starts as all zero. */
struct type_counts {
	uint64_t values, numbers, codes, booleans, timestamps, lists;
	uint64_t long_values; /* of more than STRING_VALUE_MAX bytes */
	uint64_t amounts, days; /* no numbers, no timestamps by the notation, but perhaps elsewhere: see type_hint */
	/* numbers with a decimal point, and those that a decimal comma makes others (1.299); until one is clear */
	uint64_t points, unclear;
	char example[48]; /* the first amount, day or unclear number */
};

void type_see(struct type_counts *counts, const struct field *field, const char *separator,
	      const struct notation *notation);
attribute_type type_decide(const struct type_counts *counts);
/* How many of the values seen look as if they were not of this type; 0: all are. */
uint64_t type_strangers(const struct type_counts *counts, attribute_type type);

#define TYPE_HINT_MAX 480
/*
 * Why a column of texts may have been meant as one of numbers ("1.234,50 EUR": a filter's < and > want numbers) or of
 * timestamps ("24.12.2026"), or one of numbers as others (all that have a point are like 1.299), how these are
 * written, and the options that would read them so. NULL: it looks like what it is; else the buffer.
 */
const char *type_hint(const struct type_counts *counts, attribute_type type, const struct notation *notation,
		      char *buffer);

/* False: it is none. 1 and 0 are read as well (a column is only detected as boolean without them). */
bool boolean_parse(const char *text, size_t bytes, bool *value);

#endif
