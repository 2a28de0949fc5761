#include "builder/questions.h"

#include "builder/rank.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_MIN 100u

struct maker {
	struct questions *q;
	const struct learn_input *input;
	const struct event *events;
	struct questions_slice slice;
	uint32_t *marks; /* [items]: the last user (+ 1) who had the item */
	uint64_t found;
	uint32_t target_count;
};

static bool counts(const struct maker *m, const struct event *event)
{
	return questions_count(m->q, m->input->relation, event);
}

static bool in_slice(const struct maker *m, const struct event *event)
{
	return event->time_s >= m->q->split_s && event->time_s < m->q->end_s;
}

/* --- the slice --- */

static void rank_all(const struct maker *m, struct rank *rank)
{
	for (uint64_t e = 0; e < m->input->events->count; e++)
		if (counts(m, &m->events[e]))
			rank_count(rank, m->events[e].time_s);
}

/* The time before which a share of the relation's events lies. */
static uint32_t time_at(const struct maker *m, struct rank *rank, double share)
{
	rank_init(rank);
	rank_all(m, rank);
	if (rank->total == 0)
		return 0;
	rank_narrow(rank, (uint64_t)((double)rank->total * share));
	rank_all(m, rank);
	return rank_value(rank);
}

/* *events: the relation's. *oldest_s: of them. */
static int find_slice(struct maker *m, uint64_t *events, uint32_t *oldest_s, struct error *err)
{
	struct rank *rank = malloc(sizeof *rank);
	if (!rank)
		return error_set(err, E_EXHAUSTED, "no memory for the evaluation");
	m->q->split_s = time_at(m, rank, m->slice.from);
	*events = rank->total;
	m->q->end_s = UINT64_MAX;
	if (m->slice.to < 1)
		m->q->end_s = time_at(m, rank, m->slice.to);
	free(rank);
	if (m->q->split_s < m->slice.from_s)
		m->q->split_s = m->slice.from_s;
	*oldest_s = UINT32_MAX;
	for (uint64_t e = 0; e < m->input->events->count; e++)
		if (counts(m, &m->events[e]) && m->events[e].time_s < *oldest_s)
			*oldest_s = m->events[e].time_s;
	return 0;
}

/* --- questions --- */

/* Whether this one of the found is taken: all while they are only counted, then as many as there is room for, evenly spread. */
static bool taken(struct maker *m)
{
	const struct questions *q = m->q;
	m->found++;
	return q->all && m->found * q->count / q->possible > (m->found - 1) * q->count / q->possible;
}

static void add(struct maker *m, uint32_t *made, uint64_t first, uint64_t end, uint32_t targets)
{
	m->q->all[(*made)++] = (struct question){ first, end, m->target_count - targets, targets };
}

static void ask_next(struct maker *m, uint32_t user, uint64_t first, uint64_t end, uint32_t *made)
{
	bool history = false;
	for (uint64_t e = first; e < end; e++) {
		const struct event *event = &m->events[e];
		if (!counts(m, event))
			continue;
		if (m->slice.new_users && !history && !in_slice(m, event))
			return;
		bool is_new = m->marks[event->item] != user + 1;
		m->marks[event->item] = user + 1;
		if (history && (is_new || m->q->again) && in_slice(m, event) && taken(m)) {
			m->q->targets[m->target_count++] = event->item;
			add(m, made, first, e, 1);
		}
		history = true;
	}
}

static void ask_visit(struct maker *m, uint32_t user, uint64_t first, uint64_t end, uint32_t *made)
{
	uint64_t split = first;
	bool history = false;
	for (; split < end && m->events[split].time_s < m->q->split_s; split++) {
		if (!counts(m, &m->events[split]))
			continue;
		m->marks[m->events[split].item] = user + 1;
		history = true;
	}
	uint32_t targets = 0, start_s = 0;
	bool take = false;
	for (uint64_t e = split; history && e < end && targets < QUESTIONS_VISIT_ITEMS; e++) {
		const struct event *event = &m->events[e];
		if (!counts(m, event) || m->marks[event->item] == user + 1)
			continue;
		if (!in_slice(m, event) || (targets && event->time_s - start_s > QUESTIONS_VISIT_S))
			break;
		m->marks[event->item] = user + 1;
		if (targets++ == 0) {
			start_s = event->time_s;
			take = taken(m);
		}
		if (take)
			m->q->targets[m->target_count++] = event->item;
	}
	if (take)
		add(m, made, first, split, targets);
}

/* Goes through all users. Without q->all it only counts. */
static void ask_all(struct maker *m)
{
	const uint64_t *offsets = events_offsets(m->input->events);
	uint32_t made = 0;
	m->found = 0;
	memset(m->marks, 0, ((size_t)m->input->items + 1) * sizeof *m->marks);
	for (uint32_t user = 0; user < m->input->events->users; user++) {
		if (m->input->relation->occasion == OCCASION_VISIT)
			ask_visit(m, user, offsets[user], offsets[user + 1], &made);
		else
			ask_next(m, user, offsets[user], offsets[user + 1], &made);
	}
}

static int choose(struct maker *m, uint32_t least, char *note, size_t note_bytes, struct error *err)
{
	struct questions *q = m->q;
	size_t room = m->input->relation->occasion == OCCASION_VISIT ? QUESTIONS_VISIT_ITEMS : 1;
	m->marks = malloc(((size_t)m->input->items + 1) * sizeof *m->marks);
	if (!m->marks)
		return error_set(err, E_EXHAUSTED, "no memory for the evaluation");
	ask_all(m);
	q->possible = m->found;
	q->count = q->possible < m->slice.most ? (uint32_t)q->possible : m->slice.most;
	if (q->count < least) {
		snprintf(note, note_bytes,
			 "not evaluated: %u events of the %s could be asked about, at least %u are needed", q->count,
			 q->end_s == UINT64_MAX ? "newest tenth" : "slice", least);
		q->count = 0;
		return 0;
	}
	q->targets = malloc(q->count * room * sizeof *q->targets);
	q->all = malloc(q->count * sizeof *q->all);
	if (!q->targets || !q->all)
		return error_set(err, E_EXHAUSTED, "no memory for the evaluation");
	ask_all(m);
	return 0;
}

int questions_make(struct questions *questions, const struct learn_input *input, struct questions_slice slice,
		   uint32_t least, uint32_t now_s, char *note, size_t note_bytes, struct error *err)
{
	*questions = (struct questions){ .again = input->relation->occasion == OCCASION_AGAIN };
	questions->window = learn_window(input->relation, (uint64_t)UINT32_MAX + 1, now_s);
	struct maker m = { .q = questions, .input = input, .events = events_all(input->events), .slice = slice };
	uint64_t events = 0;
	uint32_t oldest_s = 0;
	note[0] = '\0';
	int code = find_slice(&m, &events, &oldest_s, err);
	if (!code && events < EVENTS_MIN)
		snprintf(note, note_bytes, "not evaluated: %llu events, at least %u are needed",
			 (unsigned long long)events, EVENTS_MIN);
	else if (!code && oldest_s >= questions->split_s)
		snprintf(note, note_bytes, "not evaluated: nearly all events have the same time");
	else if (!code)
		code = choose(&m, least, note, note_bytes, err);
	free(m.marks);
	return code;
}

void questions_free(struct questions *questions)
{
	free(questions->all);
	free(questions->targets);
	*questions = (struct questions){ 0 };
}
