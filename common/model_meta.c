#include "common/model_internal.h"
#include "common/profile.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HALF_LIFE_DAYS_MAX 100000.0

/*
 * Where in the JSON we are, for errors; and whether anything was wrong so far, so that a reader of ten
 * fields checks once.
 */
struct meta_reader {
	const char *where;
	int code;
	struct error *err;
};

static void wrong(struct meta_reader *reader, const char *field, const char *what)
{
	if (!reader->code)
		reader->code =
			error_set(reader->err, E_DATA_LOSS, "metadata of %s: \"%s\" %s", reader->where, field, what);
}

static char *read_text(struct meta_reader *reader, const json_t *object, const char *field)
{
	const char *text = json_string_value(json_object_get(object, field));
	if (!text) {
		wrong(reader, field, "is not a text");
		return NULL;
	}
	char *copy = strdup(text);
	if (!copy && !reader->code)
		reader->code = error_set(reader->err, E_EXHAUSTED, "no memory for metadata");
	return copy;
}

static uint64_t read_count(struct meta_reader *reader, const json_t *object, const char *field, uint64_t max)
{
	const json_t *value = json_object_get(object, field);
	if (!json_is_integer(value) || json_integer_value(value) < 0 || (uint64_t)json_integer_value(value) > max) {
		wrong(reader, field, "is not a number in its range");
		return 0;
	}
	return (uint64_t)json_integer_value(value);
}

static double read_real(struct meta_reader *reader, const json_t *object, const char *field, double min, double max)
{
	const json_t *value = json_object_get(object, field);
	double number = json_number_value(value);
	if (!json_is_number(value) || !(number >= min && number <= max)) {
		wrong(reader, field, "is not a number in its range");
		return min;
	}
	return number;
}

/* The array `field`, with room made for its elements; NULL and *count 0 when it is not one, or empty. */
static void *read_array(struct meta_reader *reader, const json_t *object, const char *field, size_t element_bytes,
			size_t max, const json_t **array, size_t *count)
{
	*array = json_object_get(object, field);
	*count = 0;
	if (!json_is_array(*array)) {
		wrong(reader, field, "is not an array");
		return NULL;
	}
	size_t found = json_array_size(*array);
	if (found > max) {
		wrong(reader, field, "has too many elements");
		return NULL;
	}
	if (found == 0)
		return NULL;
	void *elements = calloc(found, element_bytes);
	if (elements)
		*count = found;
	else if (!reader->code)
		reader->code = error_set(reader->err, E_EXHAUSTED, "no memory for metadata");
	return elements;
}

static void read_attributes(struct meta_reader *reader, const json_t *object, struct model_catalog *catalog)
{
	static const char *const names[] = { NULL, "string", "number", "boolean", "timestamp", "string_list" };
	const json_t *array;
	catalog->attributes = read_array(reader, object, "attributes", sizeof *catalog->attributes, UINT16_MAX, &array,
					 &catalog->attribute_count);
	for (size_t a = 0; a < catalog->attribute_count; a++) {
		const json_t *element = json_array_get(array, a);
		struct model_attribute *attribute = &catalog->attributes[a];
		attribute->name = read_text(reader, element, "name");
		const char *type = json_string_value(json_object_get(element, "type"));
		for (int t = VALUE_STRING; t <= VALUE_STRING_LIST; t++)
			if (type && strcmp(type, names[t]) == 0)
				attribute->type = (enum value_type)t;
		if (attribute->type == VALUE_MISSING)
			wrong(reader, "type", "of an attribute is not known");
	}
}

