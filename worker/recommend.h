/*
 * Users' recommendations: history -> profile -> scores -> filter -> fallback. The answer is a function
 * of the user's history up to as_of, the generation, the version of the definition and the catalog's
 * changes, and of nothing else. Work is bounded by the history's cap, the generation's neighbours and its
 * popular lists.
 *
 * Most of the time goes by waiting for memory: histories, items and neighbours lie all over files of
 * gigabytes. So each step asks for what the next one will read, and another user's step is done before it.
 *
 * Loop thread. After warm-up nothing is allocated: the arena is reset by each call, the marks are stamped,
 * not cleared.
 */
#ifndef KINDRED_WORKER_RECOMMEND_H
#define KINDRED_WORKER_RECOMMEND_H

#include "common/arena.h"
#include "common/error.h"
#include "common/score.h"
#include "worker/call_filter.h"
#include "worker/context.h"
#include "worker/recipe.h"
#include "worker/shards.h"

#include <stdbool.h>
#include <stdint.h>

/* Memory and accumulators of one thread. */
struct recommender {
	struct arena arena;
	struct scorer *scorer;
	uint16_t *marks; /* a row's place in the current call: the call's stamp, and what was found out */
	uint16_t stamp;
	uint32_t rows; /* room of scorer and marks */
};

int recommender_init(struct recommender *recommender, struct error *err);
void recommender_fini(struct recommender *recommender);
/* Makes room for a generation of that many rows; before a recipe of it is used. 0 or E_EXHAUSTED. */
int recommender_resize(struct recommender *recommender, uint32_t rows, struct error *err);

struct recommended {
	uint32_t row;
	uint32_t score;
	uint32_t source; /* Kindred__V1__Source */
};

struct explanation;

struct recommendation {
	struct recommended *items; /* best first; in the recommender's arena, until its next call */
	struct explanation *explanations; /* one an item (worker/explain.h); NULL: not asked for */
	uint32_t count, wanted;
	struct score_counts counts; /* kindred.v1.Shortfall, when count < wanted */
};

struct recommend_ask {
	struct text_view user; /* checked */
	struct history history; /* of the reader's transaction, when it is at hand; count 0: it is looked up */
	const struct context *context; /* resolved; NULL: none */
	struct call_filter *filter; /* NULL: none */
	bool explain;
	uint32_t count; /* 1..RECIPE_COUNT_MAX */
	/*
	 * Events after until_ms do not count; lookback is counted back from as_of_ms. A call that gives no as_of
	 * has INT64_MAX for until_ms: an event that was acked is seen, even if the clock of whoever sent it is
	 * ahead of ours.
	 */
	int64_t as_of_ms, until_ms;
};

/* One user's call. Errors: those of shard_read_history, and E_EXHAUSTED. */
struct recommend_job {
	struct recommend_ask ask;
	/* the job's own, which ask.context points to when there is one: the request may be gone by then */
	struct context context;
	uint32_t shard; /* index of the user's */
	struct shard_reader *reader; /* of that shard, in a transaction */
	struct recommendation answer; /* when err.code is 0 */
	struct error err; /* set before: the job is left out */
};
#define RECOMMEND_JOBS 16u /* at most, at once: what they read fits the caches */

/*
 * Each answer is the same whatever other jobs are with it; together they cost less. All answers live
 * until the recommender's next call.
 */
void recommend(struct recommender *recommender, struct recipe *recipe, struct recommend_job *jobs, uint32_t count);

#endif
