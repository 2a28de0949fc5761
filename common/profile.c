#include "common/profile.h"

#include "common/clock.h"

#include <string.h>

void serving_prepare(struct model_serving *params)
{
	/* Repeated products, not pow(): the same bits on every machine. */
	double power = 1.0;
	for (uint32_t rank = 0; rank < PROFILE_MAX; rank++) {
		params->decay[rank] = (uint32_t)(power * SCORE_ONE / (1.0 + params->rank_slope * rank) + 0.5);
		power *= params->rank_decay;
	}
	params->self_q12 = (uint32_t)(params->self_weight * SCORE_ONE + 0.5);
	params->self_newest_q12 = (uint32_t)(params->self_weight * params->self_newest * SCORE_ONE + 0.5);
	params->blend_q12 = (uint32_t)(params->blend * SCORE_ONE + 0.5);
}

/* 2^-(age / half_life) in Q16, by integers alone; off by less than 0.0001. */
static uint32_t age_decay(uint64_t age_ms, uint64_t half_life_ms)
{
	uint64_t halvings = age_ms / half_life_ms;
	if (halvings >= 16)
		return 0;
	/*
	 * f in Q16; 2^-f = 1 - f ln 2 + f^2 (ln 2)^2/2 - f^3 (ln 2)^3/6 + .., its coefficients fitted
	 * so that f = 1 gives a half.
	 */
	uint64_t f = ((age_ms % half_life_ms) << 16) / half_life_ms;
	uint64_t f2 = f * f >> 16, f3 = f2 * f >> 16;
	uint64_t value = 65536 - (45318 * f >> 16) + (15139 * f2 >> 16) - (2589 * f3 >> 16);
	return (uint32_t)(value >> halvings);
}

/* The slot of a row, or the free one where it would go. places: index + 1 in the profile, 0: free. */
static uint32_t slot_of(const uint16_t *places, uint32_t bits, const struct profile_item *profile, uint32_t row)
{
	uint32_t slot = row * UINT32_C(2654435769) >> (32 - bits); /* 2^32 / golden ratio */
	while (places[slot] && profile[places[slot] - 1].row != row)
		slot = (slot + 1) & ((1u << bits) - 1);
	return slot;
}

/* Of the items while they are found: places (index + 1 by row, open addressing; 0: free) and times. */
struct finder {
	uint32_t bits; /* 1 << bits places */
	uint32_t strongest; /* weight of an event */
	uint16_t places[2 * PROFILE_MAX];
	int64_t times_ms[PROFILE_MAX]; /* of each item's newest event */
};

/* The distinct items of the events, newest first, each with its largest event weight. Returns how many. */
static uint32_t find_items(struct finder *finder, const struct profile_event *events, uint32_t count, uint32_t room,
			   struct profile_item *profile)
{
	uint32_t found = 0;
	finder->bits = 1;
	finder->strongest = 0;
	while (1u << finder->bits < 2 * room)
		finder->bits++;
	memset(finder->places, 0, sizeof *finder->places << finder->bits);
	for (uint32_t e = 0; e < count; e++) {
		uint32_t slot = slot_of(finder->places, finder->bits, profile, events[e].row);
		if (finder->places[slot]) {
			struct profile_item *item = &profile[finder->places[slot] - 1];
			if (events[e].weight > item->weight)
				item->weight = events[e].weight;
		} else if (found < room) {
			profile[found].row = events[e].row;
			profile[found].weight = events[e].weight;
			finder->times_ms[found++] = events[e].time_ms;
			finder->places[slot] = (uint16_t)found;
		} else {
			continue;
		}
		if (events[e].weight > finder->strongest)
			finder->strongest = events[e].weight;
	}
	return found;
}

uint32_t profile_make(const struct model_serving *params, const struct profile_event *events, uint32_t count,
		      struct profile_item *profile)
{
	uint32_t room = params->profile_items < PROFILE_MAX ? params->profile_items : PROFILE_MAX;
	struct finder finder;
	uint32_t found = find_items(&finder, events, count < 4 * room ? count : 4 * room, room, profile);

	/* in Q12, against the strongest event that the user has: who only looks has a profile too */
	uint64_t scale = SCORE_ONE;
	if (finder.strongest > 0 && finder.strongest < SCORE_ONE)
		scale = ((uint64_t)SCORE_ONE * SCORE_ONE + finder.strongest - 1) / finder.strongest;
	double half_life_ms = params->half_life_days * (double)DAY_MS;
	uint64_t half_life = half_life_ms >= 1 ? (uint64_t)half_life_ms : 0;
	uint32_t kept = 0;
	for (uint32_t rank = 0; rank < found; rank++) {
		uint64_t weight = (profile[rank].weight * scale >> 12) * params->decay[rank];
		if (half_life && finder.times_ms[rank] < events[0].time_ms) {
			uint64_t age_ms = (uint64_t)events[0].time_ms - (uint64_t)finder.times_ms[rank];
			weight = weight * age_decay(age_ms, half_life) >> 16;
		}
		weight >>= 12;
		if (weight == 0)
			continue;
		profile[kept].row = profile[rank].row;
		profile[kept++].weight = (uint32_t)weight;
	}
	return kept;
}
