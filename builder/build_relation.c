#include "builder/build_private.h"

#include "builder/choice.h"
#include "builder/relation_notes.h"
#include "common/log.h"

#include <stdlib.h>

#define EVALUATE_FROM 0.5 /* of a relation's share, after its tuning */
#define TUNE_SHARE 0.75 /* of a relation's share, when it is tuned */
#define GATE_SHARE 0.1 /* of a relation's share, after its tuning */

/* A relation is there, learnt or taken over: into the model with it. */
static void place_relation(struct build *build, size_t catalog, size_t relation, size_t number,
			   const struct model_gate *gate, json_t *notes)
{
	struct model_relation *in_model = &build->model.catalogs[catalog].relations[relation];
	*in_model = build->learned[number].relation;
	in_model->evaluation = build->evaluations[number].figures;
	in_model->gate = *gate;
	build->relation_notes[number] = notes;
}

/* --- learning --- */

static struct tune_goal wanted_goal(const struct build_options *options, const struct choice *last)
{
	struct tune_goal goal = last->goal;
	if (options->tune_objective)
		tune_objective_parse(options->tune_objective, &goal.objective);
	if (options->coverage_floor >= 0)
		goal.coverage_floor = options->coverage_floor;
	return goal;
}

/* *params: what to learn with. *notes: of the tuner, NULL: it did not run. */
static int choose_params(struct build *build, const char *catalog, struct learn_input *input, uint32_t now_s,
			 struct params *params, json_t **notes, struct error *err)
{
	const struct build_options *options = build->options;
	uint64_t events = input->events->count;
	struct choice last = choice_find(build->last, catalog, input->relation->key, &options->params);
	struct tune_options search = choice_search(&last, events, options->tune_whole, options->tune_seconds);
	search.goal = wanted_goal(options, &last);
	struct tuning *tuning = calloc(1, sizeof *tuning);
	if (!tuning)
		return error_set(err, E_EXHAUSTED, "no memory for the tuner");
	int code = tune(tuning, input, &search, now_s, err);
	if (!code && tuning->note[0])
		log_info("tune: %s %s: %s", catalog, input->relation->key, tuning->note);
	else if (!code)
		log_info("tune: %s %s: %s: NDCG@20 %.4f coverage %.3f, defaults %.4f and %.3f, %u questions, %u "
			 "candidates in %.1f s%s",
			 catalog, input->relation->key, tuning->choice.name, tuning->choice.ndcg,
			 tuning->choice.coverage, tuning->standard.ndcg, tuning->standard.coverage, tuning->queries,
			 tuning->candidates, tuning->seconds, tuning->stopped ? " (stopped by the time)" : "");
	*params = tuning->choice.params;
	*notes = code ? NULL : tuning_json(tuning);
	free(tuning);
	return code;
}

/* Evaluates, and holds the model that was evaluated against what is served. */
static int try_relation(struct build *build, size_t catalog, const struct learn_input *input,
			struct evaluation *evaluation, struct model_gate *gate, double from, double to,
			struct error *err)
{
	const char *name = build->plan.catalogs[catalog].name, *key = input->relation->key;
	uint32_t now_s = input->events->newest_s;
	struct params served_params = build->options->params;
	struct learn_input quiet = *input;
	struct learned before;
	report_begin(&build->report, REPORT_EVALUATE, from, to, "Evaluating %s of %s", key, name);
	int code = evaluate(evaluation, input, now_s, &before, err);
	if (!code && !build->options->no_gate) {
		struct gate_candidate candidate = { .catalog = name,
						    .first_version = build->items[catalog].first_version,
						    .keys = build->items[catalog].keys.region.data,
						    .input = &quiet,
						    .evaluation = evaluation,
						    .before = &before,
						    .now_s = now_s };
		quiet.report = NULL;
		if (choice_learnt_with(build->last, name, key, &served_params))
			candidate.served_params = &served_params;
		report_begin(&build->report, REPORT_EVALUATE, to, to, "Comparing %s of %s with what is served", key,
			     name);
		code = gate_test(&build->gate, &candidate, gate, err);
		if (!code)
			relation_log_gate(name, key, gate);
	}
	learned_free(&build->place.space, &before);
	return code;
}

/* What a search was of and how long it could take, for choice_stands of later builds. */
static void note_search(json_t *tuning, const struct fingerprint *fingerprint, double seconds)
{
	char text[FINGERPRINT_TEXT];
	fingerprint_text(fingerprint, text);
	json_object_set_new(tuning, "fingerprint", json_string(text));
	json_object_set_new(tuning, "seconds", json_real(seconds));
}

