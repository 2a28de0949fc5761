/*
 * When things are due in an open loop, and the search for the highest rate. Pure.
 *
 * A schedule knows only the start and the rate: number n is due at start + n / rate, whatever happened
 * to the ones before. What is measured from when it was due shows every stall of the server to
 * everything that was due during it (no coordinated omission).
 */
#ifndef KINDRED_SCHEDULE_H
#define KINDRED_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

struct schedule {
	uint64_t start_ns;
	double rate; /* a second, > 0 */
};

/* Exact to a nanosecond over days: no gap is rounded and added up. */
uint64_t schedule_due_ns(const struct schedule *schedule, uint64_t number);
/* How many are due before that time. */
uint64_t schedule_count(const struct schedule *schedule, uint64_t until_ns);

/*
 * Finds the highest rate that holds:
 *
 *     struct rate_search search = rate_search_start(1000);
 *     while (rate_search_next(&search, &rate))
 *         rate_search_tell(&search, rate, holds(rate));
 *     use(search.holds);
 *
 * It doubles until a rate fails (or halves until one holds), then halves the gap until it is below 3%.
 */
struct rate_search {
	double holds, fails; /* the highest that held and the lowest that did not; 0: none yet */
	double first;
};

struct rate_search rate_search_start(double first);
/* false: it is found, or nothing above a 1,000th of the first holds (holds is 0 then). */
bool rate_search_next(const struct rate_search *search, double *rate);
void rate_search_tell(struct rate_search *search, double rate, bool held);

#endif
