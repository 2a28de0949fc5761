/*
 * Packs what recommend() found: kindred.v1.RecommendResponse, and the parts of a RecommendManyResponse. All
 * append to a buffer; false: no memory. Pure.
 */
#ifndef KINDRED_WORKER_ANSWER_H
#define KINDRED_WORKER_ANSWER_H

#include "worker/encode.h"
#include "worker/recommend.h"

#include <stdbool.h>

/* A whole RecommendResponse. */
bool answer_one(struct blob *out, const struct recipe *recipe, const struct recommendation *found, bool with_names);

/* One UserRecommendations within a RecommendManyResponse. */
bool answer_user(struct blob *out, const struct recipe *recipe, struct text_view user,
		 const struct recommendation *found, bool with_names);
/*
 * The same for a user that cannot be answered; err->code is not 0. An id that is not UTF-8 is left out: it
 * could not be read back.
 */
bool answer_user_error(struct blob *out, struct text_view user, const struct error *err);
/* What follows the users. */
bool answer_many_end(struct blob *out, const struct recipe *recipe);

#endif
