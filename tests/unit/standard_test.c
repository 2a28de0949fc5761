#include "common/standard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HELD = 7 };

static bool is_of_no_use(int fd)
{
	char byte = 0;
	bool useless = fd == STDIN_FILENO ? read(fd, &byte, 1) < 0 : write(fd, &byte, 1) < 0;

	return useless && errno == EBADF;
}

static void closed_ones_are_held(void **state)
{
	int status;
	pid_t child;

	(void)state;
	child = fork();
	if (!child) {
		for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
			close(fd);
		standard_hold();
		for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
			if (!is_of_no_use(fd))
				_exit(1);
		_exit(open("/dev/null", O_RDWR) > STDERR_FILENO ? HELD : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), HELD);
}

static void open_ones_are_left(void **state)
{
	int ends[2], status;
	char text[8] = "";
	pid_t child;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (!child) {
		dup2(ends[1], STDERR_FILENO);
		close(STDIN_FILENO);
		standard_hold();
		_exit(write(STDERR_FILENO, "words", 5) == 5 ? HELD : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), HELD);
	assert_int_equal(read(ends[0], text, sizeof text - 1), 5);
	assert_string_equal(text, "words");
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closed_ones_are_held),
		cmocka_unit_test(open_ones_are_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
