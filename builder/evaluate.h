/*
 * Evaluation: how well the model would have foreseen the newest tenth of a relation's events. It learns from the events before that
 * with the same parameters and asks, for each later event of a user with an item that is new to the user, whether the item is among the 20 shown just
 * before. History is what serving would have seen: all earlier events of the user, later ones than the split too. Profile, scores and ranking are
 * those of common/score.h, the code the worker runs; items the user had are not shown; what is missing is filled from recent popularity.
 */
#ifndef KINDRED_BUILDER_EVALUATE_H
#define KINDRED_BUILDER_EVALUATE_H

#include "builder/learn.h"

#define EVALUATE_AT 20u
#define EVALUATE_QUERIES 20000u /* at most, spread evenly */
#define EVALUATE_QUERIES_MIN 20u
#define EVALUATE_EVENTS_MIN 100u
#define EVALUATE_SHARE 0.9 /* learnt from */

struct evaluation {
	struct model_evaluation figures; /* queries 0: there is none, the note says why */
	char note[160];
	uint32_t split_s; /* learnt from events before it */
	uint64_t possible_queries; /* before thinning */
	double hit_rate_error; /* standard error */
	double microseconds; /* a query, of one thread */
};

/* now_s: the newest event; the window of the relation is counted back from it, and for learning from the split. */
int evaluate(struct evaluation *evaluation, const struct learn_input *input, uint32_t now_s, struct error *err);

#endif
