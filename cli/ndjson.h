/* NDJSON as rows: one JSON object a line; a column is a key of its top level. Pure. */
#ifndef KINDRED_CLI_NDJSON_H
#define KINDRED_CLI_NDJSON_H

#include "cli/row_text.h"
#include "common/error.h"

/*
 * The keys of the objects on the whole lines of text (a piece of the file from its start), in the order
 * they appear; columns and their names are malloced. E_INVALID: none, or more than max.
 */
int ndjson_keys(const char *text, size_t bytes, char ***columns, size_t *count, size_t max, struct error *err);

/*
 * One line. Strings are taken as they are, numbers and booleans as written by JSON, a list of scalars
 * joined by '|', objects as JSON; null and missing are empty. E_INVALID: not a JSON object.
 */
int ndjson_row(const char *line, size_t bytes, const char *const *columns, size_t count, struct row_text *row,
	       struct error *err);

#endif
