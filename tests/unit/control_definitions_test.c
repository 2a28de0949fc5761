#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "lib/control_fixture.h"

typedef int (*change_call)(struct control *control, const Kindred__V1__Definition *definition, int64_t now_ms,
			   Kindred__V1__Definition **made, struct error *err);

/* Returns the version made. */
static uint64_t ok(change_call change, const Kindred__V1__Definition *definition, int64_t now_ms)
{
	Kindred__V1__Definition *made;
	struct error err;
	uint64_t version;

	if (change(control, definition, now_ms, &made, &err) != 0)
		fail_msg("%s", err.text);
	version = made->version;
	assert_int_equal(made->update_time->seconds, now_ms / 1000);
	kindred__v1__definition__free_unpacked(made, NULL);
	return version;
}

static void refused(change_call change, const Kindred__V1__Definition *definition, int code, const char *part)
{
	Kindred__V1__Definition *made;
	struct error err;

	assert_int_equal(change(control, definition, 0, &made, &err), code);
	assert_part(err.text, part);
	assert_null(made);
}

static int setup(void **state)
{
	int rc = control_setup(state);

	if (rc == 0)
		make_shop("shop");
	return rc;
}

static void definition_is_kept_whole(void **state)
{
	Kindred__V1__Definition *given = a_definition("next", "shop"), *kept;
	Google__Protobuf__Duration lookback = GOOGLE__PROTOBUF__DURATION__INIT;
	Kindred__V1__Fallback fallback = KINDRED__V1__FALLBACK__INIT;
	char *exclude[] = { (char *)"Purchased" };

	(void)state;
	add_event(given, "Added to Cart", 3);
	add_event(given, "Purchased", 0);
	lookback.seconds = 86400;
	lookback.nanos = 500000000;
	fallback.kind = KINDRED__V1__FALLBACK_KIND__FALLBACK_KIND_POPULAR;
	fallback.ignore_filter = true;
	given->lookback = &lookback;
	given->filter = (char *)"in_stock = true AND price < 50 AND category = last.category";
	given->exclude_events = exclude;
	given->n_exclude_events = 1;
	given->exclude_seen = true;
	given->repeat = KINDRED__V1__REPEAT__REPEAT_OFF;
	given->explore = 0.1f;
	given->count = 12;
	given->fallback = &fallback;
	given->description = (char *)"What next";
	given->version = 99; /* output only */
	assert_int_equal(ok(control_definition_create, given, 7000), 1);
	control_reopen();
	assert_int_equal(control_definition_get(control, "next", 0, &kept, NULL), 0);
	assert_string_equal(kept->catalog, "shop");
	assert_int_equal(kept->n_events, 3);
	assert_string_equal(kept->events[1]->type, "Added to Cart");
	assert_true(kept->events[1]->weight == 3);
	assert_int_equal(kept->lookback->nanos, 500000000);
	assert_null(kept->model_window);
	assert_string_equal(kept->filter, given->filter);
	assert_string_equal(kept->exclude_events[0], "Purchased");
	assert_true(kept->exclude_seen);
	assert_true(kept->explore == 0.1f);
	assert_int_equal(kept->repeat, KINDRED__V1__REPEAT__REPEAT_OFF);
	assert_int_equal(kept->count, 12);
	assert_int_equal(kept->fallback->kind, KINDRED__V1__FALLBACK_KIND__FALLBACK_KIND_POPULAR);
	assert_true(kept->fallback->ignore_filter);
	assert_string_equal(kept->description, "What next");
	assert_int_equal(kept->version, 1);
	assert_int_equal(kept->create_time->seconds, 7);
	kindred__v1__definition__free_unpacked(kept, NULL);
}

