#include "cli/notation.h"

#include "cli/text.h"
#include "common/clock.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NUMBER_MAX 64 /* bytes of a number, and of a time */
#define TIME_MAX 128
#define YEAR_MIN 1000
#define UNIT_MAX 5 /* bytes of a unit that is recognized */

/* A blank, and those that do not break a line: U+00A0, U+202F. */
static const char *const blanks[] = { " ", "\xc2\xa0", "\xe2\x80\xaf" };
#define BLANKS (sizeof blanks / sizeof *blanks)

/* Between groups of three digits. */
static const struct {
	char sign; /* of struct notation */
	const char *text;
} group_signs[] = {
	{ ',', "," }, { '.', "." },        { '\'', "'" },           { '\'', "\xe2\x80\x99" }, /* U+2019 */
	{ ' ', " " }, { ' ', "\xc2\xa0" }, { ' ', "\xe2\x80\xaf" },
};

/* What is left of a text. */
struct part {
	const char *text;
	size_t bytes;
};

static bool cut_start(struct part *part, const char *what)
{
	size_t bytes = strlen(what);
	if (part->bytes < bytes || memcmp(part->text, what, bytes) != 0)
		return false;
	part->text += bytes;
	part->bytes -= bytes;
	return true;
}

static bool cut_end(struct part *part, const char *what)
{
	size_t bytes = strlen(what);
	if (part->bytes < bytes || memcmp(part->text + part->bytes - bytes, what, bytes) != 0)
		return false;
	part->bytes -= bytes;
	return true;
}

static bool cut_unit(struct part *part, const char *unit)
{
	bool before = cut_start(part, unit);
	if (!before && !cut_end(part, unit))
		return false;
	for (size_t i = 0; i < BLANKS; i++) {
		if (before ? cut_start(part, blanks[i]) : cut_end(part, blanks[i]))
			break;
	}
	return true;
}

