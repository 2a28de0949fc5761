#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kindred/v1/events.pb-c.h"
#include "kindred/v1/recommend.pb-c.h"
#include "server/wire.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

static int find(const uint8_t *message, size_t bytes, uint32_t field)
{
	const uint8_t *data;
	size_t data_bytes;
	return wire_find(message, bytes, field, &data, &data_bytes);
}

static void test_finds_the_user_of_a_request(void **state)
{
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	uint8_t message[128];
	const uint8_t *data;
	size_t bytes, data_bytes;
	(void)state;
	request.user_id = "john";
	request.definition = "next";
	request.count = 300;
	request.generation = UINT64_C(1) << 60;
	bytes = kindred__v1__recommend_request__pack(&request, message);
	assert_int_equal(wire_find(message, bytes, 1, &data, &data_bytes), 1);
	assert_int_equal(data_bytes, 4);
	assert_memory_equal(data, "john", 4);
	assert_int_equal(wire_find(message, bytes, 2, &data, &data_bytes), 1);
	assert_memory_equal(data, "next", 4);
	assert_int_equal(find(message, bytes, 5), 0);

	uint64_t number;
	assert_int_equal(wire_find_number(message, bytes, 3, &number), 1);
	assert_int_equal(number, 300);
	assert_int_equal(wire_find_number(message, bytes, 7, &number), 1);
	assert_true(number == UINT64_C(1) << 60);
	assert_int_equal(wire_find_number(message, bytes, 8, &number), 0);
	assert_int_equal(wire_find_number(message, bytes, 1, &number), E_INVALID);

	/* Wherever it is cut, it is not taken for another whole message with a user. */
	for (size_t cut = 1; cut < bytes; cut++) {
		uint8_t *part = malloc(cut); /* of its own, so that a sanitizer sees a read past the end */
		memcpy(part, message, cut);
		int code = wire_find(part, cut, 1, &data, &data_bytes);
		assert_true(code == E_INVALID || (code == 1 && data_bytes == 4));
		free(part);
	}
}

static void test_the_last_occurrence_counts(void **state)
{
	const uint8_t *data;
	size_t data_bytes;
	uint64_t number;
	(void)state;
	assert_int_equal(wire_find(BYTES(0x0a, 1, 'a', 0x10, 5, 0x0a, 2, 'b', 'c', 0x10, 6), 1, &data, &data_bytes), 1);
	assert_int_equal(data_bytes, 2);
	assert_memory_equal(data, "bc", 2);
	assert_int_equal(wire_find_number(BYTES(0x0a, 1, 'a', 0x10, 5, 0x0a, 2, 'b', 'c', 0x10, 6), 2, &number), 1);
	assert_int_equal(number, 6);
	/* An empty value is a value. */
	assert_int_equal(wire_find(BYTES(0x0a, 1, 'a', 0x0a, 0), 1, &data, &data_bytes), 1);
	assert_int_equal(data_bytes, 0);
	assert_int_equal(find(NULL, 0, 1), 0);
}

