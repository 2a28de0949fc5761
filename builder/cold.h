/*
 * Cold items: those with events of fewer than attribute_events users, too few to learn from. They get
 * neighbours from what they share with others (builder/attributes.h), and become neighbours of what
 * they are like:
 *
 *     cold c -> alike j:        likeness(c, j) x attribute_weight x usual x (1 - users(c) / attribute_events),
 *                               added to what was learnt; at most COLD_NEIGHBOURS of them, and no more in
 *                               all than `neighbours`
 *     established e -> cold c:  likeness x attribute_weight x usual, at most half of the least learnt weight of
 *                               e; for the COLD_HOSTS established items that c is most like, and at most
 *                               COLD_PLACES a list, behind what was learnt
 *
 * usual: the median over established items of the weight of their best neighbour. So the order of
 * learnt neighbours stays as it is, and cold items come into lists where little was learnt, where a
 * filter or an exclusion takes the others away, and where a definition lets them explore.
 */
#ifndef KINDRED_BUILDER_COLD_H
#define KINDRED_BUILDER_COLD_H

#include "builder/attributes.h"
#include "builder/cooccur.h"
#include "builder/lists.h"
#include "builder/params.h"

#define COLD_NEIGHBOURS 20u
#define COLD_HOSTS 8u
#define COLD_PLACES 8u

struct cold {
	uint64_t *bits; /* a bit a row: cold; malloced; NULL: nobody asked who is */
	uint32_t *rows; /* the newest of them: changed last in the catalog first; malloced */
	uint32_t count; /* at most MODEL_COLD_MAX */
	uint32_t items; /* cold ones in all */
	struct region by_attributes; /* a bit a neighbour: only by attributes */
	uint64_t added; /* neighbours that only attributes gave */
};

struct cold_input {
	struct space *space;
	const struct attributes *attributes; /* NULL: cold items are found, but nothing is added */
	const uint64_t *versions; /* [items] of the catalog's items, which say what is new */
	const struct lists *lists;
	const struct params *params;
	uint32_t threads;
};

/*
 * The rows, count and items of those with a bit: all of cold that depends on when an item changed, and not on events.
 * cold->rows: nothing before.
 */
int cold_newest(struct cold *cold, const uint64_t *bits, const uint64_t *versions, uint32_t items, struct error *err);
/* Which items are cold. cold is to be freed after an error too. */
int cold_find(struct cold *cold, const struct cold_input *input, struct error *err);
/*
 * Adds the neighbours by attributes: the regions of neighbours (but scores) and weights are replaced
 * when there are any. After cold_find.
 */
int cold_join(struct cold *cold, const struct cold_input *input, struct neighbours *neighbours, struct region *weights,
	      struct error *err);
void cold_free(struct space *space, struct cold *cold);

#endif
