#include "server/door_private.h"

#include "common/clock.h"
#include "common/log.h"
#include "server/moves.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Allowed moves of a call's life, as bits by target. */
static const unsigned moves[] = {
	[CALL_FREE] = 1u << CALL_STANDING,
	[CALL_STANDING] = 1u << CALL_OPEN | 1u << CALL_ENDED | 1u << CALL_FREE,
	[CALL_OPEN] = 1u << CALL_ENDING | 1u << CALL_ENDED,
	[CALL_ENDING] = 1u << CALL_ENDED,
	[CALL_ENDED] = 1u << CALL_FREE,
};
static const char *const state_names[] = { "free", "standing", "open", "ending", "ended" };

void door_call_move(struct door_call *call, enum door_state to)
{
	moves_check(moves, state_names, call->state, to);
	log_debug("door: call %p %s -> %s", (void *)call, state_names[call->state], state_names[to]);
	call->state = to;
}

static struct door_call *door_call(struct call *call)
{
	return (struct door_call *)call; /* the first member */
}

static bool is_stream(const struct door_call *call)
{
	return call->method->method && call->method->method->kind == METHOD_STREAM;
}

void door_call_batch(struct door_call *call, const grpc_op *ops, size_t count, enum door_event event)
{
	grpc_call_error rc = grpc_call_start_batch(call->grpc, ops, count, &call->tags[event], NULL);

	assert(rc == GRPC_CALL_OK); /* anything else is our own misuse */
	(void)rc;
	call->posted++;
	call->door->dirty = true;
}

void door_call_count(struct door_call *call, size_t bytes)
{
	call->bytes += bytes;
	call->door->work_bytes += bytes;
}

void door_call_uncount(struct door_call *call, size_t bytes)
{
	assert(bytes <= call->bytes);
	call->bytes -= bytes;
	call->door->work_bytes -= bytes;
	if (call->door->paused_first && call->door->work_bytes <= call->door->options.work_max_bytes)
		door_resume(call->door);
}

/* --- lists --- */

void door_calls_add(struct door_calls *list, struct door_call *call)
{
	call->on_list = list;
	call->next = NULL;
	call->previous = list->last;
	if (list->last)
		list->last->next = call;
	else
		list->first = call;
	list->last = call;
}

void door_calls_leave(struct door_call *call)
{
	struct door_calls *list = call->on_list;

	if (!list)
		return;
	if (call->previous)
		call->previous->next = call->next;
	else
		list->first = call->next;
	if (call->next)
		call->next->previous = call->previous;
	else
		list->last = call->previous;
	call->next = call->previous = NULL;
	call->on_list = NULL;
}

void door_call_release(struct door_call *call)
{
	struct door *door = call->door;
	const struct method *method = call->method->method;

	if (call->state != CALL_ENDED || call->posted || call->in_work || call->paused)
		return;
	door_stream_drop_replies(call, false);
	door_calls_leave(call);
	if (call->counted)
		door->calls--;
	if (call->pass)
		door_pass_free(call);
	if (method) {
		if (method->release)
			method->release(&call->call);
		door->options.on_end(door->options.server, method, call->code);
	}
	call_expect(&call->call, 0);
	if (call->in)
		grpc_byte_buffer_destroy(call->in);
	if (call->out)
		grpc_byte_buffer_destroy(call->out);
	call->in = call->out = NULL;
	grpc_call_unref(call->grpc);
	call->grpc = NULL;
	door_call_move(call, CALL_FREE);
	door_call_give(call);
}

void door_call_drop_standing(struct door_call *call)
{
	if (!call->method->method)
		grpc_call_details_destroy(&call->details);
	door_call_move(call, CALL_FREE);
	door_call_give(call);
}

/* What the status carries; the slice is the caller's to unref. */
grpc_slice door_status_op(grpc_op *op, int code, const char *text)
{
	grpc_slice details = grpc_slice_from_copied_string(text);

	memset(op, 0, sizeof *op);
	op->op = GRPC_OP_SEND_STATUS_FROM_SERVER;
	op->data.send_status_from_server.status = (grpc_status_code)error_grpc_status(code);
	return details;
}

void door_call_refuse(struct door_call *call, int code, const char *text)
{
	grpc_op ops[3] = { { .op = GRPC_OP_SEND_INITIAL_METADATA }, { .op = GRPC_OP_RECV_CLOSE_ON_SERVER } };
	grpc_slice details = door_status_op(&ops[2], code, text);

	ops[1].data.recv_close_on_server.cancelled = &call->client_gone;
	if (code)
		ops[2].data.send_status_from_server.status_details = &details;
	call->code = code;
	door_call_move(call, CALL_ENDED);
	door_call_batch(call, ops, 3, EVENT_STATUS);
	grpc_slice_unref(details);
}

