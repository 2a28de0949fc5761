/*
 * A made-up relation of any size in memory, the same on every run: neighbours by a skewed popularity,
 * weights that fall with their place. For measurements that need a model's shape and no data.
 */
#ifndef KINDRED_BENCH_MADE_H
#define KINDRED_BENCH_MADE_H

#include "common/model.h"

#include <stdint.h>

/* Draws; the state is any number but 0. */
uint64_t made_random(uint64_t *state);
/* Row r of n about as often as r^(-2/3): the most popular tenth has about half. */
uint32_t made_skewed(uint64_t *state, uint32_t n);
/* neighbours < items, of every item. key: kept. 0, or -1: no memory. Everything in it lives as long as the process. */
int made_relation(struct model_relation *relation, const char *key, uint32_t items, uint32_t neighbours,
		  uint64_t *state);

#endif
