/*
 * The file of `catalog import` and `events import` as rows: opened by the options and the layout, told to the user,
 * and refused when nothing is in it.
 */
#ifndef KINDRED_CLI_IMPORT_SOURCE_H
#define KINDRED_CLI_IMPORT_SOURCE_H

#include "cli/cli.h"
#include "cli/csv_source.h"
#include "cli/import_options.h"
#include "cli/input.h"

/*
 * layout_columns: the layout's names for a file that has no header; NULL: none. input and options outlive the source.
 * Errors are those of source_open, with the file's name.
 */
int import_source_open(struct source **source, struct input *input, const struct import_options *options,
		       const char *layout_columns, struct error *err);

/* "FILE: comma; " and the mapping: what the columns were taken for. */
void import_source_say(const struct cli *cli, const struct input *input, const struct source *source,
		       const char *mapping);

/* A file without rows is more likely the wrong file than a fine import of nothing. Sets *err and returns its code. */
int import_no_rows(const struct import_options *options, const struct input *input, struct error *err);

#endif
