#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "kindred/v1/events.pb-c.h"
#include "worker/history_call.h"
#include "worker/ingest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW_MS INT64_C(1700000000000)

struct checked {
	int code;
	struct error err;
	struct shard_event event;
};

static struct arena arena;
static struct text_view packed;

static int setup(void **state)
{
	(void)state;
	return arena_init(&arena, 4096, 0);
}

static int teardown(void **state)
{
	(void)state;
	arena_fini(&arena);
	return 0;
}

/* The event as protobuf-c packs it, in memory of its own, so that a sanitizer sees a read past the end. */
static struct checked check(const Kindred__V1__Event *event)
{
	struct checked checked = { 0 };
	size_t bytes = kindred__v1__event__get_packed_size(event);
	free((char *)packed.data);
	packed = (struct text_view){ malloc(bytes + 1), (uint32_t)bytes };
	packed.data = realloc((char *)packed.data, bytes ? bytes : 1);
	kindred__v1__event__pack(event, (uint8_t *)packed.data);
	arena_reset(&arena);
	checked.code = ingest_event(packed, catalog_seed("shop", 4), NOW_MS, &arena, &checked.event, &checked.err);
	return checked;
}

static Kindred__V1__Event good(void)
{
	Kindred__V1__Event event = KINDRED__V1__EVENT__INIT;
	event.user_id = (char *)"john";
	event.item_id = (char *)"shoes";
	event.type = (char *)"Viewed";
	return event;
}

static void test_what_is_taken(void **state)
{
	(void)state;
	Kindred__V1__Event event = good();
	struct checked checked = check(&event);
	assert_int_equal(checked.code, 0);
	assert_int_equal(checked.event.user_bytes, 4);
	assert_memory_equal(checked.event.user, "john", 4);
	assert_memory_equal(checked.event.type, "Viewed", 6);
	assert_true(checked.event.item.value == item_key(catalog_seed("shop", 4), "shoes", 5).value);
	assert_true(checked.event.time_ms == NOW_MS); /* the time of arrival */
	assert_true(checked.event.weight == 1);
	assert_true(checked.event.event.value == 0);
	assert_int_equal(checked.event.property_count, 0);

	Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Kindred__V1__Property property = KINDRED__V1__PROPERTY__INIT, *properties[2] = { &property, &property };
	time.seconds = 1000;
	time.nanos = 123999999;
	property.name = (char *)"size";
	property.value = (char *)"43";
	event.time = &time;
	event.event_id = (char *)"e1";
	event.weight = 2.5f;
	event.n_properties = 2;
	event.properties = properties;
	checked = check(&event);
	assert_int_equal(checked.code, 0);
	assert_true(checked.event.time_ms == 1000123);
	assert_true(checked.event.weight == 2.5f);
	assert_true(checked.event.event.value == event_key("e1", 2).value);
	assert_int_equal(checked.event.property_count, 2);
	assert_memory_equal(checked.event.properties[1].name, "size", 4);
	assert_int_equal(checked.event.properties[1].value_bytes, 2);
	assert_memory_equal(checked.event.properties[1].value, "43", 2);
}

static void expect_refusal(const Kindred__V1__Event *event, const char *text)
{
	struct checked checked = check(event);
	assert_int_equal(checked.code, E_INVALID);
	if (!strstr(checked.err.text, text))
		fail_msg("\"%s\" has no \"%s\"", checked.err.text, text);
}

