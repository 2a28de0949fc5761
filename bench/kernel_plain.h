/*
 * Scoring as one writes it down at first: a sum a row, list after list, the next list but one asked for ahead, the
 * best n kept by insertion. No bound, no heap, no next user. A yardstick: it stays as it is while common/score.c
 * becomes faster, and its answers are the same.
 */
#ifndef KINDRED_KERNEL_PLAIN_H
#define KINDRED_KERNEL_PLAIN_H

#include "common/model.h"
#include "common/score.h"

#include <stdbool.h>
#include <stdint.h>

struct plain; /* a sum per row and the list of rows touched; one a thread */

struct plain *plain_new(uint32_t rows); /* NULL: no memory */
void plain_free(struct plain *plain);
/* Whether it can score with the relation: neither self weights nor anything blended in. */
bool plain_can(const struct model_relation *relation);
/*
 * As scorer_top without a judge: the best n rows, and how many. top: room for n. Only row and score are filled.
 * *candidates: rows that anything led to.
 */
uint32_t plain_top(struct plain *plain, const struct model_relation *relation, const struct profile_item *profile,
		   uint32_t profile_count, uint32_t n, struct scored *top, uint32_t *candidates);

#endif
