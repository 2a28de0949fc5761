#include "worker/history_call.h"
#include "common/history.h"
#include "common/ids.h"
#include "worker/encode.h"
#include "worker/ingest.h"
#include "worker/worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Field numbers are those of proto/kindred/v1/events.proto. */

/*
 * What the server may add to an event: id and name of the item, the name of its catalog, and before each a tag and a
 * length; the event's own grows, too.
 */
#define NAMES_BYTES (ITEM_ID_MAX + ITEM_NAME_MAX + NAME_MAX_BYTES + 3 * 3 + 1)

struct page {
	struct page_request asked; /* place: behind the events that are on the page so far */
	struct shard_reader *reader;
};

size_t page_token_format(struct page_place place, char *token)
{
	return (size_t)snprintf(token, PAGE_TOKEN_BYTES, "%" PRIx64 "-%" PRIx32, (uint64_t)place.time_ms, place.given);
}

int page_token_parse(struct text_view token, struct page_place *place, struct error *err)
{
	char text[PAGE_TOKEN_BYTES], again[PAGE_TOKEN_BYTES];
	uint64_t time_ms;
	*place = (struct page_place){ .time_ms = INT64_MAX };
	if (token.bytes == 0)
		return 0;
	bool fits = token.bytes < sizeof text;
	snprintf(text, sizeof text, "%.*s", (int)token.bytes, token.data);
	if (fits && sscanf(text, "%" SCNx64 "-%" SCNx32, &time_ms, &place->given) == 2) {
		place->time_ms = (int64_t)time_ms;
		/* only what format writes is one of ours */
		size_t bytes = page_token_format(*place, again);
		if (bytes == token.bytes && memcmp(again, token.data, bytes) == 0)
			return 0;
	}
	return error_set(err, E_INVALID,
			 "page_token: \"%s\" is not one; give next_page_token of the last page, or nothing", text);
}

int page_request_read(const void *payload, size_t bytes, struct page_request *request, struct error *err)
{
	struct wire_cursor cursor = decode_start(payload, bytes);
	struct wire_field field;
	struct text_view token = { "", 0 };
	int got;
	*request = (struct page_request){ .user = { "", 0 } };
	while ((got = wire_next(&cursor, &field)) > 0) {
		if (field.number == 1 && field.type == WIRE_BYTES)
			request->user = decode_text(&field);
		else if (field.number == 2 && field.type == WIRE_VARINT)
			request->size = (uint32_t)decode_varint(&field);
		else if (field.number == 3 && field.type == WIRE_BYTES)
			token = decode_text(&field);
	}
	if (got < 0)
		return error_set(err, E_INVALID, "request: not a kindred.v1.ListUserEventsRequest");
	if (request->size > PAGE_EVENTS_MAX)
		return error_set(err, E_INVALID, "page_size: %u; 1 to %d are allowed, 0 for %d", request->size,
				 PAGE_EVENTS_MAX, PAGE_EVENTS_DEFAULT);
	if (request->size == 0)
		request->size = PAGE_EVENTS_DEFAULT;
	int code = id_check("user_id", request->user.data, request->user.bytes, USER_ID_MAX, err);
	return code ? code : page_token_parse(token, &request->place, err);
}

/* An event with what is needed to write it down. */
struct stored {
	struct history_entry entry;
	char key[17];
	const char *type;
	size_t type_bytes;
	struct shard_property properties[INGEST_PROPERTIES_MAX];
	size_t property_count;
};

static void look_up(const struct page *page, const struct history_entry *entry, struct stored *stored)
{
	stored->entry = *entry;
	snprintf(stored->key, sizeof stored->key, "%016" PRIx64, entry->item.value);
	const char *type = shard_read_type_name(page->reader, entry->type);
	stored->type = type ? type : "";
	stored->type_bytes = strlen(stored->type);
	stored->property_count = shard_read_properties(page->reader, page->asked.user.data, page->asked.user.bytes,
						       entry, stored->properties, INGEST_PROPERTIES_MAX);
}

static size_t property_bytes(const struct shard_property *property)
{
	return text_bytes(property->name_bytes) + text_bytes(property->value_bytes);
}

static size_t time_bytes(int64_t time_ms)
{
	return uint_bytes((uint64_t)(time_ms / 1000)) + uint_bytes((uint64_t)(time_ms % 1000 * 1000000));
}

