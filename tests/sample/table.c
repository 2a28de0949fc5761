#include "table.h"

#include <csv.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static void on_cell(void *text, size_t bytes, void *context)
{
	struct table *table = context;

	if (table->count == table->room) {
		table->room = table->room ? table->room * 2 : 4096;
		table->cells = reallocarray(table->cells, table->room, sizeof *table->cells);
		if (!table->cells)
			err(EX_OSERR, "memory");
	}
	table->cells[table->count] = strndup(text ? text : "", bytes);
	if (!table->cells[table->count++])
		err(EX_OSERR, "memory");
}

static void on_row(int terminator, void *context)
{
	struct table *table = context;

	(void)terminator;
	if (!table->columns)
		table->columns = table->count;
	table->rows++;
}

void table_read(struct table *table, const char *path)
{
	struct csv_parser parser;
	char buffer[16384];
	size_t bytes;
	FILE *file = fopen(path, "r");

	*table = (struct table){ 0 };
	if (!file)
		err(EX_NOINPUT, "%s", path);
	if (csv_init(&parser, CSV_STRICT | CSV_APPEND_NULL))
		errx(EX_OSERR, "csv_init failed");
	while ((bytes = fread(buffer, 1, sizeof buffer, file)) > 0)
		if (csv_parse(&parser, buffer, bytes, on_cell, on_row, table) != bytes)
			errx(EX_DATAERR, "%s: row %zu: %s", path, table->rows + 1, csv_strerror(csv_error(&parser)));
	if (ferror(file))
		err(EX_IOERR, "%s", path);
	csv_fini(&parser, on_cell, on_row, table);
	csv_free(&parser);
	fclose(file);
	if (table->rows < 2 || table->count != table->rows * table->columns)
		errx(EX_DATAERR, "%s: no rows, or rows of different lengths", path);
	table->rows--;
}

void table_free(struct table *table)
{
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
}

const char *table_cell(const struct table *table, size_t row, const char *column)
{
	for (size_t i = 0; i < table->columns; i++)
		if (strcmp(table->cells[i], column) == 0)
			return table->cells[(row + 1) * table->columns + i];
	errx(EX_DATAERR, "no column '%s' in the catalog", column);
}
