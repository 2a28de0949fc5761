/*
 * The filter of one call (RecommendRequest.filter), which holds beside the definition's. Compiled when the call comes;
 * for calls of many users it remembers which rows it lets through. Loop thread.
 */
#ifndef KINDRED_WORKER_CALL_FILTER_H
#define KINDRED_WORKER_CALL_FILTER_H

#include "common/error.h"
#include "common/filter.h"
#include "worker/recipe.h"
#include "worker/rules.h"

#include <stdbool.h>
#include <stdint.h>

struct call_filter {
	struct filter *filter;
	/*
	 * Two bits a row, as in struct recipe: 0: not asked yet, 1: it lets it through, 2: not. NULL: nothing is
	 * remembered, since it reads the user's last item, or is asked for one user only.
	 */
	uint8_t *asked;
};

/*
 * recipe: of the call, found just now. many: it will be asked for many users. An empty text: NULL, and all
 * is let through. E_INVALID: filter_compile's; E_EXHAUSTED.
 */
int call_filter_make(struct call_filter **filter, const struct rules *rules, const struct recipe *recipe,
		     struct text_view text, bool many, struct error *err);
void call_filter_free(struct call_filter *filter); /* NULL is fine */

/* last: the user's last item; NULL: there is none. */
bool call_filter_passes(struct call_filter *filter, const struct recipe_item *item, const struct recipe_item *last);

#endif
