#include "builder/lift.h"

#include "builder/decay.h"
#include "builder/parallel.h"
#include "common/profile.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#define DAY_S 86400.0
#define YEAR_S (365 * 86400)
#define SMOOTHING 5.0 /* events that an item is given, spread as everybody's are */
#define CLIP 2.0
#define SEASON_EVENTS_MIN 100 /* in the weeks one year ago, of all items */
#define USUAL_TIMES 8 /* half-life of the usual rate, in trend_days */
#define COVERED_TIMES 4 /* time the data must cover for a trend, in trend_days */

#define PART_EVENTS 65536u
#define PART_ITEMS 4096u
/*
 * Decayed counts are whole numbers too, which come out the same in whatever order they are added: one
 * event of now is this.
 */
#define COUNT_ONE 0x1p32

/* Of one item, or of all. */
struct rates {
	uint64_t all; /* events */
	uint64_t season; /* of them, in these weeks one year ago */
	uint64_t late, usual; /* decayed counts */
};

struct lifting {
	const struct params *params;
	uint32_t now_s;
	uint32_t season_from_s, season_to_s; /* these weeks one year ago */
	struct decay late, usual;
	bool season, trend;
};

struct counting {
	const struct events *events;
	const struct plan_relation *relation;
	struct lists_window window;
	const struct lifting *lifting;
	uint32_t items;
	_Atomic uint32_t oldest_s;
	struct rates *rates[PARALLEL_SUMS]; /* [items], of each thread */
};

static void count_event(const struct lifting *l, struct rates *rates, uint32_t time_s)
{
	rates->all++;
	if (l->season && time_s >= l->season_from_s && time_s < l->season_to_s)
		rates->season++;
	if (l->trend) {
		rates->late += (uint64_t)(decay_since(&l->late, time_s, l->now_s) * COUNT_ONE);
		rates->usual += (uint64_t)(decay_since(&l->usual, time_s, l->now_s) * COUNT_ONE);
	}
}

static void add_rates(struct rates *to, const struct rates *more)
{
	to->all += more->all;
	to->season += more->season;
	to->late += more->late;
	to->usual += more->usual;
}

/* Observed against expected, smoothed, clipped, raised. */
static double lift_of(double observed, double expected, double exponent)
{
	double lift = (observed + SMOOTHING) / (expected + SMOOTHING);
	return pow(lift < 1 / CLIP ? 1 / CLIP : lift > CLIP ? CLIP : lift, exponent);
}

static uint16_t multiplier(const struct lifting *l, const struct rates *item, const struct rates *total)
{
	double lift = 1;
	if (l->season)
		lift *= lift_of((double)item->season, (double)item->all * (double)total->season / (double)total->all,
				l->params->season_exponent);
	if (l->trend)
		lift *= lift_of((double)item->late / COUNT_ONE,
				(double)item->usual / COUNT_ONE * (double)total->late / (double)total->usual,
				l->params->trend_exponent);
	double scaled = lift * SCORE_ONE + 0.5;
	return scaled < 1 ? 1 : scaled > UINT16_MAX ? UINT16_MAX : (uint16_t)scaled;
}

/* Which of the two can be told at all, from the time that the data covers. */
static void plan_lifting(struct lifting *l, uint32_t oldest_s)
{
	/*
	 * a little before this day of last year, to the length of a season after it: what is coming
	 * counts more than what has been
	 */
	double season_s = l->params->season_days * DAY_S;
	double from_s = (double)l->now_s - YEAR_S - season_s / 4;
	l->season = l->params->season_exponent > 0 && from_s >= oldest_s;
	if (l->season) {
		l->season_from_s = (uint32_t)from_s;
		l->season_to_s = (uint32_t)((double)l->now_s - YEAR_S + season_s);
	}
	double late_s = l->params->trend_days * DAY_S;
	l->trend = l->params->trend_exponent > 0 && (double)l->now_s - oldest_s >= COVERED_TIMES * late_s;
	decay_init(&l->late, late_s);
	decay_init(&l->usual, USUAL_TIMES * late_s);
}

static bool of_relation(const struct event *event, const struct plan_relation *relation, struct lists_window window)
{
	return relation->weights[event->type] > 0 && event->time_s >= window.from_s && event->time_s < window.to_s;
}

