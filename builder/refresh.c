#include "builder/refresh.h"

#include "builder/choice.h"
#include "builder/learn.h"
#include "builder/plan.h"
#include "builder/publish.h"
#include "builder/report.h"
#include "builder/scan.h"
#include "builder/workplace.h"
#include "common/control.h"
#include "common/log.h"
#include "version.h"

#include <stdlib.h>
#include <string.h>

#define SCAN_SHARE 0.5 /* of a refresh, for its progress */
#define COUNT_SHARE 0.4

struct refresh {
	const struct build_options *options;
	struct workplace place;
	struct report report;
	struct plan plan;
	struct model *active;
	json_t *meta; /* the active generation's */
	struct model model; /* active, with catalogs and relations of its own */
	struct items *items; /* [plan's catalogs]: keys and index of the active generation's, and nothing else */
	struct model_place **own_indexes; /* [plan's catalogs]: of those that it has not */
	struct scan scan;
	struct learned *fresh; /* one a relation that was refreshed */
	size_t fresh_count;
	json_t **catalog_notes, **relation_notes; /* borrowed from meta */
};

/* --- what is there --- */

static int open_active(struct refresh *refresh, struct error *err)
{
	char folder[DATADIR_PATH_MAX], path[DATADIR_PATH_MAX + 32];
	uint64_t active = 0;
	int code = datadir_active_read(&refresh->place.dir, &active, err);
	if (code)
		return code;
	if (active == 0)
		return error_set(err, E_PRECONDITION, "no model yet, so nothing to refresh: `kindred model build`");
	model_path(path, sizeof path, datadir_models(&refresh->place.dir, folder), active);
	code = model_open(&refresh->active, path, true, err);
	if (code)
		return code;
	refresh->meta = choice_meta(refresh->active);
	return refresh->meta ? 0 : error_set(err, E_DATA_LOSS, "%s: the metadata cannot be read", path);
}

/*
 * Catalogs keep the version they were learnt at: by that the refreshed generation, as the active one, is known to
 * have nothing for one that was deleted and made again.
 */
static int read_plan(struct refresh *refresh, struct error *err)
{
	char path[DATADIR_PATH_MAX];
	struct control *control = NULL;
	int code = control_open(&control, datadir_control(&refresh->place.dir, path), 0, true, err);
	if (!code)
		code = plan_make(&refresh->plan, control, err);
	control_close(control);
	return code;
}

static struct model_catalog *own_catalog(const struct refresh *refresh, const char *name)
{
	for (size_t c = 0; c < refresh->model.catalog_count; c++)
		if (strcmp(refresh->model.catalogs[c].name, name) == 0)
			return &refresh->model.catalogs[c];
	return NULL;
}

/* A copy of the active model's frame, so that relations can be changed; what they point to stays the active one's. */
static int copy_frame(struct refresh *refresh, struct error *err)
{
	size_t relations = 0, plans = refresh->plan.catalog_count;
	refresh->model = *refresh->active;
	refresh->model.catalogs = calloc(refresh->active->catalog_count + 1, sizeof *refresh->model.catalogs);
	if (!refresh->model.catalogs)
		return error_set(err, E_EXHAUSTED, "no memory for a refresh");
	for (size_t c = 0; c < refresh->active->catalog_count; c++) {
		struct model_catalog *own = &refresh->model.catalogs[c];
		*own = refresh->active->catalogs[c];
		own->relations = malloc((own->relation_count + 1) * sizeof *own->relations);
		if (!own->relations)
			return error_set(err, E_EXHAUSTED, "no memory for a refresh");
		memcpy(own->relations, refresh->active->catalogs[c].relations,
		       own->relation_count * sizeof *own->relations);
		relations += own->relation_count;
	}
	refresh->fresh = calloc(relations + 1, sizeof *refresh->fresh);
	refresh->relation_notes = calloc(relations + 1, sizeof *refresh->relation_notes);
	refresh->catalog_notes = calloc(refresh->active->catalog_count + 1, sizeof *refresh->catalog_notes);
	refresh->items = calloc(plans + 1, sizeof *refresh->items);
	refresh->own_indexes = calloc(plans + 1, sizeof *refresh->own_indexes);
	if (!refresh->fresh || !refresh->relation_notes || !refresh->catalog_notes || !refresh->items ||
	    !refresh->own_indexes)
		return error_set(err, E_EXHAUSTED, "no memory for a refresh");
	return 0;
}

