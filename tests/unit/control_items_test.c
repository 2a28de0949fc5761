#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "lib/control_fixture.h"

static void update_changes_what_it_names(void **state)
{
	Kindred__V1__UpdateItemRequest request = KINDRED__V1__UPDATE_ITEM_REQUEST__INIT;
	Kindred__V1__Item *changes = an_item("", ""), *item;
	char *clear[] = { (char *)"tags" };
	struct error err;
	uint64_t version;

	(void)state;
	make_shop("shop");
	put_one("shop", full_item("shoe"), NULL);
	version = get_catalog("shop")->version;
	request.catalog = (char *)"shop";
	request.item_id = (char *)"shoe";
	set_boolean(changes, "in_stock", false);
	request.n_set_attributes = 1;
	request.set_attributes = changes->attributes;
	request.n_clear_attributes = 1;
	request.clear_attributes = clear;
	request.new_hidden_case = KINDRED__V1__UPDATE_ITEM_REQUEST__NEW_HIDDEN_HIDDEN;
	request.hidden = true;
	for (int again = 0; again < 2; again++) { /* the second time nothing changes */
		assert_int_equal(control_item_update(control, &request, 3000, &item, &err), 0);
		assert_int_equal(item->n_attributes, 4);
		assert_true(item->attributes[0]->number_value == 49.5);
		assert_false(item->attributes[1]->boolean_value);
		assert_true(item->hidden);
		assert_string_equal(item->name, "Soccer shoe");
		assert_int_equal(item->version, version + 1);
		kindred__v1__item__free_unpacked(item, NULL);
	}
	assert_int_equal(get_catalog("shop")->version, version + 1);
	assert_int_equal(get_item("shop", "shoe")->n_attributes, 4);
}

static void bad_updates_change_nothing(void **state)
{
	Kindred__V1__UpdateItemRequest request = KINDRED__V1__UPDATE_ITEM_REQUEST__INIT;
	Kindred__V1__Item *changes = an_item("", ""), *item;
	char *clear[] = { (char *)"price" };
	struct error err;
	uint64_t version;

	(void)state;
	make_shop("shop");
	put_one("shop", full_item("shoe"), NULL);
	version = get_catalog("shop")->version;
	request.catalog = (char *)"shop";
	request.item_id = (char *)"sock";
	assert_int_equal(control_item_update(control, &request, 0, &item, &err), E_NOT_FOUND);
	assert_part(err.text, "\"sock\"");
	request.item_id = (char *)"shoe";
	request.n_clear_attributes = 1;
	request.clear_attributes = clear;
	set_number(changes, "price", 1);
	request.n_set_attributes = 1;
	request.set_attributes = changes->attributes;
	assert_int_equal(control_item_update(control, &request, 0, &item, &err), E_INVALID);
	assert_part(err.text, "price");
	clear[0] = (char *)"prize";
	assert_int_equal(control_item_update(control, &request, 0, &item, &err), E_INVALID);
	assert_part(err.text, "prize");
	request.n_clear_attributes = 0;
	set_number(changes, "price", 2);
	request.n_set_attributes = 2;
	assert_int_equal(control_item_update(control, &request, 0, &item, &err), E_INVALID);
	assert_part(err.text, "twice");
	request.n_set_attributes = 1;
	request.new_name_case = KINDRED__V1__UPDATE_ITEM_REQUEST__NEW_NAME_NAME;
	request.name = long_text(1025, 'n');
	assert_int_equal(control_item_update(control, &request, 0, &item, &err), E_INVALID);
	assert_null(item);
	assert_int_equal(get_catalog("shop")->version, version);
	assert_true(get_item("shop", "shoe")->attributes[0]->number_value == 49.5);
}

struct seen {
	char text[512]; /* "key-of:version ..." in order; deleted ones with '-' */
	unsigned count, stop_after;
};

