/*
 * The filter language of definitions: which items may be shown.
 *
 *     in_stock = true AND price < 50 AND category = last.category
 *     genre IN ("Drama", "Crime") AND NOT (language != "English" OR year < 1990)
 *
 *     filter   := or
 *     or       := and { OR and }
 *     and      := unary { AND unary }
 *     unary    := NOT unary | "(" or ")" | compare
 *     compare  := operand op operand
 *               | operand [NOT] IN "(" literal { "," literal } ")"
 *               | operand [NOT] IN operand
 *               | boolean-attribute
 *     op       := = | != | < | <= | > | >=
 *     operand  := attribute | last.attribute | literal
 *     literal  := "text" or 'text' (a quote inside is doubled) | number | true | false | timestamp
 *     timestamp := TIMESTAMP "2026-11-23T10:00:00Z"; the word may be left out where a timestamp is compared
 *
 * Words are case-insensitive, attribute names are not. Types are checked when compiling: both sides of
 * a comparison have one type; < <= > >= are for numbers, timestamps and strings (byte order); on a
 * list, = means "has the element" and != that it has not, IN that it shares one with the other list;
 * booleans know = and != only, and no IN. A comparison with a missing value (of the item, or of `last`
 * when there is no last item) is false, also with != and NOT IN; NOT in front of it is true. A list
 * without elements is a missing value (a model keeps no other).
 *
 * A filter is compiled once against a schema and is then immutable, free of I/O, and may be used by any
 * number of threads. Nesting is at most 64 deep, literals at most 1,000. Evaluation allocates nothing.
 */
#ifndef KINDRED_FILTER_H
#define KINDRED_FILTER_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FILTER_TEXT_MAX 4096

/* As kindred.v1.AttributeType */
enum value_type {
	VALUE_MISSING = 0,
	VALUE_STRING = 1,
	VALUE_NUMBER = 2,
	VALUE_BOOLEAN = 3,
	VALUE_TIMESTAMP = 4,
	VALUE_STRING_LIST = 5
};

struct text_view {
	const char *data;
	uint32_t bytes;
};

/* A value of an item's attribute; nothing is owned. */
struct value {
	enum value_type type; /* VALUE_MISSING: has none */
	union {
		struct text_view string;
		double number;
		bool boolean;
		int64_t timestamp_ms;
		struct {
			/*
			 * element 0 <= index < count of the list; context and first as given by whoever
			 * made the value
			 */
			struct text_view (*at)(const void *context, uint64_t first, uint32_t index);
			const void *context;
			uint64_t first;
			uint32_t count;
		} list;
	};
};

struct filter_attribute {
	const char *name;
	enum value_type type;
};

struct filter;

/*
 * attributes: the catalog's schema; attribute numbers in filter_get are indexes into it. E_INVALID:
 * err->text is like "filter, character 12: 'price' is a number, \"cheap\" is a string". An empty or
 * blank text gives a filter that matches everything (filter_always).
 */
int filter_compile(struct filter **filter, const char *text, size_t bytes, const struct filter_attribute *attributes,
		   size_t attribute_count, struct error *err);
void filter_free(struct filter *filter);
bool filter_always(const struct filter *filter);
/* Whether it reads an attribute of `last`. */
bool filter_uses_last(const struct filter *filter);

/* Gives attribute number `attribute` of the item that `item` stands for (the caller's own pointer). */
typedef struct value (*filter_get)(const void *item, uint32_t attribute);

/* item: the candidate; last: the user's last item, NULL when there is none. */
bool filter_match(const struct filter *filter, filter_get get, const void *item, const void *last);

#endif
