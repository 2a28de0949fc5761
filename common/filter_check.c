#include "common/clock.h"
#include "common/filter_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_SHOWN_MAX 12 /* attributes listed in an error */
#define NAME_LENGTH_MAX 64

/* --- attribute names --- */

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/*
 * Edits from one name to the other, where swapping two neighbours is one edit too (optimal string
 * alignment, https://en.wikipedia.org/wiki/Damerau%E2%80%93Levenshtein_distance). Case does not count.
 * Both have at most NAME_LENGTH_MAX bytes.
 */
static unsigned name_distance(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
	unsigned before[NAME_LENGTH_MAX + 1] = { 0 }, above[NAME_LENGTH_MAX + 1], row[NAME_LENGTH_MAX + 1];
	for (unsigned j = 0; j <= b_bytes; j++)
		above[j] = j;
	for (unsigned i = 1; i <= a_bytes; i++) {
		row[0] = i;
		for (unsigned j = 1; j <= b_bytes; j++) {
			bool same = lower(a[i - 1]) == lower(b[j - 1]);
			row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + !same);
			if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
				row[j] = least(row[j], before[j - 2] + 1);
		}
		memcpy(before, above, sizeof above);
		memcpy(above, row, (b_bytes + 1) * sizeof *row);
	}
	return above[b_bytes];
}

/* The attribute whose name is closest, if it is close at all. */
static const char *closest_name(const struct filter_compiler *compiler, const char *name, size_t bytes)
{
	const char *closest = NULL;
	unsigned limit = bytes < 6 ? 1 : bytes < 10 ? 2 : 3;
	if (bytes > NAME_LENGTH_MAX)
		return NULL;
	for (size_t i = 0; i < compiler->attribute_count; i++) {
		const char *candidate = compiler->attributes[i].name;
		size_t candidate_bytes = strlen(candidate);
		if (candidate_bytes > NAME_LENGTH_MAX)
			continue;
		unsigned distance = name_distance(name, bytes, candidate, candidate_bytes);
		/* A name that shares no letter is not meant, however short both are. */
		if (distance > limit || distance >= bytes)
			continue;
		closest = candidate;
		limit = distance ? distance - 1 : 0;
		if (distance == 0)
			break;
	}
	return closest;
}

/* "; the catalog has a, b and 3 more" */
static void list_names(const struct filter_compiler *compiler, char *list, size_t room)
{
	size_t used = 0, i = 0;
	for (; i < compiler->attribute_count && i < NAMES_SHOWN_MAX; i++) {
		size_t bytes = strlen(compiler->attributes[i].name);
		if (used + bytes + 40 > room)
			break;
		used += (size_t)snprintf(list + used, room - used, "%s%s", i ? ", " : "; the catalog has ",
					 compiler->attributes[i].name);
	}
	if (compiler->attribute_count == 0)
		snprintf(list, room, "; the catalog has no attributes");
	else if (i < compiler->attribute_count)
		snprintf(list + used, room - used, " and %zu more", compiler->attribute_count - i);
}

static int unknown_name(struct filter_compiler *compiler)
{
	const struct filter_token *token = &compiler->token;
	const char *name = compiler->text + token->start;
	struct filter_quote shown = filter_quote(compiler, token->start, token->bytes);
	const char *closest = closest_name(compiler, name, token->bytes);
	if (closest)
		return filter_error(compiler, token->start, "there is no attribute '%s'; did you mean '%s'?",
				    shown.text, closest);
	char list[240];
	list_names(compiler, list, sizeof list);
	return filter_error(compiler, token->start, "there is no attribute '%s' (a text stands in quotes)%s",
			    shown.text, list);
}

int filter_resolve(struct filter_compiler *compiler, struct filter_operand *operand)
{
	const struct filter_token *token = &compiler->token;
	for (size_t i = 0; i < compiler->attribute_count; i++) {
		const struct filter_attribute *attribute = &compiler->attributes[i];
		if (strncmp(attribute->name, compiler->text + token->start, token->bytes) != 0 ||
		    attribute->name[token->bytes])
			continue;
		operand->attribute = (uint32_t)i;
		operand->type = attribute->type;
		return 0;
	}
	return unknown_name(compiler);
}

/* --- types --- */

static const char *type_words(enum value_type type)
{
	switch (type) {
	case VALUE_STRING:
		return "a string";
	case VALUE_NUMBER:
		return "a number";
	case VALUE_BOOLEAN:
		return "a boolean";
	case VALUE_TIMESTAMP:
		return "a timestamp";
	case VALUE_STRING_LIST:
		return "a list of strings";
	case VALUE_MISSING:
		break;
	}
	return "of no known type";
}

/* "'price' is a number" */
static struct filter_quote describe(const struct filter_compiler *compiler, const struct filter_operand *operand)
{
	struct filter_quote quote = filter_quote(compiler, operand->start, operand->bytes), words;
	const char *mark = operand->kind == FILTER_LITERAL ? "" : "'";
	snprintf(words.text, sizeof words.text, "%s%.83s%s is %s", mark, quote.text, mark, type_words(operand->type));
	return words;
}

