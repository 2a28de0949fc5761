/*
 * A relation of the generation that is served, in the rows of this build's catalog, so that it can be
 * asked like one that was just learnt.
 *
 * Items are found again by their keys. One that the catalog no longer has is left out, as a worker
 * would leave it out; one that the generation does not know has no neighbours and is in no list. Ties
 * of equal scores are broken by the rows of this build.
 *
 * One thread.
 */
#ifndef KINDRED_BUILDER_SERVED_H
#define KINDRED_BUILDER_SERVED_H

#include "builder/space.h"
#include "common/model.h"

struct served {
	struct model_relation relation; /* texts are the generation's; arrays belong to what follows */
	struct space *space;
	struct region offsets, entries, multipliers;
	struct region lists[4]; /* popular and recent: rows, scores */
};

/*
 * catalog, relation: of a model opened in full. keys: [items], of this build's rows. served is to be
 * freed after an error too. E_EXHAUSTED.
 */
int served_make(struct served *served, struct space *space, const struct model_catalog *catalog,
		const struct model_relation *relation, const uint64_t *keys, uint32_t items, struct error *err);
void served_free(struct served *served);

#endif
