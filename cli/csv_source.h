/*
 * Rows of a file to import: fields by column, each row with the number of its first line. Three
 * formats: CSV with quotes (libcsv; RFC 4180, any one-character delimiter, line ends \n or \r\n, quoted
 * fields over several lines), plain (split at a delimiter of one or more characters, no quotes), and
 * NDJSON (a JSON object a line; its keys are the columns).
 *
 * A row that cannot be used is given back as such, with the reason, and reading goes on behind it. A
 * quote that is opened and never closed, or closed in the midst of a field, costs its own line only; in
 * a field that does not begin with one it is a character. Memory is bounded by the longest row.
 */
#ifndef KINDRED_CLI_CSV_SOURCE_H
#define KINDRED_CLI_CSV_SOURCE_H

#include "cli/line_buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOURCE_ROW_MAX ((size_t)1 << 20)
#define SOURCE_COLUMNS_MAX 1024
#define SOURCE_COLUMN_NAME_MAX 256

enum source_format { SOURCE_GUESS, SOURCE_CSV, SOURCE_PLAIN, SOURCE_NDJSON };

struct source_options {
	/* SOURCE_GUESS: NDJSON when the first byte is '{', PLAIN for a long delimiter, else CSV */
	enum source_format format;
	const char *delimiter; /* NULL: guessed from the first line; "\\t" is a tab */
	bool no_quotes; /* '"' is a character like any other: PLAIN */
	const char *columns; /* names, separated by commas: the file has no header; NULL: it has */
	bool columns_unless_header; /* a first line without any number in it is a header after all */
	size_t row_max; /* 0: SOURCE_ROW_MAX */
};

struct field {
	const char *text; /* NUL-terminated behind its bytes; valid UTF-8, trimmed */
	size_t bytes;
	/*
	 * of NDJSON: made from what is neither a string nor a whole number nor null, so that it cannot
	 * be an id, and is written as JSON has it
	 */
	bool odd;
};

struct row {
	const struct field *fields; /* one a column */
	size_t count;
	uint64_t line; /* from 1 */
};

struct source;

/* read gives the file's bytes (cli/input.h). E_DATA_LOSS: no header, empty file, UTF-16; E_INVALID: a bad option. */
int source_open(struct source **source, line_read read, void *context, const struct source_options *options,
		struct error *err);
void source_close(struct source *source);

enum source_format source_format(const struct source *source);
const char *source_delimiter(const struct source *source); /* "" for NDJSON */
/* Names of the columns; live as long as the source. */
const char *const *source_columns(const struct source *source, size_t *count);
/* Number of a column; -1: there is none of this name. */
int source_column(const struct source *source, const char *name);

/*
 * SOURCE_ROW: *row is valid until the next call. SOURCE_BAD: row->line is set and err->text says what
 * is wrong with the row. SOURCE_END. Negative: reading failed.
 */
enum { SOURCE_END = 0, SOURCE_ROW = 1, SOURCE_BAD = 2 };
int source_next(struct source *source, struct row *row, struct error *err);

#endif
