/* Lines of `kindred export`: JSON and CSV that other programs read back as what was meant. */
#include "cli/export_lines.h"

#include "kindred/v1/recommend.pb-c.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *line_of(const Kindred__V1__UserRecommendations *user, enum export_format format, bool names,
			   bool *failed)
{
	static struct export_text text;
	uint8_t packed[4096];
	text.used = 0;
	size_t bytes = kindred__v1__user_recommendations__pack(user, packed);
	assert_int_equal(export_user(&text, format, names, packed, bytes, failed), 0);
	text.bytes[text.used] = '\0'; /* there is more room than one line needs */
	return text.bytes;
}

static Kindred__V1__RecommendedItem items[2], *item_list[2] = { &items[0], &items[1] };

static Kindred__V1__UserRecommendations two_items(void)
{
	Kindred__V1__UserRecommendations user = KINDRED__V1__USER_RECOMMENDATIONS__INIT;
	kindred__v1__recommended_item__init(&items[0]);
	kindred__v1__recommended_item__init(&items[1]);
	items[0].item_id = (char *)"boots, \"size\" 9";
	items[0].score = 4000000000;
	items[0].source = KINDRED__V1__SOURCE__SOURCE_PERSONAL;
	items[0].name = (char *)"Tab\there \\ \u00e9\nend";
	items[0].image_url = (char *)"https://images.example/1.jpg";
	items[1].item_id = (char *)"b";
	items[1].source = KINDRED__V1__SOURCE__SOURCE_RECENTLY_POPULAR;
	user.user_id = (char *)"j\"o\x01hn";
	user.n_items = 2;
	user.items = item_list;
	return user;
}

static void test_json_reads_back(void **state)
{
	Kindred__V1__UserRecommendations user = two_items();
	Kindred__V1__Shortfall shortfall = KINDRED__V1__SHORTFALL__INIT;
	bool failed = true;
	(void)state;
	shortfall.wanted = 10;
	shortfall.returned = 2;
	shortfall.unavailable = 1;
	user.shortfall = &shortfall;
	json_t *line = json_loads(line_of(&user, EXPORT_NDJSON, true, &failed), 0, NULL);
	assert_non_null(line);
	assert_false(failed);
	assert_string_equal(json_string_value(json_object_get(line, "user_id")), user.user_id);
	json_t *list = json_object_get(line, "items");
	assert_int_equal(json_array_size(list), 2);
	json_t *first = json_array_get(list, 0), *second = json_array_get(list, 1);
	assert_string_equal(json_string_value(json_object_get(first, "item_id")), items[0].item_id);
	assert_int_equal(json_integer_value(json_object_get(first, "score")), 4000000000);
	assert_string_equal(json_string_value(json_object_get(first, "source")), "SOURCE_PERSONAL");
	assert_string_equal(json_string_value(json_object_get(first, "name")), items[0].name);
	assert_string_equal(json_string_value(json_object_get(first, "image_url")), items[0].image_url);
	assert_string_equal(json_string_value(json_object_get(second, "source")), "SOURCE_RECENTLY_POPULAR");
	assert_null(json_object_get(second, "name"));
	json_t *lacks = json_object_get(line, "shortfall");
	assert_int_equal(json_integer_value(json_object_get(lacks, "wanted")), 10);
	assert_int_equal(json_integer_value(json_object_get(lacks, "returned")), 2);
	assert_int_equal(json_integer_value(json_object_get(lacks, "unavailable")), 1);
	json_decref(line);
}

