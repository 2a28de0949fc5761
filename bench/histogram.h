/*
 * A log-linear histogram of durations in nanoseconds: 64 sub-buckets a power of two, so a percentile is right to 1.6%
 * (the layout of HdrHistogram, http://hdrhistogram.org). Pure; one thread at a time. All zero is an empty one.
 */
#ifndef KINDRED_HISTOGRAM_H
#define KINDRED_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB 64
#define HISTOGRAM_BUCKETS (59 * HISTOGRAM_SUB)

struct histogram {
	uint32_t counts[HISTOGRAM_BUCKETS];
	uint64_t total;
	uint64_t max_ns;
};

void histogram_add(struct histogram *histogram, uint64_t ns);
/* Adds all of another one. */
void histogram_merge(struct histogram *histogram, const struct histogram *other);
/*
 * share 0..1. Never less than the true value: the upper edge of the bucket that holds it, at most
 * max_ns. 0 when empty.
 */
uint64_t histogram_percentile(const struct histogram *histogram, double share);

#endif
