#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/csv_source.h"

struct text {
	const char *at;
	size_t left, portion;
};

static int64_t give(void *context, void *buffer, size_t bytes, struct error *err)
{
	struct text *text = context;
	(void)err;
	if (bytes > text->portion)
		bytes = text->portion;
	if (bytes > text->left)
		bytes = text->left;
	memcpy(buffer, text->at, bytes);
	text->at += bytes;
	text->left -= bytes;
	return (int64_t)bytes;
}

/* All rows as one text: "1:a|b" a row, "3!reason" a bad one; a line each. */
static char *read_all(const char *bytes, size_t size, size_t portion, const struct source_options *options)
{
	static char out[1 << 16];
	struct text text = { bytes, size, portion };
	struct source *source;
	struct error err;
	struct row row;
	size_t at = 0;
	int code = source_open(&source, give, &text, options, &err);
	if (code != 0) {
		snprintf(out, sizeof out, "%s", err.text);
		return out;
	}
	out[0] = '\0';
	while ((code = source_next(source, &row, &err)) > 0) {
		at += (size_t)sprintf(out + at, "%llu", (unsigned long long)row.line);
		if (code == SOURCE_BAD)
			at += (size_t)sprintf(out + at, "!%s", err.text);
		for (size_t i = 0; code == SOURCE_ROW && i < row.count; i++) {
			assert_int_equal(strlen(row.fields[i].text), row.fields[i].bytes);
			at += (size_t)sprintf(out + at, "%c%s", i == 0 ? ':' : '|', row.fields[i].text);
		}
		at += (size_t)sprintf(out + at, "\n");
	}
	if (code < 0)
		sprintf(out + at, "%s", err.text);
	source_close(source);
	return out;
}

/* The same rows come out however the bytes come in. */
static void assert_rows_with(const struct source_options *options, const char *file, const char *rows)
{
	static const size_t portions[] = { 1, 2, 3, 7, 1 << 20 };
	for (size_t i = 0; i < sizeof portions / sizeof *portions; i++)
		assert_string_equal(read_all(file, strlen(file), portions[i], options), rows);
}

static void assert_rows(const char *file, const char *rows)
{
	const struct source_options options = { 0 };
	assert_rows_with(&options, file, rows);
}

static void reads_csv(void **state)
{
	(void)state;
	assert_rows("id,name\n1,Shoe\n2,Sock\n", "2:1|Shoe\n3:2|Sock\n");
	assert_rows("id,name\r\n1,Shoe\r\n2,Sock", "2:1|Shoe\n3:2|Sock\n");
	assert_rows("\xef\xbb\xbfid,name\n1,Sch\xc3\xbchchen\n", "2:1|Sch\xc3\xbchchen\n");
	assert_rows("id,name\n 1 , Shoe \n,\n", "2:1|Shoe\n3:|\n");
}

static void reads_quotes(void **state)
{
	(void)state;
	assert_rows("id,name\n1,\"Shoe, red\"\n2,\"the \"\"best\"\" one\"\n", "2:1|Shoe, red\n3:2|the \"best\" one\n");
	assert_rows("id,name\n1,\"two\nlines\"\n2,Sock\n", "2:1|two\nlines\n4:2|Sock\n");
	assert_rows("id;name\n1;5\" nails\n2;Sock\n", "2:1|5\" nails\n3:2|Sock\n");
}

/* Line numbers are those of an editor: of the file's lines, empty ones and those inside quotes too. */
static void counts_lines(void **state)
{
	(void)state;
	assert_rows("id,name\n\n1,a\n\r\n   \n2,\"b\n\nb\"\n3,c\n", "3:1|a\n6:2|b\n\nb\n9:3|c\n");
}

/* A quote that is never closed costs its own line, not the rest of the file. */
static void survives_open_quotes(void **state)
{
	(void)state;
	assert_rows("id,name\n1,\"open\n2,b\n3,c\n", "2!a quote (\") is opened and never closed\n3:2|b\n4:3|c\n");
	struct source_options options = { .row_max = 64 };
	char file[1000] = "id,name\n1,\"open\n", rows[1000] = "2!a quote (\") is opened and never closed\n";
	for (unsigned i = 0; i < 40; i++) {
		sprintf(file + strlen(file), "%u,b\n", i);
		sprintf(rows + strlen(rows), "%u:%u|b\n", i + 3, i);
	}
	assert_rows_with(&options, file, rows);
}