static void find_notes(struct refresh *refresh)
{
	const json_t *catalogs = json_object_get(refresh->meta, "catalogs");
	size_t number = 0;
	for (size_t c = 0; c < refresh->model.catalog_count; c++) {
		const json_t *catalog = json_array_get(catalogs, c);
		refresh->catalog_notes[c] = json_object_get(catalog, "notes");
		for (size_t r = 0; r < refresh->model.catalogs[c].relation_count; r++)
			refresh->relation_notes[number++] =
				json_object_get(json_array_get(json_object_get(catalog, "relations"), r), "notes");
	}
}

/* Keys and index as scan.c wants them: rows are the slots. */
static int point_items(struct refresh *refresh, struct error *err)
{
	for (size_t p = 0; p < refresh->plan.catalog_count; p++) {
		struct items *items = &refresh->items[p];
		const struct model_catalog *catalog = own_catalog(refresh, refresh->plan.catalogs[p].name);
		if (catalog) {
			items->count = catalog->items;
			items->keys.region.data = (void *)catalog->keys;
			items->index = (struct model_place *)catalog->index;
			items->index_mask = catalog->index_mask;
			continue;
		}
		refresh->own_indexes[p] = model_index_make(NULL, 0, &items->index_mask, NULL);
		items->index = refresh->own_indexes[p];
		if (!items->index)
			return error_set(err, E_EXHAUSTED, "no memory for a refresh");
	}
	return 0;
}

/* --- counting --- */

/* The relation of the model that a planned one was; its number over all catalogs. NULL: there is none. */
static struct model_relation *own_relation(const struct refresh *refresh, const char *catalog, const char *key,
					   size_t *number)
{
	*number = 0;
	for (size_t c = 0; c < refresh->model.catalog_count; c++) {
		struct model_catalog *own = &refresh->model.catalogs[c];
		for (size_t r = 0; r < own->relation_count; r++, ++*number)
			if (strcmp(own->name, catalog) == 0 && strcmp(own->relations[r].key, key) == 0)
				return &own->relations[r];
	}
	return NULL;
}

static bool same_bytes(const void *a, const void *b, size_t bytes)
{
	return bytes == 0 || memcmp(a, b, bytes) == 0;
}

static bool same_list(const uint32_t *rows, const uint32_t *scores, uint32_t count, const uint32_t *other_rows,
		      const uint32_t *other_scores, uint32_t other_count)
{
	return count == other_count && same_bytes(rows, other_rows, count * sizeof *rows) &&
	       same_bytes(scores, other_scores, count * sizeof *scores);
}

/* Whether a build would still make the relation that it made: it is known by its fingerprint only then. */
static bool nothing_new(const struct model_relation *was, const struct learned *fresh, const json_t *notes,
			uint32_t items)
{
	const struct model_relation *is = &fresh->relation;
	return !was->multipliers == !is->multipliers &&
	       same_bytes(was->multipliers, is->multipliers, was->multipliers ? items * sizeof *was->multipliers : 0) &&
	       same_list(was->popular_rows, was->popular_scores, was->popular_count, is->popular_rows,
			 is->popular_scores, is->popular_count) &&
	       same_list(was->recent_rows, was->recent_scores, was->recent_count, is->recent_rows, is->recent_scores,
			 is->recent_count) &&
	       json_is_true(json_object_get(notes, "season")) == fresh->lift.season &&
	       json_is_true(json_object_get(notes, "trend")) == fresh->lift.trend;
}