/* Unary: everything that goes back, at once. */
static void answer(struct door_call *call, const void *data, size_t bytes, int code, const char *text)
{
	grpc_op ops[4] = { { .op = GRPC_OP_SEND_INITIAL_METADATA } };
	grpc_slice details = door_status_op(&ops[1], code, text);
	size_t count = 2;

	call->code = code;
	if (code) {
		ops[1].data.send_status_from_server.status_details = &details;
	} else {
		grpc_slice slice = grpc_slice_from_copied_buffer(data, bytes);

		call->out = grpc_raw_byte_buffer_create(&slice, 1); /* goes with the call */
		grpc_slice_unref(slice);
		ops[2].op = GRPC_OP_SEND_MESSAGE;
		ops[2].data.send_message.send_message = call->out;
		count = 3;
	}
	if (!call->watched) {
		ops[count].op = GRPC_OP_RECV_CLOSE_ON_SERVER;
		ops[count++].data.recv_close_on_server.cancelled = &call->client_gone;
		door_calls_leave(call);
	}
	door_call_move(call, CALL_ENDED);
	door_call_batch(call, ops, count, EVENT_STATUS);
	grpc_slice_unref(details);
}

/* --- messages in --- */

/* Points at a message's bytes; *copy is to be unreffed when it was needed. */
static int message_view(grpc_byte_buffer *buffer, const uint8_t **data, size_t *bytes, grpc_slice *copy)
{
	grpc_slice_buffer *slices = &buffer->data.raw.slice_buffer;
	grpc_byte_buffer_reader reader;

	*copy = grpc_empty_slice();
	if (buffer->data.raw.compression != GRPC_COMPRESS_NONE)
		return E_UNIMPLEMENTED;
	if (slices->count == 1) {
		*data = GRPC_SLICE_START_PTR(slices->slices[0]);
		*bytes = GRPC_SLICE_LENGTH(slices->slices[0]);
		return 0;
	}
	if (!grpc_byte_buffer_reader_init(&reader, buffer))
		return E_INVALID;
	*copy = grpc_byte_buffer_reader_readall(&reader);
	grpc_byte_buffer_reader_destroy(&reader);
	*data = GRPC_SLICE_START_PTR(*copy);
	*bytes = GRPC_SLICE_LENGTH(*copy);
	return 0;
}

void door_call_message(struct door_call *call)
{
	grpc_byte_buffer *in = call->in;
	const uint8_t *data;
	size_t bytes;
	grpc_slice copy;
	int rc = message_view(in, &data, &bytes, &copy);

	call->in = NULL;
	call->in_work++;
	call->last_message_ms = uv_now(call->door->options.loop);
	if (!rc && is_stream(call) &&
	    call->door->work_bytes + bytes > DOOR_WORK_TIMES * call->door->options.work_max_bytes)
		rc = E_EXHAUSTED;
	if (rc) {
		call_fail(&call->call, rc, "%s", rc == E_EXHAUSTED ? DOOR_FULL : DOOR_COMPRESSED);
		if (is_stream(call))
			call_message_done(&call->call, 0);
	} else {
		door_call_count(call, bytes);
		call->call.method->message(&call->call, data, bytes);
	}
	grpc_slice_unref(copy);
	grpc_byte_buffer_destroy(in);
}

/* --- replies out --- */

/* A unary call's message is over, answered or not. */
static void unary_done(struct door_call *call)
{
	assert(call->in_work == 1);
	door_call_uncount(call, call->bytes);
	call->in_work = 0;
	door_call_release(call);
}

void call_reply(struct call *handle, const void *data, size_t bytes)
{
	struct door_call *call = door_call(handle);

	if (call->state == CALL_OPEN)
		answer(call, data, bytes, 0, "");
	unary_done(call);
}

void call_fail(struct call *handle, int code, const char *format, ...)
{
	struct door_call *call = door_call(handle);
	va_list args;

	if (call->state == CALL_OPEN) {
		va_start(args, format);
		vsnprintf(call->text, sizeof call->text, format, args);
		va_end(args);
		if (is_stream(call)) {
			call->code = code;
			door_call_move(call, CALL_ENDING);
			door_stream_end(call);
		} else {
			answer(call, NULL, 0, code, call->text);
		}
	}
	if (!is_stream(call))
		unary_done(call);
}

void call_fail_error(struct call *handle, const struct error *err)
{
	call_fail(handle, err->code, "%s", err->text);
}

bool call_is_over(const struct call *handle)
{
	return ((const struct door_call *)handle)->state != CALL_OPEN;
}

bool call_went_through(const struct call *handle)
{
	const struct door_call *call = (const struct door_call *)handle;

	return !call->code && !call->client_gone;
}

