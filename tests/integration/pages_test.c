/*
 * Lists of the API: whatever is in them, no answer is larger than clients take, and page by page
 * everything is there once.
 */
#include "kindred/v1/catalogs.pb-c.h"
#include "lib/api.h"
#include "lib/cluster.h"
#include "lib/model_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAGE_MAX_BYTES (3u << 20)
#define ITEMS 1000
#define GENERATIONS 60
#define KEY_BYTES 100000
#define EVENTS 9000

static struct cluster cluster;
static struct rpc_client *client;

static void write_generations(void)
{
	char directory[256], *key = malloc(KEY_BYTES);
	assert_non_null(key);
	memset(key, 'x', KEY_BYTES);
	key[KEY_BYTES - 1] = '\0';
	snprintf(directory, sizeof directory, "%s/data/models", cluster.home);
	struct fixture_model *fixture = fixture_shop_new(key, 0);
	for (uint64_t number = 1; number <= GENERATIONS; number++)
		fixture_model_write(fixture, directory, number, NULL);
	fixture_model_free(fixture);
	free(key);
}

/*
 * 1,000 items of 8 kB and 60 generations of 100 kB: 8 MB and 6 MB; and 9,000 events of an item whose name has 1,000
 * bytes: 9 MB.
 */
static int set_up(void **state)
{
	const char *const *options = CLI("--workers", "1", "--build-every-minutes", "0", "--generations-kept", "100",
					 "--history-cap", "10000");
	(void)state;
	cluster_init(&cluster);
	cluster_start(&cluster, options);
	assert_int_equal(cluster_stop(&cluster), 0);
	write_generations();
	cluster_start(&cluster, options);
	client = api_open(&cluster);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rpc_close(client);
	cluster_fini(&cluster);
	return 0;
}

static void make_items(void)
{
	char path[256], text[4001];
	snprintf(path, sizeof path, "%s/large.csv", cluster.home);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	fprintf(file, "id,name,one,two\n");
	for (unsigned i = 0; i < ITEMS; i++)
		fprintf(file, "i%u,Item,%s,%s\n", i, text, text);
	fclose(file);
	cluster_ok(&cluster, CLI("catalog", "import", "large", path));
}

static void test_items(void **state)
{
	Kindred__V1__ListItemsRequest request = KINDRED__V1__LIST_ITEMS_REQUEST__INIT;
	bool seen[ITEMS] = { false };
	unsigned count = 0, pages = 0;
	char *token = strdup("");
	(void)state;
	make_items();
	request.catalog = (char *)"large";
	request.page_size = 1000;
	do {
		Kindred__V1__ListItemsResponse *page = NULL;
		struct error err;
		request.page_token = token;
		if (api_try(client, "/kindred.v1.CatalogService/ListItems", &request.base,
			    &kindred__v1__list_items_response__descriptor, &page, &err))
			fail_msg("%s", err.text);
		assert_in_range(kindred__v1__list_items_response__get_packed_size(page), 1, PAGE_MAX_BYTES + 100);
		for (size_t i = 0; i < page->n_items; i++) {
			unsigned number = (unsigned)atoi(page->items[i]->id + 1);
			assert_false(seen[number]);
			seen[number] = true;
			count++;
		}
		free(token);
		token = strdup(page->next_page_token);
		kindred__v1__list_items_response__free_unpacked(page, NULL);
		assert_true(++pages < 10);
	} while (*token);
	free(token);
	assert_int_equal(count, ITEMS);
	assert_true(pages > 1);
}

static void test_generations(void **state)
{
	Kindred__V1__ListGenerationsRequest request = KINDRED__V1__LIST_GENERATIONS_REQUEST__INIT;
	uint64_t expected = GENERATIONS;
	unsigned pages = 0;
	char *token = strdup("");
	(void)state;
	request.page_size = 100;
	do {
		Kindred__V1__ListGenerationsResponse *page = NULL;
		struct error err;
		request.page_token = token;
		if (api_try(client, "/kindred.v1.ModelService/ListGenerations", &request.base,
			    &kindred__v1__list_generations_response__descriptor, &page, &err))
			fail_msg("%s", err.text);
		assert_in_range(kindred__v1__list_generations_response__get_packed_size(page), 1, PAGE_MAX_BYTES + 100);
		for (size_t i = 0; i < page->n_generations; i++)
			assert_int_equal(page->generations[i]->number, expected--);
		free(token);
		token = strdup(page->next_page_token);
		kindred__v1__list_generations_response__free_unpacked(page, NULL);
		assert_true(++pages < 10);
	} while (*token);
	free(token);
	assert_int_equal(expected, 0);
	assert_true(pages > 1);
}

static void make_events(void)
{
	char catalog[256], path[256];
	char name[1001];
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	snprintf(catalog, sizeof catalog, "%s/named.csv", cluster.home);
	FILE *file = fopen(catalog, "w");
	assert_non_null(file);
	fprintf(file, "id,name\ni,%s\n", name);
	fclose(file);
	snprintf(path, sizeof path, "%s/events.csv", cluster.home);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "user,item,event,time\n");
	for (unsigned i = 0; i < EVENTS; i++)
		fprintf(file, "john,i,Viewed,%u\n", 1700000000 + i);
	fclose(file);
	cluster_ok(&cluster, CLI("catalog", "import", "named", catalog));
	cluster_ok(&cluster, CLI("events", "import", "named", path));
}

static void test_events(void **state)
{
	Kindred__V1__ListUserEventsRequest request = KINDRED__V1__LIST_USER_EVENTS_REQUEST__INIT;
	unsigned expected = 1700000000 + EVENTS, pages = 0;
	char *token = strdup("");
	(void)state;
	make_events();
	request.user_id = (char *)"john";
	request.page_size = 10000;
	do {
		Kindred__V1__ListUserEventsResponse *page = NULL;
		struct error err;
		request.page_token = token;
		if (api_try(client, "/kindred.v1.EventService/ListUserEvents", &request.base,
			    &kindred__v1__list_user_events_response__descriptor, &page, &err))
			fail_msg("%s", err.text);
		assert_in_range(kindred__v1__list_user_events_response__get_packed_size(page), 1, PAGE_MAX_BYTES);
		for (size_t i = 0; i < page->n_events; i++) {
			assert_int_equal(page->events[i]->time->seconds, --expected);
			assert_int_equal(strlen(page->events[i]->item_name), 1000);
		}
		assert_int_equal(page->total_size, EVENTS);
		free(token);
		token = strdup(page->next_page_token);
		kindred__v1__list_user_events_response__free_unpacked(page, NULL);
		assert_true(++pages < 10);
	} while (*token);
	free(token);
	assert_int_equal(expected, 1700000000);
	assert_true(pages > 1);
	cluster_ok(&cluster, CLI("events", "list", "john", "--limit", "0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_items),
		cmocka_unit_test(test_generations),
		cmocka_unit_test(test_events),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
