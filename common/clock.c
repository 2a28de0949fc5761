#include "common/clock.h"

#include <stdio.h>
#include <time.h>

int64_t clock_wall_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint64_t clock_monotonic_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_time_ns(int64_t seconds, int32_t nanos)
{
	uint64_t ns;
	if (seconds < 0)
		return 0;
	if (__builtin_mul_overflow((uint64_t)seconds, UINT64_C(1000000000), &ns) ||
	    __builtin_add_overflow(ns, (uint64_t)nanos, &ns))
		return UINT64_MAX;
	return ns;
}

/* What is left of the text. */
struct reader {
	const char *at;
	const char *end;
};

static bool is_digit(const struct reader *in)
{
	return in->at < in->end && *in->at >= '0' && *in->at <= '9';
}

static bool take(struct reader *in, char c)
{
	if (in->at == in->end || *in->at != c)
		return false;
	in->at++;
	return true;
}

/* Exactly `digits` digits, min..max. */
static bool take_number(struct reader *in, int digits, int min, int max, int *number)
{
	int value = 0;
	for (int i = 0; i < digits; i++) {
		if (!is_digit(in))
			return false;
		value = value * 10 + (*in->at++ - '0');
	}
	*number = value;
	return value >= min && value <= max;
}

/* One or more digits after the point; what is finer than a millisecond is cut off. */
static bool take_fraction(struct reader *in, int *ms)
{
	int scale = 100;
	*ms = 0;
	if (!is_digit(in))
		return false;
	while (is_digit(in)) {
		*ms += (*in->at++ - '0') * scale;
		scale /= 10;
	}
	return true;
}

/* Days since 1970-01-01 of the Gregorian calendar and back: https://howardhinnant.github.io/date_algorithms.html */
static int64_t days_from_civil(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return era * 146097 + day_of_era - 719468;
}

static void civil_from_days(int64_t days, int *year, int *month, int *day)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t day_of_era = days - era * 146097;
	int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t shifted = (5 * day_of_year + 2) / 153;
	*day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
	*month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
	*year = (int)(year_of_era + era * 400 + (*month <= 2 ? 1 : 0));
}

static int days_in_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return month == 2 && leap ? 29 : days[month - 1];
}

/* Z, +HH:MM, +HHMM, +HH, or nothing; minutes east of Greenwich. */
static bool take_zone(struct reader *in, int *minutes_east)
{
	int hours, minutes = 0;
	*minutes_east = 0;
	if (in->at == in->end || take(in, 'Z') || take(in, 'z'))
		return true;
	int sign = take(in, '-') ? -1 : 1;
	if (sign > 0 && !take(in, '+'))
		return false;
	if (!take_number(in, 2, 0, 23, &hours))
		return false;
	if (in->at < in->end) {
		take(in, ':');
		if (!take_number(in, 2, 0, 59, &minutes))
			return false;
	}
	*minutes_east = sign * (hours * 60 + minutes);
	return true;
}

/* The seconds and the zone may be left out, the minutes may not. */
static bool take_time_of_day(struct reader *in, int64_t *day_ms)
{
	int hour, minute, second = 0, ms = 0, east;
	if (!take_number(in, 2, 0, 23, &hour) || !take(in, ':') || !take_number(in, 2, 0, 59, &minute))
		return false;
	if (take(in, ':')) {
		if (!take_number(in, 2, 0, 59, &second))
			return false;
		if ((take(in, '.') || take(in, ',')) && !take_fraction(in, &ms))
			return false;
	}
	if (!take_zone(in, &east))
		return false;
	*day_ms = ((int64_t)(hour * 60 + minute - east) * 60 + second) * 1000 + ms;
	return true;
}

static bool parse_calendar(struct reader in, int64_t *time_ms)
{
	int year, month, day;
	int64_t day_ms = 0;
	if (!take_number(&in, 4, 0, 9999, &year) || !take(&in, '-') || !take_number(&in, 2, 1, 12, &month) ||
	    !take(&in, '-') || !take_number(&in, 2, 1, days_in_month(year, month), &day))
		return false;
	if (in.at < in.end) {
		if (!take(&in, 'T') && !take(&in, 't') && !take(&in, ' '))
			return false;
		if (!take_time_of_day(&in, &day_ms))
			return false;
	}
	*time_ms = days_from_civil(year, month, day) * DAY_MS + day_ms;
	return in.at == in.end;
}

static bool parse_epoch(struct reader in, int64_t *time_ms)
{
	const char *start = in.at;
	int64_t whole = 0;
	while (is_digit(&in)) {
		whole = whole * 10 + (*in.at++ - '0');
		if (whole > TIME_MAX_MS)
			return false;
	}
	if (in.at == start)
		return false;
	if (in.at - start > 11) {
		*time_ms = whole;
		return in.at == in.end;
	}
	int ms = 0;
	if (take(&in, '.') && !take_fraction(&in, &ms))
		return false;
	*time_ms = whole * 1000 + ms;
	return in.at == in.end;
}

static bool parse_from(int64_t min_ms, const char *text, size_t bytes, int64_t *time_ms)
{
	struct reader in = { text, text + bytes };
	int64_t parsed;
	if (!parse_epoch(in, &parsed) && !parse_calendar(in, &parsed))
		return false;
	if (parsed < min_ms || parsed > TIME_MAX_MS)
		return false;
	*time_ms = parsed;
	return true;
}

bool time_parse(const char *text, size_t bytes, int64_t *time_ms)
{
	return parse_from(TIME_MIN_MS, text, bytes, time_ms);
}

bool time_parse_calendar(const char *text, size_t bytes, int64_t *time_ms)
{
	return parse_from(CALENDAR_MIN_MS, text, bytes, time_ms);
}

size_t time_format(int64_t time_ms, char *buffer)
{
	if (time_ms < CALENDAR_MIN_MS || time_ms > TIME_MAX_MS)
		return (size_t)snprintf(buffer, 32, "%lld", (long long)time_ms);
	int year, month, day;
	int64_t days = time_ms / DAY_MS - (time_ms % DAY_MS < 0);
	civil_from_days(days, &year, &month, &day);
	int64_t day_ms = time_ms - days * DAY_MS;
	int second = (int)(day_ms / 1000);
	int ms = (int)(day_ms % 1000);
	int length = snprintf(buffer, 32, "%04d-%02d-%02dT%02d:%02d:%02d", year, month, day, second / 3600,
			      second / 60 % 60, second % 60);
	length += snprintf(buffer + length, 32 - (size_t)length, ms ? ".%03dZ" : "Z", ms);
	return (size_t)length;
}
