/*
 * Any bytes as a file to import. The first byte chooses the format and options, the second how many
 * bytes a read gives. Rows have as many fields as there are columns, all of them texts as promised;
 * lines rise; reading ends.
 */
#include "cli/csv_source.h"
#include "common/ids.h"

#include <stdlib.h>
#include <string.h>

static void check(bool holds)
{
	if (!holds)
		abort();
}

struct bytes_left {
	const uint8_t *data;
	size_t bytes, portion;
};

static int64_t read_some(void *context, void *buffer, size_t bytes, struct error *err)
{
	struct bytes_left *left = context;
	(void)err;
	if (bytes > left->portion)
		bytes = left->portion;
	if (bytes > left->bytes)
		bytes = left->bytes;
	memcpy(buffer, left->data, bytes);
	left->data += bytes;
	left->bytes -= bytes;
	return (int64_t)bytes;
}

static void check_row(const struct row *row, size_t columns)
{
	check(row->count == columns);
	for (size_t i = 0; i < row->count; i++) {
		const struct field *field = &row->fields[i];
		check(field->text[field->bytes] == '\0' && utf8_valid(field->text, field->bytes));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const char *const delimiters[] = { NULL, ",", "::", ";" };
	if (bytes < 2)
		return 0;
	struct source_options options = { .format = (enum source_format)(data[0] % 4),
					  .delimiter = delimiters[data[0] / 4 % 4],
					  .no_quotes = data[0] & 16,
					  .columns = data[0] & 32 ? "a,b,c" : NULL,
					  .columns_unless_header = data[0] & 64,
					  .row_max = data[0] & 128 ? 64 : 0 };
	struct bytes_left left = { data + 2, bytes - 2, 1u + data[1] };
	struct source *source;
	struct error err = { 0 };
	if (source_open(&source, read_some, &left, &options, &err)) {
		check(err.text[0]);
		return 0;
	}
	size_t columns, rows = 0;
	uint64_t line = 0;
	const char *const *names = source_columns(source, &columns);
	for (size_t i = 0; i < columns; i++)
		check(utf8_valid(names[i], strlen(names[i])) && source_column(source, names[i]) >= 0);
	struct row row;
	int code;
	while ((code = source_next(source, &row, &err)) > 0) {
		check(rows++ <= bytes);
		check(row.line > line);
		line = row.line;
		if (code == SOURCE_ROW)
			check_row(&row, columns);
		else
			check(err.text[0]);
	}
	check(code == SOURCE_END && source_next(source, &row, &err) == SOURCE_END);
	source_close(source);
	return 0;
}
