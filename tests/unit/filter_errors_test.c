/* What a filter that cannot be compiled is answered: where, what, what is allowed. */
#include "common/filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct filter_attribute schema[] = {
	{ "in_stock", VALUE_BOOLEAN },   { "price", VALUE_NUMBER },       { "category", VALUE_STRING },
	{ "genres", VALUE_STRING_LIST }, { "released", VALUE_TIMESTAMP }, { "brand", VALUE_STRING },
	{ "year", VALUE_NUMBER },        { "timestamp", VALUE_NUMBER },
};
#define ATTRIBUTES (sizeof schema / sizeof *schema)

static void test_errors_say_where_and_what(void **state)
{
	static const struct {
		const char *source, *text;
	} lines[] = {
		{ "category = 5", "filter, character 12: 'category' is a string, 5 is a number" },
		{ "price < \"cheap\"", "filter, character 9: 'price' is a number, \"cheap\" is a string" },
		{ "brand = \"\xc3\xa9t\xc3\xa9\" AND prise < 1",
		  "filter, character 19: there is no attribute 'prise'; did you mean 'price'?" },
		{ "Price < 1", "filter, character 1: there is no attribute 'Price'; did you mean 'price'?" },
		{ "category = last.categroy",
		  "filter, character 17: there is no attribute 'categroy'; did you mean 'category'?" },
		{ "colour = 'red'", "filter, character 1: there is no attribute 'colour' (a text stands in quotes); "
				    "the catalog has in_stock, "
				    "price, category, genres, released, brand, year, timestamp" },
		{ "price = last.category", "filter, character 9: 'price' is a number, 'last.category' is a string" },
		{ "last.genres = price",
		  "filter, character 15: 'last.genres' is a list of strings, 'price' is a number" },
		{ "genres = last.genres",
		  "filter, character 10: 'genres' is a list of strings, 'last.genres' is a list of "
		  "strings; IN asks whether two lists share an element" },
		{ "genres < 'a'",
		  "filter, character 8: 'genres' is a list of strings and knows =, != and IN only, not <" },
		{ "in_stock >= true", "filter, character 10: 'in_stock' is a boolean and knows = and != only, not >=" },
		{ "in_stock IN (true)",
		  "filter, character 1: 'in_stock' is a boolean and knows = and != only, not IN" },
		{ "released > 5",
		  "filter, character 12: 'released' is a timestamp, 5 is a number; a timestamp is written "
		  "\"2026-11-23T10:00:00Z\"" },
		{ "released > 'soon'", "filter, character 12: 'soon' is not a time; write it like "
				       "\"2026-11-23T10:00:00Z\" or \"2026-11-23\"" },
		{ "released IN ('2020-01-01', 'x')", "filter, character 28: 'x' is not a time; write it like "
						     "\"2026-11-23T10:00:00Z\" or \"2026-11-23\"" },
		{ "price < TIMESTAMP '2020-01-01'", "filter, character 9: 'price' is a number, TIMESTAMP '2020-01-01' "
						    "is a timestamp; a timestamp is written "
						    "\"2026-11-23T10:00:00Z\"" },
		{ "category IN ('a', 5)", "filter, character 19: 'category' is a string, 5 is a number" },
		{ "category IN ('a', brand)",
		  "filter, character 19: the list of IN holds literals only; 'brand' is an attribute" },
		{ "category IN brand",
		  "filter, character 13: IN wants a list on its right, like (\"a\", \"b\") or a list "
		  "attribute; 'brand' is a string" },
		{ "price IN genres", "filter, character 10: 'price' is a number, 'genres' is a list of strings" },
		{ "category IN ()", "filter, character 14: expected a literal, found ')'" },
		{ "category IN ('a'",
		  "filter, character 17: expected ',' or ')' in the list of IN, found the end of the "
		  "filter" },
		{ "price",
		  "filter, character 6: 'price' is a number: a comparison is expected after it, like = or IN" },
		{ "true AND in_stock", "filter, character 6: a literal is compared with something, like price < 50" },
		{ "price <", "filter, character 8: expected an attribute or a literal, found the end of the filter" },
		{ "(price < 5", "filter, character 11: expected AND, OR or ')', found the end of the filter" },
		{ "price < 5)", "filter, character 10: expected AND, OR or the end, found ')'" },
		{ "1 < price < 5", "filter, character 11: expected AND, OR or the end, found '<'" },
		{ "price < 5 AND",
		  "filter, character 14: expected an attribute, a literal, NOT or '(', found the end of the "
		  "filter" },
		{ "price NOT < 5", "filter, character 11: expected IN after NOT, found '<'" },
		{ "last < 5", "filter, character 6: expected '.' and the name of an attribute after last, found '<'" },
		{ "last. = 5", "filter, character 7: expected the name of an attribute after last., found '='" },
		{ "category = \"open", "filter, character 12: the text that begins here has no closing \"" },
		{ "price == 5", "filter, character 7: '==' is not of the filter language; write =" },
		{ "price <> 5", "filter, character 7: '<>' is not of the filter language; write !=" },
		{ "in_stock && in_stock", "filter, character 10: '&&' is not of the filter language; write AND" },
		{ "!in_stock", "filter, character 1: '!' is not of the filter language; write NOT" },
		{ "category = \xe2\x80\x9cx\xe2\x80\x9d",
		  "filter, character 12: '\xe2\x80\x9c' is not of the filter language; write \"" },
		{ "price < 5 # x",
		  "filter, character 11: '#' is not of the filter language; it has names, numbers, texts in "
		  "quotes, = != < <= > >= ( ) ," },
		{ "price < 5kg", "filter, character 9: '5kg' is neither a number nor a name; a text stands in quotes" },
		{ "price < 1e999", "filter, character 9: 1e999 is out of the range of numbers" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct filter *filter;
		struct error err = { 0 };
		int code = filter_compile(&filter, lines[i].source, strlen(lines[i].source), schema, ATTRIBUTES, &err);
		if (code != E_INVALID)
			fail_msg("%s compiled", lines[i].source);
		assert_null(filter);
		assert_int_equal(err.code, E_INVALID);
		assert_string_equal(err.text, lines[i].text);
	}
}

static void test_attribute_lists_in_errors(void **state)
{
	static char names[50][64];
	struct filter_attribute many[50];
	struct filter *filter;
	struct error err;
	(void)state;
	for (int i = 0; i < 50; i++) {
		snprintf(names[i], sizeof names[i], "attribute_with_a_long_name_%d", i);
		many[i] = (struct filter_attribute){ names[i], VALUE_NUMBER };
	}
	assert_int_equal(filter_compile(&filter, "x = 1", 5, many, 50, &err), E_INVALID);
	assert_non_null(strstr(err.text, "attribute_with_a_long_name_0, attribute_with_a_long_name_1"));
	assert_non_null(strstr(err.text, " more"));
	assert_int_equal(filter_compile(&filter, "x = 1", 5, many, 2, &err), E_INVALID);
	assert_null(strstr(err.text, " more"));
	assert_int_equal(filter_compile(&filter, "x = 1", 5, NULL, 0, &err), E_INVALID);
	assert_string_equal(err.text, "filter, character 1: there is no attribute 'x' (a text stands in quotes); the "
				      "catalog has no attributes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors_say_where_and_what),
		cmocka_unit_test(test_attribute_lists_in_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
