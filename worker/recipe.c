#include "worker/recipe.h"
#include "common/clock.h"
#include "common/relation.h"
#include "common/score.h"

#include <stdlib.h>
#include <string.h>

/*
 * Self weight of a definition that wants repeats from a model that has none: an item the user has
 * counts as its best neighbour.
 */
#define REPEAT_WEIGHT 1.0

_Static_assert(SCORE_ONE <= RECIPE_WEIGHT, "a weight fits its bits");

/* --- making --- */

static uint16_t weight_q12(float weight, float largest)
{
	uint32_t scaled = (uint32_t)((double)weight / (double)largest * SCORE_ONE + 0.5);
	return (uint16_t)(scaled < 1 ? 1 : scaled > SCORE_ONE ? SCORE_ONE : scaled);
}

/* Weights are given as 0 for 1. */
static float given_weight(const Kindred__V1__EventWeight *event)
{
	return event->weight > 0 ? event->weight : 1;
}

static struct recipe_type *type_of(struct recipe *recipe, const char *name)
{
	uint32_t at = 0;
	while (at < recipe->type_count && strcmp(recipe->types[at].name, name) != 0)
		at++;
	if (at == recipe->type_count) {
		size_t bytes = strnlen(name, EVENT_TYPE_MAX);
		memcpy(recipe->types[at].name, name, bytes);
		recipe->type_count++;
	}
	return &recipe->types[at];
}

static bool make_types(struct recipe *recipe, const Kindred__V1__Definition *definition)
{
	float largest = 0;
	recipe->types = calloc(definition->n_events + definition->n_exclude_events + 1, sizeof *recipe->types);
	if (!recipe->types)
		return false;
	for (size_t i = 0; i < definition->n_events; i++)
		if (given_weight(definition->events[i]) > largest)
			largest = given_weight(definition->events[i]);
	for (size_t i = 0; i < definition->n_events; i++) {
		struct recipe_type *type = type_of(recipe, definition->events[i]->type);
		uint16_t weight = weight_q12(given_weight(definition->events[i]), largest);
		if (weight > (type->rule & RECIPE_WEIGHT))
			type->rule = weight;
	}
	for (size_t i = 0; i < definition->n_exclude_events; i++)
		type_of(recipe, definition->exclude_events[i])->rule |= RECIPE_EXCLUDES;
	return true;
}

static void make_fallback(struct recipe *recipe, const Kindred__V1__Definition *definition)
{
	Kindred__V1__FallbackKind kind = definition->fallback ? definition->fallback->kind
							      : KINDRED__V1__FALLBACK_KIND__FALLBACK_KIND_UNSPECIFIED;
	recipe->fill = kind != KINDRED__V1__FALLBACK_KIND__FALLBACK_KIND_NONE;
	recipe->fill_recent = kind != KINDRED__V1__FALLBACK_KIND__FALLBACK_KIND_POPULAR;
	recipe->fill_unfiltered = definition->fallback && definition->fallback->ignore_filter;
}

/* Columns are found by name: a catalog that was deleted and made again may have others in the same places. */
static bool make_columns(struct recipe *recipe, const struct catalog *schema)
{
	recipe->columns = malloc((schema->attribute_count + 1) * sizeof *recipe->columns);
	if (!recipe->columns)
		return false;
	recipe->seed = schema->seed;
	recipe->column_count = schema->attribute_count;
	for (uint32_t i = 0; i < schema->attribute_count; i++) {
		recipe->columns[i] = RECIPE_NO_COLUMN;
		for (size_t j = 0; j < recipe->catalog->attribute_count; j++)
			if (recipe->catalog->attributes[j].type == schema->attributes[i].type &&
			    strcmp(recipe->catalog->attributes[j].name, schema->attributes[i].name) == 0)
				recipe->columns[i] = (uint32_t)j;
	}
	return true;
}

static int make_filter(struct recipe *recipe, const Kindred__V1__Definition *definition, const struct catalog *schema,
		       struct error *err)
{
	int code = filter_compile(&recipe->filter, definition->filter, strlen(definition->filter), schema->attributes,
				  schema->attribute_count, err);
	if (code == E_INVALID) {
		error_prefix(err, "definition '%s'", definition->name);
		/* it was compiled when it was defined, so the caller of today is not to blame */
		return err->code = E_INTERNAL;
	}
	if (code)
		return code;
	recipe->filter_last = filter_uses_last(recipe->filter);
	return 0;
}

