/* Whole builds, from a data directory on disk to a generation that a worker can open. */
#include "builder/build.h"
#include "common/clock.h"
#include "lib/build_fixture.h"
#include "lib/events_fixture.h"
#include "lib/generation_file.h"

#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW BUILD_FIXTURE_NOW_MS
#define MINUTE 60000

static struct build_fixture fixture;

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

static void add_event(unsigned user, unsigned item, const char *type, int64_t time_ms)
{
	build_fixture_numbered(&fixture, user, item, type, time_ms);
}

static void add_shoppers(unsigned users, unsigned groups)
{
	build_fixture_shoppers(&fixture, users, groups);
}

static void make_shop(unsigned items)
{
	build_fixture_catalog(&fixture, "shop", items);
	build_fixture_define(&fixture, "next", "shop", "Viewed=1", 0, false);
}

static void build(const struct build_options *options)
{
	struct error err = { 0 };
	int code = build_fixture_build(&fixture, options, &err);
	if (code)
		fail_msg("%s", err.text);
}

/* Neighbours of rows from..to - 1 that were learnt, not only found by attributes. */
static unsigned learnt(const struct model_relation *relation, uint32_t from, uint32_t to)
{
	unsigned count = 0;
	for (uint64_t at = relation->offsets[from]; at < relation->offsets[to]; at++)
		count += !relation->by_attributes || !model_bit(relation->by_attributes, at);
	return count;
}

/* --- what is in it --- */

static void test_everything_is_there(void **state)
{
	(void)state;
	make_shop(14);
	add_shoppers(600, 3);
	build(NULL);
	struct model *model = build_fixture_open(&fixture);
	assert_int_equal(model->head->generation, 1);
	assert_int_equal(model->head->create_ms, NOW);
	assert_int_equal(model->events, 1800);
	assert_int_equal(model->users, 600);
	assert_int_equal(model->newest_event_ms, NOW - 20 * DAY_MS + INT64_C(599) * 20 * DAY_MS / 600 + 2 * MINUTE);
	const struct model_catalog *shop = model_catalog_find(model, "shop");
	assert_int_equal(shop->items, 14); /* i12 and i13 without events too */

	for (uint32_t row = 0; row < 3; row++) /* the firsts of the three groups lead */
		assert_int_equal((model_item_id(shop, row).data[1] - '0') % 4, 0);
	for (unsigned i = 0; i < 14; i++) {
		char id[8], name[16], category[8];
		snprintf(id, sizeof id, "i%u", i);
		snprintf(name, sizeof name, "Item %u", i);
		snprintf(category, sizeof category, "c%u", i % 3);
		uint32_t row = build_fixture_row(shop, id);
		assert_memory_equal(model_item_name(shop, row).data, name, strlen(name));
		struct value price = model_value(shop, row, 0), kind = model_value(shop, row, 1);
		assert_true(price.type == VALUE_NUMBER && price.number == i);
		assert_int_equal(kind.type, VALUE_STRING);
		assert_memory_equal(kind.string.data, category, strlen(category));
		assert_int_equal(shop->hidden[row], i == 13);
	}

	const struct model_relation *relation = model_relation_find(shop, "Viewed=1|window=0");
	assert_non_null(relation);
	assert_int_equal(relation->events, 1800);
	assert_int_equal(relation->users, 600);
	assert_int_equal(relation->items, 12);
	assert_int_equal(relation->definition_count, 1);
	assert_string_equal(relation->definitions[0], "next");
	assert_true(relation->evaluation.queries > 100);
	assert_true(relation->evaluation.hit_rate > 0.99);
	for (uint32_t row = 0; row < shop->items; row++) {
		unsigned own = (unsigned)atoi(model_item_id(shop, row).data + 1);
		uint64_t first = relation->offsets[row];
		assert_int_equal(learnt(relation, row, row + 1), own < 12 ? 3 : 0);
		assert_int_equal(model_bit(relation->cold, row), own >= 12);
		for (uint64_t at = first; at < first + learnt(relation, row, row + 1); at++) /* only of its own group */
			assert_int_equal((unsigned)atoi(model_item_id(shop, model_entry_row(relation->entries[at],
											    relation->row_mask))
								.data +
							1) /
						 4,
					 own / 4);
	}
	assert_int_equal(relation->popular_count, 12);
	model_close(model);
}

