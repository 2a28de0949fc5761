/*
 * What of users' pasts counts: history -> the events that the definition is based on, the last item, what is
 * excluded -> profile. The item of a call's context counts as if it were the user's newest event.
 *
 * Loop thread. All memory is the arena's.
 */
#ifndef KINDRED_WORKER_PAST_H
#define KINDRED_WORKER_PAST_H

#include "common/arena.h"
#include "common/profile.h"
#include "worker/recipe.h"
#include "worker/recommend.h"

#include <stdbool.h>
#include <stdint.h>

struct past {
	struct profile_item *profile; /* newest first */
	uint32_t profile_count; /* 0: none, or the definition is not personal */
	uint32_t *excluded; /* rows, some more than once */
	uint32_t excluded_count;
	uint32_t context_row; /* of the context's item; MODEL_NO_ROW: none that the generation has */
	bool has_last;
	struct recipe_item last; /* the item of the newest event of the definition */
};

/*
 * pasts[i] of jobs[i], for all jobs whose err.code is 0; it is set when a past cannot be found: errors of
 * shard_read_history, and E_EXHAUSTED. count: at most RECOMMEND_JOBS.
 */
void past_find(struct arena *arena, struct recipe *recipe, struct recommend_job *jobs, struct past *pasts,
	       uint32_t count);

#endif