static int mismatch(struct filter_compiler *compiler, const struct filter_operand *left,
		    const struct filter_operand *right)
{
	const char *advice = "";
	if (left->type == VALUE_STRING_LIST && right->type == VALUE_STRING_LIST)
		advice = "; IN asks whether two lists share an element";
	else if (left->type == VALUE_TIMESTAMP || right->type == VALUE_TIMESTAMP)
		advice = "; a timestamp is written \"2026-11-23T10:00:00Z\"";
	return filter_error(compiler, right->start, "%s, %s%s", describe(compiler, left).text,
			    describe(compiler, right).text, advice);
}

int filter_read_time(struct filter_compiler *compiler, struct filter_operand *operand)
{
	int64_t time_ms;
	const char *text = compiler->strings + operand->literal.string.offset;
	if (!time_parse_calendar(text, operand->literal.string.bytes, &time_ms))
		return filter_error(compiler, operand->start,
				    "%s is not a time; write it like \"2026-11-23T10:00:00Z\" or \"2026-11-23\"",
				    filter_quote(compiler, operand->start, operand->bytes).text);
	operand->type = VALUE_TIMESTAMP;
	operand->literal.timestamp_ms = time_ms;
	return 0;
}

static bool is_string_literal(const struct filter_operand *operand)
{
	return operand->kind == FILTER_LITERAL && operand->type == VALUE_STRING;
}

/* --- tests --- */

static struct filter_test *add_test(struct filter_compiler *compiler, enum filter_test_kind kind,
				    const struct filter_operand *left)
{
	struct filter_test *test = &compiler->tests[compiler->test_count++];
	*test = (struct filter_test){
		.kind = (uint8_t)kind,
		.type = (uint8_t)left->type,
		.left_kind = (uint8_t)left->kind,
		.left = left->attribute,
	};
	return test;
}

static uint32_t add_literal(struct filter_compiler *compiler, const struct filter_operand *operand)
{
	compiler->literals[compiler->literal_count] = operand->literal;
	return compiler->literal_count++;
}

static void set_right(struct filter_compiler *compiler, struct filter_test *test, const struct filter_operand *right)
{
	test->right_kind = (uint8_t)right->kind;
	test->right = right->kind == FILTER_LITERAL ? add_literal(compiler, right) : right->attribute;
}

static struct text_view literal_text(const struct filter_compiler *compiler, const union filter_literal *literal)
{
	return (struct text_view){ compiler->strings + literal->string.offset, literal->string.bytes };
}

static unsigned order_literals(const struct filter_compiler *compiler, enum value_type type,
			       const union filter_literal *a, const union filter_literal *b)
{
	int order = 0;
	switch (type) {
	case VALUE_STRING:
		return filter_order_text(literal_text(compiler, a), literal_text(compiler, b));
	case VALUE_NUMBER:
		order = (a->number > b->number) - (a->number < b->number);
		break;
	case VALUE_TIMESTAMP:
		order = (a->timestamp_ms > b->timestamp_ms) - (a->timestamp_ms < b->timestamp_ms);
		break;
	case VALUE_BOOLEAN:
		order = a->boolean - b->boolean;
		break;
	case VALUE_MISSING:
	case VALUE_STRING_LIST:
		break;
	}
	return order < 0 ? FILTER_LESS : order > 0 ? FILTER_GREATER : FILTER_EQUAL;
}

static uint8_t turned(uint8_t compare)
{
	uint8_t same = compare & FILTER_EQUAL;
	return (uint8_t)(same | (compare & FILTER_LESS ? FILTER_GREATER : 0u) |
			 (compare & FILTER_GREATER ? FILTER_LESS : 0u));
}

static bool is_equality(const struct filter_token *op)
{
	return op->compare == FILTER_EQUAL || op->compare == (FILTER_LESS | FILTER_GREATER);
}

/* Whether the type knows the operator; `operand` is the one to blame. */
static int check_operator(struct filter_compiler *compiler, const struct filter_operand *operand,
			  const struct filter_token *op)
{
	if (is_equality(op) || (operand->type != VALUE_BOOLEAN && operand->type != VALUE_STRING_LIST))
		return 0;
	return filter_error(compiler, op->start, "%s and knows %s only, not %s", describe(compiler, operand).text,
			    operand->type == VALUE_BOOLEAN ? "= and !=" : "=, != and IN",
			    filter_quote(compiler, op->start, op->bytes).text);
}

static int make_has(struct filter_compiler *compiler, const struct filter_operand *list, bool negated,
		    const struct filter_operand *text)
{
	struct filter_test *test = add_test(compiler, FILTER_TEST_HAS, list);
	test->negated = negated;
	set_right(compiler, test, text);
	return 0;
}

/* Two operands of one type, not lists. A literal goes to the right; two literals are decided now. */
static int make_compare(struct filter_compiler *compiler, const struct filter_operand *left, uint8_t compare,
			const struct filter_operand *right)
{
	if (left->kind == FILTER_LITERAL && right->kind == FILTER_LITERAL) {
		unsigned order = order_literals(compiler, left->type, &left->literal, &right->literal);
		add_test(compiler, FILTER_TEST_CONSTANT, left)->compare = (uint8_t)(order & compare);
		return 0;
	}
	if (left->kind == FILTER_LITERAL)
		return make_compare(compiler, right, turned(compare), left);
	struct filter_test *test = add_test(compiler, FILTER_TEST_COMPARE, left);
	test->compare = compare;
	set_right(compiler, test, right);
	return 0;
}

