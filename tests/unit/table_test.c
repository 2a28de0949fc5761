#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/duration.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "cli/text.h"

static char *drawn(const struct table *table, size_t width)
{
	static char text[4096];
	memset(text, 0, sizeof text);
	FILE *out = fmemopen(text, sizeof text - 1, "w");
	table_write(table, out, width);
	fclose(out);
	return text;
}

static struct table *sample(void)
{
	static const char *const headers[] = { "", "name", "score" };
	static const enum table_column kinds[] = { TABLE_RIGHT, TABLE_FLEXIBLE, TABLE_RIGHT };
	struct table *table = table_new(3, headers, kinds);
	table_cell(table, "1");
	table_cell(table, "Schn\xc3\xbcrsenkel, rot");
	table_cell(table, "12");
	table_cell(table, "10");
	table_cell(table, "\xe9\x9d\xb4\xe5\xad\x90"); /* two characters, four columns wide */
	table_cell(table, "3456");
	return table;
}

static void aligns_what_a_terminal_shows(void **state)
{
	(void)state;
	struct table *table = sample();
	assert_string_equal(drawn(table, 0), "    name               score\n"
					     " 1  Schn\xc3\xbcrsenkel, rot     12\n"
					     "10  \xe9\x9d\xb4\xe5\xad\x90                3456\n");
	table_free(table);
}

static void cuts_the_flexible_column(void **state)
{
	(void)state;
	struct table *table = sample();
	assert_string_equal(drawn(table, 24), "    name           score\n"
					      " 1  Schn\xc3\xbcrsenkel\xe2\x80\xa6     12\n"
					      "10  \xe9\x9d\xb4\xe5\xad\x90            3456\n");
	table_free(table);
}

static void no_line_ends_with_blanks(void **state)
{
	static const char *const headers[] = { "rows", "", "" };
	static const enum table_column kinds[] = { TABLE_RIGHT, TABLE_LEFT, TABLE_FLEXIBLE };
	(void)state;
	struct table *table = table_new(3, headers, kinds);
	table_cell(table, "12");
	table_cell(table, "new");
	table_cell(table, "");
	table_cell(table, "3");
	table_cell(table, "");
	table_cell(table, "on disk");
	assert_string_equal(drawn(table, 0), "rows\n"
					     "  12  new\n"
					     "   3       on disk\n");
	table_free(table);
}

static void a_name_cannot_steer_the_terminal(void **state)
{
	static const char *const headers[] = { "name" };
	static const enum table_column kinds[] = { TABLE_LEFT };
	(void)state;
	struct table *table = table_new(1, headers, kinds);
	table_cell(table, "a\033[2Jb\nc\x7f");
	assert_string_equal(drawn(table, 0), "name\na?[2Jb?c?\n");
	table_free(table);
}

static void writes_counts_and_sizes(void **state)
{
	char text[TEXT_MAX], quoted[TEXT_QUOTE_MAX];
	(void)state;
	assert_string_equal(text_count(0, text), "0");
	assert_string_equal(text_count(999, text), "999");
	assert_string_equal(text_count(1044847, text), "1,044,847");
	assert_string_equal(text_count(UINT64_MAX, text), "18,446,744,073,709,551,615");
	assert_string_equal(text_bytes(512, text), "512 B");
	assert_string_equal(text_bytes(1536 * 1024, text), "1.5 MiB");
	assert_string_equal(text_elapsed(0.0008, text), "0.8 ms");
	assert_string_equal(text_elapsed(200, text), "3 min 20 s");
	assert_string_equal(text_number(0.1, text), "0.1");
	assert_string_equal(text_number(4006381333931234, text), "4006381333931234");
	assert_string_equal(text_number(1234567890.1234567, text), "1234567890.1234567");
	assert_string_equal(text_quote("a\nb\x1b", 4, quoted), "a?b?");
	char longer[200];
	memset(longer, 'x', sizeof longer);
	assert_int_equal(strlen(text_quote(longer, sizeof longer, quoted)), 43);
}

static void reads_durations(void **state)
{
	int64_t seconds;
	char text[DURATION_TEXT_MAX];
	struct error err;
	(void)state;
	assert_int_equal(duration_parse("lookback", "30d", &seconds, NULL), 0);
	assert_int_equal(seconds, 30 * 86400);
	assert_int_equal(duration_parse("lookback", "1d12h", &seconds, NULL), 0);
	assert_int_equal(seconds, 36 * 3600);
	assert_string_equal(duration_text(seconds, text), "1d12h");
	assert_int_equal(duration_parse("lookback", "0", &seconds, NULL), 0);
	assert_string_equal(duration_text(0, text), "all");
	static const char *const bad[] = { "", "30", "d", "30 d", "-1d", "1x", "99999999999999999999d", "1d2" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(duration_parse("lookback", bad[i], &seconds, &err), E_INVALID);
	assert_non_null(strstr(err.text, "lookback '1d2'"));
	assert_non_null(strstr(err.text, "30d"));
	/* a number and a unit it is: what is wrong is how much */
	assert_int_equal(duration_parse("lookback", "3652500d", &seconds, &err), 0);
	assert_int_equal(duration_parse("lookback", "3652500d1s", &seconds, &err), E_INVALID);
	assert_non_null(strstr(err.text, "at most 3652500d"));
	assert_int_equal(duration_parse("lookback", "99999999999999999999d", &seconds, &err), E_INVALID);
	assert_non_null(strstr(err.text, "at most 3652500d"));
}

static void tells_progress(void **state)
{
	char text[160];
	(void)state;
	progress_text(text, sizeof text, 450000, "rows", 120000.4, 0.455, 4.6);
	assert_string_equal(text, " 45%  450,000 rows  120,000/s  4.6 s left");
	progress_text(text, sizeof text, 450000, "rows", 0, -1, -1);
	assert_string_equal(text, "450,000 rows");
	progress_text(text, sizeof text, 0, "", 0, 0.5, -1);
	assert_string_equal(text, " 50%");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aligns_what_a_terminal_shows),
		cmocka_unit_test(cuts_the_flexible_column),
		cmocka_unit_test(no_line_ends_with_blanks),
		cmocka_unit_test(a_name_cannot_steer_the_terminal),
		cmocka_unit_test(writes_counts_and_sizes),
		cmocka_unit_test(reads_durations),
		cmocka_unit_test(tells_progress),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
