/*
 * What did not change is taken from the active generation, and what is made so is to the byte what a build makes that
 * learns everything. What did change is learnt.
 */
#include "builder/build.h"
#include "common/clock.h"
#include "lib/build_fixture.h"
#include "lib/events_fixture.h"
#include "lib/generation_file.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW BUILD_FIXTURE_NOW_MS
#define MINUTE 60000
#define ITEMS 24u
#define KNOWN 20u /* of them have events */
#define USERS 300u
#define TUNED_USERS 2000u /* enough to ask about */

/* In what a shop can differ from another one. */
enum change {
	NOTHING,
	EVENT, /* one more */
	EVENT_TIME,
	EVENT_TYPE,
	EVENT_WEIGHT,
	EVENT_OWNER,
	EVENT_OF_ANOTHER_TYPE, /* that no relation uses */
	ITEM_NAME,
	ITEM_CATEGORY,
	ITEM_PRICE, /* which nothing is learnt from */
	ITEM_NEW,
	ITEM_GONE,
	WEIGHTS, /* of the definition */
	WINDOW,
	PLACES
};

static struct build_fixture fixture, other;

static int set_up(void **state)
{
	(void)state;
	build_fixture_init(&fixture, 4);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	build_fixture_fini(&fixture);
	return 0;
}

/* --- two shops --- */

/* Users first..end - 1, each with five events of one group of five items. */
static void add_users(struct build_fixture *f, const char *catalog, const char *type, unsigned first, unsigned end)
{
	uint64_t seed = first + 1;
	for (unsigned u = first; u < end; u++)
		for (unsigned n = 0; n < 5; n++) {
			char user[24], item[16];
			int64_t time_ms = NOW - 40 * DAY_MS + (int64_t)u * 39 * DAY_MS / end + n * MINUTE;
			snprintf(user, sizeof user, "user-%u", u);
			snprintf(item, sizeof item, "i%u",
				 u % 4 * 5 + events_fixture_random(&seed, 1 + events_fixture_random(&seed, 5)));
			build_fixture_event(f, user, catalog, item, n == 4 ? "Purchased" : type, time_ms);
		}
}

/* One event of which much can be different. */
static void add_odd_one(struct build_fixture *f, enum change change)
{
	build_fixture_weighed(f, change == EVENT_OWNER ? "user-8" : "user-7", "shop", "i1",
			      change == EVENT_TYPE ? "Purchased" : "Viewed",
			      NOW - 3 * DAY_MS + (change == EVENT_TIME ? MINUTE : 0),
			      change == EVENT_WEIGHT ? 2.5f : 1);
	if (change == EVENT)
		build_fixture_event(f, "user-9", "shop", "i1", "Viewed", NOW - 3 * DAY_MS);
	if (change == EVENT_OF_ANOTHER_TYPE)
		build_fixture_event(f, "user-9", "shop", "i1", "Shared", NOW - 3 * DAY_MS);
}

/* The catalogs "films" and "shop", with two relations each; `change` is one of the shop's. */
static void make_users(struct build_fixture *f, enum change change, unsigned users)
{
	build_fixture_catalog(f, "films", ITEMS);
	build_fixture_catalog(f, "shop", ITEMS);
	build_fixture_define(f, "next", "shop", change == WEIGHTS ? "Viewed=2,Purchased=5" : "Viewed=1,Purchased=5",
			     change == WINDOW ? 20 * 86400 : 0, false);
	build_fixture_define(f, "top", "shop", "Viewed=1", 0, true);
	build_fixture_define(f, "watch", "films", "Watched=1,Purchased=2", 0, false);
	build_fixture_define(f, "watched", "films", "Watched=1", 30 * 86400, true);
	add_users(f, "films", "Watched", 0, users);
	add_users(f, "shop", "Viewed", 0, users);
	add_odd_one(f, change);
	if (change == ITEM_NAME)
		build_fixture_item(f, "shop", 3, "Something else", "c0", 3);
	if (change == ITEM_CATEGORY)
		build_fixture_item(f, "shop", 3, "Item 3", "c1", 3);
	if (change == ITEM_PRICE)
		build_fixture_item(f, "shop", 21, "Item 21", "c0", 99); /* a cold one: it is the newest now */
	if (change == ITEM_NEW)
		build_fixture_item(f, "shop", ITEMS, "Item 24", "c0", 24);
	if (change == ITEM_GONE)
		build_fixture_drop(f, "shop", KNOWN + 2);
	if (change == PLACES)
		build_fixture_show(f, "next", 7);
}

