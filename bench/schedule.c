#include "bench/schedule.h"

#define SECOND_NS 1e9
#define CLOSE_ENOUGH 1.03
#define GIVE_UP 1000

uint64_t schedule_due_ns(const struct schedule *schedule, uint64_t number)
{
	return schedule->start_ns + (uint64_t)((double)number * (SECOND_NS / schedule->rate));
}

uint64_t schedule_count(const struct schedule *schedule, uint64_t until_ns)
{
	if (until_ns <= schedule->start_ns)
		return 0;
	uint64_t count = (uint64_t)((double)(until_ns - schedule->start_ns) * (schedule->rate / SECOND_NS));
	while (count > 0 && schedule_due_ns(schedule, count - 1) >= until_ns)
		count--;
	while (schedule_due_ns(schedule, count) < until_ns)
		count++;
	return count;
}

struct rate_search rate_search_start(double first)
{
	return (struct rate_search){ .first = first };
}

bool rate_search_next(const struct rate_search *search, double *rate)
{
	if (search->holds > 0 && search->fails > 0) {
		*rate = (search->holds + search->fails) / 2;
		return search->fails / search->holds > CLOSE_ENOUGH;
	}
	if (search->fails > 0)
		*rate = search->fails / 2;
	else
		*rate = search->holds > 0 ? search->holds * 2 : search->first;
	return *rate * GIVE_UP >= search->first;
}

void rate_search_tell(struct rate_search *search, double rate, bool held)
{
	if (held && rate > search->holds)
		search->holds = rate;
	if (!held && (search->fails == 0 || rate < search->fails))
		search->fails = rate;
}
