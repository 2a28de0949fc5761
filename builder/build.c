/*
 * Notes in the metadata (builder/publish.c), beside the figures that a reader needs:
 *
 * Of the model:
 *     "build": {"events_of_unknown_items": .., "events_in_the_future": .., "damaged_histories": ..}
 *         counted, not learnt from
 *     "time": {"scan": s, "learn": s, "evaluate": s, "publish": s, "threads": .., "memory_mb": ..,
 *              "peak_memory_mb": .., "peak_files_mb": .., "laps": {"learn": {"lists": s, ..}, ..}, "query_us": [..]}
 *         query_us: for each relation the scoring time of a query in the evaluation
 * Of a catalog:
 *     {"events": .., "users": ..}
 * Of a relation:
 *     "learnt": bool, "params": {builder/params.h}
 *     "list_entries": .., "users_capped": ..                 users with more than list_items
 *     "window": places or null, "pairs": .., "pairs_skipped": ..   by list_window and pairs_per_item
 *     "cold_items": .., "by_attributes": neighbours          builder/cold.h
 *     "tuning": {builder/tune.h}                             when it was tuned
 *     "season": bool, "trend": bool                          whether the data covered enough time
 *     "evaluation": {"note": "..", "split_s": .., "possible_queries": .., "hit_rate_error": ..}
 *         note: why there is none
 */
#include "builder/build.h"

#include "builder/choice.h"
#include "builder/evaluate.h"
#include "builder/gate.h"
#include "builder/items.h"
#include "builder/learn.h"
#include "builder/plan.h"
#include "builder/publish.h"
#include "builder/report.h"
#include "builder/scan.h"
#include "builder/space.h"
#include "builder/workplace.h"
#include "common/clock.h"
#include "common/datadir.h"
#include "common/log.h"
#include "version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define WORSE_MAX 1000 /* two names of 256 bytes and some words */
#define SCAN_SHARE 0.2 /* of a build, for its progress */
#define LEARN_SHARE 0.7
#define EVALUATE_FROM 0.5 /* of a relation's share, after its tuning */
#define TUNE_SHARE 0.75 /* of a relation's share, when it is tuned */
#define GATE_SHARE 0.1 /* of a relation's share, after its tuning */

struct build {
	const struct build_options *options;
	struct workplace place;
	struct plan plan;
	struct report report;
	struct items *items; /* [catalogs] */
	struct scan scan;
	struct model model;
	struct attributes attributes; /* of the catalog at work */
	struct learned *learned; /* [relations], catalogs in order */
	struct evaluation *evaluations; /* [relations] */
	size_t relation_count;
	json_t **catalog_notes, **relation_notes;
	json_t *last; /* the active generation's metadata, NULL: none */
	struct gate gate;
};

/* --- reading --- */

static int read_catalogs(struct build *build, struct error *err)
{
	char path[DATADIR_PATH_MAX];
	struct control *control = NULL;
	int code = control_open(&control, datadir_control(&build->place.dir, path), 0, true, err);
	if (code == E_NOT_FOUND)
		return error_set(err, E_PRECONDITION,
				 "%s has no catalogs and no definitions yet; start with: kindred catalog import",
				 build->place.dir.path);
	if (!code)
		code = plan_make(&build->plan, control, err);
	size_t catalogs = build->plan.catalog_count;
	if (!code) {
		build->items = calloc(catalogs, sizeof *build->items);
		if (!build->items)
			code = error_set(err, E_EXHAUSTED, "no memory for %zu catalogs", catalogs);
	}
	for (size_t c = 0; c < catalogs && !code; c++) {
		const char *name = build->plan.catalogs[c].name;
		report_begin(&build->report, REPORT_SCAN, 0, 0, "Reading the catalog %s", name);
		code = items_load(&build->items[c], &build->place.space, control, name, err);
		report_lap(&build->report, "catalogs");
	}
	control_close(control);
	return code;
}

