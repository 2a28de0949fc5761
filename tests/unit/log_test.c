#include "common/clock.h"
#include "common/log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* What is written to stderr between the two lands in `text`. */
static int saved_stderr, pipe_out;
static char text[16384];

static void capture(void)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	saved_stderr = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	pipe_out = ends[0];
}

static size_t captured(void)
{
	dup2(saved_stderr, STDERR_FILENO); /* closes the writing end */
	close(saved_stderr);
	size_t bytes = 0;
	ssize_t got;
	while ((got = read(pipe_out, text + bytes, sizeof text - 1 - bytes)) > 0)
		bytes += (size_t)got;
	text[bytes] = '\0';
	close(pipe_out);
	return bytes;
}

static void a_line_says_when_how_bad_who_and_what(void **state)
{
	(void)state;
	log_init("worker/2", LOG_INFO);
	int64_t before_ms = clock_wall_ms(), time_ms;
	capture();
	log_warning("swap: generation %d active", 7);
	captured();
	assert_string_equal(text + 24, " warning worker/2 swap: generation 7 active\n");
	assert_true(time_parse(text, 24, &time_ms));
	assert_true(time_ms >= before_ms && time_ms <= clock_wall_ms());
}

static void levels_below_the_threshold_are_silent(void **state)
{
	(void)state;
	log_init("server", LOG_WARNING);
	assert_int_equal(log_level_now(), LOG_WARNING);
	capture();
	log_debug("no %d", 1);
	log_info("no %d", 2);
	log_warning("yes %d", 3);
	log_error("yes %d", 4);
	captured();
	assert_null(strstr(text, "no"));
	assert_non_null(strstr(text, "warning server yes 3\n"));
	assert_non_null(strstr(text, "error server yes 4\n"));
}

static void a_line_stays_one_line_however_long(void **state)
{
	(void)state;
	log_init("server", LOG_INFO);
	char *huge = malloc(10000);
	memset(huge, 'x', 9999);
	huge[9999] = '\0';
	capture();
	log_info("a\nb\x1b[31mc");
	log_info("%s", huge);
	log_info("next");
	captured();
	assert_non_null(strstr(text, "a b [31mc\n"));
	const char *second = strstr(text, "xxx");
	const char *end = strchr(second, '\n');
	assert_true((size_t)(end - strchr(text, '\n')) <= 4096);
	assert_non_null(strstr(end, "info server next\n"));
	free(huge);
}

static void errno_survives(void **state)
{
	(void)state;
	log_init("server", LOG_INFO);
	capture();
	errno = ENOENT;
	log_info("%m");
	assert_int_equal(errno, ENOENT);
	captured();
	assert_non_null(strstr(text, "No such file or directory\n"));
}

static void level_names(void **state)
{
	(void)state;
	assert_int_equal(log_level_parse("error"), LOG_ERROR);
	assert_int_equal(log_level_parse("warning"), LOG_WARNING);
	assert_int_equal(log_level_parse("info"), LOG_INFO);
	assert_int_equal(log_level_parse("debug"), LOG_DEBUG);
	assert_int_equal(log_level_parse("verbose"), -1);
	assert_int_equal(log_level_parse(""), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_says_when_how_bad_who_and_what),
		cmocka_unit_test(levels_below_the_threshold_are_silent),
		cmocka_unit_test(a_line_stays_one_line_however_long),
		cmocka_unit_test(errno_survives),
		cmocka_unit_test(level_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
