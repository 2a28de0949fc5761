/*
 * What the tuner measures candidates on: slices of a relation's events, their questions, and what each
 * costs. A lesson is what was learnt with some parameters from before each slice; it can be served in
 * many ways without learning anew.
 *
 *     trial_open -> { trial_learn -> trial_serve.. }.. -> lesson_drop.. -> trial_close
 *
 * Costs are nanoseconds of one thread by a model, not by the clock, so that a budget does not depend on
 * the machine. One thread calls.
 */
#ifndef KINDRED_BUILDER_TRIAL_H
#define KINDRED_BUILDER_TRIAL_H

#include "builder/evaluate.h"
#include "builder/tune.h"

#define TRIAL_SLICES 3

/* How closely a candidate is looked at: every n-th user is learnt from, every n-th question asked. */
struct stage {
	uint32_t user_step, query_step;
};

struct lesson {
	struct learned of[TRIAL_SLICES];
	float *gains; /* [trial.queries]: of the questions asked, slice by slice, times the price */
};

struct trial {
	struct learn_input input; /* params, user_step: of the candidate at work */
	struct tune_goal goal;
	struct exam *exams[TRIAL_SLICES];
	uint32_t slices, queries;
	size_t types; /* event types that the relation weighs and that there are */
	double learning_ns; /* of all slices, with all users; 0: nothing was learnt yet */
	double build_ns; /* a plain build: two learnings and the questions of an evaluation */
	double spent_ns;
	struct error *err;
};

/*
 * The newest slice, and older ones while there are few questions. The note, empty before, says why
 * there is nothing to measure.
 */
int trial_open(struct trial *trial, const struct learn_input *input, const struct tune_options *options, uint32_t now_s,
	       char *note, size_t note_bytes, struct error *err);
void trial_close(struct trial *trial);

int lesson_make(const struct trial *trial, struct lesson *lesson);
void lesson_drop(const struct trial *trial, struct lesson *lesson);

/*
 * Learns with the candidate's parameters, instead of what the lesson was, and asks: fills the
 * candidate's figures and the lesson's gains.
 */
int trial_learn(struct trial *trial, struct lesson *lesson, struct tune_candidate *candidate, struct stage stage);
/* Asks the lesson as it is, served with the candidate's parameters. gains: [trial.queries] */
int trial_serve(struct trial *trial, const struct lesson *lesson, struct tune_candidate *candidate, float *gains,
		struct stage stage);
/* Standard errors of the paired difference by which the gains of a are better than those of b. */
double trial_ahead(const struct trial *trial, const float *a, const float *b, struct stage stage);
/* Of learning once. */
double trial_cost(const struct trial *trial, struct stage stage);

#endif
