#include "cli/types.h"

#include "common/clock.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
	attribute_type type;
	const char *name;
} names[] = { { TYPE_STRING, "string" },
	      { TYPE_NUMBER, "number" },
	      { TYPE_BOOLEAN, "boolean" },
	      { TYPE_TIMESTAMP, "timestamp" },
	      { TYPE_LIST, "list" } };

const char *type_name(attribute_type type)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (names[i].type == type)
			return names[i].name;
	}
	return "unknown";
}

attribute_type type_parse(const char *name)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (strcasecmp(names[i].name, name) == 0)
			return names[i].type;
	}
	return TYPE_NONE;
}

bool number_parse(const char *text, size_t bytes, double *number)
{
	char copy[64];
	if (bytes == 0 || bytes >= sizeof copy)
		return false;
	/* Decimal only: strtod also knows hexadecimal, "inf" and "nan". */
	for (size_t i = 0; i < bytes; i++) {
		if (strchr("0123456789+-.eE", text[i]) == NULL)
			return false;
	}
	memcpy(copy, text, bytes);
	copy[bytes] = '\0';
	char *end;
	*number = strtod(copy, &end);
	return end == copy + bytes && isfinite(*number);
}

bool boolean_parse(const char *text, size_t bytes, bool *value)
{
	static const struct {
		const char *name;
		bool value;
	} words[] = { { "true", true }, { "false", false }, { "yes", true }, { "no", false }, { "1", true },
		      { "0", false },   { "t", true },      { "f", false },  { "y", true },   { "n", false } };
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (strlen(words[i].name) == bytes && strncasecmp(words[i].name, text, bytes) == 0) {
			*value = words[i].value;
			return true;
		}
	}
	return false;
}

/* "007" and "+49": written as a number, meant as a code. */
static bool is_code(const char *text, size_t bytes)
{
	if (*text == '+')
		return true;
	if (*text == '-') {
		text++;
		bytes--;
	}
	return bytes > 1 && text[0] == '0' && isdigit((unsigned char)text[1]);
}

/* What stands beside a number: nothing, a sign, three capitals, or a word behind a blank. */
static bool is_unit(const char *text, size_t bytes)
{
	size_t letters = 0, capitals = 0, blanks = 0;
	for (size_t i = 0; i < bytes; i++) {
		letters += isalpha((unsigned char)text[i]) != 0;
		capitals += isupper((unsigned char)text[i]) != 0;
		blanks += text[i] == ' ';
	}
	return bytes <= 5 && (letters == 0 || blanks > 0 || (letters == 3 && capitals == 3));
}

/* "1.234,50 EUR", "$9.95", "1,200", "4,5 kg"; not "1.2.3", "38,39,40" and "4XL". */
static bool is_amount(const char *text, size_t bytes)
{
	size_t first = 0, last = bytes, groups = 1, digits = 0;
	bool comma = false;
	while (first < bytes && !isdigit((unsigned char)text[first]))
		first++;
	while (last > first && !isdigit((unsigned char)text[last - 1]))
		last--;
	if (first == last || !is_unit(text, first) || !is_unit(text + last, bytes - last) ||
	    is_code(text + first, last - first))
		return false;
	for (size_t i = first; i < last; i++) {
		if (isdigit((unsigned char)text[i])) {
			digits++;
			continue;
		}
		/* the sign before the last group sets off decimals; before others, thousands */
		if (strchr(".,' ", text[i]) == NULL || (groups > 1 && digits != 3) || digits == 0)
			return false;
		comma |= text[i] == ',';
		groups++;
		digits = 0;
	}
	return comma || first > 0 || last < bytes;
}

/* "24.12.2026", "12/24/2026 18:00" */
static bool is_day(const char *text, size_t bytes)
{
	unsigned a, b, year;
	char copy[32], first, second;
	if (bytes >= sizeof copy || !isdigit((unsigned char)*text))
		return false;
	memcpy(copy, text, bytes);
	copy[bytes] = '\0';
	return sscanf(copy, "%2u%c%2u%c%4u", &a, &first, &b, &second, &year) == 5 && first == second &&
	       (first == '.' || first == '/' || first == '-') && a >= 1 && a <= 31 && b >= 1 && b <= 31 && year >= 1000;
}

/* What is none of the types, but may have been meant as one. */
static void see_stranger(struct type_counts *counts, const char *text, size_t bytes)
{
	bool day = is_day(text, bytes), amount = !day && is_amount(text, bytes);
	counts->days += day;
	counts->amounts += amount;
	if ((day || amount) && counts->example[0] == '\0' && bytes < sizeof counts->example)
		memcpy(counts->example, text, bytes);
}

const char *type_hint(const struct type_counts *counts, attribute_type type)
{
	uint64_t good = counts->values - counts->values / 20; /* a column has its "n/a" */
	if (type != TYPE_STRING || counts->values == 0)
		return NULL;
	if (counts->days >= good)
		return "as texts, which have no order in time; timestamps are written 2026-12-24 or "
		       "2026-12-24T18:00:00Z";
	if (counts->amounts > 0 && counts->amounts + counts->numbers >= good)
		return "as texts; numbers, which a filter can compare by < and >, are written 1234.50, without a "
		       "currency or a unit";
	return NULL;
}

void type_see(struct type_counts *counts, const char *text, size_t bytes, const char *separator)
{
	double number;
	bool boolean;
	int64_t time_ms;
	if (bytes == 0)
		return;
	counts->values++;
	counts->long_values += bytes > STRING_VALUE_MAX;
	if (number_parse(text, bytes, &number)) {
		counts->numbers++;
		counts->codes += is_code(text, bytes);
		return;
	}
	if (boolean_parse(text, bytes, &boolean))
		counts->booleans++;
	else if (isdigit((unsigned char)*text) && time_parse_calendar(text, bytes, &time_ms))
		counts->timestamps++;
	else if (separator[0] != '\0' && memmem(text, bytes, separator, strlen(separator)) != NULL)
		counts->lists++;
	else
		see_stranger(counts, text, bytes);
}

static bool mostly(uint64_t some, uint64_t all)
{
	return some == all || (all >= 100 && all - some <= all / 100);
}

attribute_type type_decide(const struct type_counts *counts)
{
	if (counts->values == 0)
		return TYPE_STRING;
	if (mostly(counts->booleans, counts->values))
		return TYPE_BOOLEAN;
	if (counts->codes == 0 && mostly(counts->numbers, counts->values))
		return TYPE_NUMBER;
	if (mostly(counts->timestamps, counts->values))
		return TYPE_TIMESTAMP;
	return counts->lists > 0 ? TYPE_LIST : TYPE_STRING;
}

uint64_t type_strangers(const struct type_counts *counts, attribute_type type)
{
	switch (type) {
	case TYPE_BOOLEAN:
		return counts->values - counts->booleans;
	case TYPE_NUMBER:
		return counts->values - counts->numbers;
	case TYPE_TIMESTAMP:
		return counts->values - counts->timestamps;
	case TYPE_LIST:
		return counts->lists; /* the elements were not looked at */
	default:
		return counts->long_values;
	}
}