/* Neither does one behind which its field goes on: what follows is not taken for more of it. */
static void survives_quotes_that_end_too_soon(void **state)
{
	(void)state;
	assert_rows(
		"id,name,more\n1,\"24\" monitor,a\n2,b,\"c\"\n3,\"d\",e\n",
		"2!a quote (\") ends a field, and more of it follows; inside a quoted field write it twice (\"\"), or, "
		"if the file uses no quotes, say --no-quotes\n3:2|b|c\n4:3|d|e\n");
	/* opened in one line, never closed, and another in the next */
	assert_rows("id,name\n1,\"open\n2,\"b\"\n3,c\n", "2!a quote (\") is opened and never closed\n3:2|b\n4:3|c\n");
	/*
	 * blanks behind it are none of the field; in a field without quotes it stands for itself,
	 * beside quoted ones too
	 */
	assert_rows("id,name\n1,\"a\" \n\"2\",5\" by 7\" nails\n3,\"b\"\n", "2:1|a\n3:2|5\" by 7\" nails\n4:3|b\n");
}

static void gives_up_on_many_open_quotes(void **state)
{
	(void)state;
	struct source_options options = { .row_max = 60 };
	char *file = malloc(1 << 16);
	strcpy(file, "id,name\n");
	for (unsigned i = 0; i < 300; i++)
		strcat(file, "1,\"open and a text of some length\n2,b\n2,b\n2,b\n");
	char *rows = read_all(file, strlen(file), 4096, &options);
	assert_non_null(strstr(rows, "--no-quotes"));
	options.no_quotes = true;
	options.row_max = 0;
	assert_non_null(strstr(read_all(file, strlen(file), 4096, &options), "2:1|\"open and a text of some length\n"));
	free(file);
}

static void survives_long_lines(void **state)
{
	(void)state;
	const struct source_options options = { .row_max = 20 };
	assert_rows_with(&options, "id,name\n1,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n2,b\n",
			 "2!the line is longer than 20 bytes\n3:2|b\n");
	const struct source_options plain = { .row_max = 20, .delimiter = "::" };
	assert_rows_with(&plain, "id::name\n1::aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n2::b\n",
			 "2!the line is longer than 20 bytes\n3:2|b\n");
}

#define NOT_UTF8                                                                                                       \
	"2!column 'name': not valid UTF-8; a file from Windows is converted by `iconv -f WINDOWS-1252 -t UTF-8`\n"     \
	"3:2|b\n"

static void names_what_is_wrong_with_a_row(void **state)
{
	(void)state;
	assert_rows("id,name\n1\n2,b,c\n3,c\n",
		    "2!1 field where there are 2 columns\n3!3 fields where there are 2 columns\n4:3|c\n");
	assert_rows("id,name\n1,\xff\n2,b\n", NOT_UTF8);
	const char nul[] = "id,name\n1,a\0b\n2,b\n";
	const struct source_options options = { 0 };
	assert_string_equal(read_all(nul, sizeof nul - 1, 100, &options), NOT_UTF8);
}

static void splits_at_long_delimiters(void **state)
{
	(void)state;
	const struct source_options headless = { .columns = "id,title,genres" };
	assert_rows_with(&headless, "1::Toy Story (1995)::Animation|Comedy\n2::Say \"Hi\": a film::\n",
			 "1:1|Toy Story (1995)|Animation|Comedy\n2:2|Say \"Hi\": a film|\n");
}

static void guesses_the_delimiter(void **state)
{
	(void)state;
	assert_rows("id\tname\n1\ta, b\n", "2:1|a, b\n");
	assert_rows("id\tname\n\tb\n1\t\n", "2:|b\n3:1|\n");
	assert_rows("id;name\n1;a, b\n", "2:1|a, b\n");
	assert_rows("id|name\n1|a b\n", "2:1|a b\n");
	const struct source_options given = { .delimiter = "\\t" };
	assert_rows_with(&given, "a,b\tc\n1\t2\n", "2:1|2\n");
}

