/*
 * A CSV file in memory: the sample's catalogs are a few hundred rows.
 */
#ifndef KINDRED_SAMPLE_TABLE_H
#define KINDRED_SAMPLE_TABLE_H

#include <stddef.h>

struct table {
	char **cells; /* rows x columns, row 0 is the header */
	size_t rows, columns, count, room;
};

/* Reads the file or ends the program with a message. */
void table_read(struct table *table, const char *path);
void table_free(struct table *table);
/* Row 0 is the first after the header. Ends the program when the file has no such column. */
const char *table_cell(const struct table *table, size_t row, const char *column);

#endif