static int make_room(struct build *build, struct error *err)
{
	size_t catalogs = build->plan.catalog_count;
	for (size_t c = 0; c < catalogs; c++)
		build->relation_count += build->plan.catalogs[c].relation_count;
	build->learned = calloc(build->relation_count + 1, sizeof *build->learned);
	build->evaluations = calloc(build->relation_count + 1, sizeof *build->evaluations);
	build->relation_notes = calloc(build->relation_count + 1, sizeof *build->relation_notes);
	build->catalog_notes = calloc(catalogs + 1, sizeof *build->catalog_notes);
	build->model.catalogs = calloc(catalogs + 1, sizeof *build->model.catalogs);
	if (!build->learned || !build->evaluations || !build->relation_notes || !build->catalog_notes ||
	    !build->model.catalogs)
		return error_set(err, E_EXHAUSTED, "no memory for %zu relations", build->relation_count);
	build->model.catalog_count = catalogs;
	for (size_t c = 0; c < catalogs; c++) {
		struct model_catalog *catalog = &build->model.catalogs[c];
		catalog->relation_count = build->plan.catalogs[c].relation_count;
		catalog->relations = calloc(catalog->relation_count + 1, sizeof *catalog->relations);
		if (!catalog->relations)
			return error_set(err, E_EXHAUSTED, "no memory for %zu relations", build->relation_count);
	}
	return 0;
}

static int read_events(struct build *build, struct error *err)
{
	report_begin(&build->report, REPORT_SCAN, 0, SCAN_SHARE, "Reading histories");
	int code = scan_run(&build->scan, &build->place.space, &build->place.dir, &build->plan, build->items,
			    build->options->threads, build->options->now_ms, &build->report, err);
	report_lap(&build->report, "histories");
	if (code)
		return code;
	log_info("scan: %llu events of %llu users", (unsigned long long)build->scan.events,
		 (unsigned long long)build->scan.users);
	if (build->scan.unknown)
		log_warning("scan: %llu events are of items that no catalog with a definition has; they are not learnt "
			    "from",
			    (unsigned long long)build->scan.unknown);
	if (build->scan.future)
		log_warning("scan: %llu events are more than a day in the future; they are not learnt from",
			    (unsigned long long)build->scan.future);
	if (build->scan.damaged)
		log_warning("scan: %llu histories are damaged; they are not learnt from",
			    (unsigned long long)build->scan.damaged);
	build->model.events = build->scan.events;
	build->model.users = build->scan.users;
	build->model.newest_event_ms = build->scan.newest_ms;
	return 0;
}

static int order_catalog(struct build *build, size_t number, struct events *events, struct error *err)
{
	struct items *items = &build->items[number];
	uint32_t *row_of = NULL;
	uint64_t *counts = calloc((size_t)items->count + 1, sizeof *counts);
	if (!counts)
		return error_set(err, E_EXHAUSTED, "no memory for %u items", items->count);
	uint32_t threads = build->options->threads;
	int code = scan_counts(&build->scan, number, items->count, threads, counts, err);
	if (!code)
		code = items_order(items, counts, threads, &row_of, err);
	free(counts);
	if (!code)
		code = scan_join(&build->scan, number, row_of, threads, events, err);
	if (!code)
		code = items_bind(items, &build->model.catalogs[number], err);
	report_lap(&build->report, "order");
	free(row_of);
	return code;
}

/* --- learning --- */

static void log_relation(const char *catalog, const struct learned *learned, const struct evaluation *evaluation)
{
	const struct model_relation *r = &learned->relation;
	log_info("learn: %s %s: %llu events, %llu users, %llu items, %llu neighbours", catalog, r->key,
		 (unsigned long long)r->events, (unsigned long long)r->users, (unsigned long long)r->items,
		 (unsigned long long)r->neighbours);
	if (learned->capped_users)
		log_info("learn: of %u users with longer lists only the newest items count, see list_items",
			 learned->capped_users);
	if (learned->neighbours.pairs_skipped)
		log_info("learn: pairs more than %u places apart in a list are left out (%.1f%% of the pairs), see "
			 "pairs_per_item",
			 learned->neighbours.window,
			 100 * (double)learned->neighbours.pairs_skipped /
				 (double)(learned->neighbours.pairs_skipped + learned->neighbours.pairs));
	if (learned->cold.items)
		log_info("learn: %u items have too few events; %llu neighbours by attributes", learned->cold.items,
			 (unsigned long long)learned->cold.added);
	const struct model_evaluation *e = &evaluation->figures;
	if (e->queries == 0)
		log_info("evaluate: %s", evaluation->note);
	else
		log_info("evaluate: %u queries: HR@20 %.4f (+-%.4f) NDCG@20 %.4f MRR@20 %.4f coverage %.3f cold %.3f; "
			 "recent popularity: HR@20 %.4f NDCG@20 %.4f; %.1f us a query",
			 e->queries, e->hit_rate, evaluation->hit_rate_error, e->ndcg, e->mrr, e->coverage,
			 e->cold_share, e->popular_hit_rate, e->popular_ndcg, evaluation->microseconds);
}

