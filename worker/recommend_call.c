#include "worker/recommend_call.h"
#include "common/clock.h"
#include "common/ids.h"
#include "worker/answer.h"
#include "worker/worker.h"

#include <string.h>

void recommend_job_make(struct worker *worker, const struct recipe *recipe, const struct request *request,
			struct call_filter *filter, struct text_view user, struct recommend_job *job)
{
	struct error *err = &job->err;
	err->code = 0;
	job->ask = (struct recommend_ask){ .user = user,
					   .filter = filter,
					   .explain = request->explain,
					   .count = request->count ? request->count : recipe->count,
					   .as_of_ms = request->as_of_ms,
					   .until_ms = request->timed ? request->as_of_ms : INT64_MAX };
	if (id_check("user_id", user.data, user.bytes, USER_ID_MAX, err) ||
	    shards_of_user(&worker->shards, user.data, user.bytes, &job->shard, err))
		return;
	job->reader = shards_reader(&worker->shards, job->shard, err);
	if (err->code || context_empty(&request->context))
		return;
	job->context = request->context;
	job->ask.context = &job->context;
	context_resolve(&job->context, recipe, err);
}

int recommend_recipe(struct worker *worker, const struct request *request, struct recipe **recipe,
		     struct call_filter **filter, struct error *err)
{
	struct generation *generation;
	*filter = NULL;
	int code = generations_pick(&worker->generations, request->generation, &generation, err);
	if (!code)
		code = recipe_find(recipe, &worker->rules, generation, worker->shards.count, request->definition.data,
				   request->definition.bytes, err);
	if (!code)
		code = call_filter_make(filter, &worker->rules, *recipe, request->filter, request->kind != REQUEST_ONE,
					err);
	return code;
}

static int take(struct worker *worker, const struct frame_head *head, const uint8_t *payload, struct error *err)
{
	struct recommend_calls *calls = &worker->recommend_calls;
	struct request request;
	struct recipe *recipe;
	struct call_filter *filter;
	if (head->timeout_ms != UINT32_MAX && worker_deadline_ns(worker, head) <= clock_monotonic_ns()) {
		worker->expired_calls++;
		return error_set(err, E_DEADLINE, "the deadline passed before the call was worked on");
	}
	int code = request_read(payload, head->bytes, REQUEST_ONE, clock_wall_ms(), &request, err);
	if (!code)
		code = recommend_recipe(worker, &request, &recipe, &filter, err);
	if (code)
		return code;
	if (calls->count == RECOMMEND_JOBS || (calls->count && calls->recipe != recipe))
		recommend_calls_answer(worker);
	if (!calls->count) {
		recipe_ref(recipe);
		calls->recipe = recipe;
	}
	recommend_job_make(worker, recipe, &request, filter, request.user, &calls->jobs[calls->count]);
	calls->filters[calls->count] = filter;
	calls->calls[calls->count] = head->call;
	calls->with_names[calls->count++] = request.with_names;
	return 0;
}

void recommend_call(struct worker *worker, const struct frame_head *head, const uint8_t *payload)
{
	struct error err;
	if (take(worker, head, payload, &err))
		uplink_send(worker->from, FRAME_REPLY, head->call, &err, NULL, 0);
}

static void answer(struct worker *worker, uint32_t at)
{
	const struct recommend_calls *calls = &worker->recommend_calls;
	const struct recommend_job *job = &calls->jobs[at];
	struct error err;
	if (job->err.code) {
		uplink_send(worker->from, FRAME_REPLY, calls->calls[at], &job->err, NULL, 0);
		return;
	}
	struct blob *out = uplink_begin(worker->from, FRAME_REPLY, calls->calls[at]);
	if (!out)
		return;
	if (answer_one(out, calls->recipe, &job->answer, calls->with_names[at])) {
		uplink_end(worker->from);
		worker->recommend_users++;
		return;
	}
	uplink_cancel(worker->from);
	error_set(&err, E_EXHAUSTED, "no memory for the answer");
	uplink_send(worker->from, FRAME_REPLY, calls->calls[at], &err, NULL, 0);
}

void recommend_calls_answer(struct worker *worker)
{
	struct recommend_calls *calls = &worker->recommend_calls;
	if (!calls->count)
		return;
	recommend(&worker->recommender, calls->recipe, calls->jobs, calls->count);
	for (uint32_t at = 0; at < calls->count; at++) {
		answer(worker, at);
		call_filter_free(calls->filters[at]);
	}
	recipe_unref(calls->recipe);
	calls->answered += calls->count;
	calls->count = 0;
}
