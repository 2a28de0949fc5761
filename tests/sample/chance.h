/*
 * Chance for the sample: a small generator of numbers (xoshiro256**, https://prng.di.unimi.it/) that gives the same
 * sequence everywhere, and what the sample draws from it. One generator a person, so that one person's life does not
 * change when another's does. Pure.
 */
#ifndef KINDRED_SAMPLE_CHANCE_H
#define KINDRED_SAMPLE_CHANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chance {
	uint64_t state[4];
};

void chance_init(struct chance *chance, uint64_t seed, uint64_t stream);
/* 0 <= x < 1 */
double chance_unit(struct chance *chance);
double chance_between(struct chance *chance, double low, double high);
bool chance_yes(struct chance *chance, double probability);
/* 0..n-1 */
size_t chance_below(struct chance *chance, size_t n);
/* Mean 0, standard deviation 1. */
double chance_normal(struct chance *chance);
/* Time until the next of events that come `rate` a unit. */
double chance_wait(struct chance *chance, double rate);
/* Index i with probability weights[i] / sum; n when all are 0. */
size_t chance_pick(struct chance *chance, const double *weights, size_t n);

#endif
