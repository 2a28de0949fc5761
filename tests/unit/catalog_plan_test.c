#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/catalog_plan.h"
#include "cli/item_value.h"

#define COLUMNS_MAX 16

struct fixture {
	struct arena arena;
	struct catalog_plan plan;
	struct plan_options options;
	char header[256], text[512];
	const char *names[COLUMNS_MAX];
	struct field fields[COLUMNS_MAX];
	size_t count;
	Kindred__V1__Item *item;
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
	strcpy(fixture->header, header);
	fixture->count = 0;
	for (char *at = strtok(fixture->header, ","); at != NULL; at = strtok(NULL, ","))
		fixture->names[fixture->count++] = at;
	return catalog_plan_make(&fixture->plan, fixture->names, fixture->count, &fixture->options, &fixture->err);
}

static struct row row_of(struct fixture *fixture, const char *row)
{
	size_t count = 0;
	strcpy(fixture->text, row);
	for (char *at = fixture->text; at != NULL;) {
		char *next = strchr(at, ',');
		if (next != NULL)
			*next++ = '\0';
		fixture->fields[count++] = (struct field){ .text = at, .bytes = strlen(at) };
		at = next;
	}
	return (struct row){ fixture->fields, count, 1 };
}

static void see(struct fixture *fixture, const char *text)
{
	const struct row row = row_of(fixture, text);
	assert_int_equal(catalog_plan_see(&fixture->plan, &row, &fixture->err), 0);
}

static int make(struct fixture *fixture, const char *text)
{
	const struct row row = row_of(fixture, text);
	return catalog_plan_item(&fixture->plan, &row, &fixture->arena, &fixture->item, &fixture->err);
}

/* "price=3.5 tags=a, b": what the item has. */
static const char *attributes(const struct fixture *fixture)
{
	static char text[512];
	text[0] = '\0';
	for (size_t i = 0; i < fixture->item->n_attributes; i++) {
		char *value = attribute_text(fixture->item->attributes[i]);
		sprintf(text + strlen(text), "%s%s=%s", i > 0 ? " " : "", fixture->item->attributes[i]->name, value);
		free(value);
	}
	return text;
}

static void the_usual_file_needs_no_flags(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(plan(fixture, "Identity,Name,ImageURL,Price,In Stock,tags,added"), 0);
	see(fixture, "a1,Shoe,http://i/1,3.5,yes,red|warm,2026-11-23");
	see(fixture, "a2,Sock,,4,no,,2026-11-22T10:00:00Z");
	assert_int_equal(catalog_plan_decide(&fixture->plan) > 0, true); /* a list, whose elements were not looked at */
	assert_int_equal(make(fixture, "a1,Shoe,http://i/1,3.5,yes,red| warm |,2026-11-23"), 0);
	assert_string_equal(fixture->item->id, "a1");
	assert_string_equal(fixture->item->name, "Shoe");
	assert_string_equal(fixture->item->image_url, "http://i/1");
	assert_string_equal(attributes(fixture), "Price=3.5 in_stock=true tags=red, warm added=2026-11-23T00:00:00Z");
	assert_int_equal(make(fixture, "a2,Sock,,,,,"), 0);
	assert_string_equal(attributes(fixture), "");
}