static void make(struct build_fixture *f, enum change change)
{
	make_users(f, change, USERS);
}

/* --- building and looking --- */

static struct model *build_as(struct build_fixture *f, const struct build_options *options)
{
	struct error err = { 0 };
	if (build_fixture_build(f, options, &err))
		fail_msg("%s", err.text);
	return build_fixture_open(f);
}

static struct model *build(struct build_fixture *f)
{
	return build_as(f, NULL);
}

static void build_and_serve(struct build_fixture *f)
{
	struct model *model = build(f);
	uint64_t number = model->head->generation;
	model_close(model);
	build_fixture_serve(f, number, NULL);
}

/* Since which generation the definition's relation is unchanged; 0: it was learnt. */
static uint64_t since(const struct model *model, const char *definition)
{
	for (size_t c = 0; c < model->catalog_count; c++)
		for (size_t r = 0; r < model->catalogs[c].relation_count; r++)
			if (strcmp(model->catalogs[c].relations[r].definitions[0], definition) == 0)
				return model->catalogs[c].relations[r].reused;
	fail_msg("no definition %s", definition);
	return 0;
}

static void assert_since(struct model *model, uint64_t next, uint64_t top, uint64_t watch, uint64_t watched)
{
	assert_int_equal(since(model, "next"), next);
	assert_int_equal(since(model, "top"), top);
	assert_int_equal(since(model, "watch"), watch);
	assert_int_equal(since(model, "watched"), watched);
	model_close(model);
}

/* All that tells a relation that was taken from one that was learnt. */
static void forget_reuse(json_t *meta)
{
	size_t c, r;
	json_t *catalog, *relation;
	json_array_foreach(json_object_get(meta, "catalogs"), c, catalog)
		json_array_foreach(json_object_get(catalog, "relations"), r, relation)
	{
		json_object_del(json_object_get(relation, "notes"), "reused");
		json_object_del(relation, "gate");
	}
}

/* The generation built last is what one is that learns everything from the same with the same options. */
static void assert_as_learnt(struct build_fixture *f, const struct build_options *options)
{
	struct build_options anew = options ? *options : build_fixture_options();
	char path[PATH_MAX];
	strcpy(path, f->path);
	anew.no_reuse = true;
	assert_since(build_as(f, &anew), 0, 0, 0, 0);
	generation_file_same(path, f->path, forget_reuse);
}

static json_t *meta_of_last(void)
{
	struct generation_file file = generation_file_read(fixture.path);
	json_t *meta = generation_file_meta(&file);
	free(file.bytes);
	return meta;
}

/* --- what is taken --- */

static void test_only_what_changed_is_learnt(void **state)
{
	(void)state;
	make(&fixture, NOTHING);
	struct build_options options = build_fixture_options();
	options.threads = 3;
	assert_since(build_as(&fixture, &options), 0, 0, 0, 0);
	build_fixture_serve(&fixture, 1, NULL);
	add_users(&fixture, "shop", "Viewed", USERS, USERS + 50);
	options.threads = 1;
	assert_since(build_as(&fixture, &options), 0, 0, 1, 1);
	assert_as_learnt(&fixture, NULL);

	/* what was taken can be taken again, and is told by who learnt it */
	build_fixture_serve(&fixture, 2, NULL);
	assert_since(build(&fixture), 2, 2, 1, 1);
	assert_as_learnt(&fixture, NULL);
	build_fixture_serve(&fixture, 4, NULL);
	add_users(&fixture, "films", "Watched", USERS, USERS + 1);
	assert_since(build(&fixture), 2, 2, 0, 0);
	assert_as_learnt(&fixture, NULL);
}

