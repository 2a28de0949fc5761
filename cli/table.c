#include "cli/table.h"

#include "cli/text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define GAP 2
#define FLEXIBLE_MIN 12

struct table {
	size_t columns;
	enum table_column kinds[TABLE_COLUMNS_MAX];
	char **cells; /* the headers first */
	size_t count, room;
	bool no_memory;
};

struct table *table_new(size_t columns, const char *const *headers, const enum table_column *kinds)
{
	struct table *table = calloc(1, sizeof *table);
	if (table == NULL || columns == 0 || columns > TABLE_COLUMNS_MAX) {
		free(table);
		return NULL;
	}
	table->columns = columns;
	memcpy(table->kinds, kinds, columns * sizeof *kinds);
	for (size_t i = 0; i < columns; i++)
		table_cell(table, headers[i]);
	return table;
}

void table_free(struct table *table)
{
	if (table == NULL)
		return;
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
}

void table_cell(struct table *table, const char *text)
{
	if (table == NULL || table->no_memory)
		return;
	if (table->count == table->room) {
		size_t room = table->room != 0 ? table->room * 2 : 64;
		char **grown = reallocarray(table->cells, room, sizeof *grown);
		if (grown == NULL) {
			table->no_memory = true;
			return;
		}
		table->cells = grown;
		table->room = room;
	}
	char *copy = strdup(text);
	if (copy == NULL) {
		table->no_memory = true;
		return;
	}
	for (char *c = copy; *c != '\0'; c++) {
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
	}
	table->cells[table->count++] = copy;
}

void table_format(struct table *table, const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	table_cell(table, text);
}

static size_t cell_width(const char *text)
{
	return text_width(text, strlen(text));
}

static void measure(const struct table *table, size_t *widths, size_t width)
{
	size_t total = GAP * (table->columns - 1);
	for (size_t i = 0; i < table->columns; i++)
		widths[i] = 0;
	for (size_t i = 0; i < table->count; i++) {
		size_t wide = cell_width(table->cells[i]);
		if (wide > widths[i % table->columns])
			widths[i % table->columns] = wide;
	}
	for (size_t i = 0; i < table->columns; i++)
		total += widths[i];
	for (size_t i = 0; i < table->columns && width != 0 && total > width; i++) {
		if (table->kinds[i] != TABLE_FLEXIBLE)
			continue;
		size_t over = total - width;
		size_t least = widths[i] < FLEXIBLE_MIN ? widths[i] : FLEXIBLE_MIN;
		widths[i] = widths[i] > over + least ? widths[i] - over : least;
		break;
	}
}

/* Blanks are written when something follows them, so that no line ends with some. */
static void text_put(FILE *out, size_t *blanks, const char *text, size_t bytes)
{
	if (bytes == 0)
		return;
	for (; *blanks > 0; --*blanks)
		fputc(' ', out);
	fwrite(text, 1, bytes, out);
}

static void cell_write(FILE *out, size_t *blanks, const char *text, size_t width, enum table_column kind)
{
	static const char ellipsis[] = "\xe2\x80\xa6";
	size_t wide = cell_width(text), bytes = strlen(text);
	bool cut = wide > width;
	if (cut) {
		bytes = text_fit(text, bytes, width - 1);
		wide = text_width(text, bytes) + 1;
	}
	if (kind == TABLE_RIGHT)
		*blanks += width - wide;
	text_put(out, blanks, text, bytes);
	if (cut)
		text_put(out, blanks, ellipsis, strlen(ellipsis));
	if (kind != TABLE_RIGHT)
		*blanks += width - wide;
}

void table_write(const struct table *table, FILE *out, size_t width)
{
	size_t widths[TABLE_COLUMNS_MAX], blanks = 0;
	if (table == NULL)
		return;
	measure(table, widths, width);
	for (size_t i = 0; i < table->count; i++) {
		size_t column = i % table->columns;
		cell_write(out, &blanks, table->cells[i], widths[column], table->kinds[column]);
		blanks += GAP;
		if (column + 1 == table->columns) {
			fputc('\n', out);
			blanks = 0;
		}
	}
}

size_t terminal_width(FILE *out)
{
	struct winsize size;
	if (!isatty(fileno(out)) || ioctl(fileno(out), TIOCGWINSZ, &size) != 0)
		return 0;
	return size.ws_col;
}
