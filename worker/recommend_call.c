#include "worker/recommend_call.h"
#include "common/clock.h"
#include "common/ids.h"
#include "worker/answer.h"
#include "worker/worker.h"

int recommend_user(struct worker *worker, struct recipe *recipe, const struct request *request, struct text_view user,
		   struct recommendation *found, struct error *err)
{
	uint32_t shard;
	int code = id_check("user_id", user.data, user.bytes, USER_ID_MAX, err);
	if (!code)
		code = shards_of_user(&worker->shards, user.data, user.bytes, &shard, err);
	if (code)
		return code;
	struct shard_reader *reader = shards_reader(&worker->shards, shard, err);
	if (!reader)
		return err->code;
	struct context context = request->context;
	if (!context_empty(&context) && (code = context_resolve(&context, recipe, err)))
		return code;
	struct recommend_ask ask = { .user = user,
				     .context = &context,
				     .count = request->count ? request->count : recipe->count,
				     .as_of_ms = request->as_of_ms,
				     .until_ms = request->timed ? request->as_of_ms : INT64_MAX };
	return recommend(&worker->recommender, recipe, shard, reader, &ask, found, err);
}

int recommend_recipe(struct worker *worker, const struct request *request, struct recipe **recipe, struct error *err)
{
	struct generation *generation;
	int code = generations_pick(&worker->generations, request->generation, &generation, err);
	if (code)
		return code;
	return recipe_find(recipe, &worker->rules, generation, worker->shards.count, request->definition.data,
			   request->definition.bytes, err);
}

static int answer_call(struct worker *worker, const struct frame_head *head, const uint8_t *payload, struct error *err)
{
	struct request request;
	struct recipe *recipe;
	struct recommendation found;
	if (head->timeout_ms != UINT32_MAX && worker_deadline_ns(worker, head) <= clock_monotonic_ns()) {
		worker->expired_calls++;
		return error_set(err, E_DEADLINE, "the deadline passed before the call was worked on");
	}
	int code = request_read(payload, head->bytes, REQUEST_ONE, clock_wall_ms(), &request, err);
	if (!code)
		code = recommend_recipe(worker, &request, &recipe, err);
	if (!code)
		code = recommend_user(worker, recipe, &request, request.user, &found, err);
	if (code)
		return code;
	struct blob *out = uplink_begin(&worker->link, FRAME_REPLY, head->call);
	if (!out)
		return 0;
	if (!answer_one(out, recipe, &found, request.with_names)) {
		uplink_cancel(&worker->link);
		return error_set(err, E_EXHAUSTED, "no memory for the answer");
	}
	uplink_end(&worker->link);
	worker->recommend_users++;
	return 0;
}

void recommend_call(struct worker *worker, const struct frame_head *head, const uint8_t *payload)
{
	struct error err;
	if (answer_call(worker, head, payload, &err))
		uplink_send(&worker->link, FRAME_REPLY, head->call, &err, NULL, 0);
}
