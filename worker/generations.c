#include "worker/generations.h"
#include "common/cores.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>

/* A file being mapped in a work thread. */
struct load {
	uv_work_t work;
	struct load *next;
	struct generations *generations;
	uint64_t call, number;
	bool dropped; /* while it was loading */
	struct model *model;
	struct error err;
	char path[];
};

/* A file being unmapped in a work thread. */
struct unload {
	uv_work_t work;
	struct model *model;
};

void generations_init(struct generations *generations, uv_loop_t *loop,
		      void (*on_loaded)(void *context, uint64_t call, struct generation *generation,
					const struct error *err),
		      void *context)
{
	*generations = (struct generations){ .loop = loop, .on_loaded = on_loaded, .context = context };
}

static struct generation *find(const struct generations *generations, uint64_t number)
{
	for (size_t i = 0; i < generations->count; i++)
		if (generations->loaded[i]->number == number)
			return generations->loaded[i];
	return NULL;
}

/* --- letting go --- */

static void close_in_thread(uv_work_t *work)
{
	struct unload *unload = work->data;
	model_close(unload->model);
}

static void on_closed(uv_work_t *work, int status)
{
	(void)status;
	free(work->data);
}

/* Unmapping a large file takes milliseconds, so it is not done on the loop, if that can be helped. */
static void close_model(struct generations *generations, struct model *model)
{
	struct unload *unload = calloc(1, sizeof *unload);
	if (!unload) {
		model_close(model);
		return;
	}
	unload->work.data = unload;
	unload->model = model;
	if (uv_queue_work(generations->loop, &unload->work, close_in_thread, on_closed)) {
		model_close(model);
		free(unload);
	}
}

void generation_ref(struct generation *generation)
{
	generation->refs++;
}

void generation_unref(struct generation *generation)
{
	if (--generation->refs)
		return;
	for (size_t i = 0; i < generation->model->catalog_count; i++)
		overlay_fini(&generation->overlays[i]);
	free(generation->overlays);
	close_model(generation->of, generation->model);
	free(generation);
}

void generations_fini(struct generations *generations)
{
	for (size_t i = 0; i < generations->count; i++)
		generation_unref(generations->loaded[i]);
	free(generations->loaded);
	generations->loaded = NULL;
	generations->count = 0;
	generations->active = NULL;
}

/* --- loading --- */

static struct generation *generation_new(struct generations *generations, uint64_t number, struct model *model)
{
	struct generation *generation = calloc(1, sizeof *generation);
	struct overlay *overlays = calloc(model->catalog_count + 1, sizeof *overlays);
	struct generation **loaded =
		realloc(generations->loaded, (generations->count + 1) * sizeof(struct generation *));
	if (loaded)
		generations->loaded = loaded;
	if (!generation || !overlays || !loaded) {
		free(generation);
		free(overlays);
		return NULL;
	}
	*generation = (struct generation){
		.number = number, .model = model, .overlays = overlays, .refs = 1, .of = generations
	};
	for (size_t i = 0; i < model->catalog_count; i++) {
		overlay_init(&overlays[i], &model->catalogs[i]);
		if (model->catalogs[i].items > generation->rows_max)
			generation->rows_max = model->catalogs[i].items;
	}
	generations->loaded[generations->count++] = generation;
	return generation;
}

static void open_in_thread(uv_work_t *work)
{
	struct load *load = work->data;
	if (model_open(&load->model, load->path, true, &load->err)) {
		load->model = NULL;
		return;
	}
	load->err.code = 0;
	if (load->model->head->generation != load->number) {
		error_set(&load->err, E_DATA_LOSS, "%s: it holds generation %llu", load->path,
			  (unsigned long long)load->model->head->generation);
		model_close(load->model);
		load->model = NULL;
	}
}

static void forget_load(struct load *load)
{
	struct load **at = &load->generations->loads;
	while (*at != load)
		at = &(*at)->next;
	*at = load->next;
}

