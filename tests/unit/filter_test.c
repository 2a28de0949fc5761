#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IN_STOCK, PRICE, CATEGORY, GENRES, RELEASED, BRAND, YEAR, TIMESTAMP_NAMED, ATTRIBUTES };

static const struct filter_attribute schema[ATTRIBUTES] = {
	[IN_STOCK] = { "in_stock", VALUE_BOOLEAN },
	[PRICE] = { "price", VALUE_NUMBER },
	[CATEGORY] = { "category", VALUE_STRING },
	[GENRES] = { "genres", VALUE_STRING_LIST },
	[RELEASED] = { "released", VALUE_TIMESTAMP },
	[BRAND] = { "brand", VALUE_STRING },
	[YEAR] = { "year", VALUE_NUMBER },
	[TIMESTAMP_NAMED] = { "timestamp", VALUE_NUMBER },
};

struct item {
	struct value values[ATTRIBUTES];
	unsigned reads; /* how often a match asked */
};

static struct value get(const void *item, uint32_t attribute)
{
	struct item *of = (struct item *)(uintptr_t)item;
	assert_true(attribute < ATTRIBUTES);
	of->reads++;
	return of->values[attribute];
}

static struct value text(const char *data)
{
	return (struct value){ .type = VALUE_STRING, .string = { data, (uint32_t)strlen(data) } };
}

static struct value number(double of)
{
	return (struct value){ .type = VALUE_NUMBER, .number = of };
}

static struct value boolean(bool of)
{
	return (struct value){ .type = VALUE_BOOLEAN, .boolean = of };
}

static struct value timestamp(int64_t ms)
{
	return (struct value){ .type = VALUE_TIMESTAMP, .timestamp_ms = ms };
}

static struct text_view list_at(const void *context, uint64_t first, uint32_t index)
{
	const char *of = ((const char *const *)context)[first + index];
	return (struct text_view){ of, (uint32_t)strlen(of) };
}

static struct value list(const char *const *texts, uint64_t first, uint32_t count)
{
	return (struct value){ .type = VALUE_STRING_LIST, .list = { list_at, texts, first, count } };
}

#define TIME_2020 INT64_C(1577836800000)
static const char *const genres[] = { "unused", "Drama", "Crime", "Sci-Fi", "" };

/* The candidate of most tests. */
static struct item crime_drama(void)
{
	struct item item = { .values = {
				     [IN_STOCK] = boolean(true),
				     [PRICE] = number(49.5),
				     [CATEGORY] = text("shoes"),
				     [GENRES] = list(genres, 1, 2),
				     [RELEASED] = timestamp(TIME_2020),
				     [BRAND] = text("O'Neill"),
				     [YEAR] = number(-3),
				     [TIMESTAMP_NAMED] = number(7),
			     } };
	return item;
}

static struct filter *compiled(const char *source)
{
	struct filter *filter;
	struct error err = { 0 };
	if (filter_compile(&filter, source, strlen(source), schema, ATTRIBUTES, &err))
		fail_msg("%s\n%s", source, err.text);
	return filter;
}

static bool matches(const char *source, const struct item *item, const struct item *last)
{
	struct filter *filter = compiled(source);
	bool match = filter_match(filter, get, item, last);
	filter_free(filter);
	return match;
}

/*
 * Each line: a filter and whether crime_drama() passes it; last is in the same category, with price 60
 * and genres Crime, Sci-Fi.
 */
struct line {
	const char *source;
	bool match;
};

static void check_lines(const struct line *lines, size_t count, const struct item *item, const struct item *last)
{
	for (size_t i = 0; i < count; i++)
		if (matches(lines[i].source, item, last) != lines[i].match)
			fail_msg("%s: %s", lines[i].source, lines[i].match ? "should match" : "should not match");
}
#define CHECK_LINES(lines, item, last) check_lines(lines, sizeof(lines) / sizeof *(lines), item, last)

static struct item last_item(void)
{
	struct item last = crime_drama();
	last.values[PRICE] = number(60);
	last.values[GENRES] = list(genres, 2, 2);
	last.values[BRAND] = text("Puma");
	return last;
}

