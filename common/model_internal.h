/*
 * Between the parts of common/model.h: model.c opens files and answers questions, model_meta.c reads
 * the JSON section, model_sections.c checks the sections and points the model at them.
 */
#ifndef KINDRED_MODEL_INTERNAL_H
#define KINDRED_MODEL_INTERNAL_H

#include "common/model.h"

/*
 * Fills catalogs, attributes, relations and counts of a zeroed model from the JSON; pointers into
 * sections stay NULL. The fields are listed in builder/publish.c. On E_DATA_LOSS what was allocated
 * stays in the model, for model_meta_free.
 */
int model_meta_read(struct model *model, const char *json, size_t bytes, struct error *err);
void model_meta_free(struct model *model);

/* Checks the contents of all sections against the meta data, and sets the pointers. `bytes` holds the whole file. */
int model_sections_bind(struct model *model, const uint8_t *bytes, struct error *err);

#endif
