#include "worker/audience.h"

#include "common/ids.h"
#include "common/log.h"
#include "kindred/internal/link.pb-c.h"
#include "worker/answer.h"
#include "worker/recommend_call.h"
#include "worker/request.h"
#include "worker/worker.h"

#include <stdlib.h>
#include <string.h>

#define STOP 1 /* ends shard_read_users: the slice, or the portion, is full */
#define HEAD_BYTES (USER_ID_MAX + 64) /* an AudiencePortion and its length */

struct audience {
	struct audience *next;
	uint64_t number;
	struct recipe *recipe; /* held */
	struct call_filter *filter; /* NULL: none */
	uint32_t count;
	bool with_names, explain;
	int64_t as_of_ms, newest_after_ms, newest_until_ms;
	uint32_t shard, end; /* indexes */
	struct shard_cursor at;
	uint64_t asked[AUDIENCE_ASKED]; /* calls to be answered, in their order */
	uint32_t asked_count;
	struct blob portion;
	uint32_t seen, answered, failed; /* of the portion */
	size_t user_bytes; /* of the largest answer so far */
};

void audiences_init(struct audiences *audiences, uv_loop_t *loop, struct worker *worker)
{
	*audiences = (struct audiences){ .worker = worker };
	audiences->last = &audiences->first;
	audiences->idle.data = audiences;
	uv_idle_init(loop, &audiences->idle);
}

static void audience_free(struct audience *audience)
{
	if (audience->recipe)
		recipe_unref(audience->recipe);
	call_filter_free(audience->filter);
	blob_fini(&audience->portion);
	free(audience);
}

static void put_last(struct audiences *audiences, struct audience *audience)
{
	audience->next = NULL;
	*audiences->last = audience;
	audiences->last = &audience->next;
	audiences->count++;
}

static struct audience *take_out(struct audiences *audiences, struct audience **at)
{
	struct audience *audience = *at;
	*at = audience->next;
	if (!*at)
		audiences->last = at;
	audiences->count--;
	return audience;
}

void audiences_fini(struct audiences *audiences)
{
	while (audiences->first)
		audience_free(take_out(audiences, &audiences->first));
	uv_close((uv_handle_t *)&audiences->idle, NULL);
}

static struct audience **find(struct audiences *audiences, uint64_t number)
{
	struct audience **at = &audiences->first;
	while (*at && (*at)->number != number)
		at = &(*at)->next;
	return at;
}

static bool asked(const struct audience *audience)
{
	return audience->asked_count > 0;
}

/* The first walk that was asked something. */
static struct audience **find_asked(struct audiences *audiences)
{
	struct audience **at = &audiences->first;
	while (*at && !asked(*at))
		at = &(*at)->next;
	return at;
}

/* --- asking --- */

static int open_walk(struct worker *worker, struct audience *audience, const Kindred__Internal__AudienceOpen *open,
		     struct error *err)
{
	struct request request;
	struct recipe *recipe;
	int code = request_read(open->request.data, open->request.len, REQUEST_AUDIENCE, open->as_of_ms, &request, err);
	request.generation = open->generation;
	if (!code)
		code = recommend_recipe(worker, &request, &recipe, &audience->filter, err);
	if (code)
		return code;
	if (recipe->definition_version != open->definition_version)
		return error_set(err, E_PRECONDITION,
				 "definition '%.*s' was changed or made again: version %llu answered up to here, %llu "
				 "is the newest",
				 (int)request.definition.bytes, request.definition.data,
				 (unsigned long long)open->definition_version,
				 (unsigned long long)recipe->definition_version);
	const struct shards *shards = &worker->shards;
	if (open->first_shard < shards->first || open->end_shard > shards->first + shards->count ||
	    open->first_shard >= open->end_shard || open->after_user.len > USER_ID_MAX)
		return error_set(err, E_INTERNAL, "shards %u to %u are not this worker's", open->first_shard,
				 open->end_shard - 1);
	audience->number = open->walk;
	audience->recipe = recipe;
	recipe_ref(recipe);
	audience->count = request.count ? request.count : recipe->count;
	audience->with_names = request.with_names;
	audience->explain = request.explain;
	audience->as_of_ms = open->as_of_ms;
	audience->newest_after_ms = open->newest_after_ms;
	audience->newest_until_ms = open->newest_until_ms;
	audience->shard = open->first_shard - shards->first;
	audience->end = open->end_shard - shards->first;
	audience->at.bytes = (uint32_t)open->after_user.len;
	if (open->after_user.len)
		memcpy(audience->at.user, open->after_user.data, open->after_user.len);
	return 0;
}