static void test_compares_every_type(void **state)
{
	static const struct line lines[] = {
		{ "price = 49.5", true },
		{ "price != 49.5", false },
		{ "price < 49.5", false },
		{ "price <= 49.5", true },
		{ "price > 49.5", false },
		{ "price >= 49.5", true },
		{ "price < 50", true },
		{ "price > 50", false },
		{ "50 > price", true },
		{ "50 <= price", false },
		{ "49.5 = price", true },
		{ "4.95e1 = price", true },
		{ "price=+49.50", true },
		{ "year = -3", true },
		{ "year<-2.5", true },
		{ "year > -.5", false },
		{ "in_stock = true", true },
		{ "in_stock = FALSE", false },
		{ "in_stock != false", true },
		{ "true = in_stock", true },
		{ "in_stock", true },
		{ "NOT in_stock", false },
		{ "category = \"shoes\"", true },
		{ "category = 'shoes'", true },
		{ "category = \"Shoes\"", false },
		{ "category = \"shoe\"", false },
		{ "category > \"shoe\"", true },
		{ "category < \"shoes!\"", true },
		{ "category < \"si\"", true },
		{ "category > \"\"", true },
		{ "\"shoe\" < category", true },
		{ "brand = 'O''Neill'", true },
		{ "brand = \"O'Neill\"", true },
		{ "brand = \"O\"\"Neill\"", false },
		{ "released = \"2020-01-01\"", true },
		{ "released = TIMESTAMP \"2020-01-01T01:00:00+01:00\"", true },
		{ "released < timestamp '2020-01-01T00:00:00.001Z'", true },
		{ "\"2019-12-31\" < released", true },
		{ "released >= \"2020-01-02\"", false },
		{ "released > \"1939-12-15\"", true },
		{ "released < TIMESTAMP '0001-01-01'", false },
		{ "timestamp = 7", true },
		{ "timestamp < timestamp", false },
		{ "price > year", true },
		{ "category = brand", false },
		{ "1 < 2", true },
		{ "'b' <= 'a'", false },
		{ "'a' IN ('b', 'a')", true },
		{ "1 NOT IN (2, 1)", false },
		{ "TIMESTAMP '2020-01-01' = '2020-01-01T00:00:00Z'", true },
	};
	struct item item = crime_drama(), last = last_item();
	(void)state;
	CHECK_LINES(lines, &item, &last);
}

static void test_reads_the_last_item(void **state)
{
	static const struct line lines[] = {
		{ "category = last.category", true },
		{ "last.category = category", true },
		{ "LAST.category = category", true },
		{ "category != last.category", false },
		{ "price < last.price", true },
		{ "last.price < price", false },
		{ "last.price >= 60", true },
		{ "brand = last.brand", false },
		{ "last.brand = \"Puma\"", true },
		{ "last.in_stock", true },
		{ "genres IN last.genres", true },
		{ "genres NOT IN last.genres", false },
		{ "last.brand IN genres", false },
		{ "genres != last.brand", true },
		{ "in_stock = true AND price < 50 AND category = last.category", true },
		{ "in_stock = true AND price < 40 AND category = last.category", false },
	};
	struct item item = crime_drama(), last = last_item();
	(void)state;
	CHECK_LINES(lines, &item, &last);
}

