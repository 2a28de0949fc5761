#include "server/door_private.h"

#include <assert.h>
#include <stdlib.h>

/* --- the end --- */

void door_stream_drop_replies(struct door_call *call, bool keep_first)
{
	struct door_reply *reply = call->first, *kept = NULL;

	if (keep_first && reply) {
		kept = reply;
		reply = reply->next;
		kept->next = NULL;
	}
	while (reply) {
		struct door_reply *next = reply->next;

		door_call_uncount(call, reply->size);
		call->unsent--;
		call->unsent_bytes -= reply->size;
		grpc_byte_buffer_destroy(reply->bytes);
		free(reply);
		reply = next;
	}
	call->first = call->last = kept;
}

/* Stream: the status, once it is decided and every reply before it is written. */
void door_stream_end(struct door_call *call)
{
	grpc_op op;
	grpc_slice details;

	if (call->state == CALL_OPEN && call->half_closed && call->in_work == 0)
		door_call_move(call, CALL_ENDING);
	if (call->state != CALL_ENDING || call->writing || call->first)
		return;
	details = door_status_op(&op, call->code, call->text);
	if (call->code)
		op.data.send_status_from_server.status_details = &details;
	door_call_move(call, CALL_ENDED);
	door_call_batch(call, &op, 1, EVENT_STATUS);
	grpc_slice_unref(details);
}

void door_stream_turn_away(struct door_call *call)
{
	if (call->state == CALL_OPEN && call->in_work == 0)
		call_fail(&call->call, E_UNAVAILABLE, "the server is stopping; send the rest again on a new stream");
}

/* --- messages in --- */

#define STREAM_SHARE 8 /* of what is left, for one stream */

/* The more there is in all, the less each may have: all of them together stay below the half. */
static size_t stream_share(const struct door_call *call)
{
	const struct door *door = call->door;
	size_t half = door->options.work_max_bytes / 2, taken = door->work_bytes + door->expected_bytes;

	return taken < half ? (half - taken) / STREAM_SHARE : 0;
}

static bool window_open(const struct door_call *call)
{
	uint32_t window = call->door->options.stream_window;

	return call->state == CALL_OPEN && !call->reading && !call->half_closed && !call->paused &&
	       call->in_work < window && call->unsent < window &&
	       (call->in_work == 0 || call->bytes <= stream_share(call));
}

/* Asks for the next message, if the stream may have one more in work. Not asking is the flow control. */
static void read_more(struct door_call *call)
{
	struct door *door = call->door;
	grpc_op op = { .op = GRPC_OP_RECV_MESSAGE };

	if (!window_open(call))
		return;
	if (door->stop_all) {
		door_stream_turn_away(call);
		return;
	}
	if (door->work_bytes > door->options.work_max_bytes) {
		call->paused = true;
		call->paused_next = NULL;
		if (door->paused_last)
			door->paused_last->paused_next = call;
		else
			door->paused_first = call;
		door->paused_last = call;
		return;
	}
	call->reading = true;
	op.data.recv_message.recv_message = &call->in;
	door_call_batch(call, &op, 1, EVENT_READ);
}

void door_resume(struct door *door)
{
	struct door_call *call;

	while ((call = door->paused_first) && door->work_bytes <= door->options.work_max_bytes) {
		door->paused_first = call->paused_next;
		if (!door->paused_first)
			door->paused_last = NULL;
		call->paused = false;
		read_more(call);
		door_call_release(call);
	}
}

/* --- replies out --- */

static void write_more(struct door_call *call)
{
	grpc_op op = { .op = GRPC_OP_SEND_MESSAGE };

	if (call->writing || !call->first || (call->state != CALL_OPEN && call->state != CALL_ENDING))
		return;
	call->writing = true;
	op.data.send_message.send_message = call->first->bytes;
	door_call_batch(call, &op, 1, EVENT_WRITE);
}

void call_send(struct call *handle, const void *data, size_t bytes)
{
	call_send_two(handle, data, bytes, NULL, 0);
}

void call_send_two(struct call *handle, const void *data, size_t bytes, const void *rest, size_t rest_bytes)
{
	struct door_call *call = (struct door_call *)handle;
	struct door_reply *reply;
	grpc_slice slices[2];
	size_t count = 0;

	if (call->state != CALL_OPEN)
		return;
	reply = calloc(1, sizeof *reply);
	if (!reply) {
		call_fail(handle, E_EXHAUSTED, "out of memory for the answer");
		return;
	}
	if (bytes)
		slices[count++] = grpc_slice_from_copied_buffer(data, bytes);
	if (rest_bytes)
		slices[count++] = grpc_slice_from_copied_buffer(rest, rest_bytes);
	reply->bytes = grpc_raw_byte_buffer_create(slices, count);
	reply->size = bytes + rest_bytes;
	while (count)
		grpc_slice_unref(slices[--count]);
	if (call->last)
		call->last->next = reply;
	else
		call->first = reply;
	call->last = reply;
	call->unsent++;
	call->unsent_bytes += reply->size;
	door_call_count(call, reply->size);
	write_more(call);
}

size_t call_unsent(const struct call *handle)
{
	return ((const struct door_call *)handle)->unsent_bytes;
}

size_t call_unsent_max(const struct call *handle)
{
	return stream_share((const struct door_call *)handle);
}

void call_expect(struct call *handle, size_t bytes)
{
	struct door_call *call = (struct door_call *)handle;

	call->door->expected_bytes += bytes - call->expected_bytes;
	call->expected_bytes = bytes;
}

void call_message_done(struct call *handle, size_t bytes)
{
	struct door_call *call = (struct door_call *)handle;

	assert(call->in_work > 0);
	door_call_uncount(call, bytes);
	call->in_work--;
	read_more(call);
	door_stream_end(call);
	door_call_release(call);
}

/* --- the beginning, and what gRPC says --- */

void door_stream_open(struct door_call *call)
{
	struct door *door = call->door;
	grpc_op op = { .op = GRPC_OP_SEND_INITIAL_METADATA };

	door_call_watch(call);
	door_calls_add(&door->streams, call);
	call->last_message_ms = uv_now(door->options.loop);
	call->writing = true; /* of the head; write_more waits for it */
	door_call_batch(call, &op, 1, EVENT_WRITE);
	read_more(call);
}

void door_stream_on_read(struct door_call *call, bool ok)
{
	call->reading = false;
	if (call->in && ok) {
		if (call->state == CALL_OPEN) {
			door_call_message(call);
			read_more(call);
		} else {
			grpc_byte_buffer_destroy(call->in);
			call->in = NULL;
		}
		return;
	}
	/* No message: the client has half-closed; or it is gone, and the close event says so. */
	if (ok && !grpc_call_failed_before_recv_message(call->grpc)) {
		call->half_closed = true;
		door_stream_end(call);
	}
}

void door_stream_on_write(struct door_call *call, bool ok)
{
	struct door_reply *reply = call->head_written ? call->first : NULL;

	call->head_written = true;
	call->writing = false;
	if (reply) {
		call->first = reply->next;
		if (!call->first)
			call->last = NULL;
		call->unsent--;
		call->unsent_bytes -= reply->size;
		door_call_uncount(call, reply->size);
		grpc_byte_buffer_destroy(reply->bytes);
		free(reply);
	}
	if (!ok)
		return; /* the close event follows */
	write_more(call);
	if (call->state == CALL_OPEN && call->in_work && call->method->method->room)
		call->method->method->room(&call->call);
	read_more(call);
	door_stream_end(call);
}
