/*
 * What is shown of an evaluation: a table for people, JSON, a plot.
 */
#ifndef KINDRED_EVAL_OUTPUT_H
#define KINDRED_EVAL_OUTPUT_H

#include "bench/eval/method.h"

struct output {
	const char *set, *mode;
	const struct questions *questions;
	const struct method *methods; /* Kindred last */
	uint32_t count;
	const struct params *params;
};

void output_table(const struct output *input);
/* All methods and parameters, into a file. */
int output_json(const struct output *input, const char *path, struct error *err);
/* One line to stdout, of Kindred. */
int output_line(const struct output *input, struct error *err);
/* An SVG file: groups of bars, one bar a method. */
int output_plot(const struct output *input, const char *path, struct error *err);

#endif
