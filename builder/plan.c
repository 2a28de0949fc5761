#include "builder/plan.h"
#include "common/relation.h"

#include <stdlib.h>
#include <string.h>

#define PORTION 100

/* Makes room for one more element at the end of an array, zeroed. */
static void *grow(void *array_pointer, size_t count, size_t element_bytes)
{
	void *array;
	memcpy(&array, array_pointer, sizeof array);
	array = realloc(array, (count + 1) * element_bytes);
	if (!array)
		return NULL;
	memcpy(array_pointer, &array, sizeof array);
	void *element = (char *)array + count * element_bytes;
	memset(element, 0, element_bytes);
	return element;
}

static int no_memory(struct error *err)
{
	return error_set(err, E_EXHAUSTED, "no memory for the plan of the build");
}

uint16_t plan_type(const struct plan_catalog *catalog, const char *type)
{
	for (size_t t = 0; t < catalog->type_count; t++)
		if (strcmp(catalog->types[t], type) == 0)
			return (uint16_t)t;
	return PLAN_NO_TYPE;
}

static struct plan_catalog *find_catalog(struct plan *plan, const char *name)
{
	for (size_t c = 0; c < plan->catalog_count; c++)
		if (strcmp(plan->catalogs[c].name, name) == 0)
			return &plan->catalogs[c];
	struct plan_catalog *catalog = grow(&plan->catalogs, plan->catalog_count, sizeof *plan->catalogs);
	if (!catalog)
		return NULL;
	plan->catalog_count++;
	catalog->name = strdup(name);
	return catalog->name ? catalog : NULL;
}

static struct plan_relation *find_relation(struct plan_catalog *catalog, const char *key)
{
	for (size_t r = 0; r < catalog->relation_count; r++)
		if (strcmp(catalog->relations[r].key, key) == 0)
			return &catalog->relations[r];
	struct plan_relation *relation = grow(&catalog->relations, catalog->relation_count, sizeof *catalog->relations);
	if (!relation)
		return NULL;
	catalog->relation_count++;
	relation->key = strdup(key);
	return relation->key ? relation : NULL;
}

static int add_name(struct plan_relation *relation, const char *name)
{
	char **place = grow(&relation->definitions, relation->definition_count, sizeof *relation->definitions);
	if (!place || !(*place = strdup(name)))
		return E_EXHAUSTED;
	relation->definition_count++;
	return 0;
}

static int add_type(struct plan_catalog *catalog, const char *type)
{
	if (plan_type(catalog, type) != PLAN_NO_TYPE)
		return 0;
	char **place = grow(&catalog->types, catalog->type_count, sizeof *catalog->types);
	if (!place || !(*place = strdup(type)))
		return E_EXHAUSTED;
	catalog->type_count++;
	return 0;
}

static enum plan_occasion occasion_of(Kindred__V1__Occasion occasion)
{
	return occasion == KINDRED__V1__OCCASION__OCCASION_VISIT   ? OCCASION_VISIT
	       : occasion == KINDRED__V1__OCCASION__OCCASION_AGAIN ? OCCASION_AGAIN
								   : OCCASION_NEXT;
}

static int add_definition(struct plan *plan, const Kindred__V1__Definition *definition)
{
	char key[RELATION_KEY_MAX];
	relation_key(definition, key);
	struct plan_catalog *catalog = find_catalog(plan, definition->catalog);
	struct plan_relation *relation = catalog ? find_relation(catalog, key) : NULL;
	if (!relation || add_name(relation, definition->name))
		return E_EXHAUSTED;
	if (definition->strategy != KINDRED__V1__STRATEGY__STRATEGY_POPULAR)
		relation->learn = true;
	if (definition->model_window && definition->model_window->seconds > 0) {
		int64_t seconds = definition->model_window->seconds;
		relation->window_s = seconds < UINT32_MAX ? (uint32_t)seconds : 0;
	}
	relation->occasion = occasion_of(definition->occasion);
	uint32_t places = definition->count ? definition->count : PLAN_PLACES;
	if (places > relation->places)
		relation->places = places < PLAN_PLACES_MAX ? places : PLAN_PLACES_MAX;
	relation->session_s = definition->session_pause ? (uint32_t)definition->session_pause->seconds : 0;
	for (size_t e = 0; e < definition->n_events; e++)
		if (add_type(catalog, definition->events[e]->type))
			return E_EXHAUSTED;
	return 0;
}

