/* What a file for csv_source.h seems to be, by its first bytes and its first row. */
#ifndef KINDRED_SOURCE_GUESS_H
#define KINDRED_SOURCE_GUESS_H

#include "cli/csv_source.h"

#include <stdbool.h>
#include <stddef.h>

/* E_DATA_LOSS: UTF-16, packed or a spreadsheet; the error says what to do. */
int source_is_text(const char *text, size_t bytes, struct error *err);

/* Which of the usual delimiters the first line has most of; a long one first. */
const char *source_delimiter_guess(const char *text, size_t bytes);

/* "[" before an object, or alone in its line: a CSV header may begin with a bracket, too. */
bool source_is_json_array(const char *text, size_t bytes, enum source_format format);

/* A header names things; a row of data has a number somewhere. */
bool source_is_header(const struct field *fields, size_t count);

#endif
