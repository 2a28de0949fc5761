#include "worker/request.h"
#include "common/clock.h"
#include "worker/recipe.h"

enum request_field {
	REQUEST_USER = 1,
	REQUEST_DEFINITION = 2,
	REQUEST_COUNT = 3,
	REQUEST_AS_OF = 4,
	REQUEST_FILTER = 5,
	REQUEST_EXPLAIN = 6,
	REQUEST_GENERATION = 7,
	REQUEST_WITH_NAMES = 8,
	REQUEST_CONTEXT_ITEM = 12,
	REQUEST_CONTEXT = 13,
};

static void take_text(const struct wire_field *field, struct request *request, struct text_view *as_of)
{
	if (field->number == REQUEST_USER) {
		request->user = decode_text(field);
		request->users++;
	} else if (field->number == REQUEST_DEFINITION) {
		request->definition = decode_text(field);
	} else if (field->number == REQUEST_AS_OF) {
		*as_of = decode_text(field);
		request->timed = true;
	} else if (field->number == REQUEST_CONTEXT_ITEM) {
		request->context.item = decode_text(field);
	} else if (field->number == REQUEST_FILTER) {
		request->filter = decode_text(field);
	}
}

static void take_number(const struct wire_field *field, struct request *request)
{
	uint64_t value = decode_varint(field);
	if (field->number == REQUEST_COUNT)
		request->count = (uint32_t)value;
	else if (field->number == REQUEST_EXPLAIN)
		request->explain = value != 0;
	else if (field->number == REQUEST_GENERATION)
		request->generation = value;
	else if (field->number == REQUEST_WITH_NAMES)
		request->with_names = value != 0;
}

static int check_users(const struct request *request, enum request_kind kind, struct error *err)
{
	if (kind == REQUEST_MANY && (request->users < 1 || request->users > REQUEST_USERS_MAX))
		return error_set(err, E_INVALID, "user_ids: %u; 1 to %d a message are allowed", request->users,
				 REQUEST_USERS_MAX);
	return 0;
}

static int check_as_of(struct text_view as_of, struct request *request, struct error *err)
{
	if (request->timed && (decode_timestamp(as_of, &request->as_of_ms) || request->as_of_ms < TIME_MIN_MS))
		return error_set(err, E_INVALID, "as_of: not a time from 1970 to 9999");
	return 0;
}

int request_read(const void *payload, size_t bytes, enum request_kind kind, int64_t now_ms, struct request *request,
		 struct error *err)
{
	static const char *const names[] = { "", "Many", "Audience" };
	static const struct text_view none = { "", 0 };
	struct text_view as_of = none;
	*request = (struct request){
		.kind = kind, .user = none, .definition = none, .filter = none, .as_of_ms = now_ms, .context.item = none
	};
	struct wire_cursor cursor = decode_start(payload, bytes);
	struct wire_field field;
	int got, code = 0;
	while (!code && (got = wire_next(&cursor, &field)) > 0) {
		if (field.type == WIRE_BYTES && field.number == REQUEST_CONTEXT)
			code = context_take(&request->context, decode_text(&field), err);
		else if (field.type == WIRE_BYTES)
			take_text(&field, request, &as_of);
		else if (field.type == WIRE_VARINT)
			take_number(&field, request);
	}
	if (code)
		return code;
	if (got < 0)
		return error_set(err, E_INVALID, "request: not a kindred.v1.Recommend%sRequest", names[kind]);
	code = check_users(request, kind, err);
	if (!code)
		code = check_as_of(as_of, request, err);
	if (!code && request->count > RECIPE_COUNT_MAX)
		code = error_set(err, E_INVALID, "count: %u; 1 to %d are allowed, 0 for the definition's count",
				 request->count, RECIPE_COUNT_MAX);
	return code;
}

int request_next_user(struct wire_cursor *cursor, struct text_view *user)
{
	struct wire_field field;
	while (wire_next(cursor, &field) > 0) {
		if (field.number == REQUEST_USER && field.type == WIRE_BYTES) {
			*user = decode_text(&field);
			return 1;
		}
	}
	return 0;
}
