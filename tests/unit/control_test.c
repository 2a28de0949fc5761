#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "common/control_private.h"
#include "lib/control_fixture.h"

#define TYPE(name) KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_##name

/* --- catalogs --- */

static void catalog_is_kept(void **state)
{
	const Kindred__V1__Catalog *catalog;

	(void)state;
	make_shop("shop");
	control_reopen();
	catalog = get_catalog("shop");
	assert_int_equal(catalog->n_attributes, 5);
	assert_string_equal(catalog->attributes[3]->name, "released");
	assert_int_equal(catalog->attributes[3]->type, TYPE(TIMESTAMP));
	assert_int_equal(catalog->item_count, 0);
	assert_int_equal(catalog->create_time->seconds, 1);
}

static void bad_catalogs_are_refused(void **state)
{
	Kindred__V1__AttributeSchema attributes[201], *pointers[201];
	Kindred__V1__Catalog catalog = KINDRED__V1__CATALOG__INIT, *made;
	char names[201][8];
	struct error err;

	(void)state;
	for (size_t i = 0; i < 201; i++) {
		kindred__v1__attribute_schema__init(&attributes[i]);
		snprintf(names[i], sizeof names[i], "a%zu", i);
		attributes[i].name = names[i];
		attributes[i].type = TYPE(NUMBER);
		pointers[i] = &attributes[i];
	}
	catalog.attributes = pointers;
	catalog.name = (char *)"Shop";
	assert_int_equal(control_catalog_create(control, &catalog, 0, &made, &err), E_INVALID);
	assert_part(err.text, "Shop");
	catalog.name = (char *)"shop";
	catalog.n_attributes = 201;
	assert_int_equal(control_catalog_create(control, &catalog, 0, &made, &err), E_INVALID);
	assert_part(err.text, "at most 200");
	catalog.n_attributes = 3;
	attributes[2].name = (char *)"last";
	assert_int_equal(control_catalog_create(control, &catalog, 0, &made, &err), E_INVALID);
	assert_part(err.text, "last");
	attributes[2].name = names[0];
	assert_int_equal(control_catalog_create(control, &catalog, 0, &made, &err), E_INVALID);
	assert_part(err.text, "\"a0\" is named twice");
	attributes[2].name = names[2];
	attributes[2].type = 6;
	assert_int_equal(control_catalog_create(control, &catalog, 0, &made, &err), E_INVALID);
	assert_part(err.text, "type 6");
	attributes[2].type = TYPE(UNSPECIFIED);
	assert_int_equal(control_catalog_create(control, &catalog, 0, &made, &err), E_INVALID);
	assert_null(made);
	assert_int_equal(control_catalog_get(control, "shop", &made, &err), E_NOT_FOUND);
	assert_part(err.text, "\"shop\"");
	catalog.n_attributes = 200;
	attributes[2].type = TYPE(STRING);
	assert_int_equal(control_catalog_create(control, &catalog, 0, &made, &err), 0);
	kindred__v1__catalog__free_unpacked(made, NULL);
	assert_int_equal(control_catalog_create(control, &catalog, 0, &made, &err), E_EXISTS);
}

static void catalogs_are_listed_in_pages(void **state)
{
	static const char *const names[] = { "a", "a-b", "ab", "b", "c" };
	Kindred__V1__Catalog **catalogs;
	const char *after = "";
	char last[NAME_MAX_BYTES + 1];
	size_t count, seen = 0;
	bool more;

	(void)state;
	assert_int_equal(control_catalog_list(control, "", 2, &catalogs, &count, &more, NULL), 0);
	assert_int_equal(count, 0);
	assert_false(more);
	free(catalogs);
	for (size_t i = 5; i-- > 0;)
		make_shop(names[i]);
	do {
		assert_int_equal(control_catalog_list(control, after, 2, &catalogs, &count, &more, NULL), 0);
		assert_int_equal(more, seen + count < 5);
		for (size_t i = 0; i < count; i++) {
			assert_string_equal(catalogs[i]->name, names[seen++]);
			snprintf(last, sizeof last, "%s", catalogs[i]->name);
			kindred__v1__catalog__free_unpacked(catalogs[i], NULL);
		}
		free(catalogs);
		after = last;
	} while (more);
	assert_int_equal(seen, 5);
}

