#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/datadir.h"
#include "lib/temp_dir.h"

static struct temp_dir home; /* fresh for each test */
static const char *const root = home.path;

static int setup(void **state)
{
	(void)state;
	return temp_dir_make(&home);
}

static int teardown(void **state)
{
	(void)state;
	return temp_dir_remove(&home);
}

static const char *at(const char *name)
{
	static char path[4][256];
	static unsigned next;
	char *it = path[next++ % 4];

	snprintf(it, 256, "%s/%s", root, name);
	return it;
}

static void write_text(const char *name, const char *text)
{
	FILE *file = fopen(at(name), "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static bool exists(const char *name)
{
	return access(at(name), F_OK) == 0;
}

static unsigned entries(const char *name)
{
	DIR *listing = opendir(at(name));
	unsigned count = 0;

	assert_non_null(listing);
	while (readdir(listing))
		count++;
	closedir(listing);
	return count - 2;
}

static void assert_text(const struct error *err, const char *part)
{
	if (!strstr(err->text, part))
		fail_msg("\"%s\" lacks \"%s\"", err->text, part);
}

static void init_then_open(void **state)
{
	struct datadir dir;
	struct error err;
	char path[DATADIR_PATH_MAX], expected[DATADIR_PATH_MAX];

	(void)state;
	assert_int_equal(datadir_init(at("some/parents/data/"), 32, &err), 0);
	assert_int_equal(datadir_open(&dir, at("some/parents/data"), true, &err), 0);
	assert_int_equal(dir.shards, 32);
	snprintf(expected, sizeof expected, "%s/some/parents/data/shards/007", root);
	assert_string_equal(datadir_shard(&dir, 7, path), expected);
	snprintf(expected, sizeof expected, "%s/some/parents/data/control", root);
	assert_string_equal(datadir_control(&dir, path), expected);
	assert_int_equal(access(datadir_models(&dir, path), W_OK), 0);
	assert_int_equal(access(datadir_tmp(&dir, path), W_OK), 0);
	datadir_close(&dir);
}

/* Names are relative then, and what errors tell with them. */
static void entered(void **state)
{
	struct datadir dir;
	struct error err;
	char path[DATADIR_PATH_MAX], before[DATADIR_PATH_MAX];

	(void)state;
	assert_non_null(getcwd(before, sizeof before));
	assert_int_equal(datadir_init(at("data"), 16, &err), 0);
	assert_int_equal(datadir_open(&dir, at("data"), true, &err), 0);
	assert_int_equal(datadir_enter(&dir, &err), 0);
	assert_string_equal(dir.path, at("data"));
	assert_string_equal(datadir_shard(&dir, 7, path), "shards/007");
	assert_string_equal(datadir_control(&dir, path), "control");
	assert_int_equal(access(datadir_models(&dir, path), W_OK), 0);
	write_text("data/models/active", "seven\n");
	uint64_t generation;
	assert_int_equal(datadir_active_read(&dir, &generation, &err), E_DATA_LOSS);
	assert_int_equal(strncmp(err.text, "models/active", 13), 0);
	datadir_close(&dir);
	assert_int_equal(chdir(before), 0);
}

/* Half a backup: what is missing is named, instead of begun anew. */
static void parts_that_are_gone(void **state)
{
	struct datadir dir;
	struct error err;

	(void)state;
	assert_int_equal(datadir_init(at("data"), 2, NULL), 0);
	assert_int_equal(datadir_open(&dir, at("data"), false, NULL), 0);
	assert_int_equal(datadir_check_whole(&dir, false, &err), 0);
	assert_int_equal(mkdir(at("data/shards/000"), 0700), 0);
	assert_int_equal(mkdir(at("data/shards/001"), 0700), 0);
	write_text("data/shards/000/data.mdb", "x");
	assert_int_equal(datadir_check_whole(&dir, false, &err), E_DATA_LOSS);
	assert_text(&err, "/data/control/data.mdb is gone");
	write_text("data/control/data.mdb", "x");
	/* a first start that was killed */
	assert_int_equal(datadir_check_whole(&dir, false, &err), 0);
	assert_int_equal(datadir_check_whole(&dir, true, &err), E_DATA_LOSS);
	assert_text(&err, "/data/shards/001/data.mdb is gone");
	write_text("data/shards/001/data.mdb", "");
	assert_int_equal(datadir_check_whole(&dir, true, &err), 0);
	datadir_close(&dir);
}

static void path_becomes_absolute(void **state)
{
	struct datadir dir;
	char before[4096];

	(void)state;
	assert_non_null(getcwd(before, sizeof before));
	assert_int_equal(chdir(root), 0);
	assert_int_equal(datadir_init("here", 1, NULL), 0);
	assert_int_equal(datadir_open(&dir, "./here/", false, NULL), 0);
	assert_int_equal(chdir(before), 0);
	assert_string_equal(dir.path, at("here"));
	datadir_close(&dir);
}

static void init_refuses_bad_shards(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(datadir_init(at("data"), 0, &err), E_INVALID);
	assert_int_equal(datadir_init(at("data"), SHARDS_MAX + 1, &err), E_INVALID);
	assert_text(&err, "1025");
	assert_text(&err, "1 to 1024");
	assert_false(exists("data"));
}

static void init_twice_is_refused(void **state)
{
	struct datadir dir;
	struct error err;

	(void)state;
	assert_int_equal(datadir_init(at("data"), 4, &err), 0);
	assert_int_equal(datadir_init(at("data"), 8, &err), E_EXISTS);
	assert_text(&err, "already");
	assert_int_equal(datadir_open(&dir, at("data"), false, &err), 0);
	assert_int_equal(dir.shards, 4);
}

/* Whatever order the folder is read in: full folders may come before kindred.json. */
static void init_knows_a_used_directory(void **state)
{
	struct error err;

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		char name[32], file[64];
		snprintf(name, sizeof name, "used%u", i);
		assert_int_equal(datadir_init(at(name), 4, &err), 0);
		snprintf(file, sizeof file, "%s/control/data.mdb", name);
		write_text(file, "x");
		snprintf(file, sizeof file, "%s/models/active", name);
		write_text(file, "1");
		assert_int_equal(datadir_init(at(name), 4, &err), E_EXISTS);
		assert_text(&err, "already");
	}
}

static void init_leaves_others_folders_alone(void **state)
{
	struct error err;

	(void)state;
	write_text("thesis.txt", "words");
	assert_int_equal(datadir_init(root, 4, &err), E_PRECONDITION);
	assert_text(&err, "thesis.txt");
	assert_int_equal(entries(""), 1);
	/* a folder of theirs that happens to be called like one of ours */
	assert_int_equal(mkdir(at("x"), 0700), 0);
	assert_int_equal(mkdir(at("x/models"), 0700), 0);
	write_text("x/models/gears.obj", "o");
	assert_int_equal(datadir_init(at("x"), 4, &err), E_PRECONDITION);
	assert_int_equal(entries("x"), 1);
	write_text("file", "");
	assert_int_not_equal(datadir_init(at("file"), 4, &err), 0);
}

static void init_goes_on_after_being_killed(void **state)
{
	struct datadir dir;
	struct error err;

	(void)state;
	assert_int_equal(mkdir(at("data"), 0700), 0);
	assert_int_equal(mkdir(at("data/control"), 0700), 0);
	write_text("data/.kindred.json.new", "{ \"for");
	assert_int_equal(datadir_open(&dir, at("data"), false, &err), E_NOT_FOUND);
	assert_int_equal(datadir_init(at("data"), 4, &err), 0);
	assert_int_equal(datadir_open(&dir, at("data"), false, &err), 0);
	assert_false(exists("data/.kindred.json.new"));
}

static void open_says_what_to_do(void **state)
{
	struct datadir dir;
	struct error err;

	(void)state;
	assert_int_equal(datadir_open(&dir, at("nothing"), true, &err), E_NOT_FOUND);
	assert_text(&err, "no Kindred data directory at");
	assert_text(&err, "kindred init");
	assert_int_equal(datadir_open(&dir, root, true, &err), E_NOT_FOUND);
	assert_text(&err, "kindred init");
	assert_int_equal(entries(""), 0);
}

static void open_refuses_a_newer_format(void **state)
{
	struct datadir dir;
	struct error err;

	(void)state;
	write_text("kindred.json", "{\"format\": 2, \"sharding\": \"new\"}");
	assert_int_equal(datadir_open(&dir, root, true, &err), E_UNIMPLEMENTED);
	assert_text(&err, "format 2");
}

static void open_refuses_damage(void **state)
{
	static const char *const damaged[] = {
		"",
		"{\"format\": 1, \"sha",
		"[]",
		"{\"format\": 1}",
		"{\"format\": 1, \"shards\": 0}",
		"{\"format\": 1, \"shards\": 4294967312}",
		"{\"format\": 1, \"shards\": \"16\"}",
		"{\"shards\": 16}",
	};
	struct datadir dir;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
		write_text("kindred.json", damaged[i]);
		assert_int_equal(datadir_open(&dir, root, true, &err), E_DATA_LOSS);
		assert_text(&err, "kindred.json");
		assert_int_equal(dir.lock_fd, -1);
	}
}

