/*
 * Taking over what did not change, seen from outside: who asks for a build is told which relations were taken and since
 * when they are as they are, and can have everything learnt.
 */
#include "kindred/v1/models.pb-c.h"
#include "lib/api.h"
#include "lib/cluster.h"
#include "lib/small_shop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define BOOKS 12u

static void define_books(struct cluster *cluster)
{
	char text[2000] = "id,name\n";
	for (unsigned i = 0; i < BOOKS; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "b%u,Book %u\n", i, i);
	cluster_ok(cluster, CLI("catalog", "import", "books", cluster_file(cluster, "books.csv", text)));
	cluster_ok(cluster, CLI("define", "reading", "--catalog", "books", "--event", "Opened"));
}

/* Five readers of three books each, called by `letter`. */
static void read_books(struct cluster *cluster, char letter)
{
	char text[4000] = "user,item,event,time\n";
	for (unsigned u = 0; u < 5; u++)
		for (unsigned n = 0; n < 3; n++)
			snprintf(text + strlen(text), sizeof text - strlen(text),
				 "%c%u,b%u,Opened,2024-05-0%uT10:0%u:00Z\n", letter, u, (u + n) % BOOKS, u + 1, n);
	cluster_ok(cluster, CLI("events", "import", "books", cluster_file(cluster, "read.csv", text)));
}

/* What it says of the relations that were taken; exactly that. */
static void assert_build_says(struct cluster *cluster, const char *unchanged, const char *const *arguments)
{
	struct output output = cluster_run(cluster, arguments);
	const char *found = strstr(output.out, "unchanged");
	assert_int_equal(output.code, 0);
	assert_string_equal(found ? found : "", unchanged);
	output_free(&output);
}

static uint64_t since(const json_t *generation, size_t relation)
{
	json_t *found = json_array_get(json_object_get(generation, "relations"), relation);
	return (uint64_t)json_integer_value(json_object_get(found, "unchanged_since_generation"));
}

/* A refresh learns nothing anyway. */
static void assert_refuses_both(struct rpc_client *client)
{
	Kindred__V1__BuildModelRequest request = KINDRED__V1__BUILD_MODEL_REQUEST__INIT;
	Kindred__V1__BuildModelResponse *response = NULL;
	struct error err;
	request.refresh = true;
	request.no_reuse = true;
	assert_int_equal(api_try(client, "/kindred.v1.ModelService/BuildModel", &request.base,
				 &kindred__v1__build_model_response__descriptor, &response, &err),
			 E_INVALID);
	assert_non_null(strstr(err.text, "refresh and no_reuse"));
}

static void test_what_was_taken_is_named(void **state)
{
	struct cluster cluster;
	struct rpc_client *client;
	(void)state;
	small_shop_open(&cluster, &client);
	assert_refuses_both(client);
	define_books(&cluster);
	read_books(&cluster, 'r');
	assert_build_says(&cluster, "unchanged since generation 1: wanted-next of shop\n", CLI("model", "build"));
	read_books(&cluster, 's');
	assert_build_says(&cluster, "unchanged since generation 1: wanted-next of shop\n", CLI("model", "build"));
	assert_build_says(&cluster,
			  "unchanged since generation 3: reading of books\n"
			  "unchanged since generation 1: wanted-next of shop\n",
			  CLI("model", "build"));

	struct output shown = cluster_run(&cluster, CLI("model", "show"));
	assert_non_null(strstr(shown.out, "unchanged    since generation 1, which learnt it; taken over as it was"));
	assert_non_null(strstr(shown.out, "with what was served: nothing has changed since generation 3"));
	output_free(&shown);
	json_t *generation = cluster_json(&cluster, CLI("model", "show", "--json"));
	assert_int_equal(json_integer_value(json_object_get(generation, "number")), 4);
	assert_int_equal(since(generation, 0), 3);
	assert_int_equal(since(generation, 1), 1);
	json_decref(generation);
	json_t *status = cluster_json(&cluster, CLI("model", "build", "--json"));
	json_t *taken = json_object_get(status, "unchanged");
	assert_int_equal(json_array_size(taken), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(taken, 0), "key")), "Opened=1|window=0");
	assert_int_equal(json_integer_value(json_object_get(json_array_get(taken, 1), "since_generation")), 1);
	json_decref(status);

	/* A refresh that counts the same changes nothing, and it is no generation to learn from. */
	cluster_ok(&cluster, CLI("model", "refresh"));
	assert_build_says(&cluster,
			  "unchanged since generation 3: reading of books\n"
			  "unchanged since generation 1: wanted-next of shop\n",
			  CLI("model", "build"));

	assert_build_says(&cluster, "", CLI("model", "build", "--no-reuse"));
	status = cluster_json(&cluster, CLI("model", "status", "--json"));
	assert_int_equal(json_array_size(json_object_get(status, "unchanged")), 0);
	json_decref(status);
	generation = cluster_json(&cluster, CLI("model", "show", "--json"));
	assert_int_equal(since(generation, 0), 0);
	assert_int_equal(since(generation, 1), 0);
	json_decref(generation);
	small_shop_close(&cluster, client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_taken_is_named),
	};
	return cmocka_run_group_tests_name("integration/reuse", tests, NULL, NULL);
}
