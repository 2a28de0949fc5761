#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "common/config.h"

static char file[64];
static struct config config;

static int setup(void **state)
{
	int fd;

	(void)state;
	strcpy(file, "/tmp/kindred-config-XXXXXX");
	fd = mkstemp(file);
	if (fd < 0)
		return -1;
	close(fd);
	return config_init(&config, NULL);
}

static int teardown(void **state)
{
	(void)state;
	config_fini(&config);
	unsetenv("KINDRED_WORKERS");
	unsetenv("KINDRED_HISTORY_CAP");
	return unlink(file);
}

static int load(const char *text, struct error *err)
{
	FILE *out = fopen(file, "w");

	assert_non_null(out);
	fputs(text, out);
	assert_int_equal(fclose(out), 0);
	return config_load_file(&config, file, err);
}

static void assert_text(const struct error *err, const char *part)
{
	if (!strstr(err->text, part))
		fail_msg("\"%s\" lacks \"%s\"", err->text, part);
}

static void defaults(void **state)
{
	(void)state;
	assert_string_equal(config.listen, "127.0.0.1:7600");
	assert_string_equal(config.port_file, "");
	assert_string_equal(config.durability, "sync");
	assert_int_equal(config.history_cap, 1000);
	assert_int_equal(config.workers, 0);
}

static void file_gives_what_it_names(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(load("# ours\nhistory_cap: 50\nlisten: \"0.0.0.0:80\"\ndurability: nosync\n", &err), 0);
	assert_int_equal(config.history_cap, 50);
	assert_string_equal(config.listen, "0.0.0.0:80");
	assert_string_equal(config.durability, "nosync");
	assert_int_equal(config.retention_days, 400);
}

static void empty_file_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(load("", NULL), 0);
	assert_int_equal(load("# nothing yet\n", NULL), 0);
	assert_int_equal(load("admin_listen:\n", NULL), 0);
	assert_string_equal(config.admin_listen, "");
	assert_int_equal(config.history_cap, 1000);
}

static void last_source_wins(void **state)
{
	(void)state;
	assert_int_equal(load("history_cap: 50\nworkers: 2\n", NULL), 0);
	setenv("KINDRED_HISTORY_CAP", "60", 1);
	setenv("KINDRED_WORKERS", "3", 1);
	assert_int_equal(config_load_environment(&config, NULL), 0);
	assert_int_equal(config_set(&config, "history-cap", "70", NULL), 0);
	assert_int_equal(config.history_cap, 70);
	assert_int_equal(config.workers, 3);
	assert_int_equal(config_set(&config, "history_cap", "80", NULL), 0);
	assert_int_equal(config.history_cap, 80);
}

static void unknown_names_are_errors(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(load("history_cap: 50\nhistory_kap: 60\n", &err), E_PRECONDITION);
	assert_text(&err, "history_kap");
	assert_text(&err, file);
	assert_int_equal(config_set(&config, "histor", "1", &err), E_NOT_FOUND);
	assert_text(&err, "histor");
	assert_int_equal(config_set(&config, "history_cap_", "1", &err), E_NOT_FOUND);
}

static void errors_name_parameter_value_range_and_source(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(load("history_cap: 0\n", &err), E_PRECONDITION);
	assert_text(&err, "history_cap: \"0\"");
	assert_text(&err, "from 1 to 10000");
	assert_text(&err, file);
	setenv("KINDRED_WORKERS", "257", 1);
	assert_int_equal(config_load_environment(&config, &err), E_PRECONDITION);
	assert_int_equal(err.code, E_PRECONDITION);
	assert_text(&err, "workers: \"257\"");
	assert_text(&err, "KINDRED_WORKERS");
	assert_text(&err, "0 to 256");
	assert_int_equal(config_set(&config, "durability", "maybe", &err), E_INVALID);
	assert_text(&err, "maybe");
	assert_text(&err, "sync|nometasync|nosync");
	assert_text(&err, "command line");
	/* nothing was taken */
	assert_int_equal(config.history_cap, 1000);
	assert_int_equal(config.workers, 0);
	assert_string_equal(config.durability, "sync");
}

static void only_whole_numbers_are_numbers(void **state)
{
	static const char *const wrong[] = { "",   " 5", "5 ", "5x", "0x10", "1e3", "5.0", "99999999999999999999",
					     "-1", "\n" };

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_int_equal(config_set(&config, "calls_limit", wrong[i], NULL), E_INVALID);
	assert_int_equal(config.calls_limit, 4096);
	assert_int_equal(config_set(&config, "calls_limit", "16", NULL), 0);
	assert_int_equal(config_set(&config, "calls_limit", "1000000", NULL), 0);
	assert_int_equal(config.calls_limit, 1000000);
}

