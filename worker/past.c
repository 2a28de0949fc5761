#include "worker/past.h"

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
struct walk {
	struct arena *arena;
	struct recipe *recipe;
	const struct recommend_job *job;
	struct history history; /* count 0: none */
	struct profile_event *events; /* newest first, at most event_room */
	uint32_t event_count, event_room;
	const uint16_t *rules; /* of the shard's types */
	int64_t since_ms; /* of the lookback */
	struct portion *portion; /* from walk_history to find_items */
	struct past *past;
};

/* --- history --- */

#define LINE 64u
#define HISTORY_PREFETCH 1024u /* bytes: the newest 64 events, or 32 that are not packed */

/* Of a run's first column, which is nearly always all that is read. */
static void prefetch_last(const struct history_run *run)
{
	size_t bytes = run->count *
		       (run->columns & HISTORY_PACKED ? sizeof(struct history_packed) : sizeof(struct history_entry));
	for (size_t back = LINE; back < bytes + LINE && back <= HISTORY_PREFETCH; back += LINE)
		__builtin_prefetch(run->data + bytes - (back < bytes ? back : bytes));
}

static int read_history(struct walk *walk, struct error *err)
{
	const struct recommend_ask *ask = &walk->job->ask;
	walk->history = ask->history;
	if (walk->history.count)
		return 0;
	int code = shard_read_history(walk->job->reader, ask->user.data, ask->user.bytes, &walk->history, err);
	if (code == E_NOT_FOUND) { /* a user without events */
		walk->history.count = 0;
		return 0;
	}
	if (code)
		return code;
	prefetch_last(&walk->history.newest);
	if (walk->history.older_count)
		prefetch_last(&walk->history.older);
	return 0;
}

/* --- its items --- */

/* Whether the item is one of the definition's catalog, as far as is known. */
static bool find_item(const struct recipe *recipe, struct item_key key, uint32_t row, struct recipe_item *item)
{
	item->recipe = recipe;
	item->row = row;
	item->change = row == MODEL_NO_ROW ? overlay_find(recipe->overlay, key) : overlay_row(recipe->overlay, row);
	return row != MODEL_NO_ROW || item->change;
}

static void take_portion(struct walk *walk)
{
	const struct recipe *recipe = walk->recipe;
	const struct model_catalog *catalog = recipe->catalog;
	const struct portion *portion = walk->portion;
	struct past *past = walk->past;
	struct profile_event *events = walk->events;
	uint32_t *excluded = past->excluded;
	uint32_t event_count = walk->event_count, event_room = walk->event_room, excluded_count = past->excluded_count;
	bool has_last = past->has_last;
	for (uint32_t i = 0, count = portion->count; i < count; i++) {
		uint32_t row = model_row(catalog, portion->keys[i]), weight = portion->weights[i];
		if (weight && !has_last)
			has_last = find_item(recipe, portion->keys[i], row, &past->last);
		if (row == MODEL_NO_ROW)
			continue;
		/* without a branch: which types follow each other is in no order; events have room for one more */
		events[event_count].row = row;
		events[event_count].weight = weight;
		events[event_count].time_ms = portion->times_ms[i];
		event_count += weight && event_count < event_room;
		excluded[excluded_count] = row;
		excluded_count += portion->excluded[i];
	}
	past->has_last = has_last;
	walk->event_count = event_count;
	past->excluded_count = excluded_count;
}

/* The item being looked at is not shown itself. */
static int take_context(struct walk *walk, struct error *err)
{
	const struct recipe *recipe = walk->recipe;
	const struct context *context = walk->job->ask.context;
	struct past *past = walk->past;
	struct recipe_item item;
	walk->event_room = 4 * recipe->relation->serving.profile_items; /* profile_make looks at no more */
	walk->events = arena_alloc(walk->arena, (walk->event_room + 1) * sizeof *walk->events);
	if (!walk->events)
		return error_set(err, E_EXHAUSTED, "no memory for a profile");
	if (!context || context->item.bytes == 0)
		return 0;
	if (!find_item(recipe, context->key, model_row(recipe->catalog, context->key), &item))
		return 0;
	past->has_last = true;
	past->last = item;
	past->context_row = item.row;
	if (item.row == MODEL_NO_ROW)
		return 0;
	walk->events[walk->event_count++] =
		(struct profile_event){ .row = item.row, .weight = SCORE_ONE, .time_ms = walk->job->ask.as_of_ms };
	return 0;
}

/*
 * Entries of a run, from its last to number `first`. false: older ones need not be looked at. Inlined for the columns
 * that it is called with: of most histories no entry has a weight of its own, and all else is known without asking.
 */