static void test_what_the_gate_says(void **state)
{
	(void)state;
	make(&fixture, NOTHING);
	build_and_serve(&fixture);
	struct model *model = build(&fixture);
	const struct model_gate *gate = &model->catalogs[0].relations[0].gate;
	assert_int_equal(gate->verdict, MODEL_UNTESTED);
	assert_int_equal(gate->against, 1);
	assert_string_equal(gate->note, "nothing has changed since generation 1, so it was taken over");
	assert_true(model->catalogs[0].relations[0].evaluation.queries > 20);
	model_close(model);

	struct build_options options = build_fixture_options();
	options.no_gate = true;
	model = build_as(&fixture, &options);
	assert_string_equal(model->catalogs[0].relations[0].gate.note, "");
	assert_since(model, 1, 1, 1, 1);
	assert_as_learnt(&fixture, &options);
}

/* --- what makes it learn --- */

static void test_each_change_is_learnt(void **state)
{
	static const struct {
		const char *what;
		enum change change;
		bool next, top; /* is learnt */
	} cases[] = {
		{ "nothing", NOTHING, false, false },
		{ "an event", EVENT, true, true },
		{ "an event's time", EVENT_TIME, true, true },
		{ "an event's type", EVENT_TYPE, true, true },
		{ "an event's weight", EVENT_WEIGHT, true, true },
		{ "an event's user", EVENT_OWNER, true, true },
		{ "an event that nobody uses", EVENT_OF_ANOTHER_TYPE, false, false },
		{ "an item's name", ITEM_NAME, true, true },
		{ "an item's category", ITEM_CATEGORY, true, true },
		{ "an item's price", ITEM_PRICE, false, false },
		{ "a new item", ITEM_NEW, true, true },
		{ "an item less", ITEM_GONE, true, true },
		{ "weights", WEIGHTS, true, false },
		{ "a window", WINDOW, true, false },
		{ "places", PLACES, true, false },
	};
	char first[PATH_MAX];
	(void)state;
	make(&fixture, NOTHING);
	model_close(build(&fixture));
	strcpy(first, fixture.path);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		build_fixture_init(&other, 4);
		make(&other, cases[i].change);
		build_fixture_serve(&other, 1, first);
		struct model *model = build(&other);
		assert_int_equal(model->head->generation, 2);
		if (since(model, "next") != !cases[i].next || since(model, "top") != !cases[i].top)
			fail_msg("%s: next %llu top %llu", cases[i].what, (unsigned long long)since(model, "next"),
				 (unsigned long long)since(model, "top"));
		assert_int_equal(since(model, "watch"), 1);
		assert_int_equal(since(model, "watched"), 1);
		model_close(model);
		assert_as_learnt(&other, NULL);
		build_fixture_fini(&other);
	}
}

static void test_parameters(void **state)
{
	(void)state;
	make(&fixture, NOTHING);
	build_and_serve(&fixture);
	struct build_options options = build_fixture_options();
	options.params.gap = 1.25;
	assert_since(build_as(&fixture, &options), 0, 0, 0, 0);
	options.params_as_given = true;
	assert_since(build_as(&fixture, &options), 0, 0, 0, 0);
	build_fixture_serve(&fixture, 3, NULL);
	assert_since(build_as(&fixture, &options), 3, 3, 3, 3);
	assert_as_learnt(&fixture, &options);
	options.params.gap = 1.5;
	assert_since(build_as(&fixture, &options), 0, 0, 0, 0);
}

static void test_a_catalog_made_again(void **state)
{
	(void)state;
	make(&fixture, NOTHING);
	build_and_serve(&fixture);
	build_fixture_remake(&fixture, "shop", ITEMS);
	build_fixture_define(&fixture, "next", "shop", "Viewed=1,Purchased=5", 0, false);
	build_fixture_define(&fixture, "top", "shop", "Viewed=1", 0, true);
	assert_since(build(&fixture), 0, 0, 1, 1);
}

/* --- a search --- */