static void test_several_catalogs_and_relations(void **state)
{
	(void)state;
	make_shop(8);
	build_fixture_catalog(&fixture, "films", 5);
	build_fixture_catalog(&fixture, "unused", 5);
	build_fixture_define(&fixture, "bought", "shop", "Viewed=1,Purchased=5", 86400, false);
	build_fixture_define(&fixture, "top-films", "films", "Watched=1", 0, true);
	for (unsigned u = 0; u < 30; u++) {
		char user[16];
		snprintf(user, sizeof user, "user-%u", u);
		add_event(u, u % 4, "Viewed", NOW - 5 * DAY_MS);
		add_event(u, 4 + u % 2, "Viewed", NOW - MINUTE);
		add_event(u, 6, "Purchased", NOW);
		build_fixture_event(&fixture, user, "films", "i2", "Watched", NOW);
		build_fixture_event(&fixture, user, "films", "i3", "Rated", NOW); /* a type that nobody uses */
	}
	build(NULL);
	struct model *model = build_fixture_open(&fixture);
	assert_int_equal(model->catalog_count, 2);
	assert_int_equal(model->events, 120);
	assert_int_equal(model->users, 30);
	const struct model_catalog *shop = model_catalog_find(model, "shop"),
				   *films = model_catalog_find(model, "films");
	const struct model_relation *viewed = model_relation_find(shop, "Viewed=1|window=0"),
				    *bought = model_relation_find(shop, "Purchased=5;Viewed=1|window=86400"),
				    *watched = model_relation_find(films, "Watched=1|window=0");
	assert_int_equal(viewed->events, 60);
	assert_int_equal(bought->events, 60); /* the views of five days ago lie outside of its window */
	assert_int_equal(bought->popular_rows[0], build_fixture_row(shop, "i6"));
	uint32_t long_ago = build_fixture_row(shop, "i0");
	assert_int_equal(learnt(bought, long_ago, long_ago + 1), 0);
	assert_int_equal(watched->events, 30);
	assert_int_equal(watched->neighbours, 0);
	assert_int_equal(watched->popular_count, 1);
	assert_int_equal(watched->popular_rows[0], build_fixture_row(films, "i2"));
	model_close(model);
}

/* --- the same input, the same bytes --- */

static void test_same_bytes_with_any_threads_and_memory(void **state)
{
	(void)state;
	make_shop(300);
	build_fixture_define(&fixture, "bought", "shop", "Viewed=1,Purchased=5", 0, false);
	uint64_t seed = 4;
	for (unsigned u = 0; u < 3000; u++) {
		int64_t time_ms = NOW - 500 * DAY_MS + (int64_t)u * 500 * DAY_MS / 3000;
		for (unsigned n = 0; n < 12; n++)
			add_event(u, events_fixture_random(&seed, 1 + events_fixture_random(&seed, 300)),
				  n % 5 ? "Viewed" : "Purchased", time_ms + n * MINUTE);
	}
	struct build_options options = build_fixture_options();
	options.threads = 1;
	build(&options);
	char first[PATH_MAX];
	strcpy(first, fixture.path);
	struct model *model = build_fixture_open(&fixture);
	assert_true(model->catalogs[0].relations[0].neighbours > 10000);
	assert_non_null(model->catalogs[0].relations[0].multipliers); /* 500 days: seasons are in it */
	assert_true(model->catalogs[0].relations[1].evaluation.queries > 100);
	model_close(model);

	for (options.threads = 2; options.threads <= 3; options.threads++) {
		build(&options);
		generation_file_same(first, fixture.path, NULL);
	}
	options.threads = 7;
	options.memory_mb = 1; /* nearly everything goes through files */
	build(&options);
	generation_file_same(first, fixture.path, NULL);
	struct generation_file file = generation_file_read(fixture.path);
	assert_non_null(memmem(file.bytes, file.count, "\"peak_files_mb\":", 16));
	assert_null(memmem(file.bytes, file.count, "\"peak_files_mb\":0", 17));
	free(file.bytes);
}

/* --- refusals --- */

static unsigned generations(void)
{
	char path[DATADIR_PATH_MAX];
	uint64_t *numbers = NULL;
	size_t count = 0;
	assert_int_equal(model_list(datadir_models(&fixture.dir, path), &numbers, &count, NULL), 0);
	free(numbers);
	return (unsigned)count;
}