static void assert_bad(struct fixture *fixture, const char *row, const char *part)
{
	assert_int_equal(make(fixture, row), E_INVALID);
	if (strstr(fixture->err.text, part) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", fixture->err.text, part);
}

static void names_the_column_of_an_error(void **state)
{
	struct fixture *fixture = *state;
	struct plan_type types[] = { { "price", TYPE_NUMBER }, { "new", TYPE_BOOLEAN }, { "since", TYPE_TIMESTAMP } };
	fixture->options.types = types;
	fixture->options.type_count = 3;
	assert_int_equal(plan(fixture, "id,price,new,since"), 0);
	assert_int_equal(make(fixture, "a,1,0,1795428000"), 0);
	assert_string_equal(attributes(fixture), "price=1 new=false since=2026-11-23T10:00:00Z");
	assert_int_equal(make(fixture, "a,,,1939-12-15T20:00:00.250Z"), 0);
	assert_string_equal(attributes(fixture), "since=1939-12-15T20:00:00.250Z");
	assert_bad(fixture, "a,,,0000-12-31", "the years 1 to 9999");
	assert_bad(fixture, "a,abc,,", "column 'price': 'abc' is not a number");
	assert_bad(fixture, "a,,maybe,", "column 'new': 'maybe' is not a boolean");
	assert_bad(fixture, "a,,,soon", "column 'since': 'soon' is not a time");
	assert_bad(fixture, ",1,1,", "column 'id': the item has no id");
	const struct row row = row_of(fixture, "{\"x\":1},1,1,");
	fixture->fields[0].odd = true;
	assert_int_equal(catalog_plan_see(&fixture->plan, &row, &fixture->err), E_INVALID);
	assert_non_null(strstr(fixture->err.text, "column 'id': an id is a string or a whole number; {\"x\":1} is"));
}

static void strangers_are_counted(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(plan(fixture, "id,price"), 0);
	for (unsigned i = 0; i < 200; i++)
		see(fixture, "a,9.95");
	assert_int_equal(catalog_plan_decide(&fixture->plan), 0);
	fixture->plan.columns[1].type = TYPE_NONE;
	see(fixture, "a,abc");
	assert_int_equal(catalog_plan_decide(&fixture->plan), 1);
	assert_int_equal(fixture->plan.columns[1].type, TYPE_NUMBER);
	assert_bad(fixture, "a,abc", "column 'price'");
}

static void an_existing_catalog_rules(void **state)
{
	struct fixture *fixture = *state;
	struct plan_type types[] = { { "zip", TYPE_NUMBER } };
	Kindred__V1__AttributeSchema zip = KINDRED__V1__ATTRIBUTE_SCHEMA__INIT, *schema[] = { &zip };
	Kindred__V1__Catalog catalog = KINDRED__V1__CATALOG__INIT;
	zip.name = (char *)"zip";
	zip.type = TYPE_STRING;
	catalog.name = (char *)"shop";
	catalog.n_attributes = 1;
	catalog.attributes = schema;
	assert_int_equal(plan(fixture, "id,zip"), 0);
	assert_int_equal(catalog_plan_schema(&fixture->plan, &catalog, &fixture->err), 0);
	see(fixture, "a,12345");
	catalog_plan_decide(&fixture->plan);
	assert_int_equal(make(fixture, "a,12345"), 0);
	assert_int_equal(fixture->item->attributes[0]->value_case, KINDRED__V1__ATTRIBUTE__VALUE_STRING_VALUE);
	fixture->options.types = types;
	fixture->options.type_count = 1;
	assert_int_equal(plan(fixture, "id,zip"), 0);
	assert_int_equal(catalog_plan_schema(&fixture->plan, &catalog, &fixture->err), E_INVALID);
	assert_non_null(strstr(fixture->err.text, "'zip' of catalog 'shop' is a string"));
}

static void flags_that_name_nothing_are_refused(void **state)
{
	struct fixture *fixture = *state;
	const char *ignore[] = { "prize" };
	assert_int_equal(plan(fixture, "a,b"), E_INVALID);
	assert_non_null(strstr(fixture->err.text, "--id"));
	fixture->options.ignore = ignore;
	fixture->options.ignore_count = 1;
	assert_int_equal(plan(fixture, "id,price"), E_INVALID);
	assert_non_null(strstr(fixture->err.text, "'prize'"));
	ignore[0] = "price";
	assert_int_equal(plan(fixture, "id,price"), 0);
	assert_int_equal(fixture->plan.attributes, 0);
	fixture->options.name = "price";
	fixture->options.id = "sku";
	assert_int_equal(plan(fixture, "id,price"), E_INVALID);
	assert_non_null(strstr(fixture->err.text, "--id: the file has no column 'sku'"));
}

static void attribute_names_stay_apart(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(plan(fixture, "id,In Stock,in_stock,IN STOCK"), 0);
	assert_string_equal(fixture->plan.columns[1].attribute, "in_stock");
	assert_string_equal(fixture->plan.columns[2].attribute, "in_stock_2");
	assert_string_equal(fixture->plan.columns[3].attribute, "in_stock_3");
}

static void movielens_gets_its_year(void **state)
{
	struct fixture *fixture = *state;
	fixture->options.layout = layout_find("movielens");
	assert_int_equal(plan(fixture, "movie_id,title,genres"), 0);
	see(fixture, "1,Toy Story (1995),Animation|Comedy");
	catalog_plan_decide(&fixture->plan);
	assert_int_equal(make(fixture, "1,Toy Story (1995),Animation|Comedy"), 0);
	assert_string_equal(attributes(fixture), "genres=Animation, Comedy year=1995");
	assert_int_equal(make(fixture, "2,Untitled,(no genres listed)"), 0);
	assert_string_equal(attributes(fixture), "");
	assert_int_equal(name_year("X (19a5)", 8), 0);
	assert_int_equal(name_year("(1995)", 6), 1995);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_usual_file_needs_no_flags),
		TEST(names_the_column_of_an_error),
		TEST(strangers_are_counted),
		TEST(an_existing_catalog_rules),
		TEST(flags_that_name_nothing_are_refused),
		TEST(attribute_names_stay_apart),
		TEST(movielens_gets_its_year),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