static void test_what_is_refused_and_why(void **state)
{
	char long_text[400];
	(void)state;
	memset(long_text, 'x', sizeof long_text - 1);
	long_text[sizeof long_text - 1] = '\0';
	Kindred__V1__Event event = good();
	event.user_id = long_text;
	expect_refusal(&event, "user_id: 399 bytes; 1 to 256 are allowed");
	event = good();
	event.item_id = (char *)"";
	expect_refusal(&event, "item_id: empty");
	event = good();
	event.type = (char *)"";
	expect_refusal(&event, "type: empty; 1 to 64");
	event = good();
	event.event_id = (char *)"\xc0\x80";
	expect_refusal(&event, "event_id: ");

	static const struct {
		int64_t seconds;
		int32_t nanos;
		const char *text;
	} times[] = {
		{ -1, 0, "time: before 1970" },
		{ NOW_MS / 1000 + 86401, 0, "time: 2023-11-15T22:13:21Z; 1970-01-01 to a day from now is allowed" },
		{ INT64_MAX, 0, "time: not a valid timestamp" },
		{ INT64_MIN, 0, "time: not a valid timestamp" },
		{ 5, -1, "time: not a valid timestamp" },
		{ 5, 1000000000, "time: not a valid timestamp" },
	};
	Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	event = good();
	event.time = &time;
	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
		time.seconds = times[i].seconds;
		time.nanos = times[i].nanos;
		expect_refusal(&event, times[i].text);
	}
	time.seconds = NOW_MS / 1000 + 86400;
	time.nanos = 0;
	assert_int_equal(check(&event).code, 0);

	event = good();
	static const float weights[] = { -1, NAN, INFINITY, -INFINITY, 1.1e6f };
	for (size_t i = 0; i < sizeof weights / sizeof weights[0]; i++) {
		event.weight = weights[i];
		expect_refusal(&event, "weight: ");
	}
	event.weight = 1e6f;
	assert_int_equal(check(&event).code, 0);
	event.weight = 1e-30f;
	assert_int_equal(check(&event).code, 0);
}

static void test_properties(void **state)
{
	(void)state;
	char long_text[300];
	Kindred__V1__Property one = KINDRED__V1__PROPERTY__INIT, *list[33];
	memset(long_text, 'x', sizeof long_text - 1);
	long_text[257] = '\0';
	one.name = (char *)"n";
	for (size_t i = 0; i < 33; i++)
		list[i] = &one;
	Kindred__V1__Event event = good();
	event.properties = list;
	event.n_properties = 33;
	expect_refusal(&event, "properties: 33; at most 32 are allowed");
	event.n_properties = 32;
	assert_int_equal(check(&event).code, 0);
	event.n_properties = 2;
	one.value = long_text;
	expect_refusal(&event, "properties[0].value: 257 bytes; at most 256 are allowed");
	long_text[256] = '\0';
	assert_int_equal(check(&event).code, 0);
	one.name = (char *)"\xff";
	expect_refusal(&event, "properties[0].name: not valid UTF-8");
}

/* The server finds no user in such an event and sends it to any worker, so a worker may not find one either. */
static void test_known_fields_of_another_wire_type(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		uint32_t count;
	} events[] = {
		/* user_id once as text, once as a varint */
		{ "\x0a\x04john\x12\x01\x61\x1a\x06Viewed\x20\x06\x08\x80\xe2\xcf\xaa\x06", 25 },
		{ "\x0a\x04john\x12\x01\x61\x1a\x06Viewed\x08\x01", 19 },
		{ "\x08\x01\x0a\x04john\x12\x01\x61\x1a\x06Viewed", 19 },
		{ "\x0a\x04john\x12\x01\x61\x1a\x06Viewed\x22\x00\x20\x01", 21 }, /* time */
		{ "\x0a\x04john\x12\x01\x61\x1a\x06Viewed\x30\x01", 19 }, /* weight */
		{ "\x0a\x04john\x12\x01\x61\x1a\x06Viewed\x3d\x00\x00\x00\x00", 22 }, /* properties */
	};
	struct shard_event event;
	struct error err;
	for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
		struct text_view view = { events[i].bytes, events[i].count };
		arena_reset(&arena);
		assert_int_equal(ingest_event(view, catalog_seed("shop", 4), NOW_MS, &arena, &event, &err), E_INVALID);
		assert_string_equal(err.text, "event: not a kindred.v1.Event");
	}
	/* fields that this version does not know are passed over, whatever they are */
	struct text_view newer = { "\x0a\x04john\x12\x01\x61\x1a\x06Viewed\x40\x01\x4a\x01x", 22 };
	assert_int_equal(ingest_event(newer, catalog_seed("shop", 4), NOW_MS, &arena, &event, &err), 0);
}

