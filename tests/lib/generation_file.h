/*
 * A generation's file as bytes, for tests that compare two of them or damage one. What cannot be read or written fails
 * the test.
 */
#ifndef KINDRED_TEST_GENERATION_FILE_H
#define KINDRED_TEST_GENERATION_FILE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct generation_file {
	uint8_t *bytes; /* free() */
	size_t count;
};

struct generation_file generation_file_read(const char *path);
void generation_file_write(const char *path, const struct generation_file *file);
/* For json_decref. */
json_t *generation_file_meta(const struct generation_file *file);

/*
 * All sections are the same to the byte, and where they are; the metadata is, but for its time and generation.
 * forget(): takes more out of both; NULL: nothing more.
 */
void generation_file_same(const char *path, const char *other_path, void (*forget)(json_t *meta));
/* The metadata of a relation, in its catalog's place and its own; borrowed. */
json_t *generation_file_relation(const json_t *meta, size_t catalog, size_t relation);

#endif
