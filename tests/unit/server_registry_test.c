/* What the server knows by heart of catalogs and definitions. */
#include "server/registry.h"

#include "kindred/internal/link.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void add_catalog(struct registry *registry, const char *name)
{
	Kindred__V1__Catalog catalog = KINDRED__V1__CATALOG__INIT;

	catalog.name = (char *)name;
	assert_non_null(registry_catalog_set(registry, &catalog, 1));
}

static bool has(const struct registry *registry, const char *name)
{
	for (size_t i = 0; i < registry->catalogs.count; i++)
		if (!strcmp(registry->catalogs.entries[i].name, name))
			return true;
	return false;
}

static void test_catalogs(void **state)
{
	struct registry registry = { 0 };
	char name[32];

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "shop-%u", i * 37 % 100);
		add_catalog(&registry, name);
	}
	add_catalog(&registry, "shop-5"); /* again: a new schema */
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "shop-%u", i);
		assert_true(has(&registry, name));
	}
	assert_false(has(&registry, "shop"));
	assert_false(has(&registry, "shop-100"));
	assert_false(has(&registry, ""));
	registry_catalog_drop(&registry, "shop-5");
	registry_catalog_drop(&registry, "never-there");
	assert_false(has(&registry, "shop-5"));
	assert_true(has(&registry, "shop-50"));
	registry_fini(&registry);
}

static const struct buffer *define(struct registry *registry, const char *name, const char *event)
{
	Kindred__V1__Definition definition = KINDRED__V1__DEFINITION__INIT;
	Kindred__V1__EventWeight weight = KINDRED__V1__EVENT_WEIGHT__INIT, *weights[] = { &weight };

	definition.name = (char *)name;
	definition.catalog = "shop";
	definition.events = weights;
	definition.n_events = 1;
	weight.type = (char *)event;
	weight.weight = 1;
	return registry_definition_set(registry, &definition);
}

/* A model that has learnt from "Viewed" only; context: from which version of the shop. */
static bool has_viewed(const void *context, const char *catalog, uint64_t first_version, const char *relation)
{
	const uint64_t *learnt = context;

	return !strcmp(catalog, "shop") && *learnt >= first_version && !strncmp(relation, "Viewed=", 7);
}

static void test_a_definition_that_waits_for_a_model(void **state)
{
	Kindred__V1__Catalog shop = KINDRED__V1__CATALOG__INIT;
	struct registry registry = { 0 };
	uint64_t learnt = 7;

	(void)state;
	assert_false(registry_lacks(&registry, has_viewed, &learnt));
	assert_non_null(define(&registry, "seen", "Viewed"));
	assert_non_null(define(&registry, "also-seen", "Viewed"));
	assert_false(registry_lacks(&registry, has_viewed, &learnt));
	assert_non_null(define(&registry, "bought", "Purchased"));
	assert_true(registry_lacks(&registry, has_viewed, &learnt));
	assert_non_null(define(&registry, "bought", "Viewed")); /* a new version needs no other relation */
	assert_false(registry_lacks(&registry, has_viewed, &learnt));
	assert_non_null(define(&registry, "bought", "Purchased"));
	registry_definition_drop(&registry, "bought");
	assert_false(registry_lacks(&registry, has_viewed, &learnt));

	/* a shop that was deleted and made again waits for a model of its own */
	shop.name = (char *)"shop";
	assert_non_null(registry_catalog_set(&registry, &shop, 3));
	assert_int_equal(registry_first_version(&registry, "shop"), 3);
	assert_false(registry_lacks(&registry, has_viewed, &learnt));
	registry_catalog_drop(&registry, "shop");
	assert_non_null(registry_catalog_set(&registry, &shop, 8));
	assert_true(registry_lacks(&registry, has_viewed, &learnt));
	learnt = 8;
	assert_false(registry_lacks(&registry, has_viewed, &learnt));
	registry_fini(&registry);
}

/* The frame is what a worker reads. */
static void test_frames(void **state)
{
	struct registry registry = { 0 };
	const struct buffer *frame = define(&registry, "seen", "Viewed");
	struct frame_head head;

	(void)state;
	assert_int_equal(frame_next(frame->data, frame->bytes, &head), frame->bytes);
	assert_int_equal(head.kind, FRAME_DEFINITION_SET);
	Kindred__Internal__DefinitionSet *set =
		kindred__internal__definition_set__unpack(NULL, head.bytes, frame->data + sizeof head);
	assert_non_null(set);
	assert_string_equal(set->definition->name, "seen");
	assert_string_equal(set->definition->events[0]->type, "Viewed");
	kindred__internal__definition_set__free_unpacked(set, NULL);
	registry_fini(&registry);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_catalogs),
		cmocka_unit_test(test_a_definition_that_waits_for_a_model),
		cmocka_unit_test(test_frames),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