static int open_asked(struct audiences *audiences, const struct frame_head *head, const uint8_t *payload,
		      struct error *err)
{
	struct worker *worker = audiences->worker;
	if (audiences->count >= AUDIENCES_MAX)
		return error_set(err, E_EXHAUSTED, "%u audiences are being walked through; try again later",
				 audiences->count);
	arena_reset(&worker->arena);
	const Kindred__Internal__AudienceOpen *open =
		kindred__internal__audience_open__unpack(&worker->arena.protobuf, head->bytes, payload);
	struct audience *audience = open ? calloc(1, sizeof *audience) : NULL;
	if (!audience)
		return error_set(err, E_EXHAUSTED, "no memory for an audience");
	int code = open_walk(worker, audience, open, err);
	if (code) {
		audience_free(audience);
		return code;
	}
	audience->asked[audience->asked_count++] = head->call;
	put_last(audiences, audience);
	return 0;
}

void audiences_open(struct audiences *audiences, const struct frame_head *head, const uint8_t *payload)
{
	struct error err;
	if (open_asked(audiences, head, payload, &err))
		uplink_send(&audiences->worker->link, FRAME_REPLY, head->call, &err, NULL, 0);
	audiences_resume(audiences);
}

static uint64_t number_of(const struct frame_head *head, const uint8_t *payload)
{
	uint64_t number = 0;
	if (head->bytes == sizeof number)
		memcpy(&number, payload, sizeof number);
	return number;
}

void audiences_next(struct audiences *audiences, const struct frame_head *head, const uint8_t *payload)
{
	struct audience *audience = *find(audiences, number_of(head, payload));
	struct error err = { 0 };
	if (!audience)
		error_set(&err, E_NOT_FOUND, "no such walk");
	else if (audience->asked_count == AUDIENCE_ASKED)
		error_set(&err, E_EXHAUSTED, "%u portions are asked for already", AUDIENCE_ASKED);
	else
		audience->asked[audience->asked_count++] = head->call;
	if (err.code)
		uplink_send(&audiences->worker->link, FRAME_REPLY, head->call, &err, NULL, 0);
	audiences_resume(audiences);
}

void audiences_close(struct audiences *audiences, const struct frame_head *head, const uint8_t *payload)
{
	struct audience **at = find(audiences, number_of(head, payload));
	if (*at)
		audience_free(take_out(audiences, at));
}

/* --- a slice --- */

struct walk_slice {
	struct worker *worker;
	struct audience *audience;
	struct shard_reader *reader;
	struct recommend_job jobs[RECOMMEND_JOBS]; /* users that were gathered and are not answered yet, in order */
	uint32_t seen[RECOMMEND_JOBS]; /* audience->seen with each of them */
	uint32_t gathered, answered;
	struct error *err;
};

/* Time of the newest event up to as_of; INT64_MIN: there is none. */
static int64_t newest_ms(const struct history *history, int64_t as_of_ms)
{
	for (uint32_t i = history->count; i > 0; i--) {
		int64_t time_ms = history_at(history, i - 1).time_ms;
		if (time_ms <= as_of_ms)
			return time_ms;
	}
	return INT64_MIN;
}

static bool portion_full(const struct audience *audience)
{
	return audience->portion.used >= AUDIENCE_PORTION_BYTES || audience->seen >= AUDIENCE_PORTION_SEEN;
}

/* How many users are answered at once: no more than the portion has room for, as far as can be told. */
static uint32_t batch_size(const struct audience *audience)
{
	size_t left = AUDIENCE_PORTION_BYTES - audience->portion.used;
	if (audience->user_bytes * RECOMMEND_JOBS <= left)
		return RECOMMEND_JOBS;
	return (uint32_t)((left + audience->user_bytes - 1) / audience->user_bytes);
}