static void log_gate(const char *catalog, const char *key, const struct model_gate *gate)
{
	char words[200];
	if (gate->verdict == MODEL_UNTESTED) {
		log_info("gate: %s %s: not compared: %s", catalog, key, gate->note);
		return;
	}
	gate_words(gate, words, sizeof words);
	log_info("gate: %s %s: %s: %s (z %.1f)", catalog, key, model_verdict_name(gate->verdict), words, gate->z);
}

static json_t *relation_notes(const struct plan_relation *plan, const struct params *params,
			      const struct learned *learned, const struct evaluation *evaluation)
{
	const struct neighbours *n = &learned->neighbours;
	json_t *window = n->window == UINT32_MAX || !plan->learn ? json_null() : json_integer(n->window);
	json_t *evaluated = evaluation->note[0]
				    ? json_pack("{ss}", "note", evaluation->note)
				    : json_pack("{sI sI sf}", "split_s", (json_int_t)evaluation->split_s,
						"possible_queries", (json_int_t)evaluation->possible_queries,
						"hit_rate_error", evaluation->hit_rate_error);
	return json_pack("{sb so sI sI so sI sI sI sI sb sb so}", "learnt", plan->learn, "params", params_json(params),
			 "list_entries", (json_int_t)learned->entries, "users_capped",
			 (json_int_t)learned->capped_users, "window", window, "pairs", (json_int_t)n->pairs,
			 "pairs_skipped", (json_int_t)n->pairs_skipped, "cold_items", (json_int_t)learned->cold.items,
			 "by_attributes", (json_int_t)learned->cold.added, "season", learned->lift.season, "trend",
			 learned->lift.trend, "evaluation", evaluated);
}

/* *params: what to learn with. *notes: of the tuner, NULL: it did not run. */
static int choose_params(struct build *build, const char *catalog, struct learn_input *input, uint32_t now_s,
			 struct params *params, json_t **notes, struct error *err)
{
	const struct build_options *options = build->options;
	uint64_t events = input->events->count;
	struct choice last = choice_find(build->last, catalog, input->relation->key, &options->params);
	struct tune_options search = choice_search(&last, events, options->tune_whole, options->tune_seconds);
	if (options->tune_objective)
		tune_objective_parse(options->tune_objective, &search.goal.objective);
	if (options->coverage_floor >= 0)
		search.goal.coverage_floor = options->coverage_floor;
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
			log_gate(name, key, gate);
	}
	learned_free(&build->place.space, &before);
	return code;
}

