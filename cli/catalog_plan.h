/*
 * What `catalog import` makes of a file's columns: which is the id, the name, the image, and which
 * attribute the others become, of which type; and a row turned into an Item by it. Pure.
 *
 * Call order:  catalog_plan_make -> catalog_plan_schema (when the catalog exists) -> catalog_plan_see
 *         for every row -> catalog_plan_decide -> catalog_plan_item for every row.
 */
#ifndef KINDRED_CLI_CATALOG_PLAN_H
#define KINDRED_CLI_CATALOG_PLAN_H

#include "cli/csv_source.h"
#include "cli/layouts.h"
#include "cli/types.h"
#include "common/arena.h"
#include "common/ids.h"

#define PLAN_ATTRIBUTES_MAX 200
#define ITEM_IMAGE_MAX 2048

struct plan_type { /* --type COL=TYPE */
	const char *column;
	attribute_type type;
};

struct plan_options {
	const char *id, *name, *image; /* columns; NULL: guessed */
	struct plan_type *types;
	size_t type_count;
	const char **ignore;
	size_t ignore_count;
	const char *separator; /* of lists; NULL: the layout's, else "|" */
	struct notation notation;
	const struct layout *layout; /* NULL: none */
};

enum plan_use { PLAN_IGNORED, PLAN_ID, PLAN_NAME, PLAN_IMAGE, PLAN_ATTRIBUTE };

struct plan_column {
	enum plan_use use;
	char attribute[NAME_MAX_BYTES + 1];
	attribute_type type; /* TYPE_NONE until it is given, in the schema, or decided */
	bool given; /* --type */
	bool known; /* in the catalog's schema */
	struct type_counts counts;
};

struct catalog_plan {
	const char *const *names; /* the source's */
	size_t count;
	struct plan_column columns[SOURCE_COLUMNS_MAX + 1]; /* one more for the year made from names */
	int id, name, image; /* columns; -1: none (the id always is) */
	int year; /* the extra column's number; -1: none */
	const char *separator;
	struct notation notation;
	const char *nothing; /* a value that means none; NULL: only the empty one does */
	size_t attributes;
};

/*
 * E_INVALID: no id column can be told, a flag names a column that is not there, more than
 * PLAN_ATTRIBUTES_MAX attributes.
 */
int catalog_plan_make(struct catalog_plan *plan, const char *const *names, size_t count,
		      const struct plan_options *options, struct error *err);
/* "id is 'sku', name is 'title', image is not given" */
void catalog_plan_text(const struct catalog_plan *plan, char *text, size_t room);
#define PLAN_ATTRIBUTE_TEXT_MAX 480
/* "price: number (from Price), as given": of a column whose use is PLAN_ATTRIBUTE. Returns the buffer. */
const char *catalog_plan_attribute_text(const struct catalog_plan *plan, size_t column, char *buffer);
/* Takes over the types of attributes that the catalog has. E_INVALID: --type says another. */
int catalog_plan_schema(struct catalog_plan *plan, const Kindred__V1__Catalog *catalog, struct error *err);

/*
 * Looks at a row's values. Returns 0, or E_INVALID with a text when the row cannot be used whatever its
 * columns' types turn out to be.
 */
int catalog_plan_see(struct catalog_plan *plan, const struct row *row, struct error *err);
/* Chooses types where none is known. Returns how many values may not fit them; 0: all do. */
uint64_t catalog_plan_decide(struct catalog_plan *plan);

/* The row as an Item; all of it in the arena or in the row. E_INVALID: "column 'price': 'abc' is not a number". */
int catalog_plan_item(const struct catalog_plan *plan, const struct row *row, struct arena *arena,
		      Kindred__V1__Item **item, struct error *err);

/* "(1995)" at the end of a name. 0: there is none. */
int name_year(const char *name, size_t bytes);

#endif
