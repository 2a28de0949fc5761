/*
 * Times. Wall times are milliseconds since 1970 UTC in an int64_t named *_ms; monotonic ones are
 * nanoseconds named *_ns. Parsing and formatting are pure; any thread.
 */
#ifndef KINDRED_CLOCK_H
#define KINDRED_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIME_MIN_MS INT64_C(0)
#define CALENDAR_MIN_MS INT64_C(-62135596800000) /* 0001-01-01, where google.protobuf.Timestamp begins */
#define TIME_MAX_MS INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */
#define DAY_MS INT64_C(86400000)

int64_t clock_wall_ms(void);
uint64_t clock_monotonic_ns(void);
/*
 * A time of that clock as nanoseconds: 0 when it is before 0, UINT64_MAX when it is later than they can say (after
 * 584 years). nanos: 0 to 999,999,999.
 */
uint64_t clock_time_ns(int64_t seconds, int32_t nanos);

/*
 * Reads ISO 8601 ("2026-11-23", "2026-11-23T10:00:00Z", "2026-11-23 10:00:00.250+01:00"; no zone means
 * UTC) or a plain number: epoch seconds (may have a fraction) when its whole part has at most 11
 * digits, else milliseconds. False: it is neither, or out of range.
 */
bool time_parse(const char *text, size_t bytes, int64_t *time_ms);

/*
 * The same from the year 1 on: for dates that things have, such as attributes of items and texts of
 * filters. An event is never before 1970.
 */
bool time_parse_calendar(const char *text, size_t bytes, int64_t *time_ms);

/*
 * "2026-11-23T10:00:00Z" or with ".250", from CALENDAR_MIN_MS to TIME_MAX_MS; what is no such time is
 * written as a number. buffer of at least 32 bytes. Returns its length.
 */
size_t time_format(int64_t time_ms, char *buffer);

#endif
