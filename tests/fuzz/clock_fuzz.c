/*
 * Any text as a time, against the C library: what is read from a calendar date is what timegm() makes
 * of the same numbers, and what is formatted is what gmtime_r() says. Any eight bytes as a time to
 * format.
 */
#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_format(int64_t time_ms)
{
	char formatted[32], expected[32];
	size_t length = time_format(time_ms, formatted);
	check(length < sizeof formatted && length == strlen(formatted));
	if (time_ms < CALENDAR_MIN_MS || time_ms > TIME_MAX_MS)
		return;
	time_t seconds = (time_t)(time_ms / 1000 - (time_ms % 1000 < 0));
	struct tm parts;
	check(gmtime_r(&seconds, &parts) != NULL);
	int year_bytes = snprintf(expected, sizeof expected, "%04d", parts.tm_year + 1900);
	strftime(expected + year_bytes, sizeof expected - (size_t)year_bytes, "-%m-%dT%H:%M:%S", &parts);
	check(strncmp(formatted, expected, 19) == 0);
	int64_t again_ms;
	check(time_parse_calendar(formatted, length, &again_ms) && again_ms == time_ms);
	check(time_parse(formatted, length, &again_ms) == (time_ms >= TIME_MIN_MS));
}

/* text: taken by time_parse_calendar, and a date. The zone is looked for from the end. */
static void check_calendar(const char *text, int64_t time_ms)
{
	struct tm parts = { 0 };
	int year, month, taken = 0;
	check(sscanf(text, "%4d-%2d-%2d%n", &year, &month, &parts.tm_mday, &taken) == 3 && taken == 10);
	if (text[taken])
		check(sscanf(text + taken + 1, "%2d:%2d:%2d", &parts.tm_hour, &parts.tm_min, &parts.tm_sec) >= 2);
	parts.tm_year = year - 1900;
	parts.tm_mon = month - 1;
	int hours = 0, minutes = 0;
	const char *zone = strpbrk(text + taken, "+-");
	if (zone) {
		check(sscanf(zone + 1, "%2d:%2d", &hours, &minutes) >= 1);
		if (strlen(zone) == 5 && zone[3] != ':')
			check(sscanf(zone + 3, "%2d", &minutes) == 1);
		if (*zone == '-') {
			hours = -hours;
			minutes = -minutes;
		}
	}
	int64_t expected = ((int64_t)timegm(&parts) - hours * 3600 - minutes * 60) * 1000;
	check(time_ms >= expected && time_ms < expected + 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	int64_t time_ms;
	if (bytes == sizeof time_ms) {
		memcpy(&time_ms, data, sizeof time_ms);
		check_format(time_ms);
		check_format((int64_t)((uint64_t)time_ms % (uint64_t)(TIME_MAX_MS - CALENDAR_MIN_MS)) +
			     CALENDAR_MIN_MS);
	}
	int64_t event_ms;
	bool is_event_time = time_parse((const char *)data, bytes, &event_ms);
	if (!time_parse_calendar((const char *)data, bytes, &time_ms)) {
		check(!is_event_time);
		return 0;
	}
	check(time_ms >= CALENDAR_MIN_MS && time_ms <= TIME_MAX_MS);
	check(is_event_time == (time_ms >= TIME_MIN_MS) && (!is_event_time || event_ms == time_ms));
	check_format(time_ms);
	char *text = strndup((const char *)data, bytes);
	check(text && strlen(text) == bytes);
	if (bytes > 4 && text[4] == '-')
		check_calendar(text, time_ms);
	free(text);
	return 0;
}
