/*
 * The fields of one row, copied into one growing buffer; each is NUL-terminated behind its bytes. Kept
 * from row to row, so that reading allocates nothing after the first rows.
 */
#ifndef KINDRED_CLI_ROW_TEXT_H
#define KINDRED_CLI_ROW_TEXT_H

#include "cli/csv_source.h"

struct row_text {
	char *bytes;
	size_t used, capacity;
	struct field *fields; /* their texts are set by row_text_fields, when the buffer has stopped growing */
	size_t count, room;
};

void row_text_free(struct row_text *text);
void row_text_clear(struct row_text *text);
/* Fields beyond SOURCE_COLUMNS_MAX are counted, not kept. 0 or E_EXHAUSTED. */
int row_text_add(struct row_text *text, const char *field, size_t bytes);
/* All of them; valid until the next add. */
const struct field *row_text_fields(struct row_text *text);

#endif
