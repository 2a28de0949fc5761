/*
 * What the builder tells the server while it works: JSON lines on stdout, at most five a second and one
 * at each beginning of a phase.
 *
 *     {"phase":"scan|learn|evaluate|publish","progress":0.25,"note":"human words, and a rate"}
 *         progress: of the whole build
 *     {"unchanged":{"catalog":"books","key":"Opened=1|window=0","definition":"reading","since":3}}
 *         a relation that was not learnt but taken from the active generation (builder/reuse.h)
 *     {"done":true,"path":"..","seconds":12.5,"events":..,"users":..,"items":..,"relations":..}
 *         the last line of a build that succeeded; with "worse":"human words" when the gate (builder/gate.h) found
 *         it worse than what is served
 *     {"error":"what, where and what to do","code":8}
 *         the last line of one that failed; code: the gRPC status of the reason
 *
 * With a terminal on stdout it is one line for a person instead, with the time left, drawn over itself.
 * Seconds per phase are kept for the metadata. The builder's first thread only.
 */
#ifndef KINDRED_BUILDER_REPORT_H
#define KINDRED_BUILDER_REPORT_H

#include "common/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum report_phase { REPORT_SCAN, REPORT_LEARN, REPORT_EVALUATE, REPORT_PUBLISH };
#define REPORT_PHASES 4
#define REPORT_LAPS 12 /* different ones, a phase */

struct report {
	int fd; /* where lines go; -1: nowhere */
	bool terminal;
	enum report_phase phase;
	double from, to; /* the share of the build that the running step covers */
	double part_from, part_to; /* the share of the step that report_step's 0..1 is */
	char note[200];
	double amount; /* what the step, or its part, goes through in all; 0: its rate is not told */
	const char *unit;
	uint64_t start_ns, phase_ns, written_ns, part_ns;
	double seconds[REPORT_PHASES];
	uint64_t lap_ns;
	struct report_lap {
		const char *what;
		double seconds;
	} laps[REPORT_PHASES][REPORT_LAPS];
};

void report_init(struct report *report, int fd);
/* A step of a phase begins, which is from..to of the build. */
void report_begin(struct report *report, enum report_phase phase, double from, double to, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/* What follows is from..to (0..1) of the step. */
void report_part(struct report *report, double from, double to);
/*
 * What all of the step, or of its part, is: 1e6 "events". From it and the time comes the rate that is
 * told. Ends with the step or part.
 */
void report_amount(struct report *report, double amount, const char *unit);
/* done: 0..1 of the step, or of its part. Cheap; may be called often. */
void report_step(struct report *report, double done);
/*
 * What was done since the last lap, or since the phase began: its time is added to that of `what`
 * (which is not copied) in this phase. NULL is fine.
 */
void report_lap(struct report *report, const char *what);
/* A relation was taken over as generation `since` learnt it. definition: its first one. Nothing on a terminal. */
void report_unchanged(struct report *report, const char *catalog, const char *key, const char *definition,
		      uint64_t since);
/* Closes the last phase. */
void report_end(struct report *report);
/*
 * Seconds per phase and what took them: {"scan": .., "learn": .., "laps": {"learn": {"lists": ..,
 * "pairs": ..}, ..}}; NULL: no memory.
 */
json_t *report_times(const struct report *report);
/* "learn 1.4 (lists 0.2, pairs 1.0), .." for people; laps below a twentieth of a second are left out. */
void report_times_text(const struct report *report, char *text, size_t bytes);
double report_seconds(const struct report *report);
/* Takes over the object: "done" and "seconds" are added to it, and it is written as the last line. */
void report_done(struct report *report, json_t *facts);
/* The last line of a build that failed. */
void report_failed(struct report *report, const struct error *why);

#endif
