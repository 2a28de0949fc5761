#include "worker/group.h"
#include "common/clock.h"
#include "common/log.h"
#include "worker/ingest.h"

#include <stdlib.h>
#include <string.h>

#define ARENA_BYTES ((size_t)1 << 20)
#define COMPLAINT_EVERY_NS UINT64_C(60000000000)
#define OUTCOME_REFUSED 4 /* kindred.v1.Outcome; the others are enum history_outcome */

/* A call while its group runs. */
struct work {
	struct work *next;
	struct write_call *call;
	uint8_t *outcomes; /* [call->events] */
	struct text_view *refusals; /* [call->events], of refused ones the reason; NULL: none was */
	bool existed; /* WRITE_DELETE_USER */
	uint32_t deleted;
};

/* One event, or the deletion of a user. */
struct op {
	struct work *work;
	uint32_t shard; /* index within the run */
	uint32_t sequence; /* order of arrival */
	uint32_t index; /* of the event within its call */
	bool forget;
	struct shard_event event;
};

struct ops {
	struct op *all;
	struct op **sorted;
	uint32_t count;
};

int group_init(struct group *group, struct shards *shards, const struct history_rules *rules, const struct turns *turns,
	       struct error *err)
{
	memset(group, 0, sizeof *group);
	group->shards = shards;
	group->rules = *rules;
	group->turns = turns;
	group->refused = calloc(shards->count, sizeof *group->refused);
	group->segments = calloc(shards->count, sizeof *group->segments);
	if (!group->refused || !group->segments || arena_init(&group->arena, ARENA_BYTES, 0)) {
		group_fini(group);
		return error_set(err, E_EXHAUSTED, "no memory for the writer");
	}
	int status = uv_mutex_init(&group->lock);
	if (!status) {
		status = crew_start(&group->crew, GROUP_HELPERS);
		if (status)
			uv_mutex_destroy(&group->lock);
	}
	group->crewed = status == 0;
	if (!status)
		return 0;
	group_fini(group);
	return error_set(err, E_EXHAUSTED, "the writer cannot be started: %s", uv_strerror(status));
}

void group_fini(struct group *group)
{
	if (group->crewed) {
		crew_stop(&group->crew);
		uv_mutex_destroy(&group->lock);
	}
	free(group->refused);
	free(group->segments);
	if (group->arena.first)
		arena_fini(&group->arena);
	memset(group, 0, sizeof *group);
}

/* While shards are written, under the group's lock. */
static void fail(struct work *work, const struct error *err)
{
	if (!work->call->err.code)
		work->call->err = *err;
}

/* Whoever sent events is told each time; whoever looks after the disk, once a while. Under the group's lock. */
static void complain(struct group *group, const struct error *err)
{
	uint64_t now_ns = clock_monotonic_ns();
	if (group->complained_ns != 0 && now_ns - group->complained_ns < COMPLAINT_EVERY_NS)
		return;
	group->complained_ns = now_ns;
	log_error("events are not taken: %s", err->text);
}

static void fail_no_memory(struct work *work)
{
	struct error err;
	error_set(&err, E_EXHAUSTED, "no memory for this batch; send it again later, or in smaller parts");
	fail(work, &err);
}

/* --- taking calls apart --- */

/* While shards are written, under the group's lock. */
static void refuse(struct group *group, struct work *work, uint32_t index, const struct error *err)
{
	if (!work->refusals)
		work->refusals = arena_alloc(&group->arena, work->call->events * sizeof *work->refusals);
	size_t bytes = strlen(err->text);
	const char *reason = arena_strndup(&group->arena, err->text, bytes);
	if (!work->refusals || !reason) {
		fail_no_memory(work);
		return;
	}
	work->refusals[index] = (struct text_view){ reason, (uint32_t)bytes };
	work->outcomes[index] = OUTCOME_REFUSED;
}

/*
 * Refused events are counted in their user's shard; one whose user id is not valid may belong nowhere: the
 * first shard.
 */
static uint32_t refusal_shard(const struct group *group, const struct shard_event *event)
{
	uint32_t shard;
	return shards_of_user(group->shards, event->user, event->user_bytes, &shard, NULL) ? 0 : shard;
}

static void take_event(struct group *group, struct work *work, uint32_t index, struct text_view message,
		       struct ops *ops)
{
	struct op *op = &ops->all[ops->count];
	struct error err;
	*op = (struct op){ .work = work, .sequence = ops->count, .index = index };
	int code = ingest_event(message, work->call->seed, work->call->arrived_ms, &group->arena, &op->event, &err);
	if (code == E_INVALID) {
		refuse(group, work, index, &err);
		group->refused[refusal_shard(group, &op->event)]++;
		return;
	}
	if (!code)
		code = shards_of_user(group->shards, op->event.user, op->event.user_bytes, &op->shard, &err);
	if (code)
		fail(work, &err);
	else
		ops->count++;
}

