#include "builder/evaluate.h"

#include "builder/parallel.h"
#include "common/clock.h"
#include "common/score.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PORTION 64u /* queries a thread takes at once */
#define PART_EVENTS 65536u
#define LEARN_PART 0.7 /* of the evaluation, for its progress */

/* Of a question. */
struct answer {
	float gain, hits, reciprocal; /* means over the targets: NDCG, share in the list, 1 / place */
	float popular_gain, popular_hits;
	uint32_t work; /* neighbours added up */
};

struct exam {
	const struct learn_input *input;
	const struct model_relation *relation; /* what is asked */
	struct questions questions;
	struct answer *answers;
	bool gain_hits;
	uint32_t places; /* of a list */
	uint32_t step; /* every step-th is asked */
	uint32_t asked;
	_Atomic uint32_t next;
	_Atomic uint64_t busy_ns;
	_Atomic uint8_t *shown; /* [items] */
};

/* One thread's own. */
struct asker {
	struct exam *all;
	struct scorer *scorer;
	uint32_t *marks; /* [items]: number of the last query (+ 1) that must not show the item */
	uint32_t mark;
	struct profile_event events[4 * PROFILE_MAX];
	struct scored top[EVALUATE_PLACES_MAX];
};

/* --- asking --- */

static enum score_verdict judge(void *context, uint32_t row)
{
	const struct asker *asker = context;
	return asker->marks[row] == asker->mark ? SCORE_EXCLUDED : SCORE_SHOW;
}

/* The first rows of the recently popular that may be shown. Returns how many were added. */
static uint32_t fill_popular(struct asker *asker, struct scored *to, uint32_t room)
{
	const struct model_relation *relation = asker->all->relation;
	uint32_t added = 0;
	for (uint32_t r = 0; r < relation->recent_count && added < room; r++)
		if (asker->marks[relation->recent_rows[r]] != asker->mark)
			to[added++].row = relation->recent_rows[r];
	return added;
}

/* What a place gives to NDCG; with one target its ideal is 1. */
static float gain_of(uint32_t place)
{
	return place ? (float)(1 / log2(place + 1.0)) : 0;
}

/* From 1; 0: not in the list. */
static uint32_t place_of(const struct scored *list, uint32_t count, uint32_t row)
{
	for (uint32_t i = 0; i < count; i++)
		if (list[i].row == row)
			return i + 1;
	return 0;
}

/* The user's events before the question, newest first, as far as a profile looks; what must not be shown is marked. */
static uint32_t look_back(struct asker *asker, const struct question *question)
{
	const struct exam *q = asker->all;
	const struct plan_relation *plan = q->input->relation;
	const struct event *all = events_all(q->input->events);
	uint32_t looked = 0, room = 4 * q->relation->serving.profile_items;
	for (uint64_t e = question->end; e-- > question->first;) {
		if (!questions_count(&q->questions, plan, &all[e]))
			continue;
		if (!q->questions.again)
			asker->marks[all[e].item] = asker->mark;
		if (looked == room)
			continue;
		uint32_t weight =
			(uint32_t)((double)plan->weights[all[e].type] / (double)plan->largest * SCORE_ONE + 0.5);
		weight = profile_event_weight(weight ? weight : 1, event_weight(&all[e]));
		asker->events[looked++] = (struct profile_event){ all[e].item, weight, (int64_t)all[e].time_s * 1000 };
	}
	return looked;
}

static struct answer ask(struct asker *asker, const struct question *question)
{
	const struct exam *q = asker->all;
	const struct model_relation *relation = q->relation;
	struct profile_item profile[PROFILE_MAX];
	uint32_t items = profile_make(&relation->serving, asker->events, look_back(asker, question), profile);
	struct answer answer = { 0 };
	for (uint32_t i = 0; i < items; i++)
		answer.work += (uint32_t)(relation->offsets[profile[i].row + 1] - relation->offsets[profile[i].row]);

	struct scored popular[EVALUATE_PLACES_MAX];
	uint32_t popular_found = fill_popular(asker, popular, q->places);
	struct score_counts score_counts;
	uint32_t found =
		scorer_top(asker->scorer, relation, profile, items, q->places, judge, asker, asker->top, &score_counts);
	for (uint32_t i = 0; i < found; i++)
		asker->marks[asker->top[i].row] = asker->mark; /* not a second time */
	found += fill_popular(asker, asker->top + found, q->places - found);
	for (uint32_t i = 0; i < found; i++)
		atomic_store_explicit(&q->shown[asker->top[i].row], 1, memory_order_relaxed);

