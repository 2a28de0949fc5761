#include "common/filter_private.h"
#include "common/ids.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/*
 * While the text is read, the places a test jumps to are not known yet. Open jumps are kept in lists
 * that run through the very fields to be filled: a slot (test number x 2, + 1 for `no`) holds the next
 * slot of its list, NO_SLOT at the end.
 */
#define NO_SLOT 0xffff

struct jumps {
	uint16_t first; /* test where the expression begins */
	uint16_t yes, no; /* lists of open jumps */
};

static uint16_t *slot_at(struct filter_compiler *compiler, uint16_t slot)
{
	struct filter_test *test = &compiler->tests[slot / 2];
	return slot % 2 ? &test->no : &test->yes;
}

static void close_jumps(struct filter_compiler *compiler, uint16_t list, uint16_t target)
{
	while (list != NO_SLOT) {
		uint16_t *slot = slot_at(compiler, list);
		list = *slot;
		*slot = target;
	}
}

/* `list`, which becomes part of the result, should be the shorter one. */
static uint16_t join_jumps(struct filter_compiler *compiler, uint16_t list, uint16_t rest)
{
	if (list == NO_SLOT)
		return rest;
	uint16_t last = list;
	while (*slot_at(compiler, last) != NO_SLOT)
		last = *slot_at(compiler, last);
	*slot_at(compiler, last) = rest;
	return list;
}

static int parse_or(struct filter_compiler *compiler, struct jumps *jumps);

static int parse_last(struct filter_compiler *compiler, struct filter_operand *operand)
{
	static const char wanted[] = "'.' and the name of an attribute after last";
	operand->kind = FILTER_OF_LAST;
	int code = filter_next(compiler);
	if (code)
		return code;
	if (compiler->token.kind != TOKEN_DOT)
		return filter_expected(compiler, wanted);
	code = filter_next(compiler);
	if (code)
		return code;
	if (compiler->token.kind != TOKEN_NAME)
		return filter_expected(compiler, "the name of an attribute after last.");
	compiler->uses_last = true;
	return filter_resolve(compiler, operand);
}

/* Takes the quotes off and puts the text among the strings. */
static void take_string(struct filter_compiler *compiler, struct filter_operand *operand)
{
	const char *in = compiler->text + compiler->token.start + 1, *end = in + compiler->token.bytes - 2;
	char mark = in[-1];
	operand->type = VALUE_STRING;
	operand->literal.string.offset = compiler->string_bytes;
	for (; in < end; in++) {
		compiler->strings[compiler->string_bytes++] = *in;
		in += *in == mark;
	}
	operand->literal.string.bytes = compiler->string_bytes - operand->literal.string.offset;
}

static int count_literal(struct filter_compiler *compiler)
{
	if (++compiler->literals_seen <= FILTER_LITERALS_MAX)
		return 0;
	return filter_error(compiler, compiler->token.start, "more than %d literals", FILTER_LITERALS_MAX);
}

/* Whether the token is a word that may stand before a string literal only there: TIMESTAMP is no reserved word. */
static bool is_timestamp_word(const struct filter_compiler *compiler)
{
	const struct filter_token *token = &compiler->token;
	return token->kind == TOKEN_NAME && token->bytes == 9 &&
	       strncasecmp(compiler->text + token->start, "timestamp", 9) == 0;
}

static int parse_name(struct filter_compiler *compiler, struct filter_operand *operand)
{
	if (is_timestamp_word(compiler)) {
		struct filter_token name = compiler->token;
		int code = filter_next(compiler);
		if (code)
			return code;
		if (compiler->token.kind == TOKEN_STRING) {
			take_string(compiler, operand);
			operand->bytes = compiler->token.start + compiler->token.bytes - operand->start;
			return filter_read_time(compiler, operand);
		}
		compiler->token = name;
	}
	operand->kind = FILTER_OF_ITEM;
	return filter_resolve(compiler, operand);
}

