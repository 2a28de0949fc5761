/*
 * Learning a relation: everything of it that the model holds, from the events of a catalog. The build
 * learns from all events and its evaluation from those before a time, both through here.
 */
#ifndef KINDRED_BUILDER_LEARN_H
#define KINDRED_BUILDER_LEARN_H

#include "builder/cold.h"
#include "builder/cooccur.h"
#include "builder/lift.h"
#include "builder/lists.h"
#include "builder/params.h"
#include "builder/popular.h"
#include "common/model.h"

struct learned {
	/*
	 * As a reader of the model sees it; key and definitions are the plan's, evaluation is empty.
	 * Arrays belong to what follows.
	 */
	struct model_relation relation;
	struct neighbours neighbours; /* without the scores; its rows are entries (model_entry) */
	struct region weights; /* until they are in the entries */
	struct cold cold;
	struct popular popular, recent;
	struct lift lift;
	uint64_t entries; /* of the lists: users times distinct items */
	uint32_t capped_users;
	uint32_t now_s; /* T */
};

struct learn_input {
	struct space *space;
	const struct events *events;
	uint32_t items;
	const struct plan_relation *relation;
	const struct params *params;
	const struct attributes *attributes; /* for cold items; NULL: nobody is told to be cold */
	const uint64_t *versions; /* with attributes: [items] the catalog's version when an item last changed */
	uint32_t threads;
	struct report *report; /* NULL: none */
	uint32_t user_step; /* learn() takes only every user_step-th user; 0: all */
};

/*
 * to_s: events before it are learnt from. now_s: T; the relation's window is counted back from it.
 * learned is to be freed after an error too.
 */
int learn(struct learned *learned, const struct learn_input *input, uint64_t to_s, uint32_t now_s, struct error *err);
/*
 * Only what changes from day to day: popularity, season, trend. The rest of learned->relation is empty.
 * As learn() makes them of the same events.
 */
int learn_fresh(struct learned *learned, const struct learn_input *input, uint64_t to_s, uint32_t now_s,
		struct error *err);
void learned_free(struct space *space, struct learned *learned);

/* The serving side of the parameters. */
struct model_serving learn_serving(const struct params *params);

/* The window of a relation that ends at now_s. */
struct lists_window learn_window(const struct plan_relation *relation, uint64_t to_s, uint32_t now_s);

#endif
