#include "common/message_json.h"

#include "common/clock.h"
#include "common/error.h"
#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "kindred/v1/catalogs.pb-c.h"
#include "kindred/v1/events.pb-c.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *enum_json(const ProtobufCFieldDescriptor *field, int number)
{
	const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(field->descriptor, number);
	return value != NULL ? json_string(value->name) : json_integer(number);
}

#define WHOLE_MAX 9007199254740992.0 /* 2^53: up to here every whole number is a double of its own */

/* JSON has no infinity. The figures of a model may be one where nothing was measured. */
static json_t *real_json(double number)
{
	if (number == trunc(number) && fabs(number) <= WHOLE_MAX)
		return json_integer((json_int_t)number); /* 1997, not 1997.0 */
	return isfinite(number) ? json_real(number) : json_null();
}

/* A float as a person wrote it: 0.1, not 0.10000000149011612. */
static json_t *float_json(float number)
{
	char text[32];
	if (!isfinite(number))
		return json_null();
	snprintf(text, sizeof text, "%.7g", (double)number);
	return json_real(strtod(text, NULL));
}

static json_t *timestamp_json(const Google__Protobuf__Timestamp *time)
{
	char text[64];
	time_format(time->seconds * 1000 + time->nanos / 1000000, text);
	return json_string(text);
}

static json_t *duration_json(const Google__Protobuf__Duration *duration)
{
	return json_sprintf("%llds", (long long)duration->seconds);
}

static json_t *submessage_json(const ProtobufCMessage *message)
{
	if (message == NULL)
		return json_null();
	if (message->descriptor == &google__protobuf__timestamp__descriptor)
		return timestamp_json((const Google__Protobuf__Timestamp *)message);
	if (message->descriptor == &google__protobuf__duration__descriptor)
		return duration_json((const Google__Protobuf__Duration *)message);
	return message_json(message);
}

/* One value; `at` points to it as it lies in the message or in the array of a repeated field. */
static json_t *value_json(const ProtobufCFieldDescriptor *field, const void *at)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		return json_integer(*(const int32_t *)at);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return json_integer(*(const uint32_t *)at);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return json_integer(*(const int64_t *)at);
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return json_integer((json_int_t) * (const uint64_t *)at);
	case PROTOBUF_C_TYPE_FLOAT:
		return float_json(*(const float *)at);
	case PROTOBUF_C_TYPE_DOUBLE:
		return real_json(*(const double *)at);
	case PROTOBUF_C_TYPE_BOOL:
		return json_boolean(*(const protobuf_c_boolean *)at);
	case PROTOBUF_C_TYPE_ENUM:
		return enum_json(field, *(const int *)at);
	case PROTOBUF_C_TYPE_STRING: {
		const char *text = *(char *const *)at;
		return json_string(text != NULL ? text : "");
	}
	case PROTOBUF_C_TYPE_MESSAGE:
		return submessage_json(*(ProtobufCMessage *const *)at);
	case PROTOBUF_C_TYPE_BYTES:
		break;
	}
	return json_null();
}

static size_t value_bytes(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_ENUM:
		return 4;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	}
	return sizeof(void *);
}

static json_t *attribute_value(const Kindred__V1__Attribute *attribute)
{
	switch (attribute->value_case) {
	case KINDRED__V1__ATTRIBUTE__VALUE_STRING_VALUE:
		return json_string(attribute->string_value);
	case KINDRED__V1__ATTRIBUTE__VALUE_NUMBER_VALUE:
		return real_json(attribute->number_value);
	case KINDRED__V1__ATTRIBUTE__VALUE_BOOLEAN_VALUE:
		return json_boolean(attribute->boolean_value);
	case KINDRED__V1__ATTRIBUTE__VALUE_TIMESTAMP_VALUE:
		return timestamp_json(attribute->timestamp_value);
	case KINDRED__V1__ATTRIBUTE__VALUE_LIST_VALUE: {
		json_t *list = json_array();
		for (size_t i = 0; i < attribute->list_value->n_values; i++)
			json_array_append_new(list, json_string(attribute->list_value->values[i]));
		return list;
	}
	case KINDRED__V1__ATTRIBUTE__VALUE__NOT_SET:
	case _KINDRED__V1__ATTRIBUTE__VALUE__CASE_IS_INT_SIZE:
		break;
	}
	return json_null();
}

/* {"name": value}; NULL: these are not named values. */
static json_t *named_json(const ProtobufCFieldDescriptor *field, size_t count, void *const *elements)
{
	bool attributes = field->descriptor == &kindred__v1__attribute__descriptor;
	if (!attributes && field->descriptor != &kindred__v1__property__descriptor)
		return NULL;
	json_t *object = json_object();
	for (size_t i = 0; i < count; i++) {
		const Kindred__V1__Attribute *attribute = elements[i];
		const Kindred__V1__Property *property = elements[i];
		if (attributes)
			json_object_set_new(object, attribute->name, attribute_value(attribute));
		else
			json_object_set_new(object, property->name, json_string(property->value));
	}
	return object;
}

static json_t *repeated_json(const ProtobufCFieldDescriptor *field, size_t count, const char *elements)
{
	if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
		json_t *named = named_json(field, count, (void *const *)(const void *)elements);
		if (named != NULL)
			return named;
	}
	json_t *array = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, value_json(field, elements + i * value_bytes(field->type)));
	return array;
}

json_t *message_json(const ProtobufCMessage *message)
{
	json_t *object = json_object();
	const char *base = (const char *)message;
	for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
		json_t *value;
		if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			size_t count = *(const size_t *)(const void *)(base + field->quantifier_offset);
			value = repeated_json(field, count, *(const char *const *)(const void *)(base + field->offset));
		} else {
			bool oneof = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
			if (oneof && *(const uint32_t *)(const void *)(base + field->quantifier_offset) != field->id)
				continue;
			value = value_json(field, base + field->offset);
		}
		json_object_set_new(object, field->name, value);
	}
	return object;
}

int json_print(json_t *value, bool one_line)
{
	if (value == NULL)
		return E_EXHAUSTED;
	int failed = json_dumpf(value, stdout, (one_line ? JSON_COMPACT : JSON_INDENT(2)) | JSON_REAL_PRECISION(15));
	json_decref(value);
	if (failed != 0 || fputc('\n', stdout) == EOF)
		return E_UNAVAILABLE;
	return 0;
}

int message_print(const ProtobufCMessage *message)
{
	return json_print(message_json(message), false);
}