static void test_lists(void **state)
{
	static const struct line lines[] = {
		{ "genres = \"Drama\"", true },
		{ "genres = \"drama\"", false },
		{ "genres != \"Drama\"", false },
		{ "genres != \"Sci-Fi\"", true },
		{ "\"Crime\" = genres", true },
		{ "\"Crime\" != genres", false },
		{ "\"Crime\" IN genres", true },
		{ "\"Sci-Fi\" NOT IN genres", true },
		{ "category IN genres", false },
		{ "genres IN (\"Western\", \"Crime\")", true },
		{ "genres IN ('Western')", false },
		{ "genres NOT IN ('Western', 'Crime')", false },
		{ "genres NOT IN ('Western')", true },
		{ "genres IN genres", true },
		{ "category IN ('a', 'shoes', 'z')", true },
		{ "category IN ('a', 'shoe', 'z')", false },
		{ "category NOT IN ('a', 'shoe', 'z')", true },
		{ "price IN (1, 49.5, 2, 1)", true },
		{ "price NOT IN (1, 49.5)", false },
		{ "released IN ('2019-01-01', TIMESTAMP '2020-01-01')", true },
	};
	struct item item = crime_drama(), last = last_item();
	(void)state;
	CHECK_LINES(lines, &item, &last);

	item.values[GENRES] = list(genres, 1, 0); /* no elements: as a missing value */
	assert_false(matches("genres = \"Drama\"", &item, NULL));
	assert_false(matches("genres != \"Drama\"", &item, NULL));
	assert_true(matches("NOT genres = \"Drama\"", &item, NULL));
	assert_false(matches("genres NOT IN genres", &item, NULL));
	assert_false(matches("genres NOT IN ('Drama')", &item, NULL));
	item.values[GENRES] = list(genres, 4, 1); /* one empty string */
	assert_true(matches("genres = \"\"", &item, NULL));
	assert_true(matches("genres IN ('', 'x')", &item, NULL));
}

/* An item with many more elements than any halving or early stop would meet by chance. */
static void test_long_lists_share_the_one_element_they_share(void **state)
{
	enum { ELEMENTS = 100 };
	static char storage[2 * ELEMENTS][24];
	static const char *texts[2 * ELEMENTS];
	struct item item = { 0 }, last = { 0 };
	(void)state;
	for (int i = 0; i < 2 * ELEMENTS; i++) {
		snprintf(storage[i], sizeof storage[i], "element %d", i);
		texts[i] = storage[i];
	}
	item.values[GENRES] = list(texts, 0, ELEMENTS);
	last.values[GENRES] = list(texts, ELEMENTS, ELEMENTS);
	assert_false(matches("genres IN last.genres", &item, &last));
	for (int i = 0; i < ELEMENTS; i++) {
		strcpy(storage[2 * ELEMENTS - 1], storage[i]);
		assert_true(matches("genres IN last.genres", &item, &last));
		assert_true(matches("last.genres IN genres", &item, &last));
	}
}

static void test_missing_values_match_no_comparison(void **state)
{
	static const char *const comparisons[] = { "in_stock",
						   "in_stock = true",
						   "in_stock != true",
						   "price = 1",
						   "price != 1",
						   "price < 1",
						   "price >= 1",
						   "1 != price",
						   "price IN (1)",
						   "price NOT IN (1)",
						   "category != 'x'",
						   "category NOT IN ('x')",
						   "genres = 'x'",
						   "genres != 'x'",
						   "genres NOT IN ('x')",
						   "'x' NOT IN genres",
						   "genres NOT IN genres",
						   "released < '2030-01-01'",
						   "price = price",
						   "price != price",
						   "category IN genres",
						   "category NOT IN genres" };
	struct item nothing = { 0 }, full = crime_drama();
	(void)state;
	for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++) {
		char negated[80];
		assert_false(matches(comparisons[i], &nothing, NULL));
		snprintf(negated, sizeof negated, "NOT %s", comparisons[i]);
		assert_true(matches(negated, &nothing, NULL));
		snprintf(negated, sizeof negated, "NOT (NOT %s)", comparisons[i]);
		assert_false(matches(negated, &nothing, NULL));
	}
	/* No last item, and a last item without the value. */
	assert_false(matches("category = last.category", &full, NULL));
	assert_false(matches("category != last.category", &full, NULL));
	assert_true(matches("NOT category = last.category", &full, NULL));
	assert_false(matches("category != last.category", &full, &nothing));
	assert_false(matches("category != last.category", &nothing, &full));
	assert_false(matches("genres NOT IN last.genres", &full, NULL));
	assert_false(matches("last.in_stock", &full, NULL));
	assert_true(matches("category = last.category OR price < 50", &full, NULL));
}