static void a_layouts_columns_give_way_to_a_header(void **state)
{
	(void)state;
	const struct source_options options = { .columns = "user,item", .columns_unless_header = true };
	assert_rows_with(&options, "u1,5\nu2,6\n", "1:u1|5\n2:u2|6\n");
	assert_rows_with(&options, "item,user,extra\n5,u1,x\n", "2:5|u1|x\n");
}

static void reads_ndjson(void **state)
{
	(void)state;
	assert_rows("{\"user\":\"u1\",\"item\":7,\"new\":true,\"price\":1.1,\"tags\":[\"a\",\"b\",3]}\n\n"
		    "{\"item\":\"x\",\"user\":null,\"extra\":{\"k\":1}}\n",
		    "1:u1|7|true|1.1|a|b|3|\n3:|x||||{\"k\":1}\n");
	char *rows = read_all("{\"a\":1}\n{\"a\":\n[1]\n{\"a\":2}\n", 26, 100, &(struct source_options){ 0 });
	assert_non_null(strstr(rows, "1:1\n2!not JSON"));
	assert_non_null(strstr(rows, "3!not a JSON object"));
	assert_non_null(strstr(rows, "4:2\n"));
}

/* What becomes text only for want of anything better is marked, in each row anew. */
static void marks_what_is_no_id(void **state)
{
	static const char file[] = "{\"a\":1.5,\"b\":{},\"c\":[1],\"d\":true}\n{\"a\":1,\"b\":\"x\",\"c\":null}\n";
	struct text text = { file, sizeof file - 1, 100 };
	struct source *source;
	struct row row;
	(void)state;
	assert_int_equal(source_open(&source, give, &text, &(struct source_options){ 0 }, NULL), 0);
	for (int odd = 1; odd >= 0; odd--) {
		assert_int_equal(source_next(source, &row, NULL), SOURCE_ROW);
		for (size_t i = 0; i < 4; i++)
			assert_int_equal(row.fields[i].odd, odd);
	}
	source_close(source);
}

static void says_what_a_file_is_not(void **state)
{
	const struct source_options options = { 0 };
	(void)state;
	assert_string_equal(read_all("", 0, 1, &options), "the file is empty");
	assert_non_null(strstr(read_all("\xff\xfei\0d\0", 6, 6, &options), "iconv -f UTF-16"));
	assert_non_null(strstr(read_all("\x28\xb5\x2f\xfd....", 8, 8, &options), "zstd -dc"));
	static const char *const arrays[] = { "[{\"user\":\"u1\"}]", "[\n  {\n    \"user\": \"u1\"\n  }\n]\n",
					      "\xef\xbb\xbf [] " };
	for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
		const struct source_options ndjson = { .format = SOURCE_NDJSON };
		assert_non_null(strstr(read_all(arrays[i], strlen(arrays[i]), 2, &options), "jq -c '.[]'"));
		assert_non_null(strstr(read_all(arrays[i], strlen(arrays[i]), 2, &ndjson), "jq -c '.[]'"));
	}
	assert_rows("[id],[name]\n1,Shoe\n", "2:1|Shoe\n");
	static const char mac[] = "{\"user\":\"u1\"}\r{\"user\":\"u2\"}\r";
	assert_non_null(strstr(read_all(mac, sizeof mac - 1, 100, &options), "CR alone"));
	const struct source_options quote = { .delimiter = "\"" };
	assert_non_null(strstr(read_all("a,b\n", 4, 4, &quote), "--delimiter"));
	assert_string_equal(read_all("id,name\n", 8, 8, &options), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_csv),
		cmocka_unit_test(reads_quotes),
		cmocka_unit_test(counts_lines),
		cmocka_unit_test(survives_open_quotes),
		cmocka_unit_test(survives_quotes_that_end_too_soon),
		cmocka_unit_test(gives_up_on_many_open_quotes),
		cmocka_unit_test(survives_long_lines),
		cmocka_unit_test(names_what_is_wrong_with_a_row),
		cmocka_unit_test(splits_at_long_delimiters),
		cmocka_unit_test(guesses_the_delimiter),
		cmocka_unit_test(a_layouts_columns_give_way_to_a_header),
		cmocka_unit_test(reads_ndjson),
		cmocka_unit_test(marks_what_is_no_id),
		cmocka_unit_test(says_what_a_file_is_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
