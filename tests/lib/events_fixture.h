/*
 * Events of a catalog in memory, as scan.c leaves them, for tests of what learns from them. Users one
 * after the other, each user's events oldest first.
 *
 *     struct events_fixture fixture;
 *     events_fixture_init(&fixture);
 *     events_fixture_user(&fixture); events_fixture_add(&fixture, item, time_s, type); ..
 *     const struct events *events = events_fixture_get(&fixture);
 *     events_fixture_fini(&fixture);
 */
#ifndef KINDRED_TEST_EVENTS_FIXTURE_H
#define KINDRED_TEST_EVENTS_FIXTURE_H

#include "builder/learn.h"
#include "lib/temp_dir.h"

struct events_fixture {
	struct temp_dir home; /* for regions that become files */
	struct space space;
	struct pile all, offsets;
	struct events events;
	float weights[2]; /* of types 0 and 1: 1 and 4 */
	struct plan_relation relation; /* types 0 and 1, no window, to be learnt */
};

void events_fixture_init(struct events_fixture *fixture);
void events_fixture_fini(struct events_fixture *fixture);
void events_fixture_user(struct events_fixture *fixture);
void events_fixture_add(struct events_fixture *fixture, uint32_t item, uint32_t time_s, uint16_t type);
/* The own weight of the event that was added last; otherwise 1. */
void events_fixture_weigh(struct events_fixture *fixture, float weight);
const struct events *events_fixture_get(struct events_fixture *fixture);

/* Lists of all events, up to 1,000 items a user. */
void events_fixture_lists(struct events_fixture *fixture, struct lists *lists, uint32_t items);
/* To learn from all of them. */
struct learn_input events_fixture_input(struct events_fixture *fixture, const struct params *params, uint32_t items);

/* The same numbers on every machine: a generator for made-up data; result below `below`. */
uint32_t events_fixture_random(uint64_t *state, uint32_t below);

#endif
