/*
 * What a definition makes of one generation, asked of the real kindred-worker: repeats, cold items.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/relation.h"
#include "lib/model_fixture.h"
#include "lib/shop_rules.h"
#include "lib/worker_process.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static struct worker_process process;
static struct shop_rules rules;

static int setup(void **state)
{
	(void)state;
	worker_process_init(&process);
	shop_rules_init(&rules);
	worker_start(&process);
	worker_set_shop(&process);
	worker_set_definition(&process, &rules.definition);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	worker_process_fini(&process);
	return 0;
}

static struct fixture_model *new_shop(void)
{
	char key[RELATION_KEY_MAX];
	relation_key(&rules.definition, key);
	return fixture_shop_new(key, 0);
}

/* Frees the model. */
static void serve(struct fixture_model *fixture, uint64_t number)
{
	char directory[128], path[PATH_MAX];
	snprintf(directory, sizeof directory, "%s/models", process.home.path);
	mkdir(directory, 0700);
	fixture_model_write(fixture, directory, number, path);
	fixture_model_free(fixture);
	worker_serve_generation(&process, path, number);
}

/* The next version of the rules, as they are now. */
static void update_rules(void)
{
	rules.definition.version++;
	worker_set_definition(&process, &rules.definition);
}

static void expect(const char *user, uint32_t count, const char *items)
{
	assert_string_equal(worker_recommends(&process, user, "next", count), items);
}

/* --- repeats --- */

static void repeat(Kindred__V1__Repeat how)
{
	rules.definition.repeat = how;
	update_rules();
}

static void test_repeats_of_a_model_without_self_weight(void **state)
{
	(void)state;
	serve(new_shop(), 1);
	worker_ingest_one(&process, "john", "item-0", "Purchased", 1000);
	expect("john", 3, "item-1 item-2 item-3");
	repeat(KINDRED__V1__REPEAT__REPEAT_OFF);
	expect("john", 3, "item-1 item-2 item-3");
	/* it counts as much as its best neighbour; of equal ones the more popular is first */
	repeat(KINDRED__V1__REPEAT__REPEAT_ON);
	expect("john", 3, "item-0 item-1 item-2");
	Kindred__V1__RecommendResponse *response = worker_recommend(&process, "john", "next", 2);
	assert_int_equal(response->items[0]->score, 60000);
	assert_int_equal(response->items[1]->score, 60000);
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	/* exclusions are stronger */
	rules.definition.exclude_seen = true;
	update_rules();
	expect("john", 3, "item-1 item-2 item-3");
}

static void test_repeats_of_a_model_with_self_weight(void **state)
{
	(void)state;
	struct fixture_model *fixture = new_shop();
	fixture_self_weight(fixture, 0.5);
	serve(fixture, 1);
	worker_ingest_one(&process, "john", "item-0", "Purchased", 1000);
	expect("john", 8, "item-1 item-2 item-3 item-4 item-5 item-6 item-7 item-0");
	/* on: the model's own weight */
	repeat(KINDRED__V1__REPEAT__REPEAT_ON);
	Kindred__V1__RecommendResponse *response = worker_recommend(&process, "john", "next", 8);
	assert_string_equal(response->items[7]->item_id, "item-0");
	assert_int_equal(response->items[7]->score, 30000);
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	/* off: only the fallback knows it */
	repeat(KINDRED__V1__REPEAT__REPEAT_OFF);
	expect("john", 8, "item-1 item-2 item-3 item-4 item-5 item-6 item-7 item-0*");
	/* but a neighbour of another of the user's items is one whoever has it */
	worker_ingest_one(&process, "john", "item-7", "Purchased", 2000);
	expect("john", 8, "item-1 item-2 item-3 item-4 item-5 item-6 item-0 item-7");
}

/* --- cold items --- */

/* The shop of which item-7 is cold: item-0 is like it, and a little of it was learnt with item-1. Nothing else leads to it, or from it. */
static struct fixture_model *new_shop_with_a_cold_item(void)
{
	char key[RELATION_KEY_MAX], id[16];
	relation_key(&rules.definition, key);
	struct fixture_model *fixture = fixture_model_new("shop", key);
	for (uint32_t i = 0; i < 8; i++) {
		snprintf(id, sizeof id, "item-%u", i);
		fixture_item(fixture, id, id);
		fixture_popular(fixture, i, 1000 - i);
	}
	for (uint32_t i = 1; i < 7; i++) {
		fixture_neighbour(fixture, 0, i, (uint16_t)(60000 - 1000 * i));
		fixture_neighbour(fixture, i, 0, 50000);
	}
	fixture_cold(fixture, 7);
	fixture_alike(fixture, 0, 7, 20000);
	fixture_alike(fixture, 7, 0, 30000);
	fixture_alike(fixture, 7, 2, 20000);
	fixture_neighbour(fixture, 1, 7, 10000);
	return fixture;
}

static Kindred__V1__Source source_of(const char *user, const char *item)
{
	Kindred__V1__RecommendResponse *response = worker_recommend(&process, user, "next", 8);
	Kindred__V1__Source source = KINDRED__V1__SOURCE__SOURCE_UNSPECIFIED;
	for (size_t i = 0; i < response->n_items; i++)
		if (strcmp(response->items[i]->item_id, item) == 0)
			source = response->items[i]->source;
	kindred__v1__recommend_response__free_unpacked(response, NULL);
	return source;
}

static void test_sources_of_cold_items(void **state)
{
	(void)state;
	serve(new_shop_with_a_cold_item(), 1);
	worker_ingest_one(&process, "john", "item-0", "Viewed", 1000);
	assert_int_equal(source_of("john", "item-1"), KINDRED__V1__SOURCE__SOURCE_PERSONAL);
	assert_int_equal(source_of("john", "item-7"), KINDRED__V1__SOURCE__SOURCE_SIMILAR);
	/* learnt is stronger than alike */
	worker_ingest_one(&process, "john", "item-1", "Viewed", 2000);
	assert_int_equal(source_of("john", "item-7"), KINDRED__V1__SOURCE__SOURCE_PERSONAL);
	/* from a cold item to others: found by attributes, until something learnt leads there too */
	worker_ingest_one(&process, "jane", "item-7", "Viewed", 1000);
	assert_int_equal(source_of("jane", "item-2"), KINDRED__V1__SOURCE__SOURCE_SIMILAR);
	assert_int_equal(source_of("jane", "item-0"), KINDRED__V1__SOURCE__SOURCE_SIMILAR);
	worker_ingest_one(&process, "jane", "item-3", "Viewed", 2000);
	assert_int_equal(source_of("jane", "item-2"), KINDRED__V1__SOURCE__SOURCE_SIMILAR);
	assert_int_equal(source_of("jane", "item-0"), KINDRED__V1__SOURCE__SOURCE_PERSONAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_repeats_of_a_model_without_self_weight, setup, teardown),
		cmocka_unit_test_setup_teardown(test_repeats_of_a_model_with_self_weight, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sources_of_cold_items, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
