/*
 * Any bytes as an ImportItemsRequest, item by item as the server takes it, and each item against a schema with every
 * type. Where nothing is refused protobuf-c sees the same request; what is refused has its place and a reason; an
 * item that passes the check holds only what a catalog may.
 */
#include "common/clock.h"
#include "common/control_private.h"
#include "common/ids.h"
#include "server/import_batch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct arena arena;
static struct schema schema;

static void check(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerInitialize(int *count, char ***arguments)
{
	static Kindred__V1__AttributeSchema attributes[5], *pointers[5];
	static Kindred__V1__Catalog catalog = KINDRED__V1__CATALOG__INIT;
	static const char *const names[] = { "title", "price", "in_stock", "since", "tags" };
	(void)count;
	(void)arguments;
	for (size_t i = 0; i < 5; i++) {
		kindred__v1__attribute_schema__init(&attributes[i]);
		attributes[i].name = (char *)names[i];
		attributes[i].type = (Kindred__V1__AttributeType)(i + 1);
		pointers[i] = &attributes[i];
	}
	catalog.name = (char *)"shop";
	catalog.attributes = pointers;
	catalog.n_attributes = 5;
	schema_init(&schema, &catalog);
	check(arena_init(&arena, 65536, 16 << 20) == 0);
	return 0;
}

static void check_attribute(const Kindred__V1__Attribute *attribute)
{
	switch (attribute->value_case) {
	case KINDRED__V1__ATTRIBUTE__VALUE_STRING_VALUE:
		check(utf8_valid(attribute->string_value, strlen(attribute->string_value)));
		break;
	case KINDRED__V1__ATTRIBUTE__VALUE_NUMBER_VALUE:
		check(isfinite(attribute->number_value));
		break;
	case KINDRED__V1__ATTRIBUTE__VALUE_TIMESTAMP_VALUE: {
		const Google__Protobuf__Timestamp *time = attribute->timestamp_value;
		int64_t time_ms = time->seconds * 1000 + time->nanos / 1000000;
		check(time_ms >= CALENDAR_MIN_MS && time_ms <= TIME_MAX_MS);
		break;
	}
	case KINDRED__V1__ATTRIBUTE__VALUE_LIST_VALUE:
		for (size_t i = 0; i < attribute->list_value->n_values; i++)
			check(utf8_valid(attribute->list_value->values[i], strlen(attribute->list_value->values[i])));
		break;
	case KINDRED__V1__ATTRIBUTE__VALUE_BOOLEAN_VALUE:
		break;
	default:
		abort();
	}
}

static void fuzz_item(Kindred__V1__Item *item)
{
	struct error err = { 0 };
	size_t last = 0;
	int code = control_check_item(&schema, item, &err);
	check(code == err.code && (code == 0 || (err.text[0] && utf8_valid(err.text, strlen(err.text)))));
	if (code)
		return;
	check(id_check("id", item->id, strlen(item->id), ITEM_ID_MAX, NULL) == 0);
	for (size_t i = 0; i < item->n_attributes; i++) {
		size_t place = schema_find(&schema, item->attributes[i]->name, 0);
		check(place != SIZE_MAX && (i == 0 || place > last));
		last = place;
		check_attribute(item->attributes[i]);
	}
}

/* The same as protobuf-c reads it, when every item could be read. */
static void compare(const struct import_batch *batch, const uint8_t *data, size_t bytes)
{
	Kindred__V1__ImportItemsRequest *whole = kindred__v1__import_items_request__unpack(NULL, bytes, data);
	if (!whole)
		return;
	check(strcmp(whole->catalog, batch->catalog) == 0 && whole->batch == batch->number);
	check(whole->n_items == batch->count);
	for (size_t i = 0; i < batch->readable; i++) {
		const Kindred__V1__Item *a = batch->items[i], *b = whole->items[batch->indexes[i]];
		check(strcmp(a->id, b->id) == 0 && strcmp(a->name, b->name) == 0 &&
		      strcmp(a->image_url, b->image_url) == 0);
		check(a->n_attributes == b->n_attributes && a->hidden == b->hidden);
	}
	kindred__v1__import_items_request__free_unpacked(whole, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct import_batch batch;
	struct error err = { 0 };
	size_t readable = 0;
	int code = import_batch_read(&batch, data, bytes, &arena, &err);
	check(code == err.code && (code == 0 || err.text[0]));
	if (code == 0) {
		check(batch.count > 0 && batch.readable <= batch.count);
		for (uint32_t i = 0; i < batch.count; i++) {
			if (readable < batch.readable && batch.indexes[readable] == i) {
				readable++;
				continue;
			}
			const struct import_refusal *refusal = &batch.refusals[i - readable];
			check(refusal->index == i && refusal->reason[0]);
			check(utf8_valid(refusal->item_id, strlen(refusal->item_id)));
		}
		check(readable == batch.readable);
		compare(&batch, data, bytes);
		for (size_t i = 0; i < batch.readable; i++)
			fuzz_item(batch.items[i]);
	}
	arena_reset(&arena);
	return 0;
}
