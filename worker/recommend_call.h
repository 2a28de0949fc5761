/* The call Recommend, and what it shares with RecommendMany and RecommendAudience. Loop thread. */
#ifndef KINDRED_WORKER_RECOMMEND_CALL_H
#define KINDRED_WORKER_RECOMMEND_CALL_H

#include "common/frame.h"
#include "worker/recommend.h"
#include "worker/request.h"

struct worker;

/*
 * Calls that came at one reading of the link and are answered together: while one user's memory is
 * waited for, another's is worked on. Their views point into the link's buffer.
 */
struct recommend_calls {
	struct recipe *recipe; /* of all of them; held while there are any: further calls may find others */
	uint32_t count;
	uint64_t answered; /* since the start, errors too */
	uint64_t calls[RECOMMEND_JOBS];
	bool with_names[RECOMMEND_JOBS];
	struct call_filter *filters[RECOMMEND_JOBS]; /* NULL: none */
	struct recommend_job jobs[RECOMMEND_JOBS];
};

/* A FRAME_CALL_RECOMMEND. It is answered by recommend_calls_answer(). */
void recommend_call(struct worker *worker, const struct frame_head *head, const uint8_t *payload);
/* Before a frame of another kind, and when what was read is at its end. */
void recommend_calls_answer(struct worker *worker);

/*
 * The recipe of a request's definition, of the generation it asks for, and the request's own filter (the caller's
 * to free; NULL: it has none). Errors: those of generations_pick, recipe_find and call_filter_make.
 */
int recommend_recipe(struct worker *worker, const struct request *request, struct recipe **recipe,
		     struct call_filter **filter, struct error *err);

/*
 * Makes the job of one user of a request, to be read from that user's shard until shards_release().
 * job->err is set when it cannot be: E_INVALID: the id is not valid; E_INTERNAL: another worker's user;
 * or the errors of shard_read_begin.
 */
void recommend_job_make(struct worker *worker, const struct recipe *recipe, const struct request *request,
			struct call_filter *filter, struct text_view user, struct recommend_job *job);

#endif
