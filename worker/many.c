#include "worker/many.h"
#include "common/clock.h"
#include "common/datadir.h"
#include "common/ids.h"
#include "worker/answer.h"
#include "worker/recommend_call.h"
#include "worker/request.h"
#include "worker/worker.h"

#include <stdlib.h>
#include <string.h>

#define SPARE_BYTES ((size_t)1 << 20) /* a buffer that grew beyond it is given back */

struct many_call {
	struct many_call *next;
	struct uplink *from;
	uint64_t call, deadline_ns;
	struct blob payload;
	struct request request; /* views into the payload */
	bool begun; /* its users are in many->users */
	uint32_t users_done, users_failed;
	struct recipe *recipe; /* held */
	struct call_filter *filter; /* NULL: none */
	struct blob reply;
};

int many_init(struct many *many, uv_loop_t *loop, struct worker *worker)
{
	memset(many, 0, sizeof *many);
	many->worker = worker;
	many->last = &many->first;
	many->idle.data = many;
	return uv_idle_init(loop, &many->idle);
}

static void call_free(struct many_call *call)
{
	if (!call)
		return;
	blob_fini(&call->payload);
	blob_fini(&call->reply);
	free(call);
}

static struct many_call *call_new(struct many *many)
{
	struct many_call *call = many->spare;
	many->spare = NULL;
	if (!call)
		return calloc(1, sizeof *call);
	*call = (struct many_call){ .payload = call->payload, .reply = call->reply };
	call->payload.used = call->reply.used = 0;
	return call;
}

static void call_done(struct many *many, struct many_call *call)
{
	if (call->recipe)
		recipe_unref(call->recipe);
	call_filter_free(call->filter);
	if (many->spare || call->payload.room > SPARE_BYTES || call->reply.room > SPARE_BYTES)
		call_free(call);
	else
		many->spare = call;
}

static void take_out(struct many *many, struct many_call **at)
{
	struct many_call *call = *at;
	*at = call->next;
	if (!*at)
		many->last = at;
	many->calls--;
	many->user_count -= call->request.users;
	many->bytes -= call->payload.used;
	call_done(many, call);
	if (!many->first && !many->untold)
		uv_idle_stop(&many->idle);
}

void many_fini(struct many *many)
{
	while (many->first)
		take_out(many, &many->first);
	call_free(many->spare);
	free(many->arrived);
	uv_close((uv_handle_t *)&many->idle, NULL);
}

/* --- arriving --- */

static int read_call(struct many *many, struct many_call *call, const struct frame_head *head, const uint8_t *payload,
		     struct error *err)
{
	struct worker *worker = many->worker;
	call->from = worker->from;
	call->call = head->call;
	call->deadline_ns = worker_deadline_ns(worker, head);
	if (!blob_reserve(&call->payload, head->bytes))
		return error_set(err, E_EXHAUSTED, "no memory for a message of %u bytes", head->bytes);
	if (head->bytes)
		memcpy(call->payload.data, payload, head->bytes);
	call->payload.used = head->bytes;
	int code = request_read(call->payload.data, call->payload.used, REQUEST_MANY, clock_wall_ms(), &call->request,
				err);
	struct recipe *recipe;
	if (!code)
		code = recommend_recipe(worker, &call->request, &recipe, &call->filter, err);
	if (code)
		return code;
	recipe_ref(recipe);
	call->recipe = recipe;
	return 0;
}

static void on_idle(uv_idle_t *idle);

void many_take(struct many *many, const struct frame_head *head, const uint8_t *payload)
{
	struct error err = { 0 };
	struct many_call *call = NULL;
	if (many->calls >= MANY_CALLS || (many->first && many->bytes + head->bytes > MANY_BYTES))
		error_set(&err, E_EXHAUSTED, "%u messages of users wait already; send more slowly", many->calls);
	else if (!(call = call_new(many)))
		error_set(&err, E_EXHAUSTED, "no memory for a message of users");
	else
		read_call(many, call, head, payload, &err);
	if (err.code) {
		uplink_send(many->worker->from, FRAME_REPLY, head->call, &err, NULL, 0);
		if (call)
			call_done(many, call);
		return;
	}
	call->next = NULL;
	*many->last = call;
	many->last = &call->next;
	many->calls++;
	many->user_count += call->request.users;
	many->bytes += call->payload.used;
	many_resume(many);
}

