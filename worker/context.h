/*
 * Where a call comes from, as the caller says: the item being looked at, and values of attributes.
 * kindred.v1.RecommendRequest's fields context_item and context. Pure.
 *
 *     context_take per field of the request -> context_resolve with the recipe -> context_matches
 */
#ifndef KINDRED_WORKER_CONTEXT_H
#define KINDRED_WORKER_CONTEXT_H

#include "common/error.h"
#include "common/ids.h"
#include "worker/recipe.h"

#include <stdbool.h>
#include <stdint.h>

#define CONTEXT_VALUES_MAX 8u

struct context_value {
	struct text_view attribute, value; /* of the payload */
	uint32_t number; /* of the attribute in the catalog's schema */
};

struct context {
	struct text_view item; /* id; no bytes: none */
	struct item_key key; /* of it */
	struct context_value values[CONTEXT_VALUES_MAX];
	uint32_t count;
};

static inline bool context_empty(const struct context *context)
{
	return context->item.bytes == 0 && context->count == 0;
}

/* A kindred.v1.ContextValue. E_INVALID: malformed, or more than CONTEXT_VALUES_MAX. */
int context_take(struct context *context, struct text_view message, struct error *err);

/*
 * Finds item and attributes. E_NOT_FOUND: the item is not in the catalog. E_INVALID: the model's
 * generation has no such attribute, or it holds no texts.
 */
int context_resolve(struct context *context, const struct recipe *recipe, struct error *err);

/* Whether the item has all of the values; a list has those that are among its elements. True when there are none. */
bool context_matches(const struct context *context, const struct recipe_item *item);

#endif
