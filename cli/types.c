#include "cli/types.h"

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

static void example_keep(struct type_counts *counts, const char *text, size_t bytes)
{
	if (counts->example[0] == '\0' && bytes < sizeof counts->example)
		memcpy(counts->example, text, bytes);
}

/* What is none of the types, but may have been meant as one. */
static void see_stranger(struct type_counts *counts, const char *text, size_t bytes)
{
	double number;
	bool day = day_guess(text, bytes);
	bool amount = !day && (amount_guess(text, bytes) || number_parse(text, bytes, &number));
	counts->days += day;
	counts->amounts += amount;
	if (day || amount)
		example_keep(counts, text, bytes);
}

static void see_number(struct type_counts *counts, const struct field *field, const struct notation *notation)
{
	counts->numbers++;
	counts->codes += number_is_code(field->text, field->bytes);
	/* one that is clear makes them all clear */
	if (field->odd || counts->points > counts->unclear || memchr(field->text, '.', field->bytes) == NULL)
		return;
	counts->points++;
	if (!notation_number_unclear(notation, field))
		return;
	counts->unclear++;
	example_keep(counts, field->text, field->bytes);
}

const char *type_hint(const struct type_counts *counts, attribute_type type, const struct notation *notation,
		      char *buffer)
{
	char help[NOTATION_HELP_MAX];
	size_t bytes = strlen(counts->example);
	uint64_t good = counts->values - counts->values / 20; /* a column has its "n/a" */
	if (type == TYPE_NUMBER && counts->unclear > 0 && counts->unclear == counts->points)
		snprintf(buffer, TYPE_HINT_MAX, "as numbers with a decimal point %s",
			 notation_number_help(notation, counts->example, bytes, help));
	else if (type != TYPE_STRING || counts->values == 0)
		return NULL;
	else if (counts->days >= good)
		snprintf(buffer, TYPE_HINT_MAX, "as texts, which have no order in time as timestamps do %s",
			 notation_time_help(notation, counts->example, bytes, help));
	else if (counts->amounts > 0 && counts->amounts + counts->numbers >= good)
		snprintf(buffer, TYPE_HINT_MAX,
			 "as texts, which a filter's < and > do not compare as they do numbers %s",
			 notation_number_help(notation, counts->example, bytes, help));
	else
		return NULL;
	return buffer;
}

void type_see(struct type_counts *counts, const struct field *field, const char *separator,
	      const struct notation *notation)
{
	double number;
	bool boolean;
	int64_t time_ms;
	const char *text = field->text;
	size_t bytes = field->bytes;
	if (bytes == 0)
		return;
	counts->values++;
	counts->long_values += bytes > STRING_VALUE_MAX;
	if (notation_number(notation, field, &number)) {
		see_number(counts, field, notation);
		return;
	}
	if (boolean_parse(text, bytes, &boolean))
		counts->booleans++;
	else if (!number_parse(text, bytes, &number) && notation_time(notation, text, bytes, &time_ms))
		counts->timestamps++; /* a number is none, also 9.95 where a comma sets off decimals */
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