static void test_what_was_searched_is_not_searched_again(void **state)
{
	(void)state;
	struct build_options options = build_fixture_options();
	make_users(&fixture, NOTHING, TUNED_USERS);
	build_and_serve(&fixture);
	options.tune_seconds = 3600;
	/* there was no search yet, which popularity has no need of */
	assert_since(build_as(&fixture, &options), 0, 1, 0, 1);
	build_fixture_serve(&fixture, 2, NULL);
	json_t *searched = meta_of_last();
	assert_since(build_as(&fixture, &options), 2, 1, 2, 1);
	json_t *taken = meta_of_last();
	for (size_t c = 0; c < 2; c++) {
		json_t *was = json_object_get(generation_file_relation(searched, c, 0), "notes"),
		       *is = json_object_get(generation_file_relation(taken, c, 0), "notes");
		assert_true(json_integer_value(json_object_get(json_object_get(was, "tuning"), "candidates")) > 8);
		json_object_del(is, "reused");
		assert_true(json_equal(was, is));
	}
	json_decref(searched);
	json_decref(taken);

	/* without a search it is learnt with the choice, to the same bytes */
	options.tune_seconds = 0;
	assert_since(build_as(&fixture, &options), 2, 1, 2, 1);
	assert_as_learnt(&fixture, &options);

	/* another objective, another floor, a whole search */
	options.tune_seconds = 3600;
	options.tune_objective = "hit_rate";
	assert_since(build_as(&fixture, &options), 0, 1, 0, 1);
	options.tune_objective = "ndcg";
	options.coverage_floor = 0.3;
	assert_since(build_as(&fixture, &options), 0, 1, 0, 1);
	options.coverage_floor = 0;
	assert_since(build_as(&fixture, &options), 2, 1, 2, 1);
	options.tune_whole = true;
	assert_since(build_as(&fixture, &options), 0, 1, 0, 1);
}

/* A search of other events is none of these, though its choice is what is learnt with. */
static void test_events_that_were_not_searched(void **state)
{
	(void)state;
	struct build_options options = build_fixture_options();
	options.tune_seconds = 3600;
	make_users(&fixture, NOTHING, TUNED_USERS);
	model_close(build_as(&fixture, &options));
	build_fixture_serve(&fixture, 1, NULL);
	add_users(&fixture, "shop", "Viewed", TUNED_USERS, TUNED_USERS + 1);
	options.tune_seconds = 0;
	assert_since(build_as(&fixture, &options), 0, 0, 1, 1);
	build_fixture_serve(&fixture, 2, NULL);
	options.tune_seconds = 3600;
	assert_since(build_as(&fixture, &options), 0, 2, 1, 1);
}

/* What the time stopped goes on when there is more of it. */
static void test_a_search_that_was_stopped(void **state)
{
	(void)state;
	struct build_options options = build_fixture_options();
	options.tune_seconds = 1e-9;
	make_users(&fixture, NOTHING, TUNED_USERS);
	model_close(build_as(&fixture, &options));
	build_fixture_serve(&fixture, 1, NULL);
	assert_since(build_as(&fixture, &options), 1, 1, 1, 1);
	options.tune_seconds = 3600;
	assert_since(build_as(&fixture, &options), 0, 1, 0, 1);
}

/* --- what is served --- */

static struct model *refresh(int64_t now_ms)
{
	struct build_options options = build_fixture_options();
	options.refresh = true;
	options.now_ms = now_ms;
	return build_as(&fixture, &options);
}

static void test_after_a_refresh(void **state)
{
	char refreshed[PATH_MAX];
	(void)state;
	make(&fixture, NOTHING);
	build_and_serve(&fixture);
	add_users(&fixture, "shop", "Viewed", USERS, USERS + 50);
	model_close(refresh(NOW + DAY_MS));
	strcpy(refreshed, fixture.path);
	build_fixture_serve(&fixture, 2, NULL);
	assert_since(build(&fixture), 0, 0, 1, 1);
	assert_as_learnt(&fixture, NULL);

	/*
	 * The events are those again that generation 1 learnt from, as after a deletion of the new users: its neighbours
	 * are right, but not what the refresh counted.
	 */
	build_fixture_init(&other, 4);
	make(&other, NOTHING);
	build_fixture_serve(&other, 2, refreshed);
	assert_since(build(&other), 0, 0, 1, 1);
	assert_as_learnt(&other, NULL);
	build_fixture_fini(&other);
}

