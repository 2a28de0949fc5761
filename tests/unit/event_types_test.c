#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/event_types.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static struct event_types types;

static int setup(void **state)
{
	(void)state;
	event_types_init(&types);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	event_types_fini(&types);
	return 0;
}

static void finds_what_was_set(void **state)
{
	(void)state;
	assert_int_equal(event_types_find(&types, "Viewed", 6), EVENT_TYPE_NONE);
	assert_int_equal(event_types_set(&types, 0, "Viewed", 6), 0);
	assert_int_equal(event_types_set(&types, 1, "View", 4), 0);
	assert_int_equal(event_types_find(&types, "Viewed", 6), 0);
	assert_int_equal(event_types_find(&types, "Viewed again", 4), 1);
	assert_int_equal(event_types_find(&types, "Vie", 3), EVENT_TYPE_NONE);
	event_types_truncate(&types, 1);
	assert_int_equal(event_types_find(&types, "View", 4), EVENT_TYPE_NONE);
	assert_int_equal(event_types_find(&types, "Viewed", 6), 0);
}

static uint32_t slot(const void *name, size_t bytes)
{
	return (uint32_t)XXH3_64bits(name, bytes) % EVENT_TYPES_SLOTS;
}

/*
 * "View", a NUL, and a long tail that sends it to the slot of "View": compared, but neither the same
 * nor read past the end of what is known.
 */
static void a_name_with_a_nul_is_another_name(void **state)
{
	enum { LENGTH = 100000 };
	char *name = calloc(1, LENGTH);
	(void)state;
	assert_non_null(name);
	assert_int_equal(event_types_set(&types, 0, "View", 4), 0);
	memcpy(name, "View", 5);
	size_t bytes = 6;
	while (bytes < LENGTH && slot(name, bytes) != slot("View", 4))
		bytes++;
	assert_true(bytes < LENGTH);
	assert_int_equal(event_types_find(&types, name, bytes), EVENT_TYPE_NONE);
	free(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(finds_what_was_set, setup, teardown),
		cmocka_unit_test_setup_teardown(a_name_with_a_nul_is_another_name, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
