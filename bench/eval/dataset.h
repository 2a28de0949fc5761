/*
 * A data set in memory: users and items as numbers in order of first appearance, events in order of time.
 */
#ifndef KINDRED_EVAL_DATASET_H
#define KINDRED_EVAL_DATASET_H

#include "bench/eval/map.h"
#include "builder/space.h"

struct dataset_event {
	uint32_t user, item, time_s;
	uint16_t type; /* number in the map */
	uint16_t file; /* number in the map */
	double order; /* breaks ties of time; then the place in the files does */
};

struct dataset {
	struct dataset_event *events;
	uint64_t count;
	uint32_t users, items;
	uint64_t left_out; /* lines without a user, an item or a time that can be read */
	uint64_t unweighted; /* lines of types that have no weight, or of items that the map does not want */
};

/* folder: of the data set's files. dataset is to be freed after an error too. */
int dataset_load(struct dataset *dataset, const struct map *map, const char *folder, struct space *space,
		 struct error *err);
void dataset_free(struct dataset *dataset);

/* Puts the events in order; dataset_load has done it. For tests that make their own. */
void dataset_sort(struct dataset *dataset);

#endif
