/*
 * What the builder tells the server while it works: JSON lines on stdout, at most five a second and one at each beginning of a phase.
 *
 *     {"phase":"scan|learn|evaluate|publish","progress":0.25,"note":"human words"}        progress: of the whole build
 *     {"done":true,"path":"..","seconds":12.5,"events":..,"users":..,"items":..,"relations":..}      the last line of a build that succeeded
 *     {"error":"what, where and what to do"}                                          the last line of one that failed
 *
 * With a terminal on stdout it is one line for a person instead, drawn over itself. Seconds per phase are kept for the metadata.
 * The builder's first thread only.
 */
#ifndef KINDRED_BUILDER_REPORT_H
#define KINDRED_BUILDER_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum report_phase { REPORT_SCAN, REPORT_LEARN, REPORT_EVALUATE, REPORT_PUBLISH };
#define REPORT_PHASES 4

struct report {
	int fd; /* where lines go; -1: nowhere */
	bool terminal;
	enum report_phase phase;
	double from, to; /* the share of the build that the running step covers */
	double part_from, part_to; /* the share of the step that report_step's 0..1 is */
	char note[200];
	uint64_t start_ns, phase_ns, written_ns;
	double seconds[REPORT_PHASES];
};

void report_init(struct report *report, int fd);
/* A step of a phase begins, which is from..to of the build. */
void report_begin(struct report *report, enum report_phase phase, double from, double to, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/* What follows is from..to (0..1) of the step. */
void report_part(struct report *report, double from, double to);
/* done: 0..1 of the step, or of its part. Cheap; may be called often. */
void report_step(struct report *report, double done);
/* Closes the last phase. */
void report_end(struct report *report);
/* Seconds per phase: {"scan": .., "learn": .., ..}; NULL: no memory. */
json_t *report_times(const struct report *report);
double report_seconds(const struct report *report);
/* Takes over the object: "done" and "seconds" are added to it, and it is written as the last line. */
void report_done(struct report *report, json_t *facts);
/* The last line of a build that failed. */
void report_failed(struct report *report, const char *text);

#endif