static void read_serving(struct meta_reader *reader, const json_t *object, struct model_serving *serving)
{
	const json_t *value = json_object_get(object, "serving");
	serving->profile_items = (uint32_t)read_count(reader, value, "profile_items", PROFILE_MAX);
	if (serving->profile_items == 0)
		wrong(reader, "profile_items", "is not a number in its range");
	serving->rank_decay = read_real(reader, value, "rank_decay", 0, 1);
	if (!(serving->rank_decay > 0))
		wrong(reader, "rank_decay", "is not a number in its range");
	serving->half_life_days = read_real(reader, value, "half_life_days", 0, HALF_LIFE_DAYS_MAX);
	/* of files written before they came: without effect */
	if (json_object_get(value, "self_weight"))
		serving->self_weight = read_real(reader, value, "self_weight", 0, SERVING_SELF_MAX);
	if (json_object_get(value, "rank_slope"))
		serving->rank_slope = read_real(reader, value, "rank_slope", 0, SERVING_SLOPE_MAX);
	serving->self_newest = 1;
	if (json_object_get(value, "self_newest"))
		serving->self_newest = read_real(reader, value, "self_newest", 0, 1);
	if (json_object_get(value, "blend"))
		serving->blend = read_real(reader, value, "blend", 0, SERVING_BLEND_MAX);
	serving_prepare(serving);
}

static void read_evaluation(struct meta_reader *reader, const json_t *object, struct model_evaluation *evaluation)
{
	const json_t *value = json_object_get(object, "evaluation");
	evaluation->queries = (uint32_t)read_count(reader, value, "queries", UINT32_MAX);
	evaluation->cold_share = read_real(reader, value, "cold_share", 0, 1);
	evaluation->hit_rate = read_real(reader, value, "hit_rate", 0, 1);
	evaluation->ndcg = read_real(reader, value, "ndcg", 0, 1);
	evaluation->mrr = read_real(reader, value, "mrr", 0, 1);
	evaluation->coverage = read_real(reader, value, "coverage", 0, 1);
	evaluation->popular_hit_rate = read_real(reader, value, "popular_hit_rate", 0, 1);
	evaluation->popular_ndcg = read_real(reader, value, "popular_ndcg", 0, 1);
}

static const char *const verdict_names[] = { "untested", "better", "equal", "worse" };

const char *model_verdict_name(enum model_verdict verdict)
{
	return verdict_names[verdict];
}

/* Files written before there was a gate have none. */
static void read_gate(struct meta_reader *reader, const json_t *object, struct model_gate *gate)
{
	const json_t *value = json_object_get(object, "gate");
	if (!value)
		return;
	const char *verdict = json_string_value(json_object_get(value, "verdict"));
	unsigned v = MODEL_UNTESTED;
	while (v <= MODEL_WORSE && (!verdict || strcmp(verdict, verdict_names[v]) != 0))
		v++;
	if (v > MODEL_WORSE)
		wrong(reader, "verdict", "of the gate is not known");
	else
		gate->verdict = (enum model_verdict)v;
	gate->against = read_count(reader, value, "against", INT64_MAX);
	gate->queries = (uint32_t)read_count(reader, value, "queries", UINT32_MAX);
	gate->users = (uint32_t)read_count(reader, value, "users", UINT32_MAX);
	gate->ndcg = read_real(reader, value, "ndcg", 0, 1);
	gate->served_ndcg = read_real(reader, value, "served_ndcg", 0, 1);
	gate->z = read_real(reader, value, "z", -HUGE_VAL, HUGE_VAL);
	const char *note = json_string_value(json_object_get(value, "note"));
	if (note)
		snprintf(gate->note, sizeof gate->note, "%s", note);
	else
		wrong(reader, "note", "of the gate is not a text");
}

static void read_definitions(struct meta_reader *reader, const json_t *object, struct model_relation *relation)
{
	const json_t *array;
	relation->definitions = read_array(reader, object, "definitions", sizeof *relation->definitions, SIZE_MAX,
					   &array, &relation->definition_count);
	for (size_t d = 0; d < relation->definition_count; d++) {
		const char *name = json_string_value(json_array_get(array, d));
		relation->definitions[d] = strdup(name ? name : "");
		if (!name)
			wrong(reader, "definitions", "has an element that is not a text");
		else if (!relation->definitions[d] && !reader->code)
			reader->code = error_set(reader->err, E_EXHAUSTED, "no memory for metadata");
	}
}