/* Leaves the token behind the operand in compiler->token. `what`: what is expected, for the error. */
static int parse_operand(struct filter_compiler *compiler, struct filter_operand *operand, const char *what)
{
	*operand = (struct filter_operand){ .kind = FILTER_LITERAL,
					    .start = compiler->token.start,
					    .bytes = compiler->token.bytes };
	int code = 0;
	switch (compiler->token.kind) {
	case TOKEN_LAST:
		code = parse_last(compiler, operand);
		operand->bytes = compiler->token.start + compiler->token.bytes - operand->start;
		break;
	case TOKEN_NAME:
		code = parse_name(compiler, operand);
		break;
	case TOKEN_STRING:
		take_string(compiler, operand);
		break;
	case TOKEN_NUMBER:
		operand->type = VALUE_NUMBER;
		operand->literal.number = compiler->token.number;
		break;
	case TOKEN_TRUE:
	case TOKEN_FALSE:
		operand->type = VALUE_BOOLEAN;
		operand->literal.boolean = compiler->token.kind == TOKEN_TRUE;
		break;
	case TOKEN_END:
	case TOKEN_AND:
	case TOKEN_OR:
	case TOKEN_NOT:
	case TOKEN_IN:
	case TOKEN_COMPARE:
	case TOKEN_OPEN:
	case TOKEN_CLOSE:
	case TOKEN_COMMA:
	case TOKEN_DOT:
		return filter_expected(compiler, what);
	}
	if (!code && operand->kind == FILTER_LITERAL)
		code = count_literal(compiler);
	return code ? code : filter_next(compiler);
}

/* At "(": the literals of an IN list. */
static int parse_among(struct filter_compiler *compiler, const struct filter_operand *left, bool negated)
{
	uint32_t first = compiler->literal_count;
	do {
		struct filter_operand element;
		int code = filter_next(compiler);
		if (!code)
			code = parse_operand(compiler, &element, "a literal");
		if (!code)
			code = filter_check_element(compiler, left, &element);
		if (code)
			return code;
	} while (compiler->token.kind == TOKEN_COMMA);
	if (compiler->token.kind != TOKEN_CLOSE)
		return filter_expected(compiler, "',' or ')' in the list of IN");
	int code = filter_next(compiler);
	return code ? code : filter_check_among(compiler, left, negated, first);
}

/* Behind IN. */
static int parse_in(struct filter_compiler *compiler, const struct filter_operand *left, bool negated)
{
	if (compiler->token.kind == TOKEN_OPEN)
		return parse_among(compiler, left, negated);
	struct filter_operand right;
	int code = parse_operand(compiler, &right, "'(' or an attribute after IN");
	return code ? code : filter_check_in(compiler, left, negated, &right);
}

static int parse_test(struct filter_compiler *compiler)
{
	struct filter_operand left, right;
	int code = parse_operand(compiler, &left, "an attribute, a literal, NOT or '('");
	if (code)
		return code;
	struct filter_token op = compiler->token;
	if (op.kind != TOKEN_COMPARE && op.kind != TOKEN_IN && op.kind != TOKEN_NOT)
		return filter_check_alone(compiler, &left);
	code = filter_next(compiler);
	if (code)
		return code;
	if (op.kind == TOKEN_COMPARE) {
		code = parse_operand(compiler, &right, "an attribute or a literal");
		return code ? code : filter_check_compare(compiler, &left, &op, &right);
	}
	if (op.kind == TOKEN_NOT) {
		if (compiler->token.kind != TOKEN_IN)
			return filter_expected(compiler, "IN after NOT");
		code = filter_next(compiler);
		if (code)
			return code;
	}
	return parse_in(compiler, &left, op.kind == TOKEN_NOT);
}

static int go_deeper(struct filter_compiler *compiler)
{
	if (++compiler->depth > FILTER_DEPTH_MAX)
		return filter_error(compiler, compiler->token.start, "NOT and parentheses nest more than %d deep",
				    FILTER_DEPTH_MAX);
	return filter_next(compiler);
}

static int parse_unary(struct filter_compiler *compiler, struct jumps *jumps)
{
	int code;
	switch ((int)compiler->token.kind) {
	case TOKEN_NOT:
		code = go_deeper(compiler);
		if (!code)
			code = parse_unary(compiler, jumps);
		if (!code)
			*jumps = (struct jumps){ .first = jumps->first, .yes = jumps->no, .no = jumps->yes };
		compiler->depth--;
		return code;
	case TOKEN_OPEN:
		code = go_deeper(compiler);
		if (!code)
			code = parse_or(compiler, jumps);
		if (!code && compiler->token.kind != TOKEN_CLOSE)
			code = filter_expected(compiler, "AND, OR or ')'");
		compiler->depth--;
		return code ? code : filter_next(compiler);
	default: {
		uint16_t test = (uint16_t)compiler->test_count;
		code = parse_test(compiler);
		if (code)
			return code;
		compiler->tests[test].yes = compiler->tests[test].no = NO_SLOT;
		*jumps = (struct jumps){ .first = test, .yes = (uint16_t)(test * 2), .no = (uint16_t)(test * 2 + 1) };
		return 0;
	}
	}
}

