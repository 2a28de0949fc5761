#include "cli/problems.h"

#include "cli/text.h"

#include <stdio.h>

int problem_add(struct problems *problems, uint64_t line, const char *text, struct error *err)
{
	problems->count++;
	if (problems->count <= PROBLEMS_SHOWN) {
		progress_hide(problems->progress);
		fprintf(stderr, "%s:%llu: %s\n", problems->file, (unsigned long long)line, text);
		if (problems->count == PROBLEMS_SHOWN)
			fprintf(stderr, "%s: further rows with errors are only counted\n", problems->file);
	}
	if (problems->count > problems->max)
		return error_set(err, E_DATA_LOSS, "%s: more than %llu row%s with errors (--max-errors)",
				 problems->file, (unsigned long long)problems->max, text_s(problems->max));
	return 0;
}
