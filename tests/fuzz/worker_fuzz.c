/*
 * Any bytes as a call to a worker. It reads calls in place with common/wire.h; where protobuf-c reads
 * them too, both must see the same: the worker's answer is to the request that the client meant.
 */
#include "common/clock.h"
#include "common/ids.h"
#include "kindred/v1/events.pb-c.h"
#include "kindred/v1/recommend.pb-c.h"
#include "worker/history_call.h"
#include "worker/ingest.h"
#include "worker/request.h"
#include "worker/rules.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NOW_MS INT64_C(1763895600000)

static struct rules rules;
static struct arena arena;

static void check(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerInitialize(int *count, char ***arguments)
{
	static char *const names[] = { "next", "nexus", "a" };
	(void)count;
	(void)arguments;
	check(arena_init(&arena, 65536, 0) == 0);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		Kindred__V1__Definition *definition = malloc(sizeof *definition);
		check(definition != NULL);
		kindred__v1__definition__init(definition);
		definition->name = strdup(names[i]);
		check(rules_definition_set(&rules, definition, NULL) == 0);
	}
	return 0;
}

static bool same(struct text_view a, const char *b)
{
	return a.bytes == strlen(b) && memcmp(a.data, b, a.bytes) == 0;
}

static bool is_text(struct text_view text)
{
	return utf8_valid(text.data, text.bytes);
}

static void fuzz_one_user(const uint8_t *data, size_t bytes)
{
	struct request request;
	struct error err = { 0 };
	int code = request_read(data, bytes, REQUEST_ONE, NOW_MS, &request, &err);
	check(code == err.code && (code == 0 || err.text[0]));
	if (code)
		return;
	struct definition *definition = rules_definition(&rules, request.definition.data, request.definition.bytes);
	check(!definition || same(request.definition, definition->message->name));
	check(request.count <= 1000 && request.as_of_ms >= 0);
	Kindred__V1__RecommendRequest *message = kindred__v1__recommend_request__unpack(NULL, bytes, data);
	if (!message)
		return;
	if (is_text(request.user))
		check(same(request.user, message->user_id));
	if (is_text(request.definition))
		check(same(request.definition, message->definition));
	if (is_text(request.filter))
		check(same(request.filter, message->filter));
	check(request.count == message->count); /* not the booleans: protobuf-c takes them of any wire type */
	check(request.timed == (message->as_of != NULL));
	kindred__v1__recommend_request__free_unpacked(message, NULL);
}

static void fuzz_many_users(const uint8_t *data, size_t bytes)
{
	struct request request;
	struct wire_cursor users = decode_start(data, bytes);
	struct text_view user;
	uint32_t seen = 0;
	if (request_read(data, bytes, REQUEST_MANY, NOW_MS, &request, NULL))
		return;
	while (request_next_user(&users, &user) > 0)
		seen++;
	check(seen == request.users && seen > 0 && seen <= REQUEST_USERS_MAX);
}

static void check_taken(const struct shard_event *event)
{
	check(id_check("", event->user, event->user_bytes, USER_ID_MAX, NULL) == 0);
	check(id_check("", event->type, event->type_bytes, EVENT_TYPE_MAX, NULL) == 0);
	check(event->time_ms >= 0 && event->time_ms <= NOW_MS + DAY_MS);
	check(event->weight > 0 && event->weight <= INGEST_WEIGHT_MAX && isfinite(event->weight));
	check(event->property_count <= INGEST_PROPERTIES_MAX && event->item.value);
	for (size_t i = 0; i < event->property_count; i++) {
		const struct shard_property *property = &event->properties[i];
		check(property->name_bytes <= INGEST_PROPERTY_MAX && property->value_bytes <= INGEST_PROPERTY_MAX);
		check(utf8_valid(property->name, property->name_bytes) &&
		      utf8_valid(property->value, property->value_bytes));
	}
}

static void compare_event(const struct shard_event *event, struct text_view bytes, struct catalog_seed seed)
{
	Kindred__V1__Event *message = kindred__v1__event__unpack(NULL, bytes.bytes, (const uint8_t *)bytes.data);
	if (!message)
		return;
	check(same((struct text_view){ event->user, (uint32_t)event->user_bytes }, message->user_id));
	check(same((struct text_view){ event->type, (uint32_t)event->type_bytes }, message->type));
	check(event->item.value == item_key(seed, message->item_id, strlen(message->item_id)).value);
	check(event->event.value == event_key(message->event_id, strlen(message->event_id)).value);
	check(event->property_count == message->n_properties);
	if (message->weight != 0)
		check(event->weight == message->weight);
	kindred__v1__event__free_unpacked(message, NULL);
}

static void fuzz_events(const uint8_t *data, size_t bytes)
{
	struct catalog_seed seed = catalog_seed("shop", 4);
	struct text_view catalog, message;
	struct wire_cursor cursor = decode_start(data, bytes);
	uint32_t events, seen = 0;
	if (ingest_head(data, bytes, &catalog, &events, NULL))
		return;
	while (ingest_next(&cursor, &message) > 0) {
		struct shard_event event;
		struct error err = { 0 };
		int code = ingest_event(message, seed, NOW_MS, &arena, &event, &err);
		check(code == err.code && (code == 0 || utf8_valid(err.text, strlen(err.text))));
		if (!code) {
			check_taken(&event);
			compare_event(&event, message, seed);
		}
		seen++;
	}
	check(seen == events);
	arena_reset(&arena);
}

static void fuzz_page_token(const uint8_t *data, size_t bytes)
{
	struct page_place place;
	char again[PAGE_TOKEN_BYTES];
	struct text_view token = { (const char *)data, (uint32_t)bytes };
	if (page_token_parse(token, &place, NULL) == 0 && bytes)
		check(page_token_format(place, again) == bytes && memcmp(again, data, bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	fuzz_one_user(data, bytes);
	fuzz_many_users(data, bytes);
	fuzz_events(data, bytes);
	fuzz_page_token(data, bytes);
	return 0;
}
