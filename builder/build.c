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
 * Of a relation: builder/relation_notes.h
 */
#include "builder/build_private.h"

#include "builder/choice.h"
#include "builder/publish.h"
#include "common/datadir.h"
#include "common/log.h"
#include "version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define WORSE_MAX 1000 /* two names of 256 bytes and some words */

/* --- reading --- */

static int read_catalogs(struct build *build, struct error *err)
{
	char path[DATADIR_PATH_MAX];
	struct control *control = NULL;
	int code = control_open(&control, datadir_control(&build->place.dir, path), 0, true, err);
	if (code == E_NOT_FOUND)
		return error_set(err, E_PRECONDITION,
				 "there are no catalogs and no definitions yet; start with: kindred catalog import");
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
	if (!code)
		code = fingerprint_catalog(&build->fingerprint, events, &build->model.catalogs[number],
					   items->first_version, err);
	report_lap(&build->report, "fingerprints");
	free(row_of);
	return code;
}

/* --- learning --- */

static int learn_catalogs(struct build *build, struct error *err)
{
	int code = 0;
	size_t number = 0;
	for (size_t c = 0; c < build->plan.catalog_count && !code; c++) {
		struct events events = { 0 };
		double done = SCAN_SHARE + LEARN_SHARE * (double)number / (double)build->relation_count;
		report_begin(&build->report, REPORT_SCAN, done, done, "Putting the items of %s in order",
			     build->plan.catalogs[c].name);
		code = order_catalog(build, c, &events, err);
		for (size_t r = 0; r < build->plan.catalogs[c].relation_count && !code; r++)
			code = build_relation(build, c, r, number++, &events, err);
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
	reuse_close(&build->reuse);
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

	int code = workplace_open(&build->place, options->data, options->enter, options->memory_mb, err);
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
	/* what the gate could not read, and has logged, is not tried again */
	if (!code && !options->no_reuse && (build->gate.served || options->no_gate))
		reuse_open(&build->reuse, &build->place.dir, build->gate.served);
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
