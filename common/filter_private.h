/*
 * What the parts of the filter module share; common/filter.h is the module's door.
 *
 *     filter_lex.c    characters to tokens, and errors with their place
 *     filter_parse.c  the grammar; lays the tests out as a program
 *     filter_check.c  attribute names, types, literals: two operands and an operator to one test
 *     filter_match.c  runs the program
 *
 * A program is a row of tests. Each names the next test for yes and for no, always one further on, or
 * FILTER_ACCEPT or FILTER_REJECT; AND, OR, NOT and parentheses are in these jumps alone, so that
 * matching neither recurses nor branches on them.
 */
#ifndef KINDRED_FILTER_PRIVATE_H
#define KINDRED_FILTER_PRIVATE_H

#include "common/filter.h"

#define FILTER_DEPTH_MAX 64
#define FILTER_LITERALS_MAX 1000
#define FILTER_ACCEPT 0xffff
#define FILTER_REJECT 0xfffe

/* How two values lie: a comparison is the set of the answers that make it true. */
#define FILTER_LESS 1u
#define FILTER_EQUAL 2u
#define FILTER_GREATER 4u

enum filter_test_kind {
	FILTER_TEST_CONSTANT, /* holds when `compare` is not 0 */
	FILTER_TEST_COMPARE, /* left and right are of one type, not lists */
	FILTER_TEST_HAS, /* left, a list, has right, a string */
	FILTER_TEST_SHARES, /* left and right, lists, share an element */
	FILTER_TEST_AMONG, /* left is one of `count` literals from right on, sorted; a list: one of its elements is */
};

enum filter_operand_kind { FILTER_OF_ITEM, FILTER_OF_LAST, FILTER_LITERAL };

struct filter_test {
	uint8_t kind; /* enum filter_test_kind */
	uint8_t type; /* enum value_type of left */
	uint8_t left_kind,
		/* enum filter_operand_kind; left is never a literal, but with FILTER_TEST_HAS right may be */
		right_kind;
	uint8_t compare; /* FILTER_LESS | FILTER_EQUAL | FILTER_GREATER */
	bool negated; /* HAS, SHARES, AMONG: != or NOT IN; a missing value makes these false too */
	uint16_t yes, no;
	uint32_t left; /* attribute */
	uint32_t right; /* attribute, or number of the (first) literal */
	uint32_t count;
};

union filter_literal {
	double number;
	int64_t timestamp_ms;
	bool boolean;
	struct {
		uint32_t offset, bytes; /* in strings */
	} string;
};

/* One allocation: the struct, then tests, literals and strings. */
struct filter {
	const struct filter_test *tests;
	const union filter_literal *literals;
	const char *strings;
	uint32_t test_count;
	bool uses_last;
};

enum filter_token_kind {
	TOKEN_END,
	TOKEN_NAME,
	TOKEN_STRING,
	TOKEN_NUMBER,
	TOKEN_AND,
	TOKEN_OR,
	TOKEN_NOT,
	TOKEN_IN,
	TOKEN_TRUE,
	TOKEN_FALSE,
	TOKEN_LAST,
	TOKEN_COMPARE,
	TOKEN_OPEN,
	TOKEN_CLOSE,
	TOKEN_COMMA,
	TOKEN_DOT
};

struct filter_token {
	enum filter_token_kind kind;
	uint32_t start, bytes; /* in the text */
	uint8_t compare; /* TOKEN_COMPARE */
	double number; /* TOKEN_NUMBER */
};

struct filter_operand {
	enum filter_operand_kind kind;
	enum value_type type;
	uint32_t start, bytes; /* in the text, for errors */
	uint32_t attribute;
	union filter_literal literal;
};

/* A filter being compiled. The arrays have room for whatever `bytes` characters can ask for. */
struct filter_compiler {
	const char *text;
	uint32_t bytes;
	const struct filter_attribute *attributes;
	size_t attribute_count;
	struct error *err;

	struct filter_token token; /* the one looked at */
	uint32_t depth;

	struct filter_test *tests;
	uint32_t test_count;
	union filter_literal *literals;
	uint32_t literal_count; /* in the program */
	uint32_t literals_seen; /* in the text, against the limit */
	char *strings;
	uint32_t string_bytes;
	bool uses_last;
};

/* --- filter_lex.c --- */

/* Reads the next token into compiler->token. 0 or E_INVALID. */
int filter_next(struct filter_compiler *compiler);
/* Sets "filter, character N: ..." for the byte offset `at` of the text. Returns E_INVALID. */
int filter_error(struct filter_compiler *compiler, uint32_t at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* "expected <what>, found <the token>", at the token. */
int filter_expected(struct filter_compiler *compiler, const char *what);

/* A piece of the text as an error shows it: one line, shortened. */
#define FILTER_QUOTE_MAX 128
struct filter_quote {
	char text[FILTER_QUOTE_MAX];
};
struct filter_quote filter_quote(const struct filter_compiler *compiler, uint32_t start, uint32_t bytes);

/* --- filter_check.c --- */

/* Fills operand->attribute and type from the name token at compiler->token. */
int filter_resolve(struct filter_compiler *compiler, struct filter_operand *operand);

/* Makes a string literal a timestamp, or says that it is none. */
int filter_read_time(struct filter_compiler *compiler, struct filter_operand *operand);

/* Each makes one test, with yes and no still open, and puts it at compiler->tests[test_count++]. */
int filter_check_compare(struct filter_compiler *compiler, const struct filter_operand *left,
			 const struct filter_token *op, const struct filter_operand *right);
int filter_check_in(struct filter_compiler *compiler, const struct filter_operand *left, bool negated,
		    const struct filter_operand *right);
/*
 * The literals of the list are compiler->literals[first..literal_count), each already converted by
 * filter_check_element.
 */
int filter_check_among(struct filter_compiler *compiler, const struct filter_operand *left, bool negated,
		       uint32_t first);
/* Whether `element` may stand in a list that left is looked up in; converts it to left's type and appends it. */
int filter_check_element(struct filter_compiler *compiler, const struct filter_operand *left,
			 struct filter_operand *element);
/* An operand that stands alone. */
int filter_check_alone(struct filter_compiler *compiler, const struct filter_operand *operand);

/* --- filter_match.c --- */

/* FILTER_LESS, FILTER_EQUAL or FILTER_GREATER; byte order. */
unsigned filter_order_text(struct text_view a, struct text_view b);

#endif
