#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/relation.h"

#define TYPES 20

struct sample {
	Kindred__V1__Definition definition;
	Kindred__V1__EventWeight events[TYPES];
	Kindred__V1__EventWeight *pointers[TYPES];
	Google__Protobuf__Duration window;
};

static void sample_init(struct sample *sample)
{
	kindred__v1__definition__init(&sample->definition);
	google__protobuf__duration__init(&sample->window);
	sample->definition.events = sample->pointers;
}

static void add(struct sample *sample, const char *type, float weight)
{
	size_t i = sample->definition.n_events++;

	kindred__v1__event_weight__init(&sample->events[i]);
	sample->events[i].type = (char *)type;
	sample->events[i].weight = weight;
	sample->pointers[i] = &sample->events[i];
}

static void key_is_as_documented(void **state)
{
	struct sample sample;
	char key[RELATION_KEY_MAX];
	size_t bytes;

	(void)state;
	sample_init(&sample);
	add(&sample, "Viewed", 1);
	add(&sample, "Purchased", 5);
	add(&sample, "Added to Cart", 3);
	sample.window.seconds = 7776000;
	sample.definition.model_window = &sample.window;
	bytes = relation_key(&sample.definition, key);
	assert_int_equal(bytes, strlen(key));
	assert_string_equal(key, "Added to Cart=3;Purchased=5;Viewed=1|window=7776000");
}

static void order_and_default_weight_do_not_matter(void **state)
{
	struct sample one, other;
	char key[RELATION_KEY_MAX], other_key[RELATION_KEY_MAX];

	(void)state;
	sample_init(&one);
	add(&one, "Viewed", 0);
	add(&one, "Purchased", 2.5f);
	sample_init(&other);
	add(&other, "Purchased", 2.5f);
	add(&other, "Viewed", 1);
	relation_key(&one.definition, key);
	relation_key(&other.definition, other_key);
	assert_string_equal(key, other_key);
	assert_string_equal(key, "Purchased=2.5;Viewed=1|window=0");
	/* the definition itself stays in the caller's order */
	assert_string_equal(one.definition.events[0]->type, "Viewed");
}

static void other_rules_give_other_keys(void **state)
{
	struct sample sample;
	char key[RELATION_KEY_MAX], heavier[RELATION_KEY_MAX], windowed[RELATION_KEY_MAX];

	(void)state;
	sample_init(&sample);
	add(&sample, "Viewed", 1);
	relation_key(&sample.definition, key);
	sample.events[0].weight = 2;
	relation_key(&sample.definition, heavier);
	sample.window.seconds = 1;
	sample.definition.model_window = &sample.window;
	relation_key(&sample.definition, windowed);
	assert_string_not_equal(key, heavier);
	assert_string_not_equal(heavier, windowed);
}

/* What is to be foreseen, and from what, makes another relation; how a definition says "as usual" does not. */
static void occasion_and_sessions_are_part_of_it(void **state)
{
	struct sample sample;
	char key[RELATION_KEY_MAX];
	Google__Protobuf__Duration pause = GOOGLE__PROTOBUF__DURATION__INIT;

	(void)state;
	sample_init(&sample);
	add(&sample, "Viewed", 1);
	sample.definition.occasion = KINDRED__V1__OCCASION__OCCASION_NEXT;
	sample.definition.repeat = KINDRED__V1__REPEAT__REPEAT_OFF;
	sample.definition.session_pause = &pause;
	relation_key(&sample.definition, key);
	assert_string_equal(key, "Viewed=1|window=0");
	sample.definition.occasion = KINDRED__V1__OCCASION__OCCASION_AGAIN;
	pause.seconds = 1800;
	relation_key(&sample.definition, key);
	assert_string_equal(key, "Viewed=1|window=0|occasion=again|session=1800");
	sample.definition.occasion = KINDRED__V1__OCCASION__OCCASION_VISIT;
	relation_key(&sample.definition, key);
	assert_string_equal(key, "Viewed=1|window=0|occasion=visit|session=1800");
}

/* A type may hold the key's own marks; two definitions must never meet in one key. */
static void marks_in_types_are_escaped(void **state)
{
	struct sample one, two;
	char key[RELATION_KEY_MAX], other[RELATION_KEY_MAX];

	(void)state;
	sample_init(&one);
	add(&one, "a=1;b", 1);
	relation_key(&one.definition, key);
	assert_string_equal(key, "a%3D1%3Bb=1|window=0");
	sample_init(&two);
	add(&two, "a", 1);
	add(&two, "b", 1);
	relation_key(&two.definition, other);
	assert_string_not_equal(key, other);
	sample_init(&one);
	add(&one, "100%|é", 1);
	relation_key(&one.definition, key);
	assert_string_equal(key, "100%25%7Cé=1|window=0");
}

/* A key stays within its buffer (the sanitizers see to it) for the longest definition, and for one nobody checked. */
static void longest_key_fits(void **state)
{
	static char types[TYPES][65];
	static char huge[10000];
	struct sample sample;
	char key[RELATION_KEY_MAX];
	size_t bytes;

	(void)state;
	sample_init(&sample);
	sample.window.seconds = INT64_C(315576000000);
	sample.definition.model_window = &sample.window;
	for (size_t i = 0; i < 16; i++) {
		memset(types[i], '%', 64);
		types[i][63] = (char)('a' + i);
		add(&sample, types[i], 0.000123456f);
	}
	bytes = relation_key(&sample.definition, key);
	assert_int_equal(bytes, strlen(key));
	assert_non_null(strstr(key, "p=0.000123456|window=315576000000"));

	memset(huge, '=', sizeof huge - 1);
	for (size_t i = 16; i < TYPES; i++)
		add(&sample, huge, 1);
	sample.events[0].type = huge;
	bytes = relation_key(&sample.definition, key);
	assert_int_equal(bytes, strlen(key));
	assert_true(bytes < RELATION_KEY_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_is_as_documented),        cmocka_unit_test(order_and_default_weight_do_not_matter),
		cmocka_unit_test(other_rules_give_other_keys), cmocka_unit_test(occasion_and_sessions_are_part_of_it),
		cmocka_unit_test(marks_in_types_are_escaped),  cmocka_unit_test(longest_key_fits),
	};

	return cmocka_run_group_tests_name("relation", tests, NULL, NULL);
}
