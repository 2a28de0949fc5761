/*
 * Figures of a method over all questions. One target a question; a place beyond 20, or none, is a miss. Pure.
 */
#ifndef KINDRED_EVAL_FIGURES_H
#define KINDRED_EVAL_FIGURES_H

#include <stdint.h>

#define FIGURES_AT 20u

/* A mean and its standard error. */
struct mean {
	double value, error;
	double sum, squares; /* while it is counted */
};

struct figures {
	uint32_t count; /* questions */
	struct mean hr20, ndcg20, ndcg10, mrr20;
	double coverage; /* share of the known items that were shown at all */
	double popularity; /* users of a shown item, on average */
	double gini; /* of how often known items were shown: 0 all alike, 1 one only */
	double microseconds; /* a question, scoring only, of processor time */
	double build_seconds;
};

/* place: from 1; 0: not shown. */
void figures_add(struct figures *figures, uint32_t place);
/*
 * shown: [items], how often. users_of: [items], 0: not known. Microseconds and build_seconds are the
 * caller's. Returns 0 or E_EXHAUSTED.
 */
int figures_end(struct figures *figures, const uint32_t *shown, const uint32_t *users_of, uint32_t items);

#endif
