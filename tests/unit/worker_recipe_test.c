/* From a definition to something that can be served: weights, columns, what a generation must have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/relation.h"
#include "lib/model_fixture.h"
#include "lib/temp_dir.h"
#include "worker/recipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VIEWED_KEY "Added=3;Purchased=4;Viewed=1|window=0"

struct world {
	struct temp_dir dir;
	struct generation generation;
	struct overlay overlay;
	struct rules rules;
	Kindred__V1__Catalog catalog;
	Kindred__V1__AttributeSchema attributes[3], *attribute_list[3];
};

static int setup(void **state)
{
	static struct world world;
	char path[PATH_MAX];
	struct error err;
	memset(&world, 0, sizeof world);
	assert_int_equal(temp_dir_make(&world.dir), 0);
	struct fixture_model *fixture = fixture_shop_new(VIEWED_KEY, 0);
	fixture_model_write(fixture, world.dir.path, 3, path);
	fixture_model_free(fixture);
	assert_int_equal(model_open(&world.generation.model, path, true, &err), 0);
	world.generation.number = 3;
	world.generation.refs = 1;
	world.generation.overlays = &world.overlay;
	overlay_init(&world.overlay, &world.generation.model->catalogs[0]);
	/* in another order than the generation's columns, and one that came later */
	static const char *const names[] = { "category", "colour", "price" };
	static const Kindred__V1__AttributeType types[] = { KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_STRING,
							    KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_STRING,
							    KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_NUMBER };
	kindred__v1__catalog__init(&world.catalog);
	world.catalog.name = (char *)"shop";
	world.catalog.n_attributes = 3;
	world.catalog.attributes = world.attribute_list;
	for (size_t i = 0; i < 3; i++) {
		kindred__v1__attribute_schema__init(&world.attributes[i]);
		world.attributes[i].name = (char *)names[i];
		world.attributes[i].type = types[i];
		world.attribute_list[i] = &world.attributes[i];
	}
	assert_int_equal(rules_catalog_set(&world.rules, &world.catalog, 1, &err), 0);
	*state = &world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;
	rules_fini(&world->rules);
	assert_int_equal(world->generation.refs, 1);
	overlay_fini(&world->overlay);
	model_close(world->generation.model);
	temp_dir_remove(&world->dir);
	return 0;
}

/* On the heap, as the rules own it. */
static Kindred__V1__Definition *definition_new(const char *name, const char *filter)
{
	static const struct {
		const char *type;
		float weight;
	} events[] = { { "Viewed", 0 }, { "Purchased", 4 }, { "Added", 3 } };
	Kindred__V1__Definition *definition = malloc(sizeof *definition);
	kindred__v1__definition__init(definition);
	definition->name = strdup(name);
	definition->catalog = strdup("shop");
	definition->filter = strdup(filter);
	definition->version = 9;
	definition->n_events = 3;
	definition->events = calloc(3, sizeof(Kindred__V1__EventWeight *));
	for (size_t i = 0; i < 3; i++) {
		definition->events[i] = malloc(sizeof **definition->events);
		kindred__v1__event_weight__init(definition->events[i]);
		definition->events[i]->type = strdup(events[i].type);
		definition->events[i]->weight = events[i].weight;
	}
	return definition;
}

static int find(struct world *world, const char *name, struct recipe **recipe, struct error *err)
{
	return recipe_find(recipe, &world->rules, &world->generation, 4, name, strlen(name), err);
}

static uint16_t rule_of(const struct recipe *recipe, const char *type)
{
	for (uint32_t i = 0; i < recipe->type_count; i++)
		if (strcmp(recipe->types[i].name, type) == 0)
			return recipe->types[i].rule;
	return 0;
}

static void test_weights_and_exclusions(void **state)
{
	struct world *world = *state;
	struct recipe *recipe;
	struct error err;
	Kindred__V1__Definition *definition = definition_new("next", "");
	definition->n_exclude_events = 2;
	definition->exclude_events = calloc(2, sizeof(char *));
	definition->exclude_events[0] = strdup("Purchased");
	definition->exclude_events[1] = strdup("Returned");
	assert_int_equal(rules_definition_set(&world->rules, definition, &err), 0);
	assert_int_equal(find(world, "next", &recipe, &err), 0);
	assert_int_equal(recipe->type_count, 4);
	assert_int_equal(rule_of(recipe, "Purchased"), 4096 | RECIPE_EXCLUDES);
	assert_int_equal(rule_of(recipe, "Added"), 3072);
	assert_int_equal(rule_of(recipe, "Viewed"), 1024); /* 0 is 1 */
	assert_int_equal(rule_of(recipe, "Returned"), RECIPE_EXCLUDES);
	assert_int_equal(recipe->count, 20);
	assert_true(recipe->fill && recipe->fill_recent && !recipe->fill_unfiltered);
	assert_true(recipe->personal);
	assert_string_equal(recipe->relation->key, VIEWED_KEY);
}

