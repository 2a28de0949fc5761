/*
 * A recipe: a definition made ready to be served from one generation. The relation is found, the filter
 * compiled and its attributes mapped to the generation's columns, event types have their weights, so that a
 * call only looks things up. Made at the first call after its definition, its catalog or the active
 * generation changed; immutable then (but for what it learns of type numbers). It holds its generation and
 * copies what it needs of the definition, so a long call ends as it began. Loop thread.
 */
#ifndef KINDRED_WORKER_RECIPE_H
#define KINDRED_WORKER_RECIPE_H

#include "common/error.h"
#include "common/filter.h"
#include "common/model.h"
#include "common/shard.h"
#include "worker/generations.h"
#include "worker/rules.h"

#include <stdbool.h>
#include <stdint.h>

#define RECIPE_COUNT_MAX 1000
#define RECIPE_COUNT_DEFAULT 20

/*
 * What an event type means to a definition: the low bits its weight in the profile (Q12, 0: none), and
 * whether its items are excluded.
 */
#define RECIPE_WEIGHT 0x1fffu
#define RECIPE_EXCLUDES 0x8000u

struct recipe_type {
	char name[EVENT_TYPE_MAX + 1];
	uint16_t rule;
};

/* A shard's numbers of the types. */
struct recipe_shard {
	uint32_t unknown; /* types the shard has not seen yet */
	uint16_t rule[SHARD_TYPES_MAX]; /* by number; 0: the type is nothing to this definition */
};

struct recipe {
	uint32_t refs;
	struct generation *generation; /* held */
	const struct model_catalog *catalog;
	const struct model_relation *relation; /* as this definition is served from it: `served`, or the model's own */
	struct model_relation served; /* the model's with another self weight (Definition.repeat) */
	const struct overlay *overlay;
	uint64_t definition_version;
	bool personal; /* STRATEGY_ITEM_TO_ITEM */
	bool exclude_seen; /* in the lookback */
	bool exclude_any; /* some type excludes, over the whole history */
	bool fill, fill_recent, fill_unfiltered; /* the fallback */
	uint32_t explore; /* share of the places for cold items, in millionths */
	uint32_t count; /* of items when the call does not say */
	int64_t lookback_ms; /* 0: all */
	struct filter *filter;
	bool filter_last; /* it reads the user's last item */
	struct catalog_seed seed; /* of item keys */
	uint8_t *standings; /* two bits a row: enum recipe_standing, as it was built; filled as rows are asked for */
	uint32_t *columns; /* [column_count] by index in the schema: column of the generation, or RECIPE_NO_COLUMN */
	uint32_t column_count;
	struct recipe_type *types;
	uint32_t type_count;
	struct recipe_shard **shards; /* [shard_count], made when first needed */
	uint32_t shard_count;
};
#define RECIPE_NO_COLUMN UINT32_MAX

/*
 * E_PRECONDITION: the generation does not serve this definition (built before it was made or changed); the
 * text says what to do. E_INTERNAL: the filter does not compile against the catalog, which control.c has
 * checked. E_EXHAUSTED. One reference is the caller's.
 */
int recipe_make(struct recipe **recipe, const Kindred__V1__Definition *definition, const struct catalog *catalog,
		struct generation *generation, uint32_t shard_count, struct error *err);
void recipe_ref(struct recipe *recipe);
void recipe_unref(struct recipe *recipe);

/*
 * The recipe of a definition, made if need be; borrowed until the next frame (recipe_ref keeps it).
 * generation NULL: none is active. E_INVALID, E_NOT_FOUND, E_PRECONDITION with texts for the caller.
 */
int recipe_find(struct recipe **recipe, struct rules *rules, struct generation *generation, uint32_t shard_count,
		const char *name, size_t bytes, struct error *err);

/*
 * Rules by type number of a shard of this worker; of SHARD_TYPES_MAX entries. reader: of that shard, in a
 * transaction. NULL: no memory.
 */
const uint16_t *recipe_rules(struct recipe *recipe, uint32_t shard, struct shard_reader *reader);

/* --- items, as they are now --- */

/* An item for filter_get: a row with its change, if any. */
struct recipe_item {
	const struct recipe *recipe;
	uint32_t row; /* MODEL_NO_ROW: not in the generation; change is not NULL then */
	const struct overlay_item *change; /* NULL: as it was built */
};

/*
 * How an item stands before any user is looked at. A filter that reads the user's last item is left
 * out: it has to be asked for each user, of rows that stand RECIPE_SHOWN.
 */
enum recipe_standing { RECIPE_UNKNOWN, RECIPE_SHOWN, RECIPE_FILTERED, RECIPE_UNAVAILABLE };
enum recipe_standing recipe_standing_now(const struct recipe_item *item);
enum recipe_standing recipe_standing_learn(struct recipe *recipe, uint32_t row);
/* RECIPE_UNKNOWN: not found out yet. */
static inline enum recipe_standing recipe_standing_known(const struct recipe *recipe, uint32_t row)
{
	return (enum recipe_standing)(recipe->standings[row / 4] >> row % 4 * 2 & 3);
}
/* Of a row that has not changed since it was built; found out once. */
static inline enum recipe_standing recipe_standing(struct recipe *recipe, uint32_t row)
{
	enum recipe_standing standing = recipe_standing_known(recipe, row);
	return standing ? standing : recipe_standing_learn(recipe, row);
}

struct value recipe_value(const void *item, uint32_t attribute);
bool recipe_available(const struct recipe *recipe, uint32_t row, const struct overlay_item *change);
struct text_view recipe_item_name(const struct recipe *recipe, uint32_t row);
struct text_view recipe_item_image(const struct recipe *recipe, uint32_t row);

#endif
