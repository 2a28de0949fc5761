/* What a fingerprint is of, and what not. */
#include "builder/fingerprint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ITEMS 3u
#define EVENTS 5u

/* All that a fingerprint is of, small, and changed by a test at will. */
struct world {
	uint64_t keys[ITEMS], name_offsets[ITEMS + 1], user_offsets[3], list_offsets[ITEMS + 1], dictionary_offsets[3];
	uint32_t codes[ITEMS], list_codes[4];
	double prices[ITEMS];
	uint8_t hidden[ITEMS];
	char names[8], dictionary[8];
	struct event all[EVENTS];
	struct model_attribute attributes[3];
	struct model_catalog catalog;
	struct events events;
	float weights[2];
	struct plan_relation relation;
	struct plan_catalog plan;
	struct params params;
	uint64_t first_version;
};

static void make(struct world *w)
{
	*w = (struct world){
		.keys = { 11, 12, 13 },
		.name_offsets = { 0, 2, 4, 6 },
		.user_offsets = { 0, 3, 5 },
		.list_offsets = { 0, 1, 3, 4 },
		.dictionary_offsets = { 0, 3, 7 },
		.codes = { 0, 1, MODEL_NO_CODE },
		.list_codes = { 0, 1, 0, 1 },
		.prices = { 1, 2, 3 },
		.names = "aabbcc",
		.dictionary = "redblue",
		.all = { { 0, 100, 0, 0 }, { 1, 101, 1, 0 }, { 2, 102, 0, 0 }, { 0, 50, 0, 0 }, { 1, 60, 0, 0 } },
		.events = { .count = EVENTS, .users = 2, .oldest_s = 50, .newest_s = 102 },
		.weights = { 1, 5 },
		.relation = { .key = (char *)"a=1;b=5|window=0", .learn = true, .largest = 5 },
		.plan = { .type_count = 2 },
		.params = params_default(),
		.first_version = 7
	};
	w->attributes[0] = (struct model_attribute){ .name = (char *)"price", .type = VALUE_NUMBER };
	w->attributes[1] = (struct model_attribute){ .name = (char *)"colour", .type = VALUE_STRING };
	w->attributes[2] = (struct model_attribute){ .name = (char *)"tags", .type = VALUE_STRING_LIST };
	w->catalog = (struct model_catalog){ .items = ITEMS, .attribute_count = 3 };
}

/* Whoever copies a world points it at its own arrays. */
static void point(struct world *w)
{
	w->events.all.data = w->all;
	w->events.offsets.data = w->user_offsets;
	w->relation.weights = w->weights;
	w->attributes[0].numbers = w->prices;
	w->attributes[1].codes = w->codes;
	w->attributes[2].list_offsets = w->list_offsets;
	w->attributes[2].list_codes = w->list_codes;
	for (int a = 1; a < 3; a++) {
		w->attributes[a].dictionary_offsets = w->dictionary_offsets;
		w->attributes[a].dictionary_bytes = w->dictionary;
		w->attributes[a].dictionary_count = 2;
	}
	w->catalog.attributes = w->attributes;
	w->catalog.keys = w->keys;
	w->catalog.name_offsets = w->name_offsets;
	w->catalog.name_bytes = w->names;
	w->catalog.hidden = w->hidden;
}

static void text_of(struct world *w, char text[FINGERPRINT_TEXT])
{
	struct fingerprint catalog, relation;
	point(w);
	assert_int_equal(fingerprint_catalog(&catalog, &w->events, &w->catalog, w->first_version, NULL), 0);
	assert_int_equal(fingerprint_relation(&relation, &catalog, &w->plan, &w->relation, &w->params, NULL), 0);
	fingerprint_text(&relation, text);
}

/* After `statement`, which changes w. */
#define CHANGED(expected, statement)                                                                                   \
	do {                                                                                                           \
		struct world changed, *w = &changed;                                                                   \
		char before[FINGERPRINT_TEXT], after[FINGERPRINT_TEXT];                                                \
		make(w);                                                                                               \
		text_of(w, before);                                                                                    \
		statement;                                                                                             \
		text_of(w, after);                                                                                     \
		if ((strcmp(before, after) != 0) != (expected))                                                        \
			fail_msg("%s: %s and %s", #statement, before, after);                                          \
	} while (0)
#define DIFFERS(statement) CHANGED(true, statement)
#define SAME(statement) CHANGED(false, statement)

static void test_what_counts(void **state)
{
	(void)state;
	/* an event */
	DIFFERS(w->all[2].item = 1);
	DIFFERS(w->all[2].time_s++);
	DIFFERS(w->all[2].type = 1);
	DIFFERS(w->all[2].weight = event_weight_pack(2));
	DIFFERS(w->events.count--);
	/* whose it is */
	DIFFERS(w->user_offsets[1] = 2);
	DIFFERS(w->events.users = 1);
	/* items */
	DIFFERS(w->keys[2] = 14);
	DIFFERS(w->catalog.items = 2);
	DIFFERS(w->names[1] = 'x');
	DIFFERS(w->name_offsets[1] = 1);
	DIFFERS(w->codes[2] = 0);
	DIFFERS(w->dictionary[0] = 'x');
	DIFFERS(w->dictionary_offsets[1] = 2);
	DIFFERS(w->list_codes[1] = 0);
	DIFFERS(w->list_offsets[1] = 2);
	DIFFERS(w->attributes[1].type = VALUE_NUMBER);
	DIFFERS(w->first_version = 8);
	/* the relation */
	DIFFERS(w->weights[0] = 2);
	DIFFERS(w->relation.key = (char *)"a=1;b=5|window=60");
	DIFFERS(w->relation.learn = false);
	DIFFERS(w->relation.window_s = 60);
	DIFFERS(w->relation.session_s = 60);
	DIFFERS(w->relation.occasion = OCCASION_VISIT);
	DIFFERS(w->relation.places = 10);
}

static void test_each_parameter_counts(void **state)
{
	(void)state;
	for (size_t p = 0; p < sizeof(struct params) / sizeof(double); p++)
		DIFFERS(((double *)&w->params)[p] += 0x1p-20);
}

static void test_what_does_not_count(void **state)
{
	(void)state;
	SAME((void)w);
	SAME(w->prices[1] = 99);
	SAME(w->hidden[1] = 1);
	SAME(w->catalog.version = 12);
	SAME(w->attributes[1].name = (char *)"another");
	SAME(w->attributes[0].type = VALUE_MISSING); /* a column that is no text comes or goes */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_counts),
		cmocka_unit_test(test_each_parameter_counts),
		cmocka_unit_test(test_what_does_not_count),
	};
	return cmocka_run_group_tests_name("builder/fingerprint", tests, NULL, NULL);
}
