#include "server/registry.h"

#include "common/relation.h"
#include "kindred/internal/link.pb-c.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 1000

static int compare(const char *name, const void *other, size_t bytes)
{
	size_t length = strlen(name);
	int order = memcmp(name, other, length < bytes ? length : bytes);

	return order ? order : (length > bytes) - (length < bytes);
}

/* Where the name is, or would be. */
static size_t place(const struct registry_table *table, const void *name, size_t bytes, bool *found)
{
	size_t low = 0, high = table->count;

	*found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare(table->entries[middle].name, name, bytes);

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

static void entry_fini(struct registry_entry *entry)
{
	free(entry->name);
	free(entry->catalog);
	free(entry->relation);
	buffer_fini(&entry->frame);
}

/* Takes what *entry holds, also when it fails. */
static const struct buffer *table_set(struct registry_table *table, struct registry_entry *entry)
{
	bool found;
	size_t at = place(table, entry->name, strlen(entry->name), &found);

	if (found) {
		entry_fini(&table->entries[at]);
		table->entries[at] = *entry;
		return &table->entries[at].frame;
	}
	if (table->count == table->room) {
		size_t room = table->room ? table->room * 2 : 16;
		struct registry_entry *entries = realloc(table->entries, room * sizeof *entries);

		if (!entries) {
			entry_fini(entry);
			return NULL;
		}
		table->entries = entries;
		table->room = room;
	}
	memmove(table->entries + at + 1, table->entries + at, (table->count - at) * sizeof *table->entries);
	table->entries[at] = *entry;
	table->count++;
	return &table->entries[at].frame;
}

static void table_drop(struct registry_table *table, const char *name)
{
	bool found;
	size_t at = place(table, name, strlen(name), &found);

	if (!found)
		return;
	entry_fini(&table->entries[at]);
	table->count--;
	memmove(table->entries + at, table->entries + at + 1, (table->count - at) * sizeof *table->entries);
}

static void table_fini(struct registry_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		entry_fini(&table->entries[i]);
	free(table->entries);
	*table = (struct registry_table){ 0 };
}

const struct buffer *registry_catalog_set(struct registry *registry, const Kindred__V1__Catalog *catalog,
					  uint64_t first_version)
{
	Kindred__Internal__CatalogSet set = KINDRED__INTERNAL__CATALOG_SET__INIT;
	struct registry_entry entry = { .name = strdup(catalog->name), .version = first_version };

	set.catalog = (Kindred__V1__Catalog *)catalog;
	set.first_version = first_version;
	if (!entry.name || buffer_frame(&entry.frame, FRAME_CATALOG_SET, &set.base)) {
		entry_fini(&entry);
		return NULL;
	}
	return table_set(&registry->catalogs, &entry);
}

const struct buffer *registry_definition_set(struct registry *registry, const Kindred__V1__Definition *definition)
{
	Kindred__Internal__DefinitionSet set = KINDRED__INTERNAL__DEFINITION_SET__INIT;
	struct registry_entry entry = { .name = strdup(definition->name), .catalog = strdup(definition->catalog) };
	char key[RELATION_KEY_MAX];

	set.definition = (Kindred__V1__Definition *)definition;
	entry.version = definition->version;
	relation_key(definition, key);
	entry.relation = strdup(key);
	if (!entry.name || !entry.catalog || !entry.relation ||
	    buffer_frame(&entry.frame, FRAME_DEFINITION_SET, &set.base)) {
		entry_fini(&entry);
		return NULL;
	}
	return table_set(&registry->definitions, &entry);
}

void registry_catalog_drop(struct registry *registry, const char *name)
{
	table_drop(&registry->catalogs, name);
}

void registry_definition_drop(struct registry *registry, const char *name)
{
	table_drop(&registry->definitions, name);
}

static uint64_t version_of(const struct registry_table *table, const void *name, size_t bytes)
{
	bool found;
	size_t at = place(table, name, bytes, &found);

	return found ? table->entries[at].version : 0;
}

uint64_t registry_definition_version(const struct registry *registry, const void *name, size_t bytes)
{
	return version_of(&registry->definitions, name, bytes);
}

uint64_t registry_first_version(const struct registry *registry, const char *catalog)
{
	return version_of(&registry->catalogs, catalog, strlen(catalog));
}

bool registry_lacks(const struct registry *registry, registry_has has, const void *context)
{
	for (size_t i = 0; i < registry->definitions.count; i++) {
		const struct registry_entry *entry = &registry->definitions.entries[i];

		if (!has(context, entry->catalog, registry_first_version(registry, entry->catalog), entry->relation))
			return true;
	}
	return false;
}

static void table_send(const struct registry_table *table, struct link *link)
{
	for (size_t i = 0; i < table->count; i++)
		link_send(link, table->entries[i].frame.data, table->entries[i].frame.bytes);
}

void registry_send(const struct registry *registry, struct link *link)
{
	table_send(&registry->catalogs, link);
	table_send(&registry->definitions, link);
}

static int load_catalog(struct registry *registry, struct control *control, const Kindred__V1__Catalog *catalog,
			struct error *err)
{
	uint64_t first_version;
	int rc = control_catalog_first_version(control, catalog->name, &first_version, err);

	if (!rc && !registry_catalog_set(registry, catalog, first_version))
		rc = error_set(err, E_EXHAUSTED, "out of memory for the catalogs");
	return rc;
}

static int load_catalogs(struct registry *registry, struct control *control, struct error *err)
{
	char after[NAME_MAX_BYTES + 1] = "";
	bool more = true;

	while (more) {
		Kindred__V1__Catalog **catalogs = NULL;
		size_t count = 0;
		int rc = control_catalog_list(control, after, PAGE, &catalogs, &count, &more, err);

		for (size_t i = 0; i < count; i++) {
			if (!rc)
				rc = load_catalog(registry, control, catalogs[i], err);
			strncpy(after, catalogs[i]->name, NAME_MAX_BYTES);
			kindred__v1__catalog__free_unpacked(catalogs[i], NULL);
		}
		free(catalogs);
		if (rc)
			return rc;
	}
	return 0;
}

static int load_definitions(struct registry *registry, struct control *control, struct error *err)
{
	char after[NAME_MAX_BYTES + 1] = "";
	bool more = true;

	while (more) {
		Kindred__V1__Definition **definitions = NULL;
		size_t count = 0;
		int rc = control_definition_list(control, after, PAGE, &definitions, &count, &more, err);

		for (size_t i = 0; i < count; i++) {
			if (!rc && !registry_definition_set(registry, definitions[i]))
				rc = error_set(err, E_EXHAUSTED, "out of memory for the definitions");
			strncpy(after, definitions[i]->name, NAME_MAX_BYTES);
			kindred__v1__definition__free_unpacked(definitions[i], NULL);
		}
		free(definitions);
		if (rc)
			return rc;
	}
	return 0;
}

int registry_load(struct registry *registry, struct control *control, struct error *err)
{
	int rc = load_catalogs(registry, control, err);

	return rc ? rc : load_definitions(registry, control, err);
}

void registry_fini(struct registry *registry)
{
	table_fini(&registry->catalogs);
	table_fini(&registry->definitions);
}