void many_cancel(struct many *many, const struct uplink *from, uint64_t number)
{
	struct many_call **at = &many->first;
	while (*at && ((*at)->call != number || (*at)->from != from))
		at = &(*at)->next;
	if (*at)
		take_out(many, at);
}

void many_forget(struct many *many, const struct uplink *from)
{
	struct many_call **at = &many->first;
	if (many->untold == from) {
		many->untold = NULL;
		many->untold_users = 0;
	}
	while (*at) {
		if ((*at)->from == from)
			take_out(many, at);
		else
			at = &(*at)->next;
	}
}

/*
 * The one to work on, put first: the one that was begun, whose users are sorted, else the oldest whose
 * uplink can take an answer. NULL: there is none.
 */
static struct many_call *next_call(struct many *many)
{
	struct many_call **at = &many->first;
	struct many_call *call;
	if (many->first && many->first->begun)
		return many->first;
	while (*at && uplink_full((*at)->from))
		at = &(*at)->next;
	call = *at;
	if (!call || call == many->first)
		return call;
	*at = call->next;
	if (!*at)
		many->last = at;
	call->next = many->first;
	many->first = call;
	return call;
}

void many_resume(struct many *many)
{
	if (next_call(many))
		uv_idle_start(&many->idle, on_idle);
}

/* --- a slice --- */

static int by_id(const void *a, const void *b)
{
	const struct many_user *x = a, *y = b;
	uint32_t common = x->id.bytes < y->id.bytes ? x->id.bytes : y->id.bytes;
	int order = common ? memcmp(x->id.data, y->id.data, common) : 0;
	return order ? order : (x->id.bytes > y->id.bytes) - (x->id.bytes < y->id.bytes);
}

/* A campaign's list mostly is in order already. */
static void sort_by_id(struct many_user *users, uint32_t count)
{
	uint32_t sorted = 1;
	while (sorted < count && by_id(&users[sorted - 1], &users[sorted]) <= 0)
		sorted++;
	if (sorted < count)
		qsort(users, count, sizeof *users, by_id);
}

/* Of each shard together, in the order of their keys. */
static void sort_users(struct many *many, uint32_t count)
{
	uint32_t shards = many->worker->shards.total, begin = 0, places[SHARDS_MAX];
	memset(places, 0, shards * sizeof *places);
	for (uint32_t i = 0; i < count; i++)
		places[many->arrived[i].shard]++;
	for (uint32_t shard = 0; shard < shards; shard++) {
		uint32_t of_shard = places[shard];
		places[shard] = begin;
		begin += of_shard;
	}
	for (uint32_t i = 0; i < count; i++)
		many->users[places[many->arrived[i].shard]++] = many->arrived[i];
	/* now a shard's place is where the next one's users begin */
	for (uint32_t shard = 0; shard < shards; shard++) {
		begin = shard ? places[shard - 1] : 0;
		sort_by_id(many->users + begin, places[shard] - begin);
	}
}

static bool make_room(struct many *many, uint32_t count)
{
	if (many->user_room >= count)
		return true;
	free(many->arrived);
	many->arrived = malloc(2 * (size_t)count * sizeof *many->arrived);
	many->users = many->arrived ? many->arrived + count : NULL;
	many->user_room = many->arrived ? count : 0;
	return many->arrived;
}

static int begin_call(struct many *many, struct many_call *call, struct error *err)
{
	uint32_t count = call->request.users;
	if (!make_room(many, count))
		return error_set(err, E_EXHAUSTED, "no memory for %u users", count);
	struct wire_cursor cursor = decode_start(call->payload.data, call->payload.used);
	struct many_user *user = many->arrived;
	while (request_next_user(&cursor, &user->id)) {
		user->shard = user_shard(user->id.data, user->id.bytes, many->worker->shards.total);
		user++;
	}
	sort_users(many, count);
	call->begun = true;
	return 0;
}

