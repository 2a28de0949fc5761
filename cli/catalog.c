/* `kindred catalog ..`: create, list, get, items, set, delete. (import is catalog_import.c) */
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

enum { OPT_ATTRIBUTE = 0x5000, OPT_HIDE, OPT_SHOW, OPT_NAME, OPT_IMAGE, OPT_YES, OPT_LIMIT };

static int catalog_fetch(struct cli *cli, const char *name, Kindred__V1__GetCatalogResponse **response,
			 struct error *err)
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
	printf("catalog %s: %s items, version %llu, last changed %s\n", catalog->name,
	       text_count(catalog->item_count, count), (unsigned long long)catalog->version, time);
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
			 "  kindred catalog create shop --attribute price:number --attribute in_stock:boolean\n",
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

static void item_print(const Kindred__V1__Item *item)
{
	printf("%s%s\n  name: %s\n  image: %s\n", item->id, item->hidden ? " (hidden)" : "", item->name,
	       item->image_url);
	for (size_t i = 0; i < item->n_attributes; i++) {
		char *text = attribute_text(item->attributes[i]);
		printf("  %s: %s\n", item->attributes[i]->name, text != NULL ? text : "");
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

/* --- set --- */

struct set {
	Kindred__V1__UpdateItemRequest request;
};

static error_t set_option(int key, char *value, struct argp_state *state)
{
	Kindred__V1__UpdateItemRequest *request = &((struct set *)state->input)->request;
	switch (key) {
	case OPT_HIDE:
	case OPT_SHOW:
		request->new_hidden_case = KINDRED__V1__UPDATE_ITEM_REQUEST__NEW_HIDDEN_HIDDEN;
		request->hidden = key == OPT_HIDE;
		return 0;
	case OPT_NAME:
		request->new_name_case = KINDRED__V1__UPDATE_ITEM_REQUEST__NEW_NAME_NAME;
		request->name = value;
		return 0;
	case OPT_IMAGE:
		request->new_image_url_case = KINDRED__V1__UPDATE_ITEM_REQUEST__NEW_IMAGE_URL_IMAGE_URL;
		request->image_url = value;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const Kindred__V1__AttributeSchema *schema_find(const Kindred__V1__Catalog *catalog, const char *name)
{
	for (size_t i = 0; i < catalog->n_attributes; i++) {
		if (strcmp(catalog->attributes[i]->name, name) == 0)
			return catalog->attributes[i];
	}
	return NULL;
}

/* "price=3" into the request, by the schema; "price=" makes it missing. */
static int assignment(Kindred__V1__UpdateItemRequest *request, const Kindred__V1__Catalog *catalog, char *text,
		      struct arena *arena, struct error *err)
{
	char *equals = strchr(text, '=');
	if (equals == NULL || equals == text)
		return error_set(err, E_INVALID, "'%s': give ATTRIBUTE=VALUE, for example price=9.95", text);
	*equals = '\0';
	const char *value = equals + 1;
	const Kindred__V1__AttributeSchema *schema = schema_find(catalog, text);
	if (schema == NULL)
		return error_set(err, E_NOT_FOUND,
				 "catalog '%s' has no attribute '%s'; `kindred catalog get %s` shows those it has",
				 catalog->name, text, catalog->name);
	if (*value == '\0') {
		request->clear_attributes[request->n_clear_attributes++] = text;
		return 0;
	}
	Kindred__V1__Attribute *attribute = arena_alloc(arena, sizeof *attribute);
	if (attribute == NULL)
		return error_set(err, E_EXHAUSTED, "no memory");
	kindred__v1__attribute__init(attribute);
	attribute->name = text;
	request->set_attributes[request->n_set_attributes++] = attribute;
	int code = attribute_parse(attribute, schema->type, value, strlen(value), "|", arena, err);
	return code == 0 ? 0 : error_prefix(err, "%s", text);
}

static int set_send(struct cli *cli, struct set *set, int count, char **args, struct arena *arena, struct error *err)
{
	Kindred__V1__Attribute *attributes[CLI_ARGS_MAX];
	char *cleared[CLI_ARGS_MAX];
	Kindred__V1__GetCatalogResponse *catalog;
	Kindred__V1__UpdateItemResponse *response;
	set->request.catalog = args[0];
	set->request.item_id = args[1];
	set->request.set_attributes = attributes;
	set->request.clear_attributes = cleared;
	int code = catalog_fetch(cli, args[0], &catalog, err);
	if (code != 0)
		return code;
	for (int i = 2; i < count && code == 0; i++)
		code = assignment(&set->request, catalog->catalog, args[i], arena, err);
	kindred__v1__get_catalog_response__free_unpacked(catalog, NULL);
	if (code == 0)
		code = cli_call(cli, SERVICE "UpdateItem", &set->request,
				&kindred__v1__update_item_response__descriptor, &response, err);
	if (code != 0)
		return code;
	if (cli->json)
		code = message_print(&response->item->base);
	else
		item_print(response->item);
	kindred__v1__update_item_response__free_unpacked(response, NULL);
	return code;
}

int cmd_catalog_set(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "hide", OPT_HIDE, NULL, 0, "Do not recommend it any more, from the next call on", 1 },
		{ "show", OPT_SHOW, NULL, 0, "Recommend it again", 1 },
		{ "name", OPT_NAME, "TEXT", 0, "Its name", 1 },
		{ "image", OPT_IMAGE, "URL", 0, "Its image", 1 },
		{ 0 },
	};
	static const struct cli_spec spec = {
		.arguments = "NAME ITEM_ID [ATTRIBUTE=VALUE..]",
		.prose = "Changes an item. It acts on the next recommendation, without a new model."
			 "\v"
			 "Other attributes stay as they are; ATTRIBUTE= makes one missing; elements of a list are "
			 "separated by |.\n"
			 "\n"
			 "Examples:\n"
			 "  kindred catalog set shop sku-1047 price=9.95 in_stock=false\n"
			 "  kindred catalog set shop sku-1047 'tags=summer|sale' season=\n"
			 "  kindred catalog set shop sku-1047 --hide\n",
		.options = options,
		.parse = set_option,
		.least = 2,
		.most = CLI_ARGS_MAX,
	};
	struct set set = { .request = KINDRED__V1__UPDATE_ITEM_REQUEST__INIT };
	struct error err;
	struct arena arena;
	char *args[CLI_ARGS_MAX];
	int count = cli_parse(cli, &spec, &set, argc, argv, args);
	int code = arena_init(&arena, 4096, 0);
	if (code != 0) {
		error_set(&err, code, "no memory");
		return cli_fail(&err);
	}
	code = set_send(cli, &set, count, args, &arena, &err);
	arena_fini(&arena);
	return code != 0 ? cli_fail(&err) : 0;
}

/* --- delete --- */

static error_t yes_option(int key, char *value, struct argp_state *state)
{
	(void)value;
	if (key != OPT_YES)
		return ARGP_ERR_UNKNOWN;
	*(bool *)state->input = true;
	return 0;
}

static int item_delete(struct cli *cli, char *catalog, char *id, struct error *err)
{
	Kindred__V1__DeleteItemRequest request = KINDRED__V1__DELETE_ITEM_REQUEST__INIT;
	Kindred__V1__DeleteItemResponse *response;
	request.catalog = catalog;
	request.item_id = id;
	int code = cli_call(cli, SERVICE "DeleteItem", &request, &kindred__v1__delete_item_response__descriptor,
			    &response, err);
	if (code == 0)
		kindred__v1__delete_item_response__free_unpacked(response, NULL);
	return code;
}

static int whole_delete(struct cli *cli, char *catalog, struct error *err)
{
	Kindred__V1__DeleteCatalogRequest request = KINDRED__V1__DELETE_CATALOG_REQUEST__INIT;
	Kindred__V1__DeleteCatalogResponse *response;
	request.name = catalog;
	int code = cli_call(cli, SERVICE "DeleteCatalog", &request, &kindred__v1__delete_catalog_response__descriptor,
			    &response, err);
	if (code == 0)
		kindred__v1__delete_catalog_response__free_unpacked(response, NULL);
	return code;
}

int cmd_catalog_delete(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "yes", OPT_YES, NULL, 0, "Really", 1 },
		{ 0 },
	};
	static const struct cli_spec spec = {
		.arguments = "NAME [ITEM_ID]",
		.prose = "Deletes an item, or a whole catalog that no definition uses."
			 "\v"
			 "Histories keep their events. An item that may come back is better hidden: kindred catalog "
			 "set NAME ITEM_ID "
			 "--hide\n"
			 "\n"
			 "Examples:\n"
			 "  kindred catalog delete shop sku-1047 --yes\n"
			 "  kindred catalog delete shop --yes\n",
		.options = options,
		.parse = yes_option,
		.least = 1,
		.most = 2,
	};
	struct error err;
	char *args[2], what[200];
	bool yes = false;
	int count = cli_parse(cli, &spec, &yes, argc, argv, args);
	if (count == 2)
		snprintf(what, sizeof what, "item '%.60s' of catalog '%.60s'", args[1], args[0]);
	else
		snprintf(what, sizeof what, "catalog '%.60s' with all its items", args[0]);
	int code = cli_confirm(yes, what, &err);
	if (code == 0)
		code = count == 2 ? item_delete(cli, args[0], args[1], &err) : whole_delete(cli, args[0], &err);
	if (code != 0)
		return cli_fail(&err);
	cli_say(cli, "deleted %s", what);
	return 0;
}
