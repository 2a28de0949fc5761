#include "common/ids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* These numbers are on disk and in routing: a change of hash loses every history. */
static void hashes_never_change(void **state)
{
	(void)state;
	struct catalog_seed shop = catalog_seed("shop", 4);
	assert_int_equal(shop.value, UINT64_C(17580852520372243673));
	assert_int_equal(item_key(shop, "soccer-shoes", 12).value, UINT64_C(10855961972226256026));
	assert_int_equal(event_key("order-1", 7).value, UINT64_C(6900751593513035894));
	assert_int_equal(user_shard("john", 4, 16), 12);
	struct user_key john = user_key("john", 4);
	assert_int_equal(john.high, UINT64_C(17235493733154391604));
	assert_int_equal(john.low, UINT64_C(15074449097695005393));
}

static void an_item_belongs_to_its_catalog(void **state)
{
	(void)state;
	struct item_key shoes = item_key(catalog_seed("shop", 4), "1", 1);
	struct item_key series = item_key(catalog_seed("series", 6), "1", 1);
	assert_int_not_equal(shoes.value, series.value);
}

static void no_event_id_is_no_key(void **state)
{
	(void)state;
	assert_int_equal(event_key("", 0).value, 0);
	assert_int_not_equal(event_key("0", 1).value, 0);
}

static void users_spread_over_shards(void **state)
{
	(void)state;
	uint32_t users[16] = { 0 };
	for (uint32_t i = 0; i < 16000; i++) {
		char id[16];
		int bytes = snprintf(id, sizeof id, "user-%u", i);
		uint32_t shard = user_shard(id, (size_t)bytes, 16);
		assert_in_range(shard, 0, 15);
		users[shard]++;
	}
	for (uint32_t i = 0; i < 16; i++)
		assert_in_range(users[i], 800, 1200);
}

/* Every shard has exactly one worker, and both directions agree. */
static void runs_of_shards_cover_all(void **state)
{
	(void)state;
	for (uint32_t shards = 1; shards <= 40; shards++) {
		for (uint32_t workers = 1; workers <= 40; workers++) {
			assert_int_equal(shard_run_first(0, workers, shards), 0);
			assert_int_equal(shard_run_first(workers, workers, shards), shards);
			for (uint32_t shard = 0; shard < shards; shard++) {
				uint32_t worker = shard_worker(shard, workers, shards);
				assert_true(worker < workers);
				assert_true(shard_run_first(worker, workers, shards) <= shard);
				assert_true(shard < shard_run_first(worker + 1, workers, shards));
			}
		}
	}
}

static bool valid(const char *text)
{
	return utf8_valid(text, strlen(text));
}

static void utf8_is_strict(void **state)
{
	(void)state;
	assert_true(valid(""));
	assert_true(valid("plain"));
	assert_true(valid("Größe 靴 🎽"));
	assert_true(valid("\xed\x9f\xbf\xee\x80\x80")); /* around the surrogates */
	assert_true(valid("\xf4\x8f\xbf\xbf")); /* U+10FFFF */
	assert_false(valid("\xf4\x90\x80\x80")); /* above */
	assert_false(valid("\xed\xa0\x80")); /* a surrogate */
	assert_false(valid("\xc0\xaf")); /* overlong */
	assert_false(valid("\xc1\xbf"));
	assert_false(valid("\xe0\x9f\xbf"));
	assert_false(valid("\xf0\x8f\xbf\xbf"));
	assert_false(valid("\x80"));
	assert_false(valid("\xff"));
	assert_false(valid("caf\xc3")); /* cut off */
	assert_false(valid("\xe9\x9d"));
	assert_false(valid("\xf0\x9f\x8e"));
	assert_false(valid("\xc3("));
	assert_false(utf8_valid("a\0b", 3));
	assert_int_equal(utf8_step("靴x", 4), 3);
	assert_int_equal(utf8_step("靴x", 2), 0);
}

static void ids_are_checked_with_a_text(void **state)
{
	(void)state;
	struct error err;
	char longest[301];
	memset(longest, 'x', 300);
	longest[300] = '\0';
	assert_int_equal(id_check("user_id", longest, 256, USER_ID_MAX, &err), 0);
	assert_int_equal(id_check("user_id", "a b", 3, USER_ID_MAX, &err), 0);
	assert_int_equal(id_check("user_id", longest, 300, USER_ID_MAX, &err), E_INVALID);
	assert_string_equal(err.text, "user_id: 300 bytes; 1 to 256 are allowed");
	assert_int_equal(id_check("user_id", "", 0, USER_ID_MAX, &err), E_INVALID);
	assert_non_null(strstr(err.text, "user_id: empty"));
	assert_int_equal(id_check("user_id", "a\xff", 2, USER_ID_MAX, &err), E_INVALID);
	assert_non_null(strstr(err.text, "UTF-8"));
}

static void names_are_checked(void **state)
{
	(void)state;
	struct error err;
	assert_int_equal(name_check("catalog", "shop-2_x", 8, &err), 0);
	assert_int_equal(name_check("catalog", "2shop", 5, &err), 0);
	const char *const bad[] = { "", "Shop", "-shop", "_shop", "shop 2", "sh\xc3\xb6p", "a/b" };
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(name_check("catalog", bad[i], strlen(bad[i]), &err), E_INVALID);
	char longer[66];
	memset(longer, 'a', 65);
	assert_int_equal(name_check("catalog", longer, 64, &err), 0);
	assert_int_equal(name_check("catalog", longer, 65, &err), E_INVALID);
}

static void attribute_names_are_checked(void **state)
{
	(void)state;
	struct error err;
	const char *const good[] = { "price", "_x", "InStock2", "lastly", "android", "i" };
	const char *const bad[] = { "",    "2x", "in stock", "a-b", "last", "LAST",
				    "And", "or", "not",      "In",  "true", "FALSE" };
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_int_equal(attribute_name_check("name", good[i], strlen(good[i]), &err), 0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(attribute_name_check("name", bad[i], strlen(bad[i]), &err), E_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes_never_change),         cmocka_unit_test(an_item_belongs_to_its_catalog),
		cmocka_unit_test(no_event_id_is_no_key),       cmocka_unit_test(users_spread_over_shards),
		cmocka_unit_test(runs_of_shards_cover_all),    cmocka_unit_test(utf8_is_strict),
		cmocka_unit_test(ids_are_checked_with_a_text), cmocka_unit_test(names_are_checked),
		cmocka_unit_test(attribute_names_are_checked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