static void schema_grows_at_its_end(void **state)
{
	Kindred__V1__AttributeSchema brand = KINDRED__V1__ATTRIBUTE_SCHEMA__INIT;
	Kindred__V1__AttributeSchema price = KINDRED__V1__ATTRIBUTE_SCHEMA__INIT;
	Kindred__V1__AttributeSchema *both[] = { &price, &brand };
	Kindred__V1__Catalog *made;
	struct error err;
	uint64_t version;

	(void)state;
	make_shop("shop");
	version = get_catalog("shop")->version;
	brand.name = (char *)"brand";
	brand.type = TYPE(STRING);
	price.name = (char *)"price";
	price.type = TYPE(NUMBER);
	assert_int_equal(control_catalog_add_attributes(control, "shop", 2, both, 5000, &made, &err), 0);
	assert_int_equal(made->n_attributes, 6);
	assert_string_equal(made->attributes[0]->name, "price");
	assert_string_equal(made->attributes[5]->name, "brand");
	assert_int_equal(made->version, version + 1);
	assert_int_equal(made->update_time->seconds, 5);
	assert_int_equal(made->create_time->seconds, 1);
	kindred__v1__catalog__free_unpacked(made, NULL);
	/* again: nothing to do */
	assert_int_equal(control_catalog_add_attributes(control, "shop", 2, both, 6000, &made, &err), 0);
	assert_int_equal(made->version, version + 1);
	assert_int_equal(made->update_time->seconds, 5);
	kindred__v1__catalog__free_unpacked(made, NULL);
	price.type = TYPE(STRING);
	assert_int_equal(control_catalog_add_attributes(control, "shop", 2, both, 7000, &made, &err), E_INVALID);
	assert_part(err.text, "\"price\" is a number");
	assert_int_equal(get_catalog("shop")->version, version + 1);
	assert_int_equal(control_catalog_add_attributes(control, "none", 2, both, 7000, &made, &err), E_NOT_FOUND);
}

static void deleted_catalog_is_gone_with_its_items(void **state)
{
	Kindred__V1__Catalog *none;
	Kindred__V1__Item *item;
	const char *name;
	struct item_key key = item_key(catalog_seed("shop", 4), "a", 1);
	struct error err;
	uint64_t version, first;

	(void)state;
	assert_int_equal(control_catalog_first_version(control, "shop", &first, &err), 0);
	make_shop("other");
	make_shop("shop");
	assert_int_equal(get_catalog("shop")->version, first);
	put_one("shop", an_item("a", "A"), NULL);
	put_one("other", an_item("a", "Other A"), NULL);
	version = get_catalog("shop")->version;
	assert_int_equal(control_catalog_delete(control, "shop", &err), 0);
	assert_int_equal(control_catalog_get(control, "shop", &none, &err), E_NOT_FOUND);
	assert_int_equal(control_item_find(control, key, &item, &name, &err), E_NOT_FOUND);
	assert_string_equal(get_item("other", "a")->name, "Other A");
	make_shop("shop");
	assert_int_equal(control_item_get(control, "shop", "a", &item, &err), E_NOT_FOUND);
	/* what compares versions (overlays of older models) must not take the new catalog's changes for old ones */
	assert_true(get_catalog("shop")->version > version);
	/* and what compares it with the first one (models) must know it for another */
	assert_int_equal(control_catalog_first_version(control, "shop", &first, &err), 0);
	assert_int_equal(get_catalog("shop")->version, first);
	put_one("shop", an_item("a", "A"), NULL);
	control_reopen();
	assert_true(get_catalog("shop")->version > first);
	version = first;
	assert_int_equal(control_catalog_first_version(control, "shop", &first, &err), 0);
	assert_int_equal(first, version);
	assert_int_equal(control_catalog_first_version(control, "No", &first, &err), E_INVALID);
}