static void test_precedence(void **state)
{
	static const struct line lines[] = {
		{ "1=1 OR 1=1 AND 1=2", true },
		{ "(1=1 OR 1=1) AND 1=2", false },
		{ "NOT 1=2 AND 1=2", false },
		{ "NOT (1=2 AND 1=2)", true },
		{ "NOT NOT 1=1", true },
		{ "1=2 OR 1=2 OR 1=1", true },
		{ "1=2 AND 1=1 OR 1=1", true },
		{ "not 1=2 and Not(1=2)oR 1=2", true },
		{ "((((1=1))))", true },
		{ "\t1=1\n\tAND\r\n 1=1 ", true },
		{ "genres IN ('Drama', 'Crime') AND NOT (category != 'shoes' OR year < -10)", true },
	};
	struct item item = crime_drama();
	(void)state;
	CHECK_LINES(lines, &item, NULL);
}

/* Random expressions whose value is worked out while they are written. */
struct writer {
	char source[4000];
	size_t used;
	uint32_t random;
	const struct item *item;
};

static uint32_t roll(struct writer *writer, uint32_t sides)
{
	writer->random = writer->random * 1664525u + 1013904223u;
	return (writer->random >> 8) % sides;
}

static void put(struct writer *writer, const char *piece)
{
	writer->used +=
		(size_t)snprintf(writer->source + writer->used, sizeof writer->source - writer->used, "%s", piece);
}

static bool write_random(struct writer *writer, unsigned depth)
{
	static const struct line leaves[] = { { "price < 50", true },         { "price > 50", false },
					      { "in_stock", true },           { "category = 'x'", false },
					      { "year = last.year", false }, /* there is no last */
					      { "genres IN ('Crime')", true } };
	uint32_t what = depth == 0 ? 0 : roll(writer, 6);
	bool value;
	switch (what) {
	case 0:
	case 1: {
		const struct line *leaf = &leaves[roll(writer, sizeof leaves / sizeof *leaves)];
		put(writer, leaf->source);
		return leaf->match;
	}
	case 2:
		put(writer, "NOT (");
		value = !write_random(writer, depth - 1);
		put(writer, ")");
		return value;
	case 3:
		put(writer, "(");
		value = write_random(writer, depth - 1);
		for (uint32_t more = roll(writer, 4); more; more--) {
			put(writer, " AND ");
			value &= write_random(writer, depth - 1);
		}
		put(writer, ")");
		return value;
	default:
		put(writer, "(");
		value = write_random(writer, depth - 1);
		for (uint32_t more = roll(writer, 4); more; more--) {
			put(writer, " OR ");
			value |= write_random(writer, depth - 1);
		}
		put(writer, ")");
		return value;
	}
}

static void test_random_expressions(void **state)
{
	struct item item = crime_drama();
	unsigned matched = 0, run = 0;
	(void)state;
	for (uint32_t seed = 0; seed < 3000; seed++) {
		struct writer writer = { .random = seed * 2654435761u, .item = &item };
		bool value = write_random(&writer, 5);
		if (writer.used + 1 >= sizeof writer.source)
			continue;
		if (matches(writer.source, &item, NULL) != value)
			fail_msg("%s should be %d", writer.source, value);
		matched += value;
		run++;
	}
	assert_true(run > 2500 && matched > run / 5 && matched < run * 4 / 5);
}

static void test_stops_at_the_first_test_that_decides(void **state)
{
	struct item item = crime_drama();
	(void)state;
	assert_false(matches("price > 50 AND category = 'x' AND year = 2", &item, NULL));
	assert_int_equal(item.reads, 1);
	item.reads = 0;
	assert_true(matches("price < 50 OR category = 'x'", &item, NULL));
	assert_int_equal(item.reads, 1);
	item.reads = 0;
	assert_false(matches("NOT (price < 50 OR category = 'x') AND (year = 2 OR year = 3)", &item, NULL));
	assert_int_equal(item.reads, 1);
}

