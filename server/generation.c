#include "server/generation.h"

#include "common/datadir.h"
#include "common/log.h"
#include "common/model.h"
#include "server/stamp.h"
#include "server/tuning.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Notes of the server beside a generation's file. */
static const char accepted_suffix[] = ".accepted", held_suffix[] = ".held";

static void note_path(char *path, size_t bytes, const char *models_directory, uint64_t number, const char *suffix)
{
	snprintf(path, bytes, "%s/%08" PRIu64 "%s", models_directory, number, suffix);
}

uint64_t generation_accepted_read(const char *models_directory, uint64_t number)
{
	char path[DATADIR_PATH_MAX];
	uint64_t accepted = 0;
	FILE *file;

	note_path(path, sizeof path, models_directory, number, accepted_suffix);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%" SCNu64, &accepted) != 1)
		accepted = 0;
	fclose(file);
	return accepted;
}

static int note_write(const char *path, const char *text, struct error *err)
{
	FILE *file = fopen(path, "we");
	int failed;

	if (!file)
		return error_errno(err, errno, "%s", path);
	failed = fprintf(file, "%s\n", text) < 0;
	if (fclose(file) || failed)
		return error_errno(err, errno, "%s", path);
	return 0;
}

int generation_accepted_write(const char *models_directory, uint64_t number, uint64_t accepted, struct error *err)
{
	char path[DATADIR_PATH_MAX], text[24];

	note_path(path, sizeof path, models_directory, number, accepted_suffix);
	snprintf(text, sizeof text, "%" PRIu64, accepted);
	return note_write(path, text, err);
}

int generation_held_write(const char *models_directory, uint64_t number, const char *why, struct error *err)
{
	char path[DATADIR_PATH_MAX];

	note_path(path, sizeof path, models_directory, number, held_suffix);
	return note_write(path, why, err);
}

bool generation_held_read(const char *models_directory, uint64_t number, char *why, size_t bytes)
{
	char path[DATADIR_PATH_MAX];
	FILE *file;

	note_path(path, sizeof path, models_directory, number, held_suffix);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (why && fgets(why, (int)bytes, file))
		why[strcspn(why, "\n")] = 0;
	fclose(file);
	return true;
}

void generation_held_remove(const char *models_directory, uint64_t number)
{
	char path[DATADIR_PATH_MAX];

	note_path(path, sizeof path, models_directory, number, held_suffix);
	if (unlink(path) && errno != ENOENT)
		log_warning("generation: cannot remove %s: %s", path, strerror(errno));
}

static void generation_free(struct generation *generation)
{
	for (size_t i = 0; i < generation->catalog_count; i++)
		free(generation->catalogs[i].name);
	for (size_t i = 0; i < generation->relation_count; i++) {
		free(generation->relations[i].catalog);
		free(generation->relations[i].key);
	}
	free(generation->catalogs);
	free(generation->relations);
	free(generation);
}

/* False: out of memory; what was filled is freed by generation_free. */
static bool copy_parts(struct generation *generation, const struct model *model)
{
	size_t relations = 0;

	for (size_t c = 0; c < model->catalog_count; c++)
		relations += model->catalogs[c].relation_count;
	generation->catalogs = calloc(model->catalog_count + 1, sizeof *generation->catalogs);
	generation->relations = calloc(relations + 1, sizeof *generation->relations);
	if (!generation->catalogs || !generation->relations)
		return false;
	for (size_t c = 0; c < model->catalog_count; c++) {
		const struct model_catalog *catalog = &model->catalogs[c];

		generation->catalogs[c].name = strdup(catalog->name);
		generation->catalogs[c].version = catalog->version;
		generation->catalog_count++;
		if (!generation->catalogs[c].name)
			return false;
		for (size_t r = 0; r < catalog->relation_count; r++) {
			struct generation_relation *relation = &generation->relations[generation->relation_count++];

			relation->catalog = strdup(catalog->name);
			relation->key = strdup(catalog->relations[r].key);
			if (!relation->catalog || !relation->key)
				return false;
		}
	}
	return true;
}