/* What a server that was killed while it removed a deleted catalog's rows left behind. */
static void leftovers_of_deleted_catalogs_go_at_opening(void **state)
{
	const MDB_dbi databases[] = { control->items, control->changes, control->deleted };
	struct row_key at = row_key(999, 5);
	MDB_val key = { sizeof at.bytes, at.bytes }, row = { 8, "12345678" };
	MDB_txn *txn;

	(void)state;
	make_shop("shop");
	put_one("shop", an_item("a", "A"), NULL);
	assert_int_equal(store_write_begin(control->store, &txn, NULL), 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(mdb_put(txn, databases[i], &key, &row, 0), 0);
	assert_int_equal(store_write_commit(control->store, txn, NULL), 0);
	control_reopen();
	txn = NULL;
	assert_int_equal(store_read_begin(control->store, &txn, NULL), 0);
	for (size_t i = 0; i < 3; i++) {
		key = (MDB_val){ sizeof at.bytes, at.bytes };
		assert_int_equal(mdb_get(txn, databases[i], &key, &row), MDB_NOTFOUND);
	}
	store_read_end(control->store, txn);
	store_read_free(&txn);
	assert_string_equal(get_item("shop", "a")->name, "A");
}

static void newer_format_is_refused(void **state)
{
	struct control *again;
	struct error err;
	MDB_txn *txn;

	(void)state;
	assert_int_equal(store_write_begin(control->store, &txn, NULL), 0);
	assert_int_equal(control_meta_put(control, txn, "format", CONTROL_FORMAT + 1, NULL), 0);
	assert_int_equal(store_write_commit(control->store, txn, NULL), 0);
	control_close(control);
	control = NULL;
	assert_int_equal(control_open(&again, control_path, 1 << 20, false, &err), E_UNIMPLEMENTED);
	assert_part(err.text, "newer Kindred");
}

/* --- items --- */

static void item_is_kept_whole(void **state)
{
	const Kindred__V1__Item *item;

	(void)state;
	make_shop("shop");
	assert_int_equal(put_one("shop", full_item("shoe"), NULL), CONTROL_CREATED);
	control_reopen();
	item = get_item("shop", "shoe");
	assert_string_equal(item->name, "Soccer shoe");
	assert_string_equal(item->image_url, "https://img.example/1.jpg");
	assert_int_equal(item->n_attributes, 5);
	assert_true(item->attributes[0]->number_value == 49.5);
	assert_true(item->attributes[1]->boolean_value);
	assert_string_equal(item->attributes[2]->string_value, "shoes");
	assert_int_equal(item->attributes[3]->timestamp_value->seconds, -86400);
	assert_int_equal(item->attributes[4]->list_value->n_values, 2);
	assert_string_equal(item->attributes[4]->list_value->values[1], "leather");
	assert_int_equal(get_catalog("shop")->item_count, 1);
}

static void versions_rise_with_changes_only(void **state)
{
	Kindred__V1__Item *item = full_item("shoe"), *turned = an_item("shoe", "Soccer shoe");
	uint64_t created, updated;

	(void)state;
	make_shop("shop");
	put_one("shop", item, NULL);
	created = get_catalog("shop")->version;
	assert_int_equal(item->version, created);
	item->version = 77; /* output only */
	assert_int_equal(put_one("shop", item, NULL), CONTROL_UNCHANGED);
	assert_int_equal(item->version, created);
	/* the same attributes in another order are the same item */
	turned->image_url = item->image_url;
	for (size_t i = 0; i < 5; i++)
		turned->attributes[turned->n_attributes++] = item->attributes[4 - i];
	assert_int_equal(put_one("shop", turned, NULL), CONTROL_UNCHANGED);
	assert_int_equal(get_catalog("shop")->version, created);
	item->hidden = true;
	assert_int_equal(put_one("shop", item, NULL), CONTROL_UPDATED);
	updated = get_catalog("shop")->version;
	assert_true(updated > created);
	assert_int_equal(get_item("shop", "shoe")->version, updated);
	assert_true(get_item("shop", "shoe")->hidden);
	assert_int_equal(get_catalog("shop")->item_count, 1);
	assert_int_equal(put_one("shop", an_item("hat", "Hat"), NULL), CONTROL_CREATED);
	assert_int_equal(get_catalog("shop")->item_count, 2);
}

static void refused(Kindred__V1__Item *item, const char *part)
{
	const char *reason;

	assert_int_equal(put_one("shop", item, &reason), CONTROL_REFUSED);
	assert_part(reason, part);
}

static void bad_items_are_refused_with_the_field(void **state)
{
	static const char *many[102];
	Kindred__V1__Item *item;
	uint64_t version;

	(void)state;
	make_shop("shop");
	version = get_catalog("shop")->version;
	refused(an_item("", "x"), "id: empty");
	refused(an_item(long_text(257, 'i'), "x"), "id: 257 bytes; 1 to 256");
	refused(an_item("\xc3\x28", "x"), "id: ");
	refused(an_item("a", long_text(1025, 'n')), "name: 1025 bytes; at most 1024 are allowed");
	refused(an_item("a", "\xff"), "name: ");
	item = an_item("a", "x");
	item->image_url = long_text(2049, 'u');
	refused(item, "image_url: 2049 bytes; at most 2048 are allowed");
	item = an_item("a", "x");
	set_number(item, "prize", 1);
	refused(item, "\"prize\" is not in the schema of catalog \"shop\"");
	item = an_item("a", "x");
	set_string(item, "price", "cheap");
	refused(item, "price: the value is a string; in this catalog the attribute is a number");
	item = an_item("a", "x");
	set_number(item, "price", NAN);
	refused(item, "price: ");
	item = an_item("a", "x");
	set_number(item, "price", -INFINITY);
	refused(item, "price: -inf; only finite numbers");
	item = an_item("a", "x");
	set_number(item, "price", 1);
	set_boolean(item, "in_stock", true);
	set_number(item, "price", 2);
	refused(item, "\"price\" is given twice");
	item = an_item("a", "x");
	set_string(item, "category", long_text(4097, 'c'));
	refused(item, "category: 4097 bytes; at most 4096 are allowed");
	item = an_item("a", "x");
	set_string(item, "category", "\xed\xa0\x80");
	refused(item, "category: ");
	item = an_item("a", "x");
	set_time(item, "released", INT64_C(253402300800), 0);
	refused(item, "released: ");
	item = an_item("a", "x");
	set_time(item, "released", 0, 1000000000);
	refused(item, "released: ");
	for (size_t i = 0; i < 101; i++)
		many[i] = "t";
	item = an_item("a", "x");
	set_list(item, "tags", many);
	refused(item, "tags: 101 strings");
	item = an_item("a", "x");
	set_list(item, "tags", (const char *const[]){ "ok", long_text(257, 't'), NULL });
	refused(item, "tags: 257 bytes");
	item = an_item("a", "x");
	set_number(item, "price", 1);
	item->attributes[0]->value_case = KINDRED__V1__ATTRIBUTE__VALUE__NOT_SET;
	refused(item, "price: no value");
	item = an_item("a", "x");
	for (size_t i = 0; i < 201; i++)
		set_number(item, "price", 1);
	refused(item, "attributes: 201");
	assert_int_equal(get_catalog("shop")->version, version);
	assert_int_equal(get_catalog("shop")->item_count, 0);
}

static void largest_item_fits(void **state)
{
	Kindred__V1__Item *item = an_item(long_text(256, 'i'), long_text(1024, 'n'));
	static const char *many[101];

	(void)state;
	make_shop("shop");
	item->image_url = long_text(2048, 'u');
	set_string(item, "category", long_text(4096, 'c'));
	for (size_t i = 0; i < 100; i++)
		many[i] = long_text(256, 't');
	set_list(item, "tags", many);
	assert_int_equal(put_one("shop", item, NULL), CONTROL_CREATED);
	assert_int_equal(put_one("shop", item, NULL), CONTROL_UNCHANGED);
	assert_int_equal(get_item("shop", item->id)->attributes[1]->list_value->n_values, 100);
}

static void bad_items_leave_their_neighbours_alone(void **state)
{
	Kindred__V1__Item *items[] = { an_item("a", "A"), an_item("", "B"), an_item("c", "C"), an_item("a", "A again"),
				       an_item("c", "C") };
	enum control_change changes[5];
	char *reasons[5];
	struct error err;

	(void)state;
	make_shop("shop");
	assert_int_equal(control_items_put(control, "shop", 5, items, 2000, changes, reasons, &err), 0);
	assert_int_equal(changes[0], CONTROL_CREATED);
	assert_int_equal(changes[1], CONTROL_REFUSED);
	assert_int_equal(changes[2], CONTROL_CREATED);
	/* of two with one id the later one wins */
	assert_int_equal(changes[3], CONTROL_UPDATED);
	assert_int_equal(changes[4], CONTROL_UNCHANGED);
	assert_string_equal(get_item("shop", "a")->name, "A again");
	assert_int_equal(get_catalog("shop")->item_count, 2);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(reasons[i] != NULL, i == 1);
		free(reasons[i]);
	}
}

