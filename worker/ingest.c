#include "worker/ingest.h"
#include "common/clock.h"
#include "common/ids.h"

#include <math.h>

enum batch_field { BATCH_EVENTS = 1, BATCH_CATALOG = 2 };

int ingest_head(const void *payload, size_t bytes, struct text_view *catalog, uint32_t *events, struct error *err)
{
	struct wire_cursor cursor = decode_start(payload, bytes);
	struct wire_field field;
	uint64_t count = 0;
	int got;
	*catalog = (struct text_view){ "", 0 };
	while ((got = wire_next(&cursor, &field)) > 0) {
		if (field.type != WIRE_BYTES)
			continue;
		if (field.number == BATCH_EVENTS)
			count++;
		else if (field.number == BATCH_CATALOG)
			*catalog = decode_text(&field);
	}
	if (got < 0)
		return error_set(err, E_INVALID, "request: not a kindred.v1.IngestEventsRequest");
	if (count < 1 || count > INGEST_EVENTS_MAX)
		return error_set(err, E_INVALID, "events: %llu; 1 to %d a request are allowed",
				 (unsigned long long)count, INGEST_EVENTS_MAX);
	*events = (uint32_t)count;
	return name_check("catalog", catalog->data, catalog->bytes, err);
}

int ingest_next(struct wire_cursor *cursor, struct text_view *message)
{
	struct wire_field field;
	while (wire_next(cursor, &field) > 0) {
		if (field.number == BATCH_EVENTS && field.type == WIRE_BYTES) {
			*message = decode_text(&field);
			return 1;
		}
	}
	return 0;
}

enum event_field {
	EVENT_USER = 1,
	EVENT_ITEM = 2,
	EVENT_TYPE = 3,
	EVENT_TIME = 4,
	EVENT_ID = 5,
	EVENT_WEIGHT = 6,
	EVENT_PROPERTIES = 7,
};

/* An event as it came, before any of it was looked at. */
struct raw_event {
	struct text_view user, item, type, time, id;
	bool timed;
	float weight;
	uint32_t properties;
};

static enum wire_type wire_type_of(uint32_t field)
{
	return field == EVENT_WEIGHT ? WIRE_FIXED32 : WIRE_BYTES;
}

/*
 * A field of the event with another wire type makes it malformed, rather than being skipped as an
 * unknown one: the server's wire_find sees it so, and routes such an event anywhere; taken, it would be
 * a user of another worker and fail the whole batch.
 */
static int read_raw(struct text_view message, struct raw_event *raw)
{
	struct wire_cursor cursor = decode_inside(message);
	struct wire_field field;
	int got;
	while ((got = wire_next(&cursor, &field)) > 0) {
		if (field.number <= EVENT_PROPERTIES && field.type != (uint32_t)wire_type_of(field.number))
			return E_INVALID;
		switch (field.number) {
		case EVENT_USER:
			raw->user = decode_text(&field);
			break;
		case EVENT_ITEM:
			raw->item = decode_text(&field);
			break;
		case EVENT_TYPE:
			raw->type = decode_text(&field);
			break;
		case EVENT_TIME:
			raw->time = decode_text(&field);
			raw->timed = true;
			break;
		case EVENT_ID:
			raw->id = decode_text(&field);
			break;
		case EVENT_WEIGHT:
			raw->weight = decode_float(&field);
			break;
		case EVENT_PROPERTIES:
			raw->properties++;
			break;
		}
	}
	return got;
}

static int check_ids(const struct raw_event *raw, struct error *err)
{
	int code = id_check("user_id", raw->user.data, raw->user.bytes, USER_ID_MAX, err);
	if (!code)
		code = id_check("item_id", raw->item.data, raw->item.bytes, ITEM_ID_MAX, err);
	if (!code)
		code = id_check("type", raw->type.data, raw->type.bytes, EVENT_TYPE_MAX, err);
	if (!code && raw->id.bytes)
		code = id_check("event_id", raw->id.data, raw->id.bytes, EVENT_ID_MAX, err);
	return code;
}