static int learn_relation(struct build *build, size_t catalog, size_t relation, size_t number,
			  const struct events *events, struct error *err)
{
	const struct plan_relation *plan = &build->plan.catalogs[catalog].relations[relation];
	struct learned *learned = &build->learned[number];
	struct evaluation *evaluation = &build->evaluations[number];
	struct learn_input input = { .space = &build->place.space,
				     .events = events,
				     .items = build->items[catalog].count,
				     .relation = plan,
				     .params = &build->options->params,
				     .attributes = &build->attributes,
				     .versions = build->items[catalog].versions.region.data,
				     .threads = build->options->threads,
				     .report = &build->report };
	double share = LEARN_SHARE / (double)build->relation_count;
	double from = SCAN_SHARE + (double)number * share, middle = from + EVALUATE_FROM * share;
	struct params params = build->options->params;
	json_t *tuning = NULL;
	if (build->options->tune_seconds > 0 && plan->learn) {
		double tuned = from + TUNE_SHARE * share;
		report_begin(&build->report, REPORT_LEARN, from, tuned, "Tuning %s of %s", plan->key,
			     build->plan.catalogs[catalog].name);
		if (choose_params(build, build->plan.catalogs[catalog].name, &input, events->newest_s, &params, &tuning,
				  err))
			return err->code;
		middle = tuned + EVALUATE_FROM * (from + share - tuned);
		from = tuned;
		share -= TUNE_SHARE * share;
	} else if (!build->options->params_as_given) {
		struct choice last = choice_find(build->last, build->plan.catalogs[catalog].name, plan->key, &params);
		params = last.params;
		tuning = json_deep_copy(last.notes);
	}
	input.params = &params;
	report_begin(&build->report, REPORT_LEARN, from, middle, "Learning %s of %s", plan->key,
		     build->plan.catalogs[catalog].name);
	struct model_gate gate = { 0 };
	int code = learn(learned, &input, (uint64_t)UINT32_MAX + 1, events->newest_s, err);
	if (!code)
		code = try_relation(build, catalog, &input, evaluation, &gate, middle, from + (1 - GATE_SHARE) * share,
				    err);
	if (code) {
		json_decref(tuning);
		return code;
	}
	log_relation(build->plan.catalogs[catalog].name, learned, evaluation);
	struct model_relation *in_model = &build->model.catalogs[catalog].relations[relation];
	*in_model = learned->relation;
	in_model->evaluation = evaluation->figures;
	in_model->gate = gate;
	build->relation_notes[number] = relation_notes(plan, &params, learned, evaluation);
	if (tuning)
		json_object_set_new(build->relation_notes[number], "tuning", tuning);
	return 0;
}

static int learn_catalogs(struct build *build, struct error *err)
{
	int code = 0;
	size_t number = 0;
	for (size_t c = 0; c < build->plan.catalog_count && !code; c++) {
		struct events events = { 0 };
		report_begin(&build->report, REPORT_SCAN, SCAN_SHARE, SCAN_SHARE, "Putting the items of %s in order",
			     build->plan.catalogs[c].name);
		code = order_catalog(build, c, &events, err);
		if (!code)
			code = attributes_make(&build->attributes, &build->place.space, &build->model.catalogs[c], err);
		for (size_t r = 0; r < build->plan.catalogs[c].relation_count && !code; r++)
			code = learn_relation(build, c, r, number++, &events, err);
		build->catalog_notes[c] =
			json_pack("{sI sI}", "events", (json_int_t)events.count, "users", (json_int_t)events.users);
		attributes_free(&build->attributes);
		events_free(&build->place.space, &events);
	}
	return code;
}

/* --- publishing --- */

static json_t *time_notes(const struct build *build)
{
	json_t *time = report_times(&build->report);
	json_object_set_new(time, "threads", json_integer(build->options->threads));
	json_object_set_new(time, "memory_mb", json_integer((json_int_t)build->options->memory_mb));
	json_object_set_new(time, "peak_memory_mb", json_integer((json_int_t)(build->place.space.peak_memory >> 20)));
	json_object_set_new(time, "peak_files_mb", json_integer((json_int_t)(build->place.space.peak_files >> 20)));
	json_t *queries = json_array();
	for (size_t r = 0; r < build->relation_count; r++)
		json_array_append_new(queries, json_real(build->evaluations[r].microseconds));
	json_object_set_new(time, "query_us", queries);
	return time;
}

static int publish(struct build *build, uint64_t generation, char *path, struct error *err)
{
	char folder[DATADIR_PATH_MAX];
	report_begin(&build->report, REPORT_PUBLISH, SCAN_SHARE + LEARN_SHARE, 1, "Publishing generation %llu",
		     (unsigned long long)generation);
	build->model.build_seconds = report_seconds(&build->report);
	struct publication publication = {
		.model = &build->model,
		.generation = generation,
		.create_ms = build->options->now_ms,
		.builder = "kindred-builder " KINDRED_VERSION " (" KINDRED_REVISION ")",
		.time = time_notes(build),
		.build = json_pack("{sI sI sI}", "events_of_unknown_items", (json_int_t)build->scan.unknown,
				   "events_in_the_future", (json_int_t)build->scan.future, "damaged_histories",
				   (json_int_t)build->scan.damaged),
		.catalog_notes = build->catalog_notes,
		.relation_notes = build->relation_notes,
		.threads = build->options->threads,
	};
	int code = publish_write(&publication, datadir_models(&build->place.dir, folder), path, err);
	json_decref(publication.time);
	json_decref(publication.build);
	return code;
}