static int find_oldest(void *context, uint32_t thread, uint64_t first, uint64_t end)
{
	struct counting *c = context;
	const struct event *all = events_all(c->events);
	(void)thread;
	uint32_t oldest_s = UINT32_MAX;
	for (uint64_t e = first; e < end; e++)
		if (all[e].time_s < oldest_s && of_relation(&all[e], c->relation, c->window))
			oldest_s = all[e].time_s;
	uint32_t seen = atomic_load(&c->oldest_s);
	while (oldest_s < seen && !atomic_compare_exchange_weak(&c->oldest_s, &seen, oldest_s))
		;
	return 0;
}

static int count_part(void *context, uint32_t thread, uint64_t first, uint64_t end)
{
	struct counting *c = context;
	const struct event *all = events_all(c->events);
	if (!c->rates[thread])
		c->rates[thread] = calloc((size_t)c->items + 1, sizeof(struct rates));
	if (!c->rates[thread])
		return E_EXHAUSTED;
	for (uint64_t e = first; e < end; e++)
		if (of_relation(&all[e], c->relation, c->window))
			count_event(c->lifting, &c->rates[thread][all[e].item], all[e].time_s);
	return 0;
}

static struct rates rates_of(const struct counting *c, uint32_t item)
{
	struct rates sum = { 0 };
	for (uint32_t t = 0; t < PARALLEL_SUMS; t++)
		if (c->rates[t])
			add_rates(&sum, &c->rates[t][item]);
	return sum;
}

struct multiplying {
	const struct counting *counting;
	struct rates total;
	uint16_t *multipliers;
};

static int multiply_part(void *context, uint32_t thread, uint64_t first, uint64_t end)
{
	const struct multiplying *m = context;
	(void)thread;
	for (uint64_t item = first; item < end; item++) {
		struct rates rates = rates_of(m->counting, (uint32_t)item);
		m->multipliers[item] = multiplier(m->counting->lifting, &rates, &m->total);
	}
	return 0;
}

static void multiply(struct lifting *l, const struct counting *c, uint32_t threads, uint16_t *multipliers)
{
	struct multiplying m = { .counting = c, .multipliers = multipliers };
	struct rates total = { 0 };
	for (uint32_t item = 0; item < c->items; item++) {
		struct rates rates = rates_of(c, item);
		add_rates(&total, &rates);
	}
	l->season = l->season && total.season >= SEASON_EVENTS_MIN;
	l->trend = l->trend && total.usual > 0; /* counts of events that are old enough come to nothing */
	m.total = total;
	parallel_parts(threads, c->items, PART_ITEMS, multiply_part, &m);
}

int lift_make(struct lift *lift, const struct events *events, uint32_t items, const struct plan_relation *relation,
	      struct lists_window window, const struct params *params, uint32_t now_s, uint32_t threads,
	      struct error *err)
{
	*lift = (struct lift){ 0 };
	struct lifting l = { .params = params, .now_s = now_s };
	struct counting counting = { .events = events,
				     .relation = relation,
				     .window = window,
				     .lifting = &l,
				     .items = items,
				     .oldest_s = now_s };
	parallel_parts(threads, events->count, PART_EVENTS, find_oldest, &counting);
	plan_lifting(&l, counting.oldest_s);
	if (!l.season && !l.trend)
		return 0;
	lift->multipliers = malloc(((size_t)items + 1) * sizeof *lift->multipliers);
	int code = lift->multipliers ? 0 : E_EXHAUSTED;
	if (!code)
		code = parallel_parts(parallel_sums(threads), events->count, PART_EVENTS, count_part, &counting);
	if (code)
		error_set(err, code, "no memory for the seasons of %u items", items);
	else
		multiply(&l, &counting, threads, lift->multipliers);
	for (uint32_t t = 0; t < PARALLEL_SUMS; t++)
		free(counting.rates[t]);
	lift->season = l.season;
	lift->trend = l.trend;
	if (code || (!l.season && !l.trend))
		lift_free(lift);
	return code;
}

void lift_free(struct lift *lift)
{
	free(lift->multipliers);
	*lift = (struct lift){ 0 };
}
