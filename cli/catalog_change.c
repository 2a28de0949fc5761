/* `kindred catalog set` and `kindred catalog delete`. */
#include "cli/catalog.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/item_value.h"
#include "common/message_json.h"

#include <stdio.h>
#include <string.h>

#define SERVICE "/kindred.v1.CatalogService/"

enum { OPT_HIDE = 0x5000, OPT_SHOW, OPT_NAME, OPT_IMAGE, OPT_YES };

/* --- set --- */

static error_t set_option(int key, char *value, struct argp_state *state)
{
	Kindred__V1__UpdateItemRequest *request = state->input;
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
	const struct field field = { .text = value, .bytes = strlen(value) };
	const struct notation notation = { .fixed = true };
	int code = attribute_parse(attribute, schema->type, &field, "|", &notation, arena, err);
	return code == 0 ? 0 : error_prefix(err, "%s", text);
}

static int set_send(struct cli *cli, Kindred__V1__UpdateItemRequest *request, int count, char **args,
		    struct arena *arena, struct error *err)
{
	Kindred__V1__Attribute *attributes[CLI_ARGS_MAX];
	char *cleared[CLI_ARGS_MAX];
	Kindred__V1__GetCatalogResponse *catalog;
	Kindred__V1__UpdateItemResponse *response;
	request->catalog = args[0];
	request->item_id = args[1];
	request->set_attributes = attributes;
	request->clear_attributes = cleared;
	int code = catalog_fetch(cli, args[0], &catalog, err);
	if (code != 0)
		return code;
	for (int i = 2; i < count && code == 0; i++)
		code = assignment(request, catalog->catalog, args[i], arena, err);
	kindred__v1__get_catalog_response__free_unpacked(catalog, NULL);
	if (code == 0)
		code = cli_call(cli, SERVICE "UpdateItem", request, &kindred__v1__update_item_response__descriptor,
				&response, err);
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
	Kindred__V1__UpdateItemRequest request = KINDRED__V1__UPDATE_ITEM_REQUEST__INIT;
	struct error err;
	struct arena arena;
	char *args[CLI_ARGS_MAX];
	int count = cli_parse(cli, &spec, &request, argc, argv, args);
	int code = arena_init(&arena, 4096, 0);
	if (code != 0) {
		error_set(&err, code, "no memory");
		return cli_fail(&err);
	}
	code = set_send(cli, &request, count, args, &arena, &err);
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
	if (cli->json)
		return json_print(json_pack("{s:s, s:s*, s:b}", "catalog", args[0], "item_id",
					    count == 2 ? args[1] : NULL, "deleted", 1),
				  false);
	cli_say(cli, "deleted %s", what);
	return 0;
}
