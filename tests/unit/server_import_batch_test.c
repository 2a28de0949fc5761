/* One item that cannot be read is refused alone: the API promises that its neighbours are taken. */
#include "server/import_batch.h"

#include "common/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct arena arena;
static struct import_batch batch;
static struct error err;

static int set_up(void **state)
{
	(void)state;
	return arena_init(&arena, 4096, 0);
}

static int tear_down(void **state)
{
	(void)state;
	arena_fini(&arena);
	return 0;
}

/* In memory of its own, so that a sanitizer sees a read past the end. */
static int read_bytes(const char *bytes, size_t count)
{
	uint8_t *copy = malloc(count ? count : 1);
	int code;

	memcpy(copy, bytes, count);
	arena_reset(&arena);
	code = import_batch_read(&batch, copy, count, &arena, &err);
	free(copy);
	return code;
}

#define READ(bytes) read_bytes(bytes, sizeof(bytes) - 1)
#define SHOP "\x0a\x04shop"
#define GOOD(id) "\x12\x03\x0a\x01" id

static void test_all_readable(void **state)
{
	(void)state;
	assert_int_equal(READ(GOOD("a") SHOP "\x18\x07" GOOD("b")), 0);
	assert_string_equal(batch.catalog, "shop");
	assert_int_equal(batch.number, 7);
	assert_int_equal(batch.count, 2);
	assert_int_equal(batch.readable, 2);
	assert_string_equal(batch.items[1]->id, "b");
	assert_int_equal(batch.indexes[1], 1);
}

static void test_unreadable_items_are_refused_alone(void **state)
{
	static const struct {
		uint32_t index;
		const char *item_id, *says;
	} expected[] = {
		{ 1, "b", "name: not valid UTF-8" },
		{ 2, "", "id: not valid UTF-8, or with a NUL byte" },
		{ 4, "e", "attributes: name: not" },
		{ 5, "f", "attributes: " },
		{ 6, "g", "not a protobuf message" },
		{ 7, "h", "timestamp_value: not a protobuf message" },
		{ 8, "i", NULL },
		{ 9, "", "id: not a protobuf field of its type" },
	};
	(void)state;
	assert_int_equal(READ(SHOP GOOD("a") "\x12\x06\x0a\x01\x62\x12\x01\xff" /* b: name of no UTF-8 */
					     "\x12\x05\x0a\x03x\x00y" /* an id with a NUL */
			      GOOD("d") "\x12\x09\x0a\x01\x65\x22\x04\x0a\x02\xc3\x28" /* e: an attribute's name */
					"\x12\x06\x0a\x01\x66\x22\x01\x0a" /* f: an attribute that ends within a tag */
					"\x12\x04\x0a\x01g\x0a" /* g: the item does */
					"\x12\x08\x0a\x01h\x22\x03\x2a\x01\x08" /* h: a time within an attribute does */
					"\x12\x07\x0a\x01i\x22\x02\x18\x01" /* i: an attribute's number as a varint */
					"\x12\x02\x08\x01" /* an id that is a number */
			      GOOD("k")),
			 0);
	assert_int_equal(batch.count, 11);
	assert_int_equal(batch.readable, 3);
	assert_string_equal(batch.items[0]->id, "a");
	assert_string_equal(batch.items[1]->id, "d");
	assert_string_equal(batch.items[2]->id, "k");
	assert_int_equal(batch.indexes[1], 3);
	assert_int_equal(batch.indexes[2], 10);
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(batch.refusals[i].index, expected[i].index);
		if (i != 4) /* of what ends within a tag, nothing is sure */
			assert_string_equal(batch.refusals[i].item_id, expected[i].item_id);
		if (expected[i].says && !strstr(batch.refusals[i].reason, expected[i].says))
			fail_msg("\"%s\" does not say \"%s\"", batch.refusals[i].reason, expected[i].says);
	}
	assert_string_equal(batch.refusals[6].reason, "not a valid kindred.v1.Item, or one too large to unpack");
}

static void test_what_fails_as_a_whole(void **state)
{
	(void)state;
	assert_int_equal(READ(SHOP), E_INVALID);
	assert_string_equal(err.text, "items: 0 in one message; 1 to 10,000 are allowed");
	assert_int_equal(READ("\x0a\x01\xff" GOOD("a")), E_INVALID);
	assert_non_null(strstr(err.text, "catalog: not valid UTF-8"));
	assert_int_equal(READ(SHOP GOOD("a") "\x12\x05\x0a"), E_INVALID);
	assert_non_null(strstr(err.text, "ImportItemsRequest"));
	assert_int_equal(READ(SHOP GOOD("a") "\x10\x01"), E_INVALID);
	assert_int_equal(READ(SHOP GOOD("a") "\x1a\x00"), E_INVALID);
	/* a field of a newer version is passed over; without a catalog it is the store that says so */
	assert_int_equal(READ(GOOD("a") "\x7a\x01x"), 0);
	assert_string_equal(batch.catalog, "");
	char *many = calloc(10001, 2);
	for (size_t i = 0; i < 10001; i++)
		many[2 * i] = 0x12;
	assert_int_equal(read_bytes(many, 20000), 0);
	assert_int_equal(batch.readable, 10000);
	assert_int_equal(read_bytes(many, 20002), E_INVALID);
	free(many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_readable),
		cmocka_unit_test(test_unreadable_items_are_refused_alone),
		cmocka_unit_test(test_what_fails_as_a_whole),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
