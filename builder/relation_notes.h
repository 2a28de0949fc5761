/*
 * What is told of a relation when it is there: notes in the metadata, beside the figures that a reader needs
 * (builder/publish.c), and lines in the log. Notes:
 *
 *     "learnt": bool, "params": {builder/params.h}
 *     "list_entries": .., "users_capped": ..                 users with more than list_items
 *     "window": places or null, "pairs": .., "pairs_skipped": ..   by list_window and pairs_per_item
 *     "cold_items": .., "by_attributes": neighbours          builder/cold.h
 *     "tuning": {builder/tune.h}                             when it was tuned
 *     "season": bool, "trend": bool                          whether the data covered enough time
 *     "evaluation": {"note": "..", "split_s": .., "possible_queries": .., "hit_rate_error": ..}
 *         note: why there is none
 *     "fingerprint": "32 digits"                             builder/fingerprint.h; absent: a refresh counted anew
 *     "reused": generation                                   that learnt it; nothing changed since: builder/reuse.h
 *
 * One thread.
 */
#ifndef KINDRED_BUILDER_RELATION_NOTES_H
#define KINDRED_BUILDER_RELATION_NOTES_H

#include "builder/evaluate.h"
#include "builder/fingerprint.h"
#include "builder/learn.h"
#include "builder/reuse.h"

#include <jansson.h>

/* Of one that was learnt; NULL: no memory. */
json_t *relation_notes(const struct plan_relation *plan, const struct params *params, const struct learned *learned,
		       const struct evaluation *evaluation, const struct fingerprint *fingerprint);
void relation_log(const char *catalog, const struct learned *learned, const struct evaluation *evaluation);
void relation_log_reused(const char *catalog, const char *key, const struct reused *reused);
void relation_log_gate(const char *catalog, const char *key, const struct model_gate *gate);

#endif
