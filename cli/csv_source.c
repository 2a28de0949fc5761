#include "cli/csv_source.h"

#include "cli/ndjson.h"
#include "cli/row_text.h"
#include "cli/source_guess.h"
#include "common/ids.h"

#include <csv.h>
#include <stdlib.h>
#include <string.h>

/* After this many quotes that never close, the file is not CSV with quotes. */
#define UNCLOSED_MAX 100
/* The keys of NDJSON are looked for in this much of a file. */
#define KEYS_BYTES ((size_t)64 << 10)

struct source {
	struct line_buffer lines;
	enum source_format format;
	char delimiter[16];
	size_t delimiter_bytes;
	struct csv_parser parser;
	struct row_text text; /* the row in work, or given out */
	bool row_ended; /* libcsv saw the end of a row */
	bool no_memory;
	unsigned unclosed;
	char **columns;
	size_t column_count;
	uint64_t kept_line; /* of the first row, read while looking for a header and still to be given out; 0: none */
};

static void on_field(void *text, size_t bytes, void *context)
{
	struct source *source = context;
	if (row_text_add(&source->text, text, bytes) != 0)
		source->no_memory = true;
}

static void on_row(int terminator, void *context)
{
	(void)terminator;
	((struct source *)context)->row_ended = true;
}

static int is_line_end(unsigned char c)
{
	return c == '\n';
}