/* Whatever bytes come, they are taken or refused, and nothing past their end is read. */
static void test_any_bytes(void **state)
{
	(void)state;
	Kindred__V1__Property one = KINDRED__V1__PROPERTY__INIT, *list[1] = { &one };
	Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	uint64_t random = 88172645463325252u;
	struct shard_event event;
	struct error err;
	Kindred__V1__Event whole = good();
	one.name = (char *)"name";
	one.value = (char *)"value";
	time.seconds = 12345;
	whole.properties = list;
	whole.n_properties = 1;
	whole.time = &time;
	whole.weight = 3;
	assert_int_equal(check(&whole).code, 0);
	unsigned taken = 0;
	for (int i = 0; i < 20000; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		uint32_t bytes = i % 2 ? packed.bytes : (uint32_t)(random >> 8) % (packed.bytes + 1);
		char *copy = malloc(bytes ? bytes : 1);
		memcpy(copy, packed.data, bytes);
		if (bytes && i % 2)
			copy[(random >> 20) % bytes] = (char)random;
		arena_reset(&arena);
		struct text_view view = { copy, bytes };
		int code = ingest_event(view, catalog_seed("shop", 4), NOW_MS, &arena, &event, &err);
		assert_true(code == 0 || code == E_INVALID);
		taken += code == 0;
		free(copy);
	}
	assert_true(taken > 100 && taken < 19000);
}

static void test_heads_of_batches(void **state)
{
	(void)state;
	struct error err;
	struct text_view catalog;
	uint32_t events = 0;
	assert_int_equal(ingest_head("\x0a\x00\x0a\x00\x12\x01s", 7, &catalog, &events, &err), 0);
	assert_int_equal(events, 2);
	assert_int_equal(catalog.bytes, 1);
	assert_int_equal(ingest_head("\x0a\x00", 2, &catalog, &events, &err), E_INVALID);
	assert_non_null(strstr(err.text, "catalog: empty"));
	assert_int_equal(ingest_head("\x12\x01s", 3, &catalog, &events, &err), E_INVALID);
	assert_non_null(strstr(err.text, "events: 0;"));
	assert_int_equal(ingest_head("\x0a\x09", 2, &catalog, &events, &err), E_INVALID);
	assert_int_equal(ingest_head("\x0a\x00\x12\x02S!", 6, &catalog, &events, &err), E_INVALID);
	assert_non_null(strstr(err.text, "catalog: \"S!\" is not allowed"));
	/* room for 100,000 events: refused before anything is taken apart */
	char *many = calloc(100000, 2);
	for (size_t i = 0; i < 100000; i++)
		many[2 * i] = '\x0a';
	assert_int_equal(ingest_head(many, 200000, &catalog, &events, &err), E_INVALID);
	assert_non_null(strstr(err.text, "events: 100000; 1 to 10000"));
	free(many);
}

static void test_page_tokens(void **state)
{
	(void)state;
	struct error err;
	struct page_place place;
	char token[PAGE_TOKEN_BYTES];
	static const struct page_place places[] = {
		{ 0, 1 }, { TIME_MAX_MS, 10000 }, { 1700000000123, 7 }, { INT64_MAX, UINT32_MAX }
	};
	for (size_t i = 0; i < 4; i++) {
		size_t bytes = page_token_format(places[i], token);
		assert_int_equal(page_token_parse((struct text_view){ token, (uint32_t)bytes }, &place, &err), 0);
		assert_true(place.time_ms == places[i].time_ms && place.given == places[i].given);
	}
	assert_int_equal(page_token_parse((struct text_view){ "", 0 }, &place, &err), 0);
	assert_true(place.time_ms == INT64_MAX && place.given == 0);
	static const char *const wrong[] = { "x",
					     "1",
					     "1-",
					     "-1-1",
					     "1-1 ",
					     " 1-1",
					     "01-1",
					     "1-1-1",
					     "0x1-1",
					     "1-fffffffff",
					     "11111111111111111111111111111111111111111-1" };
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct text_view view = { wrong[i], (uint32_t)strlen(wrong[i]) };
		assert_int_equal(page_token_parse(view, &place, &err), E_INVALID);
		assert_non_null(strstr(err.text, "page_token"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_taken),
		cmocka_unit_test(test_what_is_refused_and_why),
		cmocka_unit_test(test_properties),
		cmocka_unit_test(test_any_bytes),
		cmocka_unit_test(test_known_fields_of_another_wire_type),
		cmocka_unit_test(test_heads_of_batches),
		cmocka_unit_test(test_page_tokens),
	};
	int failed = cmocka_run_group_tests(tests, setup, teardown);
	free((char *)packed.data);
	return failed;
}
