/*
 * Any bytes as the request and as the cursor of RecommendAudience, the cursor also with a fitting hash
 * put in: what is taken has ranges in order and within the shards, and written again it reads the same.
 * And any bytes as a user's results: the lines of `kindred export` are made of them, or they are
 * refused.
 */
#include "cli/export_lines.h"
#include "server/audience_request.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define SHARDS 64
#define HEAD 9

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_ranges(const struct audience_range *ranges, size_t count)
{
	uint32_t next = 0;
	for (size_t i = 0; i < count; i++) {
		check(ranges[i].first >= next && ranges[i].first < ranges[i].end && ranges[i].end <= SHARDS);
		check(ranges[i].user_bytes <= USER_ID_MAX);
		next = ranges[i].end;
	}
}

static void fuzz_cursor(const uint8_t *data, size_t bytes)
{
	struct audience_cursor cursor, again;
	struct audience_range *ranges, *ranges_again;
	size_t count, count_again, start;
	struct buffer out = { 0 };
	struct error err;
	int code = audience_cursor_read(data, bytes, SHARDS, &cursor, &ranges, &count, &err);
	check(code == 0 || ((code == E_INVALID || code == E_PRECONDITION) && err.text[0]));
	if (code)
		return;
	check_ranges(ranges, count);
	check(audience_cursor_begin(&out, &cursor, &start) == 0);
	for (size_t i = 0; i < count; i++)
		check(audience_cursor_range(&out, &ranges[i]) == 0);
	audience_cursor_end(&out, start);
	check(audience_cursor_read(out.data, out.bytes, SHARDS, &again, &ranges_again, &count_again, &err) == 0);
	check(again.generation == cursor.generation && again.as_of_ms == cursor.as_of_ms && count_again == count);
	free(ranges);
	free(ranges_again);
	buffer_fini(&out);
}

static void fuzz_request(const uint8_t *data, size_t bytes)
{
	struct audience_request request;
	struct error err;
	int code = audience_request_read(data, bytes, SHARDS, &request, &err);
	check(code == 0 || err.text[0]);
	if (code == 0)
		check_ranges(request.ranges, request.range_count);
	if (code == 0)
		free(request.ranges);
}

static void fuzz_lines(const uint8_t *data, size_t bytes)
{
	for (unsigned names = 0; names < 2; names++) {
		for (int format = EXPORT_NDJSON; format <= EXPORT_CSV; format++) {
			struct export_text text = { 0 };
			bool failed;
			int code = export_user(&text, (enum export_format)format, names != 0, data, bytes, &failed);
			check(code == 0 ? text.used > 0 && text.bytes[text.used - 1] == '\n' : text.used == 0);
			export_text_fini(&text);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	fuzz_cursor(data, bytes);
	fuzz_request(data, bytes);
	fuzz_lines(data, bytes);
	if (bytes < HEAD)
		return 0;
	uint8_t *whole = malloc(bytes);
	uint64_t hash = XXH3_64bits(data + HEAD, bytes - HEAD);
	memcpy(whole, data, bytes);
	whole[0] = 1;
	for (unsigned i = 0; i < 8; i++)
		whole[1 + i] = (uint8_t)(hash >> 8 * i);
	fuzz_cursor(whole, bytes);
	free(whole);
	return 0;
}
