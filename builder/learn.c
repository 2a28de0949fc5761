#include "builder/learn.h"

#include "builder/parallel.h"
#include "builder/quantise.h"
#include "common/score.h"

#define PART_ENTRIES 65536u

struct lists_window learn_window(const struct plan_relation *relation, uint64_t to_s, uint32_t now_s)
{
	struct lists_window window = { .to_s = to_s };
	if (relation->window_s > 0 && relation->window_s < now_s)
		window.from_s = now_s - relation->window_s;
	return window;
}

struct model_serving learn_serving(const struct params *params)
{
	struct model_serving serving = { .profile_items = (uint32_t)params->profile_items,
					 .rank_decay = params->rank_decay,
					 .rank_slope = params->rank_slope,
					 .half_life_days = params->half_life_days,
					 .self_weight = params->self_weight,
					 .self_newest = params->self_newest,
					 .blend = params->blend };
	serving_prepare(&serving);
	return serving;
}

static void bind(struct learned *learned, const struct learn_input *input, const struct lists *lists)
{
	learned->entries = lists->count;
	learned->capped_users = lists->capped;
	learned->relation = (struct model_relation){
		.key = input->relation->key,
		.definitions = input->relation->definitions,
		.definition_count = input->relation->definition_count,
		.serving = learn_serving(input->params),
		.events = lists->events,
		.users = lists->people,
		.items = lists->known,
		.neighbours = learned->neighbours.count,
		.offsets = learned->neighbours.offsets.data,
		.entries = learned->neighbours.rows.data,
		.row_mask = model_row_mask(input->items),
		.multipliers = learned->lift.multipliers,
		.multiplier_max = multiplier_max(learned->lift.multipliers, input->items),
		.by_attributes = learned->cold.by_attributes.data,
		.cold = learned->cold.bits,
		.cold_rows = learned->cold.rows,
		.cold_count = learned->cold.count,
		.popular_rows = learned->popular.rows,
		.popular_scores = learned->popular.scores,
		.popular_count = learned->popular.count,
		.recent_rows = learned->recent.rows,
		.recent_scores = learned->recent.scores,
		.recent_count = learned->recent.count,
	};
}

/* Items with too few events: who they are, and neighbours by attributes for them. */
static int warm_up(struct learned *learned, const struct learn_input *input, const struct lists *lists,
		   struct error *err)
{
	struct cold_input cold = { .space = input->space,
				   .attributes = input->attributes,
				   .versions = input->versions,
				   .lists = lists,
				   .params = input->params,
				   .threads = input->threads };
	if (!input->attributes)
		return 0;
	int code = cold_find(&learned->cold, &cold, err);
	if (!code && input->relation->learn)
		code = cold_join(&learned->cold, &cold, &learned->neighbours, &learned->weights, err);
	return code;
}

struct entries {
	uint32_t *rows; /* become entries */
	const uint16_t *weights;
	uint32_t row_mask;
};

static int make_part(void *context, uint32_t thread, uint64_t first, uint64_t end)
{
	const struct entries *entries = context;
	(void)thread;
	for (uint64_t n = first; n < end; n++)
		entries->rows[n] = model_entry(entries->rows[n], entries->weights[n], entries->row_mask);
	return 0;
}

/* Rows and weights become the entries of the model, where the rows are. */
static void make_entries(struct learned *learned, const struct learn_input *input)
{
	struct entries entries = { learned->neighbours.rows.data, learned->weights.data, model_row_mask(input->items) };
	parallel_parts(input->threads, learned->neighbours.count, PART_ENTRIES, make_part, &entries);
	region_free(input->space, &learned->weights);
}

/* Lists, which the caller frees, and what comes from them and the events alone. */
static int learn_lists(struct learned *learned, const struct learn_input *input, uint64_t to_s, uint32_t now_s,
		       struct lists *lists, struct error *err)
{
	const struct params *params = input->params;
	struct lists_window window = learn_window(input->relation, to_s, now_s);
	*learned = (struct learned){ .now_s = now_s };
	window.user_step = input->user_step;
	window.session_s =
		input->relation->session_s ? input->relation->session_s : (uint32_t)(params->session_minutes * 60);
	int code = lists_make(lists, input->space, input->events, input->items, input->relation, window,
			      (uint32_t)params->list_items, input->threads, err);
	report_lap(input->report, "lists");
	if (!code)
		code = popular_make(&learned->popular, lists, now_s, 0, input->threads, err);
	if (!code)
		code = popular_make(&learned->recent, lists, now_s, params->recent_days, input->threads, err);
	report_lap(input->report, "popularity");
	if (!code)
		code = lift_make(&learned->lift, input->events, input->items, input->relation, window, params, now_s,
				 input->threads, err);
	report_lap(input->report, "seasons");
	return code;
}

int learn(struct learned *learned, const struct learn_input *input, uint64_t to_s, uint32_t now_s, struct error *err)
{
	struct lists lists;
	int code = learn_lists(learned, input, to_s, now_s, &lists, err);
	if (!code && input->relation->learn)
		code = cooccur_make(&learned->neighbours, &lists, input->params, now_s, input->threads, input->report,
				    err);
	else if (!code)
		code = cooccur_none(&learned->neighbours, input->space, input->items, err);
	report_lap(input->report, "neighbours");
	if (!code)
		code = quantise(&learned->neighbours, QUANTISE_ABOVE, input->threads, &learned->weights, err);
	report_lap(input->report, "weights");
	if (!code)
		code = warm_up(learned, input, &lists, err);
	report_lap(input->report, "attributes");
	if (!code) {
		make_entries(learned, input);
		bind(learned, input, &lists);
		learned->relation.best_weight = model_best_weight(&learned->relation, input->items);
	}
	lists_free(&lists);
	region_free(input->space, &learned->neighbours.scores);
	return code;
}

int learn_fresh(struct learned *learned, const struct learn_input *input, uint64_t to_s, uint32_t now_s,
		struct error *err)
{
	struct lists lists;
	int code = learn_lists(learned, input, to_s, now_s, &lists, err);
	if (!code)
		bind(learned, input, &lists);
	lists_free(&lists);
	return code;
}

void learned_free(struct space *space, struct learned *learned)
{
	neighbours_free(&learned->neighbours);
	region_free(space, &learned->weights);
	cold_free(space, &learned->cold);
	popular_free(&learned->popular);
	popular_free(&learned->recent);
	lift_free(&learned->lift);
	*learned = (struct learned){ 0 };
}