int generation_read(struct generation **made, const char *models_directory, uint64_t number, struct error *err)
{
	char path[DATADIR_PATH_MAX];
	struct generation *generation;
	struct model *model;
	int rc;

	model_path(path, sizeof path, models_directory, number);
	rc = model_open(&model, path, false, err);
	if (rc)
		return rc;
	generation = calloc(1, sizeof *generation);
	if (!generation || !copy_parts(generation, model)) {
		if (generation)
			generation_free(generation);
		model_close(model);
		return error_set(err, E_EXHAUSTED, "out of memory for the description of generation %" PRIu64, number);
	}
	generation->number = number;
	generation->refreshed = model->refreshed;
	generation->create_ms = model->head->create_ms;
	generation->accepted = generation_accepted_read(models_directory, number);
	generation->references = 1;
	model_close(model);
	*made = generation;
	return 0;
}

struct generation *generation_reference(struct generation *generation)
{
	if (generation)
		generation->references++;
	return generation;
}

void generation_release(struct generation *generation)
{
	if (generation && --generation->references == 0)
		generation_free(generation);
}

static bool has_catalog(const struct generation *generation, const char *catalog, uint64_t first_version)
{
	for (size_t i = 0; i < generation->catalog_count; i++)
		if (!strcmp(generation->catalogs[i].name, catalog))
			return generation->catalogs[i].version >= first_version;
	return false;
}

bool generation_has(const void *context, const char *catalog, uint64_t first_version, const char *relation)
{
	const struct generation *generation = context;

	if (!generation || !has_catalog(generation, catalog, first_version))
		return false;
	for (size_t i = 0; i < generation->relation_count; i++)
		if (!strcmp(generation->relations[i].key, relation) &&
		    !strcmp(generation->relations[i].catalog, catalog))
			return true;
	return false;
}

/* --- the API's message --- */

static Kindred__V1__Evaluation *evaluation_message(const struct model_evaluation *evaluation)
{
	Kindred__V1__Evaluation *message = malloc(sizeof *message);

	if (!message)
		return NULL;
	kindred__v1__evaluation__init(message);
	message->queries = evaluation->queries;
	message->cold_share = (float)evaluation->cold_share;
	message->hit_rate = (float)evaluation->hit_rate;
	message->ndcg = (float)evaluation->ndcg;
	message->mrr = (float)evaluation->mrr;
	message->coverage = (float)evaluation->coverage;
	message->popular_hit_rate = (float)evaluation->popular_hit_rate;
	message->popular_ndcg = (float)evaluation->popular_ndcg;
	return message;
}

static Kindred__V1__Gate *gate_message(const struct model_gate *gate)
{
	Kindred__V1__Gate *message = gate->note[0] ? malloc(sizeof *message) : NULL;

	if (!message)
		return NULL;
	kindred__v1__gate__init(message);
	switch (gate->verdict) {
	case MODEL_UNTESTED:
		message->verdict = KINDRED__V1__VERDICT__VERDICT_UNTESTED;
		break;
	case MODEL_BETTER:
		message->verdict = KINDRED__V1__VERDICT__VERDICT_BETTER;
		break;
	case MODEL_EQUAL:
		message->verdict = KINDRED__V1__VERDICT__VERDICT_EQUAL;
		break;
	case MODEL_WORSE:
		message->verdict = KINDRED__V1__VERDICT__VERDICT_WORSE;
		break;
	}
	message->against = gate->against;
	message->queries = gate->queries;
	message->users = gate->users;
	message->ndcg = (float)gate->ndcg;
	message->served_ndcg = (float)gate->served_ndcg;
	message->z = (float)gate->z;
	message->note = strdup(gate->note);
	return message;
}

