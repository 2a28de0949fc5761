/*
 * Multipliers of items for the time of the build, from season and trend, so that somebody who wants
 * soccer shoes in November is shown what goes with them around this time of the year.
 *
 * season: the item's share of its events that fell into these weeks one year ago, against all items'
 * share. trend: the item's rate of late against its usual one, relative to all items. Both are smoothed
 * (an item of few events stays near 1), clipped to 1/2..2, and raised to an exponent.
 */
#ifndef KINDRED_BUILDER_LIFT_H
#define KINDRED_BUILDER_LIFT_H

#include "builder/lists.h"
#include "builder/params.h"

struct lift {
	/* [items], Q12; malloced; NULL: the data covers too little time for either, all are 4096 */
	uint16_t *multipliers;
	bool season, trend; /* which of them acted */
};

int lift_make(struct lift *lift, const struct events *events, uint32_t items, const struct plan_relation *relation,
	      struct lists_window window, const struct params *params, uint32_t now_s, uint32_t threads,
	      struct error *err);
void lift_free(struct lift *lift);

#endif
