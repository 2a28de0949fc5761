/*
 * A refresh: a new generation that is the active one with popularity, season and trend of today.
 * Neighbours, items and attributes are copied, not learnt, so that it takes a small part of a build's
 * time. The numbers are those that a build would make of the same events with the same parameters; but
 * events of items that came into the catalog since the last build do not count, and definitions that
 * came since then have to wait for a build. Relations that no definition uses any more stay as they
 * are.
 *
 * A relation whose numbers came out as they were, as of a catalog without new events, keeps its fingerprint, so that the
 * next build can take it over (reuse.h); any other one loses it, and is learnt by the next build.
 *
 * The metadata is the active generation's, with "build": {.., "refreshed": its number, "learnt": the
 * number of the build that the neighbours are from} and the times of the refresh.
 */
#ifndef KINDRED_BUILDER_REFRESH_H
#define KINDRED_BUILDER_REFRESH_H

#include "builder/build.h"

/*
 * E_PRECONDITION: no generation is active, or one of its catalogs was made anew since; a build is
 * needed. Else as build_run. Of the options data, generation, memory_mb, threads, now_ms and
 * progress_fd are read.
 */
int refresh_run(const struct build_options *options, char *path, struct error *err);

#endif
