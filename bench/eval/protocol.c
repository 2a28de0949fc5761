#include "bench/eval/protocol.h"

#include <stdlib.h>
#include <string.h>

#define LEARNT 1u /* from this event is learnt */
#define DROPPED 2u /* neither learnt from nor asked about nor history */

struct maker {
	struct questions *q;
	const struct dataset *dataset;
	const struct protocol *protocol;
	uint32_t *row_of; /* [items]: by number of the data set */
	uint64_t *offsets; /* [users + 1] into order */
	uint64_t *order; /* events user by user */
	uint8_t *marks; /* by event: LEARNT, DROPPED */
	uint32_t *seen; /* [items]: the last user (+ 1) who had the row */
	uint64_t end_s;
	uint64_t room; /* of questions */
};

bool protocol_mode_parse(const char *name, enum protocol_mode *mode)
{
	static const char *const names[] = { "sessnew", "session", "user", "llo" };
	for (int m = PROTOCOL_SESSNEW; m <= PROTOCOL_LLO; m++) {
		if (strcmp(name, names[m]) == 0) {
			*mode = (enum protocol_mode)m;
			return true;
		}
	}
	return false;
}

static bool sessions(const struct protocol *protocol)
{
	return protocol->mode == PROTOCOL_SESSNEW || protocol->mode == PROTOCOL_SESSION;
}

/* --- who has what, and what is learnt from --- */

static int group_by_user(struct maker *m)
{
	const struct dataset *d = m->dataset;
	uint64_t *next = calloc((size_t)d->users + 1, sizeof *next);
	if (!next)
		return E_EXHAUSTED;
	for (uint64_t e = 0; e < d->count; e++)
		m->offsets[d->events[e].user + 1]++;
	for (uint32_t user = 0; user < d->users; user++) {
		m->offsets[user + 1] += m->offsets[user];
		next[user] = m->offsets[user];
	}
	for (uint64_t e = 0; e < d->count; e++)
		m->order[next[d->events[e].user]++] = e;
	free(next);
	return 0;
}

/* The time at a rank; past the last event, the second after it. */
static uint64_t time_at(const struct dataset *d, double share)
{
	uint64_t rank = (uint64_t)(share * (double)d->count);
	return rank < d->count ? d->events[rank].time_s : (uint64_t)d->events[d->count - 1].time_s + 1;
}

static void mark_by_time(struct maker *m)
{
	const struct dataset *d = m->dataset;
	uint64_t split_s = time_at(d, m->protocol->from);
	m->end_s = time_at(d, m->protocol->to);
	m->q->now_s = (uint32_t)(split_s < UINT32_MAX ? split_s : UINT32_MAX);
	for (uint64_t e = 0; e < d->count; e++)
		m->marks[e] = d->events[e].time_s < split_s ? LEARNT : 0;
}

static void mark_own(struct maker *m)
{
	const struct dataset *d = m->dataset;
	m->end_s = time_at(d, 1);
	uint32_t newest_s = 0;
	for (uint64_t e = 0; e < d->count; e++) {
		int file = d->events[e].file;
		m->marks[e] = file == m->protocol->train_file ? LEARNT : file == m->protocol->test_file ? 0 : DROPPED;
		if (m->marks[e] == LEARNT && d->events[e].time_s > newest_s)
			newest_s = d->events[e].time_s;
	}
	m->q->now_s = newest_s + 1;
}

static void mark_last_ones(struct maker *m)
{
	const struct dataset *d = m->dataset;
	m->end_s = time_at(d, 1);
	m->q->now_s = (uint32_t)m->end_s;
	memset(m->marks, LEARNT, d->count);
	for (uint32_t user = 0; user < d->users; user++) {
		uint64_t last = m->offsets[user + 1];
		if (m->protocol->to < 1 && last > m->offsets[user])
			m->marks[m->order[--last]] = DROPPED;
		if (last > m->offsets[user])
			m->marks[m->order[last - 1]] = 0;
	}
}

/* --- rows --- */

