/* `kindred catalog ..`: create, list, get, items. (import is catalog_import.c; set and delete are catalog_change.c) */
#include "cli/catalog.h"

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/item_value.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/types.h"
#include "common/clock.h"
#include "common/message_json.h"
#include "kindred/v1/catalogs.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE "/kindred.v1.CatalogService/"
#define ATTRIBUTES_MAX 200
#define PAGE 1000

enum { OPT_ATTRIBUTE = 0x5000, OPT_LIMIT };

int catalog_fetch(struct cli *cli, const char *name, Kindred__V1__GetCatalogResponse **response, struct error *err)
{
	Kindred__V1__GetCatalogRequest request = KINDRED__V1__GET_CATALOG_REQUEST__INIT;
	request.name = (char *)name;
	return cli_call(cli, SERVICE "GetCatalog", &request, &kindred__v1__get_catalog_response__descriptor, response,
			err);
}

static void time_text(const Google__Protobuf__Timestamp *time, char *buffer)
{
	if (time != NULL)
		time_format(time->seconds * 1000, buffer);
	else
		strcpy(buffer, "-");
}

static void catalog_print(const Kindred__V1__Catalog *catalog)
{
	char count[TEXT_MAX], time[64];
	time_text(catalog->update_time, time);
	printf("catalog %s: %s item%s, version %llu, last changed %s\n", catalog->name,
	       text_count(catalog->item_count, count), text_s(catalog->item_count),
	       (unsigned long long)catalog->version, time);
	for (size_t i = 0; i < catalog->n_attributes; i++)
		printf("  %s: %s\n", catalog->attributes[i]->name, type_name(catalog->attributes[i]->type));
}

/* --- create --- */

struct create {
	Kindred__V1__AttributeSchema storage[ATTRIBUTES_MAX], *attributes[ATTRIBUTES_MAX];
	size_t count;
};

static error_t create_option(int key, char *value, struct argp_state *state)
{
	struct create *create = state->input;
	if (key != OPT_ATTRIBUTE)
		return ARGP_ERR_UNKNOWN;
	char *colon = strrchr(value, ':');
	attribute_type type = colon != NULL ? type_parse(colon + 1) : TYPE_NONE;
	if (type == TYPE_NONE)
		argp_error(state,
			   "--attribute '%s': give NAME:TYPE, the type one of string, number, boolean, timestamp, list",
			   value);
	if (create->count == ATTRIBUTES_MAX)
		argp_error(state, "more than %d attributes", ATTRIBUTES_MAX);
	*colon = '\0';
	Kindred__V1__AttributeSchema *attribute = &create->storage[create->count];
	kindred__v1__attribute_schema__init(attribute);
	attribute->name = value;
	attribute->type = type;
	create->attributes[create->count++] = attribute;
	return 0;
}

int cmd_catalog_create(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "attribute", OPT_ATTRIBUTE, "NAME:TYPE", 0,
		  "An attribute: string, number, boolean, timestamp or list; may be repeated", 1 },
		{ 0 },
	};
	static const struct cli_spec spec = {
		.arguments = "NAME",
		.prose = "Makes an empty catalog. (`kindred catalog import` makes one from a file.)"
			 "\v"
			 "Examples:\n"
			 "  kindred catalog create shop --attribute price:number --attribute colors:list\n",
		.options = options,
		.parse = create_option,
		.least = 1,
		.most = 1,
	};
	static struct create create;
	Kindred__V1__Catalog catalog = KINDRED__V1__CATALOG__INIT;
	Kindred__V1__CreateCatalogRequest request = KINDRED__V1__CREATE_CATALOG_REQUEST__INIT;
	Kindred__V1__CreateCatalogResponse *response;
	struct error err;
	char *args[1];
	cli_parse(cli, &spec, &create, argc, argv, args);
	catalog.name = args[0];
	catalog.n_attributes = create.count;
	catalog.attributes = create.attributes;
	request.catalog = &catalog;
	int code = cli_call(cli, SERVICE "CreateCatalog", &request, &kindred__v1__create_catalog_response__descriptor,
			    &response, &err);
	if (code != 0)
		return cli_fail(&err);
	if (cli->json)
		code = message_print(&response->catalog->base);
	else
		catalog_print(response->catalog);
	kindred__v1__create_catalog_response__free_unpacked(response, NULL);
	return code;
}

