#include "server/import_batch.h"

#include "common/ids.h"
#include "common/wire.h"

#include <string.h>

enum request_field { REQUEST_CATALOG = 1, REQUEST_ITEMS = 2, REQUEST_BATCH = 3 };

#define ITEM_ID_FIELD 1

static int read_catalog(struct import_batch *batch, const uint8_t *request, size_t bytes, struct arena *arena,
			struct error *err)
{
	const uint8_t *name;
	size_t name_bytes;

	batch->catalog = "";
	if (wire_find(request, bytes, REQUEST_CATALOG, &name, &name_bytes) != 1)
		return 0;
	if (!utf8_valid((const char *)name, name_bytes))
		return error_set(err, E_INVALID, "catalog: not valid UTF-8, or with a NUL byte in it");
	batch->catalog = arena_strndup(arena, (const char *)name, name_bytes);
	return batch->catalog ? 0 : error_set(err, E_EXHAUSTED, "out of memory; send smaller batches");
}

/* All but the items themselves: how many there are, and that the bytes can be walked. */
static int read_request(struct import_batch *batch, const uint8_t *request, size_t bytes, struct error *err)
{
	struct wire_cursor cursor = { request, request + bytes };
	struct wire_field field;
	int got;

	while ((got = wire_next(&cursor, &field)) > 0) {
		if (field.number > REQUEST_BATCH)
			continue;
		if (field.type != (field.number == REQUEST_BATCH ? (uint32_t)WIRE_VARINT : (uint32_t)WIRE_BYTES))
			break;
		batch->count += field.number == REQUEST_ITEMS;
	}
	if (got)
		return error_set(err, E_INVALID, "the request is not a valid kindred.v1.ImportItemsRequest");
	wire_find_number(request, bytes, REQUEST_BATCH, &batch->number);
	if (batch->count < 1 || batch->count > IMPORT_BATCH_MAX)
		return error_set(err, E_INVALID, "items: %zu in one message; 1 to 10,000 are allowed", batch->count);
	return 0;
}

static int refuse(struct import_batch *batch, uint32_t index, const struct wire_field *item, const char *reason,
		  struct arena *arena)
{
	struct import_refusal *refusal = &batch->refusals[index - batch->readable];
	const uint8_t *id;
	size_t id_bytes;

	*refusal = (struct import_refusal){ .index = index, .item_id = "" };
	if (wire_find(item->data, item->data_bytes, ITEM_ID_FIELD, &id, &id_bytes) == 1 && id_bytes <= ITEM_ID_MAX &&
	    utf8_valid((const char *)id, id_bytes))
		refusal->item_id = arena_strndup(arena, (const char *)id, id_bytes);
	refusal->reason = arena_strndup(arena, reason, strlen(reason));
	return refusal->item_id && refusal->reason ? 0 : E_EXHAUSTED;
}

static int read_item(struct import_batch *batch, uint32_t index, const struct wire_field *field, struct arena *arena)
{
	Kindred__V1__Item *item;
	struct error wrong;

	if (wire_check_texts(&kindred__v1__item__descriptor, field->data, field->data_bytes, &wrong))
		return refuse(batch, index, field, wrong.text, arena);
	item = kindred__v1__item__unpack(&arena->protobuf, field->data_bytes, field->data);
	if (!item)
		return refuse(batch, index, field, "not a valid kindred.v1.Item, or one too large to unpack", arena);
	batch->items[batch->readable] = item;
	batch->indexes[batch->readable++] = index;
	return 0;
}

static int read_items(struct import_batch *batch, const uint8_t *request, size_t bytes, struct arena *arena)
{
	struct wire_cursor cursor = { request, request + bytes };
	struct wire_field field;
	uint32_t index = 0;
	int rc = 0;

	batch->items = arena_alloc(arena, batch->count * sizeof *batch->items);
	batch->indexes = arena_alloc(arena, batch->count * sizeof *batch->indexes);
	batch->refusals = arena_alloc(arena, batch->count * sizeof *batch->refusals);
	if (!batch->items || !batch->indexes || !batch->refusals)
		return E_EXHAUSTED;
	while (!rc && wire_next(&cursor, &field) > 0)
		if (field.number == REQUEST_ITEMS)
			rc = read_item(batch, index++, &field, arena);
	return rc;
}

int import_batch_read(struct import_batch *batch, const uint8_t *request, size_t bytes, struct arena *arena,
		      struct error *err)
{
	int rc;

	*batch = (struct import_batch){ .catalog = "" };
	rc = read_request(batch, request, bytes, err);
	if (!rc)
		rc = read_catalog(batch, request, bytes, arena, err);
	if (!rc && read_items(batch, request, bytes, arena))
		rc = error_set(err, E_EXHAUSTED, "out of memory; send smaller batches");
	return rc;
}
