/* Prose filled into the lines of a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/prose.h"

static void assert_filled(const char *text, size_t at, size_t indent, const char *filled)
{
	char *written = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&written, &bytes);
	assert_non_null(out);
	prose_fill(out, text, at, indent);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(written, filled);
	free(written);
}

static void begins_where_the_others_do(void **state)
{
	(void)state;
	assert_filled("short", 2, 6, "    short\n");
	assert_filled("short", 5, 6, " short\n");
	assert_filled("short", 6, 6, "\n      short\n");
	assert_filled("short", 0, 0, "short\n");
	assert_filled("", 2, 6, "    \n");
	assert_filled("after a long name", 7, 6, "\n      after a long name\n");
}

/* 78 columns are used, the 79th never. */
static void breaks_between_words(void **state)
{
	(void)state;
	assert_filled("a bb ccc", 69, 70, " a bb ccc\n");
	assert_filled("a bb cccc", 69, 70,
		      " a bb\n"
		      "                                                                      cccc\n");
	assert_filled("much-too-long-a-word b", 69, 70,
		      " much-too-long-a-word\n"
		      "                                                                      b\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(begins_where_the_others_do),
		cmocka_unit_test(breaks_between_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
