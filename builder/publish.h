/*
 * Publishing: writes a model generation (the format of common/model.h) so that a reader sees all of it or nothing: a
 * temporary name that starts with a dot, fsync, rename, fsync of the folder.
 *
 * One thread.
 */
#ifndef KINDRED_BUILDER_PUBLISH_H
#define KINDRED_BUILDER_PUBLISH_H

#include "common/error.h"
#include "common/model.h"

#include <jansson.h>

/*
 * What is written: a model in memory, shaped as a reader would see it (head, map and file_bytes are not read, all
 * arrays and counts must be there; index and index_mask come from model_index_make). Notes are put into the metadata
 * beside what the model itself gives.
 */
struct publication {
	const struct model *model;
	uint64_t generation;
	int64_t create_ms;
	const char *builder; /* name, version, revision */
	json_t *time; /* object: phases and their seconds; "build_seconds" is added from the model. NULL: none */
	json_t *build; /* object: what the build was given and what it noticed. NULL: none */
	json_t *const *catalog_notes; /* an object a catalog, NULL: none */
	json_t *const *relation_notes; /* an object a relation, catalogs in order; NULL: none */
	uint32_t threads; /* 0: one */
};

/*
 * Writes models_directory/NNNNNNNN.kindred; path (PATH_MAX bytes) gets its name. E_EXISTS: the generation is there
 * already (it stays as it was). E_EXHAUSTED: the disk is full. E_DATA_LOSS: what was written could not be read back
 * as a worker reads it. On any error nothing is left behind.
 */
int publish_write(const struct publication *publication, const char *models_directory, char *path, struct error *err);

#endif
