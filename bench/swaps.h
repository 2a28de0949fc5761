/*
 * Swaps of the model while load runs: a thread that activates two kept generations in turn, at set
 * times, and notes when each began and ended.
 */
#ifndef KINDRED_BENCH_SWAPS_H
#define KINDRED_BENCH_SWAPS_H

#include "bench/histogram.h"
#include "bench/series.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

#define SWAPS_MAX 1000
#define SWAPS_AROUND_NS UINT64_C(5000000000) /* before and after a swap: its ten seconds */

struct swaps {
	const char *target;
	uint64_t generations[2]; /* the first one is activated first */
	unsigned count; /* 0: none */
	double from_s, every_s; /* seconds into the measured part, and between beginnings */
	/* what came of it */
	unsigned done, failed;
	uint64_t start_ns[SWAPS_MAX], end_ns[SWAPS_MAX];
	pthread_t thread;
	sem_t over; /* the load */
	bool running;
	uint64_t measure_from_ns;
};

/* For load_options.on_start; context: struct swaps. */
void swaps_start(void *context, uint64_t measure_from_ns, uint64_t stop_ns);
/* Waits for the one under way; when the load is over no other begins. */
void swaps_join(struct swaps *swaps);
/* How long the longest took. */
uint64_t swaps_longest_ns(const struct swaps *swaps);
/* Parts the measured calls: those due within five seconds of a swap, and the rest. */
void swaps_part(const struct swaps *swaps, const struct series *series, struct histogram *around,
		struct histogram *rest);

#endif
