/*
 * What a relation was learnt from and how, in 128 bits: two builds with the same fingerprint of a relation make the
 * same bytes of it. That is XXH3 over all that learn.h, evaluate.h and tune.h read:
 *
 *     of the catalog    its items' keys in the order of rows, their names, values of strings and lists; every event of
 *                       it with row, time, type and own weight, users one after the other
 *     of the relation   its key, weights of event types, window, session, occasion, places, whether it is learnt
 *     the parameters    of builder/params.h, all of them
 *     the learner       the sources of builder/ and common/ (common/version.cmake)
 *
 * Not in it, because nothing learnt depends on it: the time of day (T is the newest event), threads, memory; numbers,
 * booleans, timestamps, images of items, whether they are hidden; when an item changed, which orders the new ones
 * (cold.h) and is done anew each time. Anything else that learning begins to read has to be put in.
 *
 * A pass over the events, once a catalog: some gigabytes a second. Any thread.
 */
#ifndef KINDRED_BUILDER_FINGERPRINT_H
#define KINDRED_BUILDER_FINGERPRINT_H

#include "builder/params.h"
#include "builder/plan.h"
#include "builder/scan.h"
#include "common/error.h"
#include "common/model.h"

#include <stdint.h>

#define FINGERPRINT_TEXT 33u /* 32 hexadecimal digits and the end */

struct fingerprint {
	uint64_t low, high;
};

/*
 * What all relations of a catalog share; for fingerprint_relation. first_version: control_catalog_first_version's, so
 * that a catalog that was made anew is another one. E_EXHAUSTED.
 */
int fingerprint_catalog(struct fingerprint *out, const struct events *events, const struct model_catalog *catalog,
			uint64_t first_version, struct error *err);
/* Learnt with these parameters. plan: the relation's catalog. E_EXHAUSTED. */
int fingerprint_relation(struct fingerprint *out, const struct fingerprint *catalog, const struct plan_catalog *plan,
			 const struct plan_relation *relation, const struct params *params, struct error *err);
void fingerprint_text(const struct fingerprint *fingerprint, char text[FINGERPRINT_TEXT]);

#endif