/* --- list --- */

static int list_page(struct cli *cli, char *token, Kindred__V1__ListCatalogsResponse **response, struct error *err)
{
	Kindred__V1__ListCatalogsRequest request = KINDRED__V1__LIST_CATALOGS_REQUEST__INIT;
	request.page_size = PAGE;
	request.page_token = token;
	return cli_call(cli, SERVICE "ListCatalogs", &request, &kindred__v1__list_catalogs_response__descriptor,
			response, err);
}

static void list_add(const Kindred__V1__ListCatalogsResponse *page, json_t *array, struct table *table)
{
	for (size_t i = 0; i < page->n_catalogs; i++) {
		const Kindred__V1__Catalog *catalog = page->catalogs[i];
		char text[TEXT_MAX + 16];
		if (array != NULL) {
			json_array_append_new(array, message_json(&catalog->base));
			continue;
		}
		table_cell(table, catalog->name);
		table_cell(table, text_count(catalog->item_count, text));
		table_cell(table, text_count(catalog->n_attributes, text));
		time_text(catalog->update_time, text);
		table_cell(table, text);
	}
}

int cmd_catalog_list(struct cli *cli, int argc, char **argv)
{
	static const char *const headers[] = { "catalog", "items", "attributes", "last changed" };
	static const enum table_column kinds[] = { TABLE_LEFT, TABLE_RIGHT, TABLE_RIGHT, TABLE_LEFT };
	static const struct cli_spec spec = {
		.arguments = "",
		.prose = "Lists the catalogs."
			 "\v"
			 "Examples:\n"
			 "  kindred catalog list\n"
			 "  kindred catalog list --json\n",
	};
	struct error err;
	cli_parse(cli, &spec, NULL, argc, argv, NULL);
	json_t *array = cli->json ? json_array() : NULL;
	struct table *table = table_new(4, headers, kinds);
	char *token = strdup("");
	size_t count = 0;
	int code;
	do {
		Kindred__V1__ListCatalogsResponse *page;
		code = list_page(cli, token, &page, &err);
		if (code != 0)
			break;
		list_add(page, array, table);
		count += page->n_catalogs;
		free(token);
		token = strdup(page->next_page_token);
		kindred__v1__list_catalogs_response__free_unpacked(page, NULL);
	} while (token != NULL && token[0] != '\0');
	free(token);
	if (code != 0) {
		json_decref(array);
		cli_fail(&err);
	} else if (cli->json) {
		code = json_print(array, false);
	} else if (count == 0) {
		printf("No catalog yet: `kindred catalog import NAME FILE` makes one from a file.\n");
	} else {
		table_write(table, stdout, terminal_width(stdout));
	}
	table_free(table);
	return code;
}

/* --- get --- */

static void line_print(const char *what, const char *text)
{
	printf("  %s: ", what);
	text_write(stdout, text);
	printf("\n");
}

void item_print(const Kindred__V1__Item *item)
{
	text_write(stdout, item->id);
	printf("%s\n", item->hidden ? " (hidden)" : "");
	line_print("name", item->name);
	line_print("image", item->image_url);
	for (size_t i = 0; i < item->n_attributes; i++) {
		char *text = attribute_text(item->attributes[i]);
		line_print(item->attributes[i]->name, text != NULL ? text : "");
		free(text);
	}
}

static int item_get(struct cli *cli, char *catalog, char *id, struct error *err)
{
	Kindred__V1__GetItemRequest request = KINDRED__V1__GET_ITEM_REQUEST__INIT;
	Kindred__V1__GetItemResponse *response;
	request.catalog = catalog;
	request.item_id = id;
	int code =
		cli_call(cli, SERVICE "GetItem", &request, &kindred__v1__get_item_response__descriptor, &response, err);
	if (code != 0)
		return code;
	if (cli->json)
		code = message_print(&response->item->base);
	else
		item_print(response->item);
	kindred__v1__get_item_response__free_unpacked(response, NULL);
	return code;
}

