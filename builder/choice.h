/*
 * What the last build's tuner chose, read from the generation that is being served, and what that means
 * for this build's search.
 *
 * Policy: a whole search when there is no earlier choice for the relation, when its events have grown
 * by half since the last whole search, or when one is asked for; else only moves around the last
 * choice, with half the work, other parameters first each time. A build that does not search learns
 * with the last choice as it is, and hands it on.
 */
#ifndef KINDRED_BUILDER_CHOICE_H
#define KINDRED_BUILDER_CHOICE_H

#include "builder/tune.h"
#include "common/datadir.h"
#include "common/model.h"

/*
 * The metadata of the active generation; NULL: there is none, or it cannot be read (which is logged).
 * For json_decref.
 */
json_t *choice_load(const struct datadir *dir);
/* That of an open model. */
json_t *choice_meta(const struct model *model);

/* The notes of a relation in such metadata, which they live as long as; NULL: none. last may be NULL. */
const json_t *choice_notes(const json_t *last, const char *catalog, const char *key);

struct choice {
	bool there; /* an earlier choice */
	struct params params;
	uint64_t events; /* at its whole search */
	struct tune_goal goal; /* of its search; at first the default */
	const json_t *notes; /* of the tuner that made it; lives as long as what choice_load gave */
};

/* defaults: for parameters that the earlier build did not know. last may be NULL. */
struct choice choice_find(const json_t *last, const char *catalog, const char *key, const struct params *defaults);
/* What that build learnt the relation with, however it came by it. false: not known; the params stay. */
bool choice_learnt_with(const json_t *last, const char *catalog, const char *key, struct params *params);
/* The search that the policy asks for; it points into the choice. */
struct tune_options choice_search(const struct choice *choice, uint64_t events, bool whole, double seconds);
/*
 * Whether that search was one of the very input that has this fingerprint with the choice's params
 * (builder/fingerprint.h), for this goal, not stopped by less time than there is now, and not unfinished (tune.h): then
 * the policy is not asked, and nothing is searched.
 */
bool choice_stands(const struct choice *choice, const char *fingerprint, const struct tune_goal *goal, double seconds);

#endif