/* Field numbers and lengths around those that take one byte more. */
static void test_a_field_of_any_length(void **state)
{
	static const uint32_t numbers[] = { 1, 15, 16, 2048 };
	static const size_t lengths[] = { 0, 1, 126, 127, 128, 129, 300, 16384 };
	(void)state;
	for (size_t n = 0; n < sizeof numbers / sizeof numbers[0]; n++)
		for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
			uint8_t head[8], *at = head;
			for (uint64_t tag = numbers[n] << 3 | 2; tag || at == head; tag >>= 7)
				*at++ = (uint8_t)(tag | (tag >= 0x80 ? 0x80 : 0));
			size_t tag_bytes = (size_t)(at - head), length = lengths[l];
			do
				*at++ = (uint8_t)(length | (length >= 0x80 ? 0x80 : 0));
			while (length >>= 7);
			size_t head_bytes = (size_t)(at - head), bytes = head_bytes + lengths[l];
			for (size_t cut = tag_bytes; cut <= bytes;
			     cut += cut > head_bytes + 3 && cut + 3 < bytes ? 7 : 1) {
				uint8_t *message = calloc(cut, 1); /* of its own, as above */
				memcpy(message, head, cut < head_bytes ? cut : head_bytes);
				struct wire_cursor cursor = { message, message + cut };
				struct wire_field field;
				assert_int_equal(wire_next(&cursor, &field), cut == bytes ? 1 : E_INVALID);
				if (cut == bytes) {
					assert_int_equal(field.number, numbers[n]);
					assert_int_equal(field.type, WIRE_BYTES);
					assert_ptr_equal(field.whole, message);
					assert_int_equal(field.whole_bytes, bytes);
					assert_ptr_equal(field.data, message + head_bytes);
					assert_int_equal(field.data_bytes, lengths[l]);
					assert_int_equal(wire_next(&cursor, &field), 0);
				}
				free(message);
			}
		}
}

static void test_malformed(void **state)
{
	(void)state;
	assert_int_equal(find(BYTES(0x0a), 1), E_INVALID); /* no length */
	assert_int_equal(find(BYTES(0x0a, 2, 'a'), 1), E_INVALID); /* shorter than it says */
	assert_int_equal(find(BYTES(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f), 1), E_INVALID);
	assert_int_equal(find(BYTES(0x0a, 0xff, 0xff, 0xff, 0xff, 0x10), 1), E_INVALID); /* a length of 33 bits */
	assert_int_equal(find(BYTES(0x0a, 0x81, 0x80, 0x80, 0x80, 0x80, 0x00, 'a'), 1), E_INVALID); /* of 6 bytes */
	assert_int_equal(find(BYTES(0x80), 1), E_INVALID); /* a tag that goes on */
	assert_int_equal(find(BYTES(0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0), 1), E_INVALID);
	assert_int_equal(find(BYTES(0x02, 0), 1), E_INVALID); /* field number 0 */
	assert_int_equal(find(BYTES(0x82, 0x00, 0), 1), E_INVALID); /* the same, spelt longer */
	assert_int_equal(find(BYTES(0x0b, 0x0c), 1), E_INVALID); /* a group */
	assert_int_equal(find(BYTES(0x0e), 1), E_INVALID); /* wire types 6 and 7 do not exist */
	assert_int_equal(find(BYTES(0x0f), 1), E_INVALID);
	assert_int_equal(find(BYTES(0x11, 1, 2, 3, 4, 5, 6, 7), 1), E_INVALID); /* 64 bits that are 56 */
	assert_int_equal(find(BYTES(0x15, 1, 2, 3), 1), E_INVALID);
	assert_int_equal(find(BYTES(0x10, 0xff), 1), E_INVALID); /* a number that goes on */
	assert_int_equal(find(BYTES(0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), 1),
			 E_INVALID);
	assert_int_equal(find(BYTES(0x08, 1), 1), E_INVALID); /* the field itself has another wire type */
	assert_int_equal(find(BYTES(0x0a, 1, 'a', 0x08, 1), 1), E_INVALID);
	/* What is malformed behind a good field counts too. */
	assert_int_equal(find(BYTES(0x0a, 1, 'a', 0x12, 5), 1), E_INVALID);

	assert_int_equal(find(BYTES(0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), 1), 0);
	assert_int_equal(find(BYTES(0x11, 1, 2, 3, 4, 5, 6, 7, 8, 0x1d, 1, 2, 3, 4), 1), 0);
	/* The largest field number. */
	assert_int_equal(find(BYTES(0xfa, 0xff, 0xff, 0xff, 0x0f, 0), (1u << 29) - 1), 1);
}

struct seen {
	char text[200];
	const uint8_t *message;
	int stop_at;
};