static int learn_relation(struct build *build, size_t catalog, size_t relation, size_t number,
			  const struct events *events, struct error *err)
{
	const struct build_options *options = build->options;
	const char *name = build->plan.catalogs[catalog].name;
	const struct plan_relation *plan = &build->plan.catalogs[catalog].relations[relation];
	struct learned *learned = &build->learned[number];
	struct evaluation *evaluation = &build->evaluations[number];
	struct learn_input input = { .space = &build->place.space,
				     .events = events,
				     .items = build->items[catalog].count,
				     .relation = plan,
				     .params = &options->params,
				     .attributes = &build->attributes,
				     .versions = build->items[catalog].versions.region.data,
				     .threads = options->threads,
				     .report = &build->report };
	double share = LEARN_SHARE / (double)build->relation_count;
	double from = SCAN_SHARE + (double)number * share, middle = from + EVALUATE_FROM * share;
	bool searches = options->tune_seconds > 0 && plan->learn;
	struct params params = options->params;
	struct fingerprint fingerprint;
	json_t *tuning = NULL;
	if (searches) {
		double tuned = from + TUNE_SHARE * share;
		report_begin(&build->report, REPORT_LEARN, from, tuned, "Tuning %s of %s", plan->key, name);
		if (choose_params(build, name, &input, events->newest_s, &params, &tuning, err))
			return err->code;
		middle = tuned + EVALUATE_FROM * (from + share - tuned);
		from = tuned;
		share -= TUNE_SHARE * share;
	} else if (!options->params_as_given) {
		struct choice last = choice_find(build->last, name, plan->key, &params);
		params = last.params;
		tuning = json_deep_copy(last.notes);
	}
	input.params = &params;
	report_begin(&build->report, REPORT_LEARN, from, middle, "Learning %s of %s", plan->key, name);
	struct model_gate gate = { 0 };
	int code = fingerprint_relation(&fingerprint, &build->fingerprint, &build->plan.catalogs[catalog], plan,
					&params, err);
	if (!code)
		code = learn(learned, &input, (uint64_t)UINT32_MAX + 1, events->newest_s, err);
	if (!code)
		code = try_relation(build, catalog, &input, evaluation, &gate, middle, from + (1 - GATE_SHARE) * share,
				    err);
	if (code) {
		json_decref(tuning);
		return code;
	}
	relation_log(name, learned, evaluation);
	json_t *notes = relation_notes(plan, &params, learned, evaluation, &fingerprint);
	if (searches)
		note_search(tuning, &fingerprint, options->tune_seconds);
	if (tuning)
		json_object_set_new(notes, "tuning", tuning);
	place_relation(build, catalog, relation, number, &gate, notes);
	return 0;
}

/* --- taking over --- */

/*
 * Of the relation as it would be learnt without a search. *known: that is how it will be learnt, as there would be no
 * search, or only the same one again.
 */
static int foresee(const struct build *build, size_t catalog, size_t relation, struct fingerprint *fingerprint,
		   bool *known, struct error *err)
{
	const struct build_options *options = build->options;
	const struct plan_catalog *plan = &build->plan.catalogs[catalog];
	const struct plan_relation *wanted = &plan->relations[relation];
	bool searches = options->tune_seconds > 0 && wanted->learn;
	struct choice last = { .params = options->params };
	char text[FINGERPRINT_TEXT];
	if (!options->params_as_given)
		last = choice_find(build->last, plan->name, wanted->key, &options->params);
	int code = fingerprint_relation(fingerprint, &build->fingerprint, plan, wanted, &last.params, err);
	if (code)
		return code;
	struct tune_goal goal = wanted_goal(options, &last);
	fingerprint_text(fingerprint, text);
	*known = !searches || (!options->tune_whole && choice_stands(&last, text, &goal, options->tune_seconds));
	return 0;
}

static void place_reused(struct build *build, size_t catalog, size_t relation, size_t number,
			 const struct reused *reused)
{
	const struct plan_catalog *plan = &build->plan.catalogs[catalog];
	const char *key = plan->relations[relation].key;
	double done = SCAN_SHARE + LEARN_SHARE * (double)(number + 1) / (double)build->relation_count;
	struct model_gate gate = { 0 };
	if (!build->options->no_gate)
		gate_unchanged(&gate, reused->from, reused->since);
	if (build->options->params_as_given)
		json_object_del(reused->notes, "tuning"); /* as of one that was learnt so */
	report_begin(&build->report, REPORT_LEARN, done, done, "Unchanged since generation %llu: %s of %s",
		     (unsigned long long)reused->since, key, plan->name);
	report_unchanged(&build->report, plan->name, key, plan->relations[relation].definitions[0], reused->since);
	relation_log_reused(plan->name, key, reused);
	place_relation(build, catalog, relation, number, &gate, reused->notes);
}

/* *taken: the active generation has what would be learnt. */
static int take_over(struct build *build, size_t catalog, size_t relation, size_t number, bool *taken,
		     struct error *err)
{
	struct fingerprint fingerprint;
	struct reused reused = { 0 };
	bool known = false;
	int code = build->reuse.served ? foresee(build, catalog, relation, &fingerprint, &known, err) : 0;
	if (!code && known) {
		struct reuse_wanted wanted = { .catalog = build->plan.catalogs[catalog].name,
					       .relation = &build->plan.catalogs[catalog].relations[relation],
					       .items = build->items[catalog].count,
					       .versions = build->items[catalog].versions.region.data,
					       .fingerprint = &fingerprint };
		code = reuse_take(&build->reuse, &wanted, &build->learned[number], &build->evaluations[number], &reused,
				  err);
	}
	*taken = !code && reused.since > 0;
	if (*taken)
		place_reused(build, catalog, relation, number, &reused);
	return code;
}

/* What items have in common is only asked for by what is learnt. */
int build_relation(struct build *build, size_t catalog, size_t relation, size_t number, const struct events *events,
		   struct error *err)
{
	bool taken;
	int code = take_over(build, catalog, relation, number, &taken, err);
	if (!code && !taken && !build->attributes.space)
		code = attributes_make(&build->attributes, &build->place.space, &build->model.catalogs[catalog], err);
	if (!code && !taken)
		code = learn_relation(build, catalog, relation, number, events, err);
	return code;
}
