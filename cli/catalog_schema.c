#include "cli/catalog_schema.h"

/* The schema's attributes that the catalog does not have yet; room for PLAN_ATTRIBUTES_MAX. */
static size_t attributes_new(const struct catalog_plan *plan, Kindred__V1__AttributeSchema *storage,
			     Kindred__V1__AttributeSchema **attributes)
{
	size_t count = 0;
	for (size_t i = 0; i <= plan->count; i++) {
		const struct plan_column *column = &plan->columns[i];
		if (column->use != PLAN_ATTRIBUTE || column->known)
			continue;
		kindred__v1__attribute_schema__init(&storage[count]);
		storage[count].name = (char *)column->attribute;
		storage[count].type = column->type;
		attributes[count] = &storage[count];
		count++;
	}
	return count;
}

static int catalog_make(struct cli *cli, const char *name, size_t count, Kindred__V1__AttributeSchema **attributes,
			struct error *err)
{
	Kindred__V1__Catalog catalog = KINDRED__V1__CATALOG__INIT;
	Kindred__V1__CreateCatalogRequest request = KINDRED__V1__CREATE_CATALOG_REQUEST__INIT;
	Kindred__V1__CreateCatalogResponse *response;
	catalog.name = (char *)name;
	catalog.n_attributes = count;
	catalog.attributes = attributes;
	request.catalog = &catalog;
	int code = cli_call(cli, "/kindred.v1.CatalogService/CreateCatalog", &request,
			    &kindred__v1__create_catalog_response__descriptor, &response, err);
	if (code == 0)
		kindred__v1__create_catalog_response__free_unpacked(response, NULL);
	return code;
}

static int attributes_add(struct cli *cli, const char *name, size_t count, Kindred__V1__AttributeSchema **attributes,
			  struct error *err)
{
	Kindred__V1__UpdateCatalogRequest request = KINDRED__V1__UPDATE_CATALOG_REQUEST__INIT;
	Kindred__V1__UpdateCatalogResponse *response;
	request.name = (char *)name;
	request.n_add_attributes = count;
	request.add_attributes = attributes;
	int code = cli_call(cli, "/kindred.v1.CatalogService/UpdateCatalog", &request,
			    &kindred__v1__update_catalog_response__descriptor, &response, err);
	if (code == 0)
		kindred__v1__update_catalog_response__free_unpacked(response, NULL);
	return code;
}

int catalog_schema_send(struct cli *cli, const char *name, const struct catalog_plan *plan, bool exists,
			struct error *err)
{
	Kindred__V1__AttributeSchema storage[PLAN_ATTRIBUTES_MAX], *attributes[PLAN_ATTRIBUTES_MAX];
	size_t count = attributes_new(plan, storage, attributes);
	if (!exists)
		return catalog_make(cli, name, count, attributes, err);
	return count > 0 ? attributes_add(cli, name, count, attributes, err) : 0;
}
