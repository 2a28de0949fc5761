#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/events_plan.h"

#define COLUMNS_MAX 16

/* "a|b|c" as names or as the fields of a row. */
struct cells {
	char text[512];
	const char *names[COLUMNS_MAX];
	struct field fields[COLUMNS_MAX];
	size_t count;
};

static void cells_make(struct cells *cells, const char *text)
{
	assert_true(strlen(text) < sizeof cells->text);
	strcpy(cells->text, text);
	cells->count = 0;
	for (char *at = cells->text; at != NULL;) {
		char *next = strchr(at, '|');
		if (next != NULL)
			*next++ = '\0';
		cells->names[cells->count] = at;
		cells->fields[cells->count++] = (struct field){ .text = at, .bytes = strlen(at) };
		at = next;
	}
}

struct fixture {
	struct arena arena;
	struct cells header, cells;
	struct events_options options;
	struct events_plan plan;
	Kindred__V1__Event *event;
	struct error err;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);
	*state = fixture;
	return arena_init(&fixture->arena, 1 << 14, 0);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	arena_fini(&fixture->arena);
	free(fixture);
	return 0;
}

static int plan(struct fixture *fixture, const char *header)
{
	cells_make(&fixture->header, header);
	return events_plan_make(&fixture->plan, fixture->header.names, fixture->header.count, &fixture->options,
				&fixture->err);
}

static enum event_row take(struct fixture *fixture, const char *row)
{
	cells_make(&fixture->cells, row);
	const struct row of = { fixture->cells.fields, fixture->cells.count, 1 };
	return events_plan_row(&fixture->plan, &of, &fixture->arena, &fixture->event, &fixture->err);
}

static void assert_event(const struct fixture *fixture, const char *user, const char *item, const char *type,
			 int64_t seconds)
{
	assert_string_equal(fixture->event->user_id, user);
	assert_string_equal(fixture->event->item_id, item);
	assert_string_equal(fixture->event->type, type);
	assert_non_null(fixture->event->time);
	assert_int_equal(fixture->event->time->seconds, seconds);
}

static void reads_an_ordinary_file(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(plan(fixture, "user,|user_id|item_id|event|timestamp|weight"), 0);
	assert_int_equal(take(fixture, "x|u1|i1|Viewed|2026-11-23T10:00:00Z|2.5"), EVENT_OK);
	assert_event(fixture, "u1", "i1", "Viewed", 1795428000);
	assert_true(fixture->event->weight == 2.5f);
	assert_int_equal(take(fixture, "x|u1|i1|Viewed|1795428000123|"), EVENT_OK);
	assert_event(fixture, "u1", "i1", "Viewed", 1795428000);
	assert_int_equal(fixture->event->time->nanos, 123000000);
}

static void needs_user_item_and_event(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(plan(fixture, "who|item|event"), E_INVALID);
	assert_non_null(strstr(fixture->err.text, "--user"));
	assert_non_null(strstr(fixture->err.text, "'who', 'item', 'event'"));
	assert_int_equal(plan(fixture, "user|what|event"), E_INVALID);
	assert_non_null(strstr(fixture->err.text, "--item"));
	assert_int_equal(plan(fixture, "user|item"), E_INVALID);
	assert_non_null(strstr(fixture->err.text, "--event-type"));
	fixture->options.event_type = "Viewed";
	assert_int_equal(plan(fixture, "user|item"), 0);
	assert_int_equal(take(fixture, "u|i"), EVENT_OK);
	assert_null(fixture->event->time);
	fixture->options.user = "nobody";
	assert_int_equal(plan(fixture, "user|item"), E_INVALID);
	assert_non_null(strstr(fixture->err.text, "no column 'nobody'"));
}