static void test_csv_rows(void **state)
{
	Kindred__V1__UserRecommendations user = two_items();
	bool failed;
	(void)state;
	user.user_id = (char *)"john";
	assert_string_equal(line_of(&user, EXPORT_CSV, false, &failed),
			    "john,1,\"boots, \"\"size\"\" 9\",4000000000,personal\njohn,2,b,0,recently_popular\n");
	assert_string_equal(line_of(&user, EXPORT_CSV, true, &failed),
			    "john,1,\"boots, \"\"size\"\" 9\",4000000000,personal,\"Tab\there \\ \u00e9\nend\","
			    "https://images.example/1.jpg\njohn,2,b,0,recently_popular,,\n");
	user.n_items = 0;
	assert_string_equal(line_of(&user, EXPORT_CSV, false, &failed), "john,,,,\n");
	assert_string_equal(line_of(&user, EXPORT_NDJSON, false, &failed), "{\"user_id\":\"john\",\"items\":[]}\n");
}

static void test_errors_have_lines(void **state)
{
	Kindred__V1__UserRecommendations user = KINDRED__V1__USER_RECOMMENDATIONS__INIT;
	bool failed = false;
	(void)state;
	user.user_id = (char *)"jane";
	user.error_code = 15;
	user.error = (char *)"damaged";
	assert_string_equal(line_of(&user, EXPORT_NDJSON, false, &failed),
			    "{\"user_id\":\"jane\",\"error_code\":15,\"error\":\"damaged\"}\n");
	assert_true(failed);
	assert_string_equal(line_of(&user, EXPORT_CSV, false, &failed), "jane,,,,damaged\n");
	assert_string_equal(line_of(&user, EXPORT_CSV, true, &failed), "jane,,,,,,damaged\n");
}

/* The dearest bytes: every one escaped. */
static void test_all_escaped(void **state)
{
	Kindred__V1__UserRecommendations user = two_items();
	char id[257];
	bool failed;
	(void)state;
	memset(id, '\x1f', 256);
	id[256] = '\0';
	user.user_id = items[0].item_id = items[1].item_id = id;
	json_t *line = json_loads(line_of(&user, EXPORT_NDJSON, false, &failed), 0, NULL);
	assert_non_null(line);
	assert_string_equal(json_string_value(json_object_get(line, "user_id")), id);
	json_decref(line);
}

/* As no server of ours would write it: what is there a thousand times is there once. */
static void test_repeated_fields(void **state)
{
	enum { TIMES = 1300 };
	static uint8_t packed[2 * TIMES + 16];
	struct export_text text = { 0 };
	size_t bytes = 0;
	bool failed;
	(void)state;
	packed[bytes++] = 3 << 3 | 2; /* shortfall: of so many bytes */
	packed[bytes++] = (2 * TIMES & 0x7f) | 0x80;
	packed[bytes++] = 2 * TIMES >> 7;
	for (unsigned i = 0; i < TIMES; i++) {
		packed[bytes++] = 6 << 3; /* unavailable */
		packed[bytes++] = (uint8_t)(i % 100);
	}
	assert_int_equal(export_user(&text, EXPORT_NDJSON, false, packed, bytes, &failed), 0);
	text.bytes[text.used] = '\0';
	assert_string_equal(text.bytes, "{\"user_id\":\"\",\"items\":[],\"shortfall\":{\"unavailable\":99}}\n");
	export_text_fini(&text);
}

static void test_each_source_has_a_name(void **state)
{
	const ProtobufCEnumDescriptor *all = &kindred__v1__source__descriptor;
	Kindred__V1__UserRecommendations user = two_items();
	bool failed;
	(void)state;
	user.user_id = (char *)"john";
	user.n_items = 1;
	for (unsigned i = 0; i < all->n_values; i++) {
		char expected[64];
		items[0].source = (Kindred__V1__Source)all->values[i].value;
		snprintf(expected, sizeof expected, "\"source\":\"%s\"", all->values[i].name);
		assert_non_null(strstr(line_of(&user, EXPORT_NDJSON, false, &failed), expected));
		assert_int_equal(strstr(line_of(&user, EXPORT_CSV, false, &failed), ",\n") != NULL, i == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_reads_back),   cmocka_unit_test(test_csv_rows),
		cmocka_unit_test(test_errors_have_lines), cmocka_unit_test(test_all_escaped),
		cmocka_unit_test(test_repeated_fields),   cmocka_unit_test(test_each_source_has_a_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