static void batches_have_bounds(void **state)
{
	static Kindred__V1__Item *items[10001];
	static enum control_change changes[10001];
	static char *reasons[10001];
	static char ids[10001][16];
	struct error err;

	(void)state;
	make_shop("shop");
	for (size_t i = 0; i < 10001; i++) {
		snprintf(ids[i], sizeof ids[i], "item-%zu", i);
		items[i] = an_item(ids[i], "x");
	}
	assert_int_equal(control_items_put(control, "shop", 0, items, 0, changes, reasons, &err), E_INVALID);
	assert_int_equal(control_items_put(control, "shop", 10001, items, 0, changes, reasons, &err), E_INVALID);
	assert_part(err.text, "10001; 1 to 10000");
	assert_int_equal(control_items_put(control, "none", 10, items, 0, changes, reasons, &err), E_NOT_FOUND);
	assert_int_equal(control_items_put(control, "shop", 10000, items, 0, changes, reasons, &err), 0);
	assert_int_equal(get_catalog("shop")->item_count, 10000);
}

/*
 * Two ids of catalog "shop-5769" whose XXH3 keys are equal: the first 8 bytes cancel the hash's secret,
 * so the next 8 do not count.
 */
static void colliding_ids_are_refused(void **state)
{
	const char *shoe = "GOPQCMAf-redshoe-leather-size-42", *hat = "GOPQCMAf-bluehat-leather-size-42";
	struct catalog_seed seed = catalog_seed("shop-5769", 9);
	Kindred__V1__UpdateItemRequest update = KINDRED__V1__UPDATE_ITEM_REQUEST__INIT;
	Kindred__V1__Item *item;
	const char *reason;
	struct error err;
	uint64_t version;

	(void)state;
	assert_true(item_key(seed, shoe, 32).value == item_key(seed, hat, 32).value);
	make_shop("shop-5769");
	assert_int_equal(put_one("shop-5769", an_item(shoe, "Shoe"), NULL), CONTROL_CREATED);
	assert_int_equal(put_one("shop-5769", an_item(hat, "Hat"), &reason), CONTROL_REFUSED);
	assert_part(reason, shoe);
	assert_part(reason, hat);
	assert_string_equal(get_item("shop-5769", shoe)->name, "Shoe");
	/* and nobody takes one for the other */
	assert_int_equal(control_item_get(control, "shop-5769", hat, &item, &err), E_NOT_FOUND);
	assert_int_equal(control_item_delete(control, "shop-5769", hat, 0, &version, &err), E_NOT_FOUND);
	update.catalog = (char *)"shop-5769";
	update.item_id = (char *)hat;
	assert_int_equal(control_item_update(control, &update, 0, &item, &err), E_NOT_FOUND);
	assert_int_equal(get_catalog("shop-5769")->item_count, 1);
}

