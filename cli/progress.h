/*
 * How far a long job is, on stderr: on a terminal a bar with rate and time left, redrawn in place;
 * elsewhere a plain line every few seconds; nothing when quiet. One thread.
 */
#ifndef KINDRED_CLI_PROGRESS_H
#define KINDRED_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
	const char *what; /* "Importing" */
	const char *unit; /* "rows" */
	bool quiet, terminal, drawn;
	uint64_t start_ns, next_ns;
	uint64_t recent_ns, recent_done; /* the rate is of the last seconds */
	double rate;
};

void progress_start(struct progress *progress, const char *what, const char *unit, bool quiet);
/*
 * Cheap: looks at the clock, and draws a few times a second. share: 0 to 1, negative: not known. unit
 * "": done is not shown.
 */
void progress_update(struct progress *progress, uint64_t done, double share);
/* Removes the bar, so that another line can be written; the next update draws it again. */
void progress_hide(struct progress *progress);
double progress_seconds(const struct progress *progress);

/* The text of one state, without bar or line end. Pure. left: seconds, negative: not known. */
void progress_text(char *buffer, size_t room, uint64_t done, const char *unit, double rate, double share, double left);

#endif
