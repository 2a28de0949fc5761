#include "lib/control_fixture.h"

#include "lib/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/arena.h"

#define MAP_BYTES (UINT64_C(64) << 20)
#define POINTERS 256 /* room in lists that builders make */

struct control *control;
char control_path[96];
static struct temp_dir dir;
static struct arena arena;

int control_setup(void **state)
{
	(void)state;
	if (temp_dir_make(&dir) != 0 || arena_init(&arena, 1 << 16, 0) != 0)
		return -1;
	snprintf(control_path, sizeof control_path, "%s/control", dir.path);
	return control_open(&control, control_path, MAP_BYTES, false, NULL);
}

int control_teardown(void **state)
{
	(void)state;
	control_close(control);
	control = NULL;
	arena_fini(&arena);
	return temp_dir_remove(&dir);
}

void control_reopen(void)
{
	control_close(control);
	assert_int_equal(control_open(&control, control_path, MAP_BYTES, false, NULL), 0);
}

void make_shop(const char *name)
{
	static const struct {
		const char *name;
		Kindred__V1__AttributeType type;
	} schema[] = {
		{ "price", KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_NUMBER },
		{ "in_stock", KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_BOOLEAN },
		{ "category", KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_STRING },
		{ "released", KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_TIMESTAMP },
		{ "tags", KINDRED__V1__ATTRIBUTE_TYPE__ATTRIBUTE_TYPE_STRING_LIST },
	};
	Kindred__V1__AttributeSchema attributes[5], *pointers[5];
	Kindred__V1__Catalog catalog = KINDRED__V1__CATALOG__INIT, *made;
	struct error err;

	for (size_t i = 0; i < 5; i++) {
		kindred__v1__attribute_schema__init(&attributes[i]);
		attributes[i].name = (char *)schema[i].name;
		attributes[i].type = schema[i].type;
		pointers[i] = &attributes[i];
	}
	catalog.name = (char *)name;
	catalog.n_attributes = 5;
	catalog.attributes = pointers;
	if (control_catalog_create(control, &catalog, 1000, &made, &err) != 0)
		fail_msg("%s", err.text);
	kindred__v1__catalog__free_unpacked(made, NULL);
}

/* Into the fixture's memory, so that tests need not free it. */
static void *keep(ProtobufCMessage *message)
{
	size_t bytes = protobuf_c_message_get_packed_size(message);
	const ProtobufCMessageDescriptor *descriptor = message->descriptor;
	uint8_t *packed = arena_alloc(&arena, bytes + 1);

	protobuf_c_message_pack(message, packed);
	protobuf_c_message_free_unpacked(message, NULL);
	return protobuf_c_message_unpack(descriptor, &arena.protobuf, bytes, packed);
}

const Kindred__V1__Catalog *get_catalog(const char *name)
{
	Kindred__V1__Catalog *catalog;
	struct error err;

	if (control_catalog_get(control, name, &catalog, &err) != 0)
		fail_msg("%s", err.text);
	return keep(&catalog->base);
}

const Kindred__V1__Item *get_item(const char *catalog, const char *id)
{
	Kindred__V1__Item *item;
	struct error err;

	if (control_item_get(control, catalog, id, &item, &err) != 0)
		fail_msg("%s", err.text);
	return keep(&item->base);
}

Kindred__V1__Item *an_item(const char *id, const char *name)
{
	Kindred__V1__Item *item = arena_alloc(&arena, sizeof *item);

	kindred__v1__item__init(item);
	item->id = (char *)id;
	item->name = (char *)name;
	item->attributes = arena_alloc(&arena, POINTERS * sizeof *item->attributes);
	return item;
}

static Kindred__V1__Attribute *add_attribute(Kindred__V1__Item *item, const char *name,
					     Kindred__V1__Attribute__ValueCase value)
{
	Kindred__V1__Attribute *attribute = arena_alloc(&arena, sizeof *attribute);

	assert_true(item->n_attributes < POINTERS);
	kindred__v1__attribute__init(attribute);
	attribute->name = (char *)name;
	attribute->value_case = value;
	item->attributes[item->n_attributes++] = attribute;
	return attribute;
}

