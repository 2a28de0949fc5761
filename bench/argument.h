/* What the programs beside kindred-bench need of their command lines. */
#ifndef KINDRED_BENCH_ARGUMENT_H
#define KINDRED_BENCH_ARGUMENT_H

#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* The long name of the option in its table, for a message about its value. */
static inline const char *argument_name(const struct argp_option *options, int key)
{
	while (options->key != key)
		options++;
	return options->name;
}

/* A whole number, low to high; else a message that names the option, and the end. */
static inline uint64_t argument_number(const struct argp_option *options, int key, const char *text, uint64_t low,
				       uint64_t high, struct argp_state *state)
{
	char *end = NULL;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (errno || !isdigit((unsigned char)text[0]) || *end || value < low || value > high)
		argp_error(state, "--%s '%s': %" PRIu64 " to %" PRIu64 " is allowed", argument_name(options, key), text,
			   low, high);
	return value;
}

/* The number that the text is; NAN, which is in no range, when it is none or has something behind it. */
static inline double argument_real(const char *text)
{
	char *end = NULL;
	double value = strtod(text, &end);
	return end == text || *end ? (double)NAN : value;
}

#endif
