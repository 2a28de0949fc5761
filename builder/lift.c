#include "builder/lift.h"

#include "common/score.h"

#include <math.h>
#include <stdlib.h>

#define DAY_S 86400.0
#define YEAR_S (365 * 86400)
#define SMOOTHING 5.0 /* events that an item is given, spread as everybody's are */
#define CLIP 2.0
#define SEASON_EVENTS_MIN 100 /* in the weeks one year ago, of all items */
#define USUAL_TIMES 8 /* half-life of the usual rate, in trend_days */
#define COVERED_TIMES 4 /* time the data must cover for a trend, in trend_days */

/* Of one item, or of all. */
struct rates {
	double all; /* events */
	double season; /* of them, in these weeks one year ago */
	double late, usual; /* decayed counts */
};

struct lifting {
	const struct params *params;
	uint32_t now_s;
	uint32_t season_from_s, season_to_s; /* these weeks one year ago */
	double late_s, usual_s; /* half-lives */
	bool season, trend;
};

static void count_event(const struct lifting *l, struct rates *rates, uint32_t time_s)
{
	rates->all++;
	if (l->season && time_s >= l->season_from_s && time_s < l->season_to_s)
		rates->season++;
	if (l->trend) {
		double age_s = time_s < l->now_s ? (double)(l->now_s - time_s) : 0;
		rates->late += exp2(-age_s / l->late_s);
		rates->usual += exp2(-age_s / l->usual_s);
	}
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
		lift *= lift_of(item->season, item->all * total->season / total->all, l->params->season_exponent);
	if (l->trend)
		lift *= lift_of(item->late, item->usual * total->late / total->usual, l->params->trend_exponent);
	double scaled = lift * SCORE_ONE + 0.5;
	return scaled < 1 ? 1 : scaled > UINT16_MAX ? UINT16_MAX : (uint16_t)scaled;
}

/* Which of the two can be told at all, from the time that the data covers. */
static struct lifting plan_lifting(const struct params *params, uint32_t oldest_s, uint32_t now_s)
{
	struct lifting l = { .params = params, .now_s = now_s };
	/* a little before this day of last year, to the length of a season after it: what is coming counts more than what has been */
	double season_s = params->season_days * DAY_S;
	double from_s = (double)now_s - YEAR_S - season_s / 4;
	l.season = params->season_exponent > 0 && from_s >= oldest_s;
	if (l.season) {
		l.season_from_s = (uint32_t)from_s;
		l.season_to_s = (uint32_t)((double)now_s - YEAR_S + season_s);
	}
	l.late_s = params->trend_days * DAY_S;
	l.usual_s = USUAL_TIMES * l.late_s;
	l.trend = params->trend_exponent > 0 && (double)now_s - oldest_s >= COVERED_TIMES * l.late_s;
	return l;
}

static bool of_relation(const struct event *event, const struct plan_relation *relation, struct lists_window window)
{
	return relation->weights[event->type] > 0 && event->time_s >= window.from_s && event->time_s < window.to_s;
}

int lift_make(struct lift *lift, const struct events *events, uint32_t items, const struct plan_relation *relation,
	      struct lists_window window, const struct params *params, uint32_t now_s, struct error *err)
{
	*lift = (struct lift){ 0 };
	uint32_t oldest_s = now_s;
	for (uint64_t e = 0; e < events->count; e++)
		if (of_relation(&events_all(events)[e], relation, window) && events_all(events)[e].time_s < oldest_s)
			oldest_s = events_all(events)[e].time_s;
	struct lifting l = plan_lifting(params, oldest_s, now_s);
	if (!l.season && !l.trend)
		return 0;

	struct rates *rates = calloc((size_t)items + 1, sizeof *rates);
	uint16_t *multipliers = malloc(((size_t)items + 1) * sizeof *multipliers);
	if (!rates || !multipliers) {
		free(rates);
		free(multipliers);
		return error_set(err, E_EXHAUSTED, "no memory for the seasons of %u items", items);
	}
	struct rates total = { 0 };
	for (uint64_t e = 0; e < events->count; e++) {
		const struct event *event = &events_all(events)[e];
		if (!of_relation(event, relation, window))
			continue;
		count_event(&l, &rates[event->item], event->time_s);
		count_event(&l, &total, event->time_s);
	}
	l.season = l.season && total.season >= SEASON_EVENTS_MIN;
	for (uint32_t item = 0; item < items; item++)
		multipliers[item] = multiplier(&l, &rates[item], &total);
	free(rates);
	*lift = (struct lift){ .multipliers = multipliers, .season = l.season, .trend = l.trend };
	if (!l.season && !l.trend)
		lift_free(lift);
	return 0;
}

void lift_free(struct lift *lift)
{
	free(lift->multipliers);
	*lift = (struct lift){ 0 };
}
