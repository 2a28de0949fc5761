/*
 * What kindred-bench says of a run: text for people, one JSON line for programs, an SVG drawing. All of
 * it comes from the same struct.
 */
#ifndef KINDRED_BENCH_OUTPUT_H
#define KINDRED_BENCH_OUTPUT_H

#include "bench/load.h"
#include "bench/swaps.h"
#include "bench/usage.h"
#include "bench/work.h"

#include <stdbool.h>

struct outcome {
	const struct work *work;
	const struct load_options *load;
	const struct load_result *result;
	const struct usage *usage;
	const struct swaps *swaps;
	double p99_limit_ms; /* of a search for the highest rate; 0: none */
	double max_rate; /* what it found; 0: nothing held */
	bool interrupted; /* by a signal: the load or the search was not over */
};

void output_text(const struct outcome *outcome);
void output_json(const struct outcome *outcome);
/* Latency over time, and latency by percentile. E_..: the file cannot be written. */
int output_plot(const struct outcome *outcome, const char *path, struct error *err);
uint64_t output_error_total(const struct load_result *result);

#endif
