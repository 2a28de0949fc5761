/* Items with too few events: what they are like, whose neighbours they are, and that what was learnt stays as it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "builder/attributes.h"
#include "builder/cold.h"
#include "lib/build_fixture.h"
#include "lib/model_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW BUILD_FIXTURE_NOW_MS
#define MINUTE 60000
#define ESTABLISHED 24u
#define ITEMS 30u

/* --- likeness --- */

static struct temp_dir home;
static struct space space;
static struct model *model;
static struct attributes attributes;
static struct attributes_asker asker;

static void read_shop(void)
{
	static const char *const items[][3] = {
		/* name, brand, colours */
		{ "Korva Strike soccer shoes", "Korva", "red|white" }, /* 0 */
		{ "KORVA strike, Soccer-Shoes for children", "Korva", "red" },
		{ "Tea pot of glass", "Ember", "clear" }, /* 2 */
		{ "Tea cup of glass", "Ember", "clear" },
		{ "Tea cup for children", "Ember", "white" }, /* 4 */
		{ "Running shoes", "Pace", "red" },
		{ "Running socks", "Pace", "white" },
		{ "Lamp", "", "" }, /* 7: nothing that another has */
	};
	char path[PATH_MAX];
	struct error err = { 0 };
	assert_int_equal(temp_dir_make(&home), 0);
	struct fixture_model *fixture = fixture_model_new("shop", "Viewed=1|window=0");
	fixture_attribute(fixture, "brand", VALUE_STRING);
	fixture_attribute(fixture, "colours", VALUE_STRING_LIST);
	for (uint32_t i = 0; i < 8; i++) {
		char id[8];
		snprintf(id, sizeof id, "i%u", i);
		uint32_t row = fixture_item(fixture, id, items[i][0]);
		if (*items[i][1])
			fixture_string(fixture, row, "brand", items[i][1]);
		if (*items[i][2])
			fixture_list(fixture, row, "colours", items[i][2]);
	}
	fixture_model_write(fixture, home.path, 1, path);
	fixture_model_free(fixture);
	assert_int_equal(model_open(&model, path, true, &err), 0);
	space_init(&space, home.path, 1u << 30);
	assert_int_equal(attributes_make(&attributes, &space, &model->catalogs[0], &err), 0);
	assert_int_equal(attributes_asker_init(&asker, &attributes), 0);
}

static void forget_shop(void)
{
	attributes_asker_fini(&asker);
	attributes_free(&attributes);
	model_close(model);
	temp_dir_remove(&home);
}

static void test_likeness_by_what_is_rare(void **state)
{
	struct alike found[8];
	(void)state;
	read_shop();
	/* brand, five words but the one that nobody has, one of two colours; then shoes, which are also red */
	uint32_t count = attributes_ask(&attributes, &asker, 0, found, 8);
	assert_true(count >= 2);
	assert_int_equal(found[0].row, 1);
	assert_true(found[0].likeness > 0.5f && found[0].likeness < 1);
	assert_int_equal(found[1].row, 5);
	assert_true(found[1].likeness < found[0].likeness);
	for (uint32_t n = 0; n < count; n++)
		assert_int_not_equal(found[n].row, 0);
	/* both ways the same, and the room is kept to */
	float there = found[0].likeness;
	assert_int_equal(attributes_ask(&attributes, &asker, 1, found, 1), 1);
	assert_int_equal(found[0].row, 0);
	assert_true(found[0].likeness == there);
	/* tea, glass, brand and colour */
	assert_true(attributes_ask(&attributes, &asker, 2, found, 8) >= 2);
	assert_int_equal(found[0].row, 3);
	assert_int_equal(found[1].row, 4);
	assert_int_equal(attributes_ask(&attributes, &asker, 7, found, 8), 0);
	forget_shop();
}

/* --- in a build --- */

static struct build_fixture fixture;

