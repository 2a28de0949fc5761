/* The small parts of the builder: memory that moves to files, texts with codes, ranks, parameters, plans. */
#include "builder/dictionary.h"
#include "builder/params.h"
#include "builder/plan.h"
#include "builder/rank.h"
#include "builder/space.h"
#include "lib/events_fixture.h"
#include "lib/temp_dir.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct temp_dir home;

static int make_home(void **state)
{
	(void)state;
	return temp_dir_make(&home);
}

static int remove_home(void **state)
{
	(void)state;
	return temp_dir_remove(&home);
}

/* --- space --- */

static unsigned files_in_home(void)
{
	unsigned count = 0;
	DIR *directory = opendir(home.path);
	for (const struct dirent *entry; (entry = readdir(directory));)
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}

static void test_regions_move_to_files(void **state)
{
	(void)state;
	struct space space;
	space_init(&space, home.path, 64 << 10);
	struct region a = { 0 }, b = { 0 };
	assert_int_equal(region_make(&space, &a, 40 << 10, NULL), 0);
	assert_int_equal(a.fd, -1);
	assert_int_equal(region_make(&space, &b, 40 << 10, NULL), 0);
	assert_true(b.fd >= 0); /* the second one did not fit any more */
	assert_int_equal(space.in_memory, 40 << 10);
	assert_int_equal(space.in_files, 40 << 10);
	assert_int_equal(files_in_home(), 0); /* unlinked: nothing is left when the process dies */
	for (size_t i = 0; i < 40 << 10; i++)
		assert_int_equal(((char *)b.data)[i], 0);

	memset(a.data, 7, a.bytes);
	assert_int_equal(region_grow(&space, &a, 1 << 20, NULL), 0); /* moves out of memory */
	assert_true(a.fd >= 0);
	assert_int_equal(((char *)a.data)[(40 << 10) - 1], 7);
	assert_int_equal(((char *)a.data)[40 << 10], 0);
	assert_int_equal(space.in_memory, 0);
	assert_int_equal(region_grow(&space, &a, 2 << 20, NULL), 0);
	assert_int_equal(((char *)a.data)[0], 7);
	assert_int_equal(space.peak_memory, 40 << 10);
	region_free(&space, &a);
	region_free(&space, &b);
	assert_int_equal(space.in_files, 0);
	assert_null(a.data);
	region_free(&space, &a);
}

static void test_no_folder_no_disk(void **state)
{
	(void)state;
	struct space space;
	struct region region = { 0 };
	struct error err = { 0 };
	space_init(&space, "/nowhere", 4096);
	assert_int_equal(region_make(&space, &region, 1 << 20, &err), E_NOT_FOUND);
	assert_non_null(strstr(err.text, "/nowhere"));
	space_init(&space, home.path, 4096);
	assert_int_equal(region_make(&space, &region, SIZE_MAX / 4, &err), E_EXHAUSTED);
	assert_null(region.data);
	assert_int_equal(space.in_memory + space.in_files, 0);
}

/* Large regions that are freed serve others, and the peak is that of what was used at once. */
static void test_freed_memory_is_taken_again(void **state)
{
	(void)state;
	enum { MB = 1 << 20 };
	struct space space;
	space_init(&space, home.path, 64 * MB);
	struct region a = { 0 }, b = { 0 }, c = { 0 };
	assert_int_equal(region_make(&space, &a, 20 * MB, NULL), 0);
	memset(a.data, 7, a.bytes);
	void *was = a.data;
	region_free(&space, &a);
	assert_int_equal(space.in_memory, 0);
	assert_int_equal(region_take(&space, &b, 18 * MB, NULL), 0);
	assert_ptr_equal(b.data, was);
	assert_int_equal(space.in_memory, 20 * MB);
	region_free(&space, &b);
	assert_int_equal(region_take(&space, &b, 5 * MB, NULL), 0); /* far smaller: not from what is kept */
	assert_ptr_not_equal(b.data, was);
	assert_int_equal(region_make(&space, &c, 18 * MB, NULL), 0); /* there is no room left for that */
	for (size_t at = 0; at < c.bytes; at += 4096)
		assert_int_equal(((const char *)c.data)[at], 0);
	assert_int_equal(space.kept_count, 0);
	assert_int_equal(space.peak_memory, 23 * MB);
	region_free(&space, &b);
	region_free(&space, &c);
	space_fini(&space);
}

