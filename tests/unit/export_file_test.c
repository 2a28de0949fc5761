/*
 * The file of `kindred export`: whatever moment it is left at, it can be gone on with, and nothing of
 * it is lost or there twice.
 */
#include "cli/export_file.h"
#include "cli/input.h"
#include "lib/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LINES 20000

static struct temp_dir home;
static char path[128], part[160], progress[160];

static int setup(void **state)
{
	(void)state;
	assert_int_equal(temp_dir_make(&home), 0);
	snprintf(path, sizeof path, "%s/out", home.path);
	snprintf(part, sizeof part, "%s.part", path);
	snprintf(progress, sizeof progress, "%s.progress", path);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return temp_dir_remove(&home);
}

static void write_lines(struct export_file *file, unsigned from, unsigned to)
{
	struct error err;
	char line[32];
	for (unsigned i = from; i < to; i++) {
		int bytes = snprintf(line, sizeof line, "line %u\n", i);
		assert_int_equal(export_file_write(file, line, (size_t)bytes, &err), 0);
	}
}

static json_t *say(unsigned lines)
{
	return json_pack("{s:i}", "lines", (int)lines);
}

/* The whole file is lines 0..LINES-1, unpacked. */
static void check_whole(void)
{
	struct input input;
	struct error err;
	size_t room = 1 << 20, used = 0;
	char *text = malloc(room), line[32];
	int64_t got;
	assert_int_equal(input_open(&input, path, false, &err), 0);
	while ((got = input_read(&input, text + used, room - used - 1, &err)) > 0)
		used += (size_t)got;
	assert_int_equal(got, 0);
	input_close(&input);
	text[used] = '\0';
	const char *at = text;
	for (unsigned i = 0; i < LINES; i++) {
		snprintf(line, sizeof line, "line %u\n", i);
		assert_int_equal(strncmp(at, line, strlen(line)), 0);
		at += strlen(line);
	}
	assert_int_equal(*at, '\0');
	free(text);
	assert_int_not_equal(access(part, F_OK), 0);
	assert_int_not_equal(access(progress, F_OK), 0);
}

/*
 * Left three times, each time with lines behind the checkpoint that were to be lost: once not even
 * written out, once written.
 */
static void check_going_on(enum export_packing packing)
{
	struct export_file file;
	struct error err;
	unsigned from = 0;
	for (unsigned round = 0; round < 4; round++) {
		json_t *state;
		assert_int_equal(export_file_open(&file, path, round > 0, packing, &state, &err), 0);
		assert_int_equal(state != NULL, round > 0);
		if (state)
			assert_int_equal(json_integer_value(json_object_get(state, "lines")), from);
		json_decref(state);
		unsigned to = round == 3 ? LINES : (round + 1) * 4999;
		write_lines(&file, from, to);
		state = say(to);
		assert_int_equal(round == 3 ? export_file_finish(&file, state, &err)
					    : export_file_checkpoint(&file, state, &err),
				 0);
		json_decref(state);
		assert_int_equal(access(path, F_OK) == 0, round == 3);
		if (round < 3)
			write_lines(&file, 900000, round == 1 ? 990000 : 900010);
		export_file_close(&file); /* as a kill: nothing more is written */
		from = to;
	}
	check_whole();
}

static void test_plain(void **state)
{
	(void)state;
	check_going_on(EXPORT_PLAIN);
}

static void test_gzip(void **state)
{
	(void)state;
	check_going_on(EXPORT_GZIP);
}

static void test_zstd(void **state)
{
	(void)state;
	check_going_on(EXPORT_ZSTD);
}

/* A packed file of nothing is one that can be unpacked. */
static void test_nothing_packed(void **state)
{
	(void)state;
	for (enum export_packing packing = EXPORT_GZIP; packing <= EXPORT_ZSTD; packing++) {
		struct export_file file;
		struct input input;
		struct error err;
		json_t *before, *said = say(0);
		char byte;
		assert_int_equal(export_file_open(&file, path, false, packing, &before, &err), 0);
		assert_int_equal(export_file_finish(&file, said, &err), 0);
		json_decref(said);
		export_file_close(&file);
		assert_int_equal(input_open(&input, path, false, &err), 0);
		assert_non_null(input.unpack);
		assert_int_equal(input_read(&input, &byte, 1, &err), 0);
		input_close(&input);
		assert_int_equal(unlink(path), 0);
	}
}

/* An interrupted one is not written over by accident; --continue without one begins. */
static void test_interrupted_is_kept(void **state)
{
	struct export_file file;
	struct error err;
	json_t *found;
	(void)state;
	assert_int_equal(export_file_open(&file, path, true, EXPORT_PLAIN, &found, &err), 0);
	assert_null(found);
	write_lines(&file, 0, 10);
	json_t *written = say(10);
	assert_int_equal(export_file_checkpoint(&file, written, &err), 0);
	json_decref(written);
	export_file_close(&file);
	assert_int_equal(export_file_open(&file, path, false, EXPORT_PLAIN, &found, &err), E_EXISTS);
	assert_non_null(strstr(err.text, "is of an interrupted export: say --continue"));
	json_decref(found);
	export_file_close(&file);
	/* shorter than FILE.progress says: part of it is lost, and no one may go on as if it were not */
	assert_int_equal(truncate(part, 5), 0);
	assert_int_equal(export_file_open(&file, path, true, EXPORT_PLAIN, &found, &err), E_DATA_LOSS);
	json_decref(found);
	export_file_close(&file);
}