static int answer_job(struct walk_slice *slice, const struct recommend_job *job)
{
	struct audience *audience = slice->audience;
	size_t before = audience->portion.used;
	if (job->err.code) {
		*slice->err = job->err;
		return job->err.code;
	}
	if (!answer_user(&audience->portion, audience->recipe, job->ask.user, &job->answer, audience->with_names))
		return error_set(slice->err, E_EXHAUSTED, "no memory for a portion of an audience");
	if (audience->portion.used - before > audience->user_bytes)
		audience->user_bytes = audience->portion.used - before;
	audience->answered++;
	slice->answered++;
	slice->worker->recommend_users++;
	return 0;
}

/* Those behind the user come again. */
static int stop_behind(struct walk_slice *slice, uint32_t job)
{
	struct audience *audience = slice->audience;
	struct text_view user = slice->jobs[job].ask.user;
	audience->seen = slice->seen[job];
	audience->at.bytes = user.bytes;
	memcpy(audience->at.user, user.data, user.bytes);
	return STOP;
}

/* 0: all that were gathered; STOP: the portion is full, and the walk is behind its last user; or an error. */
static int answer_gathered(struct walk_slice *slice)
{
	struct audience *audience = slice->audience;
	uint32_t count = slice->gathered;
	slice->gathered = 0;
	recommend(&slice->worker->recommender, audience->recipe, slice->jobs, count);
	for (uint32_t i = 0; i < count; i++) {
		int code = answer_job(slice, &slice->jobs[i]);
		if (code)
			return code;
		if (audience->portion.used >= AUDIENCE_PORTION_BYTES)
			return stop_behind(slice, i);
	}
	return 0;
}

static void gather(struct walk_slice *slice, struct text_view user, const struct history *history)
{
	struct audience *audience = slice->audience;
	struct recommend_job *job = &slice->jobs[slice->gathered];
	slice->seen[slice->gathered++] = audience->seen;
	job->err.code = 0;
	job->shard = audience->shard;
	job->reader = slice->reader;
	job->ask = (struct recommend_ask){ .user = user,
					   .history = *history,
					   .filter = audience->filter,
					   .explain = audience->explain,
					   .count = audience->count,
					   .as_of_ms = audience->as_of_ms,
					   .until_ms = audience->as_of_ms };
}

/*
 * A byte that the disk turned: as text in a response it would make clients throw away all of it. Who sent an id had it
 * looked at.
 */
static bool id_damaged(const struct walk_slice *slice, const char *user, size_t bytes)
{
	if (utf8_valid(user, bytes))
		return false;
	log_warning("audience: a user's id in shard %u is damaged; the user is left out; restore a backup",
		    (unsigned)(slice->worker->shards.first + slice->audience->shard));
	return true;
}

static int on_user(void *context, const char *user, size_t user_bytes, const struct history *history)
{
	struct walk_slice *slice = context;
	struct audience *audience = slice->audience;
	int64_t newest = newest_ms(history, audience->as_of_ms);
	audience->seen++;
	if (newest > audience->newest_after_ms && newest <= audience->newest_until_ms &&
	    !id_damaged(slice, user, user_bytes))
		gather(slice, (struct text_view){ user, (uint32_t)user_bytes }, history);
	if (slice->answered + slice->gathered == AUDIENCE_SLICE || portion_full(audience))
		return STOP;
	return slice->gathered == batch_size(audience) ? answer_gathered(slice) : 0;
}

/* A damaged row is its user's alone: that user is answered with the error. */
static int answer_damaged(struct audience *audience, struct error *err)
{
	struct text_view user = { audience->at.user, audience->at.bytes };
	audience->seen++;
	if (!utf8_valid(user.data, user.bytes))
		return 0;
	audience->failed++;
	if (!answer_user_error(&audience->portion, user, err))
		return error_set(err, E_EXHAUSTED, "no memory for a portion of an audience");
	return 0;
}