static int catalog_show(struct cli *cli, const char *name, struct error *err)
{
	Kindred__V1__GetCatalogResponse *response;
	int code = catalog_fetch(cli, name, &response, err);
	if (code != 0)
		return code;
	if (cli->json)
		code = message_print(&response->catalog->base);
	else
		catalog_print(response->catalog);
	kindred__v1__get_catalog_response__free_unpacked(response, NULL);
	return code;
}

int cmd_catalog_get(struct cli *cli, int argc, char **argv)
{
	static const struct cli_spec spec = {
		.arguments = "NAME [ITEM_ID]",
		.prose = "Shows a catalog and its attributes, or one of its items."
			 "\v"
			 "Examples:\n"
			 "  kindred catalog get shop\n"
			 "  kindred catalog get shop sku-1047 --json\n",
		.least = 1,
		.most = 2,
	};
	struct error err = { 0 };
	char *args[2];
	int count = cli_parse(cli, &spec, NULL, argc, argv, args);
	int code = count == 2 ? item_get(cli, args[0], args[1], &err) : catalog_show(cli, args[0], &err);
	return code != 0 ? cli_fail(&err) : 0;
}

/* --- items --- */

static error_t limit_option(int key, char *value, struct argp_state *state)
{
	if (key != OPT_LIMIT)
		return ARGP_ERR_UNKNOWN;
	*(uint64_t *)state->input = (uint64_t)cli_number(state, "--limit", value, 0, INT64_MAX);
	return 0;
}

static int items_page(struct cli *cli, char *catalog, char *token, uint64_t limit,
		      Kindred__V1__ListItemsResponse **page, struct error *err)
{
	Kindred__V1__ListItemsRequest request = KINDRED__V1__LIST_ITEMS_REQUEST__INIT;
	request.catalog = catalog;
	request.page_size = limit < PAGE ? (uint32_t)limit : PAGE;
	request.page_token = token;
	return cli_call(cli, SERVICE "ListItems", &request, &kindred__v1__list_items_response__descriptor, page, err);
}

static void items_add(const Kindred__V1__ListItemsResponse *page, bool json, struct table *table)
{
	for (size_t i = 0; i < page->n_items; i++) {
		const Kindred__V1__Item *item = page->items[i];
		if (json) {
			json_print(message_json(&item->base), true);
			continue;
		}
		table_cell(table, item->id);
		table_cell(table, item->name);
		table_cell(table, item->hidden ? "hidden" : "");
	}
}

/* Whole pages of JSON lines are printed as they come; a table needs all rows first. */
int cmd_catalog_items(struct cli *cli, int argc, char **argv)
{
	static const char *const headers[] = { "item", "name", "" };
	static const enum table_column kinds[] = { TABLE_LEFT, TABLE_FLEXIBLE, TABLE_LEFT };
	static const struct argp_option options[] = {
		{ "limit", OPT_LIMIT, "N", 0, "At most this many (default: 100; 0: all)", 1 },
		{ 0 },
	};
	static const struct cli_spec spec = {
		.arguments = "NAME",
		.prose = "Lists items of a catalog, in no particular order; with --json one object a line, with "
			 "attributes."
			 "\v"
			 "Examples:\n"
			 "  kindred catalog items shop --limit 20\n"
			 "  kindred catalog items shop --limit 0 --json > items.ndjson\n",
		.options = options,
		.parse = limit_option,
		.least = 1,
		.most = 1,
	};
	uint64_t limit = 100;
	struct error err;
	char *args[1];
	cli_parse(cli, &spec, &limit, argc, argv, args);
	if (limit == 0)
		limit = UINT64_MAX;
	struct table *table = table_new(3, headers, kinds);
	char *token = strdup("");
	int code;
	do {
		Kindred__V1__ListItemsResponse *page;
		code = items_page(cli, args[0], token, limit, &page, &err);
		if (code != 0)
			break;
		items_add(page, cli->json, table);
		limit -= page->n_items < limit ? page->n_items : limit;
		free(token);
		token = strdup(page->next_page_token);
		kindred__v1__list_items_response__free_unpacked(page, NULL);
	} while (token != NULL && token[0] != '\0' && limit > 0);
	free(token);
	if (code != 0)
		cli_fail(&err);
	else if (!cli->json)
		table_write(table, stdout, terminal_width(stdout));
	table_free(table);
	return code;
}
