#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/relation.h"
#include "lib/model_fixture.h"
#include "lib/temp_dir.h"
#include "worker/overlay.h"
#include "worker/recipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct filter_attribute schema[] = {
	{ "price", VALUE_NUMBER },     { "in_stock", VALUE_BOOLEAN }, { "category", VALUE_STRING },
	{ "tags", VALUE_STRING_LIST }, { "added", VALUE_TIMESTAMP },
};
#define SCHEMA_COUNT 5

struct shop {
	struct temp_dir dir;
	struct model *model;
	struct overlay overlay;
};

/* Generation of catalog version 5, of the 8 items of fixture_shop_new. */
static int setup(void **state)
{
	static struct shop shop;
	char path[PATH_MAX];
	struct error err;
	assert_int_equal(temp_dir_make(&shop.dir), 0);
	struct fixture_model *fixture = fixture_shop_new("Viewed=1|window=0", 0);
	fixture_version(fixture, 5);
	fixture_model_write(fixture, shop.dir.path, 1, path);
	fixture_model_free(fixture);
	if (model_open(&shop.model, path, true, &err))
		fail_msg("%s", err.text);
	overlay_init(&shop.overlay, &shop.model->catalogs[0]);
	*state = &shop;
	return 0;
}

static int teardown(void **state)
{
	struct shop *shop = *state;
	overlay_fini(&shop->overlay);
	model_close(shop->model);
	temp_dir_remove(&shop->dir);
	return 0;
}

static struct item_key key_of(const char *id)
{
	return item_key(catalog_seed("shop", 4), id, strlen(id));
}

static void set(struct shop *shop, const char *id, Kindred__V1__Item *item, uint64_t version)
{
	Kindred__Internal__ItemSet change = KINDRED__INTERNAL__ITEM_SET__INIT;
	struct error err;
	change.item_key = key_of(id).value;
	change.item = item;
	change.deleted = item == NULL;
	change.version = version;
	assert_int_equal(overlay_set(&shop->overlay, schema, SCHEMA_COUNT, &change, &err), 0);
}

static void test_every_kind_of_value(void **state)
{
	struct shop *shop = *state;
	Kindred__V1__Attribute values[7], *list[7];
	Kindred__V1__StringList tags = KINDRED__V1__STRING_LIST__INIT;
	Google__Protobuf__Timestamp added = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	char *elements[] = { (char *)"new", (char *)"", (char *)"cheap" };
	Kindred__V1__Item item = KINDRED__V1__ITEM__INIT;
	for (size_t i = 0; i < 7; i++) {
		kindred__v1__attribute__init(&values[i]);
		list[i] = &values[i];
		values[i].name = i < SCHEMA_COUNT ? (char *)schema[i].name : (char *)"price";
	}
	values[0].value_case = KINDRED__V1__ATTRIBUTE__VALUE_NUMBER_VALUE;
	values[0].number_value = 7.5;
	values[1].value_case = KINDRED__V1__ATTRIBUTE__VALUE_BOOLEAN_VALUE;
	values[1].boolean_value = 1;
	values[2].value_case = KINDRED__V1__ATTRIBUTE__VALUE_STRING_VALUE;
	values[2].string_value = (char *)"sale";
	values[3].value_case = KINDRED__V1__ATTRIBUTE__VALUE_LIST_VALUE;
	values[3].list_value = &tags;
	tags.values = elements;
	tags.n_values = 3;
	values[4].value_case = KINDRED__V1__ATTRIBUTE__VALUE_TIMESTAMP_VALUE;
	values[4].timestamp_value = &added;
	added.seconds = 1000;
	added.nanos = 250000000;
	/* not of the schema; of another type than the schema's */
	values[5].name = (char *)"colour";
	values[5].value_case = KINDRED__V1__ATTRIBUTE__VALUE_STRING_VALUE;
	values[5].string_value = (char *)"red";
	values[6].value_case = KINDRED__V1__ATTRIBUTE__VALUE_STRING_VALUE;
	values[6].string_value = (char *)"7.5";
	item.attributes = list;
	item.n_attributes = 7;
	item.name = (char *)"Boots";
	set(shop, "item-2", &item, 6);

	const struct overlay_item *found = overlay_row(&shop->overlay, 2);
	assert_non_null(found);
	assert_int_equal(found->name.bytes, 5);
	assert_memory_equal(found->name.data, "Boots", 5);
	assert_int_equal(found->image.bytes, 0);
	assert_false(found->hidden || found->deleted);
	assert_true(overlay_value(found, 0).type == VALUE_NUMBER && overlay_value(found, 0).number == 7.5);
	assert_true(overlay_value(found, 1).type == VALUE_BOOLEAN && overlay_value(found, 1).boolean);
	assert_int_equal(overlay_value(found, 2).string.bytes, 4);
	assert_memory_equal(overlay_value(found, 2).string.data, "sale", 4);
	struct value of_list = overlay_value(found, 3);
	assert_int_equal(of_list.list.count, 3);
	struct text_view last = of_list.list.at(of_list.list.context, of_list.list.first, 2);
	assert_int_equal(last.bytes, 5);
	assert_memory_equal(last.data, "cheap", 5);
	assert_true(overlay_value(found, 4).timestamp_ms == 1000250);
	assert_int_equal(overlay_value(found, 5).type, VALUE_MISSING);
	/* a change is the whole item: what it leaves out is missing */
	item.n_attributes = 0;
	set(shop, "item-2", &item, 7);
	assert_int_equal(overlay_value(overlay_row(&shop->overlay, 2), 0).type, VALUE_MISSING);
}

