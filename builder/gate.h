/*
 * The gate: whether what this build learnt may take the place of what is served. For each relation both
 * are asked the same questions; a generation with a relation that is worse, surely and not only by a
 * little, is kept but not served by itself (server/builds.c).
 *
 * What makes the questions fair. Neither may have learnt from what it is asked about. The served file
 * has learnt from everything up to its newest event, so it is asked about events after that, and the
 * candidate's stand-in is a model learnt as the candidate was (all data as it is now, the new
 * parameters), but only from the events before the questions.
 *
 *   1. From max(the evaluation's split, the served file's newest event) on, the served file itself against the
 *      model that the evaluation learnt already. That costs no learning, and sees accidents with data: users
 *      deleted, an import of rubbish, items lost.
 *   2. Where the served file's newest event is the later of the two, the evaluation's model knows less than the
 *      candidate will. When it is no worse all the same, neither is the candidate. When it is, a model is learnt
 *      up to the very moment to which the served file was, and that one decides. So a sound build pays for asking
 *      only, a suspicious one for a learning more.
 *   3. With too few such questions (a build right after another) the data are taken as sound, and only the
 *      recipes are compared: when the parameters differ (kindred model tune), both are learnt from the events
 *      before the evaluation's split and asked the evaluation's questions. That costs a learning. With the same
 *      parameters there is nothing to compare.
 *   A relation that was taken from the served generation as it is (builder/reuse.h) cannot be worse, and is not
 *   asked about.
 *   Else, and where the served generation has no such relation, the relation passes untested, and the note says
 *   why.
 *
 * What it cannot see: harm that only events after the questions' beginning would do (nothing learnt
 * from them can be asked about something newer). And people choose from what they are shown, which
 * favours what is served: a different but equally good recipe may be held back. A person may serve it
 * all the same. One event that claims to be of the future moves the served file's newest event there,
 * and so postpones step 1 until the time has come.
 *
 * The test is the paired one, over users: d of a user is the mean, over the user's questions, of the
 * candidate's NDCG@20 less the served one's. One user's questions are not independent, users are; and
 * each counts once, so that a few very busy ones (robots) decide nothing. Worse: z, the mean of d over
 * its standard error, is below the point that chance passes with probability GATE_CHANCE over all
 * relations of the build together (each gets its share: Bonferroni), and the loss is more than
 * GATE_LEAST of the served one's NDCG, so that what nobody would notice blocks nothing. Better: the
 * same the other way round. The same input gives the same verdict, whatever the number of threads.
 */
#ifndef KINDRED_BUILDER_GATE_H
#define KINDRED_BUILDER_GATE_H

#include "builder/evaluate.h"
#include "common/datadir.h"

#include <jansson.h>

#define GATE_CHANCE 0.05
#define GATE_LEAST 0.02
#define GATE_QUERIES_MIN 100u
#define GATE_USERS_MIN 30u

struct gate {
	struct model *served; /* NULL: there is none, or it cannot be read */
	char why[MODEL_NOTE_MAX]; /* it is NULL */
	uint32_t relations; /* of the build */
};

/*
 * Opens the active generation. One that cannot be read is no reason not to build: it is logged and
 * nothing is compared.
 */
void gate_open(struct gate *gate, const struct datadir *dir, uint32_t relations);
void gate_close(struct gate *gate);

/* A relation that was learnt. */
struct gate_candidate {
	const char *catalog;
	/*
	 * Of the catalog: what was learnt from an older one is of one that was deleted, and is served to
	 * nobody.
	 */
	uint64_t first_version;
	const uint64_t *keys; /* [input->items], of the rows */
	const struct learn_input *input; /* with the candidate's parameters */
	const struct evaluation *evaluation;
	const struct learned *before; /* what the evaluation learnt */
	const struct params *served_params; /* what the served relation was learnt with; NULL: not known */
	uint32_t now_s;
};

/* *out always has a note. Errors: E_EXHAUSTED. */
int gate_test(const struct gate *gate, const struct gate_candidate *candidate, struct model_gate *out,
	      struct error *err);

/* Of a relation that was taken from the served generation `against`, unchanged since `since` learnt it. */
void gate_unchanged(struct model_gate *out, uint64_t against, uint64_t since);

/*
 * The test itself; pure. gains: NDCG of each question. users: whose, the same one's next to each other.
 * Fills queries, users, both NDCG (means over users), z and verdict, which is MODEL_UNTESTED with fewer
 * than GATE_QUERIES_MIN questions or GATE_USERS_MIN users. relations: that share the chance.
 */
void gate_compare(struct model_gate *out, const float *gains, const float *served_gains, const uint64_t *users,
		  uint32_t count, uint32_t relations);

/* "NDCG@20 0.2100, generation 3 has 0.3500 on the same 812 questions of 300 users": a tested one's figures in words. */
void gate_words(const struct model_gate *gate, char *text, size_t bytes);

#endif
