#include "common/filter_private.h"

#include <string.h>
#include <xxhash.h>

/* What one match reads from. */
struct filter_place {
	filter_get get;
	const void *item, *last;
};

unsigned filter_order_text(struct text_view a, struct text_view b)
{
	uint32_t common = a.bytes < b.bytes ? a.bytes : b.bytes;
	int order = common ? memcmp(a.data, b.data, common) : 0;
	if (order == 0)
		order = (a.bytes > b.bytes) - (a.bytes < b.bytes);
	return order < 0 ? FILTER_LESS : order > 0 ? FILTER_GREATER : FILTER_EQUAL;
}

static bool same_text(struct text_view a, struct text_view b)
{
	return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.data, b.data, a.bytes) == 0);
}

static struct text_view literal_text(const struct filter *filter, uint32_t literal)
{
	const union filter_literal *value = &filter->literals[literal];
	return (struct text_view){ filter->strings + value->string.offset, value->string.bytes };
}

static struct text_view element(const struct value *list, uint32_t index)
{
	return list->list.at(list->list.context, list->list.first, index);
}

/*
 * False: it is missing, a list without elements too (or, should the caller's schema have changed under
 * us, of another type than was compiled).
 */
static bool load(const struct filter_place *place, uint8_t kind, uint32_t attribute, enum value_type type,
		 struct value *value)
{
	const void *of = kind == FILTER_OF_LAST ? place->last : place->item;
	if (!of)
		return false;
	*value = place->get(of, attribute);
	return value->type == type && (type != VALUE_STRING_LIST || value->list.count > 0);
}

#define ORDER(a, b)                                                                                                    \
	(((a) < (b) ? FILTER_LESS : 0u) | ((a) == (b) ? FILTER_EQUAL : 0u) | ((a) > (b) ? FILTER_GREATER : 0u))

static unsigned order_literal(const struct filter *filter, const struct value *value, uint32_t literal)
{
	const union filter_literal *to = &filter->literals[literal];
	switch (value->type) {
	case VALUE_NUMBER:
		return ORDER(value->number, to->number);
	case VALUE_TIMESTAMP:
		return ORDER(value->timestamp_ms, to->timestamp_ms);
	case VALUE_BOOLEAN:
		return ORDER(value->boolean, to->boolean);
	case VALUE_STRING:
		return filter_order_text(value->string, literal_text(filter, literal));
	case VALUE_MISSING:
	case VALUE_STRING_LIST:
		break;
	}
	return 0;
}

static unsigned order_values(const struct value *a, const struct value *b)
{
	switch (a->type) {
	case VALUE_NUMBER:
		return ORDER(a->number, b->number);
	case VALUE_TIMESTAMP:
		return ORDER(a->timestamp_ms, b->timestamp_ms);
	case VALUE_BOOLEAN:
		return ORDER(a->boolean, b->boolean);
	case VALUE_STRING:
		return filter_order_text(a->string, b->string);
	case VALUE_MISSING:
	case VALUE_STRING_LIST:
		break;
	}
	return 0;
}

static bool has_element(const struct value *list, struct text_view text)
{
	for (uint32_t i = 0; i < list->list.count; i++)
		if (same_text(element(list, i), text))
			return true;
	return false;
}

/*
 * Lists of up to 100 would make 10,000 comparisons (50 us) of two that share nothing. So longer ones
 * first set a bit for each element of one list, and only elements of the other that meet a bit are
 * looked for: 100 by 100 take 1.5 us.
 */
#define MARKS 4096u
#define PAIRS_COMPARED_MAX 32

static uint32_t mark_of(struct text_view text)
{
	return (uint32_t)XXH3_64bits(text.data, text.bytes) % MARKS;
}

static bool shares_element(const struct value *a, const struct value *b)
{
	uint64_t marks[MARKS / 64];
	bool marked = (uint64_t)a->list.count * b->list.count > PAIRS_COMPARED_MAX;
	if (marked) {
		memset(marks, 0, sizeof marks);
		for (uint32_t i = 0; i < b->list.count; i++) {
			uint32_t mark = mark_of(element(b, i));
			marks[mark / 64] |= UINT64_C(1) << mark % 64;
		}
	}
	for (uint32_t i = 0; i < a->list.count; i++) {
		struct text_view text = element(a, i);
		uint32_t mark = marked ? mark_of(text) : 0;
		if (marked && !(marks[mark / 64] >> mark % 64 & 1))
			continue;
		if (has_element(b, text))
			return true;
	}
	return false;
}

/* Halving; the literals are sorted. */
static bool among(const struct filter *filter, const struct filter_test *test, const struct value *value)
{
	uint32_t low = test->right, high = test->right + test->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		unsigned order = order_literal(filter, value, middle);
		if (order == FILTER_EQUAL)
			return true;
		if (order == FILTER_LESS)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

static bool any_among(const struct filter *filter, const struct filter_test *test, const struct value *list)
{
	for (uint32_t i = 0; i < list->list.count; i++) {
		struct value value = { .type = VALUE_STRING, .string = element(list, i) };
		if (among(filter, test, &value))
			return true;
	}
	return false;
}

static bool test_has(const struct filter *filter, const struct filter_test *test, const struct filter_place *place,
		     const struct value *list)
{
	struct value text;
	if (test->right_kind == FILTER_LITERAL)
		return has_element(list, literal_text(filter, test->right)) != test->negated;
	return load(place, test->right_kind, test->right, VALUE_STRING, &text) &&
	       has_element(list, text.string) != test->negated;
}

static bool test_holds(const struct filter *filter, const struct filter_test *test, const struct filter_place *place)
{
	struct value left, right;
	if (test->kind == FILTER_TEST_CONSTANT)
		return test->compare != 0;
	if (!load(place, test->left_kind, test->left, test->type, &left))
		return false;
	switch ((enum filter_test_kind)test->kind) {
	case FILTER_TEST_COMPARE:
		if (test->right_kind == FILTER_LITERAL)
			return order_literal(filter, &left, test->right) & test->compare;
		return load(place, test->right_kind, test->right, test->type, &right) &&
		       (order_values(&left, &right) & test->compare);
	case FILTER_TEST_HAS:
		return test_has(filter, test, place, &left);
	case FILTER_TEST_SHARES:
		return load(place, test->right_kind, test->right, VALUE_STRING_LIST, &right) &&
		       shares_element(&left, &right) != test->negated;
	case FILTER_TEST_AMONG:
		if (test->type == VALUE_STRING_LIST)
			return any_among(filter, test, &left) != test->negated;
		return among(filter, test, &left) != test->negated;
	case FILTER_TEST_CONSTANT:
		break;
	}
	return false;
}

bool filter_match(const struct filter *filter, filter_get get, const void *item, const void *last)
{
	const struct filter_place place = { get, item, last };
	uint32_t at = filter->test_count ? 0 : FILTER_ACCEPT;
	while (at < filter->test_count) {
		const struct filter_test *test = &filter->tests[at];
		at = test_holds(filter, test, &place) ? test->yes : test->no;
	}
	return at == FILTER_ACCEPT;
}