static void item_is_found_by_its_key(void **state)
{
	struct item_key key = item_key(catalog_seed("series", 6), "got", 3);
	const char *catalog, *again;
	Kindred__V1__Item *item;
	struct error err;

	(void)state;
	make_shop("shop");
	make_shop("series");
	put_one("shop", an_item("got", "A toy"), NULL);
	put_one("series", an_item("got", "Game of Thrones"), NULL);
	assert_int_equal(control_item_find(control, key, &item, &catalog, &err), 0);
	assert_string_equal(item->name, "Game of Thrones");
	assert_string_equal(catalog, "series");
	kindred__v1__item__free_unpacked(item, NULL);
	assert_int_equal(control_item_find(control, key, &item, &again, &err), 0);
	assert_ptr_equal(catalog, again);
	kindred__v1__item__free_unpacked(item, NULL);
	key.value ^= 1;
	assert_int_equal(control_item_find(control, key, &item, &catalog, &err), E_NOT_FOUND);
}

static void items_are_listed_in_pages(void **state)
{
	struct catalog_seed seed = catalog_seed("shop", 4);
	struct item_key after = { 0 };
	static char ids[25][8];
	unsigned seen[25] = { 0 };
	Kindred__V1__Item **items;
	size_t count, total = 0;
	bool more;

	(void)state;
	make_shop("shop");
	make_shop("zoo");
	put_one("zoo", an_item("lion", "Lion"), NULL);
	for (size_t i = 0; i < 25; i++) {
		snprintf(ids[i], sizeof ids[i], "%zu", i);
		put_one("shop", an_item(ids[i], "x"), NULL);
	}
	do {
		assert_int_equal(control_item_list(control, "shop", after, 10, &items, &count, &more, NULL), 0);
		total += count;
		assert_int_equal(more, total < 25);
		for (size_t i = 0; i < count; i++) {
			seen[atoi(items[i]->id)]++;
			after = item_key(seed, items[i]->id, strlen(items[i]->id));
			kindred__v1__item__free_unpacked(items[i], NULL);
		}
		free(items);
	} while (more);
	for (size_t i = 0; i < 25; i++)
		assert_int_equal(seen[i], 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, control_setup, control_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(catalog_is_kept),
		TEST(bad_catalogs_are_refused),
		TEST(catalogs_are_listed_in_pages),
		TEST(schema_grows_at_its_end),
		TEST(deleted_catalog_is_gone_with_its_items),
		TEST(leftovers_of_deleted_catalogs_go_at_opening),
		TEST(newer_format_is_refused),
		TEST(item_is_kept_whole),
		TEST(versions_rise_with_changes_only),
		TEST(bad_items_are_refused_with_the_field),
		TEST(largest_item_fits),
		TEST(bad_items_leave_their_neighbours_alone),
		TEST(batches_have_bounds),
		TEST(colliding_ids_are_refused),
		TEST(item_is_found_by_its_key),
		TEST(items_are_listed_in_pages),
	};

	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
