/*
 * The overlay: what changed in a catalog since a generation was built, so that a change of price, stock or
 * visibility acts on the next call. One a catalog and loaded generation; asked before the generation's own
 * columns. Pure (memory only); loop thread.
 *
 * Only changes newer than the catalog's version in the generation are taken, and per item only newer over
 * older: the order and number of times in which changes come do not matter.
 */
#ifndef KINDRED_WORKER_OVERLAY_H
#define KINDRED_WORKER_OVERLAY_H

#include "common/error.h"
#include "common/filter.h"
#include "common/model.h"
#include "kindred/internal/link.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

struct overlay_value {
	uint32_t attribute; /* index in the catalog's schema */
	struct value value;
};

/* An item as it is now. Lives until the next overlay_set of it, overlay_clear or overlay_free. */
struct overlay_item {
	struct item_key key;
	uint64_t version;
	bool hidden, deleted; /* a deleted one carries nothing else */
	struct text_view name, image;
	uint32_t value_count;
	struct overlay_value values[];
};

struct overlay {
	const struct model_catalog *catalog;
	uint64_t *changed; /* a bit a row; NULL: nothing changed */
	struct overlay_item **table; /* by key, open addressing */
	uint32_t count, mask;
};

/* catalog: lives longer than the overlay. */
void overlay_init(struct overlay *overlay, const struct model_catalog *catalog);
void overlay_fini(struct overlay *overlay);
/* As if nothing had changed. */
void overlay_clear(struct overlay *overlay);

/*
 * Takes a change in; older ones are ignored. schema: the catalog's, as of now; attributes that it has not
 * (or with another type) are left out. 0 or E_EXHAUSTED.
 */
int overlay_set(struct overlay *overlay, const struct filter_attribute *schema, uint32_t schema_count,
		const Kindred__Internal__ItemSet *change, struct error *err);

/* NULL: unchanged. Items that the generation does not have can be found too. */
const struct overlay_item *overlay_find(const struct overlay *overlay, struct item_key key);

static inline const struct overlay_item *overlay_row(const struct overlay *overlay, uint32_t row)
{
	if (!overlay->changed || !(overlay->changed[row / 64] >> row % 64 & 1))
		return NULL;
	return overlay_find(overlay, (struct item_key){ overlay->catalog->keys[row] });
}

/* VALUE_MISSING when the item has none. */
struct value overlay_value(const struct overlay_item *item, uint32_t attribute);

#endif