static void bad_rules_are_refused_with_the_field(void **state)
{
	Kindred__V1__Definition *given = a_definition("Next", "shop"), *none;
	Google__Protobuf__Duration duration = GOOGLE__PROTOBUF__DURATION__INIT;
	Kindred__V1__Fallback fallback = KINDRED__V1__FALLBACK__INIT;
	char *exclude[101];
	struct error err;

	(void)state;
#define REFUSED(part) refused(control_definition_create, given, E_INVALID, part)
	REFUSED("Next");
	given->name = (char *)"";
	REFUSED("empty");
	given->name = long_text(65, 'n');
	REFUSED("65 bytes");
	given->name = (char *)"next";
	given->catalog = (char *)"";
	REFUSED("catalog");
	given->catalog = (char *)"zoo";
	refused(control_definition_create, given, E_NOT_FOUND, "\"zoo\"");
	given->catalog = (char *)"shop";
	given->strategy = 3;
	REFUSED("strategy: 3; 0 to 2");
	given->strategy = 0;
	given->repeat = 3;
	REFUSED("repeat: 3; 0 to 2");
	given->repeat = 0;
	given->explore = 0.51f;
	REFUSED("explore: 0.51; a share from 0 to 0.5");
	given->explore = -0.1f;
	REFUSED("explore");
	given->explore = NAN;
	REFUSED("explore");
	given->explore = 0;
	given->n_events = 0;
	REFUSED("events: 0; 1 to 16");
	for (size_t i = 0; i < 17; i++)
		add_event(given, "Viewed", 1);
	REFUSED("events: 17");
	given->n_events = 2;
	REFUSED("\"Viewed\" is named twice");
	given->events[1]->type = long_text(65, 't');
	REFUSED("events.type: 65 bytes");
	given->events[1]->type = (char *)"\xff";
	REFUSED("events.type");
	given->events[1]->type = (char *)"Purchased";
	given->events[1]->weight = -1;
	REFUSED("\"Purchased\" has weight -1");
	given->events[1]->weight = 1001;
	REFUSED("at most 1000");
	given->events[1]->weight = NAN;
	REFUSED("weight");
	given->events[1]->weight = 5;
	given->lookback = &duration;
	duration.seconds = -1;
	REFUSED("lookback: -1 seconds");
	duration.seconds = INT64_MAX;
	REFUSED("lookback");
	duration.seconds = 1;
	duration.nanos = -1;
	REFUSED("lookback");
	given->lookback = NULL;
	given->model_window = &duration;
	duration.nanos = 500000000;
	REFUSED("model_window: 1.500000000 seconds; whole seconds");
	duration.seconds = -1;
	duration.nanos = 0;
	REFUSED("model_window");
	given->model_window = NULL;
	given->occasion = (Kindred__V1__Occasion)4;
	REFUSED("occasion: 4; 0 to 3");
	given->occasion = KINDRED__V1__OCCASION__OCCASION_UNSPECIFIED;
	duration = (Google__Protobuf__Duration)GOOGLE__PROTOBUF__DURATION__INIT;
	given->session_pause = &duration;
	duration.seconds = 59;
	REFUSED("session_pause: 59 seconds; 0 (no sessions) or 60 to 2592000");
	given->session_pause = NULL;
	given->filter = long_text(4097, ' ');
	REFUSED("filter: 4097 bytes");
	given->filter = (char *)"";
	for (size_t i = 0; i < 101; i++)
		exclude[i] = (char *)"Viewed";
	given->exclude_events = exclude;
	given->n_exclude_events = 101;
	REFUSED("exclude_events: 101; at most 100");
	given->n_exclude_events = 1;
	exclude[0] = (char *)"";
	REFUSED("exclude_events: empty");
	given->n_exclude_events = 0;
	given->count = 1001;
	REFUSED("count: 1001; 1 to 1000");
	given->count = 0;
	given->fallback = &fallback;
	fallback.kind = 4;
	REFUSED("fallback.kind: 4");
	given->fallback = NULL;
	given->description = long_text(1025, 'd');
	REFUSED("description: 1025 bytes; at most 1024 are allowed");
	given->description = (char *)"";
#undef REFUSED
	assert_int_equal(control_definition_get(control, "next", 0, &none, &err), E_NOT_FOUND);
	assert_int_equal(ok(control_definition_create, given, 0), 1);
}