struct counted_item {
	uint64_t events;
	uint32_t item;
};

static int compare_counted(const void *a, const void *b)
{
	const struct counted_item *x = a, *y = b;
	if (x->events != y->events)
		return x->events > y->events ? -1 : 1;
	return (x->item > y->item) - (x->item < y->item);
}

static int make_rows(struct maker *m)
{
	const struct dataset *d = m->dataset;
	struct counted_item *items = calloc((size_t)d->items + 1, sizeof *items);
	if (!items)
		return E_EXHAUSTED;
	for (uint32_t item = 0; item < d->items; item++)
		items[item].item = item;
	for (uint64_t e = 0; e < d->count; e++)
		items[d->events[e].item].events += m->marks[e] == LEARNT;
	qsort(items, d->items, sizeof *items, compare_counted);
	for (uint32_t row = 0; row < d->items; row++)
		m->row_of[items[row].item] = row;
	free(items);
	return 0;
}

static struct event event_of(const struct maker *m, uint64_t number)
{
	const struct dataset_event *event = &m->dataset->events[number];
	return (struct event){ .item = m->row_of[event->item], .time_s = event->time_s, .type = event->type };
}

static int make_train(struct maker *m, struct error *err)
{
	const struct dataset *d = m->dataset;
	struct events *train = &m->q->train;
	for (uint64_t e = 0; e < d->count; e++)
		train->count += m->marks[e] == LEARNT;
	if (train->count == 0)
		return error_set(err, E_PRECONDITION, "there is nothing to learn from before the split");
	int code = region_make(m->q->space, &train->all, train->count * sizeof(struct event), err);
	if (!code)
		code = region_make(m->q->space, &train->offsets, ((size_t)d->users + 1) * sizeof(uint64_t), err);
	if (code)
		return code;
	struct event *to = train->all.data;
	uint64_t *offsets = train->offsets.data, made = 0;
	train->oldest_s = UINT32_MAX;
	for (uint32_t user = 0; user < d->users; user++) {
		for (uint64_t x = m->offsets[user]; x < m->offsets[user + 1]; x++) {
			if (m->marks[m->order[x]] != LEARNT)
				continue;
			to[made] = event_of(m, m->order[x]);
			if (to[made].time_s < train->oldest_s)
				train->oldest_s = to[made].time_s;
			if (to[made].time_s > train->newest_s)
				train->newest_s = to[made].time_s;
			if (m->seen[to[made].item] != user + 1) {
				m->seen[to[made].item] = user + 1;
				m->q->known += m->q->users_of[to[made].item]++ == 0;
			}
			made++;
		}
		if (made > offsets[train->users])
			offsets[++train->users] = made;
	}
	return 0;
}

/* --- questions --- */

static int ask(struct maker *m, uint64_t first, uint64_t end, uint32_t target)
{
	struct questions *q = m->q;
	if (q->count == m->room) {
		uint64_t room = m->room ? 2 * m->room : 1024;
		struct question *grown = room < UINT32_MAX ? realloc(q->all, room * sizeof *grown) : NULL;
		if (!grown)
			return E_EXHAUSTED;
		q->all = grown;
		m->room = room;
	}
	q->all[q->count++] = (struct question){ first, end, target };
	q->cold += q->users_of[target] == 0;
	return 0;
}

/* A session is asked about when all of it is new. */
static int ask_session(struct maker *m, uint32_t user, uint64_t first, uint64_t end)
{
	const struct event *s = m->q->sequence;
	if (end - first < 2 || (m->marks[m->order[first]] & (LEARNT | DROPPED)) || s[first].time_s >= m->end_s)
		return 0;
	m->seen[s[first].item] = user + 1;
	for (uint64_t x = first + 1; x < end && s[x].time_s < m->end_s; x++) {
		bool repeat = m->seen[s[x].item] == user + 1;
		m->seen[s[x].item] = user + 1;
		if (repeat && m->protocol->mode == PROTOCOL_SESSNEW)
			continue;
		if (ask(m, first, x, s[x].item))
			return E_EXHAUSTED;
	}
	return 0;
}