static void choices_are_whole_words(void **state)
{
	static const char *const wrong[] = { "", "syn", "sync|nometasync", "|", "Sync", "nosyncx" };

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_int_equal(config_set(&config, "durability", wrong[i], NULL), E_INVALID);
	assert_int_equal(config_set(&config, "durability", "nometasync", NULL), 0);
	assert_string_equal(config.durability, "nometasync");
}

static void bad_files_are_refused_with_the_place(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(load("workers: 2\nlisten: \"open\n", &err), E_PRECONDITION);
	assert_text(&err, "line 2");
	assert_int_equal(load("workers: [1, 2]\n", &err), E_PRECONDITION);
	assert_text(&err, "line 1: one value is wanted");
	assert_int_equal(load("# ours\nworkers: 1\n\nbogus: 1\n", &err), E_PRECONDITION);
	assert_text(&err, "line 4: \"bogus\" is not a parameter");
	assert_int_equal(load("# workers: 1\nhistory_cap: 50\n\"workers\" : 999\n", &err), E_PRECONDITION);
	assert_text(&err, "line 3");
	assert_int_equal(load("{workers: 999}\n", &err), E_PRECONDITION);
	assert_text(&err, file);
	assert_int_equal(load("workers: 2\nworkers: 3\n", &err), E_PRECONDITION);
	assert_text(&err, "workers");
	assert_int_equal(load("- workers\n", &err), E_PRECONDITION);
	assert_int_equal(load("workers: 1\n---\nhistory_cap: 7\n", &err), E_PRECONDITION);
	unlink(file);
	assert_int_equal(config_load_file(&config, file, &err), E_NOT_FOUND);
	assert_text(&err, file);
	assert_int_equal(config_load_file(&config, "/tmp", &err), E_PRECONDITION);
	assert_text(&err, "folder");
	assert_int_equal(load("", NULL), 0);
}

static const char *unknown_variable(const char *variable, const char *value)
{
	const char *found = NULL, *next;

	setenv(variable, value, 1);
	for (size_t at = 0; (next = config_unknown_variable(&at)) != NULL;)
		if (strncmp(next, variable, strlen(variable)) == 0)
			found = next;
	unsetenv(variable);
	return found;
}

/* A slip of the pen is found; what our programs, and Kubernetes, put there is none. */
static void unknown_variables_are_found(void **state)
{
	static const char *const known[] = { "KINDRED_WORKERS", "KINDRED_GRPC_POLLING", "KINDRED_SERVER",
					     "KINDRED_BIN",     "KINDRED_TEST_LINK",    "KINDRED_SERVICE_HOST" };

	(void)state;
	assert_non_null(unknown_variable("KINDRED_WORKER", "4"));
	assert_non_null(unknown_variable("KINDRED_PORT", "7600"));
	assert_null(unknown_variable("KINDRED_PORT", "tcp://10.0.0.1:7600"));
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		assert_null(unknown_variable(known[i], "1"));
}

static void reference_has_a_row_for_each_parameter(void **state)
{
	const struct config_parameter *parameters;
	unsigned count, rows = 0;
	char *text = NULL, row[128];
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	(void)state;
	config_reference(out);
	fclose(out);
	parameters = config_parameters(&count);
	for (unsigned i = 0; i < count; i++) {
		snprintf(row, sizeof row, "\n| `%s` | ", parameters[i].name);
		assert_non_null(strstr(text, row));
		/* what help and docs call the default is what config_init sets */
		assert_int_equal(config_set(&config, parameters[i].name, parameters[i].fallback, NULL), 0);
	}
	assert_non_null(
		strstr(text, "| `history_cap` | `1000` | 1 to 10000 events | Events kept of a user, the newest |"));
	assert_non_null(strstr(text, "| `durability` | `sync` | `sync`, `nometasync`, `nosync` | "));
	for (char *p = text; *p; p++)
		rows += *p == '\n';
	assert_int_equal(rows, count + 2);
	free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(defaults),
		TEST(file_gives_what_it_names),
		TEST(empty_file_changes_nothing),
		TEST(last_source_wins),
		TEST(unknown_names_are_errors),
		TEST(errors_name_parameter_value_range_and_source),
		TEST(only_whole_numbers_are_numbers),
		TEST(choices_are_whole_words),
		TEST(bad_files_are_refused_with_the_place),
		TEST(unknown_variables_are_found),
		TEST(reference_has_a_row_for_each_parameter),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