static void test_nothing_to_learn(void **state)
{
	(void)state;
	struct error err = { 0 };
	assert_int_equal(build_fixture_build(&fixture, NULL, &err), E_PRECONDITION); /* no control store yet */
	build_fixture_catalog(&fixture, "shop", 3);
	add_event(1, 1, "Viewed", NOW);
	assert_int_equal(build_fixture_build(&fixture, NULL, &err), E_PRECONDITION);
	assert_non_null(strstr(err.text, "kindred define"));
	assert_int_equal(generations(), 0);

	struct build_options options = build_fixture_options();
	options.data = "/nowhere";
	options.progress_fd = -1;
	assert_int_equal(build_run(&options, NULL, &err), E_NOT_FOUND);
}

static void test_a_generation_is_never_replaced(void **state)
{
	(void)state;
	make_shop(5);
	struct build_options options = build_fixture_options();
	options.generation = 12;
	build(&options);
	struct generation_file before = generation_file_read(fixture.path);
	struct error err = { 0 };
	assert_int_equal(build_fixture_build(&fixture, &options, &err), E_EXISTS);
	struct generation_file after = generation_file_read(fixture.path);
	assert_int_equal(before.count, after.count);
	assert_memory_equal(before.bytes, after.bytes, before.count);
	free(before.bytes);
	free(after.bytes);
	build(NULL); /* without a number: the next one */
	assert_non_null(strstr(fixture.path, "00000013.kindred"));
	assert_int_equal(generations(), 2);
}

static void test_one_builder_at_a_time(void **state)
{
	(void)state;
	char path[DATADIR_PATH_MAX], leftover[DATADIR_PATH_MAX + 32], spill[DATADIR_PATH_MAX + 32];
	make_shop(5);
	snprintf(leftover, sizeof leftover, "%s/.build-00000007.4711", datadir_models(&fixture.dir, path));
	snprintf(spill, sizeof spill, "%s/build-x1y2z3", datadir_tmp(&fixture.dir, path));
	close(open(leftover, O_CREAT | O_WRONLY, 0644));
	close(open(spill, O_CREAT | O_WRONLY, 0644));

	int other = open(datadir_models(&fixture.dir, path), O_RDONLY | O_DIRECTORY);
	assert_int_equal(flock(other, LOCK_EX), 0);
	struct error err = { 0 };
	assert_int_equal(build_fixture_build(&fixture, NULL, &err), E_UNAVAILABLE);
	assert_int_equal(access(leftover, F_OK), 0); /* it may be the other one's */
	close(other);

	build(NULL);
	assert_int_equal(access(leftover, F_OK), -1);
	assert_int_equal(access(spill, F_OK), -1);
	assert_int_equal(generations(), 1);
}

static void test_progress_is_told(void **state)
{
	(void)state;
	make_shop(12);
	add_shoppers(300, 3);
	build(NULL); /* so that everything is committed */
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	struct build_options options = build_fixture_options();
	options.data = fixture.data;
	options.progress_fd = ends[1];
	assert_int_equal(build_run(&options, NULL, NULL), 0);
	options.generation = 1;
	assert_int_equal(build_run(&options, NULL, NULL), E_EXISTS);
	close(ends[1]);
	FILE *lines = fdopen(ends[0], "r");
	char line[2000];
	double progress = 0;
	unsigned done = 0, failed = 0, phases = 0;
	while (fgets(line, sizeof line, lines)) {
		json_t *json = json_loads(line, 0, NULL);
		assert_non_null(json);
		if (json_is_true(json_object_get(json, "done"))) {
			done++;
			assert_int_equal(json_integer_value(json_object_get(json, "events")), 900);
			assert_non_null(strstr(json_string_value(json_object_get(json, "path")), "00000002.kindred"));
			progress = 0; /* the next build's begins */
		} else if (json_object_get(json, "error")) {
			failed++;
			assert_int_equal(json_integer_value(json_object_get(json, "code")),
					 error_grpc_status(E_EXISTS));
		} else {
			double now = json_real_value(json_object_get(json, "progress"));
			assert_true(now >= progress && now <= 1);
			progress = now;
			phases++;
		}
		json_decref(json);
	}
	fclose(lines);
	assert_int_equal(done, 1);
	assert_int_equal(failed, 1);
	assert_true(phases >= 8);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_everything_is_there),
		TEST(test_several_catalogs_and_relations),
		TEST(test_same_bytes_with_any_threads_and_memory),
		TEST(test_nothing_to_learn),
		TEST(test_a_generation_is_never_replaced),
		TEST(test_one_builder_at_a_time),
		TEST(test_progress_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
