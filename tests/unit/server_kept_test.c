/* Which generations stay, which one a rollback goes to, and what people are told of. */
#include "server/kept.h"

#include "lib/model_fixture.h"
#include "lib/temp_dir.h"
#include "server/generation.h"
#include "server/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* "1 2! 3": numbers in order, '!' behind those held back. */
static struct kept kept_of(const char *text)
{
	struct kept kept = { .list = calloc(20, sizeof *kept.list) };
	int used;
	assert_non_null(kept.list);
	for (unsigned number; sscanf(text, " %u%n", &number, &used) == 1; text += used) {
		kept.list[kept.count].number = number;
		if (text[used] == '!') {
			kept.list[kept.count].held_back = true;
			used++;
		}
		kept.count++;
	}
	return kept;
}

static void assert_cut_by(const char *before, struct kept_rules rules, const char *after)
{
	struct kept kept = kept_of(before);
	uint64_t removed[20];
	char text[200] = "";
	size_t count = kept.count, gone = kept_cut(&kept, &rules, removed);
	for (size_t i = 0; i < kept.count; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%llu%s", i ? " " : "",
			 (unsigned long long)kept.list[i].number, kept.list[i].held_back ? "!" : "");
	assert_string_equal(text, after);
	assert_int_equal(kept.count + gone, count);
	for (size_t i = 0; i < gone; i++)
		assert_false(kept_has(&kept, removed[i]));
	kept_free(&kept);
}

static void assert_cut(const char *before, uint64_t active, uint64_t limit, const char *after)
{
	assert_cut_by(before, (struct kept_rules){ .active = active, .limit = limit }, after);
}

static void test_what_stays(void **state)
{
	(void)state;
	assert_cut("1 2 3", 3, 3, "1 2 3");
	assert_cut("1 2 3 4", 4, 3, "2 3 4");
	assert_cut("1 2 3 4", 1, 2, "1 3 4"); /* the active one always does */
	assert_cut("1 2! 3! 4!", 1, 1, "1 4!"); /* they push nothing out, and only the newest of them stays */
	assert_cut("1 2 3! 4! 5! 6!", 2, 2, "1 2 6!");
	assert_cut("1 2! 3 4 5", 5, 3, "2! 3 4 5");
	assert_cut("1 2! 3!", 2, 1, "1 2! 3!");
	assert_cut("", 0, 3, "");
	/* a refresh took the place of 3; a call is pinned to 1, and to 3 in the end */
	uint64_t pinned[] = { 1, 3 };
	struct kept_rules rules = { .active = 4, .limit = 2, .replaced = 3, .pinned = pinned, .pinned_count = 1 };
	assert_cut_by("1 2 3 4", rules, "1 2 4");
	rules.pinned_count = 2;
	assert_cut_by("1 2 3 4", rules, "1 2 3 4");
}

static void test_where_a_rollback_goes(void **state)
{
	struct kept kept = kept_of("1 2! 3 5!");
	(void)state;
	assert_int_equal(kept_before(&kept, 5), 3);
	assert_int_equal(kept_before(&kept, 3), 1); /* 2 was never served */
	assert_int_equal(kept_before(&kept, 1), 0);
	assert_int_equal(kept_newest(&kept), 5);
	assert_int_equal(kept_held(&kept), 5);
	kept_free(&kept);
	kept = kept_of("1 2! 3");
	assert_int_equal(kept_held(&kept), 0); /* a newer one is served: nobody needs to be told */
	kept_free(&kept);
	assert_int_equal(kept_newest(&kept), 0);
	assert_int_equal(kept_held(&kept), 0);
}

static void test_marks_on_disk(void **state)
{
	struct fixture_model *fixture = fixture_shop_new("Viewed=1|window=0", 0);
	struct temp_dir home;
	struct kept kept;
	(void)state;
	assert_int_equal(temp_dir_make(&home), 0);
	for (uint64_t number = 7; number <= 9; number++)
		fixture_model_write(fixture, home.path, number, NULL);
	fixture_model_free(fixture);
	assert_int_equal(generation_held_write(home.path, 9, "next of shop: much worse", NULL), 0);
	assert_int_equal(generation_held_write(home.path, 44, "of a generation that is gone", NULL), 0);
	assert_int_equal(generation_accepted_write(home.path, 9, 1234, NULL), 0);
	generation_sweep(home.path);
	assert_false(generation_held_read(home.path, 44, NULL, 0));

	assert_int_equal(kept_read(&kept, home.path, NULL), 0);
	assert_int_equal(kept.count, 3);
	assert_false(kept.list[0].held_back || kept.list[1].held_back);
	assert_int_equal(kept_held(&kept), 9);
	assert_string_equal(kept.held_why, "next of shop: much worse");
	assert_int_equal(kept.held_accepted, 1234);
	kept_free(&kept);

	generation_held_remove(home.path, 9);
	generation_held_remove(home.path, 9); /* fine when it is not there */
	assert_int_equal(kept_read(&kept, home.path, NULL), 0);
	assert_int_equal(kept_held(&kept), 0);
	assert_string_equal(kept.held_why, "");
	kept_free(&kept);
	assert_int_equal(generation_held_write(home.path, 8, "x", NULL), 0);
	assert_int_equal(generation_unlink(home.path, 8, NULL), 0);
	assert_false(generation_held_read(home.path, 8, NULL, 0));
	temp_dir_remove(&home);
}

/*
 * The schedule waits for events that the generation held back has not seen either: else it would be
 * built again and again.
 */
static void test_what_a_build_would_see_anew(void **state)
{
	static struct server server;
	struct shard_status shard = { .accepted = 1000 };
	struct generation active = { .number = 1, .accepted = 300 };
	(void)state;
	server.dir.shards = 1;
	server.shards = &shard;
	assert_int_equal(status_events_unseen(&server), 1000);
	server.active = &active;
	assert_int_equal(status_events_unseen(&server), 700);
	server.kept = kept_of("1 2!");
	server.kept.held_accepted = 900;
	assert_int_equal(status_events_unseen(&server), 100);
	assert_int_equal(status_events_since(&server), 700);
	server.kept.list[1].held_back = false;
	assert_int_equal(status_events_unseen(&server), 700);
	kept_free(&server.kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_stays),
		cmocka_unit_test(test_where_a_rollback_goes),
		cmocka_unit_test(test_marks_on_disk),
		cmocka_unit_test(test_what_a_build_would_see_anew),
	};
	return cmocka_run_group_tests_name("server/kept", tests, NULL, NULL);
}
