/*
 * The tuner: finds the parameters that suit a relation by itself. It learns from what is older than a
 * slice of the relation's events and asks the questions of the definition's occasion (questions.h)
 * about that slice: [0.8, 0.9) in order of time, so that the figures of the build, on [0.9, 1), stay
 * honest. Where the slice gives few questions, up to two older ones of the same width are asked too,
 * each with a learning of its own.
 *
 * Search, coarse to fine: seeds (what was best for clicks, films, purchases and talk of the day in
 * general, the defaults, the last choice) on a part of the questions; the best few on all, each with
 * its serving side searched on what it learnt; then rounds around the best: every parameter of learning
 * up and down its ladder of values (ladders.h), then the serving side again, until nothing helps or the
 * work is used up. With very many events learning takes every 2nd, 4th .. user, and the best few are
 * measured again with all.
 *
 * A candidate is worth the objective, NDCG or the hit rate at the places of the relation's definitions,
 * times two prices: below the coverage floor it is worth its coverage's share of it, and every doubling
 * of the neighbours that a query adds up costs half a percent, so that a slower model has to earn it. A
 * move is taken when it is better by half a standard error of the paired difference; what is chosen in
 * the end must be better than what was there (the last choice, else the defaults) by a whole one.
 *
 * The budget is in plain builds, five at first, by a model of what learning and asking cost. So the
 * same data and the same budget give the same choice on any machine with any number of threads, unless
 * the time, which is only an upper stop, runs out.
 */
#ifndef KINDRED_BUILDER_TUNE_H
#define KINDRED_BUILDER_TUNE_H

#include "builder/learn.h"

#include <jansson.h>

#define TUNE_TO 0.9
#define TUNE_WIDTH 0.1 /* of a slice */
#define TUNE_QUERIES 8000u /* at most, a slice */
#define TUNE_QUERIES_ENOUGH 4000u /* with fewer, older slices are asked too */
#define TUNE_QUERIES_MIN 200u
#define TUNE_SLICES_EVENTS 300000u /* with more, a short search keeps to one slice: a learning costs too much */
#define TUNE_SHOWN 5 /* runners-up that are kept */
#define TUNE_COVERAGE_FLOOR 0.1
#define TUNE_BUILDS 5.0
#define TUNE_BUILDS_LONG 200.0 /* of a search that somebody waits for */

enum tune_objective { TUNE_NDCG, TUNE_HIT_RATE };

/*
 * What is looked for: the objective at the relation's number of places, and the share of the learnt
 * items that must be shown to somebody.
 */
struct tune_goal {
	enum tune_objective objective;
	double coverage_floor; /* 0: any will do */
};

struct tune_options {
	double seconds; /* upper stop */
	double builds; /* the budget; 0: TUNE_BUILDS */
	const struct params *last; /* NULL: there is none */
	bool around_last; /* only look around it, with half the work */
	uint64_t last_events; /* of the last search that was not only around */
	struct tune_goal goal;
	double to; /* end of the newest slice; 0: TUNE_TO */
	bool new_users; /* ask only about users without earlier events */
};

struct tune_candidate {
	char name[64]; /* where it came from: "defaults", "films", "gap=1 from films" */
	struct params params;
	double ndcg, hit_rate, coverage;
	double work; /* neighbours added up for a query */
	double worth;
};

struct tuning {
	char note[200]; /* why nothing was tuned; empty: it was */
	struct tune_candidate choice, standard; /* the defaults on the same questions; of the same users */
	struct tune_candidate others[TUNE_SHOWN];
	uint32_t other_count;
	uint32_t queries, candidates; /* asked; measured */
	uint32_t slices;
	uint64_t events; /* of the catalog, at the last search that was not only around a choice */
	double builds, seconds; /* spent */
	struct tune_goal goal;
	uint32_t places; /* of the lists that were measured */
	bool around_last, stopped; /* by the time */
	bool unfinished; /* by the work: the next search, around the choice, sees what this one has not */
};

/*
 * input->params: the defaults. tuning->choice.params are always good to be used: without enough to ask about they are
 * the last choice, else input->params.
 */
int tune(struct tuning *tuning, const struct learn_input *input, const struct tune_options *options, uint32_t now_s,
	 struct error *err);
struct tune_goal tune_goal_default(void);
/* "ndcg", "hit_rate". False: there is no such objective. */
bool tune_objective_parse(const char *name, enum tune_objective *objective);
/*
 * For the metadata: {"note": .., "choice": {"name": .., "params": {..}, "ndcg": .., ..}, "standard":
 * .., "others": [..], ..}
 */
json_t *tuning_json(const struct tuning *tuning);

#endif