static void read_relations(struct meta_reader *reader, const json_t *object, struct model_catalog *catalog)
{
	const json_t *array;
	catalog->relations = read_array(reader, object, "relations", sizeof *catalog->relations, UINT16_MAX, &array,
					&catalog->relation_count);
	for (size_t r = 0; r < catalog->relation_count && !reader->code; r++) {
		const json_t *element = json_array_get(array, r);
		struct model_relation *relation = &catalog->relations[r];
		relation->key = read_text(reader, element, "key");
		relation->events = read_count(reader, element, "events", INT64_MAX);
		relation->users = read_count(reader, element, "users", INT64_MAX);
		relation->items = read_count(reader, element, "items", MODEL_ITEMS_MAX);
		relation->neighbours = read_count(reader, element, "neighbours", INT64_MAX);
		read_serving(reader, element, &relation->serving);
		read_evaluation(reader, element, &relation->evaluation);
		read_gate(reader, element, &relation->gate);
		read_definitions(reader, element, relation);
		const json_t *notes = json_object_get(element, "notes"), *tuning = json_object_get(notes, "tuning");
		if (json_object_get(notes, "reused"))
			relation->reused = read_count(reader, notes, "reused", INT64_MAX);
		if (json_is_object(tuning))
			relation->tuning = json_dumps(tuning, JSON_COMPACT);
	}
}

static void read_catalogs(struct meta_reader *reader, const json_t *root, struct model *model)
{
	const json_t *array;
	model->catalogs = read_array(reader, root, "catalogs", sizeof *model->catalogs, UINT16_MAX, &array,
				     &model->catalog_count);
	for (size_t c = 0; c < model->catalog_count && !reader->code; c++) {
		const json_t *element = json_array_get(array, c);
		struct model_catalog *catalog = &model->catalogs[c];
		reader->where = "a catalog";
		catalog->name = read_text(reader, element, "name");
		if (!catalog->name)
			return;
		reader->where = catalog->name;
		catalog->version = read_count(reader, element, "version", INT64_MAX);
		catalog->items = (uint32_t)read_count(reader, element, "items", MODEL_ITEMS_MAX);
		read_attributes(reader, element, catalog);
		read_relations(reader, element, catalog);
	}
}

static void read_root(struct meta_reader *reader, const json_t *root, struct model *model)
{
	const json_t *newest = json_object_get(root, "newest_event_ms");
	model->newest_event_ms = INT64_MIN;
	if (json_is_integer(newest))
		model->newest_event_ms = json_integer_value(newest);
	else if (newest && !json_is_null(newest))
		wrong(reader, "newest_event_ms", "is not a number");
	model->events = read_count(reader, root, "events", INT64_MAX);
	model->users = read_count(reader, root, "users", INT64_MAX);
	const json_t *build = json_object_get(root, "build");
	if (json_object_get(build, "refreshed")) {
		model->refreshed = read_count(reader, build, "refreshed", INT64_MAX);
		model->learnt = read_count(reader, build, "learnt", INT64_MAX);
	}
	model->build_seconds = read_real(reader, json_object_get(root, "time"), "build_seconds", 0, HUGE_VAL);
	read_catalogs(reader, root, model);
}

int model_meta_read(struct model *model, const char *json, size_t bytes, struct error *err)
{
	json_error_t json_error;
	json_t *root = json_loadb(json, bytes, JSON_REJECT_DUPLICATES, &json_error);
	if (!root)
		return error_set(err, E_DATA_LOSS, "metadata: line %d: %s", json_error.line, json_error.text);
	struct meta_reader reader = { .where = "the model", .err = err };
	read_root(&reader, root, model);
	json_decref(root);
	return reader.code;
}

static void free_relation(struct model_relation *relation)
{
	free(relation->key);
	for (size_t d = 0; d < relation->definition_count; d++)
		free(relation->definitions[d]);
	free(relation->definitions);
	free(relation->tuning);
}

void model_meta_free(struct model *model)
{
	for (size_t c = 0; c < model->catalog_count; c++) {
		struct model_catalog *catalog = &model->catalogs[c];
		free(catalog->name);
		for (size_t a = 0; a < catalog->attribute_count; a++)
			free(catalog->attributes[a].name);
		free(catalog->attributes);
		for (size_t r = 0; r < catalog->relation_count; r++)
			free_relation(&catalog->relations[r]);
		free(catalog->relations);
	}
	free(model->catalogs);
}
