/*
 * Popularity: the rows most users came to, in the window and of late. A user counts once an item, by
 * the strongest type of event, whatever the events weigh of their own, so that nobody makes an item popular
 * alone; once a session, where lists are sessions.
 */
#ifndef KINDRED_BUILDER_POPULAR_H
#define KINDRED_BUILDER_POPULAR_H

#include "builder/lists.h"

#define POPULAR_TOP 1000000000u /* the best row's score */

struct popular {
	uint32_t *rows, *scores; /* best first, of equal sums (before they were rounded) by row; malloced */
	uint32_t count; /* at most MODEL_POPULAR_MAX */
};

/*
 * lists: as lists_make leaves them. half_life_days: of the time since the newest event of user and item;
 * 0: all count the same.
 */
int popular_make(struct popular *popular, const struct lists *lists, uint32_t now_s, double half_life_days,
		 uint32_t threads, struct error *err);
void popular_free(struct popular *popular);

#endif
