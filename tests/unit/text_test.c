/* Small pieces of text for people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/text.h"

static void counts_one_and_more(void **state)
{
	char buffer[TEXT_MAX];
	(void)state;
	assert_string_equal(text_count(1044847, buffer), "1,044,847");
	assert_string_equal(text_count(999, buffer), "999");
	assert_string_equal(text_s(0), "s");
	assert_string_equal(text_s(1), "");
	assert_string_equal(text_s(21), "s");
}

/* "and 1 more" would take the place of the name. */
static void names_the_first_of_many(void **state)
{
	char *names[] = { "a", "b", "c", "d", "e", "f" };
	char buffer[TEXT_MAX], small[8];
	(void)state;
	assert_string_equal(text_names(names, 0, buffer, sizeof buffer), "");
	assert_string_equal(text_names(names, 1, buffer, sizeof buffer), "a");
	assert_string_equal(text_names(names, 4, buffer, sizeof buffer), "a, b, c, d");
	assert_string_equal(text_names(names, 5, buffer, sizeof buffer), "a, b, c and 2 more");
	assert_string_equal(text_names(names, 6, buffer, sizeof buffer), "a, b, c and 3 more");
	assert_string_equal(text_names(names, 6, small, sizeof small), "a, b, c");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_one_and_more),
		cmocka_unit_test(names_the_first_of_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
