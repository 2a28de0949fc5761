/*
 * What did not change is not learnt again. A relation whose fingerprint (fingerprint.h) is that of the active
 * generation's would come out with the same bytes: so it is taken from there, neighbours, lists, season, trend and
 * figures, and only what depends on more than the fingerprint is done anew (the order of new items).
 *
 *     reuse_open -> { reuse_take for each relation } -> publish -> reuse_close
 *
 * What was taken points into the active generation's file, which stays mapped till reuse_close. Not taken is, besides
 * what has another fingerprint: a relation that a refresh has counted anew (refresh.c), one of a generation that is
 * damaged or was made by a builder without fingerprints. One thread.
 */
#ifndef KINDRED_BUILDER_REUSE_H
#define KINDRED_BUILDER_REUSE_H

#include "builder/evaluate.h"
#include "builder/fingerprint.h"
#include "builder/learn.h"
#include "common/datadir.h"

#include <jansson.h>

struct reuse {
	const struct model *served; /* NULL: nothing can be taken */
	struct model *own; /* served, when nobody else has opened it */
	json_t *meta; /* served's */
};

/*
 * served: the active generation, opened in full, which outlives the reuse; NULL: it is opened here. One that cannot
 * be read is no reason not to build: it is logged, and everything is learnt.
 */
void reuse_open(struct reuse *reuse, const struct datadir *dir, const struct model *served);
void reuse_close(struct reuse *reuse);

/* A relation as this build would learn it. */
struct reuse_wanted {
	const char *catalog;
	const struct plan_relation *relation;
	uint32_t items;
	const uint64_t *versions; /* [items] of the catalog's items, which say what is new */
	const struct fingerprint *fingerprint;
};

/* What was found of it. */
struct reused {
	uint64_t since; /* the generation that learnt it; 0: it is to be learnt */
	uint64_t from; /* the generation it was taken from */
	json_t *notes; /* of the metadata, the caller's: as they were, with "reused" */
};

/*
 * Fills learned->relation, with the evaluation in it and without the gate, and the evaluation's figures and time; to
 * be freed by learned_free. E_EXHAUSTED.
 */
int reuse_take(const struct reuse *reuse, const struct reuse_wanted *wanted, struct learned *learned,
	       struct evaluation *evaluation, struct reused *out, struct error *err);

#endif
