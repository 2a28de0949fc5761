/*
 * The cursor of RecommendAudience and the request that it comes back in: what was written is read, what
 * was changed is refused.
 */
#include "server/audience_request.h"

#include "kindred/v1/recommend.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SHARDS 16

static const struct audience_cursor sample = { .generation = 7,
					       .definition_version = 3,
					       .request = UINT64_MAX,
					       .as_of_ms = 1700000000123,
					       .shards = SHARDS,
					       .users_seen = 12345,
					       .users_total = 1000000 };

static void write_cursor(struct buffer *out, const struct audience_cursor *cursor, const struct audience_range *ranges,
			 size_t count)
{
	size_t start;

	assert_int_equal(buffer_add(out, "before", 6), 0);
	assert_int_equal(audience_cursor_begin(out, cursor, &start), 0);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(audience_cursor_range(out, &ranges[i]), 0);
	audience_cursor_end(out, start);
	assert_int_equal(start, 6);
	memmove(out->data, out->data + 6, out->bytes - 6);
	out->bytes -= 6;
}

static void test_comes_back_as_it_was(void **state)
{
	struct audience_range ranges[2] = { { .first = 0, .end = 8, .user_bytes = 4, .user = "john" },
					    { .first = 15, .end = 16 } },
			      *read;
	struct audience_cursor cursor;
	struct buffer bytes = { 0 };
	struct error err;
	size_t count;

	(void)state;
	ranges[1].user_bytes = USER_ID_MAX;
	memset(ranges[1].user, 'x', USER_ID_MAX);
	write_cursor(&bytes, &sample, ranges, 2);
	assert_int_equal(audience_cursor_read(bytes.data, bytes.bytes, SHARDS, &cursor, &read, &count, &err), 0);
	assert_int_equal(cursor.generation, 7);
	assert_int_equal(cursor.definition_version, 3);
	assert_true(cursor.request == UINT64_MAX);
	assert_int_equal(cursor.as_of_ms, 1700000000123);
	assert_int_equal(cursor.users_seen, 12345);
	assert_int_equal(cursor.users_total, 1000000);
	assert_int_equal(count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(read[i].first, ranges[i].first);
		assert_int_equal(read[i].end, ranges[i].end);
		assert_int_equal(read[i].user_bytes, ranges[i].user_bytes);
		assert_memory_equal(read[i].user, ranges[i].user, ranges[i].user_bytes);
	}
	free(read);
	assert_int_equal(audience_cursor_read(bytes.data, bytes.bytes, 8, &cursor, &read, &count, &err),
			 E_PRECONDITION);
	assert_non_null(strstr(err.text, "16 shards"));
	buffer_fini(&bytes);
}

/* Nothing left: an audience that was gone through. */
static void test_the_end_is_a_cursor_too(void **state)
{
	struct audience_range *read;
	struct audience_cursor cursor;
	struct buffer bytes = { 0 };
	struct error err;
	size_t count = 1;

	(void)state;
	write_cursor(&bytes, &sample, NULL, 0);
	assert_int_equal(audience_cursor_read(bytes.data, bytes.bytes, SHARDS, &cursor, &read, &count, &err), 0);
	assert_int_equal(count, 0);
	free(read);
	buffer_fini(&bytes);
}

/* Every byte changed, every length cut. */
static void test_damage_is_refused(void **state)
{
	const struct audience_range range = { .first = 2, .end = 8, .user_bytes = 4, .user = "jane" };
	struct audience_range *read;
	struct audience_cursor cursor;
	struct buffer bytes = { 0 };
	struct error err;
	size_t count;

	(void)state;
	write_cursor(&bytes, &sample, &range, 1);
	for (size_t i = 0; i < bytes.bytes; i++) {
		bytes.data[i] ^= 0x10;
		assert_int_equal(audience_cursor_read(bytes.data, bytes.bytes, SHARDS, &cursor, &read, &count, &err),
				 E_INVALID);
		assert_int_equal(strncmp(err.text, "cursor: ", 8), 0);
		bytes.data[i] ^= 0x10;
		assert_int_equal(audience_cursor_read(bytes.data, i, SHARDS, &cursor, &read, &count, &err), E_INVALID);
	}
	bytes.data[0] = 2;
	audience_cursor_read(bytes.data, bytes.bytes, SHARDS, &cursor, &read, &count, &err);
	assert_non_null(strstr(err.text, "format 2"));
	buffer_fini(&bytes);
}