static size_t stored_bytes(const struct stored *stored)
{
	size_t bytes = text_bytes(16) + text_bytes(stored->type_bytes) +
		       message_bytes(time_bytes(stored->entry.time_ms)) + FLOAT_BYTES;
	for (size_t i = 0; i < stored->property_count; i++)
		bytes += message_bytes(property_bytes(&stored->properties[i]));
	return bytes;
}

static uint8_t *put_stored(uint8_t *at, const struct stored *stored)
{
	int64_t time_ms = stored->entry.time_ms; /* not negative: checked when it came in */
	at = put_text(at, 1, stored->key, 16);
	at = put_text(at, 5, stored->type, stored->type_bytes);
	at = put_message(at, 6, time_bytes(time_ms));
	at = put_uint(at, 1, (uint64_t)(time_ms / 1000));
	at = put_uint(at, 2, (uint64_t)(time_ms % 1000 * 1000000));
	at = put_float(at, 7, stored->entry.weight);
	for (size_t i = 0; i < stored->property_count; i++) {
		const struct shard_property *property = &stored->properties[i];
		at = put_message(at, 8, property_bytes(property));
		at = put_text(at, 1, property->name, property->name_bytes);
		at = put_text(at, 2, property->value, property->value_bytes);
	}
	return at;
}

static bool put_event(struct blob *out, const struct page *page, const struct history_entry *entry)
{
	struct stored stored;
	look_up(page, entry, &stored);
	size_t bytes = stored_bytes(&stored);
	if (!blob_reserve(out, message_bytes(bytes)))
		return false;
	uint8_t *at = put_message(out->data + out->used, 1, bytes);
	out->used = (size_t)(put_stored(at, &stored) - out->data);
	return true;
}

/* Where the page begins: the number of entries, oldest first, that are not before its place. */
static uint32_t page_start(const struct history *history, const struct page_place *place)
{
	uint32_t left = history->count;
	uint32_t given = place->given;
	while (left > 0) {
		int64_t time_ms = history_at(history, left - 1).time_ms;
		if (time_ms < place->time_ms || (time_ms == place->time_ms && given == 0))
			break;
		if (time_ms == place->time_ms)
			given--;
		left--;
	}
	return left;
}

static bool put_page(struct blob *out, struct page *page, const struct history *history)
{
	uint32_t left = page_start(history, &page->asked.place);
	size_t start = out->used;
	for (uint32_t n = 0; left > 0 && n < page->asked.size && out->used - start + n * NAMES_BYTES < PAGE_BYTES;
	     n++) {
		struct history_entry entry = history_at(history, --left);
		if (!put_event(out, page, &entry))
			return false;
		page->asked.place.given = entry.time_ms == page->asked.place.time_ms ? page->asked.place.given + 1 : 1;
		page->asked.place.time_ms = entry.time_ms;
	}
	char token[PAGE_TOKEN_BYTES];
	size_t token_bytes = left ? page_token_format(page->asked.place, token) : 0;
	if (!blob_reserve(out, text_bytes(token_bytes) + uint_bytes(history->count)))
		return false;
	uint8_t *at = put_text(out->data + out->used, 2, token, token_bytes);
	out->used = (size_t)(put_uint(at, 3, history->count) - out->data);
	return true;
}

static int answer_call(struct worker *worker, const struct frame_head *head, const uint8_t *payload, struct error *err)
{
	struct page page;
	uint32_t shard;
	struct history history;
	int code = page_request_read(payload, head->bytes, &page.asked, err);
	if (!code)
		code = shards_of_user(&worker->shards, page.asked.user.data, page.asked.user.bytes, &shard, err);
	if (code)
		return code;
	page.reader = shards_reader(&worker->shards, shard, err);
	if (!page.reader)
		return err->code;
	code = shard_read_history(page.reader, page.asked.user.data, page.asked.user.bytes, &history, err);
	if (code && code != E_NOT_FOUND)
		return code;
	struct blob *out = uplink_begin(worker->from, FRAME_REPLY, head->call);
	if (!out)
		return 0;
	/* a user without a history has an empty one */
	if (!code && !put_page(out, &page, &history)) {
		uplink_cancel(worker->from);
		return error_set(err, E_EXHAUSTED, "no memory for a page of events");
	}
	uplink_end(worker->from);
	return 0;
}

void history_call(struct worker *worker, const struct frame_head *head, const uint8_t *payload)
{
	struct error err;
	if (answer_call(worker, head, payload, &err))
		uplink_send(worker->from, FRAME_REPLY, head->call, &err, NULL, 0);
}
