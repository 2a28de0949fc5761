#include "bench/eval/datafile.h"
#include "bench/eval/dataset.h"
#include "lib/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zstd.h>

static int set_up(void **state)
{
	static struct temp_dir dir;
	*state = dir.path;
	return temp_dir_make(&dir);
}

static int tear_down(void **state)
{
	struct temp_dir dir;
	snprintf(dir.path, sizeof dir.path, "%s", (const char *)*state);
	return temp_dir_remove(&dir);
}

static void test_map_is_read(void **state)
{
	(void)state;
	struct map map;
	struct error error;
	const char *text =
		"# a shop\nfile a.csv\nfile b.csv\r\ndelimiter tab\nheader yes\nuser u\nitem i\ntime t\ntype  kind\n"
		"weight search for item 0.5\nweight buy 1\nrecent_days 3\n";
	assert_int_equal(map_parse(&map, text, &error), 0);
	assert_int_equal(map.file_count, 2);
	assert_string_equal(map.files[1], "b.csv");
	assert_string_equal(map.delimiter, "\t");
	assert_true(map.header);
	assert_false(map.quotes);
	assert_int_equal(map.type_count, 2);
	assert_string_equal(map.types[0], "search for item");
	assert_true(map.weights[0] == 0.5f);
	assert_true(map.recent_days == 3);
}

static void expect_refusal(const char *text, const char *why)
{
	struct map map;
	struct error error = { 0 };
	assert_int_equal(map_parse(&map, text, &error), E_INVALID);
	if (!strstr(error.text, why))
		fail_msg("\"%s\" does not say \"%s\"", error.text, why);
}

static void test_wrong_maps_say_what_is_wrong(void **state)
{
	(void)state;
	expect_refusal("file a\ncolour red\n", "line 2: there is no setting \"colour\"");
	expect_refusal("file\n", "line 1: file: a value");
	expect_refusal("header maybe\n", "yes or no");
	expect_refusal("weight buy lots\n", "a type and its weight");
	expect_refusal("user 1\nitem 2\ntime 3\ndelimiter comma\n", "no file");
	expect_refusal("file a\nuser 1\n", "delimiter, user, item and time");
}

static void write_file(const char *folder, const char *name, const char *bytes, size_t count)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, count, file), count);
	assert_int_equal(fclose(file), 0);
}

static void write_packed(const char *folder, const char *name, const char *text)
{
	char packed[1024];
	size_t bytes = ZSTD_compress(packed, sizeof packed, text, strlen(text), 3);
	assert_false(ZSTD_isError(bytes));
	write_file(folder, name, packed, bytes);
}

static void test_files_become_events_in_order(void **state)
{
	struct map map;
	struct error error;
	struct space space;
	struct dataset dataset;
	space_init(&space, "/tmp", 1 << 24);
	const char *text =
		"file a.csv\nfile b.csv\ndelimiter comma\nquotes yes\nheader yes\nuser u\nitem i\ntime t\ntype k\n"
		"weight buy 1\nitem_digit yes\n";
	assert_int_equal(map_parse(&map, text, &error), 0);
	/* the second file has its columns in another order, and is packed */
	const char *a =
		"t,u,i,k\n300,john,\"1,5\",buy\n100,jane,2,buy\n200,,3,buy\n250,john,4,return\nnever,john,4,buy\n"
		"260,john,POSTAGE,buy\n270,john\n";
	write_file(*state, "a.csv", a, strlen(a));
	write_packed(*state, "b.csv.zst", "k,i,u,t\nbuy,2,john,200\n");
	assert_int_equal(dataset_load(&dataset, &map, *state, &space, &error), 0);
	assert_int_equal(dataset.count, 3);
	assert_int_equal(dataset.users, 2);
	assert_int_equal(dataset.items, 2);
	assert_int_equal(dataset.left_out, 3); /* no user, no time, too short */
	assert_int_equal(dataset.unweighted, 2); /* a return, and postage */
	const uint32_t users[] = { 1, 0, 0 }, items[] = { 1, 1, 0 }, times[] = { 100, 200, 300 };
	for (size_t e = 0; e < 3; e++) {
		assert_int_equal(dataset.events[e].user, users[e]);
		assert_int_equal(dataset.events[e].item, items[e]);
		assert_int_equal(dataset.events[e].time_s, times[e]);
	}
	assert_int_equal(dataset.events[1].file, 1);
	dataset_free(&dataset);
}

static void test_damaged_and_missing_files(void **state)
{
	char *text, path[512];
	size_t bytes;
	struct error error;
	char packed[1024], plain[600];
	for (size_t b = 0; b < sizeof plain; b++)
		plain[b] = (char)(rand() % 256);
	size_t packed_bytes = ZSTD_compress(packed, sizeof packed, plain, sizeof plain, 3);
	write_file(*state, "cut.zst", packed, packed_bytes / 2);
	snprintf(path, sizeof path, "%s/cut", (char *)*state);
	assert_int_equal(datafile_read(path, &text, &bytes, &error), E_DATA_LOSS);
	assert_null(text);
	write_file(*state, "text.zst", "not packed at all", 17);
	snprintf(path, sizeof path, "%s/text", (char *)*state);
	assert_int_equal(datafile_read(path, &text, &bytes, &error), E_DATA_LOSS);
	snprintf(path, sizeof path, "%s/none", (char *)*state);
	assert_int_equal(datafile_read(path, &text, &bytes, &error), E_NOT_FOUND);
}

static void test_fields(void **state)
{
	(void)state;
	const char *text = "1::2::::4\r\n\nlast::";
	struct datafile_lines lines = { text, text + strlen(text), "::", false };
	struct text_view fields[DATAFILE_FIELDS_MAX];
	assert_int_equal(datafile_next(&lines, fields), 4);
	assert_int_equal(fields[2].bytes, 0);
	assert_int_equal(fields[3].bytes, 1);
	assert_memory_equal(fields[3].data, "4", 1);
	assert_int_equal(datafile_next(&lines, fields), 1);
	assert_int_equal(fields[0].bytes, 0);
	assert_int_equal(datafile_next(&lines, fields), 2);
	assert_int_equal(datafile_next(&lines, fields), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_map_is_read),
		cmocka_unit_test(test_wrong_maps_say_what_is_wrong),
		cmocka_unit_test(test_fields),
		cmocka_unit_test_setup_teardown(test_files_become_events_in_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damaged_and_missing_files, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