int filter_check_compare(struct filter_compiler *compiler, const struct filter_operand *given_left,
			 const struct filter_token *op, const struct filter_operand *given_right)
{
	struct filter_operand left = *given_left, right = *given_right;
	int code = 0;
	if (is_string_literal(&left) && right.type == VALUE_TIMESTAMP)
		code = filter_read_time(compiler, &left);
	else if (left.type == VALUE_TIMESTAMP && is_string_literal(&right))
		code = filter_read_time(compiler, &right);
	if (code)
		return code;

	bool left_list = left.type == VALUE_STRING_LIST, right_list = right.type == VALUE_STRING_LIST;
	code = check_operator(compiler, right_list ? &right : &left, op);
	if (code)
		return code;
	bool negated = op->compare != FILTER_EQUAL;
	if (left_list && right.type == VALUE_STRING)
		return make_has(compiler, &left, negated, &right);
	if (right_list && left.type == VALUE_STRING)
		return make_has(compiler, &right, negated, &left);
	if (left.type != right.type || left_list)
		return mismatch(compiler, &left, &right);
	return make_compare(compiler, &left, op->compare, &right);
}

int filter_check_in(struct filter_compiler *compiler, const struct filter_operand *left, bool negated,
		    const struct filter_operand *right)
{
	if (right->type != VALUE_STRING_LIST)
		return filter_error(compiler, right->start,
				    "IN wants a list on its right, like (\"a\", \"b\") or a list attribute; %s",
				    describe(compiler, right).text);
	if (left->type == VALUE_STRING)
		return make_has(compiler, right, negated, left);
	if (left->type != VALUE_STRING_LIST)
		return mismatch(compiler, left, right);
	struct filter_test *test = add_test(compiler, FILTER_TEST_SHARES, left);
	test->negated = negated;
	set_right(compiler, test, right);
	return 0;
}

/* --- IN ( ... ) --- */

int filter_check_element(struct filter_compiler *compiler, const struct filter_operand *left,
			 struct filter_operand *element)
{
	if (element->kind != FILTER_LITERAL)
		return filter_error(compiler, element->start,
				    "the list of IN holds literals only; '%s' is an attribute",
				    filter_quote(compiler, element->start, element->bytes).text);
	if (left->type == VALUE_BOOLEAN)
		return filter_error(compiler, left->start, "%s and knows = and != only, not IN",
				    describe(compiler, left).text);
	if (left->type == VALUE_TIMESTAMP && element->type == VALUE_STRING) {
		int code = filter_read_time(compiler, element);
		if (code)
			return code;
	}
	enum value_type wanted = left->type == VALUE_STRING_LIST ? VALUE_STRING : left->type;
	if (element->type != wanted)
		return mismatch(compiler, left, element);
	add_literal(compiler, element);
	return 0;
}

struct sorting {
	const struct filter_compiler *compiler;
	enum value_type type;
};

static int sort_order(const void *a, const void *b, void *context)
{
	const struct sorting *sorting = context;
	unsigned order = order_literals(sorting->compiler, sorting->type, a, b);
	return (order == FILTER_GREATER) - (order == FILTER_LESS);
}

int filter_check_among(struct filter_compiler *compiler, const struct filter_operand *left, bool negated,
		       uint32_t first)
{
	enum value_type type = left->type == VALUE_STRING_LIST ? VALUE_STRING : left->type;
	struct sorting sorting = { compiler, type };
	uint32_t count = compiler->literal_count - first;
	qsort_r(&compiler->literals[first], count, sizeof *compiler->literals, sort_order, &sorting);

	if (left->kind == FILTER_LITERAL) {
		bool found = false;
		for (uint32_t i = first; i < compiler->literal_count; i++)
			found |= order_literals(compiler, type, &left->literal, &compiler->literals[i]) == FILTER_EQUAL;
		add_test(compiler, FILTER_TEST_CONSTANT, left)->compare = found != negated;
		return 0;
	}
	struct filter_test *test = add_test(compiler, FILTER_TEST_AMONG, left);
	test->negated = negated;
	test->right_kind = FILTER_LITERAL;
	test->right = first;
	test->count = count;
	return 0;
}

int filter_check_alone(struct filter_compiler *compiler, const struct filter_operand *operand)
{
	if (operand->kind == FILTER_LITERAL)
		return filter_error(compiler, compiler->token.start,
				    "a literal is compared with something, like price < 50");
	if (operand->type != VALUE_BOOLEAN)
		return filter_error(compiler, compiler->token.start,
				    "%s: a comparison is expected after it, like = or IN",
				    describe(compiler, operand).text);
	struct filter_operand truth = { .kind = FILTER_LITERAL, .type = VALUE_BOOLEAN, .literal.boolean = true };
	return make_compare(compiler, operand, FILTER_EQUAL, &truth);
}
