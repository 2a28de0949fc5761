/*
 * Units of work that were answered and did not go well, by what was said of them: of a user a gRPC status, of an event
 * an outcome; with the first text of each. Pure; all zero is none.
 */
#ifndef KINDRED_BENCH_UNIT_ERRORS_H
#define KINDRED_BENCH_UNIT_ERRORS_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Statuses below 16 are themselves. */
enum { UNIT_OTHER = 16, UNIT_DUPLICATE, UNIT_DROPPED, UNIT_REFUSED, UNIT_ERRORS };

struct unit_errors {
	uint64_t counts[UNIT_ERRORS];
	struct error first[UNIT_ERRORS]; /* its text; of those that were counted */
};

/* text: of bytes, any. The kind of a status: unit_error_kind. */
void unit_errors_add(struct unit_errors *errors, unsigned kind, const char *text, size_t bytes);
unsigned unit_error_kind(uint64_t status);
/* "INVALID_ARGUMENT", "DUPLICATE" */
const char *unit_error_name(unsigned kind);
/* Else of a user. */
bool unit_error_is_event(unsigned kind);

#endif
