/*
 * A control store of a test's own, and short ways to write items and definitions. cmocka's set-up and teardown:
 *
 *     cmocka_unit_test_setup_teardown(test, control_setup, control_teardown)
 *
 * What the builders below return lives until the teardown; they do not copy strings.
 */
#ifndef KINDRED_TEST_CONTROL_FIXTURE_H
#define KINDRED_TEST_CONTROL_FIXTURE_H

#include "common/control.h"

extern struct control *control;
extern char control_path[96];

int control_setup(void **state);
int control_teardown(void **state);
/* As a server that starts again does. */
void control_reopen(void);

/*
 * A catalog with price (number), in_stock (boolean), category (string), released (timestamp), tags
 * (list of strings).
 */
void make_shop(const char *name);
/* As it is now; lives until the teardown. */
const Kindred__V1__Catalog *get_catalog(const char *name);

Kindred__V1__Item *an_item(const char *id, const char *name);
/* A soccer shoe with a value for each attribute of make_shop. */
Kindred__V1__Item *full_item(const char *id);
void set_number(Kindred__V1__Item *item, const char *name, double number);
void set_boolean(Kindred__V1__Item *item, const char *name, bool boolean);
void set_string(Kindred__V1__Item *item, const char *name, const char *string);
void set_time(Kindred__V1__Item *item, const char *name, int64_t seconds, int nanos);
/* values: NULL-terminated */
void set_list(Kindred__V1__Item *item, const char *name, const char *const *values);

/*
 * Puts one item into the catalog; fails the test when the call as a whole fails. *reason, when not
 * NULL: the refusal's, lives until the teardown.
 */
enum control_change put_one(const char *catalog, Kindred__V1__Item *item, const char **reason);
const Kindred__V1__Item *get_item(const char *catalog, const char *id);

/* "Viewed" on the catalog, all else unset. */
Kindred__V1__Definition *a_definition(const char *name, const char *catalog);
void add_event(Kindred__V1__Definition *definition, const char *type, float weight);

/* `size` bytes of `fill` and a NUL */
char *long_text(size_t size, char fill);
void assert_part(const char *text, const char *part);

#endif