static bool answer(struct worker *worker, struct many_call *call, const struct recommend_job *job)
{
	if (job->err.code) {
		call->users_failed++;
		return answer_user_error(&call->reply, job->ask.user, &job->err);
	}
	worker->recommend_users++;
	return answer_user(&call->reply, call->recipe, job->ask.user, &job->answer, call->request.with_names);
}

static int answer_some(struct worker *worker, struct many_call *call, const struct many_user *users, uint32_t count,
		       struct error *err)
{
	struct recommend_job jobs[RECOMMEND_JOBS];
	for (uint32_t i = 0; i < count; i++)
		recommend_job_make(worker, call->recipe, &call->request, call->filter, users[i].id, &jobs[i]);
	recommend(&worker->recommender, call->recipe, jobs, count);
	for (uint32_t i = 0; i < count; i++) {
		if (!answer(worker, call, &jobs[i]))
			return error_set(err, E_EXHAUSTED, "no memory for the answer");
		if (call->reply.used > FRAME_PAYLOAD_MAX - 64)
			return error_set(
				err, E_EXHAUSTED,
				"the answer to one message is larger than %u MB; send fewer users a message, or "
				"ask for fewer items",
				FRAME_PAYLOAD_MAX >> 20);
	}
	return 0;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Up to MANY_SLICE users. 1: there are more; 0: that was all; or an error that ends the call. */
static int work_on(struct many *many, struct many_call *call, struct error *err)
{
	uint32_t total = call->request.users;
	int code = 0;
	if (call->deadline_ns < clock_monotonic_ns()) {
		many->worker->expired_calls++;
		return error_set(err, E_DEADLINE, "the deadline passed before all users were answered");
	}
	if (!call->begun)
		code = begin_call(many, call, err);
	uint32_t until = least(call->users_done + MANY_SLICE, total);
	while (!code && call->users_done < until) {
		uint32_t count = least(until - call->users_done, RECOMMEND_JOBS);
		code = answer_some(many->worker, call, many->users + call->users_done, count, err);
		call->users_done += count;
	}
	if (code)
		return code;
	if (call->users_done < total)
		return 1;
	return answer_many_end(&call->reply, call->recipe) ? 0
							   : error_set(err, E_EXHAUSTED, "no memory for the answer");
}

/* Answers of an uplink are written; its server is waked for them, if it sleeps. */
static void tell(struct many *many, struct uplink *uplink)
{
	many->untold = NULL;
	many->untold_users = 0;
	uplink_flush(uplink);
}

/* However few users these answers are of. */
static bool told_late(const struct many *many)
{
	return clock_monotonic_ns() - many->untold_ns >= MANY_TOLD_NS;
}

/* An uplink has an answer more. The next call may be another now. */
static void tell_or_wait(struct many *many, struct uplink *uplink, uint32_t users)
{
	const struct many_call *next = next_call(many);
	many->untold_users += users;
	if (!next || next->from != uplink || many->untold_users >= many->user_count) {
		tell(many, uplink);
		return;
	}
	if (!many->untold)
		many->untold_ns = clock_monotonic_ns();
	many->untold = uplink;
	uplink_put(uplink);
}

static void on_idle(uv_idle_t *idle)
{
	struct many *many = idle->data;
	struct worker *worker = many->worker;
	struct many_call *call = next_call(many);
	struct error err = { 0 };
	if (many->untold && (!call || call->from != many->untold || told_late(many))) {
		tell(many, many->untold); /* may end the uplink, and its calls with it */
		call = next_call(many);
	}
	if (!call) {
		uv_idle_stop(&many->idle);
		return;
	}
	int more = work_on(many, call, &err);
	shards_release(&worker->shards);
	if (more > 0)
		return;
	struct uplink *from = call->from;
	uint32_t users = call->request.users;
	if (err.code)
		uplink_send(from, FRAME_REPLY, call->call, &err, NULL, 0);
	else
		uplink_send_users(from, call->call, call->reply.data, call->reply.used, call->users_failed);
	if (many->first == call) /* else the uplink ended for want of memory, and its calls with it */
		take_out(many, &many->first);
	worker_settle(worker);
	tell_or_wait(many, from, users);
}
