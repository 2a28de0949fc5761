/* Where a port is opened, and why it cannot be. */
#include "server/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_cause(const char *message, const char *expected)
{
	char cause[160];
	address_cause(message, cause, sizeof cause);
	assert_string_equal(cause, expected);
}

/* As C core 1.51 says it. */
static void test_cause_is_what_the_system_said(void **state)
{
	(void)state;
	assert_cause("UNKNOWN:No address added out of total 1 resolved for '1.2.3.4:7600' {file_line:960, children:["
		     "UNKNOWN:Unable to configure socket {fd:20, children:[UNKNOWN:Cannot assign requested address "
		     "{errno:99, os_error:\"Cannot assign requested address\", syscall:\"bind\"}]}]}",
		     "Cannot assign requested address");
}

static void test_cause_without_details(void **state)
{
	(void)state;
	assert_cause("UNKNOWN:Name or service not known {grpc_status:2, file_line:153}", "Name or service not known");
	assert_cause("no such scheme", "no such scheme");
	assert_cause("{fd:20}", "");
}

static void test_cause_is_cut(void **state)
{
	char cause[5];
	(void)state;
	address_cause("UNKNOWN:Name or service not known {}", cause, sizeof cause);
	assert_string_equal(cause, "Name");
}

static void test_ports(void **state)
{
	static const char *const good[] = { "127.0.0.1:0", "[::1]:65535", "localhost:7600" };
	static const char *const bad[] = { "", "localhost", "localhost:", "localhost:65536", "localhost:7x" };
	struct error err;
	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_int_equal(address_check("listen", good[i], &err), 0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(address_check("listen", bad[i], &err), E_INVALID);
		assert_non_null(strstr(err.text, "listen: "));
	}
	assert_int_equal(address_check("listen", ":7600", &err), E_INVALID);
	assert_non_null(strstr(err.text, "has no host"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cause_is_what_the_system_said),
		cmocka_unit_test(test_cause_without_details),
		cmocka_unit_test(test_cause_is_cut),
		cmocka_unit_test(test_ports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
