/*
 * The model generations this worker has mapped, and which one of them answers. Loop thread; mapping,
 * checking, prefaulting and unmapping happen in libuv's work threads, which touch nothing but the file.
 *
 * A generation is kept while it is loaded or a recipe uses it (counted references), so that a call in work
 * ends on the generation it began with.
 *
 *     generations_load -> (work thread) -> on_loaded -> generations_item.. -> generations_activate -> ..
 *     -> generations_drop
 */
#ifndef KINDRED_WORKER_GENERATIONS_H
#define KINDRED_WORKER_GENERATIONS_H

#include "common/error.h"
#include "common/model.h"
#include "kindred/internal/link.pb-c.h"
#include "worker/overlay.h"
#include "worker/rules.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct generation {
	uint64_t number;
	struct model *model;
	struct overlay *overlays; /* [model->catalog_count] */
	uint32_t rows_max; /* of its largest catalog */
	uint32_t refs;
	struct generations *of;
};

struct load;

struct generations {
	uv_loop_t *loop;
	struct generation **loaded;
	size_t count;
	struct generation *active; /* one of the loaded, NULL: none yet */
	struct load *loads; /* in work threads */
	/* generation NULL: err says why. It is in loaded[] already. */
	void (*on_loaded)(void *context, uint64_t call, struct generation *generation, const struct error *err);
	void *context;
};

void generations_init(struct generations *generations, uv_loop_t *loop,
		      void (*on_loaded)(void *context, uint64_t call, struct generation *generation,
					const struct error *err),
		      void *context);
/* Nothing may be loading. The loop must run once more. */
void generations_fini(struct generations *generations);

/*
 * call: given back to on_loaded, which is called from here when the generation is loaded already.
 * E_EXHAUSTED: on_loaded will not be called.
 */
int generations_load(struct generations *generations, uint64_t number, const char *path, uint64_t call,
		     struct error *err);
/*
 * The one that answers a call: of that number, 0: the active one (*found NULL: none is). E_UNAVAILABLE: not
 * loaded.
 */
int generations_pick(const struct generations *generations, uint64_t number, struct generation **found,
		     struct error *err);
/* E_NOT_FOUND: not loaded. */
int generations_activate(struct generations *generations, uint64_t number, struct error *err);
/*
 * One that is still being loaded is let go when the load ends, and on_loaded says E_CANCELLED; a
 * generations_load made after this one stands. E_NOT_FOUND, or E_PRECONDITION: it is the active one.
 */
int generations_drop(struct generations *generations, uint64_t number, struct error *err);
/* An item's change, for every loaded generation that is older than it. */
int generations_item(struct generations *generations, const struct catalog *catalog,
		     const Kindred__Internal__ItemSet *change, struct error *err);
/* A catalog is gone: what changed in it is forgotten. */
void generations_catalog_drop(struct generations *generations, const char *name);

void generation_ref(struct generation *generation);
void generation_unref(struct generation *generation);
/* NULL: the generation has no such catalog. */
const struct overlay *generation_overlay(const struct generation *generation, const char *catalog);

#endif
