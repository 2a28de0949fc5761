#include "cli/types.h"

#include "common/clock.h"

#include <ctype.h>
#include <math.h>
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