__attribute__((always_inline)) static inline bool walk_run(struct walk *walk, struct history_run run, uint32_t first)
{
	const struct model_catalog *catalog = walk->recipe->catalog;
	const bool exclude_any = walk->recipe->exclude_any, exclude_seen = walk->recipe->exclude_seen;
	const uint16_t *rules = walk->rules;
	const int64_t since_ms = walk->since_ms, until_ms = walk->job->ask.until_ms;
	struct portion *portion = walk->portion;
	bool full = walk->event_count == walk->event_room;
	uint32_t taken = portion->count;
	for (uint32_t i = run.count; i > first; i--) {
		struct history_entry entry = history_run_at(&run, i - 1);
		if (entry.time_ms > until_ms)
			continue;
		bool recent = entry.time_ms >= since_ms;
		if ((!recent || (full && !exclude_seen)) && !exclude_any) {
			portion->count = taken;
			return false;
		}
		uint32_t rule = entry.type < SHARD_TYPES_MAX ? rules[entry.type] : 0;
		uint32_t weight = recent ? rule & RECIPE_WEIGHT : 0; /* of the type */
		bool excluded = (rule & RECIPE_EXCLUDES) || (weight && exclude_seen);
		if (!excluded && (!weight || full))
			continue;
		model_row_soon(catalog, entry.item);
		portion->keys[taken] = entry.item;
		portion->times_ms[taken] = entry.time_ms;
		portion->weights[taken] = (uint16_t)(weight ? profile_event_weight(weight, entry.weight) : 0);
		portion->excluded[taken++] = excluded;
		if (taken < PORTION)
			continue;
		portion->count = taken;
		take_portion(walk);
		full = walk->event_count == walk->event_room;
		taken = 0;
	}
	portion->count = taken;
	return true;
}

static bool walk_any_run(struct walk *walk, struct history_run run, uint32_t first)
{
	if ((run.columns & (HISTORY_PACKED | HISTORY_WEIGHTS)) != HISTORY_PACKED)
		return walk_run(walk, run, first);
	run.columns = HISTORY_PACKED; /* ids and flags, which stand behind, are not read */
	return walk_run(walk, run, first);
}

/*
 * Once through the history, newest first. The last portion is left to find_items: until then the items asked for are
 * on their way.
 */
static int walk_history(struct walk *walk, struct error *err)
{
	struct recipe *recipe = walk->recipe;
	const struct history *history = &walk->history;
	int64_t as_of_ms = walk->job->ask.as_of_ms;
	walk->portion->count = 0;
	if (history->count == 0)
		return 0;
	walk->rules = recipe_rules(recipe, walk->job->shard, walk->job->reader);
	walk->past->excluded = arena_alloc(walk->arena, history->count * sizeof *walk->past->excluded);
	if (!walk->rules || !walk->past->excluded)
		return error_set(err, E_EXHAUSTED, "no memory for a profile");
	walk->since_ms = recipe->lookback_ms ? as_of_ms - recipe->lookback_ms : INT64_MIN;
	if (walk_any_run(walk, history->newest, 0) && history->older_count)
		walk_any_run(walk, history->older, history->gone);
	return 0;
}

static int find_items(struct walk *walk, struct error *err)
{
	(void)err;
	take_portion(walk);
	return 0;
}

static int make_profile(struct walk *walk, struct error *err)
{
	const struct model_serving *serving = &walk->recipe->relation->serving;
	struct past *past = walk->past;
	if (!walk->recipe->personal || walk->event_count == 0)
		return 0;
	past->profile = arena_alloc(walk->arena, serving->profile_items * sizeof *past->profile);
	if (!past->profile)
		return error_set(err, E_EXHAUSTED, "no memory for a profile");
	past->profile_count = profile_make(serving, walk->events, walk->event_count, past->profile);
	return 0;
}

/* --- the steps --- */

/* Unless one before has failed. */
static void take(int (*step)(struct walk *walk, struct error *err), struct walk *walk, struct recommend_job *job)
{
	if (!job->err.code)
		step(walk, &job->err);
}

void past_find(struct arena *arena, struct recipe *recipe, struct recommend_job *jobs, struct past *pasts,
	       uint32_t count)
{
	struct walk walks[RECOMMEND_JOBS];
	struct portion portions[2];
	for (uint32_t j = 0; j < count; j++) {
		pasts[j] = (struct past){ .context_row = MODEL_NO_ROW };
		walks[j] = (struct walk){ .arena = arena,
					  .recipe = recipe,
					  .job = &jobs[j],
					  .portion = &portions[j % 2],
					  .past = &pasts[j] };
		take(read_history, &walks[j], &jobs[j]);
	}
	/* one user's items come while the next one's history is walked through */
	for (uint32_t j = 0; j <= count; j++) {
		if (j < count) {
			take(take_context, &walks[j], &jobs[j]);
			take(walk_history, &walks[j], &jobs[j]);
		}
		if (j > 0) {
			take(find_items, &walks[j - 1], &jobs[j - 1]);
			take(make_profile, &walks[j - 1], &jobs[j - 1]);
		}
	}
}