/* What the generation has for the definition. */
static int find_relation(struct recipe *recipe, const Kindred__V1__Definition *definition,
			 const struct catalog *catalog, struct error *err)
{
	const struct model *model = recipe->generation->model;
	char key[RELATION_KEY_MAX];
	relation_key(definition, key);
	recipe->catalog = model_catalog_find(model, definition->catalog);
	/* a catalog that was made again since has nothing to do with the one that was learnt */
	if (recipe->catalog && recipe->catalog->version < catalog->first_version)
		recipe->catalog = NULL;
	if (recipe->catalog)
		recipe->relation = model_relation_find(recipe->catalog, key);
	if (!recipe->relation)
		return error_set(err, E_PRECONDITION,
				 "definition '%s' version %llu is not in model generation %llu, which was built before "
				 "it; build one that has it: `kindred model build`",
				 definition->name, (unsigned long long)definition->version,
				 (unsigned long long)recipe->generation->number);
	recipe->overlay = generation_overlay(recipe->generation, definition->catalog);
	return 0;
}

/* What Definition.repeat makes of the relation's self weight. */
static void make_repeat(struct recipe *recipe, Kindred__V1__Repeat repeat)
{
	double weight = recipe->relation->serving.self_weight, wanted = weight;
	if (repeat == KINDRED__V1__REPEAT__REPEAT_OFF)
		wanted = 0;
	else if (repeat == KINDRED__V1__REPEAT__REPEAT_ON && weight <= 0)
		wanted = REPEAT_WEIGHT;
	if (wanted == weight)
		return;
	recipe->served = *recipe->relation;
	recipe->served.serving.self_weight = wanted;
	recipe->served.serving.self_newest = 1; /* of a model without self weight it means nothing */
	serving_prepare(&recipe->served.serving);
	recipe->relation = &recipe->served;
}

int recipe_make(struct recipe **made, const Kindred__V1__Definition *definition, const struct catalog *catalog,
		struct generation *generation, uint32_t shard_count, struct error *err)
{
	struct recipe *recipe = calloc(1, sizeof *recipe);
	if (!recipe)
		return error_set(err, E_EXHAUSTED, "definition '%s': no memory", definition->name);
	recipe->refs = 1;
	recipe->generation = generation;
	generation_ref(generation);
	recipe->definition_version = definition->version;
	recipe->personal = definition->strategy != KINDRED__V1__STRATEGY__STRATEGY_POPULAR;
	recipe->exclude_seen = definition->exclude_seen;
	recipe->exclude_any = definition->n_exclude_events > 0;
	recipe->explore = (uint32_t)((double)definition->explore * 1e6 + 0.5);
	recipe->count = definition->count ? definition->count : RECIPE_COUNT_DEFAULT;
	if (definition->lookback)
		recipe->lookback_ms = definition->lookback->seconds * 1000 + definition->lookback->nanos / 1000000;
	make_fallback(recipe, definition);
	recipe->shard_count = shard_count;
	recipe->shards = calloc(shard_count, sizeof(struct recipe_shard *));
	int code = find_relation(recipe, definition, catalog, err);
	if (!code)
		make_repeat(recipe, definition->repeat);
	if (!code)
		code = make_filter(recipe, definition, catalog, err);
	if (!code)
		recipe->standings = calloc((size_t)recipe->catalog->items / 4 + 1, 1);
	if (!code && (!recipe->shards || !recipe->standings || !make_types(recipe, definition) ||
		      !make_columns(recipe, catalog)))
		code = error_set(err, E_EXHAUSTED, "definition '%s': no memory", definition->name);
	if (code) {
		recipe_unref(recipe);
		return code;
	}
	*made = recipe;
	return 0;
}

void recipe_ref(struct recipe *recipe)
{
	recipe->refs++;
}

void recipe_unref(struct recipe *recipe)
{
	if (--recipe->refs)
		return;
	for (uint32_t i = 0; recipe->shards && i < recipe->shard_count; i++)
		free(recipe->shards[i]);
	free(recipe->shards);
	free(recipe->types);
	free(recipe->columns);
	free(recipe->standings);
	filter_free(recipe->filter);
	generation_unref(recipe->generation);
	free(recipe);
}

