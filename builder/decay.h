/*
 * Exponential decay by age in whole seconds, by tables: two multiplications instead of a call of exp2()
 * for each of millions of events. Within 1e-15 of the exact factor. Pure.
 */
#ifndef KINDRED_BUILDER_DECAY_H
#define KINDRED_BUILDER_DECAY_H

#include <math.h>
#include <stdint.h>

#define DECAY_LOW_BITS 10u
#define DECAY_MIDDLE_BITS 11u

struct decay {
	double low[1u << DECAY_LOW_BITS], middle[1u << DECAY_MIDDLE_BITS];
	double high[1u << (32 - DECAY_LOW_BITS - DECAY_MIDDLE_BITS)];
};

/* half_life_s: after which the factor is 1/2; 0: it is 1 at any age. */
static inline void decay_init(struct decay *decay, double half_life_s)
{
	double rate = half_life_s > 0 ? -1 / half_life_s : 0;
	for (uint32_t n = 0; n < 1u << DECAY_LOW_BITS; n++)
		decay->low[n] = exp2(rate * n);
	for (uint32_t n = 0; n < 1u << DECAY_MIDDLE_BITS; n++)
		decay->middle[n] = exp2(rate * (double)((uint64_t)n << DECAY_LOW_BITS));
	for (uint32_t n = 0; n < 1u << (32 - DECAY_LOW_BITS - DECAY_MIDDLE_BITS); n++)
		decay->high[n] = exp2(rate * (double)((uint64_t)n << (DECAY_LOW_BITS + DECAY_MIDDLE_BITS)));
}

static inline double decay_at(const struct decay *decay, uint32_t age_s)
{
	const uint32_t low = (1u << DECAY_LOW_BITS) - 1, middle = (1u << DECAY_MIDDLE_BITS) - 1;
	return decay->low[age_s & low] * decay->middle[age_s >> DECAY_LOW_BITS & middle] *
	       decay->high[age_s >> (DECAY_LOW_BITS + DECAY_MIDDLE_BITS)];
}

/* Of something that happened at time_s, seen from now_s; what is yet to come is not decayed. */
static inline double decay_since(const struct decay *decay, uint32_t time_s, uint32_t now_s)
{
	return time_s < now_s ? decay_at(decay, now_s - time_s) : 1;
}

#endif