static void take_events(struct group *group, struct work *work, struct ops *ops)
{
	struct wire_cursor cursor = decode_start(work->call->payload.data, work->call->payload.used);
	struct text_view message;
	uint32_t first = ops->count;
	work->outcomes = arena_zalloc(&group->arena, work->call->events);
	if (!work->outcomes) {
		fail_no_memory(work);
		return;
	}
	for (uint32_t i = 0; i < work->call->events && ingest_next(&cursor, &message) > 0; i++)
		take_event(group, work, i, message, ops);
	/* a call that failed before anything was written leaves nothing behind */
	if (work->call->err.code)
		ops->count = first;
}

static void take_deletion(struct group *group, struct work *work, struct ops *ops)
{
	struct op *op = &ops->all[ops->count];
	const struct blob *user = &work->call->payload;
	struct error err;
	*op = (struct op){ .work = work, .sequence = ops->count, .forget = true };
	op->event.user = (const char *)user->data;
	op->event.user_bytes = user->used;
	if (shards_of_user(group->shards, op->event.user, op->event.user_bytes, &op->shard, &err))
		fail(work, &err);
	else
		ops->count++;
}

static bool expired(struct write_call *call, uint64_t now_ns)
{
	if (atomic_load_explicit(&call->cancelled, memory_order_relaxed))
		error_set(&call->err, E_CANCELLED, "cancelled before it was worked on");
	else if (call->deadline_ns < now_ns)
		error_set(&call->err, E_DEADLINE, "the deadline passed while the call waited; nothing was written");
	return call->err.code != 0;
}

/* Which calls are worked on, in order. Those that are not have their err set. */
static struct work *take_calls(struct group *group, struct write_call *calls, struct ops *ops)
{
	struct work *first = NULL, **last = &first;
	uint64_t now_ns = clock_monotonic_ns();
	size_t events = 0;
	for (struct write_call *call = calls; call; call = call->next) {
		call->err = (struct error){ 0 };
		call->taken = 0;
		call->reply.used = 0;
		if (expired(call, now_ns))
			continue;
		struct work *work = arena_zalloc(&group->arena, sizeof *work);
		if (!work) {
			error_set(&call->err, E_EXHAUSTED, "no memory for a write");
			continue;
		}
		work->call = call;
		*last = work;
		last = &work->next;
		events += call->events;
	}
	/* one more: an event is read into its place before it is known whether it stays */
	ops->all = arena_alloc(&group->arena, (events + 1) * sizeof *ops->all);
	ops->sorted = arena_alloc(&group->arena, (events + 1) * sizeof(struct op *));
	for (struct work *work = first; work; work = work->next) {
		if (!ops->all || !ops->sorted)
			fail_no_memory(work);
		else if (work->call->kind == WRITE_INGEST)
			take_events(group, work, ops);
		else
			take_deletion(group, work, ops);
	}
	return first;
}

/* --- writing --- */

static int by_place(const void *left, const void *right)
{
	const struct op *a = *(struct op *const *)left;
	const struct op *b = *(struct op *const *)right;
	if (a->shard != b->shard)
		return a->shard < b->shard ? -1 : 1;
	size_t a_bytes = a->event.user_bytes, b_bytes = b->event.user_bytes;
	int order = memcmp(a->event.user, b->event.user, a_bytes < b_bytes ? a_bytes : b_bytes);
	if (order)
		return order;
	if (a_bytes != b_bytes)
		return a_bytes < b_bytes ? -1 : 1;
	return a->sequence < b->sequence ? -1 : 1;
}

static int apply_deletion(struct shard *shard, struct op *op, struct error *err)
{
	int64_t oldest_ms;
	return shard_write_forget(shard, op->event.user, op->event.user_bytes, op->work->call->arrived_ms,
				  &op->work->existed, &op->work->deleted, &oldest_ms, err);
}

/* 0, or why the transaction is lost. */
static int apply(struct group *group, struct shard *shard, struct op *op, struct error *err)
{
	if (op->forget)
		return apply_deletion(shard, op, err);
	int outcome = shard_write_event(shard, &group->rules, &op->event, err);
	if (outcome > 0)
		op->work->outcomes[op->index] = (uint8_t)outcome;
	else if (shard_write_lost(shard))
		return outcome;
	else {
		uv_mutex_lock(&group->lock);
		refuse(group, op->work, op->index, err);
		uv_mutex_unlock(&group->lock);
	}
	return 0;
}

static int commit(struct group *group, struct shard *shard, struct error *err)
{
	uint64_t start_ns = clock_monotonic_ns();
	int code = shard_write_commit(shard, err);
	uint64_t took_ns = clock_monotonic_ns() - start_ns;
	uv_mutex_lock(&group->lock);
	if (took_ns < group->commit_ns)
		group->commit_ns = took_ns;
	uv_mutex_unlock(&group->lock);
	return code;
}

/*
 * One transaction of ops[0..count): as many as its bounds allow. Returns how many; 0: it failed, nothing of
 * it is on disk. An op whose call has failed already is written nevertheless: its neighbours in other
 * transactions may be.
 */
