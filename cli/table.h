/*
 * Tables for people: columns as wide as their widest cell, numbers to the right, UTF-8 counted as a
 * terminal shows it. On a terminal that is too narrow, the one flexible column is cut with an ellipsis.
 * Control characters in cells are shown as '?', so that a name from a file never steers the terminal.
 */
#ifndef KINDRED_CLI_TABLE_H
#define KINDRED_CLI_TABLE_H

#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 16

enum table_column { TABLE_LEFT, TABLE_RIGHT, TABLE_FLEXIBLE /* left, and the one that gives way */ };

struct table;

/* headers: `columns` of them. NULL: no memory; all functions take NULL and do nothing. */
struct table *table_new(size_t columns, const char *const *headers, const enum table_column *kinds);
void table_free(struct table *table);
/* Cells fill the rows from left to right; the text is copied. */
void table_cell(struct table *table, const char *text);
void table_format(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* width: columns to fit into; 0: as wide as it gets. */
void table_write(const struct table *table, FILE *out, size_t width);
/* The width of the terminal that `out` is; 0: it is none. */
size_t terminal_width(FILE *out);

#endif