void set_number(Kindred__V1__Item *item, const char *name, double number)
{
	add_attribute(item, name, KINDRED__V1__ATTRIBUTE__VALUE_NUMBER_VALUE)->number_value = number;
}

void set_boolean(Kindred__V1__Item *item, const char *name, bool boolean)
{
	add_attribute(item, name, KINDRED__V1__ATTRIBUTE__VALUE_BOOLEAN_VALUE)->boolean_value = boolean;
}

void set_string(Kindred__V1__Item *item, const char *name, const char *string)
{
	add_attribute(item, name, KINDRED__V1__ATTRIBUTE__VALUE_STRING_VALUE)->string_value = (char *)string;
}

void set_time(Kindred__V1__Item *item, const char *name, int64_t seconds, int nanos)
{
	Google__Protobuf__Timestamp *time = arena_alloc(&arena, sizeof *time);

	google__protobuf__timestamp__init(time);
	time->seconds = seconds;
	time->nanos = nanos;
	add_attribute(item, name, KINDRED__V1__ATTRIBUTE__VALUE_TIMESTAMP_VALUE)->timestamp_value = time;
}

void set_list(Kindred__V1__Item *item, const char *name, const char *const *values)
{
	Kindred__V1__StringList *list = arena_alloc(&arena, sizeof *list);

	kindred__v1__string_list__init(list);
	list->values = arena_alloc(&arena, POINTERS * sizeof *list->values);
	while (values[list->n_values]) {
		assert_true(list->n_values < POINTERS);
		list->values[list->n_values] = (char *)values[list->n_values];
		list->n_values++;
	}
	add_attribute(item, name, KINDRED__V1__ATTRIBUTE__VALUE_LIST_VALUE)->list_value = list;
}

Kindred__V1__Item *full_item(const char *id)
{
	Kindred__V1__Item *item = an_item(id, "Soccer shoe");

	item->image_url = (char *)"https://img.example/1.jpg";
	set_number(item, "price", 49.5);
	set_boolean(item, "in_stock", true);
	set_string(item, "category", "shoes");
	set_time(item, "released", -86400, 0); /* films are older than 1970 */
	set_list(item, "tags", (const char *const[]){ "red", "leather", NULL });
	return item;
}

enum control_change put_one(const char *catalog, Kindred__V1__Item *item, const char **reason)
{
	enum control_change change;
	struct error err;
	char *text;

	if (control_items_put(control, catalog, 1, &item, 2000, &change, &text, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(change == CONTROL_REFUSED, text != NULL);
	if (reason)
		*reason = text ? arena_strndup(&arena, text, strlen(text)) : NULL;
	free(text);
	return change;
}

Kindred__V1__Definition *a_definition(const char *name, const char *catalog)
{
	Kindred__V1__Definition *definition = arena_alloc(&arena, sizeof *definition);

	kindred__v1__definition__init(definition);
	definition->name = (char *)name;
	definition->catalog = (char *)catalog;
	definition->events = arena_alloc(&arena, POINTERS * sizeof *definition->events);
	add_event(definition, "Viewed", 1);
	return definition;
}

void add_event(Kindred__V1__Definition *definition, const char *type, float weight)
{
	Kindred__V1__EventWeight *event = arena_alloc(&arena, sizeof *event);

	assert_true(definition->n_events < POINTERS);
	kindred__v1__event_weight__init(event);
	event->type = (char *)type;
	event->weight = weight;
	definition->events[definition->n_events++] = event;
}

char *long_text(size_t size, char fill)
{
	char *text = arena_alloc(&arena, size + 1);

	memset(text, fill, size);
	text[size] = '\0';
	return text;
}

void assert_part(const char *text, const char *part)
{
	if (!text || !strstr(text, part))
		fail_msg("\"%s\" lacks \"%s\"", text ? text : "(nothing)", part);
}