static void assert_refused(const char *out, const char *text)
{
	struct export_file file;
	struct error err;
	json_t *found;
	assert_int_not_equal(export_file_open(&file, out, false, EXPORT_PLAIN, &found, &err), 0);
	if (!strstr(err.text, text))
		fail_msg("\"%s\" does not say \"%s\"", err.text, text);
	export_file_close(&file);
}

/* What cannot become the file in the end is said before anything is computed, and leaves nothing. */
static void test_impossible_paths(void **state)
{
	char inside[192];
	struct stat info;
	(void)state;
	assert_refused(home.path, "is a directory");
	snprintf(part, sizeof part, "%s.part", home.path);
	assert_int_not_equal(access(part, F_OK), 0);
	assert_refused("", "give a file");
	assert_refused("/dev/null", "is no file");
	assert_int_equal(stat("/dev/null", &info), 0);
	assert_true(S_ISCHR(info.st_mode));
	snprintf(inside, sizeof inside, "%s/nowhere/out", home.path);
	assert_refused(inside, "there is no such directory");
	fclose(fopen(path, "w"));
	snprintf(inside, sizeof inside, "%s/out", path);
	assert_refused(inside, "there is no such directory");
}

/* A FILE.part of nothing is not left; one of which something was said is. */
static void test_nothing_written(void **state)
{
	struct export_file file;
	struct error err;
	json_t *found;
	(void)state;
	assert_int_equal(export_file_open(&file, path, false, EXPORT_ZSTD, &found, &err), 0);
	assert_int_equal(access(part, F_OK), 0);
	export_file_close(&file);
	assert_int_not_equal(access(part, F_OK), 0);
	assert_int_equal(export_file_open(&file, path, false, EXPORT_PLAIN, &found, &err), 0);
	json_t *written = say(0);
	assert_int_equal(export_file_checkpoint(&file, written, &err), 0);
	json_decref(written);
	export_file_close(&file);
	assert_int_equal(access(part, F_OK), 0);
	/* and when somebody has taken it away, what to do is said */
	assert_int_equal(unlink(part), 0);
	assert_int_equal(export_file_open(&file, path, true, EXPORT_PLAIN, &found, &err), E_DATA_LOSS);
	assert_non_null(strstr(err.text, "export anew"));
	json_decref(found);
	export_file_close(&file);
}

/* Killed between the last two steps: the file is whole, FILE.progress still there. */
static void test_killed_at_the_very_end(void **state)
{
	struct export_file file;
	struct error err;
	json_t *found;
	(void)state;
	assert_int_equal(export_file_open(&file, path, false, EXPORT_PLAIN, &found, &err), 0);
	write_lines(&file, 0, LINES);
	json_t *last = say(LINES);
	json_object_set_new(last, "done", json_true());
	assert_int_equal(export_file_checkpoint(&file, last, &err), 0);
	export_file_close(&file);
	assert_int_equal(rename(part, path), 0);
	assert_int_equal(export_file_open(&file, path, true, EXPORT_PLAIN, &found, &err), 0);
	assert_int_equal(file.fd, -1); /* nothing to write */
	assert_int_equal(export_file_finish(&file, last, &err), 0);
	json_decref(last);
	json_decref(found);
	export_file_close(&file);
	check_whole();
}

/* The other one is refused, with --continue or without, before and behind a checkpoint, and leaves all as it is. */
static void test_two_at_once(void **state)
{
	struct export_file file, other;
	struct error err;
	json_t *lines;
	(void)state;
	assert_int_equal(export_file_open(&file, path, false, EXPORT_PLAIN, &lines, &err), 0);
	for (unsigned round = 0; round < 2; round++) {
		write_lines(&file, round * LINES / 2, (round + 1) * LINES / 2);
		for (unsigned resume = 0; resume < 2; resume++) {
			assert_int_equal(export_file_open(&other, path, resume, EXPORT_PLAIN, &lines, &err), E_EXISTS);
			if (!strstr(err.text, "another export is writing to "))
				fail_msg("\"%s\" does not say that another export is writing", err.text);
			json_decref(lines);
			export_file_close(&other);
		}
		lines = say((round + 1) * LINES / 2);
		assert_int_equal(round == 1 ? export_file_finish(&file, lines, &err)
					    : export_file_checkpoint(&file, lines, &err),
				 0);
		json_decref(lines);
	}
	export_file_close(&file);
	check_whole();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_plain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gzip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zstd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_packed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interrupted_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_impossible_paths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_written, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed_at_the_very_end, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
