/*
 * One build: from a data directory to a published generation. Nothing in it is changed but models/ and tmp/.
 */
#ifndef KINDRED_BUILDER_BUILD_H
#define KINDRED_BUILDER_BUILD_H

#include "builder/params.h"
#include "common/error.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct build_options {
	const char *data; /* the data directory */
	bool enter; /* and work in it (common/datadir.h): errors name no directory; for a process of its own */
	uint64_t generation; /* 0: one more than the highest there is */
	uint64_t memory_mb;
	uint32_t threads;
	int64_t now_ms; /* events more than a day ahead of it are left out */
	int progress_fd; /* see builder/report.h; -1: none */
	struct params params;
	/* upper stop of the tuner (builder/tune.h), a relation; 0: no search, learn with the last choice */
	double tune_seconds;
	bool params_as_given; /* learn with params, whatever was chosen before */
	bool refresh; /* no build but a refresh (builder/refresh.h); read by main.c */
	bool no_gate; /* do not hold the new generation against the active one (builder/gate.h) */
	bool no_reuse; /* learn also what did not change since the active generation (builder/reuse.h) */
	const char *tune_objective; /* builder/tune.h; NULL: as in the last search */
	double coverage_floor; /* share of the learnt items; < 0: as in the last search */
	bool tune_whole; /* a whole search, and a longer one, whatever was chosen before */
};

/*
 * E_PRECONDITION: no definitions. E_EXISTS: the generation is there. E_UNAVAILABLE: another builder
 * works on this directory. E_EXHAUSTED: memory or disk. On any error the models directory is as it was.
 * path: room for PATH_MAX bytes, or NULL.
 */
int build_run(const struct build_options *options, char *path, struct error *err);

#endif