static void filter_is_compiled_against_the_schema(void **state)
{
	Kindred__V1__AttributeSchema brand = KINDRED__V1__ATTRIBUTE_SCHEMA__INIT, *added = &brand;
	Kindred__V1__Definition *given = a_definition("next", "shop");
	Kindred__V1__Catalog *catalog;

	(void)state;
	given->filter = (char *)"price < \"cheap\"";
	refused(control_definition_create, given, E_INVALID, "character");
	given->filter = (char *)"price < 5 AND";
	refused(control_definition_create, given, E_INVALID, "filter, character");
	given->filter = (char *)"brand = \"Kick\"";
	refused(control_definition_create, given, E_INVALID, "brand");
	brand.name = (char *)"brand";
	brand.type = KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_STRING;
	assert_int_equal(control_catalog_add_attributes(control, "shop", 1, &added, 0, &catalog, NULL), 0);
	kindred__v1__catalog__free_unpacked(catalog, NULL);
	assert_int_equal(ok(control_definition_create, given, 0), 1);
	given->filter = (char *)"in_stock < true";
	refused(control_definition_update, given, E_INVALID, "filter");
}

static void updates_are_versions(void **state)
{
	Kindred__V1__Definition *given = a_definition("next", "shop"), *kept;
	struct error err;

	(void)state;
	refused(control_definition_update, given, E_NOT_FOUND, "\"next\"");
	given->count = 10;
	assert_int_equal(ok(control_definition_create, given, 1000), 1);
	refused(control_definition_create, given, E_EXISTS, "\"next\"");
	given->count = 20;
	assert_int_equal(ok(control_definition_update, given, 2000), 2);
	given->count = 30;
	given->catalog = (char *)""; /* the one it has */
	assert_int_equal(ok(control_definition_update, given, 3000), 3);
	make_shop("zoo");
	given->catalog = (char *)"zoo";
	refused(control_definition_update, given, E_INVALID, "\"shop\", which cannot change");

	assert_int_equal(control_definition_get(control, "next", 0, &kept, &err), 0);
	assert_int_equal(kept->version, 3);
	assert_int_equal(kept->count, 30);
	assert_string_equal(kept->catalog, "shop");
	assert_int_equal(kept->create_time->seconds, 1);
	assert_int_equal(kept->update_time->seconds, 3);
	kindred__v1__definition__free_unpacked(kept, NULL);
	assert_int_equal(control_definition_get(control, "next", 1, &kept, &err), 0);
	assert_int_equal(kept->version, 1);
	assert_int_equal(kept->count, 10);
	kindred__v1__definition__free_unpacked(kept, NULL);
	assert_int_equal(control_definition_get(control, "next", 4, &kept, &err), E_NOT_FOUND);
	assert_part(err.text, "no version 4");
}

static void deletion_is_whole_and_versions_go_on(void **state)
{
	Kindred__V1__Definition *given = a_definition("next", "shop"), *kept;
	struct error err;

	(void)state;
	ok(control_definition_create, a_definition("nex", "shop"), 0);
	ok(control_definition_create, a_definition("next-one", "shop"), 0);
	ok(control_definition_create, a_definition("nexu", "shop"), 0);
	ok(control_definition_create, a_definition("nexv", "shop"), 0);
	ok(control_definition_create, given, 0);
	ok(control_definition_update, given, 0);
	assert_int_equal(control_definition_delete(control, "next", &err), 0);
	assert_int_equal(control_definition_delete(control, "nexu", &err), 0);
	assert_int_equal(control_definition_get(control, "next", 0, &kept, &err), E_NOT_FOUND);
	assert_int_equal(control_definition_get(control, "next", 2, &kept, &err), E_NOT_FOUND);
	assert_int_equal(control_definition_delete(control, "next", &err), E_NOT_FOUND);
	refused(control_definition_update, given, E_NOT_FOUND, "\"next\"");
	control_reopen();
	assert_int_equal(ok(control_definition_create, given, 0), 3);
	assert_int_equal(control_definition_get(control, "next", 2, &kept, &err), E_NOT_FOUND);
	/* those of names that begin alike are whole */
	assert_int_equal(control_definition_get(control, "nex", 1, &kept, &err), 0);
	kindred__v1__definition__free_unpacked(kept, NULL);
	assert_int_equal(control_definition_get(control, "nexv", 1, &kept, &err), 0);
	kindred__v1__definition__free_unpacked(kept, NULL);
	assert_int_equal(control_definition_get(control, "next-one", 0, &kept, &err), 0);
	kindred__v1__definition__free_unpacked(kept, NULL);
}

