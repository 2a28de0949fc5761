/*
 * The lists of a relation: for each user, or each session of a user, the distinct items in the window,
 * each at its newest occurrence, oldest first; and the other way round, for each item where it is in
 * the lists, in their order. By several threads; what comes out does not depend on how many.
 */
#ifndef KINDRED_BUILDER_LISTS_H
#define KINDRED_BUILDER_LISTS_H

#include "builder/plan.h"
#include "builder/scan.h"
#include "builder/space.h"

struct list_entry {
	uint32_t item;
	/*
	 * of the strongest event with the item, the relation's largest type being 1, which is the most;
	 * cooccur.c raises it to type_to
	 */
	float weight;
	union {
		float type; /* the same whatever the events' own weights: what popularity counts */
		float aged; /* weight x age decay; cooccur.c puts it in type's place */
	};
};

#define LISTS_ENTRIES_MAX (UINT64_C(1) << 36)
#define LISTS_ITEMS_MAX 16383u /* of a user */

/*
 * Where an item is: the entry lists_entries[list + place]. All that is needed to read the list, so that
 * it can be fetched ahead in one step.
 */
struct list_place {
	uint64_t list : 36; /* its first entry */
	uint64_t length : 14;
	uint64_t place : 14;
};

struct lists {
	struct space *space;
	struct region entries; /* struct list_entry[count] */
	struct region times; /* uint32_t[count]: seconds of the newest occurrence */
	struct region offsets; /* uint64_t[users + 1] */
	struct region places; /* struct list_place[count], item by item, in order of users */
	struct region item_offsets; /* uint64_t[items + 1] into places */
	uint64_t count;
	uint32_t users; /* lists with at least one entry: one a user, or one a session */
	uint32_t people; /* users who have a list */
	uint32_t items; /* of the catalog */
	uint32_t known; /* items that are in a list */
	uint32_t capped; /* users who had more than list_items */
	uint64_t events; /* of the relation, in the window */
};

/* Which events: from_s <= time < to_s, of the types that the relation weighs. */
struct lists_window {
	uint32_t from_s;
	uint64_t to_s;
	uint32_t session_s; /* a list ends where its user did nothing for so long; 0: one list a user */
	uint32_t user_step; /* of the users only every user_step-th, for a first look; 0: all */
};

/* items: of the catalog. list_items: at most LISTS_ITEMS_MAX. lists is to be freed after an error too. */
int lists_make(struct lists *lists, struct space *space, const struct events *events, uint32_t items,
	       const struct plan_relation *relation, struct lists_window window, uint32_t list_items, uint32_t threads,
	       struct error *err);
/* Frees the lists themselves; their lengths, the numbers and lists_users() stay. */
void lists_forget(struct lists *lists);
void lists_free(struct lists *lists);

static inline const struct list_entry *lists_entries(const struct lists *lists)
{
	return lists->entries.data;
}
static inline const uint32_t *lists_times(const struct lists *lists)
{
	return lists->times.data;
}
static inline const uint64_t *lists_offsets(const struct lists *lists)
{
	return lists->offsets.data;
}
/* Users with the item. */
static inline uint64_t lists_users(const struct lists *lists, uint32_t item)
{
	const uint64_t *offsets = lists->item_offsets.data;
	return offsets[item + 1] - offsets[item];
}

#endif
