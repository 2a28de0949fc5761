#include "server/tuning.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define OTHERS_MAX 20

static char *text_of(const json_t *object, const char *field)
{
	const char *text = json_string_value(json_object_get(object, field));

	return strdup(text ? text : "");
}

static Kindred__V1__TuningCandidate *candidate(const json_t *from)
{
	Kindred__V1__TuningCandidate *message = json_is_object(from) ? malloc(sizeof *message) : NULL;

	if (!message)
		return NULL;
	kindred__v1__tuning_candidate__init(message);
	message->name = text_of(from, "name");
	message->settings = text_of(from, "settings");
	message->ndcg = (float)json_number_value(json_object_get(from, "ndcg"));
	message->hit_rate = (float)json_number_value(json_object_get(from, "hit_rate"));
	message->coverage = (float)json_number_value(json_object_get(from, "coverage"));
	if (!message->name || !message->settings) {
		kindred__v1__tuning_candidate__free_unpacked(message, NULL);
		return NULL;
	}
	return message;
}

static bool fill(Kindred__V1__Tuning *message, const json_t *root)
{
	const json_t *others = json_object_get(root, "others");
	size_t count = json_array_size(others);

	message->note = text_of(root, "note");
	message->queries = (uint32_t)json_integer_value(json_object_get(root, "queries"));
	message->candidates = (uint32_t)json_integer_value(json_object_get(root, "candidates"));
	message->around_last = json_is_true(json_object_get(root, "around_last"));
	message->choice = candidate(json_object_get(root, "choice"));
	message->defaults = candidate(json_object_get(root, "defaults"));
	if (count > OTHERS_MAX)
		count = OTHERS_MAX;
	message->others = calloc(count + 1, sizeof *message->others);
	for (size_t i = 0; message->others && i < count; i++) {
		message->others[i] = candidate(json_array_get(others, i));
		if (!message->others[i])
			return false;
		message->n_others++;
	}
	return message->note && message->choice && message->others;
}

Kindred__V1__Tuning *tuning_message(const char *json)
{
	json_t *root = json_loads(json, 0, NULL);
	Kindred__V1__Tuning *message = json_is_object(root) ? malloc(sizeof *message) : NULL;

	if (message)
		kindred__v1__tuning__init(message);
	if (message && !fill(message, root)) {
		kindred__v1__tuning__free_unpacked(message, NULL);
		message = NULL;
	}
	json_decref(root);
	return message;
}
