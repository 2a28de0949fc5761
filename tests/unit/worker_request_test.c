#include "common/error.h"
#include "worker/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define NOW_MS INT64_C(1763895600000)

/* What the call is refused with, the same whether the caller wants the text or not; 0: it is taken. */
static int refusal(const char *bytes, size_t count)
{
	struct request request;
	struct error err = { 0 };
	int code = request_read(bytes, count, REQUEST_ONE, NOW_MS, &request, &err);
	assert_int_equal(code, err.code);
	assert_int_equal(request_read(bytes, count, REQUEST_ONE, NOW_MS, &request, NULL), code);
	return code;
}

#define REFUSAL(bytes) refusal(bytes, sizeof(bytes) - 1)

static void test_refusals_with_and_without_a_text(void **state)
{
	(void)state;
	assert_int_equal(REFUSAL("\x0a\x04john\x12\x04next"), 0);
	assert_int_equal(REFUSAL("\x0a\x04jo"), E_INVALID);
	assert_int_equal(REFUSAL("\x18\xe9\x07"), E_INVALID); /* count: 1001 */
	assert_int_equal(REFUSAL("\x22\x02\x08\x01"), 0); /* as_of: a second after 1970 */
	assert_int_equal(REFUSAL("\x22\x01\xff"), E_INVALID);
	assert_int_equal(REFUSAL("\x2a\x01x"), 0); /* filter: compiled later */
	assert_int_equal(REFUSAL("\x30\x01"), 0); /* explain */
}

static void test_refused_contexts_with_and_without_a_text(void **state)
{
	static const char value[] = "\x6a\x06\x0a\x01"
				    "a\x12\x01"
				    "b";
	char many[9 * (sizeof value - 1)];
	(void)state;
	for (size_t i = 0; i < 9; i++)
		memcpy(many + i * (sizeof value - 1), value, sizeof value - 1);
	assert_int_equal(refusal(many, 8 * (sizeof value - 1)), 0);
	assert_int_equal(refusal(many, 9 * (sizeof value - 1)), E_INVALID);
	assert_int_equal(REFUSAL("\x6a\x01\xff"), E_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals_with_and_without_a_text),
		cmocka_unit_test(test_refused_contexts_with_and_without_a_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