static void on_opened(uv_work_t *work, int status)
{
	struct load *load = work->data;
	struct generations *generations = load->generations;
	struct generation *generation = find(generations, load->number);
	forget_load(load);
	if (status) {
		error_set(&load->err, E_CANCELLED, "loading was given up: %s", uv_strerror(status));
	} else if (load->dropped) {
		if (load->model)
			close_model(generations, load->model);
		error_set(&load->err, E_CANCELLED, "generation %llu was dropped while it was loading",
			  (unsigned long long)load->number);
	} else if (generation && load->model) {
		/* asked for twice: the first one stays, with what it knows of changed items */
		close_model(generations, load->model);
	} else if (load->model) {
		generation = generation_new(generations, load->number, load->model);
		if (!generation) {
			error_set(&load->err, E_EXHAUSTED, "generation %llu: no memory",
				  (unsigned long long)load->number);
			close_model(generations, load->model);
		}
	}
	generations->on_loaded(generations->context, load->call, load->err.code ? NULL : generation, &load->err);
	free(load);
}

int generations_load(struct generations *generations, uint64_t number, const char *path, uint64_t call,
		     struct error *err)
{
	struct generation *there = find(generations, number);
	if (there) {
		struct error none = { 0 };
		generations->on_loaded(generations->context, call, there, &none);
		return 0;
	}
	size_t bytes = strlen(path);
	struct load *load = calloc(1, sizeof *load + bytes + 1);
	if (!load)
		return error_set(err, E_EXHAUSTED, "generation %llu: no memory", (unsigned long long)number);
	load->work.data = load;
	load->generations = generations;
	load->call = call;
	load->number = number;
	memcpy(load->path, path, bytes);
	cores_keep(CORES_ALL); /* it may be what makes the pool's threads */
	int status = uv_queue_work(generations->loop, &load->work, open_in_thread, on_opened);
	if (status) {
		free(load);
		return error_set(err, E_EXHAUSTED, "generation %llu: %s", (unsigned long long)number,
				 uv_strerror(status));
	}
	load->next = generations->loads;
	generations->loads = load;
	return 0;
}

int generations_pick(const struct generations *generations, uint64_t number, struct generation **found,
		     struct error *err)
{
	*found = number ? find(generations, number) : generations->active;
	if (number && !*found)
		/*
		 * the server has seen to it that the workers have it: so one of them has begun anew, or
		 * it has just been pruned
		 */
		return error_set(err, E_UNAVAILABLE,
				 "generation: %llu is not loaded by the user's worker now; try again",
				 (unsigned long long)number);
	return 0;
}

int generations_activate(struct generations *generations, uint64_t number, struct error *err)
{
	struct generation *generation = find(generations, number);
	if (!generation)
		return error_set(err, E_NOT_FOUND, "generation %llu is not loaded by this worker",
				 (unsigned long long)number);
	generations->active = generation;
	return 0;
}

int generations_drop(struct generations *generations, uint64_t number, struct error *err)
{
	struct generation *generation = find(generations, number);
	bool loading = false;
	if (generation && generation == generations->active)
		return error_set(err, E_PRECONDITION, "generation %llu is the active one", (unsigned long long)number);
	for (struct load *load = generations->loads; load; load = load->next) {
		if (load->number == number)
			loading = load->dropped = true;
	}
	if (!generation)
		return loading ? 0
			       : error_set(err, E_NOT_FOUND, "generation %llu is not loaded",
					   (unsigned long long)number);
	size_t at = 0;
	while (generations->loaded[at] != generation)
		at++;
	generations->loaded[at] = generations->loaded[--generations->count];
	generation_unref(generation);
	return 0;
}

/* --- changes of items --- */

static struct overlay *overlay_of(const struct generation *generation, const char *catalog)
{
	const struct model_catalog *found = model_catalog_find(generation->model, catalog);
	return found ? &generation->overlays[found - generation->model->catalogs] : NULL;
}

const struct overlay *generation_overlay(const struct generation *generation, const char *catalog)
{
	return overlay_of(generation, catalog);
}

int generations_item(struct generations *generations, const struct catalog *catalog,
		     const Kindred__Internal__ItemSet *change, struct error *err)
{
	for (size_t i = 0; i < generations->count; i++) {
		struct overlay *overlay = overlay_of(generations->loaded[i], catalog->name);
		int code =
			overlay ? overlay_set(overlay, catalog->attributes, catalog->attribute_count, change, err) : 0;
		if (code)
			return code;
	}
	return 0;
}

void generations_catalog_drop(struct generations *generations, const char *name)
{
	for (size_t i = 0; i < generations->count; i++) {
		struct overlay *overlay = overlay_of(generations->loaded[i], name);
		if (overlay)
			overlay_clear(overlay);
	}
}
