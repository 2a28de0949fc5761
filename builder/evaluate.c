#include "builder/evaluate.h"

#include "builder/parallel.h"
#include "builder/rank.h"
#include "common/clock.h"
#include "common/score.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORTION 64u /* queries a thread takes at once */
#define LEARN_PART 0.7 /* of the evaluation, for its progress */

struct query {
	uint64_t first, event; /* the user's first event, and the one to foresee */
};

/* Places in the list, from 1; 0: not in it. */
struct answer {
	uint8_t place, popular_place;
};

struct exam {
	const struct learn_input *input;
	const struct model_relation *relation; /* what is asked */
	struct lists_window window; /* of events that count at all */
	uint32_t split_s;
	uint64_t end_s; /* of the slice */
	struct query *queries;
	struct answer *answers;
	uint32_t count;
	uint32_t step; /* every step-th is asked */
	uint32_t asked;
	uint64_t possible;
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
	struct scored top[EVALUATE_AT];
};

static bool counts(const struct exam *q, const struct event *event)
{
	return q->input->relation->weights[event->type] > 0 && event->time_s >= q->window.from_s &&
	       event->time_s < q->window.to_s;
}

/* --- what to ask --- */

/* The time before which a share of the relation's events lies. *events: their number; *oldest_s: UINT32_MAX when there are none. */
static int find_split(struct exam *q, struct evaluate_slice slice, uint64_t *events, uint32_t *oldest_s,
		      struct error *err)
{
	const struct event *all = events_all(q->input->events);
	struct rank *rank = malloc(sizeof *rank);
	if (!rank)
		return error_set(err, E_EXHAUSTED, "no memory for the evaluation");
	rank_init(rank);
	*oldest_s = UINT32_MAX;
	q->end_s = UINT64_MAX;
	/* Two passes a time to find; the end of the slice only when it is not the end of all. */
	for (int pass = 0; pass < (slice.to < 1 ? 4 : 2); pass++) {
		if (pass == 2)
			rank_init(rank);
		for (uint64_t e = 0; e < q->input->events->count; e++) {
			if (!counts(q, &all[e]))
				continue;
			rank_count(rank, all[e].time_s);
			if (all[e].time_s < *oldest_s)
				*oldest_s = all[e].time_s;
		}
		*events = rank->total;
		if (rank->total == 0)
			break;
		if (pass % 2 == 0)
			rank_narrow(rank, (uint64_t)((double)rank->total * (pass == 0 ? slice.from : slice.to)));
		else if (pass == 1)
			q->split_s = rank_value(rank);
		else
			q->end_s = rank_value(rank);
	}
	free(rank);
	if (q->split_s < slice.from_s)
		q->split_s = slice.from_s;
	return 0;
}

/*
 * Goes through all events that could be asked about. Without q->queries it only counts them; else it takes q->count of them, evenly spread
 * over `possible`.
 */
static uint64_t find_queries(struct exam *q, uint32_t *marks, uint64_t possible)
{
	const struct event *all = events_all(q->input->events);
	const uint64_t *offsets = events_offsets(q->input->events);
	uint64_t found = 0;
	uint32_t taken = 0;
	memset(marks, 0, ((size_t)q->input->items + 1) * sizeof *marks);
	for (uint32_t user = 0; user < q->input->events->users; user++) {
		bool history = false;
		for (uint64_t e = offsets[user]; e < offsets[user + 1]; e++) {
			if (!counts(q, &all[e]))
				continue;
			bool is_new = marks[all[e].item] != user + 1;
			marks[all[e].item] = user + 1;
			if (is_new && history && all[e].time_s >= q->split_s && all[e].time_s < q->end_s) {
				found++;
				if (q->queries && taken < q->count && found * q->count / possible > taken)
					q->queries[taken++] = (struct query){ offsets[user], e };
			}
			history = true;
		}
	}
	return found;
}

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

static uint8_t place_of(const struct scored *list, uint32_t count, uint32_t row)
{
	for (uint32_t i = 0; i < count; i++)
		if (list[i].row == row)
			return (uint8_t)(i + 1);
	return 0;
}