static int see(void *context, uint32_t field, uint32_t wire_type, const uint8_t *whole, size_t whole_bytes,
	       const uint8_t *data, size_t data_bytes)
{
	struct seen *seen = context;
	size_t used = strlen(seen->text);
	snprintf(seen->text + used, sizeof seen->text - used, "%u:%u@%td+%zu,%td+%zu ", field, wire_type,
		 whole - seen->message, whole_bytes, data - seen->message, data_bytes);
	return (int)field == seen->stop_at ? 77 : 0;
}

static void test_walks_the_fields_in_order(void **state)
{
	static const uint8_t message[] = { 0x0a, 2, 'a',  'b', 0x90, 0x03, 0xac, 0x02, 0x1d, 1, 2,
					   3,    4, 0x21, 1,   2,    3,    4,    5,    6,    7, 8 };
	struct seen seen = { .message = message };
	(void)state;
	assert_int_equal(wire_each(message, sizeof message, see, &seen), 0);
	assert_string_equal(seen.text, "1:2@0+4,2+2 50:0@4+4,6+2 3:5@8+5,9+4 4:1@13+9,14+8 ");
	seen = (struct seen){ .message = message, .stop_at = 50 };
	assert_int_equal(wire_each(message, sizeof message, see, &seen), 77);
	assert_string_equal(seen.text, "1:2@0+4,2+2 50:0@4+4,6+2 ");
	seen = (struct seen){ .message = message };
	assert_int_equal(wire_each(message, sizeof message - 1, see, &seen), E_INVALID);
}

static int check_event(const Kindred__V1__IngestEventsRequest *request, struct error *err)
{
	uint8_t message[500];
	size_t bytes = kindred__v1__ingest_events_request__pack(request, message);
	return wire_check_texts(&kindred__v1__ingest_events_request__descriptor, message, bytes, err);
}

static void test_texts_of_a_message(void **state)
{
	Kindred__V1__IngestEventsRequest request = KINDRED__V1__INGEST_EVENTS_REQUEST__INIT;
	Kindred__V1__Event event = KINDRED__V1__EVENT__INIT, *events = &event;
	Kindred__V1__Property property = KINDRED__V1__PROPERTY__INIT, *properties = &property;
	Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	struct error err = { 0 };
	(void)state;
	request.events = &events;
	request.n_events = 1;
	request.catalog = "shop";
	event.user_id = "J\xc3\xb6rg";
	event.time = &time;
	time.seconds = 1;
	event.weight = 2;
	event.properties = &properties;
	event.n_properties = 1;
	property.name = "size";
	assert_int_equal(check_event(&request, &err), 0);
	property.value = "\xc3";
	assert_int_equal(check_event(&request, &err), E_INVALID);
	assert_string_equal(err.text, "events: properties: value: not valid UTF-8, or with a NUL byte in it");
	assert_int_equal(check_event(&request, NULL), E_INVALID);
	property.value = "";
	request.catalog = "\xff";
	assert_int_equal(check_event(&request, &err), E_INVALID);
	assert_string_equal(err.text, "catalog: not valid UTF-8, or with a NUL byte in it");

	const ProtobufCMessageDescriptor *type = &kindred__v1__ingest_events_request__descriptor;
	/*
	 * A NUL inside, which the packer cannot write; a truncated message inside a whole one; a text
	 * that is a number.
	 */
	assert_int_equal(wire_check_texts(type, BYTES(0x12, 3, 'a', 0, 'b'), &err), E_INVALID);
	assert_int_equal(wire_check_texts(type, BYTES(0x0a, 2, 0x0a, 5), &err), E_INVALID);
	assert_string_equal(err.text, "events: not a protobuf message of its type");
	assert_int_equal(wire_check_texts(type, BYTES(0x10, 1), &err), E_INVALID);
	/* Fields of a newer client are not looked into. */
	assert_int_equal(wire_check_texts(type, BYTES(0x7a, 1, 0xff), &err), 0);
}

/* --- splitting --- */

#define PARTS 4