static int on_change(void *context, struct item_key key, uint64_t version, const Kindred__V1__Item *item)
{
	struct seen *seen = context;
	size_t at = strlen(seen->text);

	(void)key;
	if (item)
		assert_int_equal(item->version, version);
	snprintf(seen->text + at, sizeof seen->text - at, "%s:%d ", item ? item->id : "-", (int)version);
	return ++seen->count == seen->stop_after ? 7 : 0;
}

static void changes_tell_the_newest_of_each_item(void **state)
{
	struct seen seen = { 0 };
	uint64_t last, deleted;
	struct error err;

	(void)state;
	make_shop("shop"); /* version 1 */
	make_shop("zoo");
	put_one("zoo", an_item("lion", "Lion"), NULL);
	put_one("shop", an_item("a", "A"), NULL); /* 2 */
	put_one("shop", an_item("b", "B"), NULL); /* 3 */
	put_one("shop", an_item("c", "C"), NULL); /* 4 */
	put_one("shop", an_item("a", "A2"), NULL); /* 5 */
	assert_int_equal(control_item_delete(control, "shop", "b", 0, &deleted, &err), 0);
	assert_int_equal(deleted, 6);
	assert_int_equal(control_changes(control, "shop", 0, 100, on_change, &seen, &last, &err), 0);
	assert_string_equal(seen.text, "c:4 a:5 -:6 ");
	assert_int_equal(last, 6);
	/* b comes back: its deletion is told no more, also over a restart */
	control_reopen();
	put_one("shop", an_item("b", "B"), NULL); /* 7 */
	memset(&seen, 0, sizeof seen);
	assert_int_equal(control_changes(control, "shop", 4, 100, on_change, &seen, &last, &err), 0);
	assert_string_equal(seen.text, "a:5 b:7 ");
	memset(&seen, 0, sizeof seen);
	assert_int_equal(control_changes(control, "shop", 0, 1, on_change, &seen, &last, &err), 0);
	assert_string_equal(seen.text, "c:4 ");
	assert_int_equal(last, 4);
	memset(&seen, 0, sizeof seen);
	seen.stop_after = 2;
	assert_int_equal(control_changes(control, "shop", last, 100, on_change, &seen, &last, &err), 7);
	assert_int_equal(last, 7);
	memset(&seen, 0, sizeof seen);
	assert_int_equal(control_changes(control, "shop", UINT64_MAX, 100, on_change, &seen, &last, &err), 0);
	assert_int_equal(seen.count, 0);
}

static void deleted_item_is_gone(void **state)
{
	Kindred__V1__Item *item;
	struct error err;
	uint64_t version;

	(void)state;
	make_shop("shop");
	put_one("shop", an_item("a", "A"), NULL);
	assert_int_equal(control_item_delete(control, "shop", "a", 9000, &version, &err), 0);
	assert_int_equal(version, get_catalog("shop")->version);
	assert_int_equal(get_catalog("shop")->item_count, 0);
	assert_int_equal(get_catalog("shop")->update_time->seconds, 9);
	assert_int_equal(control_item_get(control, "shop", "a", &item, &err), E_NOT_FOUND);
	assert_int_equal(control_item_delete(control, "shop", "a", 9000, &version, &err), E_NOT_FOUND);
	assert_int_equal(put_one("shop", an_item("a", "A"), NULL), CONTROL_CREATED);
}

/* --- the builder's side --- */

static int on_item(void *context, struct item_key key, const Kindred__V1__Item *item)
{
	struct seen *seen = context;

	assert_true(item_key(catalog_seed("shop", 4), item->id, strlen(item->id)).value == key.value);
	assert_true(item->version > 0);
	return ++seen->count == seen->stop_after ? 7 : 0;
}

static int scan_as_builder(unsigned expected)
{
	struct control *reader;
	struct seen seen = { 0 };
	Kindred__V1__Catalog *catalog;

	if (control_open(&reader, control_path, 0, true, NULL) != 0)
		return 1;
	if (control_items_scan(reader, "shop", &catalog, on_item, &seen, NULL) != 0)
		return 2;
	if (seen.count != expected || catalog->item_count != expected)
		return 3;
	kindred__v1__catalog__free_unpacked(catalog, NULL);
	control_close(reader);
	return 0;
}