static int walk(struct worker *worker, struct audience *audience, struct error *err)
{
	struct walk_slice slice;
	bool done;
	slice.worker = worker;
	slice.audience = audience;
	slice.gathered = slice.answered = 0;
	slice.err = err;
	slice.reader = shards_reader(&worker->shards, audience->shard, err);
	if (!slice.reader)
		return err->code;
	int code = shard_read_users(slice.reader, &audience->at, AUDIENCE_SLICE_SEEN, on_user, &slice, &done, err);
	bool damaged = code == E_DATA_LOSS && audience->at.damaged;
	if (!code || code == STOP || damaged)
		code = answer_gathered(&slice);
	if (!code && damaged)
		code = answer_damaged(audience, err);
	if (code)
		return code == STOP ? 0 : code;
	if (done) {
		audience->shard++;
		audience->at.bytes = 0;
	}
	return 0;
}

/* --- a portion --- */

static void answer_portion(struct audiences *audiences, struct audience *audience)
{
	struct worker *worker = audiences->worker;
	Kindred__Internal__AudiencePortion head = KINDRED__INTERNAL__AUDIENCE_PORTION__INIT;
	head.shard = worker->shards.first + audience->shard;
	head.after_user = (ProtobufCBinaryData){ audience->at.bytes, (uint8_t *)audience->at.user };
	head.users_seen = audience->seen;
	head.users_answered = audience->answered;
	head.users_failed = audience->failed;
	struct blob *out = uplink_begin(&worker->link, FRAME_REPLY, audience->asked[0]);
	if (!out)
		return; /* the link has ended */
	if (!blob_reserve(out, HEAD_BYTES + audience->portion.used)) {
		struct error err;
		uplink_cancel(&worker->link);
		error_set(&err, E_EXHAUSTED, "no memory for a portion of an audience");
		worker_fail(worker, &err);
		return;
	}
	uint8_t *at = put_varint(out->data + out->used, kindred__internal__audience_portion__get_packed_size(&head));
	at += kindred__internal__audience_portion__pack(&head, at);
	if (audience->portion.used)
		memcpy(at, audience->portion.data, audience->portion.used);
	out->used = (size_t)(at - out->data) + audience->portion.used;
	uplink_end(&worker->link);
	memmove(audience->asked, audience->asked + 1, --audience->asked_count * sizeof audience->asked[0]);
	audience->portion.used = 0;
	audience->seen = audience->answered = audience->failed = 0;
}

/* Everything it was asked is answered with the error. */
static void fail(struct audiences *audiences, struct audience *audience, const struct error *err)
{
	for (uint32_t i = 0; i < audience->asked_count; i++)
		uplink_send(&audiences->worker->link, FRAME_REPLY, audience->asked[i], err, NULL, 0);
	audience->asked_count = 0;
}

/* One slice. True: the walk is over. */
static bool work_on(struct audiences *audiences, struct audience *audience)
{
	struct error err = { 0 };
	if (walk(audiences->worker, audience, &err)) {
		fail(audiences, audience, &err);
		return true;
	}
	bool over = audience->shard == audience->end;
	if (!over && !portion_full(audience))
		return false;
	answer_portion(audiences, audience);
	uplink_flush(&audiences->worker->link);
	if (over && asked(audience)) {
		error_set(&err, E_NOT_FOUND, "no such walk");
		fail(audiences, audience, &err);
	}
	return over;
}

static void on_idle(uv_idle_t *idle)
{
	struct audiences *audiences = idle->data;
	struct worker *worker = audiences->worker;
	struct audience **at = find_asked(audiences);
	if (!*at || uplink_full(&worker->link)) {
		uv_idle_stop(&audiences->idle);
		return;
	}
	struct audience *audience = take_out(audiences, at);
	if (work_on(audiences, audience))
		audience_free(audience);
	else
		put_last(audiences, audience);
	shards_release(&worker->shards);
	uplink_flush(&worker->link);
}

void audiences_resume(struct audiences *audiences)
{
	if (*find_asked(audiences) && !uplink_full(&audiences->worker->link))
		uv_idle_start(&audiences->idle, on_idle);
}
