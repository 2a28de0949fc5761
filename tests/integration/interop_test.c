/*
 * Clients of other makers call the real server: tests/interop/python_test.py (grpcio) and, where node
 * and npm are there, node_test.js (@grpc/grpc-js).
 */
#include "lib/cluster.h"
#include "lib/small_shop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static struct cluster cluster;

static int set_up(void **state)
{
	(void)state;
	small_shop_open(&cluster, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	small_shop_close(&cluster, NULL);
	return 0;
}

#define NO_REGISTRY 77 /* node_test.sh */

static void run_client(const char *program, const char *script)
{
	char path[512];
	snprintf(path, sizeof path, "%s/tests/interop/%s", TEST_SOURCE, script);
	struct output output = program_run(program, NULL, CLI(path, cluster.address));
	print_message("%s%s", output.out, output.code ? output.err : "");
	int code = output.code;
	output_free(&output);
	if (code == NO_REGISTRY) {
		print_message("skipped: interop with @grpc/grpc-js, npm's registry cannot be reached\n");
		skip();
	}
	assert_int_equal(code, 0);
}

static void test_python(void **state)
{
	(void)state;
	run_client("/usr/bin/python3", "python_test.py");
}

/*
 * @grpc/grpc-js is an implementation of its own, no wrapper of C core; it comes from npm, once, into
 * the build folder.
 */
static void test_node(void **state)
{
	(void)state;
	if (access("/usr/bin/node", X_OK) != 0 || access("/usr/bin/npm", X_OK) != 0) {
		print_message("skipped: interop with @grpc/grpc-js, node and npm are not installed\n");
		skip();
	}
	run_client("/bin/bash", "node_test.sh");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_python), cmocka_unit_test(test_node) };
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
