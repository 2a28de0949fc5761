#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/message_json.h"
#include "kindred/v1/catalogs.pb-c.h"
#include "kindred/v1/definitions.pb-c.h"
#include "kindred/v1/recommend.pb-c.h"

static void assert_json(const void *message, const char *expected)
{
	json_t *json = message_json(message);
	char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15));
	assert_string_equal(text, expected);
	free(text);
	json_decref(json);
}

static Kindred__V1__Attribute attribute(const char *name)
{
	Kindred__V1__Attribute made = KINDRED__V1__ATTRIBUTE__INIT;
	made.name = (char *)name;
	return made;
}

static void an_items_attributes_are_an_object(void **state)
{
	Kindred__V1__Item item = KINDRED__V1__ITEM__INIT;
	Kindred__V1__Attribute values[] = { attribute("price"), attribute("year"), attribute("new"), attribute("tags"),
					    attribute("since") };
	Kindred__V1__Attribute *pointers[] = { &values[0], &values[1], &values[2], &values[3], &values[4] };
	Kindred__V1__StringList tags = KINDRED__V1__STRING_LIST__INIT;
	Google__Protobuf__Timestamp since = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	char *words[] = { (char *)"a", (char *)"b" };
	(void)state;
	tags.n_values = 2;
	tags.values = words;
	since.seconds = 1795428000;
	values[0].value_case = KINDRED__V1__ATTRIBUTE__VALUE_NUMBER_VALUE;
	values[0].number_value = 3.1;
	values[1].value_case = KINDRED__V1__ATTRIBUTE__VALUE_NUMBER_VALUE;
	values[1].number_value = 1995;
	values[2].value_case = KINDRED__V1__ATTRIBUTE__VALUE_BOOLEAN_VALUE;
	values[2].boolean_value = true;
	values[3].value_case = KINDRED__V1__ATTRIBUTE__VALUE_LIST_VALUE;
	values[3].list_value = &tags;
	values[4].value_case = KINDRED__V1__ATTRIBUTE__VALUE_TIMESTAMP_VALUE;
	values[4].timestamp_value = &since;
	item.id = (char *)"x\"1";
	item.attributes = pointers;
	item.n_attributes = 5;
	item.version = 7;
	assert_json(&item,
		    "{\"id\":\"x\\\"1\",\"name\":\"\",\"image_url\":\"\",\"attributes\":{\"price\":3.1,\"year\":1995,"
		    "\"new\":true,\"tags\":[\"a\",\"b\"],\"since\":\"2026-11-23T10:00:00Z\"},\"hidden\":false,"
		    "\"version\":7}");
}

/* Numbers of articles have up to 16 digits and more: as long as a double tells them apart, all are shown. */
static void whole_numbers_are_whole(void **state)
{
	static const struct {
		double number;
		const char *shown;
	} cases[] = { { 4006381333931234, "4006381333931234" },
		      { -9007199254740991, "-9007199254740991" },
		      { 9007199254740992, "9007199254740992" } };
	Kindred__V1__Item item = KINDRED__V1__ITEM__INIT;
	Kindred__V1__Attribute value = attribute("article"), *values[] = { &value };
	(void)state;
	value.value_case = KINDRED__V1__ATTRIBUTE__VALUE_NUMBER_VALUE;
	item.attributes = values;
	item.n_attributes = 1;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char expected[200];
		value.number_value = cases[i].number;
		snprintf(expected, sizeof expected,
			 "{\"id\":\"\",\"name\":\"\",\"image_url\":\"\",\"attributes\":{\"article\":%s},"
			 "\"hidden\":false,\"version\":0}",
			 cases[i].shown);
		assert_json(&item, expected);
	}
}

static void dates_before_1970_are_dates(void **state)
{
	Kindred__V1__Catalog catalog = KINDRED__V1__CATALOG__INIT;
	Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	(void)state;
	time.seconds = -948240000; /* the opening night of a film */
	time.nanos = 250000000;
	catalog.create_time = &time;
	assert_json(&catalog, "{\"name\":\"\",\"attributes\":[],\"version\":0,\"item_count\":0,"
			      "\"create_time\":\"1939-12-15T00:00:00.250Z\",\"update_time\":null}");
}

/* Of a oneof only what is set; an unset message is null; enums have their names. */
static void shows_what_is_set(void **state)
{
	Kindred__V1__UpdateItemRequest update = KINDRED__V1__UPDATE_ITEM_REQUEST__INIT;
	Kindred__V1__RecommendedItem item = KINDRED__V1__RECOMMENDED_ITEM__INIT, *items[] = { &item };
	Kindred__V1__RecommendResponse answer = KINDRED__V1__RECOMMEND_RESPONSE__INIT;
	(void)state;
	update.new_hidden_case = KINDRED__V1__UPDATE_ITEM_REQUEST__NEW_HIDDEN_HIDDEN;
	assert_json(&update, "{\"catalog\":\"\",\"item_id\":\"\",\"set_attributes\":{},\"clear_attributes\":[],"
			     "\"hidden\":false}");
	item.item_id = (char *)"i";
	item.source = KINDRED__V1__SOURCE__SOURCE_PERSONAL;
	answer.items = items;
	answer.n_items = 1;
	assert_json(&answer, "{\"items\":[{\"item_id\":\"i\",\"score\":0,\"source\":\"SOURCE_PERSONAL\",\"name\":\"\","
			     "\"image_url\":\"\",\"parts\":[]}],\"generation\":0,\"definition_version\":0,"
			     "\"shortfall\":null}");
}

static void floats_are_as_a_person_wrote_them(void **state)
{
	Kindred__V1__EventWeight weight = KINDRED__V1__EVENT_WEIGHT__INIT;
	(void)state;
	weight.type = (char *)"Viewed";
	weight.weight = 0.1f;
	assert_json(&weight, "{\"type\":\"Viewed\",\"weight\":0.1}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_items_attributes_are_an_object), cmocka_unit_test(whole_numbers_are_whole),
		cmocka_unit_test(dates_before_1970_are_dates),       cmocka_unit_test(shows_what_is_set),
		cmocka_unit_test(floats_are_as_a_person_wrote_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
