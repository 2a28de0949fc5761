#include "cli/found.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_types_are_counted_most_frequent_first(void **state)
{
	static struct found found;
	char text[100];
	(void)state;
	found_event(&found, "Purchased", "ada", "shoe");
	for (int i = 0; i < 1203; i++)
		found_event(&found, "Viewed", "ben", "shoe");
	assert_string_equal(found_types_text(&found, text, sizeof text), "Viewed 1,203, Purchased 1");
	json_t *types = found_types_json(&found);
	assert_int_equal(json_integer_value(json_object_get(types, "Viewed")), 1203);
	json_decref(types);
}

static void test_long_lists_are_cut(void **state)
{
	static struct found found;
	char type[32], text[100];
	(void)state;
	for (int i = 0; i < 100; i++) {
		snprintf(type, sizeof type, "type %d", i);
		found_event(&found, type, "ada", "shoe");
	}
	assert_int_equal(found.type_count, FOUND_TYPES_MAX);
	assert_int_equal(found.others, 100 - FOUND_TYPES_MAX);
	found_types_text(&found, text, sizeof text);
	assert_true(strlen(text) < sizeof text);
	assert_string_equal(text, "type 0 1, type 1 1, type 10 1, and 97 events of other types");
}

static void test_users_are_different_ones_from_all_over_the_file(void **state)
{
	static struct found found;
	char user[32];
	int late = 0;
	(void)state;
	for (int i = 0; i < 100000; i++) {
		snprintf(user, sizeof user, "user %d", i / 10);
		found_event(&found, "Viewed", user, "shoe");
	}
	assert_int_equal(found.users.count, FOUND_USERS_MAX);
	for (size_t i = 0; i < found.users.count; i++) {
		int number;
		assert_int_equal(sscanf(found.users.ids[i], "user %d", &number), 1);
		late += number >= 1000;
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(found.users.ids[i], found.users.ids[k]);
	}
	assert_true(late >= 5);
}

static void test_few_users_are_all_there(void **state)
{
	static struct found found;
	(void)state;
	found_event(&found, "Viewed", "ada", "shoe");
	found_event(&found, "Viewed", "ben", "shoe");
	found_event(&found, "Viewed", "ada", "shoe");
	json_t *users = found_users_json(&found);
	assert_int_equal(json_array_size(users), 2);
	assert_string_equal(json_string_value(json_array_get(users, 1)), "ben");
	json_decref(users);
	assert_int_equal(found.items.count, 1);
	assert_string_equal(found.items.ids[0], "shoe");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types_are_counted_most_frequent_first),
		cmocka_unit_test(test_long_lists_are_cut),
		cmocka_unit_test(test_users_are_different_ones_from_all_over_the_file),
		cmocka_unit_test(test_few_users_are_all_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