static void test_blank_matches_everything(void **state)
{
	struct item nothing = { 0 };
	struct filter *filter = compiled(" \t\r\n");
	(void)state;
	assert_true(filter_always(filter));
	assert_false(filter_uses_last(filter));
	assert_true(filter_match(filter, get, &nothing, NULL));
	filter_free(filter);
	assert_int_equal(filter_compile(&filter, NULL, 0, NULL, 0, NULL), 0);
	assert_true(filter_always(filter));
	filter_free(filter);
	filter_free(NULL);

	filter = compiled("price < last.price");
	assert_false(filter_always(filter));
	assert_true(filter_uses_last(filter));
	filter_free(filter);
	filter = compiled("price < 1");
	assert_false(filter_uses_last(filter));
	filter_free(filter);
}

static void assert_refused(const char *source, size_t bytes, const char *part)
{
	struct filter *filter;
	struct error err = { 0 };
	assert_int_equal(filter_compile(&filter, source, bytes, schema, ATTRIBUTES, &err), E_INVALID);
	assert_null(filter);
	if (!strstr(err.text, part))
		fail_msg("\"%s\" does not say \"%s\"", err.text, part);
}

static void repeat(char *into, const char *piece, int times)
{
	for (int i = 0; i < times; i++)
		strcat(into, piece);
}

static void test_limits(void **state)
{
	char source[FILTER_TEXT_MAX + 2] = "";
	struct item item = crime_drama();
	(void)state;

	repeat(source, "(", 64);
	strcat(source, "in_stock");
	repeat(source, ")", 64);
	assert_true(matches(source, &item, NULL));
	source[0] = 0;
	repeat(source, "NOT ", 65);
	strcat(source, "in_stock");
	assert_refused(source, strlen(source), "filter, character 257: NOT and parentheses nest more than 64 deep");

	strcpy(source, "price IN (0");
	repeat(source, ",1", 999);
	strcat(source, ")");
	assert_false(matches(source, &item, NULL));
	strcpy(source + strlen(source) - 1, ",1)");
	assert_refused(source, strlen(source), "more than 1000 literals");

	/* As long a chain as fits; its last test decides. */
	strcpy(source, "year=4");
	repeat(source, " OR year=4", 100);
	strcat(source, " OR in_stock");
	assert_true(matches(source, &item, NULL));

	memset(source, ' ', sizeof source);
	memcpy(source, "in_stock", 8);
	struct filter *filter;
	assert_int_equal(filter_compile(&filter, source, FILTER_TEXT_MAX, schema, ATTRIBUTES, NULL), 0);
	assert_true(filter_match(filter, get, &item, NULL));
	filter_free(filter);
	assert_refused(source, FILTER_TEXT_MAX + 1, "4097 bytes; at most 4096 are allowed");

	memset(source, '1', 200);
	memcpy(source, "price < ", 8);
	assert_refused(source, 200, "filter, character 9: a number of 192 characters; at most 63 are allowed");
}

static void test_hostile_text(void **state)
{
	(void)state;
	assert_refused("brand = '\xff'", 11, "not valid UTF-8");
	assert_refused("brand = 'a\0b'", 13, "not valid UTF-8");
	assert_refused("in_stock\0", 9, "not valid UTF-8");
	/* An error stays one line, and short. */
	char source[4000] = "price = '";
	repeat(source, "\xf0\x9f\x91\x9f\n", 700);
	strcat(source, "'");
	struct filter *filter;
	struct error err = { 0 };
	assert_int_equal(filter_compile(&filter, source, strlen(source), schema, ATTRIBUTES, &err), E_INVALID);
	assert_null(strchr(err.text, '\n'));
	assert_true(strlen(err.text) < 200);
	assert_non_null(strstr(err.text, "... is a string"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compares_every_type),
		cmocka_unit_test(test_reads_the_last_item),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_long_lists_share_the_one_element_they_share),
		cmocka_unit_test(test_missing_values_match_no_comparison),
		cmocka_unit_test(test_precedence),
		cmocka_unit_test(test_random_expressions),
		cmocka_unit_test(test_stops_at_the_first_test_that_decides),
		cmocka_unit_test(test_blank_matches_everything),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_hostile_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