static void assert_bad(struct fixture *fixture, const char *row, const char *part)
{
	assert_int_equal(take(fixture, row), EVENT_BAD);
	if (strstr(fixture->err.text, part) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", fixture->err.text, part);
}

static void names_the_column_of_an_error(void **state)
{
	struct fixture *fixture = *state;
	char row[400], longer[300];
	assert_int_equal(plan(fixture, "user|item|event|time|weight"), 0);
	assert_int_equal(take(fixture, "|i|Viewed|1|"), EVENT_NO_USER);
	assert_bad(fixture, "u||Viewed|1|", "column 'item': no item id");
	assert_bad(fixture, "u|i||1|", "column 'event': no event type");
	assert_bad(fixture, "u|i|Viewed|soon|", "column 'time': 'soon' is not a time");
	assert_bad(fixture, "u|i|Viewed||", "column 'time'");
	assert_bad(fixture, "u|i|Viewed|1|-3", "column 'weight': '-3'");
	assert_bad(fixture, "u|i|Viewed|1|0", "column 'weight'");
	memset(longer, 'x', 257);
	longer[257] = '\0';
	snprintf(row, sizeof row, "%s|i|Viewed|1|", longer);
	assert_bad(fixture, row, "257 bytes; 1 to 256");
	longer[65] = '\0';
	snprintf(row, sizeof row, "u|i|%s|1|", longer);
	assert_bad(fixture, row, "1 to 64");
}

static void maps_and_selects_types(void **state)
{
	struct fixture *fixture = *state;
	fixture->options.layout = layout_find("taobao");
	fixture->options.map[fixture->options.map_count++] = (struct layout_pair){ "fav", "Liked" };
	fixture->options.only[fixture->options.only_count++] = "Purchased";
	fixture->options.only[fixture->options.only_count++] = "Liked";
	assert_int_equal(plan(fixture, "user_id|item_id|category_id|behavior|timestamp"), 0);
	assert_int_equal(take(fixture, "1|2|3|buy|1511658000"), EVENT_OK);
	assert_event(fixture, "1", "2", "Purchased", 1511658000);
	assert_int_equal(take(fixture, "1|2|3|fav|1511658000"), EVENT_OK);
	assert_event(fixture, "1", "2", "Liked", 1511658000);
	assert_int_equal(take(fixture, "1|2|3|pv|1511658000"), EVENT_LEFT_OUT);
}

static void reads_the_retail_original(void **state)
{
	struct fixture *fixture = *state;
	fixture->options.layout = layout_find("online-retail");
	assert_int_equal(
		plan(fixture, "InvoiceNo|StockCode|Description|Quantity|InvoiceDate|UnitPrice|CustomerID|Country"), 0);
	assert_int_equal(take(fixture, "536365|85123A|HOLDER|6|12/1/2010 8:26|2.55|17850|United Kingdom"), EVENT_OK);
	assert_event(fixture, "17850", "85123A", "Purchased", 1291191960);
	assert_int_equal(take(fixture, "C536379|D|Discount|-1|2010-12-01 09:41:00|27.50|14527|UK"), EVENT_OK);
	assert_event(fixture, "14527", "D", "Returned", 1291196460);
	assert_int_equal(take(fixture, "536365|85123A|HOLDER|6|12/1/2010 8:26|2.55||UK"), EVENT_NO_USER);
}

static void keeps_properties(void **state)
{
	struct fixture *fixture = *state;
	fixture->options.properties[fixture->options.property_count++] = "city";
	fixture->options.properties[fixture->options.property_count++] = "device";
	assert_int_equal(plan(fixture, "user|item|event|device|city"), 0);
	assert_int_equal(take(fixture, "u|i|Viewed||Marseille"), EVENT_OK);
	assert_int_equal(fixture->event->n_properties, 1);
	assert_string_equal(fixture->event->properties[0]->name, "city");
	assert_string_equal(fixture->event->properties[0]->value, "Marseille");
}

/* The ids of a file's rows, in order, as an import makes them. */
static void derive(struct fixture *fixture, const char *const *rows, size_t count, char (*ids)[40])
{
	struct occurrence *seen = occurrence_new();
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(take(fixture, rows[i]), EVENT_OK);
		assert_int_equal(event_id_derive("shop", seen, fixture->event, &fixture->arena), 0);
		strcpy(ids[i], fixture->event->event_id);
	}
	occurrence_free(seen);
}

/* Importing again adds nothing, appended rows are new, and rows that are there twice count twice. */
static void derives_ids_that_come_again(void **state)
{
	static const char *const rows[] = { "u|i|Viewed|1", "u|i|Viewed|2", "u|i|Viewed|1",
					    "v|i|Viewed|1", "u|i|Viewed|1", "w|i|Viewed|9" };
	enum { ROWS = sizeof rows / sizeof *rows };
	char first[ROWS][40], again[ROWS][40];
	struct fixture *fixture = *state;
	assert_int_equal(plan(fixture, "user|item|event|time"), 0);
	derive(fixture, rows, ROWS - 1, first);
	derive(fixture, rows, ROWS, again);
	for (size_t i = 0; i < ROWS - 1; i++)
		assert_string_equal(first[i], again[i]);
	for (size_t i = 0; i < ROWS; i++)
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(again[i], again[k]);
}

