/*
 * Reading the files of a data set: whole files into memory, and lines into fields.
 */
#ifndef KINDRED_EVAL_DATAFILE_H
#define KINDRED_EVAL_DATAFILE_H

#include "common/error.h"
#include "common/filter.h" /* struct text_view */

#include <stdbool.h>
#include <stddef.h>

#define DATAFILE_FIELDS_MAX 64

/*
 * The file, or the one with .zst behind its name, unpacked; malloced, with a NUL behind its bytes.
 * E_NOT_FOUND: neither is there. E_DATA_LOSS: it cannot be unpacked.
 */
int datafile_read(const char *path, char **text, size_t *bytes, struct error *err);

struct datafile_lines {
	const char *at, *end;
	const char *delimiter;
	bool quotes; /* "a,b" is one field, "" in it a quote that stays doubled: ids have none */
};

/*
 * The next line's fields; views into the text. Returns their number (at most DATAFILE_FIELDS_MAX, the
 * rest is cut off), -1 at the end.
 */
int datafile_next(struct datafile_lines *lines, struct text_view fields[DATAFILE_FIELDS_MAX]);

#endif
