#include "builder/trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* What things cost, in nanoseconds. */
#define QUESTION_NS 1000.0
#define ADD_NS 3.0 /* a neighbour added up */
#define PAIR_NS 2.0
#define ENTRY_NS 60.0
#define START_NS 2e8 /* of a build: to begin, to publish */
#define WORK_FREE 500.0 /* neighbours a query that cost nothing */
#define WORK_PRICE 0.005 /* of every doubling */
#define WORK_MOST 9000.0 /* beyond it the price is in proportion */

/* --- asking --- */

static double price(const struct trial *trial, const struct tune_candidate *candidate)
{
	double floor = trial->goal.coverage_floor, factor = 1;
	if (candidate->coverage < floor)
		factor *= candidate->coverage / floor;
	if (candidate->work > WORK_FREE)
		factor *= 1 - WORK_PRICE * log2(candidate->work / WORK_FREE);
	return candidate->work > WORK_MOST ? factor * WORK_MOST / candidate->work : factor;
}

int trial_serve(struct trial *trial, const struct lesson *lesson, struct tune_candidate *candidate, float *gains,
		struct stage stage)
{
	struct evaluation figures;
	uint32_t asked = 0;
	double coverage = 0;
	candidate->ndcg = candidate->hit_rate = candidate->work = 0;
	for (uint32_t s = 0; s < trial->slices; s++) {
		struct model_relation relation = lesson->of[s].relation;
		relation.serving = learn_serving(&candidate->params);
		int code = exam_ask(trial->exams[s], &relation, stage.query_step, &figures, gains + asked, trial->err);
		if (code)
			return code;
		uint32_t count = figures.figures.queries;
		candidate->ndcg += figures.figures.ndcg * count;
		candidate->hit_rate += figures.figures.hit_rate * count;
		candidate->work += figures.work * count;
		coverage += figures.figures.coverage;
		asked += count;
	}
	trial->spent_ns += asked * QUESTION_NS + candidate->work * ADD_NS;
	candidate->ndcg /= asked;
	candidate->hit_rate /= asked;
	candidate->work /= asked;
	candidate->coverage = coverage / trial->slices;
	double factor = price(trial, candidate);
	for (uint32_t n = 0; n < asked; n++)
		gains[n] *= (float)factor;
	candidate->worth = (trial->goal.objective == TUNE_HIT_RATE ? candidate->hit_rate : candidate->ndcg) * factor;
	return 0;
}

static uint32_t asked(const struct trial *trial, struct stage stage)
{
	uint32_t count = 0;
	for (uint32_t s = 0; s < trial->slices; s++)
		count += (exam_queries(trial->exams[s]) + stage.query_step - 1) / stage.query_step;
	return count;
}

double trial_ahead(const struct trial *trial, const float *a, const float *b, struct stage stage)
{
	uint32_t count = asked(trial, stage);
	double sum = 0, squares = 0;
	for (uint32_t n = 0; n < count; n++) {
		double d = (double)a[n] - (double)b[n];
		sum += d;
		squares += d * d;
	}
	double variance = squares / count - sum / count * (sum / count);
	return variance > 0 ? sum / count / sqrt(variance / count) : 0;
}

/* --- learning --- */

int lesson_make(const struct trial *trial, struct lesson *lesson)
{
	*lesson = (struct lesson){ .gains = calloc(trial->queries, sizeof(float)) };
	return lesson->gains ? 0 : error_set(trial->err, E_EXHAUSTED, "no memory for the tuner");
}

static void forget(const struct trial *trial, struct lesson *lesson)
{
	for (uint32_t s = 0; s < trial->slices; s++)
		learned_free(trial->input.space, &lesson->of[s]);
}

void lesson_drop(const struct trial *trial, struct lesson *lesson)
{
	forget(trial, lesson);
	free(lesson->gains);
	lesson->gains = NULL;
}

double trial_cost(const struct trial *trial, struct stage stage)
{
	return trial->learning_ns / stage.user_step;
}

