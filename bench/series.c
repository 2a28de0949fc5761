#include "bench/series.h"

#include <stdlib.h>

#define INTERVAL_NS UINT64_C(100000000)
#define INTERVALS_MAX 600u

int series_init(struct series *series, uint64_t start_ns, uint64_t stop_ns)
{
	uint64_t interval_ns = (stop_ns - start_ns) / INTERVALS_MAX;
	if (interval_ns < INTERVAL_NS)
		interval_ns = INTERVAL_NS;
	*series = (struct series){ .start_ns = start_ns,
				   .interval_ns = interval_ns,
				   .count = (size_t)((stop_ns - start_ns) / interval_ns) + 1 };
	series->intervals = calloc(series->count, sizeof(struct histogram *));
	return series->intervals ? 0 : -1;
}

void series_cut(struct series *series, uint64_t stop_ns)
{
	uint64_t ns = stop_ns > series->start_ns ? stop_ns - series->start_ns : 0;
	size_t count = (size_t)(ns / series->interval_ns) + 1;
	while (series->count > count)
		free(series->intervals[--series->count]);
}

void series_fini(struct series *series)
{
	for (size_t i = 0; series->intervals && i < series->count; i++)
		free(series->intervals[i]);
	free(series->intervals);
	*series = (struct series){ 0 };
}

void series_add(struct series *series, uint64_t at_ns, uint64_t latency_ns)
{
	uint64_t at = at_ns < series->start_ns ? UINT64_MAX : (at_ns - series->start_ns) / series->interval_ns;
	if (at >= series->count)
		return;
	if (!series->intervals[at])
		series->intervals[at] = calloc(1, sizeof(struct histogram));
	if (series->intervals[at])
		histogram_add(series->intervals[at], latency_ns);
}