static void another_process_scans(void **state)
{
	struct seen seen = { .stop_after = 1 };
	Kindred__V1__Catalog *catalog;
	struct error err;
	int status;
	pid_t child;

	(void)state;
	make_shop("aaa");
	put_one("aaa", an_item("x", "X"), NULL);
	make_shop("shop");
	make_shop("zoo");
	put_one("zoo", an_item("lion", "Lion"), NULL);
	put_one("shop", full_item("a"), NULL);
	put_one("shop", an_item("b", "B"), NULL);
	put_one("shop", an_item("c", "C"), NULL);
	assert_int_equal(control_items_scan(control, "none", &catalog, on_item, &seen, &err), E_NOT_FOUND);
	assert_null(catalog);
	assert_int_equal(control_items_scan(control, "shop", &catalog, on_item, &seen, &err), 7);
	assert_string_equal(catalog->name, "shop");
	kindred__v1__catalog__free_unpacked(catalog, NULL);

	child = fork();
	if (child == 0) {
		/*
		 * LMDB: not with the parent's environment, which this process must not touch; a new
		 * program would not have it
		 */
		execl("/proc/self/exe", "control_items_test", "--scan", control_path, "3", (char *)NULL);
		_exit(9);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* Disk and map are finite: the batch that does not fit is refused as a whole, and what was there stays. */
static void full_store_keeps_what_it_has(void **state)
{
	Kindred__V1__Item *items[100];
	enum control_change changes[100];
	char *reasons[100], ids[100][16];
	char path[128];
	struct control *small, *usual = control;
	struct error err;
	uint64_t count = 0;
	int rc = 0;

	(void)state;
	snprintf(path, sizeof path, "%s-small", control_path);
	assert_int_equal(control_open(&small, path, 1 << 20, false, &err), 0);
	control = small;
	make_shop("shop");
	for (unsigned batch = 0; rc == 0 && batch < 1000; batch++) {
		for (unsigned i = 0; i < 100; i++) {
			snprintf(ids[i], sizeof ids[i], "%u-%u", batch, i);
			items[i] = an_item(ids[i], "An item that takes room on a disk");
		}
		rc = control_items_put(control, "shop", 100, items, 0, changes, reasons, &err);
		count += rc == 0 ? 100 : 0;
	}
	assert_int_equal(rc, E_EXHAUSTED);
	assert_part(err.text, "largest size of 1 MiB; raise shard_map_gb");
	for (unsigned i = 0; i < 100; i++)
		assert_null(reasons[i]);
	assert_true(count > 0);
	assert_int_equal(get_catalog("shop")->item_count, count);
	assert_string_equal(get_item("shop", "0-99")->id, "0-99");
	control_close(small);
	control = usual;
}

static void reader_of_nothing_is_told(void **state)
{
	struct control *reader;
	struct error err;
	char path[128];

	(void)state;
	snprintf(path, sizeof path, "%s-not", control_path);
	assert_int_equal(control_open(&reader, path, 0, true, &err), E_NOT_FOUND);
	assert_part(err.text, path);
	assert_null(reader);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, control_setup, control_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(update_changes_what_it_names),
		TEST(bad_updates_change_nothing),
		TEST(changes_tell_the_newest_of_each_item),
		TEST(deleted_item_is_gone),
		TEST(another_process_scans),
		TEST(full_store_keeps_what_it_has),
		TEST(reader_of_nothing_is_told),
	};

	if (argc == 4 && strcmp(argv[1], "--scan") == 0) {
		snprintf(control_path, sizeof control_path, "%s", argv[2]);
		return scan_as_builder((unsigned)atoi(argv[3]));
	}
	return cmocka_run_group_tests_name("control_items", tests, NULL, NULL);
}
