/*
 * Numbers by chance that are the same on every run: a mixer, and Zipf's law over any number of ranks. Pure.
 */
#ifndef KINDRED_BENCH_CHANCE_H
#define KINDRED_BENCH_CHANCE_H

#include <stdint.h>

/* splitmix64, https://prng.di.unimi.it/splitmix64.c: any 64-bit number into a well-mixed one. */
uint64_t chance_mix(uint64_t x);
/* Such a number as one of 0 <= u < 1. */
double chance_share(uint64_t mixed);
/*
 * The rank, 0..n-1, that a share u of Zipf's law with exponent s > 0 falls on: rank r about as often as
 * (r + 1)^-s. By the inverse of the continuous law (a bounded Pareto), so it takes constant time and no
 * table, whatever n is; its first ranks are somewhat less frequent than in the discrete law.
 */
uint64_t chance_zipf(double u, uint64_t n, double s);

#endif
