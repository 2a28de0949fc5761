#include "common/error.h"
#include "common/ids.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void set_fills_code_and_text(void **state)
{
	(void)state;
	struct error err;
	assert_int_equal(error_set(&err, E_NOT_FOUND, "catalog '%s': none", "shop"), E_NOT_FOUND);
	assert_int_equal(err.code, E_NOT_FOUND);
	assert_string_equal(err.text, "catalog 'shop': none");
	assert_int_equal(error_set(NULL, E_INVALID, "nobody reads this"), E_INVALID);
}

static void prefix_puts_the_place_before_the_reason(void **state)
{
	(void)state;
	struct error err;
	error_set(&err, E_INVALID, "too long");
	assert_int_equal(error_prefix(&err, "line %d", 7), E_INVALID);
	assert_string_equal(err.text, "line 7: too long");
}

static void a_long_place_does_not_hide_the_reason(void **state)
{
	(void)state;
	struct error err;
	char place[2000];
	memset(place, 'p', sizeof place - 1);
	place[sizeof place - 1] = '\0';
	error_set(&err, E_INVALID, "the reason");
	error_prefix(&err, "%s", place);
	assert_non_null(strstr(err.text, "the reason"));
}

static void texts_are_one_line_of_valid_utf8(void **state)
{
	(void)state;
	struct error err;
	error_set(&err, E_INVALID, "a\nb\tc\x7f%s", "\xff\xc3(");
	assert_string_equal(err.text, "a b c ?\?(");
	error_set(&err, E_INVALID, "%s", "Größe 靴 🎽");
	assert_string_equal(err.text, "Größe 靴 🎽");
	/* cut at the end of the buffer, but not within a character */
	for (size_t shift = 0; shift < 4; shift++) {
		char text[1000] = "xxx";
		for (size_t i = shift; i + 4 < sizeof text; i += 4)
			memcpy(text + i, "🎽", 5);
		error_set(&err, E_INVALID, "%s", text);
		size_t bytes = strlen(err.text);
		assert_true(bytes > 470);
		assert_true(utf8_valid(err.text, bytes));
		assert_null(strchr(err.text, '?'));
	}
}

static void errno_is_translated(void **state)
{
	(void)state;
	struct error err;
	assert_int_equal(error_errno(&err, ENOENT, "open %s", "/x"), E_NOT_FOUND);
	assert_string_equal(err.text, "open /x: No such file or directory");
	assert_int_equal(error_errno(NULL, ENOSPC, "write"), E_EXHAUSTED);
	assert_int_equal(error_errno(NULL, ENOMEM, "write"), E_EXHAUSTED);
	assert_int_equal(error_errno(NULL, EACCES, "write"), E_PRECONDITION);
	assert_int_equal(error_errno(NULL, ECONNREFUSED, "connect"), E_UNAVAILABLE);
	assert_int_equal(error_errno(NULL, EIO, "read"), E_DATA_LOSS);
	assert_int_equal(error_errno(NULL, ERANGE, "read"), E_UNKNOWN);
}

static void codes_are_grpc_statuses(void **state)
{
	(void)state;
	assert_string_equal(error_name(E_OK), "OK");
	assert_string_equal(error_name(E_INVALID), "INVALID_ARGUMENT");
	assert_string_equal(error_name(E_EXHAUSTED), "RESOURCE_EXHAUSTED");
	assert_string_equal(error_name(E_DATA_LOSS), "DATA_LOSS");
	assert_string_equal(error_name(-1234), "UNKNOWN");
	assert_int_equal(error_grpc_status(E_UNAVAILABLE), 14);
	assert_int_equal(error_grpc_status(-17), 2);
	assert_int_equal(error_grpc_status(3), 2);
	for (int status = 0; status <= 16; status++)
		assert_int_equal(error_grpc_status(error_from_grpc_status(status)), status);
	assert_int_equal(error_from_grpc_status(17), E_UNKNOWN);
	assert_int_equal(error_from_grpc_status(-1), E_UNKNOWN);
}

static void exit_codes_tell_success_from_failure(void **state)
{
	(void)state;
	assert_int_equal(error_exit_code(E_OK), 0);
	assert_int_equal(error_exit_code(E_INVALID), 64);
	assert_int_equal(error_exit_code(E_UNAVAILABLE), 69);
	assert_int_equal(error_exit_code(E_INTERNAL), 70);
	for (int code = -20; code < 0; code++) {
		assert_true(error_exit_code(code) > 0);
		assert_true(error_exit_code(code) < 256);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_fills_code_and_text),
		cmocka_unit_test(prefix_puts_the_place_before_the_reason),
		cmocka_unit_test(a_long_place_does_not_hide_the_reason),
		cmocka_unit_test(texts_are_one_line_of_valid_utf8),
		cmocka_unit_test(errno_is_translated),
		cmocka_unit_test(codes_are_grpc_statuses),
		cmocka_unit_test(exit_codes_tell_success_from_failure),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
