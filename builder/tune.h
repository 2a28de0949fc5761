/*
 * The tuner: finds the parameters that suit a relation by itself. It learns from the events before rank 0.8 of the relation and asks about
 * [0.8, 0.9), with the evaluation's own code, so that the figures of the build, on [0.9, 1), stay honest.
 *
 * Coarse to fine: a few seeds (what was best for clicks, films and purchases in general, the defaults, the last build's choice) on a quarter of the
 * questions; the better half on all of them, each with its serving side searched without learning anew; then moves of one parameter at a
 * time around the best, up and down ladders of values. With many users all that is learnt from every 2nd or 4th of them, and the best few
 * are measured again with all.
 *
 * A candidate is worth its NDCG@20; less a tenth of it when it shows less than half as many different items as the defaults do, so that
 * a model that shows everybody the same few things is taken only when it is much better. What is chosen must be better than what
 * was there (the last choice, else the defaults) by more than one standard error of the difference over the same questions.
 *
 * The budget is work, not time: whole learnings, counted by the events they learn from. So the same data and the same budget give the same choice on any machine with any
 * number of threads, unless the time, which is only an upper stop, runs out.
 */
#ifndef KINDRED_BUILDER_TUNE_H
#define KINDRED_BUILDER_TUNE_H

#include "builder/learn.h"

#include <jansson.h>

#define TUNE_FROM 0.8
#define TUNE_TO 0.9
#define TUNE_QUERIES 8000u /* at most */
#define TUNE_QUERIES_MIN 200u
#define TUNE_SHOWN 5 /* runners-up that are kept */

struct tune_options {
	double seconds; /* upper stop */
	double work; /* learnings; 0: tune_work() */
	const struct params *last; /* NULL: there is none */
	bool around_last; /* only look around it, with half the work */
	uint64_t last_events; /* of the last search that was not only around */
};

struct tune_candidate {
	char name[64]; /* where it came from: "defaults", "films", "gap=1 from films" */
	struct params params;
	double ndcg, hit_rate, coverage;
};

struct tuning {
	char note[200]; /* why nothing was tuned; empty: it was */
	struct tune_candidate choice, standard; /* the defaults on the same questions; of the same users */
	struct tune_candidate others[TUNE_SHOWN];
	uint32_t other_count;
	uint32_t queries, candidates; /* asked; measured */
	uint64_t events; /* of the catalog, at the last search that was not only around a choice */
	double work, seconds;
	bool around_last, stopped; /* by the time */
};

/*
 * input->params: the defaults. tuning->choice.params are
 * always good to be used: without enough to ask about they are the last choice, else input->params.
 */
int tune(struct tuning *tuning, const struct learn_input *input, const struct tune_options *options, uint32_t now_s,
	 struct error *err);
/*
 * Learnings that so many events are worth: 12, which is what five plain builds do, and up to 48 where a learning is cheap. Asking is not counted
 * and can cost more: ml-1m, where a plain build takes 1.5 s, is tuned in 33 s.
 */
double tune_work(uint64_t events);
/* For the metadata: {"note": .., "choice": {"name": .., "params": {..}, "ndcg": .., ..}, "standard": .., "others": [..], ..} */
json_t *tuning_json(const struct tuning *tuning);

#endif