/* Weights are filled once all types of the catalog are numbered. */
static int fill_weights(struct plan *plan, const Kindred__V1__Definition *definition)
{
	char key[RELATION_KEY_MAX];
	relation_key(definition, key);
	struct plan_catalog *catalog = find_catalog(plan, definition->catalog);
	struct plan_relation *relation = find_relation(catalog, key);
	if (relation->weights)
		return 0; /* another definition with the same key */
	relation->weights = calloc(catalog->type_count + 1, sizeof *relation->weights);
	if (!relation->weights)
		return E_EXHAUSTED;
	for (size_t e = 0; e < definition->n_events; e++) {
		float weight = definition->events[e]->weight > 0 ? definition->events[e]->weight : 1;
		relation->weights[plan_type(catalog, definition->events[e]->type)] = weight;
		if (weight > relation->largest)
			relation->largest = weight;
	}
	return 0;
}

static int compare_catalogs(const void *a, const void *b)
{
	const struct plan_catalog *x = a, *y = b;
	return strcmp(x->name, y->name);
}

int plan_from(struct plan *plan, Kindred__V1__Definition *const *definitions, size_t count, struct error *err)
{
	if (count == 0)
		return error_set(err, E_PRECONDITION,
				 "no definitions: nothing to learn; make one with: kindred define");
	for (size_t d = 0; d < count; d++)
		if (add_definition(plan, definitions[d]))
			return no_memory(err);
	for (size_t d = 0; d < count; d++)
		if (fill_weights(plan, definitions[d]))
			return no_memory(err);
	qsort(plan->catalogs, plan->catalog_count, sizeof *plan->catalogs, compare_catalogs);
	return 0;
}

static void free_definitions(Kindred__V1__Definition **definitions, size_t count)
{
	for (size_t d = 0; d < count; d++)
		kindred__v1__definition__free_unpacked(definitions[d], NULL);
	free(definitions);
}

static int read_definitions(struct control *control, Kindred__V1__Definition ***all, size_t *count, struct error *err)
{
	bool more = true;
	const char *after = "";
	while (more) {
		Kindred__V1__Definition **portion = NULL;
		size_t found = 0;
		int code = control_definition_list(control, after, PORTION, &portion, &found, &more, err);
		if (code)
			return code;
		Kindred__V1__Definition **larger = realloc(*all, (*count + found + 1) * sizeof *larger);
		if (!larger) {
			free_definitions(portion, found);
			return no_memory(err);
		}
		*all = larger;
		if (found)
			memcpy(*all + *count, portion, found * sizeof *portion);
		*count += found;
		free(portion);
		if (found == 0)
			break;
		after = (*all)[*count - 1]->name;
	}
	return 0;
}

int plan_make(struct plan *plan, struct control *control, struct error *err)
{
	Kindred__V1__Definition **definitions = NULL;
	size_t count = 0;
	int code = read_definitions(control, &definitions, &count, err);
	if (!code)
		code = plan_from(plan, definitions, count, err);
	free_definitions(definitions, count);
	return code;
}

static void free_relation(struct plan_relation *relation)
{
	free(relation->key);
	free(relation->weights);
	for (size_t d = 0; d < relation->definition_count; d++)
		free(relation->definitions[d]);
	free(relation->definitions);
}

void plan_fini(struct plan *plan)
{
	for (size_t c = 0; c < plan->catalog_count; c++) {
		struct plan_catalog *catalog = &plan->catalogs[c];
		for (size_t r = 0; r < catalog->relation_count; r++)
			free_relation(&catalog->relations[r]);
		free(catalog->relations);
		for (size_t t = 0; t < catalog->type_count; t++)
			free(catalog->types[t]);
		free(catalog->types);
		free(catalog->name);
	}
	free(plan->catalogs);
	*plan = (struct plan){ 0 };
}
