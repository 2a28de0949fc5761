#include "common/filter_private.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NUMBER_MAX 64 /* characters of a number */
#define QUOTE_CHARACTERS 40 /* of the text shown in an error; and bytes, so that words fit around it */
#define QUOTE_BYTES 80

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c);
}

static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* Bytes of the character at `at`; the text is valid UTF-8. */
static uint32_t character_bytes(const struct filter_compiler *compiler, uint32_t at)
{
	uint32_t end = at + 1;
	while (end < compiler->bytes && is_continuation(compiler->text[end]))
		end++;
	return end - at;
}

int filter_error(struct filter_compiler *compiler, uint32_t at, const char *format, ...)
{
	unsigned character = 1;
	for (uint32_t i = 0; i < at; i++)
		character += !is_continuation(compiler->text[i]);

	char reason[400];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(reason, sizeof reason, format, arguments);
	va_end(arguments);
	return error_set(compiler->err, E_INVALID, "filter, character %u: %s", character, reason);
}

struct filter_quote filter_quote(const struct filter_compiler *compiler, uint32_t start, uint32_t bytes)
{
	struct filter_quote quote;
	uint32_t in = start, end = start + bytes, out = 0;
	for (unsigned i = 0; in < end; i++) {
		uint32_t length = character_bytes(compiler, in);
		if (i == QUOTE_CHARACTERS || out + length > QUOTE_BYTES) {
			memcpy(quote.text + out, "...", 3);
			out += 3;
			break;
		}
		memcpy(quote.text + out, compiler->text + in, length);
		if ((unsigned char)quote.text[out] < ' ' || quote.text[out] == 0x7f)
			quote.text[out] = ' ';
		out += length;
		in += length;
	}
	quote.text[out] = 0;
	return quote;
}

int filter_expected(struct filter_compiler *compiler, const char *what)
{
	const struct filter_token *token = &compiler->token;
	if (token->kind == TOKEN_END)
		return filter_error(compiler, token->start, "expected %s, found the end of the filter", what);
	struct filter_quote found = filter_quote(compiler, token->start, token->bytes);
	/* A string shows its own quotes. */
	const char *mark = token->kind == TOKEN_STRING ? "" : "'";
	return filter_error(compiler, token->start, "expected %s, found %s%s%s", what, mark, found.text, mark);
}

/* --- tokens, longest first --- */

static int lex_string(struct filter_compiler *compiler)
{
	struct filter_token *token = &compiler->token;
	char mark = compiler->text[token->start];
	for (uint32_t at = token->start + 1; at < compiler->bytes; at++) {
		if (compiler->text[at] != mark)
			continue;
		if (at + 1 < compiler->bytes && compiler->text[at + 1] == mark) {
			at++;
			continue;
		}
		token->kind = TOKEN_STRING;
		token->bytes = at + 1 - token->start;
		return 0;
	}
	return filter_error(compiler, token->start, "the text that begins here has no closing %c", mark);
}

static uint32_t skip_digits(const struct filter_compiler *compiler, uint32_t at)
{
	while (at < compiler->bytes && is_digit(compiler->text[at]))
		at++;
	return at;
}

static bool at_is(const struct filter_compiler *compiler, uint32_t at, const char *any)
{
	return at < compiler->bytes && compiler->text[at] && strchr(any, compiler->text[at]);
}

/* [+-] digits [. digits] [e [+-] digits], or . digits */
static bool number_starts(const struct filter_compiler *compiler, uint32_t at)
{
	at += at_is(compiler, at, "+-");
	at += at_is(compiler, at, ".");
	return at < compiler->bytes && is_digit(compiler->text[at]);
}

static int lex_number(struct filter_compiler *compiler)
{
	struct filter_token *token = &compiler->token;
	uint32_t at = token->start + at_is(compiler, token->start, "+-");
	at = skip_digits(compiler, at);
	if (at_is(compiler, at, ".") && at + 1 < compiler->bytes && is_digit(compiler->text[at + 1]))
		at = skip_digits(compiler, at + 1);
	if (at_is(compiler, at, "eE")) {
		uint32_t exponent = at + 1 + at_is(compiler, at + 1, "+-");
		if (exponent < compiler->bytes && is_digit(compiler->text[exponent]))
			at = skip_digits(compiler, exponent);
	}
	uint32_t end = at;
	while (end < compiler->bytes && is_name(compiler->text[end]))
		end++;
	token->kind = TOKEN_NUMBER;
	token->bytes = end - token->start;
	if (end != at)
		return filter_error(compiler, token->start,
				    "'%s' is neither a number nor a name; a text stands in quotes",
				    filter_quote(compiler, token->start, token->bytes).text);
	if (token->bytes >= NUMBER_MAX)
		return filter_error(compiler, token->start, "a number of %u characters; at most %d are allowed",
				    token->bytes, NUMBER_MAX - 1);

	char digits[NUMBER_MAX];
	memcpy(digits, compiler->text + token->start, token->bytes);
	digits[token->bytes] = 0;
	token->number = strtod(digits, NULL);
	if (!isfinite(token->number))
		return filter_error(compiler, token->start, "%s is out of the range of numbers", digits);
	return 0;
}