/* Ranges that overlap would give users twice. */
static void test_ranges_are_in_order(void **state)
{
	static const struct audience_range bad[][2] = {
		{ { .first = 0, .end = 8 }, { .first = 7, .end = 16 } },
		{ { .first = 8, .end = 16 }, { .first = 0, .end = 8 } },
		{ { .first = 0, .end = 8 }, { .first = 8, .end = 17 } },
		{ { .first = 8, .end = 8 }, { .first = 9, .end = 10 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct audience_range *read;
		struct audience_cursor cursor;
		struct buffer bytes = { 0 };
		struct error err;
		size_t count;

		write_cursor(&bytes, &sample, bad[i], 2);
		assert_int_equal(audience_cursor_read(bytes.data, bytes.bytes, SHARDS, &cursor, &read, &count, &err),
				 E_INVALID);
		buffer_fini(&bytes);
	}
}

/* --- requests --- */

static int read_request(const Kindred__V1__RecommendAudienceRequest *message, struct audience_request *request,
			struct error *err)
{
	static struct buffer packed;

	packed.bytes = 0;
	assert_int_equal(buffer_pack(&packed, &message->base), 0);
	return audience_request_read(packed.data, packed.bytes, SHARDS, request, err);
}

static void test_a_cursor_belongs_to_its_request(void **state)
{
	Kindred__V1__RecommendAudienceRequest message = KINDRED__V1__RECOMMEND_AUDIENCE_REQUEST__INIT;
	Google__Protobuf__Duration span = GOOGLE__PROTOBUF__DURATION__INIT;
	Google__Protobuf__Timestamp as_of = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	const struct audience_range range = { .first = 2, .end = 8 };
	struct audience_request request;
	struct audience_cursor cursor = sample;
	struct buffer bytes = { 0 };
	struct error err;

	(void)state;
	message.definition = (char *)"next";
	message.count = 5;
	message.active_within = &span;
	span.seconds = 86400;
	assert_int_equal(read_request(&message, &request, &err), 0);
	assert_false(request.continues);
	assert_int_equal(request.active_ms, 86400000);
	assert_int_equal(request.pinned.generation, 0);
	assert_int_equal(request.pinned.as_of_ms, -1);
	cursor.request = request.pinned.request;
	write_cursor(&bytes, &cursor, &range, 1);
	message.cursor = (ProtobufCBinaryData){ bytes.bytes, bytes.data };
	assert_int_equal(read_request(&message, &request, &err), 0);
	assert_true(request.continues);
	assert_int_equal(request.pinned.generation, 7);
	assert_int_equal(request.range_count, 1);
	free(request.ranges);
	message.generation = 8;
	assert_int_equal(read_request(&message, &request, &err), E_INVALID);
	message.generation = 7;
	message.as_of = &as_of;
	assert_int_equal(read_request(&message, &request, &err), E_INVALID);
	assert_non_null(strstr(err.text, "as_of"));
	as_of.seconds = 1700000000;
	as_of.nanos = 123000000;
	assert_int_equal(read_request(&message, &request, &err), 0);
	free(request.ranges);
	message.count = 6;
	assert_int_equal(read_request(&message, &request, &err), E_INVALID);
	assert_non_null(strstr(err.text, "another request"));
	buffer_fini(&bytes);
}

static void test_requests_are_checked(void **state)
{
	Kindred__V1__RecommendAudienceRequest message = KINDRED__V1__RECOMMEND_AUDIENCE_REQUEST__INIT;
	Google__Protobuf__Duration active = GOOGLE__PROTOBUF__DURATION__INIT, inactive = active;
	struct audience_request request;
	struct error err;

	(void)state;
	assert_int_equal(read_request(&message, &request, &err), E_INVALID);
	assert_non_null(strstr(err.text, "definition"));
	message.definition = (char *)"next";
	message.active_within = &active;
	assert_int_equal(read_request(&message, &request, &err), E_INVALID);
	assert_non_null(strstr(err.text, "active_within"));
	active.seconds = 10;
	message.inactive_for = &inactive;
	inactive.seconds = -1;
	assert_int_equal(read_request(&message, &request, &err), E_INVALID);
	inactive.seconds = 10;
	assert_int_equal(read_request(&message, &request, &err), E_INVALID);
	inactive.seconds = 9;
	assert_int_equal(read_request(&message, &request, &err), 0);
	assert_int_equal(request.inactive_ms, 9000);
	message.cursor = (ProtobufCBinaryData){ 3, (uint8_t *)"abc" };
	assert_int_equal(read_request(&message, &request, &err), E_INVALID);
	assert_non_null(strstr(err.text, "cursor"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comes_back_as_it_was),
		cmocka_unit_test(test_the_end_is_a_cursor_too),
		cmocka_unit_test(test_damage_is_refused),
		cmocka_unit_test(test_ranges_are_in_order),
		cmocka_unit_test(test_a_cursor_belongs_to_its_request),
		cmocka_unit_test(test_requests_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