/* Users are numbers; a user goes to the part of its last digit. "?" is refused. */
static int part_of_user(void *context, const uint8_t *element, size_t bytes, struct error *err)
{
	*(unsigned *)context += 1;
	if (bytes == 0 || element[bytes - 1] == '?')
		return error_set(err, E_NOT_FOUND, "no such user");
	return (element[bytes - 1] - '0') % PARTS;
}

static int part_of_event(void *context, const uint8_t *element, size_t bytes, struct error *err)
{
	const uint8_t *user;
	size_t user_bytes;
	int code = wire_find(element, bytes, 1, &user, &user_bytes);
	return code > 0 ? part_of_user(context, user, user_bytes, err) : code < 0 ? code : 0;
}

static struct wire_split_rule users_rule(void)
{
	return (struct wire_split_rule){ .field = 1,
					 .name = "user_ids",
					 .elements_max = 10000,
					 .rest_max = 1000,
					 .parts = PARTS,
					 .headroom = 24,
					 .part_of = part_of_user };
}

static void test_splits_users_and_copies_the_rest(void **state)
{
	enum { USERS = 1000 };
	static char names[USERS][8], *users[USERS];
	Kindred__V1__RecommendManyRequest request = KINDRED__V1__RECOMMEND_MANY_REQUEST__INIT;
	struct wire_split_rule rule = users_rule();
	struct wire_split split;
	unsigned asked = 0;
	bool seen[USERS] = { false };
	(void)state;
	for (int i = 0; i < USERS; i++) {
		snprintf(names[i], sizeof names[i], "%d", i * 7 % 1000);
		users[i] = names[i];
	}
	request.user_ids = users;
	request.n_user_ids = USERS;
	request.definition = "campaign";
	request.count = 12;
	request.with_names = true;
	size_t bytes = kindred__v1__recommend_many_request__get_packed_size(&request);
	uint8_t *message = malloc(bytes);
	kindred__v1__recommend_many_request__pack(&request, message);

	assert_int_equal(wire_split(&rule, &asked, message, bytes, &split, NULL), 0);
	free(message); /* the parts are copies */
	assert_int_equal(split.elements, USERS);
	assert_int_equal(asked, USERS);
	for (int p = 0; p < PARTS; p++) {
		struct wire_part *part = &split.parts[p];
		memset(part->message - rule.headroom, 0xee, rule.headroom);
		Kindred__V1__RecommendManyRequest *got =
			kindred__v1__recommend_many_request__unpack(NULL, part->bytes, part->message);
		assert_non_null(got);
		assert_string_equal(got->definition, "campaign");
		assert_int_equal(got->count, 12);
		assert_true(got->with_names);
		assert_int_equal(got->n_user_ids, part->count);
		for (uint32_t i = 0; i < part->count; i++) {
			uint32_t whole = part->indexes[i];
			assert_string_equal(got->user_ids[i], users[whole]);
			assert_int_equal((users[whole][strlen(users[whole]) - 1] - '0') % PARTS, p);
			assert_true(i == 0 || whole > part->indexes[i - 1]);
			assert_false(seen[whole]);
			seen[whole] = true;
		}
		kindred__v1__recommend_many_request__free_unpacked(got, NULL);
	}
	for (int i = 0; i < USERS; i++)
		assert_true(seen[i]);
	wire_split_free(&split);
}