/* From the first thing that was learnt. */
static void estimate(struct trial *trial, const struct lesson *lesson, const struct tune_candidate *candidate,
		     struct stage stage)
{
	for (uint32_t s = 0; s < trial->slices; s++) {
		const struct learned *learned = &lesson->of[s];
		trial->learning_ns += stage.user_step * (PAIR_NS * (double)learned->neighbours.pairs +
							 ENTRY_NS * (double)learned->entries);
	}
	/* a build learns twice and asks the evaluation's questions */
	trial->build_ns = START_NS + 2 * trial->learning_ns / trial->slices +
			  EVALUATE_QUERIES * (QUESTION_NS + ADD_NS * candidate->work);
}

int trial_learn(struct trial *trial, struct lesson *lesson, struct tune_candidate *candidate, struct stage stage)
{
	int code = 0;
	trial->input.params = &candidate->params;
	trial->input.user_step = stage.user_step;
	forget(trial, lesson);
	for (uint32_t s = 0; s < trial->slices && !code; s++) {
		uint32_t split_s = exam_split(trial->exams[s]);
		code = learn(&lesson->of[s], &trial->input, split_s, split_s, trial->err);
	}
	if (!code)
		code = trial_serve(trial, lesson, candidate, lesson->gains, stage);
	if (!code && !(trial->learning_ns > 0))
		estimate(trial, lesson, candidate, stage);
	trial->spent_ns += trial_cost(trial, stage);
	return code;
}

/* --- opening --- */

static size_t count_types(const struct learn_input *input)
{
	const struct event *events = events_all(input->events);
	size_t types = 0;
	for (uint64_t e = 0; e < input->events->count; e++)
		if (input->relation->weights[events[e].type] > 0 && events[e].type >= types)
			types = events[e].type + 1u;
	size_t used = 0;
	for (size_t t = 0; t < types; t++)
		used += input->relation->weights[t] > 0;
	return used;
}

static int make_exams(struct trial *trial, const struct tune_options *options, uint32_t now_s, char *note,
		      size_t note_bytes)
{
	double to = options->to > 0 ? options->to : TUNE_TO;
	bool one = options->builds <= TUNE_BUILDS && trial->input.events->count > TUNE_SLICES_EVENTS;
	for (uint32_t s = 0; s < (one ? 1 : TRIAL_SLICES) && (s == 0 || trial->queries < TUNE_QUERIES_ENOUGH); s++) {
		char why[200];
		double end = to - s * TUNE_WIDTH;
		struct questions_slice slice = { .from = end - TUNE_WIDTH,
						 .to = s || to < 1 ? end : 1,
						 .most = TUNE_QUERIES,
						 .new_users = options->new_users };
		int code = exam_new(&trial->exams[s], &trial->input, slice, now_s, why, sizeof why, trial->err);
		if (code)
			return code;
		if (!trial->exams[s]) {
			if (s == 0)
				snprintf(note, note_bytes, "%s", why);
			break;
		}
		if (options->goal.objective == TUNE_HIT_RATE)
			exam_gain_hits(trial->exams[s]);
		if (trial->input.relation->places)
			exam_places(trial->exams[s], trial->input.relation->places);
		trial->queries += exam_queries(trial->exams[s]);
		trial->slices++;
	}
	if (!note[0] && trial->queries < TUNE_QUERIES_MIN)
		snprintf(note, note_bytes, "not tuned: %u questions, at least %u are needed", trial->queries,
			 TUNE_QUERIES_MIN);
	return 0;
}

int trial_open(struct trial *trial, const struct learn_input *input, const struct tune_options *options, uint32_t now_s,
	       char *note, size_t note_bytes, struct error *err)
{
	*trial = (struct trial){ .input = *input, .goal = options->goal, .types = count_types(input), .err = err };
	trial->input.report = NULL; /* of the single learning */
	trial->input.attributes = NULL; /* what they give to cold items is the same for all candidates */
	return make_exams(trial, options, now_s, note, note_bytes);
}

void trial_close(struct trial *trial)
{
	for (uint32_t s = 0; s < trial->slices; s++)
		exam_free(trial->exams[s]);
}
