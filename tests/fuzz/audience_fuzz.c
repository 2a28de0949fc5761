/*
 * Any bytes as the request and as the cursor of RecommendAudience, the cursor also with a fitting hash
 * put in: what is taken has ranges in order and within the shards, and written again it reads the same.
 * A request goes on with a cursor made for it, and with none made for another.
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

/* The request with a cursor behind it, which is the one that counts. */
static int read_continued(const uint8_t *data, size_t bytes, const struct audience_cursor *cursor,
			  const struct audience_range *range)
{
	struct audience_request request;
	struct buffer made = { 0 }, whole = { 0 };
	struct error err = { 0 };
	size_t start;
	check(audience_cursor_begin(&made, cursor, &start) == 0 && audience_cursor_range(&made, range) == 0);
	audience_cursor_end(&made, start);
	check(buffer_add(&whole, data, bytes) == 0 && buffer_field(&whole, 11, made.data, made.bytes) == 0);
	int code = audience_request_read(whole.data, whole.bytes, SHARDS, &request, &err);
	check(code == err.code && (code == 0 || err.text[0]));
	if (code == 0) {
		check(request.continues && request.range_count == 1 && request.ranges[0].first == range->first);
		check(request.pinned.generation == cursor->generation && request.pinned.as_of_ms == cursor->as_of_ms);
		free(request.ranges);
	}
	buffer_fini(&made);
	buffer_fini(&whole);
	return code;
}

static void fuzz_continued(const uint8_t *data, size_t bytes)
{
	const struct audience_range range = { .first = SHARDS / 2, .end = SHARDS };
	struct audience_request request;
	if (audience_request_read(data, bytes, SHARDS, &request, NULL))
		return;
	bool has_generation = request.pinned.generation && !request.continues;
	bool has_as_of = request.pinned.as_of_ms >= 0 && !request.continues;
	free(request.ranges);
	if (request.continues)
		return; /* what it says beside its cursor is not known here */
	struct audience_cursor cursor = request.pinned, other;
	cursor.shards = SHARDS;
	cursor.generation = has_generation ? cursor.generation : 5;
	cursor.as_of_ms = has_as_of ? cursor.as_of_ms : 1000;
	check(read_continued(data, bytes, &cursor, &range) == 0);
	other = cursor;
	other.request++;
	check(read_continued(data, bytes, &other, &range) == E_INVALID);
	other = cursor;
	other.generation++;
	check(read_continued(data, bytes, &other, &range) == (has_generation ? E_INVALID : 0));
	other = cursor;
	other.as_of_ms++;
	check(read_continued(data, bytes, &other, &range) == (has_as_of ? E_INVALID : 0));
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
	fuzz_continued(data, bytes);
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