static void test_only_newer_changes_count(void **state)
{
	struct shop *shop = *state;
	Kindred__V1__Item hidden = KINDRED__V1__ITEM__INIT, shown = KINDRED__V1__ITEM__INIT;
	hidden.hidden = 1;
	set(shop, "item-1", &hidden, 5);
	assert_null(overlay_row(&shop->overlay, 1)); /* the generation has it already */
	set(shop, "item-1", &hidden, 8);
	set(shop, "item-1", &shown, 7);
	set(shop, "item-1", &shown, 8);
	assert_true(overlay_row(&shop->overlay, 1)->hidden);
	set(shop, "item-1", NULL, 9);
	assert_true(overlay_row(&shop->overlay, 1)->deleted);
	set(shop, "item-1", &shown, 10);
	assert_false(overlay_row(&shop->overlay, 1)->deleted);
	assert_null(overlay_row(&shop->overlay, 0));
	assert_null(overlay_row(&shop->overlay, 7));
	overlay_clear(&shop->overlay);
	assert_null(overlay_row(&shop->overlay, 1));
	set(shop, "item-1", &hidden, 8);
	assert_true(overlay_row(&shop->overlay, 1)->hidden);
}

static void test_a_whole_catalog_of_changes(void **state)
{
	enum { ITEMS = 5000 };
	struct shop *shop = *state;
	char id[24], name[48];
	Kindred__V1__Item item = KINDRED__V1__ITEM__INIT;
	item.name = name;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < ITEMS; i++) {
			snprintf(id, sizeof id, "item-%d", i);
			snprintf(name, sizeof name, "%d of round %d", i, round);
			set(shop, id, &item, 6 + (uint64_t)round);
		}
	}
	for (int i = 0; i < ITEMS; i++) {
		snprintf(id, sizeof id, "item-%d", i);
		int bytes = snprintf(name, sizeof name, "%d of round 1", i);
		const struct overlay_item *found = overlay_find(&shop->overlay, key_of(id));
		assert_non_null(found);
		assert_int_equal(found->name.bytes, bytes);
		assert_memory_equal(found->name.data, name, (size_t)bytes);
		if (i < 8)
			assert_ptr_equal(overlay_row(&shop->overlay, (uint32_t)i), found);
	}
	assert_null(overlay_find(&shop->overlay, key_of("another")));
	assert_int_equal(shop->overlay.count, ITEMS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_kind_of_value, setup, teardown),
		cmocka_unit_test_setup_teardown(test_only_newer_changes_count, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_whole_catalog_of_changes, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