static int set_up(void **state)
{
	(void)state;
	build_fixture_init(&fixture, 4);
	build_fixture_catalog(&fixture, "shop", ITEMS); /* category c<number mod 3> */
	build_fixture_define(&fixture, "next", "shop", "Viewed=1", 0, false);
	for (unsigned u = 0; u < 200; u++) /* each looks at four of one category */
		for (unsigned n = 0; n < 4; n++) {
			char user[16], item[16];
			snprintf(user, sizeof user, "user-%u", u);
			snprintf(item, sizeof item, "i%u", (u % 3 + 3 * (u / 3 + n * (1 + u % 2))) % ESTABLISHED);
			build_fixture_event(&fixture, user, "shop", item, "Viewed", NOW - (200 - u) * 20 * MINUTE + n);
		}
	/* one event is not enough to be learnt from */
	build_fixture_event(&fixture, "user-0", "shop", "i24", "Viewed", NOW - MINUTE);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	build_fixture_fini(&fixture);
	return 0;
}

static struct model *build_with(double attribute_events)
{
	struct error err = { 0 };
	struct build_options options = build_fixture_options();
	options.params.attribute_events = attribute_events;
	options.params_as_given = true;
	if (build_fixture_build(&fixture, &options, &err))
		fail_msg("%s", err.text);
	return build_fixture_open(&fixture);
}

static uint32_t weight_at(const struct model_relation *relation, uint64_t at)
{
	return model_entry_weight(relation->entries[at], relation->row_mask);
}

static unsigned number_of(const struct model_catalog *catalog, uint32_t row)
{
	return (unsigned)atoi(model_item_id(catalog, row).data + 1);
}

static void test_cold_items_have_neighbours_both_ways(void **state)
{
	(void)state;
	struct model *plain = build_with(0), *with = build_with(5);
	const struct model_catalog *shop = &with->catalogs[0];
	const struct model_relation *learnt = &plain->catalogs[0].relations[0], *joined = &shop->relations[0];
	unsigned cold = 0, guests = 0;
	assert_null(learnt->by_attributes);
	assert_null(learnt->cold);
	assert_non_null(joined->by_attributes);
	assert_int_equal(joined->cold_count, ITEMS - ESTABLISHED);
	for (uint32_t row = 0; row < ITEMS; row++) {
		uint64_t first = joined->offsets[row], end = joined->offsets[row + 1];
		uint64_t old = learnt->offsets[row], count = learnt->offsets[row + 1] - old;
		unsigned number = number_of(shop, row), similar = 0;
		assert_int_equal(model_bit(joined->cold, row), number >= ESTABLISHED);
		for (uint64_t at = first; at < end; at++) {
			if (!model_bit(joined->by_attributes, at))
				continue;
			similar++;
			/* the category is all they share that is rare enough */
			assert_int_equal(number_of(shop, model_entry_row(joined->entries[at], joined->row_mask)) % 3,
					 number % 3);
		}
		if (number >= ESTABLISHED) {
			cold++;
			assert_true(similar > 0 && similar <= COLD_NEIGHBOURS);
			continue;
		}
		/* the learnt ones as they were, with their weights; the others behind, much lighter */
		assert_true(count > 0 && end - first == count + similar && similar <= COLD_PLACES);
		assert_memory_equal(joined->entries + first, learnt->entries + old, count * sizeof *learnt->entries);
		for (uint64_t at = first + count; at < end; at++) {
			assert_true(model_bit(joined->cold, model_entry_row(joined->entries[at], joined->row_mask)));
			assert_true(2 * weight_at(joined, at) <= weight_at(joined, first + count - 1));
			guests++;
		}
	}
	assert_int_equal(cold, ITEMS - ESTABLISHED);
	assert_true(guests >= cold);
	model_close(plain);
	model_close(with);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_likeness_by_what_is_rare),
		cmocka_unit_test_setup_teardown(test_cold_items_have_neighbours_both_ways, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
