#include "server/lane.h"

#include "common/clock.h"
#include "common/cores.h"
#include "common/wire.h"

#include <stdlib.h>
#include <string.h>

/* protobuf-c turns an empty submessage of two bytes into a struct of a hundred: unpacked requests are held to this. */
#define ARENA_CAP (256u << 20)
#define ARENA_BLOCK (64u << 10)

static void start_next(struct lane *lane);

void lane_init(struct lane *lane, uv_loop_t *loop)
{
	*lane = (struct lane){ .loop = loop };
}

bool lane_idle(const struct lane *lane)
{
	return !lane->now && !lane->first;
}

struct job *job_new(struct server *server, struct call *call, const ProtobufCMessageDescriptor *type,
		    const uint8_t *data, size_t bytes, int (*work)(struct job *job), void (*done)(struct job *job))
{
	struct job *job = calloc(1, sizeof *job);

	if (!job)
		return NULL;
	job->server = server;
	job->call = call;
	job->type = type;
	job->work = work;
	job->done = done;
	job->size = bytes;
	job->bytes = malloc(bytes ? bytes : 1);
	if (!job->bytes || arena_init(&job->arena, ARENA_BLOCK, ARENA_CAP)) {
		free(job->bytes);
		free(job);
		return NULL;
	}
	if (bytes)
		memcpy(job->bytes, data, bytes);
	return job;
}

void *job_reply(struct job *job, const ProtobufCMessageDescriptor *type)
{
	job->reply = malloc(type->sizeof_message);
	if (!job->reply) {
		job->code = error_set(&job->err, E_EXHAUSTED, "out of memory for the answer");
		return NULL;
	}
	protobuf_c_message_init(type, job->reply);
	return job->reply;
}

void job_free(struct job *job)
{
	if (job->reply)
		protobuf_c_message_free_unpacked(job->reply, NULL);
	buffer_fini(&job->packed);
	buffer_fini(&job->frames);
	arena_fini(&job->arena);
	free(job->bytes);
	free(job);
}

static int job_work(struct job *job)
{
	if (job->type) {
		int rc = wire_check_texts(job->type, job->bytes, job->size, &job->err);

		if (rc)
			return rc;
		job->request = protobuf_c_message_unpack(job->type, &job->arena.protobuf, job->size, job->bytes);
		if (!job->request)
			return error_set(&job->err, E_INVALID,
					 "the request is not a valid %s, or one too large to unpack", job->type->name);
	}
	job->code = job->work(job);
	if (!job->code && job->reply && buffer_pack(&job->packed, job->reply))
		return error_set(&job->err, E_EXHAUSTED, "out of memory for the answer");
	return job->code;
}

static void on_work(uv_work_t *handle)
{
	struct job *job = handle->data;

	job->code = job_work(job);
}

static void job_end(struct job *job)
{
	if (job->done) {
		job->done(job);
		return;
	}
	job_answer(job);
	job_free(job);
}

static void on_worked(uv_work_t *handle, int status)
{
	struct job *job = handle->data;
	struct lane *lane = job->lane;

	(void)status;
	lane->now = NULL;
	job_end(job);
	start_next(lane);
}

/* Whether it is still worth beginning. */
static bool wanted(struct job *job)
{
	if (!job->call)
		return true;
	if (call_is_over(job->call))
		job->code = error_set(&job->err, E_CANCELLED, "the call was cancelled");
	else if (job->call->deadline_ns <= clock_monotonic_ns())
		job->code = error_set(&job->err, E_DEADLINE, "the deadline passed before the work was begun");
	return job->code == 0;
}

static void start_next(struct lane *lane)
{
	struct job *job;

	while (!lane->now && (job = lane->first)) {
		lane->first = job->next;
		if (!lane->first)
			lane->last = NULL;
		job->next = NULL;
		if (!wanted(job)) {
			job_end(job);
			continue;
		}
		lane->now = job;
		job->request_handle.data = job;
		cores_keep(CORES_ALL); /* it may be what makes the pool's threads */
		uv_queue_work(lane->loop, &job->request_handle, on_work, on_worked);
	}
}

void lane_run(struct lane *lane, struct job *job)
{
	job->lane = lane;
	if (lane->last)
		lane->last->next = job;
	else
		lane->first = job;
	lane->last = job;
	start_next(lane);
}

void lane_call(struct lane *lane, struct call *call, const ProtobufCMessageDescriptor *type, const uint8_t *data,
	       size_t bytes, int (*work)(struct job *job), void (*done)(struct job *job))
{
	struct job *job = job_new(call->server, call, type, data, bytes, work, done);

	if (job) {
		lane_run(lane, job);
		return;
	}
	call_fail(call, E_EXHAUSTED, "out of memory");
	if (call->method->kind == METHOD_STREAM)
		call_message_done(call, bytes);
}

void job_answer(struct job *job)
{
	struct call *call = job->call;

	if (!call)
		return;
	if (call->method->kind == METHOD_UNARY) {
		if (job->code)
			call_fail_error(call, &job->err);
		else
			call_reply(call, job->packed.data, job->packed.bytes);
		return;
	}
	if (job->code)
		call_fail_error(call, &job->err);
	else
		call_send(call, job->packed.data, job->packed.bytes);
	call_message_done(call, job->size);
}
