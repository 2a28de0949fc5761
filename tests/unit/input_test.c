#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/input.h"
#include "lib/temp_dir.h"

#include <unistd.h>

static struct temp_dir home;

static const char *file(const char *name)
{
	static char path[128];
	snprintf(path, sizeof path, "%s/%s", home.path, name);
	return path;
}

static int setup(void **state)
{
	(void)state;
	if (temp_dir_make(&home) != 0)
		return -1;
	FILE *out = fopen(file("plain"), "w");
	for (unsigned i = 0; i < 20000; i++)
		fprintf(out, "row %u\n", i);
	fclose(out);
	char command[300];
	snprintf(command, sizeof command, "cd %s && gzip -k plain && head -c 20000 plain.gz > cut.gz", home.path);
	return system(command);
}

static int teardown(void **state)
{
	(void)state;
	return temp_dir_remove(&home);
}

/* Bytes until the end, or the error. */
static int64_t drain(struct input *input, struct error *err)
{
	char portion[1000];
	int64_t total = 0, bytes;
	while ((bytes = input_read(input, portion, sizeof portion, err)) > 0)
		total += bytes;
	return bytes < 0 ? bytes : total;
}

static int64_t plain_bytes(void)
{
	struct input input;
	assert_int_equal(input_open(&input, file("plain"), false, NULL), 0);
	int64_t bytes = drain(&input, NULL);
	assert_true(input_share(&input) == 1);
	input_close(&input);
	return bytes;
}

static void unpacks_what_is_packed(void **state)
{
	struct input input;
	struct error err;
	(void)state;
	assert_int_equal(input_open(&input, file("plain.gz"), true, &err), 0);
	assert_int_equal(drain(&input, &err), plain_bytes());
	/* and once more, from the middle too */
	assert_int_equal(input_rewind(&input, &err), 0);
	char some[10];
	assert_true(input_read(&input, some, sizeof some, &err) > 0);
	assert_int_equal(input_rewind(&input, &err), 0);
	assert_int_equal(drain(&input, &err), plain_bytes());
	input_close(&input);
}

static void says_that_a_packed_file_is_damaged(void **state)
{
	struct input input;
	struct error err;
	(void)state;
	assert_int_equal(input_open(&input, file("cut.gz"), false, &err), 0);
	assert_int_equal(drain(&input, &err), E_DATA_LOSS);
	assert_non_null(strstr(err.text, "cut.gz"));
	assert_non_null(strstr(err.text, "gzip"));
	input_close(&input);
}

static void says_that_the_program_is_missing(void **state)
{
	struct input input;
	struct error err;
	(void)state;
	char *before = strdup(getenv("PATH"));
	setenv("PATH", home.path, 1);
	int code = input_open(&input, file("plain.gz"), false, &err);
	setenv("PATH", before, 1);
	free(before);
	assert_int_equal(code, E_UNAVAILABLE);
	assert_non_null(strstr(err.text, "apt-get install gzip"));
}

/* A pipe cannot be read twice, so what came through it is kept. */
static void a_pipe_can_be_read_twice(void **state)
{
	struct input input;
	struct error err;
	int ends[2];
	char path[32];
	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "id,name\n1,a\n", 12), 12);
	close(ends[1]);
	snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
	assert_int_equal(input_open(&input, path, true, &err), 0);
	close(ends[0]);
	assert_int_equal(drain(&input, &err), 12);
	assert_int_equal(input_rewind(&input, &err), 0);
	assert_int_equal(drain(&input, &err), 12);
	input_close(&input);
}

static void refuses_what_is_no_file(void **state)
{
	struct input input;
	struct error err;
	(void)state;
	assert_int_equal(input_open(&input, file("nothing"), false, &err), E_NOT_FOUND);
	assert_non_null(strstr(err.text, "nothing"));
	assert_int_equal(input_open(&input, home.path, false, &err), E_INVALID);
	assert_non_null(strstr(err.text, "folder"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unpacks_what_is_packed),
		cmocka_unit_test(says_that_a_packed_file_is_damaged),
		cmocka_unit_test(says_that_the_program_is_missing),
		cmocka_unit_test(a_pipe_can_be_read_twice),
		cmocka_unit_test(refuses_what_is_no_file),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