static void list_holds_the_newest_of_the_living(void **state)
{
	Kindred__V1__Definition **definitions;
	struct error err;
	size_t count;
	bool more;

	(void)state;
	ok(control_definition_create, a_definition("a", "shop"), 0);
	ok(control_definition_create, a_definition("b", "shop"), 0);
	ok(control_definition_create, a_definition("c", "shop"), 0);
	ok(control_definition_create, a_definition("d", "shop"), 0);
	ok(control_definition_update, a_definition("c", "shop"), 0);
	assert_int_equal(control_definition_delete(control, "b", &err), 0);
	assert_int_equal(control_definition_delete(control, "d", &err), 0);
	/* the deleted one after the last is no reason to ask for more */
	assert_int_equal(control_definition_list(control, "", 2, &definitions, &count, &more, &err), 0);
	assert_int_equal(count, 2);
	assert_false(more);
	assert_string_equal(definitions[0]->name, "a");
	assert_string_equal(definitions[1]->name, "c");
	assert_int_equal(definitions[1]->version, 2);
	for (size_t i = 0; i < count; i++)
		kindred__v1__definition__free_unpacked(definitions[i], NULL);
	free(definitions);
	assert_int_equal(control_definition_list(control, "a", 1, &definitions, &count, &more, &err), 0);
	assert_int_equal(count, 1);
	assert_string_equal(definitions[0]->name, "c");
	kindred__v1__definition__free_unpacked(definitions[0], NULL);
	free(definitions);
	assert_int_equal(control_definition_list(control, "", 1, &definitions, &count, &more, &err), 0);
	assert_true(more);
	kindred__v1__definition__free_unpacked(definitions[0], NULL);
	free(definitions);
}

static void used_catalog_stays(void **state)
{
	Kindred__V1__Catalog *catalog;
	char names[20][64];
	struct error err;

	(void)state;
	make_shop("zoo");
	ok(control_definition_create, a_definition("next", "shop"), 0);
	ok(control_definition_create, a_definition("animals", "zoo"), 0);
	assert_int_equal(control_catalog_delete(control, "shop", &err), E_PRECONDITION);
	assert_part(err.text, "definition next: delete it first");
	for (int i = 0; i < 20; i++) {
		snprintf(names[i], sizeof names[i], "a-definition-with-a-rather-long-name-%02d", i);
		ok(control_definition_create, a_definition(names[i], "shop"), 0);
	}
	assert_int_equal(control_catalog_delete(control, "shop", &err), E_PRECONDITION);
	assert_part(err.text, "definitions a-definition-with-a-rather-long-name-00, ");
	assert_part(err.text, " more: delete them first");
	assert_int_equal(control_catalog_get(control, "shop", &catalog, &err), 0);
	kindred__v1__catalog__free_unpacked(catalog, NULL);
	assert_int_equal(control_definition_delete(control, "animals", &err), 0);
	assert_int_equal(control_catalog_delete(control, "zoo", &err), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, control_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(definition_is_kept_whole),
		TEST(bad_rules_are_refused_with_the_field),
		TEST(filter_is_compiled_against_the_schema),
		TEST(updates_are_versions),
		TEST(deletion_is_whole_and_versions_go_on),
		TEST(list_holds_the_newest_of_the_living),
		TEST(used_catalog_stays),
	};

	return cmocka_run_group_tests_name("control_definitions", tests, NULL, NULL);
}
