#include "cli/duration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY INT64_C(86400)
/* 10,000 years: what a google.protobuf.Duration holds. */
#define SECONDS_MAX INT64_C(315576000000)
#define DAYS_MAX (SECONDS_MAX / DAY)

static int64_t unit_seconds(char unit)
{
	switch (unit) {
	case 's':
		return 1;
	case 'm':
		return 60;
	case 'h':
		return 3600;
	case 'd':
		return DAY;
	case 'w':
		return 7 * DAY;
	case 'y':
		return 365 * DAY;
	default:
		return 0;
	}
}

static int too_long(const char *field, const char *text, struct error *err)
{
	return error_set(err, E_INVALID, "%s '%.40s': at most %lldd (10,000 years) are allowed", field, text,
			 (long long)DAYS_MAX);
}

int duration_parse(const char *field, const char *text, int64_t *seconds, struct error *err)
{
	int64_t total = 0;
	const char *at = text;
	if (strcmp(text, "0") == 0) {
		*seconds = 0;
		return 0;
	}
	while (*at >= '0' && *at <= '9') {
		int64_t number = 0;
		for (; *at >= '0' && *at <= '9'; at++)
			number = number <= SECONDS_MAX ? number * 10 + (*at - '0') : number;
		int64_t unit = unit_seconds(*at);
		if (unit == 0)
			break;
		if (number > (SECONDS_MAX - total) / unit)
			return too_long(field, text, err);
		total += number * unit;
		at++;
		if (*at == '\0') {
			*seconds = total;
			return 0;
		}
	}
	return error_set(
		err, E_INVALID,
		"%s '%.40s': give a number and a unit (s, m for minutes, h, d, w, y), for example 30d, 12h or 1d12h",
		field, text);
}

const char *duration_text(int64_t seconds, char *buffer)
{
	static const struct {
		char name;
		int64_t seconds;
	} units[] = { { 'd', DAY }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 } };
	size_t at = 0;
	if (seconds <= 0)
		return strcpy(buffer, "all");
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		int64_t number = seconds / units[i].seconds;
		seconds %= units[i].seconds;
		if (number > 0)
			at += (size_t)snprintf(buffer + at, DURATION_TEXT_MAX - at, "%lld%c", (long long)number,
					       units[i].name);
	}
	return buffer;
}