	const uint32_t *targets = &q->questions.targets[question->target];
	for (uint32_t t = 0; t < question->targets; t++) {
		uint32_t place = place_of(asker->top, found, targets[t]);
		uint32_t popular_place = place_of(popular, popular_found, targets[t]);
		answer.gain += gain_of(place);
		answer.hits += place > 0;
		answer.reciprocal += place ? 1 / (float)place : 0;
		answer.popular_gain += gain_of(popular_place);
		answer.popular_hits += popular_place > 0;
	}
	float share = 1 / (float)question->targets;
	answer.gain *= share;
	answer.hits *= share;
	answer.reciprocal *= share;
	answer.popular_gain *= share;
	answer.popular_hits *= share;
	return answer;
}

static int ask_portions(void *context, uint32_t thread)
{
	struct exam *q = context;
	struct asker *asker = calloc(1, sizeof *asker);
	int code = E_EXHAUSTED;
	if (asker) {
		asker->all = q;
		asker->scorer = scorer_new(q->input->items);
		asker->marks = calloc((size_t)q->input->items + 1, sizeof *asker->marks);
		code = asker->scorer && asker->marks ? 0 : E_EXHAUSTED;
	}
	uint64_t start_ns = clock_monotonic_ns();
	uint32_t first;
	while (!code && (first = atomic_fetch_add(&q->next, PORTION)) < q->asked) {
		for (uint32_t n = first; n < first + PORTION && n < q->asked; n++) {
			asker->mark = n + 1;
			q->answers[n] = ask(asker, &q->questions.all[(size_t)n * q->step]);
		}
		if (thread == 0 && q->input->report)
			report_step(q->input->report, (double)first / q->asked);
	}
	atomic_fetch_add(&q->busy_ns, clock_monotonic_ns() - start_ns);
	if (asker) {
		scorer_free(asker->scorer);
		free(asker->marks);
	}
	free(asker);
	return code;
}

/* --- figures --- */

/* Which items the training part knows. */
struct knowing {
	const struct exam *exam;
	struct lists_window before;
	_Atomic uint8_t *known; /* [items], 1: it does */
};

static int mark_known(void *context, uint32_t thread, uint64_t first, uint64_t end)
{
	const struct knowing *k = context;
	const struct plan_relation *plan = k->exam->input->relation;
	const struct event *all = events_all(k->exam->input->events);
	(void)thread;
	for (uint64_t e = first; e < end; e++) {
		if (!(plan->weights[all[e].type] > 0) || all[e].time_s < k->before.from_s ||
		    all[e].time_s >= k->before.to_s)
			continue;
		/* most are known already, and what is only read stays in the caches of all threads */
		if (!atomic_load_explicit(&k->known[all[e].item], memory_order_relaxed))
			atomic_store_explicit(&k->known[all[e].item], 1, memory_order_relaxed);
	}
	return 0;
}

static void sum_up(struct evaluation *out, const struct exam *q, const _Atomic uint8_t *known)
{
	struct model_evaluation *figures = &out->figures;
	uint64_t targets = 0, cold = 0, shown = 0, work = 0;
	double squares = 0;
	for (uint32_t n = 0; n < q->asked; n++) {
		const struct question *question = &q->questions.all[(size_t)n * q->step];
		const struct answer *answer = &q->answers[n];
		for (uint32_t t = 0; t < question->targets; t++)
			cold += !known[q->questions.targets[question->target + t]];
		targets += question->targets;
		work += answer->work;
		figures->ndcg += (double)answer->gain;
		figures->hit_rate += (double)answer->hits;
		squares += (double)answer->hits * (double)answer->hits;
		figures->mrr += (double)answer->reciprocal;
		figures->popular_hit_rate += (double)answer->popular_hits;
		figures->popular_ndcg += (double)answer->popular_gain;
	}
	for (uint32_t item = 0; item < q->input->items; item++)
		shown += q->shown[item] && known[item]; /* others can be shown by their attributes */
	figures->queries = q->asked;
	figures->cold_share = (double)cold / (double)targets;
	figures->hit_rate /= q->asked;
	figures->ndcg /= q->asked;
	figures->mrr /= q->asked;
	figures->coverage = q->relation->items ? (double)shown / (double)q->relation->items : 0;
	figures->popular_hit_rate /= q->asked;
	figures->popular_ndcg /= q->asked;
	double variance = squares / q->asked - figures->hit_rate * figures->hit_rate;
	out->hit_rate_error = sqrt(variance > 0 ? variance / q->asked : 0);
	out->microseconds = (double)q->busy_ns / 1000 / q->asked;
	out->work = (double)work / q->asked;
}