static int refresh_relation(struct refresh *refresh, const char *catalog, uint32_t items,
			    const struct plan_relation *plan, const struct events *events, struct error *err)
{
	size_t number;
	struct model_relation *relation = own_relation(refresh, catalog, plan->key, &number);
	if (!relation)
		return 0;
	json_t *notes = refresh->relation_notes[number];
	struct params params = params_default();
	params_read(&params, json_object_get(notes, "params"));
	struct learned *fresh = &refresh->fresh[refresh->fresh_count++];
	struct learn_input input = { .space = &refresh->place.space,
				     .events = events,
				     .items = items,
				     .relation = plan,
				     .params = &params,
				     .threads = refresh->options->threads };
	int code = learn_fresh(fresh, &input, (uint64_t)UINT32_MAX + 1, events->newest_s, err);
	if (code)
		return code;
	if (!nothing_new(relation, fresh, notes, items)) {
		json_object_del(notes, "fingerprint");
		json_object_del(notes, "reused");
	}
	relation->multipliers = fresh->relation.multipliers;
	relation->multiplier_max = fresh->relation.multiplier_max;
	relation->popular_rows = fresh->relation.popular_rows;
	relation->popular_scores = fresh->relation.popular_scores;
	relation->popular_count = fresh->relation.popular_count;
	relation->recent_rows = fresh->relation.recent_rows;
	relation->recent_scores = fresh->relation.recent_scores;
	relation->recent_count = fresh->relation.recent_count;
	json_object_set_new(notes, "season", json_boolean(fresh->lift.season));
	json_object_set_new(notes, "trend", json_boolean(fresh->lift.trend));
	return 0;
}

static int refresh_catalog(struct refresh *refresh, size_t number, struct error *err)
{
	const struct plan_catalog *plan = &refresh->plan.catalogs[number];
	uint32_t items = refresh->items[number].count;
	struct events events = { 0 };
	uint32_t *rows = malloc(((size_t)items + 1) * sizeof *rows);
	if (!rows)
		return error_set(err, E_EXHAUSTED, "no memory for %u items", items);
	for (uint32_t row = 0; row < items; row++)
		rows[row] = row;
	int code = scan_join(&refresh->scan, number, rows, refresh->options->threads, &events, err);
	for (size_t r = 0; r < plan->relation_count && !code; r++)
		code = refresh_relation(refresh, plan->name, items, &plan->relations[r], &events, err);
	events_free(&refresh->place.space, &events);
	free(rows);
	return code;
}

static int count(struct refresh *refresh, struct error *err)
{
	const struct build_options *options = refresh->options;
	report_begin(&refresh->report, REPORT_SCAN, 0, SCAN_SHARE, "Reading histories");
	int code = scan_run(&refresh->scan, &refresh->place.space, &refresh->place.dir, &refresh->plan, refresh->items,
			    options->threads, options->now_ms, &refresh->report, err);
	report_begin(&refresh->report, REPORT_LEARN, SCAN_SHARE, SCAN_SHARE + COUNT_SHARE, "Counting what is popular");
	for (size_t c = 0; c < refresh->plan.catalog_count && !code; c++)
		code = refresh_catalog(refresh, c, err);
	return code;
}

/* --- publishing --- */

