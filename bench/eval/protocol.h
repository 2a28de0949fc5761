/*
 * The protocol: which events are learnt from, and what is asked.
 *
 * T is the time of the event at rank from x n in time order, the end that of rank to x n; learnt from
 * are the events before T.
 *
 *     sessnew    users (sessions) whose first event is in [T, end): for every prefix of their events in it, the
 *                next item, when it is new to the session. What was seen is not shown
 *     session    the same with repeats, as targets and as answers
 *     user       users with events before T, which are their history: the first item after it, before the end,
 *                that is new to them
 *     llo        every user's last event is left out and asked for; the rest is learnt from, whenever it was.
 *                With to < 1 all last events are dropped before, so that settings can be tried on the last
 *                but one
 *
 * A data set with files of its own for learning and testing (own split): learnt from is the one,
 * prefixes are those of the other.
 */
#ifndef KINDRED_EVAL_PROTOCOL_H
#define KINDRED_EVAL_PROTOCOL_H

#include "bench/eval/dataset.h"
#include "builder/scan.h"

enum protocol_mode { PROTOCOL_SESSNEW, PROTOCOL_SESSION, PROTOCOL_USER, PROTOCOL_LLO };

/* False: there is no such mode. */
bool protocol_mode_parse(const char *name, enum protocol_mode *mode);

struct protocol {
	enum protocol_mode mode;
	double from, to;
	int train_file, test_file; /* numbers in the map of an own split; -1: by time */
};

/* The history is sequence[first .. end), oldest first. */
struct question {
	uint64_t first, end;
	uint32_t target; /* row */
};

/* Items are rows: most events that are learnt from first, then in order of appearance. */
struct questions {
	struct space *space;
	struct events train;
	struct event *sequence; /* all events, user by user, oldest first */
	struct question *all;
	uint32_t count;
	uint32_t items;
	uint32_t *users_of; /* [items]: users with the item in what is learnt from; 0: cold */
	uint32_t known; /* items that are not cold */
	uint32_t cold; /* questions whose target is cold */
	uint32_t now_s; /* T */
	bool exclude; /* what was seen is not shown */
};

/* E_PRECONDITION: nothing to learn from, or nothing to ask. questions is to be freed after an error too. */
int protocol_make(struct questions *questions, const struct dataset *dataset, const struct protocol *protocol,
		  struct space *space, struct error *err);
void protocol_free(struct questions *questions);

#endif