static int parse_and(struct filter_compiler *compiler, struct jumps *jumps)
{
	int code = parse_unary(compiler, jumps);
	while (!code && compiler->token.kind == TOKEN_AND) {
		struct jumps next;
		code = filter_next(compiler);
		if (!code)
			code = parse_unary(compiler, &next);
		if (code)
			break;
		close_jumps(compiler, jumps->yes, next.first);
		jumps->yes = next.yes;
		jumps->no = join_jumps(compiler, next.no, jumps->no);
	}
	return code;
}

static int parse_or(struct filter_compiler *compiler, struct jumps *jumps)
{
	int code = parse_and(compiler, jumps);
	while (!code && compiler->token.kind == TOKEN_OR) {
		struct jumps next;
		code = filter_next(compiler);
		if (!code)
			code = parse_and(compiler, &next);
		if (code)
			break;
		close_jumps(compiler, jumps->no, next.first);
		jumps->no = next.no;
		jumps->yes = join_jumps(compiler, next.yes, jumps->yes);
	}
	return code;
}

static int parse(struct filter_compiler *compiler)
{
	struct jumps jumps = { 0 };
	int code = filter_next(compiler);
	if (code || compiler->token.kind == TOKEN_END)
		return code;
	code = parse_or(compiler, &jumps);
	if (code)
		return code;
	if (compiler->token.kind != TOKEN_END)
		return filter_expected(compiler, "AND, OR or the end");
	close_jumps(compiler, jumps.yes, FILTER_ACCEPT);
	close_jumps(compiler, jumps.no, FILTER_REJECT);
	return 0;
}

/* --- storage --- */

/*
 * One allocation for what the compiler builds in: a test and a literal take at least one character
 * each, a string no more than it has.
 */
static int compiler_init(struct filter_compiler *compiler)
{
	size_t tests = compiler->bytes * sizeof *compiler->tests,
	       literals = compiler->bytes * sizeof *compiler->literals;
	char *memory = malloc(tests + literals + compiler->bytes + 1);
	if (!memory)
		return error_set(compiler->err, E_EXHAUSTED, "filter: no memory to compile it");
	compiler->tests = (void *)memory;
	compiler->literals = (void *)(memory + tests);
	compiler->strings = memory + tests + literals;
	return 0;
}

static int program_make(struct filter **filter, const struct filter_compiler *compiler)
{
	size_t tests = compiler->test_count * sizeof *compiler->tests;
	size_t literals = compiler->literal_count * sizeof *compiler->literals;
	char *memory = malloc(sizeof **filter + tests + literals + compiler->string_bytes);
	if (!memory)
		return error_set(compiler->err, E_EXHAUSTED, "filter: no memory to keep it");
	char *test_memory = memory + sizeof **filter;
	if (compiler->test_count) {
		memcpy(test_memory, compiler->tests, tests);
		memcpy(test_memory + tests, compiler->literals, literals);
		memcpy(test_memory + tests + literals, compiler->strings, compiler->string_bytes);
	}
	*filter = (void *)memory;
	**filter = (struct filter){
		.tests = (void *)test_memory,
		.literals = (void *)(test_memory + tests),
		.strings = test_memory + tests + literals,
		.test_count = compiler->test_count,
		.uses_last = compiler->uses_last,
	};
	return 0;
}
_Static_assert(sizeof(struct filter) % _Alignof(union filter_literal) == 0 &&
		       sizeof(struct filter_test) % _Alignof(union filter_literal) == 0,
	       "tests and literals lie behind each other in one allocation");
_Static_assert(FILTER_TEXT_MAX * 2 < NO_SLOT && FILTER_TEXT_MAX < FILTER_REJECT, "jumps have 16 bits");

int filter_compile(struct filter **filter, const char *text, size_t bytes, const struct filter_attribute *attributes,
		   size_t attribute_count, struct error *err)
{
	*filter = NULL;
	if (bytes > FILTER_TEXT_MAX)
		return error_set(err, E_INVALID, "filter: %zu bytes; at most %d are allowed", bytes, FILTER_TEXT_MAX);
	if (!utf8_valid(text, bytes))
		return error_set(err, E_INVALID, "filter: the text is not valid UTF-8");

	struct filter_compiler compiler = { .text = text,
					    .bytes = (uint32_t)bytes,
					    .attributes = attributes,
					    .attribute_count = attribute_count,
					    .err = err };
	int code = compiler_init(&compiler);
	if (code)
		return code;
	code = parse(&compiler);
	if (!code)
		code = program_make(filter, &compiler);
	free(compiler.tests);
	return code;
}

void filter_free(struct filter *filter)
{
	free(filter);
}

bool filter_always(const struct filter *filter)
{
	return filter->test_count == 0;
}

bool filter_uses_last(const struct filter *filter)
{
	return filter->uses_last;
}
