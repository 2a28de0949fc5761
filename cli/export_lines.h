/*
 * Recommendations as lines of a file, written straight from the bytes of a kindred.v1.UserRecommendations: nothing
 * is unpacked and nothing allocated a user.
 *
 * NDJSON: a line a user, the names of fields and enums as in the .proto files, fields with their default left out.
 * CSV: a row an item, "user_id,rank,item_id,score,source" and with names "name,image_url"; source is personal,
 * popular, ..; a user without items, or with an error, has one row with no more than the id (and the error in the
 * last column).
 *
 * Pure.
 */
#ifndef KINDRED_CLI_EXPORT_LINES_H
#define KINDRED_CLI_EXPORT_LINES_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum export_format { EXPORT_NDJSON, EXPORT_CSV };

/* Grows as needed. Zeroed: empty. */
struct export_text {
	char *bytes;
	size_t used, room;
};
void export_text_fini(struct export_text *text);

/* The head of a CSV file; nothing for NDJSON. 0 or E_EXHAUSTED. */
int export_head(struct export_text *out, enum export_format format, bool names);
/*
 * Appends one user. *failed: the user has an error. 0, E_DATA_LOSS (not such a message; nothing is appended), or
 * E_EXHAUSTED.
 */
int export_user(struct export_text *out, enum export_format format, bool names, const uint8_t *message, size_t bytes,
		bool *failed);

#endif