static uint32_t write_some(struct group *group, struct shard *shard, struct op **ops, uint32_t count, uint64_t *refused,
			   struct error *err)
{
	uint32_t at = 0;
	int code = shard_write_begin(shard, err);
	if (code)
		return 0;
	while (at < count && at < GROUP_EVENTS && !code && shard_write_bytes(shard) < SHARD_TRANSACTION_BYTES)
		code = apply(group, shard, ops[at++], err);
	if (code) {
		shard_write_abort(shard);
		return 0;
	}
	shard_write_refused(shard, *refused);
	if (commit(group, shard, err))
		return 0;
	*refused = 0;
	return at;
}

static void write_shard(struct group *group, uint32_t index, struct op **ops, uint32_t count)
{
	struct shard *shard = group->shards->shard[index];
	struct error err;
	uint64_t refused = group->refused[index];
	group->refused[index] = 0;
	while (count) {
		uint32_t done = write_some(group, shard, ops, count, &refused, &err);
		if (!done) {
			error_prefix(&err, "shard %u", group->shards->first + index);
			uv_mutex_lock(&group->lock);
			complain(group, &err);
			while (count)
				fail(ops[--count]->work, &err);
			uv_mutex_unlock(&group->lock);
			return;
		}
		ops += done;
		count -= done;
	}
	/* Counting what was refused is no promise to anybody: when it fails, the count is lost and nothing else. */
	if (refused && !shard_write_begin(shard, NULL)) {
		shard_write_refused(shard, refused);
		shard_write_commit(shard, NULL);
	}
}

static void write_segment(void *context, uint32_t part)
{
	struct group *group = context;
	const struct group_segment *segment = &group->segments[part];
	turns_keep(group->turns);
	write_shard(group, segment->shard, segment->ops, segment->count);
}

/* Each shard by one thread, from the beginning of its transactions to the end. */
static void write_all(struct group *group, struct ops *ops)
{
	for (uint32_t i = 0; i < ops->count; i++)
		ops->sorted[i] = &ops->all[i];
	if (ops->count > 1)
		qsort(ops->sorted, ops->count, sizeof(struct op *), by_place);
	uint32_t from = 0, segments = 0;
	for (uint32_t index = 0; index < group->shards->count; index++) {
		uint32_t to = from;
		while (to < ops->count && ops->sorted[to]->shard == index)
			to++;
		if (to > from || group->refused[index])
			group->segments[segments++] = (struct group_segment){ index, to - from, ops->sorted + from };
		from = to;
	}
	uint64_t before_ns = group->commit_ns;
	bool helped = ops->count >= GROUP_LARGE || before_ns >= GROUP_SLOW_NS;
	group->commit_ns = UINT64_MAX;
	if (helped)
		crew_run(&group->crew, segments, write_segment, group);
	for (uint32_t part = 0; part < segments && !helped; part++)
		write_segment(group, part);
	if (group->commit_ns == UINT64_MAX)
		group->commit_ns = before_ns;
}

/* --- answering --- */

static size_t refusal_bytes(const struct work *work, uint32_t index)
{
	return uint_bytes(index) + text_bytes(work->refusals[index].bytes);
}

static bool answer_ingest(const struct work *work)
{
	struct blob *reply = &work->call->reply;
	uint32_t events = work->call->events;
	size_t bytes = message_bytes(events);
	for (uint32_t i = 0; work->refusals && i < events; i++)
		if (work->outcomes[i] == OUTCOME_REFUSED)
			bytes += message_bytes(refusal_bytes(work, i));
	if (!blob_reserve(reply, bytes))
		return false;
	/*
	 * IngestEventsResponse: outcomes = 1, packed; every outcome is one byte. refusals = 2: index =
	 * 1, reason = 2.
	 */
	uint8_t *at = put_text(reply->data, 1, work->outcomes, events);
	for (uint32_t i = 0; work->refusals && i < events; i++) {
		if (work->outcomes[i] != OUTCOME_REFUSED)
			continue;
		at = put_message(at, 2, refusal_bytes(work, i));
		at = put_uint(at, 1, i);
		at = put_text(at, 2, work->refusals[i].data, work->refusals[i].bytes);
	}
	reply->used = (size_t)(at - reply->data);
	return true;
}

static bool answer_deletion(const struct work *work)
{
	struct blob *reply = &work->call->reply;
	if (!blob_reserve(reply, 16))
		return false;
	/* DeleteUserResponse: existed = 1, deleted_events = 2 */
	uint8_t *at = put_uint(reply->data, 1, work->existed);
	at = put_uint(at, 2, work->deleted);
	reply->used = (size_t)(at - reply->data);
	return true;
}

static void answer(struct work *work)
{
	struct write_call *call = work->call;
	if (call->err.code)
		return;
	call->taken = call->kind == WRITE_INGEST ? call->events : 0;
	if (!(call->kind == WRITE_INGEST ? answer_ingest(work) : answer_deletion(work)))
		fail_no_memory(work);
}

void group_run(struct group *group, struct write_call *calls)
{
	struct ops ops = { 0 };
	struct work *works = take_calls(group, calls, &ops);
	write_all(group, &ops);
	for (struct work *work = works; work; work = work->next)
		answer(work);
	arena_reset(&group->arena);
}
