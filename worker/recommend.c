#include "worker/recommend.h"
#include "kindred/v1/recommend.pb-c.h"
#include "worker/explain.h"
#include "worker/explore.h"
#include "worker/past.h"
#include "worker/source.h"

#include <stdlib.h>
#include <string.h>

/* A row's mark: the stamp of the call above these bits. A mark of another call means nothing. */
#define MARK_EXCLUDED 1u /* the user has touched it */
#define MARK_SEEN 2u /* judged already: counted, or shown */
#define MARK_FILTERED 4u /* judged, and only the filter was against it */
#define MARK_LISTED 8u /* in the answer; only explore() asks */
#define MARK_BITS 4
#define STAMP_LAST (UINT16_MAX >> MARK_BITS)

#define ARENA_BYTES ((size_t)256 << 10)

/* One user's way through the steps. */
struct run {
	struct recommender *recommender;
	struct recipe *recipe;
	const struct recommend_ask *ask;
	const struct past *past;
	bool as_built; /* no item changed, and no filter but such as a standing tells of */
	bool unfiltered; /* the judge does not ask the definition's filter */
	struct recommendation *answer;
};

int recommender_init(struct recommender *recommender, struct error *err)
{
	memset(recommender, 0, sizeof *recommender);
	if (arena_init(&recommender->arena, ARENA_BYTES, 0))
		return error_set(err, E_EXHAUSTED, "no memory for recommendations");
	int code = recommender_resize(recommender, 1, err);
	if (code)
		recommender_fini(recommender);
	return code;
}

void recommender_fini(struct recommender *recommender)
{
	if (recommender->arena.first)
		arena_fini(&recommender->arena);
	scorer_free(recommender->scorer);
	free(recommender->marks);
	memset(recommender, 0, sizeof *recommender);
}

int recommender_resize(struct recommender *recommender, uint32_t rows, struct error *err)
{
	if (recommender->scorer && rows <= recommender->rows)
		return 0;
	uint16_t *marks = calloc((size_t)rows + 1, sizeof *marks);
	if (marks && !recommender->scorer)
		recommender->scorer = scorer_new(rows);
	if (!marks || !recommender->scorer || scorer_resize(recommender->scorer, rows)) {
		free(marks);
		return error_set(err, E_EXHAUSTED, "no memory to score %u items", rows);
	}
	free(recommender->marks);
	recommender->marks = marks;
	recommender->stamp = 0;
	recommender->rows = rows;
	return 0;
}

/* --- marks --- */

static void new_stamp(struct recommender *recommender)
{
	if (recommender->stamp == STAMP_LAST) {
		memset(recommender->marks, 0, ((size_t)recommender->rows + 1) * sizeof *recommender->marks);
		recommender->stamp = 0;
	}
	recommender->stamp++;
}

static unsigned mark_of(const struct recommender *recommender, uint32_t row)
{
	unsigned mark = recommender->marks[row];
	return mark >> MARK_BITS == recommender->stamp ? mark & ((1u << MARK_BITS) - 1) : 0;
}

static void set_mark(struct recommender *recommender, uint32_t row, unsigned bits)
{
	recommender->marks[row] = (uint16_t)((unsigned)recommender->stamp << MARK_BITS | bits);
}

/* --- scores --- */

/* Of an item that changed since it was built, or under a filter of this call, or one that reads the last item. */
__attribute__((noinline)) static enum score_verdict verdict_in_full(const struct run *run, uint32_t row, unsigned mark)
{
	struct recipe *recipe = run->recipe;
	struct recipe_item item = { .recipe = recipe, .row = row, .change = overlay_row(recipe->overlay, row) };
	enum recipe_standing standing = item.change ? recipe_standing_now(&item) : recipe_standing(recipe, row);
	if (standing == RECIPE_UNAVAILABLE)
		return SCORE_UNAVAILABLE;
	if (mark & MARK_EXCLUDED)
		return SCORE_EXCLUDED;
	/* before the definition's, which may be left out */
	const struct recipe_item *last = run->past->has_last ? &run->past->last : NULL;
	if (run->ask->filter && !call_filter_passes(run->ask->filter, &item, last))
		return SCORE_FILTERED_BY_CALL;
	if (run->unfiltered)
		return SCORE_SHOW;
	if (recipe->filter_last)
		return filter_match(recipe->filter, recipe_value, &item, last) ? SCORE_SHOW : SCORE_FILTERED;
	return standing == RECIPE_FILTERED ? SCORE_FILTERED : SCORE_SHOW;
}

static enum score_verdict judge(void *context, uint32_t row)
{
	struct run *run = context;
	unsigned mark = mark_of(run->recommender, row), after = (mark & MARK_EXCLUDED) | MARK_SEEN;
	/* nearly always all that there is to say */
	bool shown = run->as_built && recipe_standing_known(run->recipe, row) == RECIPE_SHOWN && !mark;
	enum score_verdict verdict = shown ? SCORE_SHOW : verdict_in_full(run, row, mark);
	set_mark(run->recommender, row, verdict == SCORE_FILTERED ? after | MARK_FILTERED : after);
	return verdict;
}

