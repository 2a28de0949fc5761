/*
 * What the worker counts, for the server's status: sent once a second when something changed, and when
 * asked. Loop thread.
 */
#ifndef KINDRED_WORKER_STATS_H
#define KINDRED_WORKER_STATS_H

#include <stdint.h>

struct worker;

/* Counters as of now, everything acked among them. call: of the FRAME_STATS_WANTED. */
void stats_answer(struct worker *worker, uint64_t call);
/* Unless they are what was sent last. */
void stats_report(struct worker *worker);

#endif
