#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/columns.h"

#define GUESS(role, ...)                                                                                               \
	columns_guess(role, (const char *const[]){ __VA_ARGS__ },                                                      \
		      sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

/* The headers of files that people have. */
static void guesses_usual_headers(void **state)
{
	(void)state;
	assert_int_equal(GUESS(ROLE_ID, "Identity", "Name", "ImageURL", "Price"), 0);
	assert_int_equal(GUESS(ROLE_NAME, "Identity", "Name", "ImageURL", "Price"), 1);
	assert_int_equal(GUESS(ROLE_IMAGE, "Identity", "Name", "ImageURL", "Price"), 2);
	assert_int_equal(GUESS(ROLE_ID, "stock_code", "title", "last_price"), 0);
	assert_int_equal(GUESS(ROLE_NAME, "stock_code", "title", "last_price"), 1);
	assert_int_equal(GUESS(ROLE_USER, "ts_est", "session_id", "item_id", "day"), 1);
	assert_int_equal(GUESS(ROLE_TIME, "ts_est", "session_id", "item_id", "day"), 0);
	assert_int_equal(GUESS(ROLE_ITEM, "SessionId", "ItemId", "Time"), 1);
	assert_int_equal(GUESS(ROLE_USER, "timestamp", "visitorid", "event", "itemid", "transactionid"), 1);
	assert_int_equal(GUESS(ROLE_EVENT, "timestamp", "visitorid", "event", "itemid", "transactionid"), 2);
	assert_int_equal(GUESS(ROLE_USER, "Invoice", "StockCode", "Customer ID", "InvoiceDate"), 2);
	assert_int_equal(GUESS(ROLE_TIME, "Invoice", "StockCode", "Customer ID", "InvoiceDate"), 3);
}

/* Both could be it: the user is a better user than the session, wherever it stands. */
static void prefers_the_likelier(void **state)
{
	(void)state;
	assert_int_equal(GUESS(ROLE_USER, "session_id", "user_id"), 1);
	assert_int_equal(GUESS(ROLE_EVENT, "type", "event_type"), 1);
}

static void admits_not_to_know(void **state)
{
	(void)state;
	assert_int_equal(GUESS(ROLE_USER, "a", "b", "useful"), -1);
	assert_int_equal(GUESS(ROLE_WEIGHT, "quantity", "price"), -1);
}

static void assert_name(const char *header, const char *name)
{
	char made[NAME_MAX_BYTES + 1];
	attribute_name_make(header, made);
	assert_string_equal(made, name);
	assert_int_equal(attribute_name_check("name", made, strlen(made), NULL), 0);
}

static void makes_attribute_names(void **state)
{
	(void)state;
	assert_name("price", "price");
	assert_name("InStock", "InStock");
	assert_name("In Stock", "in_stock");
	assert_name("In Stock (pcs)", "in_stock_pcs");
	assert_name("2nd price", "c_2nd_price");
	assert_name(" (2020) ", "c_2020");
	assert_name("in", "in_");
	assert_name("Last", "last_");
	assert_name("Gr\xc3\xb6\xc3\x9f"
		    "e",
		    "gr_e");
	assert_name("\xe5\x83\xb9\xe6\xa0\xbc", "column");
	assert_name("", "column");
	char longer[400];
	memset(longer, '9', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	char made[NAME_MAX_BYTES + 1];
	attribute_name_make(longer, made);
	assert_int_equal(attribute_name_check("name", made, strlen(made), NULL), 0);
}

static void finds_line_ends_of_cr_alone(void **state)
{
	static const char *const old[] = { "user", "time\ru1", "i1" }, *const usual[] = { "user", "price\r\n(EUR)" };
	struct error err;
	(void)state;
	assert_int_equal(columns_check_lines(old, 3, &err), E_DATA_LOSS);
	assert_non_null(strstr(err.text, "CR alone"));
	assert_non_null(strstr(err.text, "tr '\\r' '\\n'"));
	assert_int_equal(columns_check_lines(usual, 2, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guesses_usual_headers), cmocka_unit_test(prefers_the_likelier),
		cmocka_unit_test(admits_not_to_know),    cmocka_unit_test(finds_line_ends_of_cr_alone),
		cmocka_unit_test(makes_attribute_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