/* --- what gRPC says --- */

static uint64_t deadline_ns(gpr_timespec deadline)
{
	if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) == 0)
		return UINT64_MAX;
	deadline = gpr_convert_clock_type(deadline, GPR_CLOCK_MONOTONIC);
	return clock_time_ns(deadline.tv_sec, deadline.tv_nsec);
}

static void refuse_unknown(struct door_call *call)
{
	char text[480], *name = grpc_slice_to_c_string(call->details.method);

	snprintf(text, sizeof text, "there is no method %.300s here", name);
	gpr_free(name);
	grpc_call_details_destroy(&call->details);
	door_call_refuse(call, E_UNIMPLEMENTED, text);
}

bool door_call_admit(struct door_call *call, bool always)
{
	struct door *door = call->door;
	char text[160];

	if (door->stopping) {
		door_call_refuse(call, E_UNAVAILABLE, DOOR_STOPPING);
		return false;
	}
	if (!always && door->calls >= door->options.calls_limit) {
		snprintf(text, sizeof text, "%u calls are in work, which is calls_limit; send more slowly",
			 (unsigned)door->options.calls_limit);
		door_call_refuse(call, E_EXHAUSTED, text);
		return false;
	}
	if (!always && door->work_bytes > door->options.work_max_bytes) {
		door_call_refuse(call, E_EXHAUSTED, DOOR_FULL);
		return false;
	}
	call->counted = true;
	door_call_counted(door);
	return true;
}

/*
 * By itself and early: only so are a cancellation and a deadline seen while the call is being worked on. It is a
 * batch of its own, which costs as much as the answer, so a unary call gets it only when it takes longer than a
 * tick; else it goes with the answer.
 */
void door_call_watch(struct door_call *call)
{
	grpc_op op = { .op = GRPC_OP_RECV_CLOSE_ON_SERVER };

	op.data.recv_close_on_server.cancelled = &call->client_gone;
	call->watched = true;
	door_call_batch(call, &op, 1, EVENT_CLOSE);
}

void door_watch_slow(struct door *door)
{
	struct door_call *call;

	while ((call = door->fresh.first) && door->ticks - call->tick > 1) {
		door_calls_leave(call);
		door_call_watch(call);
	}
}

static void on_new(struct door_call *call)
{
	struct door *door = call->door;

	door_post(call->method);
	door_call_move(call, CALL_OPEN);
	if (!call->method->method) {
		if (door->upstream)
			door_pass_begin(call);
		else
			refuse_unknown(call);
		return;
	}
	call->call.deadline_ns = deadline_ns(call->deadline);
	door->options.on_call(door->options.server, call->method->method);
	if (!door_call_admit(call, call->method->method->always))
		return;
	if (is_stream(call)) {
		door_stream_open(call);
		return;
	}
	call->tick = door->ticks;
	door_calls_add(&door->fresh, call);
	if (!call->in) {
		call->in_work = 1;
		call_fail(&call->call, E_INVALID, "the call has no request message");
	} else {
		door_call_message(call);
	}
}

/* How a call ends whose client did not wait for it. */
static int gone_code(const struct door_call *call)
{
	return call->call.deadline_ns <= clock_monotonic_ns() ? E_DEADLINE : E_CANCELLED;
}

static void on_close(struct door_call *call)
{
	if (!call->client_gone || (call->state != CALL_OPEN && call->state != CALL_ENDING))
		return;
	if (!call->code)
		call->code = gone_code(call);
	door_call_move(call, CALL_ENDED);
	door_stream_drop_replies(call, call->writing);
	if (call->in_work && call->method->method->stop)
		call->method->method->stop(&call->call);
}

void door_call_event(struct door_call *call, enum door_event event, bool ok)
{
	if (event == EVENT_NEW) {
		if (ok)
			on_new(call);
		else
			door_call_drop_standing(call);
		return;
	}
	/* Its batch counts as posted until here is done, so that nothing below releases the call. */
	if (call->pass) {
		door_pass_event(call, event, ok);
		call->posted--;
		door_call_release(call);
		return;
	}
	switch (event) {
	case EVENT_CLOSE:
		on_close(call);
		break;
	case EVENT_READ:
		door_stream_on_read(call, ok);
		break;
	case EVENT_WRITE:
		door_stream_on_write(call, ok);
		break;
	case EVENT_STATUS:
		if (call->client_gone && !call->code)
			call->code = gone_code(call);
		break;
	case EVENT_NEW:
	case EVENT_HEAD:
	case EVENT_UP_HEAD:
	case EVENT_UP_SENT:
	case EVENT_UP_READ:
	case EVENT_UP_STATUS:
	case EVENT_COUNT:
		break;
	}
	call->posted--;
	door_call_release(call);
}
