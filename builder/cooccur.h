/*
 * Co-occurrence: a relation's lists to the best neighbours of each item, by the formula of builder/params.h.
 *
 * A sparse product row by row: the row of item i is summed up over the lists of the users who have i,
 * into one accumulator a thread, so that pairs are never stored. Threads take blocks of rows; the sum
 * of a row runs over users in their order whoever computes it, so that the result does not depend on
 * the number of threads.
 */
#ifndef KINDRED_BUILDER_COOCCUR_H
#define KINDRED_BUILDER_COOCCUR_H

#include "builder/lists.h"
#include "builder/params.h"
#include "builder/report.h"

struct neighbours {
	struct space *space;
	struct region offsets; /* uint64_t[items + 1] */
	struct region rows; /* uint32_t[count], best first; equal ones by row */
	struct region scores; /* float[count], > 0 */
	uint64_t count;
	uint32_t items;
	uint32_t window; /* places apart that were looked at; UINT32_MAX: any */
	uint64_t pairs, pairs_skipped; /* looked at; left out because the cost is bounded */
};

/*
 * now_s: T, the newest event. The lists are forgotten (lists_forget) as soon as they are no longer
 * needed, for the memory. neighbours is to be freed after an error too. report: may be NULL.
 */
int cooccur_make(struct neighbours *neighbours, struct lists *lists, const struct params *params, uint32_t now_s,
		 uint32_t threads, struct report *report, struct error *err);
/* No neighbours for any item. */
int cooccur_none(struct neighbours *neighbours, struct space *space, uint32_t items, struct error *err);
void neighbours_free(struct neighbours *neighbours);

#endif
