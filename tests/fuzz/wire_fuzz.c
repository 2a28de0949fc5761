/*
 * Any bytes as a RecommendManyRequest and as an IngestEventsRequest, split by user. What wire.c takes
 * and protobuf-c takes must be the same message to both: the server routes by what wire.c reads, the
 * worker acts on what protobuf-c reads.
 */
#include "common/ids.h"
#include "kindred/v1/events.pb-c.h"
#include "kindred/v1/recommend.pb-c.h"
#include "server/wire.h"

#include <stdlib.h>
#include <string.h>

#define PARTS 3

static void check(bool holds)
{
	if (!holds)
		abort();
}

static int by_text(void *context, const uint8_t *element, size_t bytes, struct error *err)
{
	(void)context;
	(void)err;
	return (int)user_shard((const char *)element, bytes, PARTS);
}

static int by_user(void *context, const uint8_t *element, size_t bytes, struct error *err)
{
	const uint8_t *user;
	size_t user_bytes;
	int code = wire_find(element, bytes, 1, &user, &user_bytes);
	return code > 0 ? by_text(context, user, user_bytes, err) : code < 0 ? error_set(err, code, "event") : 0;
}

/* Every fourth length has bounds that a short message can go beyond. */
static struct wire_split_rule rule(int (*part_of)(void *, const uint8_t *, size_t, struct error *), size_t bytes)
{
	bool tight = bytes % 4 == 0;
	return (struct wire_split_rule){ .field = 1,
					 .name = "elements",
					 .elements_max = tight ? 3 : 10000,
					 .rest_max = tight ? 16 : 4096,
					 .parts = PARTS,
					 .headroom = 24,
					 .part_of = part_of };
}

static bool same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* Texts that passed the check unpack to all their bytes. */
static void fuzz_texts(const uint8_t *data, size_t bytes)
{
	const uint8_t *definition;
	size_t definition_bytes;
	if (wire_check_texts(&kindred__v1__recommend_request__descriptor, data, bytes, NULL))
		return;
	Kindred__V1__RecommendRequest *request = kindred__v1__recommend_request__unpack(NULL, bytes, data);
	if (!request)
		return;
	check(utf8_valid(request->user_id, strlen(request->user_id)));
	if (wire_find(data, bytes, 2, &definition, &definition_bytes) > 0)
		check(strlen(request->definition) == definition_bytes);
	kindred__v1__recommend_request__free_unpacked(request, NULL);
}

static void fuzz_users(const uint8_t *data, size_t bytes)
{
	struct wire_split_rule by = rule(by_text, bytes);
	struct wire_split split;
	if (wire_split(&by, NULL, data, bytes, &split, NULL))
		return;
	Kindred__V1__RecommendManyRequest *whole = kindred__v1__recommend_many_request__unpack(NULL, bytes, data);
	size_t users = 0;
	for (unsigned p = 0; p < PARTS; p++) {
		struct wire_part *part = &split.parts[p];
		users += part->count;
		if (!part->count)
			continue;
		memset(part->message - by.headroom, 1, by.headroom);
		Kindred__V1__RecommendManyRequest *got =
			kindred__v1__recommend_many_request__unpack(NULL, part->bytes, part->message);
		check(!got == !whole);
		if (!got)
			continue;
		check(got->n_user_ids == part->count);
		for (uint32_t i = 0; i < part->count; i++)
			check(same(got->user_ids[i], whole->user_ids[part->indexes[i]]));
		check(same(got->definition, whole->definition) && same(got->filter, whole->filter));
		check(got->count == whole->count && got->explain == whole->explain &&
		      got->with_names == whole->with_names);
		check(got->generation == whole->generation && !got->as_of == !whole->as_of);
		check(!got->as_of ||
		      (got->as_of->seconds == whole->as_of->seconds && got->as_of->nanos == whole->as_of->nanos));
		kindred__v1__recommend_many_request__free_unpacked(got, NULL);
	}
	check(users == split.elements && users <= by.elements_max && (!whole || users == whole->n_user_ids));
	if (whole)
		kindred__v1__recommend_many_request__free_unpacked(whole, NULL);
	wire_split_free(&split);
}

static void fuzz_events(const uint8_t *data, size_t bytes)
{
	struct wire_split_rule by = rule(by_user, bytes);
	struct wire_split split;
	struct error err = { 0 };
	if (wire_split(&by, NULL, data, bytes, &split, &err)) {
		check(err.code != 0 && err.text[0]);
		return;
	}
	Kindred__V1__IngestEventsRequest *whole = kindred__v1__ingest_events_request__unpack(NULL, bytes, data);
	for (unsigned p = 0; whole && p < PARTS; p++) {
		struct wire_part *part = &split.parts[p];
		if (!part->count)
			continue;
		Kindred__V1__IngestEventsRequest *got =
			kindred__v1__ingest_events_request__unpack(NULL, part->bytes, part->message);
		check(got && got->n_events == part->count && same(got->catalog, whole->catalog));
		for (uint32_t i = 0; i < part->count; i++) {
			const Kindred__V1__Event *a = got->events[i], *b = whole->events[part->indexes[i]];
			check(same(a->user_id, b->user_id) && same(a->item_id, b->item_id) &&
			      a->n_properties == b->n_properties);
		}
		kindred__v1__ingest_events_request__free_unpacked(got, NULL);
	}
	if (whole)
		kindred__v1__ingest_events_request__free_unpacked(whole, NULL);
	wire_split_free(&split);
}

/* One user, as the server reads it of a RecommendRequest. */
static void fuzz_find(const uint8_t *data, size_t bytes)
{
	const uint8_t *user;
	size_t user_bytes;
	uint64_t number = 0;
	int found = wire_find(data, bytes, 1, &user, &user_bytes), counted = wire_find_number(data, bytes, 7, &number);
	Kindred__V1__RecommendRequest *request = kindred__v1__recommend_request__unpack(NULL, bytes, data);
	if (!request)
		return;
	if (found >= 0)
		check(strlen(request->user_id) == (found ? strnlen((const char *)user, user_bytes) : 0) &&
		      (!found || memcmp(user, request->user_id, strlen(request->user_id)) == 0));
	if (found >= 0 && counted >= 0)
		check(number == request->generation);
	kindred__v1__recommend_request__free_unpacked(request, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	fuzz_find(data, bytes);
	fuzz_texts(data, bytes);
	fuzz_users(data, bytes);
	fuzz_events(data, bytes);
	return 0;
}
