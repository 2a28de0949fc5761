/* A page is bounded by entries and by bytes: an answer that no client takes would be no answer. */
#include "server/page.h"

#include "kindred/v1/catalogs.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_size(void **state)
{
	struct error err;
	size_t size;

	(void)state;
	assert_int_equal(page_size(0, 1000, &size, &err), 0);
	assert_int_equal(size, 100);
	assert_int_equal(page_size(1000, 1000, &size, &err), 0);
	assert_int_equal(size, 1000);
	assert_int_equal(page_size(1001, 1000, &size, &err), E_INVALID);
	assert_string_equal(err.text, "page_size: 1001; 1 to 1000 are allowed, 0 is 100");
}

static Kindred__V1__Item *item_of(size_t bytes)
{
	Kindred__V1__Item *item = malloc(sizeof *item);

	kindred__v1__item__init(item);
	item->name = malloc(bytes + 1);
	memset(item->name, 'x', bytes);
	item->name[bytes] = 0;
	return item;
}

static void test_cut(void **state)
{
	ProtobufCMessage *items[4];
	bool more = false;
	size_t used;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		items[i] = &item_of(1000)->base;
	assert_int_equal(page_cut(items, 4, 10000, &more, &used), 4);
	assert_false(more);
	assert_in_range(used, 4000, 4100);
	/* the two that do not fit are freed: the leak checker looks */
	assert_int_equal(page_cut(items, 4, 2500, &more, NULL), 2);
	assert_true(more);
	/* one that is too large by itself is shown all the same: else the list would never go on */
	more = false;
	assert_int_equal(page_cut(items, 2, 10, &more, NULL), 1);
	assert_true(more);
	protobuf_c_message_free_unpacked(items[0], NULL);
	more = false;
	assert_int_equal(page_cut(items, 0, 10, &more, NULL), 0);
	assert_false(more);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_size), cmocka_unit_test(test_cut) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