static void test_columns_are_found_by_name(void **state)
{
	struct world *world = *state;
	struct recipe *recipe;
	struct error err;
	Kindred__V1__Definition *definition =
		definition_new("next", "category = 'odd' AND NOT colour = 'red' AND price > 25");
	assert_int_equal(rules_definition_set(&world->rules, definition, &err), 0);
	assert_int_equal(find(world, "next", &recipe, &err), 0);
	for (uint32_t row = 0; row < 8; row++) {
		struct recipe_item item = { .recipe = recipe, .row = row };
		assert_int_equal(filter_match(recipe->filter, recipe_value, &item, NULL),
				 row == 3 || row == 5 || row == 7);
	}
}

static void test_what_the_generation_must_have(void **state)
{
	struct world *world = *state;
	struct recipe *recipe, *again;
	struct error err;
	assert_int_equal(rules_definition_set(&world->rules, definition_new("next", ""), &err), 0);
	Kindred__V1__Definition *other = definition_new("other", "");
	other->events[0]->weight = 2;
	assert_int_equal(rules_definition_set(&world->rules, other, &err), 0);
	assert_int_equal(find(world, "none", &recipe, &err), E_NOT_FOUND);
	assert_int_equal(find(world, "", &recipe, &err), E_INVALID);
	assert_int_equal(find(world, "other", &recipe, &err), E_PRECONDITION);
	assert_non_null(strstr(err.text, "definition 'other' version 9 is not in model generation 3"));
	assert_non_null(strstr(err.text, "kindred model build"));
	assert_int_equal(recipe_find(&recipe, &world->rules, NULL, 4, "next", 4, &err), E_PRECONDITION);
	assert_non_null(strstr(err.text, "no model yet"));

	/* kept until something changes */
	assert_int_equal(find(world, "next", &recipe, &err), 0);
	assert_int_equal(find(world, "next", &again, &err), 0);
	assert_ptr_equal(recipe, again);
	recipe_ref(recipe);
	assert_int_equal(rules_catalog_set(&world->rules, &world->catalog, 1, &err), 0);
	assert_int_equal(find(world, "next", &again, &err), 0);
	assert_ptr_not_equal(recipe, again);
	recipe_unref(recipe);

	/* made before the clock was set back: it is the one that was learnt all the same */
	Google__Protobuf__Timestamp created = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	created.seconds = world->generation.model->head->create_ms / 1000 + 1;
	world->catalog.create_time = &created;
	assert_int_equal(rules_catalog_set(&world->rules, &world->catalog, 1, &err), 0);
	assert_int_equal(find(world, "next", &recipe, &err), 0);

	/* a catalog deleted and made again is not, whatever its time says */
	created.seconds -= 1000;
	assert_int_equal(rules_catalog_set(&world->rules, &world->catalog, 2, &err), 0);
	assert_int_equal(find(world, "next", &recipe, &err), E_PRECONDITION);
	rules_catalog_drop(&world->rules, "shop");
	assert_int_equal(find(world, "next", &recipe, &err), E_PRECONDITION);
	assert_non_null(strstr(err.text, "its catalog 'shop' is gone"));
}

static void test_many_names(void **state)
{
	enum { NAMES = 300 };
	struct world *world = *state;
	struct error err;
	char name[16];
	for (int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof name, "d%d", i * 7919 % NAMES);
		assert_int_equal(rules_definition_set(&world->rules, definition_new(name, ""), &err), 0);
	}
	for (int i = 0; i < NAMES; i += 2) {
		snprintf(name, sizeof name, "d%d", i);
		rules_definition_drop(&world->rules, name);
		rules_definition_drop(&world->rules, name);
	}
	for (int i = 0; i < NAMES; i++) {
		int bytes = snprintf(name, sizeof name, "d%d", i);
		const struct definition *found = rules_definition(&world->rules, name, (size_t)bytes);
		assert_int_equal(found != NULL, i % 2);
		if (found)
			assert_string_equal(found->message->name, name);
	}
	/* a name with a NUL in it is not the name before the NUL, and nothing past the names we have is read for it */
	enum { LONG = 4000000 };
	char *longer = calloc(LONG, 1);
	memcpy(longer, "d1", 2);
	assert_non_null(rules_definition(&world->rules, longer, 2));
	assert_null(rules_definition(&world->rules, longer, 3));
	assert_null(rules_definition(&world->rules, longer, LONG));
	assert_null(rules_definition(&world->rules, "", 0));
	free(longer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_weights_and_exclusions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_columns_are_found_by_name, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_the_generation_must_have, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_names, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