static void test_pile_grows_into_what_is_kept(void **state)
{
	(void)state;
	struct space space;
	space_init(&space, home.path, 256 << 20);
	struct pile pile = { 0 };
	for (int time = 0; time < 3; time++) {
		for (uint32_t n = 0; n < 5000000; n++) {
			uint32_t *place = pile_extend(&space, &pile, sizeof *place, NULL);
			assert_non_null(place);
			*place = n * 3;
		}
		for (uint32_t n = 0; n < 5000000; n++)
			assert_true(((uint32_t *)pile.region.data)[n] == n * 3);
		pile_free(&space, &pile);
		assert_int_equal(space.in_memory, 0);
		assert_true(space.kept_bytes > 0 && space.kept_bytes <= space.peak_memory);
	}
	space_fini(&space);
}

static void test_pile_keeps_what_was_put(void **state)
{
	(void)state;
	struct space space;
	space_init(&space, home.path, 200 << 10);
	struct pile pile = { 0 };
	for (uint32_t n = 0; n < 100000; n++) {
		uint32_t *place = pile_extend(&space, &pile, sizeof *place, NULL);
		assert_non_null(place);
		*place = n;
	}
	assert_true(pile.region.fd >= 0); /* 400 kB: it began in memory and ended in a file */
	assert_int_equal(pile.used, 400000);
	for (uint32_t n = 0; n < 100000; n++)
		assert_int_equal(((uint32_t *)pile.region.data)[n], n);
	pile_free(&space, &pile);
}

/* --- dictionary --- */

static void test_dictionary(void **state)
{
	(void)state;
	struct space space;
	struct dictionary d;
	space_init(&space, home.path, 1 << 20);
	assert_int_equal(dictionary_init(&space, &d, NULL), 0);
	for (int round = 0; round < 2; round++) {
		for (uint32_t n = 0; n < 5000; n++) {
			char text[16];
			int bytes = snprintf(text, sizeof text, "text %u", n);
			assert_int_equal(dictionary_add(&space, &d, text, (size_t)bytes, NULL), n);
		}
	}
	assert_int_equal(dictionary_add(&space, &d, "", 0, NULL), 5000);
	assert_int_equal(dictionary_add(&space, &d, "", 0, NULL), 5000);
	assert_int_equal(d.count, 5001);
	const uint64_t *offsets = d.offsets.region.data;
	assert_memory_equal((char *)d.bytes.region.data + offsets[42], "text 42", offsets[43] - offsets[42]);
	dictionary_fini(&space, &d);
}

/* --- rank --- */