/* --- the exam --- */

int exam_new(struct exam **exam, const struct learn_input *input, struct questions_slice slice, uint32_t now_s,
	     char *note, size_t note_bytes, struct error *err)
{
	struct exam *q = calloc(1, sizeof *q);
	*exam = NULL;
	note[0] = '\0';
	if (!q)
		return error_set(err, E_EXHAUSTED, "no memory for the evaluation");
	q->input = input;
	q->places = EVALUATE_AT;
	int code = questions_make(&q->questions, input, slice, EVALUATE_QUERIES_MIN, now_s, note, note_bytes, err);
	if (code || q->questions.count == 0)
		exam_free(q);
	else
		*exam = q;
	return code;
}

void exam_free(struct exam *exam)
{
	if (exam)
		questions_free(&exam->questions);
	free(exam);
}

uint32_t exam_queries(const struct exam *exam)
{
	return exam->questions.count;
}

uint32_t exam_split(const struct exam *exam)
{
	return exam->questions.split_s;
}

void exam_places(struct exam *exam, uint32_t places)
{
	exam->places = places;
}

void exam_gain_hits(struct exam *exam)
{
	exam->gain_hits = true;
}

uint64_t exam_user(const struct exam *exam, uint32_t question)
{
	return exam->questions.all[question].first;
}

int exam_ask(struct exam *q, const struct model_relation *relation, uint32_t step, struct evaluation *out, float *gains,
	     struct error *err)
{
	struct knowing knowing = { .exam = q, .known = calloc((size_t)q->input->items + 1, sizeof *knowing.known) };
	int code = 0;
	*out = (struct evaluation){ .split_s = q->questions.split_s, .possible_queries = q->questions.possible };
	q->relation = relation;
	q->step = step;
	q->asked = (q->questions.count + step - 1) / step;
	q->next = 0;
	q->busy_ns = 0;
	q->shown = calloc((size_t)q->input->items + 1, sizeof *q->shown);
	q->answers = calloc(q->asked, sizeof *q->answers);
	if (!knowing.known || !q->shown || !q->answers || parallel_run(q->input->threads, ask_portions, q))
		code = error_set(err, E_EXHAUSTED, "no memory for the evaluation");
	if (!code) {
		knowing.before = learn_window(q->input->relation, q->questions.split_s, q->questions.split_s);
		parallel_parts(q->input->threads, q->input->events->count, PART_EVENTS, mark_known, &knowing);
		sum_up(out, q, knowing.known);
	}
	for (uint32_t n = 0; n < q->asked && !code && gains; n++)
		gains[n] = q->gain_hits ? q->answers[n].hits : q->answers[n].gain;
	free(knowing.known);
	free(q->shown);
	free(q->answers);
	q->shown = NULL;
	q->answers = NULL;
	return code;
}

int evaluate(struct evaluation *out, const struct learn_input *input, uint32_t now_s, struct learned *learned,
	     struct error *err)
{
	struct questions_slice slice = { .from = EVALUATE_SHARE, .to = 1, .most = EVALUATE_QUERIES };
	struct exam *exam;
	*out = (struct evaluation){ 0 };
	*learned = (struct learned){ 0 };
	int code = exam_new(&exam, input, slice, now_s, out->note, sizeof out->note, err);
	report_lap(input->report, "questions");
	if (code || !exam)
		return code;
	if (input->report)
		report_part(input->report, 0, LEARN_PART);
	code = learn(learned, input, exam_split(exam), exam_split(exam), err);
	if (input->report)
		report_part(input->report, LEARN_PART, 1);
	if (!code)
		code = exam_ask(exam, &learned->relation, 1, out, NULL, err);
	report_lap(input->report, "asking");
	exam_free(exam);
	return code;
}