bool number_parse(const char *text, size_t bytes, double *number)
{
	char copy[NUMBER_MAX];
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

bool number_is_code(const char *text, size_t bytes)
{
	if (*text == '+')
		return true;
	if (*text == '-') {
		text++;
		bytes--;
	}
	return bytes > 1 && text[0] == '0' && isdigit((unsigned char)text[1]);
}

/* Takes the digits at the start of the part to the end of a text that has room for all of the part. */
static size_t take_digits(struct part *part, char *text, size_t *bytes)
{
	size_t count = 0;
	while (count < part->bytes && isdigit((unsigned char)part->text[count]))
		text[(*bytes)++] = part->text[count++];
	part->text += count;
	part->bytes -= count;
	return count;
}

/* What separates the groups of digits, when the part begins with such. NULL: they are not grouped. */
static const char *cut_group_sign(const struct notation *notation, struct part *part)
{
	for (size_t i = 0; i < sizeof group_signs / sizeof *group_signs; i++) {
		char sign = group_signs[i].sign;
		bool may = notation->thousands != 0 ? sign == notation->thousands
						    : notation->decimal_comma && (sign == '.' || sign == ' ');
		if (may && cut_start(part, group_signs[i].text))
			return group_signs[i].text;
	}
	return NULL;
}

/* "1.299,95", or 1,299.95, is written as 1299.95, for number_parse. */
static bool number_parse_grouped(const struct notation *notation, struct part part, double *number)
{
	char plain[NUMBER_MAX];
	size_t bytes = 0;
	if (part.bytes >= sizeof plain)
		return false;
	if (cut_start(&part, "-"))
		plain[bytes++] = '-';
	else
		cut_start(&part, "+");
	const char *first = part.text;
	size_t digits = take_digits(&part, plain, &bytes);
	const char *sign = cut_group_sign(notation, &part);
	/* 0.123 is a number with a decimal point, not a group behind a 0 */
	if (digits == 0 || (sign != NULL && (digits > 3 || *first == '0')))
		return false;
	for (bool more = sign != NULL; more; more = cut_start(&part, sign)) {
		if (take_digits(&part, plain, &bytes) != 3)
			return false;
	}
	if (cut_start(&part, notation->decimal_comma ? "," : ".")) {
		plain[bytes++] = '.';
		if (take_digits(&part, plain, &bytes) == 0)
			return false;
	}
	/* an exponent may follow, and nothing else */
	if (part.bytes > 0 && strchr("eE", *part.text) == NULL)
		return false;
	memcpy(plain + bytes, part.text, part.bytes);
	return number_parse(plain, bytes + part.bytes, number);
}

static bool part_number(const struct notation *notation, struct part part, double *number)
{
	if (!notation->decimal_comma && number_parse(part.text, part.bytes, number))
		return true;
	return (notation->decimal_comma || notation->thousands != 0) && number_parse_grouped(notation, part, number);
}

bool notation_number(const struct notation *notation, const struct field *field, double *number)
{
	const struct part whole = { field->text, field->bytes };
	if (field->odd)
		return number_parse(field->text, field->bytes, number);
	if (part_number(notation, whole, number))
		return true;
	for (size_t i = 0; i < notation->unit_count; i++) {
		struct part part = whole;
		if (cut_unit(&part, notation->units[i]) && part_number(notation, part, number))
			return true;
	}
	return false;
}

bool notation_number_unclear(const struct notation *notation, const struct field *field)
{
	struct notation comma = *notation;
	double number, other;
	comma.decimal_comma = true;
	if (notation->thousands != 0)
		return false;
	return notation_number(notation, field, &number) && notation_number(&comma, field, &other) && number != other;
}

int notation_unit_add(struct notation *notation, const char *unit, struct error *err)
{
	if (*unit == '\0' || strpbrk(unit, "0123456789+-") != NULL)
		return error_set(err, E_INVALID,
				 "--unit '%s': give what stands beside numbers, such as EUR or kg, without digits, + "
				 "and -",
				 unit);
	if (notation->unit_count == NOTATION_MAX)
		return error_set(err, E_INVALID, "more than %d --unit", NOTATION_MAX);
	notation->units[notation->unit_count++] = unit;
	return 0;
}

int notation_thousands_set(struct notation *notation, const char *sign, struct error *err)
{
	for (size_t i = 0; i < sizeof group_signs / sizeof *group_signs; i++) {
		if (strcmp(sign, group_signs[i].text) != 0)
			continue;
		if (notation->thousands != 0 && notation->thousands != group_signs[i].sign)
			return error_set(err, E_INVALID, "more than one --thousands");
		notation->thousands = group_signs[i].sign;
		return 0;
	}
	return error_set(err, E_INVALID,
			 "--thousands '%s': give what stands between groups of three digits, one of ',' '.' ' ' \"'\"",
			 sign);
}

int notation_check(const struct notation *notation, struct error *err)
{
	if (notation->thousands == ',' && notation->decimal_comma)
		return error_set(
			err, E_INVALID,
			"--thousands ',' and --decimal-comma: a comma sets off thousands or decimals, not both");
	if (notation->thousands == '.' && !notation->decimal_comma)
		return error_set(err, E_INVALID,
				 "--thousands '.': a point sets off decimals, unless --decimal-comma says that a comma "
				 "does");
	return 0;
}

bool time_parse_format(const char *text, size_t bytes, const char *format, int64_t *time_ms)
{
	char copy[TIME_MAX];
	struct tm parts = { 0 };
	if (bytes >= sizeof copy)
		return false;
	memcpy(copy, text, bytes);
	copy[bytes] = '\0';
	if (strptime(copy, format, &parts) != copy + bytes || parts.tm_year < YEAR_MIN - 1900)
		return false;
	/* timegm() knows no zone, and makes the 1st of March of the 29th of February */
	const struct tm said = parts;
	int64_t time_s = (int64_t)timegm(&parts) - said.tm_gmtoff;
	*time_ms = time_s * 1000;
	return parts.tm_mday == said.tm_mday && parts.tm_mon == said.tm_mon && parts.tm_sec == said.tm_sec &&
	       *time_ms <= TIME_MAX_MS;
}

int notation_time_format_add(struct notation *notation, const char *format, struct error *err)
{
	/* What is written by the format reads back as this day, and the name of its zone is not in it. */
	struct tm day = { .tm_year = 101, .tm_mon = 1, .tm_mday = 3, .tm_hour = 12 };
	char text[TIME_MAX], other[TIME_MAX];
	const int64_t day_ms = (int64_t)timegm(&day) * 1000;
	int64_t read_ms;
	day.tm_zone = "CET";
	size_t bytes = strftime(text, sizeof text, format, &day);
	if (bytes == 0 || !time_parse_format(text, bytes, format, &read_ms) || read_ms / DAY_MS != day_ms / DAY_MS)
		return error_set(err, E_INVALID,
				 "--time-format '%s': no day can be read by it; give what strptime knows, for example "
				 "'%%d.%%m.%%Y %%H:%%M'",
				 format);
	day.tm_zone = "EST";
	strftime(other, sizeof other, format, &day);
	if (strcmp(text, other) != 0)
		return error_set(err, E_INVALID,
				 "--time-format '%s': names of zones (%%Z) are not read; give %%z for +01:00, or "
				 "convert the times to UTC",
				 format);
	if (notation->time_format_count == NOTATION_MAX)
		return error_set(err, E_INVALID, "more than %d --time-format", NOTATION_MAX);
	notation->time_formats[notation->time_format_count++] = format;
	return 0;
}

bool notation_time(const struct notation *notation, const char *text, size_t bytes, int64_t *time_ms)
{
	bool read = false;
	int64_t one_ms;
	if (notation->time_format_count == 0)
		return time_parse_calendar(text, bytes, time_ms);
	for (size_t i = 0; i < notation->time_format_count; i++) {
		if (!time_parse_format(text, bytes, notation->time_formats[i], &one_ms))
			continue;
		if (read && one_ms != *time_ms)
			return false;
		read = true;
		*time_ms = one_ms;
	}
	return read;
}

/* What stands beside a number: nothing, a sign, three capitals, or a word behind a blank. */
static bool is_unit(const char *text, size_t bytes)
{
	size_t letters = 0, capitals = 0, spaces = 0;
	for (size_t i = 0; i < bytes; i++) {
		letters += isalpha((unsigned char)text[i]) != 0;
		capitals += isupper((unsigned char)text[i]) != 0;
		spaces += text[i] == ' ';
	}
	return bytes <= UNIT_MAX && (letters == 0 || spaces > 0 || (letters == 3 && capitals == 3));
}

/* From the first digit to behind the last one. False: there is none, or what stands beside them is no unit. */
static bool digits_find(const char *text, size_t bytes, size_t *first, size_t *last)
{
	*first = 0;
	*last = bytes;
	while (*first < bytes && !isdigit((unsigned char)text[*first]))
		++*first;
	while (*last > *first && !isdigit((unsigned char)text[*last - 1]))
		--*last;
	return *first < *last && is_unit(text, *first) && is_unit(text + *last, bytes - *last);
}

/* What stands beside the digits, without the blank between and a sign; "" when nothing does. False: on both sides. */
static bool unit_guess(const char *text, size_t bytes, char *unit)
{
	size_t first, last;
	if (!digits_find(text, bytes, &first, &last))
		return false;
	first -= first > 0 && strchr("+-", text[first - 1]) != NULL;
	struct part part = first > 0 ? (struct part){ text, first } : (struct part){ text + last, bytes - last };
	if (first > 0 && last < bytes)
		return false;
	for (size_t i = 0; i < BLANKS; i++) {
		if (first > 0 ? cut_end(&part, blanks[i]) : cut_start(&part, blanks[i]))
			break;
	}
	memcpy(unit, part.text, part.bytes);
	unit[part.bytes] = '\0';
	return true;
}

/* What options can say of a number, the most usual first. */
static const struct notation trials[] = {
	{ 0 },
	{ .decimal_comma = true },
	{ .thousands = ',' },
	{ .thousands = '\'' },
	{ .thousands = ' ' },
	{ .decimal_comma = true, .thousands = '\'' },
};
#define TRIALS (sizeof trials / sizeof *trials)

/* Reads the number with this unit ("": none) so. */
static bool number_try(struct notation trial, const char *text, size_t bytes, const char *unit, double *number)
{
	const struct field field = { .text = text, .bytes = bytes };
	return (*unit == '\0' || notation_unit_add(&trial, unit, NULL) == 0) && notation_number(&trial, &field, number);
}

bool amount_guess(const char *text, size_t bytes)
{
	size_t first, last, groups = 1, digits = 0;
	bool comma = false;
	char unit[UNIT_MAX + 1];
	double number;
	if (!digits_find(text, bytes, &first, &last) || number_is_code(text + first, last - first))
		return false;
	if (unit_guess(text, bytes, unit)) {
		for (size_t i = 0; i < TRIALS; i++) {
			if (number_try(trials[i], text, bytes, unit, &number))
				return true;
		}
	}
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

bool day_guess(const char *text, size_t bytes)
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

/* Of what is said already nothing is taken back. NaN: it does not fit, or does not read the number. */
static double number_of_trial(const struct notation *notation, size_t i, const char *text, size_t bytes,
			      const char *unit)
{
	struct notation trial = trials[i];
	double number;
	if (trial.thousands == 0)
		trial.thousands = notation->thousands;
	if ((notation->decimal_comma && !trial.decimal_comma) ||
	    (notation->thousands != 0 && trial.thousands != notation->thousands) || notation_check(&trial, NULL) != 0)
		return NAN;
	return number_try(trial, text, bytes, unit, &number) ? number : NAN;
}

/* "(1.299,95 by --decimal-comma)" */
static size_t put_form(const struct notation *notation, char *buffer)
{
	bool comma = notation->decimal_comma, said = notation->thousands != 0;
	if (!comma && !said)
		return (size_t)snprintf(buffer, NOTATION_HELP_MAX, "(1299.95)");
	return (size_t)snprintf(buffer, NOTATION_HELP_MAX, "(1%c299%c95 by %s%s%s)", said ? notation->thousands : '.',
				comma ? ',' : '.', comma ? "--decimal-comma" : "", comma && said ? " and " : "",
				said ? "--thousands" : "");
}

static size_t put_options(const struct notation *notation, size_t i, const char *unit, char *buffer, size_t room)
{
	char quoted[TEXT_QUOTE_MAX];
	size_t at = 0;
	if (trials[i].decimal_comma && !notation->decimal_comma)
		at += (size_t)snprintf(buffer, room, " --decimal-comma");
	if (trials[i].thousands != 0 && notation->thousands == 0)
		at += (size_t)snprintf(buffer + at, room - at,
				       trials[i].thousands == '\'' ? " --thousands \"%c\"" : " --thousands '%c'",
				       trials[i].thousands);
	if (*unit != '\0')
		at += (size_t)snprintf(buffer + at, room - at, " --unit '%s'", text_quote(unit, strlen(unit), quoted));
	return at;
}

static bool is_known(double number, const double *known, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (known[i] == number)
			return true;
	}
	return false;
}

const char *notation_number_help(const struct notation *notation, const char *text, size_t bytes, char *buffer)
{
	const struct field field = { .text = text, .bytes = bytes };
	char unit[UNIT_MAX + 1], room[TEXT_MAX];
	double known[TRIALS + 1] = { NAN };
	size_t at = put_form(notation, buffer), told = 1;
	if (notation->fixed || !unit_guess(text, bytes, unit))
		return buffer;
	notation_number(notation, &field, &known[0]);
	for (size_t i = 0; i < TRIALS; i++) {
		double number = number_of_trial(notation, i, text, bytes, unit);
		if (isnan(number) || is_known(number, known, told))
			continue;
		at += (size_t)snprintf(buffer + at, NOTATION_HELP_MAX - at, "%s", told == 1 ? "; say" : ", or");
		at += put_options(notation, i, unit, buffer + at, NOTATION_HELP_MAX - at);
		at += (size_t)snprintf(buffer + at, NOTATION_HELP_MAX - at, " to read %s", text_number(number, room));
		known[told++] = number;
	}
	return buffer;
}

const char *notation_time_help(const struct notation *notation, const char *text, size_t bytes, char *buffer)
{
	static const char *const formats[] = { "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S",
					       "%m/%d/%Y", "%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S",
					       "%d/%m/%Y", "%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M:%S",
					       "%d-%m-%Y", "%d-%m-%Y %H:%M", "%d-%m-%Y %H:%M:%S" };
	if (notation->time_format_count > 0) {
		snprintf(buffer, NOTATION_HELP_MAX, "(as %s has it)",
			 notation->time_format_count == 1 ? "--time-format" : "one --time-format alone");
		return buffer;
	}
	size_t at = (size_t)snprintf(buffer, NOTATION_HELP_MAX, "(ISO 8601, or seconds or milliseconds since 1970)");
	const char *before = "; say --time-format";
	int64_t time_ms;
	for (size_t i = 0; i < sizeof formats / sizeof *formats && !notation->fixed; i++) {
		if (!time_parse_format(text, bytes, formats[i], &time_ms))
			continue;
		at += (size_t)snprintf(buffer + at, NOTATION_HELP_MAX - at, "%s '%s'", before, formats[i]);
		before = " or";
	}
	if (!notation->fixed && *before == ';')
		snprintf(buffer + at, NOTATION_HELP_MAX - at, "; see --time-format");
	return buffer;
}