static int check_time(const struct raw_event *raw, int64_t now_ms, int64_t *time_ms, struct error *err)
{
	*time_ms = now_ms;
	if (!raw->timed)
		return 0;
	if (decode_timestamp(raw->time, time_ms))
		return error_set(err, E_INVALID,
				 "time: not a valid timestamp; seconds and 0 to 999,999,999 nanos are allowed");
	if (*time_ms >= TIME_MIN_MS && *time_ms <= now_ms + DAY_MS)
		return 0;
	char text[32];
	if (*time_ms < TIME_MIN_MS)
		return error_set(err, E_INVALID, "time: before 1970; 1970-01-01 to a day from now is allowed");
	time_format(*time_ms, text);
	return error_set(err, E_INVALID, "time: %s; 1970-01-01 to a day from now is allowed", text);
}

static int check_weight(const struct raw_event *raw, float *weight, struct error *err)
{
	*weight = raw->weight == 0 ? 1 : raw->weight;
	if (isfinite(*weight) && *weight > 0 && *weight <= INGEST_WEIGHT_MAX)
		return 0;
	return error_set(err, E_INVALID, "weight: %g; more than 0 and at most 1,000,000 is allowed", (double)*weight);
}

static int check_property_text(const char *what, uint32_t index, struct text_view text, struct error *err)
{
	if (text.bytes > INGEST_PROPERTY_MAX)
		return error_set(err, E_INVALID, "properties[%u].%s: %u bytes; at most %d are allowed", index, what,
				 text.bytes, INGEST_PROPERTY_MAX);
	if (!utf8_valid(text.data, text.bytes))
		return error_set(err, E_INVALID, "properties[%u].%s: not valid UTF-8 without NUL bytes", index, what);
	return 0;
}

static int read_property(struct text_view message, uint32_t index, struct shard_property *property, struct error *err)
{
	struct wire_cursor cursor = decode_inside(message);
	struct wire_field field;
	struct text_view name = { "", 0 }, value = { "", 0 };
	int got;
	while ((got = wire_next(&cursor, &field)) > 0) {
		if (field.number == 1 && field.type == WIRE_BYTES)
			name = decode_text(&field);
		else if (field.number == 2 && field.type == WIRE_BYTES)
			value = decode_text(&field);
	}
	if (got < 0)
		return error_set(err, E_INVALID, "properties[%u]: not a kindred.v1.Property", index);
	*property = (struct shard_property){
		.name = name.data, .name_bytes = name.bytes, .value = value.data, .value_bytes = value.bytes
	};
	int code = check_property_text("name", index, name, err);
	return code ? code : check_property_text("value", index, value, err);
}

static int read_properties(struct text_view message, uint32_t count, struct arena *arena, struct shard_event *event,
			   struct error *err)
{
	if (count > INGEST_PROPERTIES_MAX)
		return error_set(err, E_INVALID, "properties: %u; at most %d are allowed", count,
				 INGEST_PROPERTIES_MAX);
	struct shard_property *properties = arena_alloc(arena, count * sizeof *properties);
	if (!properties)
		return error_set(err, E_EXHAUSTED, "no memory for the properties of an event");
	struct wire_cursor cursor = decode_inside(message);
	struct wire_field field;
	uint32_t at = 0;
	while (wire_next(&cursor, &field) > 0) {
		if (field.number != EVENT_PROPERTIES || field.type != WIRE_BYTES)
			continue;
		int code = read_property(decode_text(&field), at, &properties[at], err);
		if (code)
			return code;
		at++;
	}
	event->properties = properties;
	event->property_count = at;
	return 0;
}

int ingest_event(struct text_view message, struct catalog_seed seed, int64_t now_ms, struct arena *arena,
		 struct shard_event *event, struct error *err)
{
	static const struct text_view none = { "", 0 };
	struct raw_event raw = { .user = none, .item = none, .type = none, .time = none, .id = none };
	int malformed = read_raw(message, &raw);
	*event = (struct shard_event){ .user = raw.user.data, .user_bytes = raw.user.bytes };
	if (malformed)
		return error_set(err, E_INVALID, "event: not a kindred.v1.Event");
	int code = check_ids(&raw, err);
	if (!code)
		code = check_time(&raw, now_ms, &event->time_ms, err);
	if (!code)
		code = check_weight(&raw, &event->weight, err);
	if (!code && raw.properties)
		code = read_properties(message, raw.properties, arena, event, err);
	if (code)
		return code;
	event->type = raw.type.data;
	event->type_bytes = raw.type.bytes;
	event->item = item_key(seed, raw.item.data, raw.item.bytes);
	event->event = event_key(raw.id.data, raw.id.bytes);
	return 0;
}