static void one_server_at_a_time(void **state)
{
	struct datadir first, second, reader;
	struct error err;
	char pid[32];

	(void)state;
	assert_int_equal(datadir_init(at("data"), 4, &err), 0);
	assert_int_equal(datadir_open(&first, at("data"), true, &err), 0);
	assert_int_equal(datadir_open(&second, at("data"), true, &err), E_UNAVAILABLE);
	snprintf(pid, sizeof pid, "pid %d", (int)getpid());
	assert_text(&err, pid);
	assert_int_equal(datadir_open(&reader, at("data"), false, &err), 0);
	datadir_close(&reader);
	/* the reader's closing gave nothing away */
	assert_int_equal(datadir_open(&second, at("data"), true, &err), E_UNAVAILABLE);
	datadir_close(&first);
	assert_int_equal(datadir_open(&second, at("data"), true, &err), 0);
	datadir_close(&second);
}

static void lock_ends_with_its_process(void **state)
{
	struct datadir dir;
	struct error err;
	int ready[2], status;
	char byte;
	pid_t child;

	(void)state;
	assert_int_equal(datadir_init(at("data"), 4, &err), 0);
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		if (datadir_open(&dir, at("data"), true, NULL) != 0 || write(ready[1], "y", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	assert_int_equal(datadir_open(&dir, at("data"), true, &err), E_UNAVAILABLE);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(datadir_open(&dir, at("data"), true, &err), 0);
	/* children that the server starts must not hold it either */
	assert_true(fcntl(dir.lock_fd, F_GETFD) & FD_CLOEXEC);
	datadir_close(&dir);
}

static void a_starting_server_clears_what_a_dead_builder_left(void **state)
{
	struct datadir dir;

	(void)state;
	assert_int_equal(datadir_init(at("data"), 4, NULL), 0);
	assert_int_equal(mkdir(at("data/tmp/run1"), 0700), 0);
	write_text("data/tmp/run1/spill", "x");
	write_text("data/models/.00000008.kindred.new", "half");
	write_text("data/models/00000007.kindred", "whole");
	assert_int_equal(datadir_open(&dir, at("data"), false, NULL), 0);
	assert_true(exists("data/tmp/run1/spill"));
	assert_int_equal(datadir_open(&dir, at("data"), true, NULL), 0);
	assert_int_equal(entries("data/tmp"), 0);
	assert_int_equal(entries("data/models"), 1);
	assert_true(exists("data/models/00000007.kindred"));
	datadir_close(&dir);
}

static void active_generation(void **state)
{
	struct datadir dir;
	struct error err;
	uint64_t generation = 99;

	(void)state;
	assert_int_equal(datadir_init(at("data"), 4, NULL), 0);
	assert_int_equal(datadir_open(&dir, at("data"), true, NULL), 0);
	assert_int_equal(datadir_active_read(&dir, &generation, &err), 0);
	assert_int_equal(generation, 0);
	assert_int_equal(datadir_active_write(&dir, 7, &err), 0);
	assert_int_equal(datadir_active_write(&dir, 123456789012, &err), 0);
	assert_int_equal(datadir_active_read(&dir, &generation, &err), 0);
	assert_int_equal(generation, 123456789012);
	assert_int_equal(entries("data/models"), 1);
	assert_int_equal(datadir_active_write(&dir, 0, &err), 0);
	assert_int_equal(datadir_active_read(&dir, &generation, &err), 0);
	assert_int_equal(generation, 0);
	write_text("data/models/active", "seven\n");
	assert_int_equal(datadir_active_read(&dir, &generation, &err), E_DATA_LOSS);
	datadir_close(&dir);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(init_then_open),
		TEST(entered),
		TEST(parts_that_are_gone),
		TEST(path_becomes_absolute),
		TEST(init_refuses_bad_shards),
		TEST(init_twice_is_refused),
		TEST(init_knows_a_used_directory),
		TEST(init_leaves_others_folders_alone),
		TEST(init_goes_on_after_being_killed),
		TEST(open_says_what_to_do),
		TEST(open_refuses_a_newer_format),
		TEST(open_refuses_damage),
		TEST(one_server_at_a_time),
		TEST(lock_ends_with_its_process),
		TEST(a_starting_server_clears_what_a_dead_builder_left),
		TEST(active_generation),
	};

	return cmocka_run_group_tests_name("datadir", tests, NULL, NULL);
}
