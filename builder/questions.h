/*
 * What an evaluation asks: moments of users, what they had done until then, and what they did next. The
 * definition's occasion says which moments:
 *
 *     next     before every event with an item that is new to the user: a page, a message in a journey.
 *              History: all earlier events, those of the slice too
 *     again    before every event: also what the user had before counts, and may be shown
 *     visit    once a user, as the slice begins: a campaign. History: what was before. Foreseen is to be what
 *              is new to the user in the first visit after it: up to QUESTIONS_VISIT_ITEMS items within
 *              QUESTIONS_VISIT_S
 *
 * Only events of the relation count, in its window. By several threads; what is asked does not depend on how many.
 */
#ifndef KINDRED_BUILDER_QUESTIONS_H
#define KINDRED_BUILDER_QUESTIONS_H

#include "builder/learn.h"

#define QUESTIONS_VISIT_ITEMS 10u
#define QUESTIONS_VISIT_S 86400u

/*
 * Asked about: the relation's events between two shares of them in time order, and of those only the
 * ones not before a time.
 */
struct questions_slice {
	double from, to; /* 0 < from < to <= 1 */
	uint32_t most; /* questions, spread evenly */
	uint32_t from_s; /* 0: any */
	bool new_users; /* only users who have no earlier event: sessions without a name */
};

struct question {
	uint64_t first, end; /* of the user's events: what was before */
	uint32_t target, targets; /* first one and number, in questions.targets */
};

struct questions {
	struct lists_window window; /* of events that count at all */
	uint32_t split_s; /* events before it may be learnt from */
	uint64_t end_s; /* of the slice */
	struct question *all; /* a user's follow each other */
	uint32_t *targets; /* items */
	uint32_t count;
	uint64_t possible; /* before thinning */
	bool again; /* what was seen may be shown */
};

/*
 * now_s: the newest event; the window is counted back from it. With fewer than `least` questions count
 * is 0 and the note says why. To be freed, after an error too.
 */
int questions_make(struct questions *questions, const struct learn_input *input, struct questions_slice slice,
		   uint32_t least, uint32_t now_s, char *note, size_t note_bytes, struct error *err);
void questions_free(struct questions *questions);

/* Whether the event is one of those the questions are about. */
static inline bool questions_count(const struct questions *questions, const struct plan_relation *relation,
				   const struct event *event)
{
	return relation->weights[event->type] > 0 && event->time_s >= questions->window.from_s &&
	       event->time_s < questions->window.to_s;
}

#endif
