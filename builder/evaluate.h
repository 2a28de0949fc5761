/*
 * Evaluation: how well the model would have foreseen the newest tenth of a relation's events. It learns
 * from the events before that with the same parameters and asks the questions of questions.h: is what
 * the user did next among the 20 shown just before? With several targets a question's figures are means
 * over them. Profile, scores and ranking are those of common/profile.h and common/score.h, the code the
 * worker runs; what is missing is filled from recent popularity.
 */
#ifndef KINDRED_BUILDER_EVALUATE_H
#define KINDRED_BUILDER_EVALUATE_H

#include "builder/questions.h"

#define EVALUATE_AT 20u /* in figures for people */
#define EVALUATE_PLACES_MAX PLAN_PLACES_MAX
#define EVALUATE_QUERIES 20000u /* at most, spread evenly */
#define EVALUATE_QUERIES_MIN 20u
#define EVALUATE_SHARE 0.9 /* learnt from */

struct evaluation {
	struct model_evaluation figures; /* queries 0: there is none, the note says why */
	char note[160];
	uint32_t split_s; /* learnt from events before it */
	uint64_t possible_queries; /* before thinning */
	double hit_rate_error; /* standard error */
	double microseconds; /* a query, of one thread */
	double work; /* neighbours added up for a query */
};

/*
 * The questions of a slice, for more than one model of the same catalog: exam_new -> exam_ask.. ->
 * exam_free. One thread calls; asking uses the input's threads. The input lives as long as the exam.
 */
struct exam;

/*
 * *exam is NULL, and the note says why, when there is nothing to ask about. now_s: the newest event;
 * the window is counted back from it.
 */
int exam_new(struct exam **exam, const struct learn_input *input, struct questions_slice slice, uint32_t now_s,
	     char *note, size_t note_bytes, struct error *err);
void exam_free(struct exam *exam);
uint32_t exam_queries(const struct exam *exam);
/* Events before it may be learnt from. */
uint32_t exam_split(const struct exam *exam);
/* Whose question it is: the same number for all of a user's, which follow each other. */
uint64_t exam_user(const struct exam *exam, uint32_t question);
/* From now on lists have so many places, 1 to EVALUATE_PLACES_MAX, instead of EVALUATE_AT. */
void exam_places(struct exam *exam, uint32_t places);
/* From now on gains are hits: the share of a question's targets that is in the list. */
void exam_gain_hits(struct exam *exam);
/*
 * Asks every step-th question. gains: NDCG of each one asked, in an order that is the same for every
 * relation asked with this step; room for exam_queries, may be NULL. relation: rows of the input's
 * catalog.
 */
int exam_ask(struct exam *exam, const struct model_relation *relation, uint32_t step, struct evaluation *out,
	     float *gains, struct error *err);

/*
 * now_s: the newest event; the window of the relation is counted back from it, and for learning from
 * the split. learned: the model that was asked, learnt from the events before evaluation->split_s; to
 * be freed, after an error too.
 */
int evaluate(struct evaluation *evaluation, const struct learn_input *input, uint32_t now_s, struct learned *learned,
	     struct error *err);

#endif
