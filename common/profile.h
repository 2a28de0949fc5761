/*
 * A user's profile: the items that a recommendation starts from, each with a weight, made of the user's
 * events. Integer arithmetic, so that the same events give the same profile on any machine. The
 * builder's evaluation uses this very code. Pure: no I/O, no clock.
 *
 * The profile is the last L distinct items, newest first. An item's weight (Q12) is
 *
 *     weight of its event x decay^rank / (1 + slope x rank) x 2^-(age / half-life)
 *
 * The weight of an event is that of its type times its own, at most that of the definition's strongest
 * type. Weights are scaled so that the largest among the profile's own events is 1.0: where a purchase
 * counts as much as a thousand looks, a user who only looked is not left with nothing.
 */
#ifndef KINDRED_PROFILE_H
#define KINDRED_PROFILE_H

#include "common/model.h"

#include <stdint.h>

#define SCORE_ONE 4096u /* 1.0 in Q12, of weights, multipliers and shares */
#define PROFILE_MAX 256

/* One event of the user that the definition counts, its item found in the model. */
struct profile_event {
	uint32_t row;
	uint32_t weight; /* Q12, 1..SCORE_ONE: profile_event_weight */
	int64_t time_ms;
};

struct profile_item {
	uint32_t row;
	uint32_t weight; /* Q12, 1..SCORE_ONE */
};

/* type: the weight of the event's type within the definition, Q12, 1..SCORE_ONE. own: as it was ingested; > 0. */
static inline uint32_t profile_event_weight(uint32_t type, float own)
{
	if (own == 1)
		return type;
	double weight = (double)type * (double)own + 0.5;
	return weight < 1 ? 1 : weight < SCORE_ONE ? (uint32_t)weight : SCORE_ONE;
}

/*
 * Fills the integers of params from its numbers. Called once: by the reader of a model, by the builder
 * for parameters of its own.
 */
void serving_prepare(struct model_serving *params);

/*
 * events: newest first; no more than the first 4 x params->profile_items are looked at. Of several
 * events with one item the newest gives the item's place and age, the heaviest its weight. Ages count
 * from events[0].time_ms. profile: room for PROFILE_MAX. Returns the number of items; those whose
 * weight is below 1/4096 are left out.
 */
uint32_t profile_make(const struct model_serving *params, const struct profile_event *events, uint32_t count,
		      struct profile_item *profile);

#endif