/* History is what is learnt from; the first new item after it is the target. */
static int ask_user(struct maker *m, uint32_t user, uint64_t first, uint64_t end)
{
	const struct event *s = m->q->sequence;
	uint64_t split = first;
	for (; split < end && m->marks[m->order[split]] == LEARNT; split++)
		m->seen[s[split].item] = user + 1;
	if (split == first)
		return 0;
	for (uint64_t x = split; x < end && s[x].time_s < m->end_s; x++)
		if (m->seen[s[x].item] != user + 1)
			return ask(m, first, split, s[x].item);
	return 0;
}

static int ask_last(struct maker *m, uint64_t first, uint64_t end)
{
	if (end > first && m->marks[m->order[end - 1]] == DROPPED)
		end--;
	return end - first < 2 ? 0 : ask(m, first, end - 1, m->q->sequence[end - 1].item);
}

static int make_questions(struct maker *m, struct error *err)
{
	const struct dataset *d = m->dataset;
	int code = 0;
	for (uint64_t x = 0; x < d->count; x++)
		m->q->sequence[x] = event_of(m, m->order[x]);
	memset(m->seen, 0, ((size_t)d->items + 1) * sizeof *m->seen);
	for (uint32_t user = 0; user < d->users && !code; user++) {
		uint64_t first = m->offsets[user], end = m->offsets[user + 1];
		if (sessions(m->protocol))
			code = ask_session(m, user, first, end);
		else if (m->protocol->mode == PROTOCOL_USER)
			code = ask_user(m, user, first, end);
		else
			code = ask_last(m, first, end);
	}
	if (code)
		return error_set(err, code, "no memory for the questions");
	if (m->q->count == 0)
		return error_set(err, E_PRECONDITION, "there is nothing to ask in this part of the data");
	return 0;
}

static int make_all(struct maker *m, struct error *err)
{
	const struct dataset *d = m->dataset;
	m->row_of = malloc(((size_t)d->items + 1) * sizeof *m->row_of);
	m->offsets = calloc((size_t)d->users + 1, sizeof *m->offsets);
	m->order = malloc((d->count + 1) * sizeof *m->order);
	m->marks = malloc(d->count + 1);
	m->seen = calloc((size_t)d->items + 1, sizeof *m->seen);
	m->q->sequence = malloc((d->count + 1) * sizeof *m->q->sequence);
	m->q->users_of = calloc((size_t)d->items + 1, sizeof *m->q->users_of);
	if (!m->row_of || !m->offsets || !m->order || !m->marks || !m->seen || !m->q->sequence || !m->q->users_of ||
	    group_by_user(m))
		return error_set(err, E_EXHAUSTED, "no memory for %llu events", (unsigned long long)d->count);
	if (m->protocol->train_file >= 0)
		mark_own(m);
	else if (m->protocol->mode == PROTOCOL_LLO)
		mark_last_ones(m);
	else
		mark_by_time(m);
	if (make_rows(m))
		return error_set(err, E_EXHAUSTED, "no memory for %u items", d->items);
	int code = make_train(m, err);
	return code ? code : make_questions(m, err);
}

int protocol_make(struct questions *questions, const struct dataset *dataset, const struct protocol *protocol,
		  struct space *space, struct error *err)
{
	*questions = (struct questions){ .space = space,
					 .items = dataset->items,
					 .exclude = protocol->mode != PROTOCOL_SESSION };
	if (dataset->count == 0)
		return error_set(err, E_PRECONDITION, "there are no events");
	struct maker maker = { .q = questions, .dataset = dataset, .protocol = protocol };
	int code = make_all(&maker, err);
	free(maker.row_of);
	free(maker.offsets);
	free(maker.order);
	free(maker.marks);
	free(maker.seen);
	return code;
}

void protocol_free(struct questions *questions)
{
	if (questions->space)
		events_free(questions->space, &questions->train);
	free(questions->sequence);
	free(questions->all);
	free(questions->users_of);
	*questions = (struct questions){ 0 };
}
