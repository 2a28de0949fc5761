/*
 * What answers say of their units. They are only walked over, so that the generator takes as little as it can of the
 * machine that the server shares with it. Pure.
 */
#ifndef KINDRED_BENCH_ANSWERS_H
#define KINDRED_BENCH_ANSWERS_H

#include "bench/load.h"

#include <stddef.h>
#include <stdint.h>

/* RecommendManyResponse and RecommendAudienceResponse. What is malformed is not counted, here and below. */
struct load_units answers_users(const uint8_t *answer, size_t bytes, struct unit_errors *errors);
/* IngestEventsResponse and IngestEventStreamResponse. */
struct load_units answers_events(const uint8_t *answer, size_t bytes, struct unit_errors *errors);

#endif
