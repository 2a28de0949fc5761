#include "builder/questions.h"

#include "builder/parallel.h"
#include "builder/rank.h"

#include <stdio.h>
#include <stdlib.h>

#define EVENTS_MIN 100u
#define BLOCK_USERS 4096u

/* What all threads look at; questions are numbered by users, so that who finds them makes no difference. */
struct asking {
	struct questions *q;
	const struct learn_input *input;
	const struct event *events;
	struct questions_slice slice;
	uint32_t room; /* targets a question can have */
	struct maker *makers; /* [PARALLEL_SUMS], one a thread */
	uint64_t *found; /* [blocks of users]: in each, then before each */
};

/* One thread's own. */
struct maker {
	const struct asking *all;
	uint32_t *marks; /* [items]: the last user who had the item */
	uint32_t mark; /* of the user at work */
	uint64_t found; /* that can be asked about, of this user and those before */
};

static bool counts(const struct asking *m, const struct event *event)
{
	return questions_count(m->q, m->input->relation, event);
}

static bool in_slice(const struct asking *m, const struct event *event)
{
	return event->time_s >= m->q->split_s && event->time_s < m->q->end_s;
}

/* --- the slice --- */

static void count_times(const void *context, struct rank *rank, uint64_t first, uint64_t end)
{
	const struct asking *m = context;
	for (uint64_t e = first; e < end; e++)
		if (counts(m, &m->events[e]))
			rank_count(rank, m->events[e].time_s);
}

/* The time before which a share of the relation's events lies. */
static int time_at(const struct asking *m, struct rank *rank, double share, uint32_t *time_s)
{
	struct rank_values values = { m->input->events->count, count_times, m };
	*time_s = 0;
	rank_init(rank);
	int code = rank_count_all(rank, &values, m->input->threads);
	if (code || rank->total == 0)
		return code;
	rank_narrow(rank, (uint64_t)((double)rank->total * share));
	code = rank_count_all(rank, &values, m->input->threads);
	if (!code)
		*time_s = rank_value(rank);
	return code;
}

/* *events: the relation's. *oldest_s: of them. */
static int find_slice(struct asking *m, uint64_t *events, uint32_t *oldest_s, struct error *err)
{
	struct rank *rank = malloc(sizeof *rank);
	uint32_t end_s = 0;
	int code = rank ? time_at(m, rank, m->slice.from, &m->q->split_s) : E_EXHAUSTED;
	if (!code) {
		*events = rank->total;
		*oldest_s = rank->least;
	}
	if (!code && m->slice.to < 1)
		code = time_at(m, rank, m->slice.to, &end_s);
	m->q->end_s = m->slice.to < 1 ? end_s : UINT64_MAX;
	free(rank);
	if (m->q->split_s < m->slice.from_s)
		m->q->split_s = m->slice.from_s;
	return code ? error_set(err, code, "no memory for the evaluation") : 0;
}

/* --- questions --- */

/* How many of the found ones are taken, evenly spread. */
static uint64_t taken_of(const struct questions *q, uint64_t found)
{
	return found * q->count / q->possible;
}

/* The next one of the found. The question when it is taken; NULL: it is not, as none is while they are only counted. */
static struct question *take(struct maker *maker)
{
	const struct questions *q = maker->all->q;
	uint64_t number = q->all ? taken_of(q, maker->found) : 0;
	maker->found++;
	if (!q->all || taken_of(q, maker->found) == number)
		return NULL;
	q->all[number].target = (uint32_t)number * maker->all->room;
	return &q->all[number];
}

static void ask_next(struct maker *maker, uint64_t first, uint64_t end)
{
	const struct asking *m = maker->all;
	bool history = false;
	for (uint64_t e = first; e < end; e++) {
		const struct event *event = &m->events[e];
		if (!counts(m, event))
			continue;
		if (m->slice.new_users && !history && !in_slice(m, event))
			return;
		bool is_new = maker->marks[event->item] != maker->mark;
		maker->marks[event->item] = maker->mark;
		struct question *question = NULL;
		if (history && (is_new || m->q->again) && in_slice(m, event))
			question = take(maker);
		if (question) {
			*question = (struct question){ first, e, question->target, 1 };
			m->q->targets[question->target] = event->item;
		}
		history = true;
	}
}