static enum filter_token_kind word_kind(const char *word, uint32_t bytes)
{
	static const struct {
		const char *word;
		enum filter_token_kind kind;
	} words[] = { { "and", TOKEN_AND },   { "or", TOKEN_OR },       { "not", TOKEN_NOT },  { "in", TOKEN_IN },
		      { "true", TOKEN_TRUE }, { "false", TOKEN_FALSE }, { "last", TOKEN_LAST } };
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strlen(words[i].word) == bytes && strncasecmp(words[i].word, word, bytes) == 0)
			return words[i].kind;
	return TOKEN_NAME;
}

static void lex_word(struct filter_compiler *compiler)
{
	struct filter_token *token = &compiler->token;
	uint32_t end = token->start;
	while (end < compiler->bytes && is_name(compiler->text[end]))
		end++;
	token->bytes = end - token->start;
	token->kind = word_kind(compiler->text + token->start, token->bytes);
}

/* Signs, longer ones before those they begin with. Those with advice are how other languages write it. */
static const struct sign {
	const char *text;
	enum filter_token_kind kind;
	uint8_t compare;
	const char *advice;
} signs[] = {
	{ "==", TOKEN_COMPARE, 0, "=" },
	{ "<>", TOKEN_COMPARE, 0, "!=" },
	{ "&&", TOKEN_AND, 0, "AND" },
	{ "||", TOKEN_OR, 0, "OR" },
	{ "!=", TOKEN_COMPARE, FILTER_LESS | FILTER_GREATER, NULL },
	{ "<=", TOKEN_COMPARE, FILTER_LESS | FILTER_EQUAL, NULL },
	{ ">=", TOKEN_COMPARE, FILTER_GREATER | FILTER_EQUAL, NULL },
	{ "=", TOKEN_COMPARE, FILTER_EQUAL, NULL },
	{ "<", TOKEN_COMPARE, FILTER_LESS, NULL },
	{ ">", TOKEN_COMPARE, FILTER_GREATER, NULL },
	{ "(", TOKEN_OPEN, 0, NULL },
	{ ")", TOKEN_CLOSE, 0, NULL },
	{ ",", TOKEN_COMMA, 0, NULL },
	{ ".", TOKEN_DOT, 0, NULL },
	{ "&", TOKEN_AND, 0, "AND" },
	{ "|", TOKEN_OR, 0, "OR" },
	{ "!", TOKEN_NOT, 0, "NOT" },
	{ "[", TOKEN_OPEN, 0, "(" },
	{ "]", TOKEN_CLOSE, 0, ")" },
	{ "\xe2\x80\x9c", TOKEN_STRING, 0, "\"" },
	{ "\xe2\x80\x9d", TOKEN_STRING, 0, "\"" },
	{ "\xe2\x80\x98", TOKEN_STRING, 0, "'" },
	{ "\xe2\x80\x99", TOKEN_STRING, 0, "'" },
};

static int lex_sign(struct filter_compiler *compiler)
{
	struct filter_token *token = &compiler->token;
	const char *text = compiler->text + token->start;
	uint32_t left = compiler->bytes - token->start;
	for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
		const struct sign *sign = &signs[i];
		size_t length = strlen(sign->text);
		if (length > left || memcmp(sign->text, text, length) != 0)
			continue;
		token->kind = sign->kind;
		token->compare = sign->compare;
		token->bytes = (uint32_t)length;
		if (sign->advice)
			return filter_error(compiler, token->start, "'%s' is not of the filter language; write %s",
					    sign->text, sign->advice);
		return 0;
	}
	uint32_t length = character_bytes(compiler, token->start);
	return filter_error(
		compiler, token->start,
		"'%s' is not of the filter language; it has names, numbers, texts in quotes, = != < <= > >= ( ) ,",
		filter_quote(compiler, token->start, length).text);
}

int filter_next(struct filter_compiler *compiler)
{
	struct filter_token *token = &compiler->token;
	uint32_t at = token->start + token->bytes;
	while (at_is(compiler, at, " \t\r\n"))
		at++;
	*token = (struct filter_token){ .kind = TOKEN_END, .start = at };
	if (at == compiler->bytes)
		return 0;
	if (at_is(compiler, at, "\"'"))
		return lex_string(compiler);
	if (number_starts(compiler, at))
		return lex_number(compiler);
	if (is_name(compiler->text[at])) {
		lex_word(compiler);
		return 0;
	}
	return lex_sign(compiler);
}