static void test_a_refresh_of_what_was_taken(void **state)
{
	(void)state;
	make(&fixture, NOTHING);
	build_and_serve(&fixture);
	build_and_serve(&fixture);
	add_users(&fixture, "shop", "Viewed", USERS, USERS + 50);
	assert_since(refresh(NOW), 0, 0, 1, 1); /* the shop's is not what it was any more */
}

static void test_a_generation_that_cannot_be_read(void **state)
{
	(void)state;
	make(&fixture, NOTHING);
	build_and_serve(&fixture);
	struct generation_file file = generation_file_read(fixture.path);
	file.bytes[file.count / 2] ^= 1;
	generation_file_write(fixture.path, &file);
	free(file.bytes);
	struct build_options options = build_fixture_options();
	assert_since(build(&fixture), 0, 0, 0, 0);
	options.no_gate = true; /* nobody else has looked at it */
	assert_since(build_as(&fixture, &options), 0, 0, 0, 0);
	build_fixture_serve(&fixture, 9, NULL);
	assert_since(build(&fixture), 0, 0, 0, 0);
	assert_since(build_as(&fixture, &options), 0, 0, 0, 0);
	build_fixture_serve(&fixture, 2, NULL);
	assert_since(build_as(&fixture, &options), 2, 2, 2, 2);
}

/* --- what is told --- */

static void test_progress(void **state)
{
	(void)state;
	make(&fixture, NOTHING);
	build_and_serve(&fixture);
	add_users(&fixture, "shop", "Viewed", USERS, USERS + 50);
	model_close(build(&fixture)); /* so that everything is committed */
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	struct build_options options = build_fixture_options();
	options.data = fixture.data;
	options.progress_fd = ends[1];
	assert_int_equal(build_run(&options, NULL, NULL), 0);
	close(ends[1]);
	FILE *lines = fdopen(ends[0], "r");
	char line[2000];
	double progress = 0;
	unsigned unchanged = 0, told = 0, done = 0;
	while (fgets(line, sizeof line, lines)) {
		json_t *json = json_loads(line, 0, NULL);
		const char *note = json_string_value(json_object_get(json, "note"));
		const json_t *taken = json_object_get(json, "unchanged");
		if (taken) {
			assert_string_equal(json_string_value(json_object_get(taken, "catalog")), "films");
			assert_string_equal(json_string_value(json_object_get(taken, "definition")),
					    told++ ? "watched" : "watch");
			assert_int_equal(json_integer_value(json_object_get(taken, "since")), 1);
		} else if (json_is_true(json_object_get(json, "done"))) {
			done++;
		} else {
			double now = json_number_value(json_object_get(json, "progress"));
			assert_true(now >= progress && now <= 1);
			progress = now;
		}
		if (note && strncmp(note, "Unchanged since generation 1: ", 30) == 0) {
			unchanged++;
			assert_true(strstr(note, "Watched=1") && strstr(note, " of films"));
			/* a fifth is reading, seven tenths are the four relations */
			assert_true(progress > 0.2 + 0.7 * unchanged / 4 - 0.001);
		}
		json_decref(json);
	}
	fclose(lines);
	assert_int_equal(unchanged, 2);
	assert_int_equal(told, 2);
	assert_int_equal(done, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_only_what_changed_is_learnt),
		TEST(test_what_the_gate_says),
		TEST(test_each_change_is_learnt),
		TEST(test_parameters),
		TEST(test_a_catalog_made_again),
		TEST(test_what_was_searched_is_not_searched_again),
		TEST(test_events_that_were_not_searched),
		TEST(test_a_search_that_was_stopped),
		TEST(test_after_a_refresh),
		TEST(test_a_refresh_of_what_was_taken),
		TEST(test_a_generation_that_cannot_be_read),
		TEST(test_progress),
	};
	return cmocka_run_group_tests_name("builder/reuse", tests, NULL, NULL);
}
