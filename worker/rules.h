/*
 * What the server told this worker to serve: catalogs (names and schemas) and definitions, newest versions.
 * Loop thread; memory only.
 *
 * A definition's recipes (worker/recipe.h) hang on it and are thrown away, to be made again by the next
 * call, whenever the definition, its catalog or the active generation changes, or a generation is dropped.
 */
#ifndef KINDRED_WORKER_RULES_H
#define KINDRED_WORKER_RULES_H

#include "common/error.h"
#include "common/filter.h"
#include "common/ids.h"
#include "kindred/v1/catalogs.pb-c.h"
#include "kindred/v1/definitions.pb-c.h"

#include <stddef.h>
#include <stdint.h>

struct recipe;

struct catalog {
	char *name;
	struct catalog_seed seed;
	uint64_t first_version; /* that it was made with; what is older is of a deleted catalog of this name */
	struct filter_attribute *attributes; /* the schema */
	uint32_t attribute_count;
};

struct definition {
	Kindred__V1__Definition *message; /* owned; malloc */
	/*
	 * Of the generations asked for last, the newer question first: the active one, and one that
	 * calls are pinned to.
	 */
	struct recipe *recipes[2];
};

struct rules {
	struct catalog **catalogs; /* by name */
	size_t catalog_count;
	struct definition **definitions; /* by name */
	size_t definition_count;
};

void rules_fini(struct rules *rules);

/* 0 or E_EXHAUSTED. A catalog that was there is replaced. */
int rules_catalog_set(struct rules *rules, const Kindred__V1__Catalog *message, uint64_t first_version,
		      struct error *err);
void rules_catalog_drop(struct rules *rules, const char *name);
/* The message is owned by the rules from here, also after an error. */
int rules_definition_set(struct rules *rules, Kindred__V1__Definition *message, struct error *err);
void rules_definition_drop(struct rules *rules, const char *name);
/* All recipes are to be made again. */
void rules_forget_recipes(struct rules *rules);

/* NULL: none of that name. They live until they are set or dropped. */
const struct catalog *rules_catalog(const struct rules *rules, const char *name, size_t bytes);
struct definition *rules_definition(const struct rules *rules, const char *name, size_t bytes);

#endif
