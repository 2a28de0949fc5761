/* Spans of time as people write them: "30d", "12h", "1d12h". Pure. */
#ifndef KINDRED_CLI_DURATION_H
#define KINDRED_CLI_DURATION_H

#include "common/error.h"

#include <stdint.h>

#define DURATION_TEXT_MAX 48

/*
 * Units: s, m (minutes), h, d, w, y (365 days); several may follow each other. "0" is none. Returns 0
 * or E_INVALID (what, and what is allowed).
 */
int duration_parse(const char *field, const char *text, int64_t *seconds, struct error *err);
/* Back, in the largest units that are exact: "30d", "1d12h". 0: "all". */
const char *duration_text(int64_t seconds, char *buffer);

#endif