int recipe_find(struct recipe **found, struct rules *rules, struct generation *generation, uint32_t shard_count,
		const char *name, size_t bytes, struct error *err)
{
	struct definition *definition = rules_definition(rules, name, bytes);
	if (bytes == 0)
		return error_set(err, E_INVALID, "definition: empty; the name of a definition is needed");
	if (!definition)
		return error_set(err, E_NOT_FOUND,
				 "definition '%.*s': none of that name; `kindred definitions list` shows them",
				 (int)bytes, name);
	if (!generation)
		return error_set(err, E_PRECONDITION, "no model yet: `kindred model build`");
	const char *catalog_name = definition->message->catalog;
	const struct catalog *catalog = rules_catalog(rules, catalog_name, strlen(catalog_name));
	if (!catalog)
		return error_set(err, E_PRECONDITION, "definition '%s': its catalog '%s' is gone",
				 definition->message->name, catalog_name);
	struct recipe **recipes = definition->recipes, *recipe = recipes[0];
	if (!recipe || recipe->generation != generation) {
		recipe = recipes[1];
		if (!recipe || recipe->generation != generation) {
			int code = recipe_make(&recipe, definition->message, catalog, generation, shard_count, err);
			if (code)
				return code;
			if (recipes[1])
				recipe_unref(recipes[1]);
		}
		recipes[1] = recipes[0];
		recipes[0] = recipe;
	}
	*found = recipe;
	return 0;
}

/* --- types of a shard --- */

static void learn_types(const struct recipe *recipe, struct recipe_shard *shard, struct shard_reader *reader)
{
	shard->unknown = 0;
	for (uint32_t i = 0; i < recipe->type_count; i++) {
		const struct recipe_type *type = &recipe->types[i];
		uint16_t number = shard_read_type(reader, type->name, strlen(type->name));
		if (number < SHARD_TYPES_MAX)
			shard->rule[number] = type->rule;
		else
			shard->unknown++;
	}
}

const uint16_t *recipe_rules(struct recipe *recipe, uint32_t index, struct shard_reader *reader)
{
	struct recipe_shard *shard = recipe->shards[index];
	if (!shard) {
		shard = calloc(1, sizeof *shard);
		if (!shard)
			return NULL;
		shard->unknown = recipe->type_count;
		recipe->shards[index] = shard;
	}
	if (shard->unknown)
		learn_types(recipe, shard, reader);
	return shard->rule;
}

/* --- items --- */

struct value recipe_value(const void *item, uint32_t attribute)
{
	const struct recipe_item *it = item;
	/* a deleted item's attributes are those it was built with: `last` may still be one */
	if (it->change && (!it->change->deleted || it->row == MODEL_NO_ROW))
		return overlay_value(it->change, attribute);
	uint32_t column = it->recipe->columns[attribute];
	if (column == RECIPE_NO_COLUMN)
		return (struct value){ .type = VALUE_MISSING };
	return model_value(it->recipe->catalog, it->row, column);
}

bool recipe_available(const struct recipe *recipe, uint32_t row, const struct overlay_item *change)
{
	return change ? !change->hidden && !change->deleted : !recipe->catalog->hidden[row];
}

enum recipe_standing recipe_standing_now(const struct recipe_item *item)
{
	const struct recipe *recipe = item->recipe;
	if (!recipe_available(recipe, item->row, item->change))
		return RECIPE_UNAVAILABLE;
	if (recipe->filter_last || filter_match(recipe->filter, recipe_value, item, NULL))
		return RECIPE_SHOWN;
	return RECIPE_FILTERED;
}

enum recipe_standing recipe_standing_learn(struct recipe *recipe, uint32_t row)
{
	const struct recipe_item item = { .recipe = recipe, .row = row };
	enum recipe_standing standing = recipe_standing_now(&item);
	recipe->standings[row / 4] |= (uint8_t)(standing << row % 4 * 2);
	return standing;
}

struct text_view recipe_item_name(const struct recipe *recipe, uint32_t row)
{
	const struct overlay_item *change = overlay_row(recipe->overlay, row);
	return change ? change->name : model_item_name(recipe->catalog, row);
}

struct text_view recipe_item_image(const struct recipe *recipe, uint32_t row)
{
	const struct overlay_item *change = overlay_row(recipe->overlay, row);
	return change ? change->image : model_item_image(recipe->catalog, row);
}