/* As far as scoring tells it; source_find() finds the others. */
static uint32_t source_now(const struct run *run, const struct scored *one)
{
	const uint64_t *cold = run->recipe->relation->cold;
	if (one->popular)
		return KINDRED__V1__SOURCE__SOURCE_RECENTLY_POPULAR;
	/* only cold items have neighbours by attributes, or are such neighbours */
	if (one->by_warm && cold && run->past->context_row == MODEL_NO_ROW && !model_bit(cold, one->row))
		return KINDRED__V1__SOURCE__SOURCE_PERSONAL;
	return KINDRED__V1__SOURCE__SOURCE_UNSPECIFIED;
}

static int score_neighbours(struct run *run, struct error *err)
{
	struct recommendation *answer = run->answer;
	const struct model_relation *relation = run->recipe->relation;
	if (run->past->profile_count == 0)
		return 0;
	struct arena *arena = &run->recommender->arena;
	struct scored *top = arena_alloc(arena, run->ask->count * sizeof *top);
	if (!top)
		return error_set(err, E_EXHAUSTED, "no memory for %u items", run->ask->count);
	uint32_t found = scorer_top(run->recommender->scorer, relation, run->past->profile, run->past->profile_count,
				    run->ask->count, judge, run, top, &answer->counts);
	for (uint32_t i = 0; i < found; i++)
		answer->items[i] = (struct recommended){
			.row = top[i].row,
			.score = top[i].score,
			.source = source_now(run, &top[i]),
		};
	if (!source_find(&run->recommender->arena, relation, run->past->profile, run->past->profile_count,
			 run->past->context_row, answer->items, found))
		return error_set(err, E_EXHAUSTED, "no memory for %u items", run->ask->count);
	answer->count = found;
	return 0;
}

/* --- popular items --- */

static void count_verdict(struct recommendation *answer, enum score_verdict verdict)
{
	answer->counts.candidates++;
	answer->counts.judged[verdict]++;
}

/* Whether a popular row is shown. Each row counts once, whoever looked at it first. */
static bool take_popular(struct run *run, uint32_t row)
{
	unsigned mark = mark_of(run->recommender, row);
	if (!(mark & MARK_SEEN)) {
		enum score_verdict verdict = judge(run, row);
		count_verdict(run->answer, verdict);
		return verdict == SCORE_SHOW;
	}
	if (!(mark & MARK_FILTERED) || !run->unfiltered)
		return false;
	/* only the filter was against it, and it is not asked now */
	run->answer->counts.judged[SCORE_FILTERED]--;
	set_mark(run->recommender, row, MARK_SEEN);
	return true;
}

static bool matches_context(const struct run *run, uint32_t row)
{
	struct recipe_item item = { .recipe = run->recipe,
				    .row = row,
				    .change = overlay_row(run->recipe->overlay, row) };
	return context_matches(run->ask->context, &item);
}

/* matching: only rows that match the context's values. */
static void take_rows(struct run *run, bool recent, bool matching)
{
	const struct model_relation *relation = run->recipe->relation;
	const uint32_t *rows = recent ? relation->recent_rows : relation->popular_rows;
	const uint32_t *scores = recent ? relation->recent_scores : relation->popular_scores;
	uint32_t count = recent ? relation->recent_count : relation->popular_count;
	uint32_t source = recent ? KINDRED__V1__SOURCE__SOURCE_RECENTLY_POPULAR : KINDRED__V1__SOURCE__SOURCE_POPULAR;
	struct recommendation *answer = run->answer;
	for (uint32_t i = 0; i < count && answer->count < run->ask->count; i++)
		if ((!matching || matches_context(run, rows[i])) && take_popular(run, rows[i]))
			answer->items[answer->count++] =
				(struct recommended){ .row = rows[i], .score = scores[i], .source = source };
}

/* Those that match the context first. */
static void take_list(struct run *run, bool recent, bool unfiltered)
{
	run->unfiltered = unfiltered;
	if (run->ask->context && run->ask->context->count)
		take_rows(run, recent, true);
	take_rows(run, recent, false);
}

/* STRATEGY_POPULAR: the popular items are the answer, under the definition's own filter. */
static int take_popular_items(struct run *run, struct error *err)
{
	(void)err;
	if (!run->recipe->personal)
		take_list(run, run->recipe->fill_recent, false);
	return 0;
}

static int fill_up(struct run *run, struct error *err)
{
	(void)err;
	if (run->recipe->fill && run->answer->count < run->ask->count)
		take_list(run, run->recipe->fill_recent, run->recipe->fill_unfiltered);
	return 0;
}

/* --- cold items --- */

/* Whether an item to explore is shown. One that was judged before, as candidate, is not counted again. */
static bool take_explored(struct run *run, uint32_t row)
{
	unsigned mark = mark_of(run->recommender, row);
	if (mark & MARK_LISTED)
		return false;
	enum score_verdict verdict = judge(run, row);
	if (!(mark & MARK_SEEN))
		count_verdict(run->answer, verdict);
	set_mark(run->recommender, row, mark_of(run->recommender, row) | MARK_LISTED);
	return verdict == SCORE_SHOW;
}