/* What the gate holds against the generation, for the server to say. false: nothing. */
static bool worse_words(const struct build *build, char *text, size_t bytes)
{
	size_t worse = 0;
	for (size_t c = 0; c < build->plan.catalog_count; c++)
		for (size_t r = 0; r < build->plan.catalogs[c].relation_count; r++) {
			const struct plan_relation *plan = &build->plan.catalogs[c].relations[r];
			const struct model_gate *gate = &build->model.catalogs[c].relations[r].gate;
			char words[200];
			if (gate->verdict != MODEL_WORSE || worse++ > 0)
				continue;
			gate_words(gate, words, sizeof words);
			snprintf(text, bytes, "%s of %s: %s", plan->definitions[0], build->plan.catalogs[c].name,
				 words);
		}
	if (worse > 1)
		snprintf(text + strlen(text), bytes - strlen(text), "; and %zu more", worse - 1);
	return worse > 0;
}

static void say_done(struct build *build, uint64_t generation, const char *path)
{
	char worse[WORSE_MAX];
	uint64_t items = 0;
	for (size_t c = 0; c < build->plan.catalog_count; c++)
		items += build->items[c].count;
	report_end(&build->report);
	char times[400];
	report_times_text(&build->report, times, sizeof times);
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	log_info("publish: %s in %.1f s: %s; %llu MB of memory at most, %llu MB of files, %ld MB resident", path,
		 report_seconds(&build->report), times, (unsigned long long)(build->place.space.peak_memory >> 20),
		 (unsigned long long)(build->place.space.peak_files >> 20), usage.ru_maxrss >> 10);
	report_done(&build->report, json_pack("{ss ss* sI sI sI sI sI}", "path", path, "worse",
					      worse_words(build, worse, sizeof worse) ? worse : NULL, "generation",
					      (json_int_t)generation, "events", (json_int_t)build->model.events,
					      "users", (json_int_t)build->model.users, "items", (json_int_t)items,
					      "relations", (json_int_t)build->relation_count));
}

static void release(struct build *build)
{
	for (size_t r = 0; r < build->relation_count; r++) {
		if (build->learned)
			learned_free(&build->place.space, &build->learned[r]);
		if (build->relation_notes)
			json_decref(build->relation_notes[r]);
	}
	for (size_t c = 0; c < build->plan.catalog_count; c++) {
		if (build->items)
			items_free(&build->items[c]);
		if (build->catalog_notes)
			json_decref(build->catalog_notes[c]);
		if (build->model.catalogs) {
			free(build->model.catalogs[c].attributes);
			free(build->model.catalogs[c].relations);
		}
	}
	json_decref(build->last);
	gate_close(&build->gate);
	free(build->model.catalogs);
	free(build->items);
	free(build->learned);
	free(build->evaluations);
	free(build->relation_notes);
	free(build->catalog_notes);
	scan_free(&build->scan);
	plan_fini(&build->plan);
	workplace_close(&build->place);
}

int build_run(const struct build_options *options, char *path, struct error *err)
{
	char own_path[PATH_MAX];
	uint64_t generation = options->generation;
	struct build *build = calloc(1, sizeof *build);
	if (!build)
		return error_set(err, E_EXHAUSTED, "no memory for a build");
	build->options = options;
	report_init(&build->report, options->progress_fd);
	path = path ? path : own_path;
	struct error own_error = { 0 };
	err = err ? err : &own_error;

	int code = workplace_open(&build->place, options->data, options->memory_mb, err);
	if (!code)
		code = workplace_number(&build->place, &generation, err);
	if (!code)
		code = read_catalogs(build, err);
	if (!code)
		code = make_room(build, err);
	if (!code)
		code = read_events(build, err);
	if (!code && !options->params_as_given)
		build->last = choice_load(&build->place.dir);
	if (!code && !options->no_gate)
		gate_open(&build->gate, &build->place.dir, (uint32_t)build->relation_count);
	if (!code)
		code = learn_catalogs(build, err);
	if (!code)
		code = publish(build, generation, path, err);
	if (!code)
		say_done(build, generation, path);
	else
		report_failed(&build->report, err);
	release(build);
	free(build);
	return code;
}