static Kindred__V1__Relation *relation_message(const struct model_catalog *catalog,
					       const struct model_relation *relation)
{
	Kindred__V1__Relation *message = malloc(sizeof *message);

	if (!message)
		return NULL;
	kindred__v1__relation__init(message);
	message->catalog = strdup(catalog->name);
	message->key = strdup(relation->key);
	message->events = relation->events;
	message->users = relation->users;
	message->items = relation->items;
	message->neighbours = relation->neighbours;
	message->unchanged_since_generation = relation->reused;
	message->evaluation = evaluation_message(&relation->evaluation);
	message->gate = gate_message(&relation->gate);
	message->tuning = relation->tuning ? tuning_message(relation->tuning) : NULL;
	message->definitions = calloc(relation->definition_count + 1, sizeof *message->definitions);
	for (size_t i = 0; message->definitions && i < relation->definition_count; i++) {
		message->definitions[i] = strdup(relation->definitions[i]);
		if (message->definitions[i])
			message->n_definitions++;
	}
	if (!message->catalog || !message->key || !message->evaluation ||
	    message->n_definitions != relation->definition_count) {
		kindred__v1__relation__free_unpacked(message, NULL);
		return NULL;
	}
	return message;
}

static bool fill(Kindred__V1__Generation *message, const struct model *model, uint64_t number)
{
	size_t relations = 0;

	message->number = number;
	message->create_time = stamp_new(model->head->create_ms);
	if (model->newest_event_ms != INT64_MIN)
		message->newest_event_time = stamp_new(model->newest_event_ms);
	message->bytes = model->file_bytes;
	message->events = model->events;
	message->users = model->users;
	message->build_seconds = (float)model->build_seconds;
	for (size_t c = 0; c < model->catalog_count; c++) {
		relations += model->catalogs[c].relation_count;
		message->items += model->catalogs[c].items;
	}
	message->relations = calloc(relations + 1, sizeof *message->relations);
	if (!message->relations || !message->create_time)
		return false;
	for (size_t c = 0; c < model->catalog_count; c++)
		for (size_t r = 0; r < model->catalogs[c].relation_count; r++) {
			Kindred__V1__Relation *relation =
				relation_message(&model->catalogs[c], &model->catalogs[c].relations[r]);

			if (!relation)
				return false;
			message->relations[message->n_relations++] = relation;
		}
	return true;
}

int generation_message(Kindred__V1__Generation **made, const char *models_directory, uint64_t number, bool active,
		       struct error *err)
{
	char path[DATADIR_PATH_MAX];
	struct model *model;
	Kindred__V1__Generation *message;
	int rc;

	model_path(path, sizeof path, models_directory, number);
	rc = model_open(&model, path, false, err);
	if (rc)
		return rc;
	message = malloc(sizeof *message);
	if (message)
		kindred__v1__generation__init(message);
	if (!message || !fill(message, model, number)) {
		if (message)
			kindred__v1__generation__free_unpacked(message, NULL);
		model_close(model);
		return error_set(err, E_EXHAUSTED, "out of memory for the description of generation %" PRIu64, number);
	}
	message->active = active;
	message->learnt_generation = model->learnt;
	message->held_back = generation_held_read(models_directory, number, NULL, 0);
	model_close(model);
	*made = message;
	return 0;
}

/* --- files --- */

int generation_unlink(const char *models_directory, uint64_t number, struct error *err)
{
	char path[DATADIR_PATH_MAX];

	note_path(path, sizeof path, models_directory, number, accepted_suffix);
	unlink(path);
	generation_held_remove(models_directory, number);
	model_path(path, sizeof path, models_directory, number);
	if (unlink(path) && errno != ENOENT)
		return error_errno(err, errno, "%s", path);
	return 0;
}

/* Whether the file is a note of a generation that is not there. */
static bool orphan(const char *models_directory, const char *name)
{
	char path[DATADIR_PATH_MAX];
	uint64_t number;
	int end = 0;

	if (sscanf(name, "%" SCNu64 "%n", &number, &end) != 1 ||
	    (strcmp(name + end, accepted_suffix) != 0 && strcmp(name + end, held_suffix) != 0))
		return false;
	model_path(path, sizeof path, models_directory, number);
	return access(path, F_OK) != 0;
}

void generation_sweep(const char *models_directory)
{
	DIR *directory = opendir(models_directory);
	struct dirent *entry;

	if (!directory)
		return;
	while ((entry = readdir(directory))) {
		if (orphan(models_directory, entry->d_name) && unlinkat(dirfd(directory), entry->d_name, 0) == 0)
			log_info("generation: removed the leftover %s/%s", models_directory, entry->d_name);
	}
	closedir(directory);
}
