/*
 * Latency over time: a histogram an interval, from the start of the measured part. One thread.
 */
#ifndef KINDRED_SERIES_H
#define KINDRED_SERIES_H

#include "bench/histogram.h"

#include <stddef.h>
#include <stdint.h>

struct series {
	uint64_t start_ns, interval_ns;
	size_t count;
	struct histogram **intervals; /* [count]; NULL: nothing was due in it */
};

/* 0, or -1: no memory. Intervals of a tenth of a second, or longer ones when that would be more than 600. */
int series_init(struct series *series, uint64_t start_ns, uint64_t stop_ns);
/* It ends earlier than was thought; what was due in later intervals is dropped. */
void series_cut(struct series *series, uint64_t stop_ns);
void series_fini(struct series *series);
/* at_ns: when it was due. Outside of the measured part: nothing. Without memory for its interval: nothing. */
void series_add(struct series *series, uint64_t at_ns, uint64_t latency_ns);

#endif
