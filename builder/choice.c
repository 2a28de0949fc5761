#include "builder/choice.h"

#include "common/log.h"
#include "common/model.h"

#include <math.h>
#include <string.h>

#define GROWN_BY 1.5

static const json_t *find(const json_t *array, const char *field, const char *value)
{
	size_t index;
	const json_t *element;
	json_array_foreach(array, index, element)
	{
		const char *text = json_string_value(json_object_get(element, field));
		if (text && strcmp(text, value) == 0)
			return element;
	}
	return NULL;
}

json_t *choice_meta(const struct model *model)
{
	const struct model_section *sections = (const void *)(model->head + 1);
	for (uint32_t s = 0; s < model->head->sections; s++)
		if (sections[s].kind == MODEL_META)
			return json_loadb((const char *)model->head + sections[s].offset, sections[s].bytes, 0, NULL);
	return NULL;
}

json_t *choice_load(const struct datadir *dir)
{
	char folder[DATADIR_PATH_MAX], path[DATADIR_PATH_MAX + 32];
	uint64_t generation = 0;
	struct model *model = NULL;
	struct error err = { 0 };
	json_t *root = NULL;
	if (datadir_active_read(dir, &generation, &err) || generation == 0)
		return NULL;
	model_path(path, sizeof path, datadir_models(dir, folder), generation);
	if (model_open(&model, path, false, &err)) {
		log_warning("tune: begins anew, the last choice cannot be read: %s", err.text);
		return NULL;
	}
	root = choice_meta(model);
	model_close(model);
	return root;
}

const json_t *choice_notes(const json_t *last, const char *catalog, const char *key)
{
	const json_t *relations =
		json_object_get(find(json_object_get(last, "catalogs"), "name", catalog), "relations");
	return json_object_get(find(relations, "key", key), "notes");
}

bool choice_learnt_with(const json_t *last, const char *catalog, const char *key, struct params *params)
{
	const json_t *learnt_with = json_object_get(choice_notes(last, catalog, key), "params");
	if (!json_is_object(learnt_with))
		return false;
	params_read(params, learnt_with);
	return true;
}

struct choice choice_find(const json_t *last, const char *catalog, const char *key, const struct params *defaults)
{
	struct choice choice = { .params = *defaults, .goal = tune_goal_default() };
	const json_t *tuning = json_object_get(choice_notes(last, catalog, key), "tuning");
	const json_t *params = json_object_get(json_object_get(tuning, "choice"), "params");
	if (!json_is_object(params))
		return choice;
	choice.there = true;
	choice.notes = tuning;
	choice.events = (uint64_t)json_integer_value(json_object_get(tuning, "events"));
	params_read(&choice.params, params);
	const char *objective = json_string_value(json_object_get(tuning, "objective"));
	const json_t *floor = json_object_get(tuning, "coverage_floor");
	if (objective)
		tune_objective_parse(objective, &choice.goal.objective);
	if (json_is_number(floor))
		choice.goal.coverage_floor = json_number_value(floor);
	return choice;
}

struct tune_options choice_search(const struct choice *choice, uint64_t events, bool whole, double seconds)
{
	bool around = choice->there && !whole && (double)events < GROWN_BY * (double)choice->events;
	return (struct tune_options){ .seconds = seconds,
				      .goal = choice->goal,
				      .builds = whole ? TUNE_BUILDS_LONG : 0,
				      .last = choice->there ? &choice->params : NULL,
				      .around_last = around,
				      .last_events = choice->events };
}

bool choice_stands(const struct choice *choice, const char *fingerprint, const struct tune_goal *goal, double seconds)
{
	const char *of = json_string_value(json_object_get(choice->notes, "fingerprint"));
	bool stopped = json_is_true(json_object_get(choice->notes, "stopped")) &&
		       seconds > json_number_value(json_object_get(choice->notes, "seconds"));
	bool ended = !stopped && !json_is_true(json_object_get(choice->notes, "unfinished"));
	return choice->there && ended && of && strcmp(of, fingerprint) == 0 &&
	       goal->objective == choice->goal.objective &&
	       fabs(goal->coverage_floor - choice->goal.coverage_floor) < 1e-9; /* it has been a text */
}