static struct answer ask(struct asker *asker, const struct query *query)
{
	const struct exam *q = asker->all;
	const struct model_relation *relation = q->relation;
	const struct plan_relation *plan = q->input->relation;
	const struct event *all = events_all(q->input->events);
	uint32_t looked = 0, room = 4 * relation->serving.profile_items;
	for (uint64_t e = query->event; e-- > query->first;) {
		if (!counts(q, &all[e]))
			continue;
		asker->marks[all[e].item] = asker->mark;
		if (looked == room)
			continue;
		uint32_t weight =
			(uint32_t)((double)plan->weights[all[e].type] / (double)plan->largest * SCORE_ONE + 0.5);
		asker->events[looked++] =
			(struct profile_event){ all[e].item, weight ? weight : 1, (int64_t)all[e].time_s * 1000 };
	}
	struct profile_item profile[PROFILE_MAX];
	uint32_t items = profile_make(&relation->serving, asker->events, looked, profile);
	struct score_counts score_counts;
	uint32_t target = all[query->event].item;
	struct answer answer = { 0 };

	struct scored popular[EVALUATE_AT];
	answer.popular_place = place_of(popular, fill_popular(asker, popular, EVALUATE_AT), target);
	uint32_t found = scorer_top(asker->scorer, relation, profile, items, EVALUATE_AT, judge, asker, asker->top,
				    &score_counts);
	for (uint32_t i = 0; i < found; i++)
		asker->marks[asker->top[i].row] = asker->mark; /* not a second time */
	found += fill_popular(asker, asker->top + found, EVALUATE_AT - found);
	answer.place = place_of(asker->top, found, target);
	for (uint32_t i = 0; i < found; i++)
		atomic_store_explicit(&q->shown[asker->top[i].row], 1, memory_order_relaxed);
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
			q->answers[n] = ask(asker, &q->queries[(size_t)n * q->step]);
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

/* Which items the training part knows: 1 in known[item]. */
static void mark_known(const struct exam *q, uint8_t *known)
{
	struct lists_window before = learn_window(q->input->relation, q->split_s, q->split_s);
	const struct event *all = events_all(q->input->events);
	for (uint64_t e = 0; e < q->input->events->count; e++)
		if (q->input->relation->weights[all[e].type] > 0 && all[e].time_s >= before.from_s &&
		    all[e].time_s < before.to_s)
			known[all[e].item] = 1;
}

static void sum_up(struct evaluation *out, const struct exam *q, const uint8_t *known)
{
	struct model_evaluation *figures = &out->figures;
	uint64_t hits = 0, popular_hits = 0, cold = 0, shown = 0;
	const struct event *all = events_all(q->input->events);
	for (uint32_t n = 0; n < q->asked; n++) {
		struct answer answer = q->answers[n];
		cold += !known[all[q->queries[(size_t)n * q->step].event].item];
		if (answer.place) {
			hits++;
			figures->ndcg += 1 / log2(answer.place + 1.0);
			figures->mrr += 1.0 / answer.place;
		}
		if (answer.popular_place) {
			popular_hits++;
			figures->popular_ndcg += 1 / log2(answer.popular_place + 1.0);
		}
	}
	for (uint32_t item = 0; item < q->input->items; item++)
		shown += q->shown[item];
	figures->queries = q->asked;
	figures->cold_share = (double)cold / q->asked;
	figures->hit_rate = (double)hits / q->asked;
	figures->ndcg /= q->asked;
	figures->mrr /= q->asked;
	figures->coverage = q->relation->items ? (double)shown / (double)q->relation->items : 0;
	figures->popular_hit_rate = (double)popular_hits / q->asked;
	figures->popular_ndcg /= q->asked;
	out->hit_rate_error = sqrt(figures->hit_rate * (1 - figures->hit_rate) / q->asked);
	out->microseconds = (double)q->busy_ns / 1000 / q->asked;
}

/* --- the exam --- */

static int choose_queries(struct exam *q, uint32_t most, char *note, size_t note_bytes, struct error *err)
{
	uint32_t *marks = malloc(((size_t)q->input->items + 1) * sizeof *marks);
	if (!marks)
		return error_set(err, E_EXHAUSTED, "no memory for the evaluation");
	q->possible = find_queries(q, marks, 0);
	q->count = q->possible < most ? (uint32_t)q->possible : most;
	if (q->count >= EVALUATE_QUERIES_MIN) {
		q->queries = malloc(q->count * sizeof *q->queries);
		if (q->queries)
			find_queries(q, marks, q->possible);
	}
	free(marks);
	if (q->count < EVALUATE_QUERIES_MIN) {
		snprintf(note, note_bytes,
			 "not evaluated: %u events of the %s could be asked about, at least %u are needed", q->count,
			 q->end_s == UINT64_MAX ? "newest tenth" : "slice", EVALUATE_QUERIES_MIN);
		return 0;
	}
	return q->queries ? 0 : error_set(err, E_EXHAUSTED, "no memory for the evaluation");
}

int exam_new(struct exam **exam, const struct learn_input *input, struct evaluate_slice slice, uint32_t now_s,
	     char *note, size_t note_bytes, struct error *err)
{
	struct exam *q = calloc(1, sizeof *q);
	uint64_t events = 0;
	uint32_t oldest_s = 0;
	*exam = NULL;
	note[0] = '\0';
	if (!q)
		return error_set(err, E_EXHAUSTED, "no memory for the evaluation");
	q->input = input;
	q->window = learn_window(input->relation, (uint64_t)UINT32_MAX + 1, now_s);
	int code = find_split(q, slice, &events, &oldest_s, err);
	if (!code && events < EVALUATE_EVENTS_MIN)
		snprintf(note, note_bytes, "not evaluated: %llu events, at least %u are needed",
			 (unsigned long long)events, EVALUATE_EVENTS_MIN);
	else if (!code && oldest_s >= q->split_s)
		snprintf(note, note_bytes, "not evaluated: nearly all events have the same time");
	else if (!code)
		code = choose_queries(q, slice.queries, note, note_bytes, err);
	if (code || note[0])
		exam_free(q);
	else
		*exam = q;
	return code;
}

void exam_free(struct exam *exam)
{
	if (exam)
		free(exam->queries);
	free(exam);
}

uint32_t exam_queries(const struct exam *exam)
{
	return exam->count;
}

uint32_t exam_split(const struct exam *exam)
{
	return exam->split_s;
}

uint64_t exam_user(const struct exam *exam, uint32_t question)
{
	return exam->queries[question].first;
}

static void give_gains(const struct exam *q, float *gains)
{
	for (uint32_t n = 0; n < q->asked; n++)
		gains[n] = q->answers[n].place ? (float)(1 / log2(q->answers[n].place + 1.0)) : 0;
}

int exam_ask(struct exam *q, const struct model_relation *relation, uint32_t step, struct evaluation *out, float *gains,
	     struct error *err)
{
	uint8_t *known = calloc((size_t)q->input->items + 1, 1);
	int code = 0;
	*out = (struct evaluation){ .split_s = q->split_s, .possible_queries = q->possible };
	q->relation = relation;
	q->step = step;
	q->asked = (q->count + step - 1) / step;
	q->next = 0;
	q->busy_ns = 0;
	q->shown = calloc((size_t)q->input->items + 1, sizeof *q->shown);
	q->answers = calloc(q->asked, sizeof *q->answers);
	if (!known || !q->shown || !q->answers || parallel_run(q->input->threads, ask_portions, q))
		code = error_set(err, E_EXHAUSTED, "no memory for the evaluation");
	if (!code) {
		mark_known(q, known);
		sum_up(out, q, known);
	}
	if (!code && gains)
		give_gains(q, gains);
	free(known);
	free(q->shown);
	free(q->answers);
	q->shown = NULL;
	q->answers = NULL;
	return code;
}

int evaluate(struct evaluation *out, const struct learn_input *input, uint32_t now_s, struct learned *learned,
	     struct error *err)
{
	struct evaluate_slice slice = { .from = EVALUATE_SHARE, .to = 1, .queries = EVALUATE_QUERIES };
	struct exam *exam;
	*out = (struct evaluation){ 0 };
	*learned = (struct learned){ 0 };
	int code = exam_new(&exam, input, slice, now_s, out->note, sizeof out->note, err);
	if (code || !exam)
		return code;
	if (input->report)
		report_part(input->report, 0, LEARN_PART);
	code = learn(learned, input, exam->split_s, exam->split_s, err);
	if (input->report)
		report_part(input->report, LEARN_PART, 1);
	if (!code)
		code = exam_ask(exam, &learned->relation, 1, out, NULL, err);
	exam_free(exam);
	return code;
}
