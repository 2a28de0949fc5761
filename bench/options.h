/* What kindred-bench is asked for, from its command line. */
#ifndef KINDRED_BENCH_OPTIONS_H
#define KINDRED_BENCH_OPTIONS_H

#include "bench/load.h"
#include "bench/swaps.h"
#include "bench/work.h"

#include <stdbool.h>
#include <sys/types.h>

struct options {
	struct work work;
	struct load_options load;
	struct swaps swaps;
	const char *users_file, *plot;
	double find_max_ms; /* 0: not */
	bool json;
	pid_t pid; /* measure this process instead of the server's */
};

/* Exits with 64 and a text when something is wrong. */
void options_parse(struct options *options, int argc, char **argv);

#endif
