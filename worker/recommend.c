#include "worker/recommend.h"
#include "kindred/v1/recommend.pb-c.h"
#include "worker/explain.h"
#include "worker/explore.h"
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

/* Events of a history that matter, a few of them at a time, so that their items are looked up together. */
#define PORTION 32u
struct portion {
	struct item_key keys[PORTION];
	int64_t times_ms[PORTION];
	uint16_t weights[PORTION]; /* 0: only excluded */
	bool excluded[PORTION];
	uint32_t count;
};

/* One user's way through the steps. */
struct run {
	struct recommender *recommender;
	struct recipe *recipe;
	const struct recommend_ask *ask;
	uint32_t shard;
	struct shard_reader *reader;

	struct history history; /* count 0: none */
	struct portion *portion; /* from walk_history to find_items */
	struct profile_event *events; /* newest first, at most events_room */
	uint32_t event_count, event_room;
	uint32_t *excluded; /* rows that the user's events exclude */
	uint32_t excluded_count;
	struct profile_item *profile;
	uint32_t profile_count;
	uint32_t context_row; /* of the item being looked at; MODEL_NO_ROW: none that the generation has */
	bool has_last;
	struct recipe_item last; /* the item of the newest event of the definition */
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

/* --- history --- */

#define LINE 64u
#define HISTORY_PREFETCH 1024u /* bytes: the newest 32 events */

static void prefetch_last(const char *entries, uint32_t count)
{
	size_t bytes = count * sizeof(struct history_entry);
	for (size_t back = LINE; back <= bytes && back <= HISTORY_PREFETCH; back += LINE)
		__builtin_prefetch(entries + bytes - back);
}

static int read_history(struct run *run, struct error *err)
{
	run->history = run->ask->history;
	if (run->history.count)
		return 0;
	int code = shard_read_history(run->reader, run->ask->user.data, run->ask->user.bytes, &run->history, err);
	if (code == E_NOT_FOUND) { /* no error: a user without events */
		err->code = 0;
		run->history.count = 0;
		return 0;
	}
	if (code)
		return code;
	prefetch_last(run->history.newest, run->history.count - run->history.older_count);
	prefetch_last(run->history.older, run->history.older_count);
	return 0;
}

/* Whether the item is one of the definition's catalog, as far as is known. */
static bool find_item(const struct recipe *recipe, struct item_key key, uint32_t row, struct recipe_item *item)
{
	item->recipe = recipe;
	item->row = row;
	item->change = row == MODEL_NO_ROW ? overlay_find(recipe->overlay, key) : overlay_row(recipe->overlay, row);
	return row != MODEL_NO_ROW || item->change;
}

/* Their items are asked for already. */
static void take_portion(struct run *run)
{
	struct portion *portion = run->portion;
	for (uint32_t i = 0; i < portion->count; i++) {
		uint32_t row = model_row(run->recipe->catalog, portion->keys[i]), weight = portion->weights[i];
		if (weight && !run->has_last)
			run->has_last = find_item(run->recipe, portion->keys[i], row, &run->last);
		if (row == MODEL_NO_ROW)
			continue;
		if (weight && run->event_count < run->event_room)
			run->events[run->event_count++] =
				(struct profile_event){ .row = row, .weight = weight, .time_ms = portion->times_ms[i] };
		if (portion->excluded[i])
			run->excluded[run->excluded_count++] = row;
	}
	portion->count = 0;
}

/* The item being looked at, as if it were the user's newest event; it is not shown itself. */
static int take_context(struct run *run, struct error *err)
{
	const struct recipe *recipe = run->recipe;
	struct recipe_item item;
	run->event_room = 4 * recipe->relation->serving.profile_items; /* profile_make looks at no more */
	run->events = arena_alloc(&run->recommender->arena, run->event_room * sizeof *run->events);
	if (!run->events)
		return error_set(err, E_EXHAUSTED, "no memory for a profile");
	run->context_row = MODEL_NO_ROW;
	if (!run->ask->context || run->ask->context->item.bytes == 0)
		return 0;
	struct item_key key = run->ask->context->key;
	if (!find_item(recipe, key, model_row(recipe->catalog, key), &item))
		return 0;
	run->has_last = true;
	run->last = item;
	run->context_row = item.row;
	if (item.row == MODEL_NO_ROW)
		return 0;
	run->events[run->event_count++] =
		(struct profile_event){ .row = item.row, .weight = SCORE_ONE, .time_ms = run->ask->as_of_ms };
	return 0;
}

/*
 * One way through the history, newest first: the events of the profile, the last item, and what is excluded. The last
 * portion is left to find_items: meanwhile the next user's history is walked through.
 */
static int walk_history(struct run *run, struct error *err)
{
	struct recipe *recipe = run->recipe;
	struct portion *portion = run->portion;
	portion->count = 0;
	if (run->history.count == 0)
		return 0;
	const uint16_t *rules = recipe_rules(recipe, run->shard, run->reader);
	if (recipe->exclude_any || recipe->exclude_seen)
		run->excluded = arena_alloc(&run->recommender->arena, (run->history.count + 1) * sizeof *run->excluded);
	if (!rules || ((recipe->exclude_any || recipe->exclude_seen) && !run->excluded))
		return error_set(err, E_EXHAUSTED, "no memory for a profile");
	int64_t since_ms = recipe->lookback_ms ? run->ask->as_of_ms - recipe->lookback_ms : INT64_MIN;
	for (uint32_t i = run->history.count; i > 0; i--) {
		struct history_entry entry = history_at(&run->history, i - 1);
		if (entry.time_ms > run->ask->until_ms)
			continue;
		bool recent = entry.time_ms >= since_ms;
		bool full = run->event_count == run->event_room && !recipe->exclude_seen;
		if ((!recent || full) && !recipe->exclude_any)
			break;
		uint16_t rule = entry.type < SHARD_TYPES_MAX ? rules[entry.type] : 0;
		uint32_t weight = recent ? rule & RECIPE_WEIGHT : 0; /* of the type */
		bool excluded = (rule & RECIPE_EXCLUDES) || (weight && recipe->exclude_seen);
		if (!excluded && (!weight || full))
			continue;
		uint32_t at = portion->count++;
		model_row_soon(recipe->catalog, entry.item);
		portion->keys[at] = entry.item;
		portion->times_ms[at] = entry.time_ms;
		portion->weights[at] = (uint16_t)(weight ? profile_event_weight(weight, entry.weight) : 0);
		portion->excluded[at] = excluded;
		if (portion->count == PORTION)
			take_portion(run);
	}
	return 0;
}

static int find_items(struct run *run, struct error *err)
{
	(void)err;
	take_portion(run);
	return 0;
}

static int make_profile(struct run *run, struct error *err)
{
	const struct model_serving *serving = &run->recipe->relation->serving;
	if (!run->recipe->personal || run->event_count == 0)
		return 0;
	run->profile = arena_alloc(&run->recommender->arena, serving->profile_items * sizeof *run->profile);
	if (!run->profile)
		return error_set(err, E_EXHAUSTED, "no memory for a profile");
	run->profile_count = profile_make(serving, run->events, run->event_count, run->profile);
	return 0;
}

/* --- scores --- */

static enum score_verdict verdict_of(const struct run *run, uint32_t row, unsigned mark)
{
	const struct recipe *recipe = run->recipe;
	struct recipe_item item = { .recipe = recipe, .row = row, .change = overlay_row(recipe->overlay, row) };
	enum recipe_standing standing = item.change ? recipe_standing_now(&item) : recipe_standing(run->recipe, row);
	if (standing == RECIPE_UNAVAILABLE)
		return SCORE_UNAVAILABLE;
	if (mark & MARK_EXCLUDED)
		return SCORE_EXCLUDED;
	/* before the definition's, which may be left out */
	const struct recipe_item *last = run->has_last ? &run->last : NULL;
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
	unsigned mark = mark_of(run->recommender, row);
	enum score_verdict verdict = verdict_of(run, row, mark);
	mark = (mark & MARK_EXCLUDED) | MARK_SEEN | (verdict == SCORE_FILTERED ? MARK_FILTERED : 0);
	set_mark(run->recommender, row, mark);
	return verdict;
}

/* As far as scoring tells it; source_find() finds the others. */
static uint32_t source_now(const struct run *run, const struct scored *one)
{
	const uint64_t *cold = run->recipe->relation->cold;
	if (one->popular)
		return KINDRED__V1__SOURCE__SOURCE_RECENTLY_POPULAR;
	/* only cold items have neighbours by attributes, or are such neighbours */
	if (one->by_warm && cold && run->context_row == MODEL_NO_ROW && !model_bit(cold, one->row))
		return KINDRED__V1__SOURCE__SOURCE_PERSONAL;
	return KINDRED__V1__SOURCE__SOURCE_UNSPECIFIED;
}

static int score_neighbours(struct run *run, struct error *err)
{
	struct recommendation *answer = run->answer;
	const struct model_relation *relation = run->recipe->relation;
	if (!run->recipe->personal || run->event_count == 0)
		return 0;
	struct arena *arena = &run->recommender->arena;
	struct scored *top = arena_alloc(arena, run->ask->count * sizeof *top);
	if (!top)
		return error_set(err, E_EXHAUSTED, "no memory for %u items", run->ask->count);
	uint32_t found = scorer_top(run->recommender->scorer, relation, run->profile, run->profile_count,
				    run->ask->count, judge, run, top, &answer->counts);
	for (uint32_t i = 0; i < found; i++)
		answer->items[i] = (struct recommended){
			.row = top[i].row,
			.score = top[i].score,
			.source = source_now(run, &top[i]),
		};
	if (!source_find(&run->recommender->arena, relation, run->profile, run->profile_count, run->context_row,
			 answer->items, found))
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
	if (!rows || !explore_begin(&explore, &run->recommender->arena, recipe->catalog, recipe->relation, run->profile,
				    run->profile_count, run->ask->user, run->ask->as_of_ms, recipe->generation->number))
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
	answer->explanations = explain(&run->recommender->arena, run->recipe->relation, run->profile,
				       run->profile_count, answer->items, answer->count);
	return answer->explanations ? 0 : error_set(err, E_EXHAUSTED, "no memory to explain %u items", answer->count);
}

/* --- the steps --- */

/* From here on the marks are this user's. */
static int mark_excluded(struct run *run, struct error *err)
{
	(void)err;
	new_stamp(run->recommender);
	for (uint32_t i = 0; i < run->excluded_count; i++)
		set_mark(run->recommender, run->excluded[i], MARK_EXCLUDED);
	if (run->context_row != MODEL_NO_ROW)
		set_mark(run->recommender, run->context_row, MARK_EXCLUDED);
	return 0;
}

typedef int step(struct run *run, struct error *err);

/* If the job is in order. */
static void take_step(step *next, struct run *runs, struct recommend_job *jobs, uint32_t job)
{
	if (!jobs[job].err.code)
		next(&runs[job], &jobs[job].err);
}

/* From history to profile. One user's items come while the next one's history is walked through. */
static void make_profiles(struct run *runs, struct recommend_job *jobs, uint32_t count)
{
	struct portion portions[2];
	for (uint32_t j = 0; j < count; j++)
		take_step(read_history, runs, jobs, j);
	for (uint32_t j = 0; j <= count; j++) {
		if (j < count) {
			runs[j].portion = &portions[j % 2];
			take_step(take_context, runs, jobs, j);
			take_step(walk_history, runs, jobs, j);
		}
		if (j > 0) {
			take_step(find_items, runs, jobs, j - 1);
			take_step(make_profile, runs, jobs, j - 1);
		}
	}
}

static int begin(struct run *run, struct error *err)
{
	uint32_t count = run->ask->count;
	*run->answer = (struct recommendation){ .wanted = count };
	run->answer->items = arena_alloc(&run->recommender->arena, count * sizeof *run->answer->items);
	return run->answer->items ? 0 : error_set(err, E_EXHAUSTED, "no memory for %u items", count);
}

static int rank(struct run *run, struct error *err)
{
	static step *const steps[] = { mark_excluded, score_neighbours, take_popular_items,
				       fill_up,       explore,          explain_items };
	int code = 0;
	for (size_t i = 0; i < sizeof steps / sizeof steps[0] && !code; i++)
		code = steps[i](run, err);
	for (uint32_t i = 0; i < run->answer->count && !code; i++)
		__builtin_prefetch(run->recipe->catalog->id_offsets + run->answer->items[i].row);
	return code;
}

/* The answer will be written next. No id is in a cache, and where they are has been asked for by rank(). */
static int ask_for_ids(struct run *run, struct error *err)
{
	(void)err;
	for (uint32_t i = 0; i < run->answer->count; i++)
		__builtin_prefetch(model_item_id(run->recipe->catalog, run->answer->items[i].row).data);
	return 0;
}

void recommend(struct recommender *recommender, struct recipe *recipe, struct recommend_job *jobs, uint32_t count)
{
	struct run runs[RECOMMEND_JOBS];
	arena_reset(&recommender->arena);
	for (uint32_t j = 0; j < count; j++) {
		runs[j] = (struct run){ .recommender = recommender,
					.recipe = recipe,
					.ask = &jobs[j].ask,
					.shard = jobs[j].shard,
					.reader = jobs[j].reader,
					.answer = &jobs[j].answer };
		take_step(begin, runs, jobs, j);
	}
	make_profiles(runs, jobs, count);
	for (uint32_t j = 0; j <= count; j++) {
		if (j + 1 < count)
			scorer_next(recommender->scorer, recipe->relation, runs[j + 1].profile,
				    runs[j + 1].profile_count);
		if (j < count)
			take_step(rank, runs, jobs, j);
		if (j > 0)
			take_step(ask_for_ids, runs, jobs, j - 1);
	}
}