static int compare_numbers(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static void test_rank(void **state)
{
	(void)state;
	static uint32_t numbers[2000];
	struct rank *rank = malloc(sizeof *rank);
	uint64_t seed = 3;
	for (size_t n = 0; n < 2000; n++)
		numbers[n] = events_fixture_random(&seed, n % 3 ? 70000 : UINT32_MAX);
	for (uint64_t position = 0; position < 2000; position += 37) {
		rank_init(rank);
		for (size_t n = 0; n < 2000; n++)
			rank_count(rank, numbers[n]);
		assert_int_equal(rank->total, 2000);
		rank_narrow(rank, position);
		for (size_t n = 0; n < 2000; n++)
			rank_count(rank, numbers[n]);
		uint32_t found = rank_value(rank);
		qsort(numbers, 2000, sizeof *numbers, compare_numbers);
		assert_int_equal(found, numbers[position]);
	}
	free(rank);
}

static void count_numbers(const void *context, struct rank *rank, uint64_t first, uint64_t end)
{
	const uint32_t *numbers = context;
	for (uint64_t n = first; n < end; n++)
		rank_count(rank, numbers[n]);
}

static void test_rank_by_several_threads(void **state)
{
	(void)state;
	enum { COUNT = 300000 };
	uint32_t *numbers = malloc(COUNT * sizeof *numbers);
	struct rank *rank = malloc(sizeof *rank);
	struct rank_values values = { COUNT, count_numbers, numbers };
	uint64_t seed = 5;
	for (size_t n = 0; n < COUNT; n++)
		numbers[n] = 1000 + events_fixture_random(&seed, n % 2 ? 70000 : UINT32_MAX - 1000);
	uint32_t found[4];
	for (uint32_t threads = 1; threads <= 4; threads++) {
		rank_init(rank);
		assert_int_equal(rank_count_all(rank, &values, threads), 0);
		assert_int_equal(rank->total, COUNT);
		rank_narrow(rank, COUNT / 3);
		assert_int_equal(rank_count_all(rank, &values, threads), 0);
		found[threads - 1] = rank_value(rank);
	}
	qsort(numbers, COUNT, sizeof *numbers, compare_numbers);
	assert_int_equal(rank->least, numbers[0]);
	for (size_t t = 0; t < 4; t++)
		assert_int_equal(found[t], numbers[COUNT / 3]);
	free(numbers);
	free(rank);
}

/* --- params --- */

static void test_params(void **state)
{
	(void)state;
	struct params params = params_default();
	struct error err = { 0 };
	assert_int_equal(params_set(&params, "age_days=12.5", &err), 0);
	assert_true(params.age_days > 12.4 && params.age_days < 12.6);
	static const char *const wrong[] = { "age_days",     "age_days=",         "age_days=x",
					     "age_days=1x",  "age_days=-1",       "age_days=nan",
					     "rank_decay=0", "profile_items=257", "neighbours=0" };
	for (size_t n = 0; n < sizeof wrong / sizeof *wrong; n++) {
		assert_int_equal(params_set(&params, wrong[n], &err), E_INVALID);
		assert_non_null(strstr(err.text, "from"));
	}
	assert_int_equal(params_set(&params, "age=3", &err), E_INVALID);
	assert_non_null(strstr(err.text, "age_days")); /* says what there is */
	assert_int_equal(params_set(&params, "", &err), E_INVALID);

	json_t *json = params_json(&params);
	assert_true(json_real_value(json_object_get(json, "age_days")) > 12.4);
	assert_true(json_object_size(json) > 20);
	json_decref(json);
	char *help = params_help("Parameters:");
	assert_memory_equal(help, "Parameters:\n", 12);
	assert_non_null(strstr(help, "rank_decay"));
	free(help);
}

/* --- plan --- */

static Kindred__V1__Definition definition(const char *name, const char *catalog, Kindred__V1__EventWeight **events,
					  size_t count)
{
	Kindred__V1__Definition made = KINDRED__V1__DEFINITION__INIT;
	made.name = (char *)name;
	made.catalog = (char *)catalog;
	made.events = events;
	made.n_events = count;
	return made;
}

static void test_plan_shares_relations(void **state)
{
	(void)state;
	Kindred__V1__EventWeight viewed = KINDRED__V1__EVENT_WEIGHT__INIT, bought = KINDRED__V1__EVENT_WEIGHT__INIT;
	viewed.type = (char *)"Viewed";
	bought.type = (char *)"Purchased";
	bought.weight = 5;
	Kindred__V1__EventWeight *both[] = { &viewed, &bought }, *turned[] = { &bought, &viewed };
	Google__Protobuf__Duration month = GOOGLE__PROTOBUF__DURATION__INIT;
	month.seconds = 30 * 86400;
	Kindred__V1__Definition a = definition("a", "shop", both, 2), b = definition("b", "shop", turned, 2),
				c = definition("c", "shop", &both[1], 1), d = definition("d", "films", both, 1),
				e = definition("e", "shop", both, 2);
	c.strategy = KINDRED__V1__STRATEGY__STRATEGY_POPULAR;
	e.model_window = &month;
	Kindred__V1__Definition *all[] = { &a, &b, &c, &d, &e };
	struct plan plan = { 0 };
	assert_int_equal(plan_from(&plan, all, 5, NULL), 0);
	assert_int_equal(plan.catalog_count, 2);
	assert_string_equal(plan.catalogs[0].name, "films");
	const struct plan_catalog *shop = &plan.catalogs[1];
	assert_int_equal(shop->relation_count, 3);
	const struct plan_relation *shared = &shop->relations[0];
	assert_int_equal(shared->definition_count, 2); /* a and b say the same in another order */
	assert_string_equal(shared->definitions[1], "b");
	assert_true(shared->learn);
	assert_int_equal(shared->window_s, 0);
	assert_true(shared->weights[plan_type(shop, "Viewed")] == 1 &&
		    shared->weights[plan_type(shop, "Purchased")] == 5);
	assert_true(shared->largest == 5);
	assert_false(shop->relations[1].learn);
	assert_true(shop->relations[1].weights[plan_type(shop, "Viewed")] == 0);
	assert_int_equal(shop->relations[2].window_s, 30 * 86400);
	assert_int_equal(plan_type(shop, "Returned"), PLAN_NO_TYPE);
	plan_fini(&plan);

	struct error err = { 0 };
	assert_int_equal(plan_from(&plan, NULL, 0, &err), E_PRECONDITION);
	assert_non_null(strstr(err.text, "kindred define"));
	plan_fini(&plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_regions_move_to_files),
		cmocka_unit_test(test_no_folder_no_disk),
		cmocka_unit_test(test_freed_memory_is_taken_again),
		cmocka_unit_test(test_pile_grows_into_what_is_kept),
		cmocka_unit_test(test_pile_keeps_what_was_put),
		cmocka_unit_test(test_dictionary),
		cmocka_unit_test(test_rank),
		cmocka_unit_test(test_rank_by_several_threads),
		cmocka_unit_test(test_params),
		cmocka_unit_test(test_plan_shares_relations),
	};
	return cmocka_run_group_tests(tests, make_home, remove_home);
}
