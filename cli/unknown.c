#include "cli/unknown.h"

#include "cli/text.h"
#include "kindred/v1/catalogs.pb-c.h"
#include "kindred/v1/models.pb-c.h"
#include "kindred/v1/status.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define GENERATIONS_PAGE 100
#define CATALOGS "/kindred.v1.CatalogService/"
#define NAMES_BYTES 200

/* --- event types --- */

static bool is_known(const Kindred__V1__GetStatusResponse *status, const char *type)
{
	for (size_t i = 0; i < status->n_event_types; i++)
		if (strcmp(status->event_types[i], type) == 0)
			return true;
	return false;
}

/* The type that is the same but for upper and lower case; NULL: there is none. */
static const char *type_alike(const Kindred__V1__GetStatusResponse *status, const char *type)
{
	for (size_t i = 0; i < status->n_event_types; i++)
		if (strcasecmp(status->event_types[i], type) == 0)
			return status->event_types[i];
	return NULL;
}

static void type_check(const struct cli *cli, const Kindred__V1__GetStatusResponse *status, const char *type)
{
	char known[NAMES_BYTES];
	const char *alike = type_alike(status, type);
	if (is_known(status, type))
		return;
	if (alike != NULL)
		cli_say(cli, "warning: no event of type '%s' was ever sent; do you mean '%s'?", type, alike);
	else
		cli_say(cli, "warning: no event of type '%s' was ever sent; types that were: %s", type,
			text_names(status->event_types, status->n_event_types, known, sizeof known));
}

void unknown_types_warn(struct cli *cli, const Kindred__V1__Definition *definition)
{
	Kindred__V1__GetStatusRequest request = KINDRED__V1__GET_STATUS_REQUEST__INIT;
	Kindred__V1__GetStatusResponse *status = NULL;
	struct error err;
	if (cli->quiet || cli_call(cli, "/kindred.v1.StatusService/GetStatus", &request,
				   &kindred__v1__get_status_response__descriptor, &status, &err) != 0)
		return;
	for (size_t i = 0; i < definition->n_events && status->n_event_types > 0; i++)
		type_check(cli, status, definition->events[i]->type);
	for (size_t i = 0; i < definition->n_exclude_events && status->n_event_types > 0; i++)
		type_check(cli, status, definition->exclude_events[i]);
	kindred__v1__get_status_response__free_unpacked(status, NULL);
}

/* --- items --- */

/* The id of one of the catalog's items, as an example. False: it has none, or cannot be asked. */
static bool item_of_catalog(struct cli *cli, const char *catalog, char *id, size_t room)
{
	Kindred__V1__ListItemsRequest request = KINDRED__V1__LIST_ITEMS_REQUEST__INIT;
	Kindred__V1__ListItemsResponse *response = NULL;
	struct error err;
	request.catalog = (char *)catalog;
	request.page_size = 1;
	if (cli_call(cli, CATALOGS "ListItems", &request, &kindred__v1__list_items_response__descriptor, &response,
		     &err) != 0)
		return false;
	bool found = response->n_items > 0;
	if (found)
		snprintf(id, room, "%s", response->items[0]->id);
	kindred__v1__list_items_response__free_unpacked(response, NULL);
	return found;
}

static int item_ask(struct cli *cli, const char *catalog, const char *item)
{
	Kindred__V1__GetItemRequest request = KINDRED__V1__GET_ITEM_REQUEST__INIT;
	Kindred__V1__GetItemResponse *response = NULL;
	struct error err;
	request.catalog = (char *)catalog;
	request.item_id = (char *)item;
	int code = cli_call(cli, CATALOGS "GetItem", &request, &kindred__v1__get_item_response__descriptor, &response,
			    &err);
	if (code == 0)
		kindred__v1__get_item_response__free_unpacked(response, NULL);
	return code;
}

void unknown_items_warn(struct cli *cli, const char *catalog, const char *const *items, size_t count)
{
	char example[1024];
	const char *first = NULL;
	size_t missing = 0;
	if (cli->quiet || count == 0 || !item_of_catalog(cli, catalog, example, sizeof example))
		return;
	for (size_t i = 0; i < count; i++) {
		int code = item_ask(cli, catalog, items[i]);
		if (code != 0 && code != E_NOT_FOUND)
			return;
		if (code != 0 && missing++ == 0)
			first = items[i];
	}
	if (missing * 2 <= count)
		return;
	if (count == 1)
		cli_say(cli,
			"warning: catalog '%s' has no item '%s', whose events count once it has; its ids are such as "
			"'%s'",
			catalog, first, example);
	else
		cli_say(cli,
			"warning: %zu of %zu items of these events that were looked up are not in catalog '%s', such "
			"as '%s'; its ids are such as '%s'. Events count once their items are in the catalog",
			missing, count, catalog, first, example);
}

/* --- relations --- */

static bool is_popular(struct cli *cli, const char *definition)
{
	Kindred__V1__GetDefinitionRequest request = KINDRED__V1__GET_DEFINITION_REQUEST__INIT;
	Kindred__V1__GetDefinitionResponse *response = NULL;
	struct error err;
	request.name = (char *)definition;
	if (cli_call(cli, "/kindred.v1.DefinitionService/GetDefinition", &request,
		     &kindred__v1__get_definition_response__descriptor, &response, &err) != 0)
		return true;
	bool popular = response->definition->strategy == KINDRED__V1__STRATEGY__STRATEGY_POPULAR;
	kindred__v1__get_definition_response__free_unpacked(response, NULL);
	return popular;
}

static void relation_check(struct cli *cli, const Kindred__V1__Relation *relation, uint64_t generation)
{
	char names[NAMES_BYTES];
	text_names(relation->definitions, relation->n_definitions, names, sizeof names);
	if (relation->events == 0) {
		cli_say(cli,
			"warning: %s of %s learnt from no event: none of its types and its window has an item of the "
			"catalog. Compare `kindred events list USER` and `kindred catalog items %s`",
			names, relation->catalog, relation->catalog);
		return;
	}
	if (relation->neighbours > 0)
		return;
	for (size_t i = 0; i < relation->n_definitions; i++)
		if (is_popular(cli, relation->definitions[i]))
			return;
	cli_say(cli,
		"warning: %s of %s found no two items that go together, so that only what is popular is recommended: "
		"too few users, or sessions, have several items (kindred model show %" PRIu64 ")",
		names, relation->catalog, generation);
}

void unlearnt_warn(struct cli *cli, uint64_t generation)
{
	Kindred__V1__ListGenerationsRequest request = KINDRED__V1__LIST_GENERATIONS_REQUEST__INIT;
	Kindred__V1__ListGenerationsResponse *response = NULL;
	struct error err;
	request.page_size = GENERATIONS_PAGE;
	if (cli->quiet || cli_call(cli, "/kindred.v1.ModelService/ListGenerations", &request,
				   &kindred__v1__list_generations_response__descriptor, &response, &err) != 0)
		return;
	for (size_t i = 0; i < response->n_generations; i++)
		for (size_t k = 0;
		     response->generations[i]->number == generation && k < response->generations[i]->n_relations; k++)
			relation_check(cli, response->generations[i]->relations[k], generation);
	kindred__v1__list_generations_response__free_unpacked(response, NULL);
}
