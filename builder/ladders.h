/*
 * What the tuner may move: for each parameter the values it tries, in order, and the seeds it begins
 * from. Data, and walking on it; pure.
 */
#ifndef KINDRED_BUILDER_LADDERS_H
#define KINDRED_BUILDER_LADDERS_H

#include "builder/params.h"
#include "builder/plan.h"

#include <stddef.h>

#define LADDER_MAX 13

struct ladder {
	const char *name;
	size_t offset; /* of the parameter in struct params */
	bool zero_is_last; /* 0 means without a limit: it comes after the greatest */
	uint32_t count;
	double values[LADDER_MAX];
};

/* Those of learning, and those that only serve what was learnt: the latter are searched on one learned relation. */
const struct ladder *ladders_learning(size_t *count);
const struct ladder *ladders_serving(size_t *count);

double *ladder_at(const struct ladder *ladder, struct params *params);
/* The next value on this side; false: there is none. */
bool ladder_step(const struct ladder *ladder, double from, bool up, double *to);
/* Whether moving it can change anything for such a relation. */
bool ladder_matters(const struct ladder *ladder, const struct params *params, const struct plan_relation *relation,
		    size_t types);

/* What was best for a kind of data in general; number from 0. False: there are no more. */
bool seed_take(size_t number, struct params *params, const char **name);

#endif