static void test_splits_events_by_their_user(void **state)
{
	Kindred__V1__Event event[5];
	Kindred__V1__Event *events[5];
	static char *const users[5] = { "user 2", "user 6", "", "user 1", "user 2" };
	static char *const items[5] = { "a", "b", "c", "d", "e" };
	Kindred__V1__IngestEventsRequest request = KINDRED__V1__INGEST_EVENTS_REQUEST__INIT;
	struct wire_split_rule rule = users_rule();
	struct wire_split split;
	uint8_t message[500];
	unsigned asked = 0;
	(void)state;
	for (int i = 0; i < 5; i++) {
		kindred__v1__event__init(&event[i]);
		event[i].item_id = items[i];
		event[i].user_id = users[i];
		events[i] = &event[i];
	}
	request.events = events;
	request.n_events = 5;
	request.catalog = "shop";
	size_t bytes = kindred__v1__ingest_events_request__pack(&request, message);
	rule.part_of = part_of_event;
	assert_int_equal(wire_split(&rule, &asked, message, bytes, &split, NULL), 0);
	assert_int_equal(split.parts[0].count, 1); /* without a user */
	assert_int_equal(split.parts[1].count, 1);
	assert_int_equal(split.parts[2].count, 3);
	assert_int_equal(split.parts[3].count, 0);
	assert_null(split.parts[3].message);
	Kindred__V1__IngestEventsRequest *got =
		kindred__v1__ingest_events_request__unpack(NULL, split.parts[2].bytes, split.parts[2].message);
	assert_non_null(got);
	assert_string_equal(got->catalog, "shop");
	assert_int_equal(got->n_events, 3);
	assert_string_equal(got->events[0]->item_id, "a");
	assert_string_equal(got->events[1]->item_id, "b");
	assert_string_equal(got->events[2]->item_id, "e");
	assert_int_equal(split.parts[2].indexes[2], 4);
	kindred__v1__ingest_events_request__free_unpacked(got, NULL);
	wire_split_free(&split);
}

static void assert_not_split(const struct wire_split_rule *rule, const uint8_t *message, size_t bytes, int code,
			     const char *text)
{
	struct wire_split split;
	struct error err = { 0 };
	unsigned asked = 0;
	assert_int_equal(wire_split(rule, &asked, message, bytes, &split, &err), code);
	assert_int_equal(err.code, code);
	assert_string_equal(err.text, text);
	assert_null(split.parts);
	wire_split_free(&split);
}

static void test_refuses_to_split(void **state)
{
	struct wire_split_rule rule = users_rule();
	struct wire_split split;
	unsigned asked = 0;
	(void)state;
	assert_not_split(&rule, BYTES(0x0a, 1, '1', 0x0a, 2, '1'), E_INVALID,
			 "the request is not a protobuf message of its type");
	assert_not_split(&rule, BYTES(0x08, 1), E_INVALID, "the request is not a protobuf message of its type");
	assert_not_split(&rule, BYTES(0x0a, 1, '1', 0x0a, 1, '?'), E_NOT_FOUND, "no such user");
	rule.elements_max = 2;
	assert_not_split(&rule, BYTES(0x0a, 1, '1', 0x0a, 1, '2', 0x0a, 1, '3'), E_INVALID,
			 "user_ids: more than 2; 1 to 2 are allowed in one message");
	rule.rest_max = 3;
	assert_not_split(&rule, BYTES(0x0a, 1, '1', 0x12, 2, 'a', 'b'), E_INVALID,
			 "the fields beside user_ids take 4 bytes; at most 3 are allowed");
	rule.parts = 1;
	assert_not_split(&rule, BYTES(0x0a, 1, '1'), E_INTERNAL, "user_ids: there is no part 1 of 1");

	/* Nothing to split is the caller's to judge. */
	assert_int_equal(wire_split(&rule, &asked, BYTES(0x10, 1), &split, NULL), 0);
	assert_int_equal(split.elements, 0);
	assert_int_equal(split.parts[0].count, 0);
	assert_null(split.parts[0].message);
	wire_split_free(&split);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds_the_user_of_a_request),
		cmocka_unit_test(test_the_last_occurrence_counts),
		cmocka_unit_test(test_a_field_of_any_length),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_walks_the_fields_in_order),
		cmocka_unit_test(test_texts_of_a_message),
		cmocka_unit_test(test_splits_users_and_copies_the_rest),
		cmocka_unit_test(test_splits_events_by_their_user),
		cmocka_unit_test(test_refuses_to_split),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