/* '\r' as well: so that "\r\n" ends a line, and a lone '\r' does not. */
static int is_space(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static int is_space_but_tab(unsigned char c)
{
	return c == ' ' || c == '\r';
}

static int parser_open(struct source *source, struct error *err)
{
	if (csv_init(&source->parser, CSV_STRICT) != 0)
		return error_set(err, E_EXHAUSTED, "no memory for the CSV parser");
	csv_set_delim(&source->parser, (unsigned char)source->delimiter[0]);
	csv_set_term_func(&source->parser, is_line_end);
	csv_set_space_func(&source->parser, source->delimiter[0] == '\t' ? is_space_but_tab : is_space);
	return 0;
}

static int parser_restart(struct source *source, struct error *err)
{
	csv_free(&source->parser);
	return parser_open(source, err);
}

/* The row in work is none: goes back behind its first line. */
static int give_up_row(struct source *source, struct row *row, struct error *err)
{
	row->line = source->lines.row_line;
	int code = parser_restart(source, err);
	return code == 0 ? line_row_retry(&source->lines, err) : code;
}

/* The row never ends. */
static int give_up_quote(struct source *source, struct row *row, struct error *err)
{
	int code = give_up_row(source, row, err);
	if (code != 0)
		return code;
	if (++source->unclosed > UNCLOSED_MAX)
		return error_set(err, E_DATA_LOSS,
				 "more than %d rows open a quote (\") that is never closed; does the file use quotes? "
				 "If not, say --no-quotes",
				 UNCLOSED_MAX);
	error_set(err, E_DATA_LOSS, "a quote (\") is opened and never closed");
	return SOURCE_BAD;
}

static int give_up_long_line(struct source *source, struct row *row, struct error *err)
{
	row->line = source->lines.row_line;
	struct error skipping;
	int code = line_row_retry(&source->lines, &skipping);
	if (code != 0) {
		*err = skipping;
		return code;
	}
	error_set(err, E_DATA_LOSS, "the line is longer than %zu bytes", source->lines.row_max);
	return SOURCE_BAD;
}

/*
 * Something stands behind a quote that should end its field. In a later line it is rather the next
 * field's, and the first line's was never closed.
 */
static int give_up_ending(struct source *source, struct row *row, struct error *err)
{
	if (source->lines.row_lines > 1)
		return give_up_quote(source, row, err);
	int code = give_up_row(source, row, err);
	if (code != 0)
		return code;
	error_set(err, E_DATA_LOSS,
		  "a quote (\") ends a field, and more of it follows; inside a quoted field write it twice (\"\"), or, "
		  "if "
		  "the file uses no quotes, say --no-quotes");
	return SOURCE_BAD;
}

/* 0; SOURCE_BAD: a quoted field does not end where its quote does; E_EXHAUSTED. */
static int parse(struct source *source, const char *bytes, size_t count, struct error *err)
{
	while (count > 0) {
		size_t done = csv_parse(&source->parser, bytes, count, on_field, on_row, source);
		if (source->no_memory || (done < count && csv_error(&source->parser) != CSV_EPARSE))
			return error_set(err, E_EXHAUSTED, "no memory for a row");
		if (done == count)
			break;
		if (source->parser.quoted)
			return SOURCE_BAD;
		/* in a field without quotes it is a character like any other: 5" nails */
		csv_set_opts(&source->parser, 0);
		csv_parse(&source->parser, bytes + done, 1, on_field, on_row, source);
		csv_set_opts(&source->parser, CSV_STRICT);
		bytes += done + 1;
		count -= done + 1;
	}
	return 0;
}

static int next_csv(struct source *source, struct row *row, struct error *err)
{
	row_text_clear(&source->text);
	source->row_ended = false;
	for (;;) {
		const char *line;
		size_t bytes;
		int code = line_next(&source->lines, &line, &bytes, err);
		bool open = source->lines.row_lines > (code == 1 ? 1 : 0);
		if (code == E_EXHAUSTED || code == 0) {
			if (open)
				return give_up_quote(source, row, err);
			return code == 0 ? SOURCE_END : give_up_long_line(source, row, err);
		}
		if (code < 0)
			return code;
		code = parse(source, line, bytes, err);
		if (code == 0 && line[bytes - 1] != '\n')
			code = parse(source, "\n", 1, err);
		if (code == SOURCE_BAD)
			return give_up_ending(source, row, err);
		if (code < 0)
			return code;
		if (source->row_ended) {
			row->line = source->lines.row_line;
			line_row_done(&source->lines);
			return SOURCE_ROW;
		}
		if (source->parser.pstate == 0 && source->text.count == 0) /* a blank line */
			line_row_done(&source->lines);
	}
}

static void trim(const char **text, size_t *bytes, bool tab_too)
{
	while (*bytes > 0 && (**text == ' ' || **text == '\r' || (tab_too && **text == '\t'))) {
		++*text;
		--*bytes;
	}
	for (; *bytes > 0; --*bytes) {
		char last = (*text)[*bytes - 1];
		if (last != ' ' && last != '\r' && !(tab_too && last == '\t'))
			return;
	}
}

/* The next line that is not blank, without its end: 1, 0 at the end, SOURCE_BAD or an error. */
static int next_line(struct source *source, struct row *row, const char **line, size_t *bytes, struct error *err)
{
	row_text_clear(&source->text);
	for (;;) {
		int code = line_next(&source->lines, line, bytes, err);
		if (code == E_EXHAUSTED)
			return give_up_long_line(source, row, err);
		if (code <= 0)
			return code;
		row->line = source->lines.row_line;
		line_row_done(&source->lines);
		if ((*line)[*bytes - 1] == '\n')
			--*bytes;
		const char *text = *line;
		size_t left = *bytes;
		trim(&text, &left, source->delimiter[0] != '\t');
		if (left > 0)
			return 1;
	}
}

static int next_plain(struct source *source, struct row *row, struct error *err)
{
	const char *line;
	size_t bytes;
	int code = next_line(source, row, &line, &bytes, err);
	if (code != 1)
		return code;
	bool tab_too = source->delimiter[0] != '\t';
	for (;;) {
		const char *found = memmem(line, bytes, source->delimiter, source->delimiter_bytes);
		const char *text = line;
		size_t length = found != NULL ? (size_t)(found - line) : bytes;
		size_t gone = length + source->delimiter_bytes;
		trim(&text, &length, tab_too);
		if (row_text_add(&source->text, text, length) != 0)
			return error_set(err, E_EXHAUSTED, "no memory for a row");
		if (found == NULL)
			return SOURCE_ROW;
		line += gone;
		bytes -= gone;
	}
}

static int next_ndjson(struct source *source, struct row *row, struct error *err)
{
	const char *line;
	size_t bytes;
	int code = next_line(source, row, &line, &bytes, err);
	if (code != 1)
		return code;
	code = ndjson_row(line, bytes, (const char *const *)source->columns, source->column_count, &source->text, err);
	return code == 0 ? SOURCE_ROW : code == E_INVALID ? SOURCE_BAD : code;
}

/* What is wrong with a row whatever is in it: its number of fields, its bytes. */
static int check(const struct source *source, const struct row *row, struct error *err)
{
	if (row->count != source->column_count) {
		error_set(err, E_INVALID, "%zu field%s where there are %zu columns", row->count,
			  row->count == 1 ? "" : "s", source->column_count);
		return SOURCE_BAD;
	}
	for (size_t i = 0; i < row->count; i++) {
		if (!utf8_valid(row->fields[i].text, row->fields[i].bytes)) {
			error_set(err, E_INVALID,
				  "column '%s': not valid UTF-8; a file from Windows is converted by `iconv -f "
				  "WINDOWS-1252 -t UTF-8`",
				  source->columns[i]);
			return SOURCE_BAD;
		}
	}
	return SOURCE_ROW;
}

static int next_raw(struct source *source, struct row *row, struct error *err)
{
	switch (source->format) {
	case SOURCE_GUESS:
	case SOURCE_CSV:
		return next_csv(source, row, err);
	case SOURCE_PLAIN:
		return next_plain(source, row, err);
	case SOURCE_NDJSON:
		return next_ndjson(source, row, err);
	}
	return SOURCE_END;
}

int source_next(struct source *source, struct row *row, struct error *err)
{
	struct error ignored;
	if (err == NULL)
		err = &ignored;
	if (source->kept_line != 0) {
		row->line = source->kept_line;
		source->kept_line = 0;
	} else {
		int code = next_raw(source, row, err);
		if (code != SOURCE_ROW)
			return code;
	}
	row->fields = row_text_fields(&source->text);
	row->count = source->text.count;
	return check(source, row, err);
}

static int format_choose(struct source *source, const struct source_options *options, const char *text, size_t bytes,
			 struct error *err)
{
	const char *delimiter = options->delimiter != NULL ? options->delimiter : source_delimiter_guess(text, bytes);
	if (strcmp(delimiter, "\\t") == 0 || strcmp(delimiter, "tab") == 0)
		delimiter = "\t";
	source->delimiter_bytes = strlen(delimiter);
	if (source->delimiter_bytes == 0 || source->delimiter_bytes >= sizeof source->delimiter ||
	    strpbrk(delimiter, "\"\r\n") != NULL)
		return error_set(err, E_INVALID,
				 "--delimiter '%s': give 1 to %zu characters, no quote and no line end, for example "
				 "';' or '\\t'",
				 delimiter, sizeof source->delimiter - 1);
	memcpy(source->delimiter, delimiter, source->delimiter_bytes + 1);
	source->format = options->format;
	if (source_is_json_array(text, bytes, options->format))
		return error_set(err, E_DATA_LOSS,
				 "it is a JSON array; give one object a line, for example by `jq -c '.[]' FILE`");
	if (source->format == SOURCE_GUESS && bytes > 0 && text[0] == '{')
		source->format = SOURCE_NDJSON;
	else if (source->format == SOURCE_GUESS)
		source->format = SOURCE_CSV;
	if (source->format == SOURCE_CSV && (source->delimiter_bytes > 1 || options->no_quotes))
		source->format = SOURCE_PLAIN;
	if (source->format == SOURCE_NDJSON)
		source->delimiter[0] = '\0';
	return 0;
}

static int column_add(struct source *source, const char *name, size_t bytes, struct error *err)
{
	if (source->column_count == SOURCE_COLUMNS_MAX)
		return error_set(err, E_INVALID, "more than %d columns; is the delimiter right? (--delimiter)",
				 SOURCE_COLUMNS_MAX);
	if (bytes > SOURCE_COLUMN_NAME_MAX)
		return error_set(err, E_INVALID, "column %zu: its name is longer than %d bytes",
				 source->column_count + 1, SOURCE_COLUMN_NAME_MAX);
	if (!utf8_valid(name, bytes))
		return error_set(
			err, E_DATA_LOSS,
			"the name of column %zu is not valid UTF-8; a file from Windows is converted by `iconv -f "
			"WINDOWS-1252 -t UTF-8`",
			source->column_count + 1);
	char *copy;
	int failed = bytes > 0 ? (copy = strndup(name, bytes)) == NULL
			       : asprintf(&copy, "column_%zu", source->column_count + 1) < 0;
	char **grown = failed ? NULL : reallocarray(source->columns, source->column_count + 1, sizeof *source->columns);
	if (grown == NULL) {
		if (!failed)
			free(copy);
		return error_set(err, E_EXHAUSTED, "no memory for columns");
	}
	source->columns = grown;
	source->columns[source->column_count++] = copy;
	return 0;
}

static int columns_given(struct source *source, const char *list, struct error *err)
{
	int code = 0;
	while (code == 0) {
		size_t bytes = strcspn(list, ",");
		const char *name = list;
		size_t length = bytes;
		trim(&name, &length, true);
		code = column_add(source, name, length, err);
		if (list[bytes] == '\0')
			break;
		list += bytes + 1;
	}
	return code;
}

/* The names of the columns from the options, the header, or the keys of the first lines. */
static int columns_find(struct source *source, const struct source_options *options, struct error *err)
{
	if (source->format == SOURCE_NDJSON) {
		const char *text;
		size_t bytes;
		int failed = line_peek(&source->lines, KEYS_BYTES, &text, &bytes, err);
		return failed != 0 ? failed
				   : ndjson_keys(text, bytes, &source->columns, &source->column_count,
						 SOURCE_COLUMNS_MAX, err);
	}
	if (options->columns != NULL && !options->columns_unless_header)
		return columns_given(source, options->columns, err);
	struct row row = { 0 };
	int code = next_raw(source, &row, err);
	if (code == SOURCE_END)
		return error_set(err, E_DATA_LOSS, "the file is empty");
	if (code == SOURCE_BAD)
		return error_prefix(err, "line %llu, the header", (unsigned long long)row.line);
	if (code < 0)
		return code;
	const struct field *fields = row_text_fields(&source->text);
	size_t count = source->text.count;
	if (count > SOURCE_COLUMNS_MAX)
		return error_set(err, E_DATA_LOSS,
				 "line %llu has %zu columns, more than %d; is the delimiter right? (--delimiter)",
				 (unsigned long long)row.line, count, SOURCE_COLUMNS_MAX);
	if (options->columns != NULL && !source_is_header(fields, count)) {
		source->kept_line = row.line;
		return columns_given(source, options->columns, err);
	}
	code = 0;
	for (size_t i = 0; i < count && code == 0; i++)
		code = column_add(source, fields[i].text, fields[i].bytes, err);
	return code;
}

int source_open(struct source **source, line_read read, void *context, const struct source_options *options,
		struct error *err)
{
	struct error ignored;
	if (err == NULL)
		err = &ignored;
	struct source *made = calloc(1, sizeof *made);
	if (made == NULL)
		return error_set(err, E_EXHAUSTED, "no memory for reading");
	size_t row_max = options->row_max != 0 ? options->row_max : SOURCE_ROW_MAX;
	const char *text = NULL;
	size_t bytes = 0;
	int code = line_buffer_init(&made->lines, read, context, row_max, err);
	if (code == 0)
		code = line_peek(&made->lines, 0, &text, &bytes, err);
	if (code == 0)
		code = source_is_text(text, bytes, err);
	if (code == 0 && bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		line_drop(&made->lines, 3);
		text += 3;
		bytes -= 3;
	}
	if (code == 0)
		code = format_choose(made, options, text, bytes, err);
	if (code == 0 && made->format == SOURCE_CSV)
		code = parser_open(made, err);
	if (code == 0)
		code = columns_find(made, options, err);
	if (code != 0) {
		source_close(made);
		return code;
	}
	*source = made;
	return 0;
}

void source_close(struct source *source)
{
	if (source == NULL)
		return;
	if (source->format == SOURCE_CSV)
		csv_free(&source->parser);
	for (size_t i = 0; i < source->column_count; i++)
		free(source->columns[i]);
	free(source->columns);
	row_text_free(&source->text);
	line_buffer_fini(&source->lines);
	free(source);
}

enum source_format source_format(const struct source *source)
{
	return source->format;
}

const char *source_delimiter(const struct source *source)
{
	return source->delimiter;
}

const char *const *source_columns(const struct source *source, size_t *count)
{
	*count = source->column_count;
	return (const char *const *)source->columns;
}

int source_column(const struct source *source, const char *name)
{
	for (size_t i = 0; i < source->column_count; i++) {
		if (strcmp(source->columns[i], name) == 0)
			return (int)i;
	}
	return -1;
}
