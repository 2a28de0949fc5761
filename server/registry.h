/*
 * What the workers must know of the control store, kept in the server's memory: the catalogs and the
 * newest version of each definition, each as the frame that a starting worker is sent. Also answers,
 * without touching a disk, which version of a definition is the newest and which relations the
 * definitions need. Kept up to date by catalogs.c and definitions.c after each commit. Loop thread.
 */
#ifndef KINDRED_SERVER_REGISTRY_H
#define KINDRED_SERVER_REGISTRY_H

#include "common/control.h"
#include "server/buffer.h"
#include "server/link.h"

#include <stdbool.h>

struct registry_entry {
	char *name;
	char *catalog; /* definitions */
	char *relation; /* definitions: common/relation.h */
	uint64_t version; /* of definitions the newest, of catalogs the first */
	struct buffer frame; /* FRAME_CATALOG_SET or FRAME_DEFINITION_SET */
};

struct registry_table {
	struct registry_entry *entries; /* by name */
	size_t count, room;
};

struct registry {
	struct registry_table catalogs, definitions;
};

/* Reads everything; before the loop runs. */
int registry_load(struct registry *registry, struct control *control, struct error *err);
void registry_fini(struct registry *registry);

/*
 * All return the entry's frame, to be sent to the workers, or NULL without memory. first_version:
 * control_catalog_first_version's.
 */
const struct buffer *registry_catalog_set(struct registry *registry, const Kindred__V1__Catalog *catalog,
					  uint64_t first_version);
const struct buffer *registry_definition_set(struct registry *registry, const Kindred__V1__Definition *definition);
void registry_catalog_drop(struct registry *registry, const char *name);
void registry_definition_drop(struct registry *registry, const char *name);

/* 0: there is no such definition. */
uint64_t registry_definition_version(const struct registry *registry, const void *name, size_t bytes);
uint64_t registry_first_version(const struct registry *registry, const char *catalog);
/* Whether there is the relation, learnt from this version of the catalog or a later one. */
typedef bool (*registry_has)(const void *context, const char *catalog, uint64_t first_version, const char *relation);
/* Whether `has` is false for the relation of some definition. */
bool registry_lacks(const struct registry *registry, registry_has has, const void *context);
/* Every catalog, then every definition. */
void registry_send(const struct registry *registry, struct link *link);

#endif
