#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/occurrence.h"

#include <xxhash.h>

static uint32_t count(struct occurrence *table, uint64_t hash)
{
	uint32_t number = 0;
	assert_int_equal(occurrence_count(table, hash, &number), 0);
	return number;
}

static void counts_each_row(void **state)
{
	(void)state;
	struct occurrence *table = occurrence_new();
	assert_int_equal(count(table, 7), 1);
	assert_int_equal(count(table, 7), 2);
	assert_int_equal(count(table, 8), 1);
	assert_int_equal(count(table, 7), 3);
	assert_int_equal(count(table, 0), 1);
	assert_int_equal(count(table, 0), 2);
	assert_int_equal(count(table, UINT64_MAX), 1);
	assert_int_equal(count(table, UINT64_MAX), 2);
	occurrence_free(table);
}

static uint64_t hash_of(uint64_t number)
{
	return XXH3_64bits(&number, sizeof number);
}

/* Half a million rows, every tenth of them twice; and at what cost, as the help promises. */
static void counts_many_rows_in_little_memory(void **state)
{
	enum { ROWS = 500000 };
	(void)state;
	struct occurrence *table = occurrence_new();
	for (uint64_t i = 0; i < ROWS; i++)
		assert_int_equal(count(table, hash_of(i)), 1);
	assert_true(occurrence_bytes(table) <= 16u * ROWS + (1u << 16));
	for (uint64_t i = 0; i < ROWS; i += 10)
		assert_int_equal(count(table, hash_of(i)), 2);
	for (uint64_t i = 0; i < ROWS; i++)
		assert_int_equal(count(table, hash_of(i)), i % 10 == 0 ? 3 : 2);
	occurrence_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_each_row),
		cmocka_unit_test(counts_many_rows_in_little_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