static int publish(struct refresh *refresh, uint64_t generation, char *path, struct error *err)
{
	char folder[DATADIR_PATH_MAX];
	uint64_t active = refresh->active->head->generation;
	report_begin(&refresh->report, REPORT_PUBLISH, SCAN_SHARE + COUNT_SHARE, 1, "Publishing generation %llu",
		     (unsigned long long)generation);
	json_t *build = json_deep_copy(json_object_get(refresh->meta, "build")), *time = report_times(&refresh->report);
	if (!build)
		build = json_object();
	if (!json_object_get(build, "learnt"))
		json_object_set_new(build, "learnt", json_integer((json_int_t)active));
	json_object_set_new(build, "refreshed", json_integer((json_int_t)active));
	json_object_set_new(time, "threads", json_integer(refresh->options->threads));
	refresh->model.build_seconds = report_seconds(&refresh->report);
	if (refresh->scan.newest_ms > refresh->model.newest_event_ms)
		refresh->model.newest_event_ms = refresh->scan.newest_ms;
	struct publication publication = {
		.model = &refresh->model,
		.generation = generation,
		.create_ms = refresh->options->now_ms,
		.builder = "kindred-builder " KINDRED_VERSION " (" KINDRED_REVISION ")",
		.time = time,
		.build = build,
		.catalog_notes = refresh->catalog_notes,
		.relation_notes = refresh->relation_notes,
		.threads = refresh->options->threads,
	};
	int code = publish_write(&publication, datadir_models(&refresh->place.dir, folder), path, err);
	json_decref(time);
	json_decref(build);
	return code;
}

static void say_done(struct refresh *refresh, uint64_t generation, const char *path)
{
	uint64_t items = 0;
	for (size_t c = 0; c < refresh->model.catalog_count; c++)
		items += refresh->model.catalogs[c].items;
	report_end(&refresh->report);
	const double *s = refresh->report.seconds;
	log_info("refresh: %s from generation %llu in %.1f s (scan %.1f, count %.1f, publish %.1f); %zu relations",
		 path, (unsigned long long)refresh->active->head->generation, report_seconds(&refresh->report),
		 s[REPORT_SCAN], s[REPORT_LEARN], s[REPORT_PUBLISH], refresh->fresh_count);
	report_done(&refresh->report,
		    json_pack("{ss sI sI sI sI sI}", "path", path, "generation", (json_int_t)generation, "events",
			      (json_int_t)refresh->scan.events, "users", (json_int_t)refresh->scan.users, "items",
			      (json_int_t)items, "relations", (json_int_t)refresh->fresh_count));
}

static void release(struct refresh *refresh)
{
	for (size_t f = 0; f < refresh->fresh_count; f++)
		learned_free(&refresh->place.space, &refresh->fresh[f]);
	for (size_t c = 0; refresh->model.catalogs && c < refresh->model.catalog_count; c++)
		free(refresh->model.catalogs[c].relations);
	for (size_t p = 0; refresh->own_indexes && p < refresh->plan.catalog_count; p++)
		free(refresh->own_indexes[p]);
	free(refresh->model.catalogs);
	free(refresh->fresh);
	free(refresh->relation_notes);
	free(refresh->catalog_notes);
	free(refresh->items);
	free(refresh->own_indexes);
	scan_free(&refresh->scan);
	plan_fini(&refresh->plan);
	json_decref(refresh->meta);
	model_close(refresh->active);
	workplace_close(&refresh->place);
}

int refresh_run(const struct build_options *options, char *path, struct error *err)
{
	char own_path[PATH_MAX];
	uint64_t generation = options->generation;
	struct refresh *refresh = calloc(1, sizeof *refresh);
	struct error own_error = { 0 };
	err = err ? err : &own_error;
	if (!refresh)
		return error_set(err, E_EXHAUSTED, "no memory for a refresh");
	refresh->options = options;
	report_init(&refresh->report, options->progress_fd);
	path = path ? path : own_path;

	int code = workplace_open(&refresh->place, options->data, options->enter, options->memory_mb, err);
	if (!code)
		code = workplace_number(&refresh->place, &generation, err);
	if (!code)
		code = open_active(refresh, err);
	if (!code)
		code = read_plan(refresh, err);
	if (!code)
		code = copy_frame(refresh, err);
	if (!code)
		find_notes(refresh);
	if (!code)
		code = point_items(refresh, err);
	if (!code)
		code = count(refresh, err);
	if (!code)
		code = publish(refresh, generation, path, err);
	if (!code)
		say_done(refresh, generation, path);
	else
		report_failed(&refresh->report, err);
	release(refresh);
	free(refresh);
	return code;
}
