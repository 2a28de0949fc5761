#include "cli/export_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct export_command command = {
	.definition = "next", .format = EXPORT_CSV, .packing = EXPORT_ZSTD, .active_s = 30 * 86400, .as_of_ms = -1
};

static struct export_state state_of(const char *cursor, uint64_t users, uint64_t failed)
{
	static struct export_state state;
	state.cursor_bytes = strlen(cursor);
	memcpy(state.cursor, cursor, state.cursor_bytes);
	state.users = users;
	state.failed = failed;
	return state;
}

static void test_what_was_saved_is_read_again(void **state)
{
	static struct export_state before, after;
	struct error err;
	(void)state;
	before = state_of("any bytes, \x01\xff\x80 too", 12345, 6);
	json_t *saved = export_state_json(&before, &command);
	assert_int_equal(export_state_read(&after, saved, &command, "next.csv.progress", &err), 0);
	assert_int_equal(after.cursor_bytes, before.cursor_bytes);
	assert_memory_equal(after.cursor, before.cursor, before.cursor_bytes);
	assert_int_equal(after.users, 12345);
	assert_int_equal(after.failed, 6);
	json_decref(saved);
}

static void test_another_command_is_refused(void **state)
{
	static struct export_state before, after;
	struct export_command other = command;
	struct error err;
	(void)state;
	before = state_of("x", 1, 0);
	json_t *saved = export_state_json(&before, &command);
	other.active_s = 0;
	assert_int_equal(export_state_read(&after, saved, &other, "next.csv.progress", &err), E_INVALID);
	assert_string_equal(err.text, "next.csv.progress is of another command: --active-within was 30d, and is not "
				      "given now; say the same command again, or remove the file to begin anew");
	other = command;
	other.names = true;
	assert_int_equal(export_state_read(&after, saved, &other, "next.csv.progress", &err), E_INVALID);
	assert_non_null(strstr(err.text, "--with-names was not given, and is given now"));
	other = command;
	other.filter = "price < 5";
	assert_int_equal(export_state_read(&after, saved, &other, "next.csv.progress", &err), E_INVALID);
	assert_non_null(strstr(err.text, "--filter was not given, and is price < 5 now"));
	/* saved by a program that knew no filters */
	json_object_del(json_object_get(saved, "command"), "filter");
	assert_int_equal(export_state_read(&after, saved, &command, "next.csv.progress", &err), 0);
	json_decref(saved);
}

static void test_a_damaged_cursor_is_no_cursor(void **state)
{
	static const char *const cursors[] = { "abc", "zz", "0G" };
	static struct export_state before, after;
	struct error err;
	(void)state;
	before = state_of("x", 1, 0);
	for (size_t i = 0; i < sizeof cursors / sizeof cursors[0]; i++) {
		json_t *saved = export_state_json(&before, &command);
		json_object_set_new(saved, "cursor", json_string(cursors[i]));
		assert_int_equal(export_state_read(&after, saved, &command, "f.progress", &err), E_DATA_LOSS);
		json_decref(saved);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_saved_is_read_again),
		cmocka_unit_test(test_another_command_is_refused),
		cmocka_unit_test(test_a_damaged_cursor_is_no_cursor),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
