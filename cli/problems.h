/* Rows of a file that cannot be used: reported by line, the first ones in full, all of them counted. */
#ifndef KINDRED_CLI_PROBLEMS_H
#define KINDRED_CLI_PROBLEMS_H

#include "cli/progress.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

/* This many are printed. */
#define PROBLEMS_SHOWN 20

struct problems {
	const char *file;
	struct progress *progress; /* hidden before a line is printed */
	uint64_t count;
	uint64_t max; /* more than this many end the import */
};

/*
 * "FILE:12: column 'price': 'abc' is not a number" on stderr. Returns 0, or E_DATA_LOSS in *err when there are too
 * many now.
 */
int problem_add(struct problems *problems, uint64_t line, const char *text, struct error *err);

#endif
