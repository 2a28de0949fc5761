#include "worker/rules.h"
#include "worker/recipe.h"

#include <stdlib.h>
#include <string.h>

/* --- arrays of pointers ordered by name --- */

static const char *catalog_name(const void *element)
{
	return ((const struct catalog *)element)->name;
}

static const char *definition_name(const void *element)
{
	return ((const struct definition *)element)->message->name;
}

/* The bytes asked for may be anything a client sent, NUL among them. */
static int compare(const char *there, const char *name, size_t bytes)
{
	size_t there_bytes = strlen(there);
	int order = memcmp(there, name, there_bytes < bytes ? there_bytes : bytes);
	if (order)
		return order;
	return there_bytes < bytes ? -1 : there_bytes > bytes;
}

/* The index of the name, or where it would be inserted. */
static size_t find(void *const *array, size_t count, const char *(*name_of)(const void *), const char *name,
		   size_t bytes, bool *found)
{
	size_t low = 0, high = count;
	*found = false;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = compare(name_of(array[middle]), name, bytes);
		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool insert(void ***array, size_t *count, size_t at, void *element)
{
	void **larger = realloc(*array, (*count + 1) * sizeof **array);
	if (!larger)
		return false;
	memmove(larger + at + 1, larger + at, (*count - at) * sizeof *larger);
	larger[at] = element;
	*array = larger;
	++*count;
	return true;
}

static void take_out(void **array, size_t *count, size_t at)
{
	memmove(array + at, array + at + 1, (--*count - at) * sizeof *array);
}

/* --- catalogs --- */

static void catalog_free(struct catalog *catalog)
{
	if (!catalog)
		return;
	for (uint32_t i = 0; catalog->attributes && i < catalog->attribute_count; i++)
		free((char *)catalog->attributes[i].name);
	free(catalog->attributes);
	free(catalog->name);
	free(catalog);
}

static struct catalog *catalog_new(const Kindred__V1__Catalog *message)
{
	struct catalog *catalog = calloc(1, sizeof *catalog);
	if (!catalog)
		return NULL;
	catalog->name = strdup(message->name);
	catalog->attributes = calloc(message->n_attributes + 1, sizeof *catalog->attributes);
	catalog->attribute_count = (uint32_t)message->n_attributes;
	bool complete = catalog->name && catalog->attributes;
	for (size_t i = 0; i < message->n_attributes && complete; i++) {
		const Kindred__V1__AttributeSchema *attribute = message->attributes[i];
		catalog->attributes[i].name = strdup(attribute->name);
		catalog->attributes[i].type = (enum value_type)attribute->type;
		complete = catalog->attributes[i].name != NULL;
	}
	if (!complete) {
		catalog_free(catalog);
		return NULL;
	}
	catalog->seed = catalog_seed(message->name, strlen(message->name));
	return catalog;
}

static void forget_recipe(struct definition *definition)
{
	for (size_t i = 0; i < sizeof definition->recipes / sizeof definition->recipes[0]; i++) {
		if (definition->recipes[i])
			recipe_unref(definition->recipes[i]);
		definition->recipes[i] = NULL;
	}
}

static void forget_recipes_of(struct rules *rules, const char *catalog)
{
	for (size_t i = 0; i < rules->definition_count; i++)
		if (strcmp(rules->definitions[i]->message->catalog, catalog) == 0)
			forget_recipe(rules->definitions[i]);
}

int rules_catalog_set(struct rules *rules, const Kindred__V1__Catalog *message, uint64_t first_version,
		      struct error *err)
{
	bool found;
	size_t at = find((void *const *)rules->catalogs, rules->catalog_count, catalog_name, message->name,
			 strlen(message->name), &found);
	struct catalog *catalog = catalog_new(message);
	if (!catalog)
		return error_set(err, E_EXHAUSTED, "catalog '%s': no memory", message->name);
	catalog->first_version = first_version;
	if (found) {
		catalog_free(rules->catalogs[at]);
		rules->catalogs[at] = catalog;
	} else if (!insert((void ***)&rules->catalogs, &rules->catalog_count, at, catalog)) {
		catalog_free(catalog);
		return error_set(err, E_EXHAUSTED, "catalog '%s': no memory", message->name);
	}
	forget_recipes_of(rules, message->name);
	return 0;
}

void rules_catalog_drop(struct rules *rules, const char *name)
{
	bool found;
	size_t at =
		find((void *const *)rules->catalogs, rules->catalog_count, catalog_name, name, strlen(name), &found);
	if (!found)
		return;
	forget_recipes_of(rules, name);
	catalog_free(rules->catalogs[at]);
	take_out((void **)rules->catalogs, &rules->catalog_count, at);
}

const struct catalog *rules_catalog(const struct rules *rules, const char *name, size_t bytes)
{
	bool found;
	size_t at = find((void *const *)rules->catalogs, rules->catalog_count, catalog_name, name, bytes, &found);
	return found ? rules->catalogs[at] : NULL;
}

/* --- definitions --- */

static void definition_free(struct definition *definition)
{
	forget_recipe(definition);
	kindred__v1__definition__free_unpacked(definition->message, NULL);
	free(definition);
}

int rules_definition_set(struct rules *rules, Kindred__V1__Definition *message, struct error *err)
{
	bool found;
	size_t at = find((void *const *)rules->definitions, rules->definition_count, definition_name, message->name,
			 strlen(message->name), &found);
	struct definition *definition = calloc(1, sizeof *definition);
	if (definition)
		definition->message = message;
	if (definition && found) {
		definition_free(rules->definitions[at]);
		rules->definitions[at] = definition;
		return 0;
	}
	if (definition && insert((void ***)&rules->definitions, &rules->definition_count, at, definition))
		return 0;
	int code = error_set(err, E_EXHAUSTED, "definition '%s': no memory", message->name);
	free(definition);
	kindred__v1__definition__free_unpacked(message, NULL);
	return code;
}

void rules_definition_drop(struct rules *rules, const char *name)
{
	bool found;
	size_t at = find((void *const *)rules->definitions, rules->definition_count, definition_name, name,
			 strlen(name), &found);
	if (!found)
		return;
	definition_free(rules->definitions[at]);
	take_out((void **)rules->definitions, &rules->definition_count, at);
}

struct definition *rules_definition(const struct rules *rules, const char *name, size_t bytes)
{
	bool found;
	size_t at =
		find((void *const *)rules->definitions, rules->definition_count, definition_name, name, bytes, &found);
	return found ? rules->definitions[at] : NULL;
}

void rules_forget_recipes(struct rules *rules)
{
	for (size_t i = 0; i < rules->definition_count; i++)
		forget_recipe(rules->definitions[i]);
}

void rules_fini(struct rules *rules)
{
	for (size_t i = 0; i < rules->definition_count; i++)
		definition_free(rules->definitions[i]);
	for (size_t i = 0; i < rules->catalog_count; i++)
		catalog_free(rules->catalogs[i]);
	free(rules->definitions);
	free(rules->catalogs);
	memset(rules, 0, sizeof *rules);
}
