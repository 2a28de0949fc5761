/*
 * The how-manieth time a row is seen in a file: a table from the row's 64-bit hash to its count, in
 * open addressing. Rows that are seen once, nearly all of them, cost one slot of 8 bytes; the table is
 * between half and 4/5 full, so 10 to 16 bytes a distinct row, 26 for a moment while it grows. Rows
 * seen again cost 32 to 64 more.
 *
 * Two different rows of the same hash would share a count. That is harmless here: their event ids
 * differ all the same, and are the same in the next run over the same file.
 */
#ifndef KINDRED_CLI_OCCURRENCE_H
#define KINDRED_CLI_OCCURRENCE_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

struct occurrence;

struct occurrence *occurrence_new(void); /* NULL: no memory */
void occurrence_free(struct occurrence *table);
/* Counts the row. *number: 1 when it is new, 2 for its second time ... Returns 0 or E_EXHAUSTED. */
int occurrence_count(struct occurrence *table, uint64_t hash, uint32_t *number);
/* Bytes held now. */
size_t occurrence_bytes(const struct occurrence *table);

#endif
