/* The call Recommend, and what it shares with RecommendMany and RecommendAudience. Loop thread. */
#ifndef KINDRED_WORKER_RECOMMEND_CALL_H
#define KINDRED_WORKER_RECOMMEND_CALL_H

#include "common/frame.h"
#include "worker/recommend.h"
#include "worker/request.h"

struct worker;

/* A FRAME_CALL_RECOMMEND, answered at once. */
void recommend_call(struct worker *worker, const struct frame_head *head, const uint8_t *payload);

/* The recipe of a request's definition, of the generation it asks for. Errors: generations_pick's and recipe_find's. */
int recommend_recipe(struct worker *worker, const struct request *request, struct recipe **recipe, struct error *err);

/*
 * Makes the job of one user of a request, to be read from that user's shard until shards_release(). job->err is set when it cannot be: E_INVALID: the id is
 * not valid; E_INTERNAL: another worker's user; or the errors of shard_read_begin.
 */
void recommend_job_make(struct worker *worker, const struct recipe *recipe, const struct request *request,
			struct text_view user, struct recommend_job *job);

#endif
