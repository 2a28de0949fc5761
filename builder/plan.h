/*
 * The plan of a build: which catalogs and relations the definitions need, read from the control store.
 */
#ifndef KINDRED_BUILDER_PLAN_H
#define KINDRED_BUILDER_PLAN_H

#include "common/control.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAN_NO_TYPE UINT16_MAX
#define PLAN_PLACES 20u /* of a definition that does not say how many items it shows */
#define PLAN_PLACES_MAX 100u

/* When a recommendation is shown; builder/questions.h says what is asked for each. */
enum plan_occasion { OCCASION_NEXT, OCCASION_AGAIN, OCCASION_VISIT };

struct plan_relation {
	char *key; /* common/relation.h */
	enum plan_occasion occasion;
	uint32_t places; /* the most that a definition shows, at most PLAN_PLACES_MAX; 0: PLAN_PLACES */
	bool learn; /* false: only popularity is asked for */
	uint32_t window_s; /* 0: all */
	uint32_t session_s; /* a pause that ends a session; 0: not said */
	float *weights; /* by number of the type in the catalog's list; 0: not of this relation */
	float largest; /* of the weights */
	char **definitions;
	size_t definition_count;
};

struct plan_catalog {
	char *name;
	char **types; /* event types that any relation uses, in the order of the definitions */
	size_t type_count;
	struct plan_relation *relations; /* in the order of the definitions */
	size_t relation_count;
};

struct plan {
	struct plan_catalog *catalogs; /* those that have definitions, in order of name */
	size_t catalog_count;
};

/* E_PRECONDITION: no definitions. All zero before; plan_fini frees also after an error. */
int plan_make(struct plan *plan, struct control *control, struct error *err);
/* The same from definitions given (newest versions, in order of name). */
int plan_from(struct plan *plan, Kindred__V1__Definition *const *definitions, size_t count, struct error *err);
void plan_fini(struct plan *plan);

/* PLAN_NO_TYPE: no relation of the catalog uses it. */
uint16_t plan_type(const struct plan_catalog *catalog, const char *type);

#endif
