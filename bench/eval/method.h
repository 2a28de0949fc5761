/*
 * A method is something that ranks items for a history: Kindred, learnt by the builder's code
 * (builder/learn.h), and what is always shown beside. All are asked by the same code: profile and
 * ranking of common/profile.h and common/score.h, what is missing filled up from a list.
 */
#ifndef KINDRED_EVAL_METHOD_H
#define KINDRED_EVAL_METHOD_H

#include "bench/eval/figures.h"
#include "bench/eval/protocol.h"
#include "builder/learn.h"

struct method {
	char name[64];
	struct space *space;
	struct learned learned; /* without neighbours for the popular ones */
	bool personal; /* neighbours are asked first */
	uint32_t *list; /* rows to fill up with, best first; malloced */
	uint32_t list_count;
	struct figures figures;
};

struct method_input {
	const struct questions *questions;
	const struct map *map; /* weights of the event types */
	const struct params *params;
	uint32_t threads;
};

/* What the builder calls a relation: the map's types and weights. Its arrays belong to the map. */
struct plan_relation method_relation(const struct map *map);

/* Each fills `method`, which is to be freed after an error too. */
int method_kindred(struct method *method, const struct method_input *input, struct error *err);
/*
 * Cosine of the sets of users, all of the history alike, every pair of it; filled up with the popular
 * ones. Params are its own.
 */
int method_cosine(struct method *method, const struct method_input *input, struct error *err);
/* Rows by number of events in the last days before T; 0: in all. */
int method_popular(struct method *method, const struct questions *questions, double days, struct error *err);
void method_free(struct method *method);

/* Asks all questions, one thread, and fills method->figures. */
int method_ask(struct method *method, const struct questions *questions, const struct map *map, struct error *err);

#endif