/* The last places of the list, up to the definition's share, for items with too few events. */
static int explore(struct run *run, struct error *err)
{
	struct recommendation *answer = run->answer;
	const struct recipe *recipe = run->recipe;
	uint32_t places = explore_places(recipe->explore, run->ask->count), found = 0, row;
	struct explore explore;
	if (places == 0 || !recipe->relation->cold)
		return 0;
	uint32_t *rows = arena_alloc(&run->recommender->arena, places * sizeof *rows);
	if (!rows ||
	    !explore_begin(&explore, &run->recommender->arena, recipe->catalog, recipe->relation, run->past->profile,
			   run->past->profile_count, run->ask->user, run->ask->as_of_ms, recipe->generation->number))
		return error_set(err, E_EXHAUSTED, "no memory for %u items", places);
	for (uint32_t i = 0; i < answer->count; i++)
		set_mark(run->recommender, answer->items[i].row,
			 mark_of(run->recommender, answer->items[i].row) | MARK_LISTED);
	run->unfiltered = false;
	while (found < places && explore_next(&explore, &row))
		if (take_explored(run, row))
			rows[found++] = row;
	if (answer->count > run->ask->count - found)
		answer->count = run->ask->count - found;
	for (uint32_t i = 0; i < found; i++)
		answer->items[answer->count++] =
			(struct recommended){ .row = rows[i], .source = KINDRED__V1__SOURCE__SOURCE_EXPLORE };
	return 0;
}

/* --- explanations --- */

static int explain_items(struct run *run, struct error *err)
{
	struct recommendation *answer = run->answer;
	if (!run->ask->explain)
		return 0;
	answer->explanations = explain(&run->recommender->arena, run->recipe->relation, run->past->profile,
				       run->past->profile_count, answer->items, answer->count);
	return answer->explanations ? 0 : error_set(err, E_EXHAUSTED, "no memory to explain %u items", answer->count);
}

/* --- the steps --- */

/* From here on the marks are this user's. */
static int mark_excluded(struct run *run, struct error *err)
{
	(void)err;
	new_stamp(run->recommender);
	for (uint32_t i = 0; i < run->past->excluded_count; i++)
		set_mark(run->recommender, run->past->excluded[i], MARK_EXCLUDED);
	if (run->past->context_row != MODEL_NO_ROW)
		set_mark(run->recommender, run->past->context_row, MARK_EXCLUDED);
	return 0;
}

static int begin(struct run *run, struct error *err)
{
	uint32_t count = run->ask->count;
	*run->answer = (struct recommendation){ .wanted = count };
	run->answer->items = arena_alloc(&run->recommender->arena, count * sizeof *run->answer->items);
	return run->answer->items ? 0 : error_set(err, E_EXHAUSTED, "no memory for %u items", count);
}

static int (*const steps[])(struct run *run,
			    struct error *err) = { begin,   mark_excluded, score_neighbours, take_popular_items,
						   fill_up, explore,       explain_items };

static void rank(struct run *run, struct error *err)
{
	int code = 0;
	for (size_t i = 0; i < sizeof steps / sizeof steps[0] && !code; i++)
		code = steps[i](run, err);
	/* where their ids are is asked for first, and the ids when the next user is ranked */
	for (uint32_t i = 0; i < run->answer->count && !code; i++)
		__builtin_prefetch(run->recipe->catalog->id_offsets + run->answer->items[i].row);
}

/* The answer will be written next, and no id is in a cache. */
static void ask_for_ids(const struct recipe *recipe, const struct recommend_job *job)
{
	if (job->err.code)
		return;
	for (uint32_t i = 0; i < job->answer.count; i++)
		__builtin_prefetch(model_item_id(recipe->catalog, job->answer.items[i].row).data);
}

void recommend(struct recommender *recommender, struct recipe *recipe, struct recommend_job *jobs, uint32_t count)
{
	struct past pasts[RECOMMEND_JOBS];
	bool as_built = !recipe->overlay->changed && !recipe->filter_last;
	arena_reset(&recommender->arena);
	past_find(&recommender->arena, recipe, jobs, pasts, count);
	for (uint32_t j = 0; j <= count; j++) {
		if (j + 1 < count)
			scorer_next(recommender->scorer, recipe->relation, pasts[j + 1].profile,
				    pasts[j + 1].profile_count);
		if (j < count && !jobs[j].err.code) {
			struct run run = { .recommender = recommender,
					   .recipe = recipe,
					   .ask = &jobs[j].ask,
					   .past = &pasts[j],
					   .as_built = as_built && !jobs[j].ask.filter,
					   .answer = &jobs[j].answer };
			rank(&run, &jobs[j].err);
		}
		if (j > 0)
			ask_for_ids(recipe, &jobs[j - 1]);
	}
}
