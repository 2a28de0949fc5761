#include "builder/ladders.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define LADDER(parameter, steps, ...)                                                                                  \
	{                                                                                                              \
		.name = #parameter, .offset = offsetof(struct params, parameter), .count = steps, .values = {          \
			__VA_ARGS__                                                                                    \
		}                                                                                                      \
	}
/* the last value, 0, stands for: without a limit */
#define LADDER_OPEN(parameter, steps, ...)                                                                             \
	{                                                                                                              \
		.name = #parameter, .offset = offsetof(struct params, parameter), .zero_is_last = true,                \
		.count = steps, .values = {                                                                            \
			__VA_ARGS__                                                                                    \
		}                                                                                                      \
	}

/* In order of what they usually give. */
static const struct ladder learning[] = {
	LADDER(gap, 10, 0, 0.2, 0.35, 0.5, 0.7, 0.85, 1, 1.2, 1.5, 2),
	LADDER_OPEN(age_days, 9, 1, 2, 5, 10, 20, 30, 60, 180, 0),
	LADDER(norm_to, 9, 0, 0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.65),
	LADDER(sharpness, 7, 0.4, 0.5, 0.65, 0.8, 1, 1.3, 1.6),
	LADDER(norm_from, 7, 0.2, 0.35, 0.5, 0.65, 0.75, 0.85, 1),
	LADDER_OPEN(list_window, 8, 3, 5, 10, 20, 50, 100, 200, 0),
	LADDER(back, 7, 0, 0.15, 0.3, 0.5, 0.6, 0.8, 1),
	LADDER(recent_days, 8, 0.25, 0.5, 1, 2, 4, 7, 14, 30),
	LADDER(age_floor, 5, 0, 0.05, 0.15, 0.3, 0.6),
	LADDER_OPEN(pair_days, 6, 0.02, 0.1, 0.3, 1, 7, 0),
	LADDER_OPEN(session_minutes, 5, 30, 240, 1440, 10080, 0),
	LADDER(length_discount, 5, 0, 0.25, 0.5, 0.75, 1),
	LADDER(shrink, 8, 0, 1, 2, 4, 8, 16, 40, 100),
	LADDER(trend_exponent, 6, 0, 0.15, 0.25, 0.35, 0.5, 0.8),
	LADDER(neighbours, 5, 25, 50, 100, 200, 300),
	LADDER(min_count, 4, 1, 2, 3, 5),
	LADDER(trend_days, 5, 1, 3, 7, 14, 30),
	LADDER(season_exponent, 4, 0, 0.15, 0.25, 0.5),
	LADDER(type_to, 5, 0.25, 0.5, 1, 1.5, 2),
	LADDER(type_from, 5, 0, 0.5, 1, 1.5, 2),
};

static const struct ladder serving[] = {
	LADDER(rank_decay, 13, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 1),
	LADDER(rank_slope, 7, 0, 0.1, 0.25, 0.5, 1, 2, 4),
	LADDER(profile_items, 10, 2, 3, 5, 10, 15, 20, 30, 50, 100, 200),
	LADDER_OPEN(half_life_days, 9, 0.02, 0.1, 0.5, 2, 7, 30, 90, 180, 0),
	LADDER(blend, 9, 0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 1, 2),
	LADDER(self_weight, 9, 0, 0.25, 0.5, 1, 2, 3, 4, 6, 8),
	LADDER(self_newest, 5, 0, 0.25, 0.5, 0.75, 1),
};

static const struct seed {
	const char *name, *settings;
} seeds[] = {
	{ "clicks",
	  "gap=0.5 back=0.5 norm_from=0.75 norm_to=0.25 shrink=2 sharpness=0.8 rank_decay=0.5 age_days=20 age_floor=0 "
	  "profile_items=10 neighbours=50 trend_exponent=0.15 season_exponent=0" },
	{ "films", "gap=1 back=0.3 norm_from=0.75 norm_to=0.3 shrink=0 sharpness=0.65 rank_decay=0.95 rank_slope=0.5 "
		   "profile_items=20 list_window=50 age_days=0 trend_exponent=0 season_exponent=0" },
	{ "purchases", "pair_days=1 age_days=30 age_floor=0 length_discount=0.5 min_count=3 gap=0 back=1 norm_from=0.5 "
		       "norm_to=0.5 shrink=0 list_window=0 profile_items=100 rank_decay=1 trend_exponent=0 "
		       "season_exponent=0 recent_days=3 blend=0.05" },
	{ "talk of the day",
	  "gap=1 back=0.3 norm_from=0.75 norm_to=0.1 age_days=7 age_floor=0 shrink=0 blend=0.4 recent_days=4 "
	  "trend_exponent=0 season_exponent=0" },
};

const struct ladder *ladders_learning(size_t *count)
{
	*count = sizeof learning / sizeof *learning;
	return learning;
}

const struct ladder *ladders_serving(size_t *count)
{
	*count = sizeof serving / sizeof *serving;
	return serving;
}

double *ladder_at(const struct ladder *ladder, struct params *params)
{
	return (double *)((char *)params + ladder->offset);
}

static double rung(const struct ladder *ladder, double value)
{
	return ladder->zero_is_last && !(value > 0) ? INFINITY : value;
}

bool ladder_step(const struct ladder *ladder, double from, bool up, double *to)
{
	double here = rung(ladder, from);
	for (uint32_t n = 0; n < ladder->count; n++) {
		uint32_t v = up ? n : ladder->count - 1 - n;
		double there = rung(ladder, ladder->values[v]);
		*to = ladder->values[v];
		if (up ? there > here + 1e-9 : there < here - 1e-9)
			return true;
	}
	return false;
}

static bool is(const struct ladder *ladder, const char *name)
{
	return strcmp(ladder->name, name) == 0;
}

bool ladder_matters(const struct ladder *ladder, const struct params *params, const struct plan_relation *relation,
		    size_t types)
{
	if (is(ladder, "self_weight"))
		return relation->occasion == OCCASION_AGAIN;
	if (is(ladder, "self_newest"))
		return relation->occasion == OCCASION_AGAIN && params->self_weight > 0;
	if (is(ladder, "session_minutes"))
		return relation->session_s == 0;
	if (is(ladder, "type_from") || is(ladder, "type_to"))
		return types > 1;
	if (is(ladder, "age_floor"))
		return params->age_days > 0;
	if (is(ladder, "trend_days"))
		return params->trend_exponent > 0;
	return true;
}

bool seed_take(size_t number, struct params *params, const char **name)
{
	char settings[400], *rest = settings, *one;
	if (number >= sizeof seeds / sizeof *seeds)
		return false;
	*name = seeds[number].name;
	snprintf(settings, sizeof settings, "%s", seeds[number].settings);
	while ((one = strsep(&rest, " ")))
		params_set(params, one, NULL);
	return true;
}
