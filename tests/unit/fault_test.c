#include "common/fault.h"
#include "common/log.h"
#include "lib/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Does not return by itself. */
static void read_what_is_gone(const char *path, int log)
{
	static const struct rlimit none;
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	volatile const char *bytes = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

	setrlimit(RLIMIT_CORE, &none);
	dup2(log, STDERR_FILENO);
	log_init("reader", LOG_INFO);
	fault_init();
	_exit(*bytes);
}

/* A mapped file that was cut ends the process by the signal, and the log says which. */
static void the_file_is_named(void **state)
{
	struct temp_dir home;
	char path[256], text[1024] = "";
	int ends[2], status;
	pid_t child;

	(void)state;
	assert_int_equal(temp_dir_make(&home), 0);
	snprintf(path, sizeof path, "%s/cut.mdb", home.path);
	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (!child)
		read_what_is_gone(path, ends[1]);
	close(ends[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(read(ends[0], text, sizeof text - 1) > 0);
	close(ends[0]);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
	assert_non_null(strstr(text, path));
	assert_non_null(strstr(text, "error reader a page of "));
	temp_dir_remove(&home);
}

/* Does not return by itself. */
static void send_it_to_oneself(int log)
{
	static const struct rlimit none;

	setrlimit(RLIMIT_CORE, &none);
	dup2(log, STDERR_FILENO);
	log_init("sent", LOG_INFO);
	fault_init();
	kill(getpid(), SIGBUS);
	_exit(0);
}

/* The signal sent by hand ends the process too, and no file is blamed. */
static void nothing_is_blamed_for_a_signal_sent(void **state)
{
	char text[1024];
	int ends[2], status;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (!child)
		send_it_to_oneself(ends[1]);
	close(ends[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(read(ends[0], text, sizeof text), 0);
	close(ends[0]);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_file_is_named),
		cmocka_unit_test(nothing_is_blamed_for_a_signal_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