static void ask_visit(struct maker *maker, uint64_t first, uint64_t end)
{
	const struct asking *m = maker->all;
	uint64_t split = first;
	bool history = false;
	for (; split < end && m->events[split].time_s < m->q->split_s; split++) {
		if (!counts(m, &m->events[split]))
			continue;
		maker->marks[m->events[split].item] = maker->mark;
		history = true;
	}
	struct question *question = NULL;
	uint32_t targets = 0, start_s = 0;
	for (uint64_t e = split; history && e < end && targets < QUESTIONS_VISIT_ITEMS; e++) {
		const struct event *event = &m->events[e];
		if (!counts(m, event) || maker->marks[event->item] == maker->mark)
			continue;
		if (!in_slice(m, event) || (targets && event->time_s - start_s > QUESTIONS_VISIT_S))
			break;
		maker->marks[event->item] = maker->mark;
		if (targets == 0) {
			start_s = event->time_s;
			question = take(maker);
		}
		if (question)
			m->q->targets[question->target + targets] = event->item;
		targets++;
	}
	if (question)
		*question = (struct question){ first, split, question->target, targets };
}

static int ask_block(void *context, uint32_t thread, uint64_t first, uint64_t end)
{
	struct asking *m = context;
	struct maker *maker = &m->makers[thread];
	const uint64_t *offsets = events_offsets(m->input->events);
	maker->all = m;
	if (!maker->marks)
		maker->marks = calloc((size_t)m->input->items + 1, sizeof *maker->marks);
	if (!maker->marks)
		return E_EXHAUSTED;
	maker->found = m->q->all ? m->found[first / BLOCK_USERS] : 0;
	for (uint64_t user = first; user < end; user++) {
		maker->mark++;
		if (m->input->relation->occasion == OCCASION_VISIT)
			ask_visit(maker, offsets[user], offsets[user + 1]);
		else
			ask_next(maker, offsets[user], offsets[user + 1]);
	}
	if (!m->q->all)
		m->found[first / BLOCK_USERS] = maker->found;
	return 0;
}

/* Goes through all users. Without q->all it only counts. */
static int ask_all(struct asking *m)
{
	return parallel_parts(parallel_sums(m->input->threads), m->input->events->users, BLOCK_USERS, ask_block, m);
}

static int choose(struct asking *m, uint32_t least, char *note, size_t note_bytes)
{
	struct questions *q = m->q;
	uint64_t blocks = m->input->events->users / BLOCK_USERS + 1;
	m->makers = calloc(PARALLEL_SUMS, sizeof *m->makers);
	m->found = calloc(blocks, sizeof *m->found);
	if (!m->makers || !m->found || ask_all(m))
		return E_EXHAUSTED;
	for (uint64_t b = 0; b < blocks; b++) {
		uint64_t in_block = m->found[b];
		m->found[b] = q->possible;
		q->possible += in_block;
	}
	q->count = q->possible < m->slice.most ? (uint32_t)q->possible : m->slice.most;
	if (q->count < least) {
		snprintf(note, note_bytes,
			 "not evaluated: %u events of the %s could be asked about, at least %u are needed", q->count,
			 q->end_s == UINT64_MAX ? "newest tenth" : "slice", least);
		q->count = 0;
		return 0;
	}
	q->targets = malloc((size_t)q->count * m->room * sizeof *q->targets);
	q->all = malloc(q->count * sizeof *q->all);
	return q->targets && q->all ? ask_all(m) : E_EXHAUSTED;
}

static void makers_free(struct asking *m)
{
	for (uint32_t t = 0; m->makers && t < PARALLEL_SUMS; t++)
		free(m->makers[t].marks);
	free(m->makers);
	free(m->found);
}

int questions_make(struct questions *questions, const struct learn_input *input, struct questions_slice slice,
		   uint32_t least, uint32_t now_s, char *note, size_t note_bytes, struct error *err)
{
	*questions = (struct questions){ .again = input->relation->occasion == OCCASION_AGAIN };
	questions->window = learn_window(input->relation, (uint64_t)UINT32_MAX + 1, now_s);
	struct asking m = { .q = questions,
			    .input = input,
			    .events = events_all(input->events),
			    .slice = slice,
			    .room = input->relation->occasion == OCCASION_VISIT ? QUESTIONS_VISIT_ITEMS : 1 };
	uint64_t events = 0;
	uint32_t oldest_s = 0;
	note[0] = '\0';
	int code = find_slice(&m, &events, &oldest_s, err);
	if (!code && events < EVENTS_MIN)
		snprintf(note, note_bytes, "not evaluated: %llu events, at least %u are needed",
			 (unsigned long long)events, EVENTS_MIN);
	else if (!code && oldest_s >= questions->split_s)
		snprintf(note, note_bytes, "not evaluated: nearly all events have the same time");
	else if (!code && choose(&m, least, note, note_bytes))
		code = error_set(err, E_EXHAUSTED, "no memory for the evaluation");
	makers_free(&m);
	return code;
}

void questions_free(struct questions *questions)
{
	free(questions->all);
	free(questions->targets);
	*questions = (struct questions){ 0 };
}