static void ids_depend_on_the_catalog(void **state)
{
	struct fixture *fixture = *state;
	struct occurrence *seen = occurrence_new();
	char id[40];
	assert_int_equal(plan(fixture, "user|item|event|time"), 0);
	assert_int_equal(take(fixture, "u|i|Viewed|1"), EVENT_OK);
	assert_int_equal(event_id_derive("shop", seen, fixture->event, &fixture->arena), 0);
	strcpy(id, fixture->event->event_id);
	assert_int_equal(take(fixture, "u|i|Viewed|1"), EVENT_OK);
	assert_int_equal(event_id_derive("films", seen, fixture->event, &fixture->arena), 0);
	assert_string_not_equal(id, fixture->event->event_id);
	occurrence_free(seen);
}

static void refuses_what_is_no_id(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(plan(fixture, "user|item|event"), 0);
	cells_make(&fixture->cells, "{\"id\":1}|i|Viewed");
	fixture->cells.fields[0].odd = true;
	const struct row row = { .fields = fixture->cells.fields, .count = 3, .line = 2 };
	assert_int_equal(events_plan_row(&fixture->plan, &row, &fixture->arena, &fixture->event, &fixture->err),
			 EVENT_BAD);
	assert_non_null(strstr(fixture->err.text, "column 'user'"));
	assert_non_null(strstr(fixture->err.text, "is neither"));
	cells_make(&fixture->cells, "1|i|Viewed"); /* {"user":1.0} */
	fixture->cells.fields[0].odd = true;
	assert_int_equal(events_plan_row(&fixture->plan, &row, &fixture->arena, &fixture->event, &fixture->err),
			 EVENT_OK);
}

/* A format that is given is the only one: a number that does not fit it is no time, least of all one of 1970. */
static void reads_times_by_a_format_alone(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(notation_time_format_add(&fixture->options.notation, "%Y%m%d", NULL), 0);
	assert_int_equal(plan(fixture, "user|item|event|time"), 0);
	assert_int_equal(take(fixture, "u|i|Viewed|20260101"), EVENT_OK);
	assert_event(fixture, "u", "i", "Viewed", 1767225600);
	assert_bad(fixture, "u|i|Viewed|1767225600",
		   "column 'time': '1767225600' is not a time (as --time-format has it)");
	assert_bad(fixture, "u|i|Viewed|2026-01-01", "as --time-format has it");
	assert_bad(fixture, "u|i|Viewed|19691231",
		   "column 'time': '19691231' is not a time of an event (the years 1970 to 9999)");
	fixture->options.notation.time_formats[0] = "%d/%m/%Y %H:%M %z";
	assert_int_equal(plan(fixture, "user|item|event|time"), 0);
	assert_int_equal(take(fixture, "u|i|Viewed|01/01/2026 02:00 +0200"), EVENT_OK);
	assert_event(fixture, "u", "i", "Viewed", 1767225600);
}

static void reads_weights_by_the_notation(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(plan(fixture, "user|item|event|weight"), 0);
	assert_bad(fixture, "u|i|Viewed|2,5",
		   "column 'weight': '2,5' is not a number (1299.95); say --decimal-comma to read 2.5");
	fixture->options.notation.decimal_comma = true;
	assert_int_equal(take(fixture, "u|i|Viewed|2,5"), EVENT_OK);
	assert_true(fixture->event->weight == 2.5f);
	assert_bad(fixture, "u|i|Viewed|2.5", "'2.5' is not a number (1.299,95 by --decimal-comma)");
	assert_bad(fixture, "u|i|Viewed|1.000.001", "is not a weight (a number above 0, at most 1000000)");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(reads_an_ordinary_file),
		TEST(needs_user_item_and_event),
		TEST(names_the_column_of_an_error),
		TEST(reads_times_by_a_format_alone),
		TEST(reads_weights_by_the_notation),
		TEST(refuses_what_is_no_id),
		TEST(maps_and_selects_types),
		TEST(reads_the_retail_original),
		TEST(keeps_properties),
		TEST(derives_ids_that_come_again),
		TEST(ids_depend_on_the_catalog),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
