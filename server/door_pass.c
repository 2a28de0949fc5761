/*
 * Calls of a further front-end that it does not serve itself: each is made anew on the connection to
 * the server, with the same method and deadline, and its messages are handed through as bytes, one at a
 * time each way, so that neither side is read faster than the other takes. What the server answers, and
 * how the call ends, is the client's answer.
 *
 *     client -> READ -> UP_SENT -> READ ..., at its half-close ours        server -> UP_READ -> WRITE -> UP_READ ...
 *     the server's status (UP_STATUS), once all before it is written -> STATUS
 *
 * A client that goes away, or whose deadline passes, cancels the call to the server.
 */
#include "server/door_private.h"

#include <assert.h>
#include <grpc/grpc_posix.h>
#include <stdlib.h>

/*
 * What is over the connection's limit would wait in C core for as long as others stay: so there is room
 * left for short calls.
 */
#define PASSES_MAX (DOOR_PASSED_MAX - 64)

struct door_pass {
	grpc_call *up;
	grpc_metadata_array head, trailer;
	grpc_status_code status;
	grpc_slice details;
	bool up_over; /* status and details are there */
	bool up_reading;
};

int door_pass_open(struct door *door, struct error *err)
{
	grpc_arg args[] = {
		{ .type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, .value.integer = -1 },
		{ .type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION },
		/* as common/rpc/client.c: else more is taken ahead the faster the connection once was */
		{ .type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_HTTP2_BDP_PROBE },
	};
	grpc_channel_args list = { sizeof args / sizeof args[0], args };
	grpc_channel_credentials *plain = grpc_insecure_credentials_create();

	door->upstream = grpc_channel_create_from_fd("kindred-server", door->options.upstream_fd, plain, &list);
	grpc_channel_credentials_release(plain);
	return door->upstream ? 0 : error_set(err, E_INTERNAL, "door: the connection to the server cannot be used");
}

void door_pass_close(struct door *door)
{
	if (door->upstream)
		grpc_channel_destroy(door->upstream);
	door->upstream = NULL;
}

static void up_batch(struct door_call *call, const grpc_op *ops, size_t count, enum door_event event)
{
	grpc_call_error rc = grpc_call_start_batch(call->pass->up, ops, count, &call->tags[event], NULL);

	assert(rc == GRPC_CALL_OK); /* anything else is our own misuse */
	(void)rc;
	call->posted++;
	call->door->dirty = true;
}

/* --- the client's messages --- */

static void read_client(struct door_call *call)
{
	grpc_op op = { .op = GRPC_OP_RECV_MESSAGE };

	if (call->state != CALL_OPEN)
		return;
	op.data.recv_message.recv_message = &call->in;
	door_call_batch(call, &op, 1, EVENT_READ);
}

/* A message of the client, or its half-close: the server's. */
static void on_read(struct door_call *call, bool ok)
{
	grpc_op op = { .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT };

	if (call->in && call->in->data.raw.compression != GRPC_COMPRESS_NONE) {
		grpc_call_cancel_with_status(call->pass->up, GRPC_STATUS_UNIMPLEMENTED, DOOR_COMPRESSED, NULL);
		return;
	}
	/*
	 * No message, and no half-close either: the client is gone, or sent too much at once. The close
	 * event says so.
	 */
	if (!call->in && grpc_call_failed_before_recv_message(call->grpc))
		return;
	if (!ok || call->state != CALL_OPEN)
		return;
	if (call->in) {
		door_call_count(call, grpc_byte_buffer_length(call->in));
		op.op = GRPC_OP_SEND_MESSAGE;
		op.data.send_message.send_message = call->in;
	}
	up_batch(call, &op, 1, EVENT_UP_SENT);
}

static void on_up_sent(struct door_call *call, bool ok)
{
	if (!call->in)
		return; /* that was the half-close */
	door_call_uncount(call, grpc_byte_buffer_length(call->in));
	grpc_byte_buffer_destroy(call->in);
	call->in = NULL;
	if (ok)
		read_client(call);
}

/* --- the server's messages --- */

static void read_server(struct door_call *call)
{
	grpc_op op = { .op = GRPC_OP_RECV_MESSAGE };

	call->pass->up_reading = true;
	op.data.recv_message.recv_message = &call->out;
	up_batch(call, &op, 1, EVENT_UP_READ);
}

static void end(struct door_call *call);

static void on_up_read(struct door_call *call)
{
	grpc_op ops[2] = { { .op = GRPC_OP_SEND_MESSAGE }, { .op = GRPC_OP_SEND_INITIAL_METADATA } };

	call->pass->up_reading = false;
	if (call->out && call->state == CALL_OPEN) {
		call->writing = true;
		ops[0].data.send_message.send_message = call->out;
		door_call_count(call, grpc_byte_buffer_length(call->out));
		door_call_batch(call, ops, call->head_written ? 1 : 2, EVENT_WRITE);
		call->head_written = true;
	}
	end(call);
}

static void on_write(struct door_call *call, bool ok)
{
	call->writing = false;
	door_call_uncount(call, grpc_byte_buffer_length(call->out));
	grpc_byte_buffer_destroy(call->out);
	call->out = NULL;
	if (ok && call->state == CALL_OPEN)
		read_server(call);
	end(call);
}

/* --- the end --- */

/* The server's status, behind everything it sent. */
static void end(struct door_call *call)
{
	struct door_pass *pass = call->pass;
	grpc_op ops[2] = { { .op = GRPC_OP_SEND_STATUS_FROM_SERVER }, { .op = GRPC_OP_SEND_INITIAL_METADATA } };

	if (call->state != CALL_OPEN || !pass->up_over || pass->up_reading || call->writing)
		return;
	ops[0].data.send_status_from_server.status = pass->status;
	if (pass->status != GRPC_STATUS_OK)
		ops[0].data.send_status_from_server.status_details = &pass->details;
	door_call_move(call, CALL_ENDED);
	door_call_batch(call, ops, call->head_written ? 1 : 2, EVENT_STATUS);
}

static void on_client_close(struct door_call *call)
{
	if (!call->client_gone || call->state != CALL_OPEN)
		return;
	door_call_move(call, CALL_ENDED);
	grpc_call_cancel(call->pass->up, NULL);
}

void door_pass_event(struct door_call *call, enum door_event event, bool ok)
{
	switch (event) {
	case EVENT_CLOSE:
		on_client_close(call);
		break;
	case EVENT_READ:
		on_read(call, ok);
		break;
	case EVENT_WRITE:
		on_write(call, ok);
		break;
	case EVENT_UP_SENT:
		on_up_sent(call, ok);
		break;
	case EVENT_UP_READ:
		on_up_read(call);
		break;
	case EVENT_UP_STATUS:
		call->pass->up_over = true;
		end(call);
		break;
	case EVENT_HEAD:
	case EVENT_UP_HEAD:
	case EVENT_STATUS:
	case EVENT_NEW:
	case EVENT_COUNT:
		break;
	}
}

/* --- the beginning --- */

/* NULL: not one of ours; the server says so to the client. */
static const struct method *find_method(const struct door *door, const grpc_call_details *details)
{
	for (size_t i = 0; i < door->options.method_count; i++)
		if (grpc_slice_str_cmp(details->method, door->options.methods[i].name) == 0)
			return &door->options.methods[i];
	return NULL;
}

static bool admit(struct door_call *call, const struct method *method)
{
	bool always = method && method->always;

	if (call->door->passes >= PASSES_MAX && !(always && method->kind == METHOD_UNARY)) {
		door_call_refuse(call, E_EXHAUSTED, "too many calls of this kind are in work; send more slowly");
		return false;
	}
	return door_call_admit(call, always);
}

static void begin(struct door_call *call)
{
	struct door_pass *pass = call->pass;
	grpc_op head[2] = { { .op = GRPC_OP_SEND_INITIAL_METADATA }, { .op = GRPC_OP_RECV_INITIAL_METADATA } };
	grpc_op status = { .op = GRPC_OP_RECV_STATUS_ON_CLIENT };

	head[1].data.recv_initial_metadata.recv_initial_metadata = &pass->head;
	status.data.recv_status_on_client.trailing_metadata = &pass->trailer;
	status.data.recv_status_on_client.status = &pass->status;
	status.data.recv_status_on_client.status_details = &pass->details;
	door_call_watch(call);
	up_batch(call, head, 2, EVENT_UP_HEAD);
	up_batch(call, &status, 1, EVENT_UP_STATUS);
	read_server(call);
	read_client(call);
}

void door_pass_begin(struct door_call *call)
{
	struct door *door = call->door;
	const struct method *method = find_method(door, &call->details);
	grpc_op head = { .op = GRPC_OP_SEND_INITIAL_METADATA };

	if (admit(call, method)) {
		call->pass = calloc(1, sizeof *call->pass);
		if (!call->pass)
			door_call_refuse(call, E_EXHAUSTED, "out of memory");
	}
	if (call->pass) {
		door->passes++;
		call->pass->details = grpc_empty_slice();
		grpc_metadata_array_init(&call->pass->head);
		grpc_metadata_array_init(&call->pass->trailer);
		call->pass->up = grpc_channel_create_call(door->upstream, NULL, GRPC_PROPAGATE_DEFAULTS, door->queue,
							  call->details.method, NULL, call->details.deadline, NULL);
		/* As the server does: a stream's head at once, a unary call's with its answer. */
		if (method && method->kind == METHOD_STREAM) {
			call->head_written = true;
			door_call_batch(call, &head, 1, EVENT_HEAD);
		}
		begin(call);
	}
	grpc_call_details_destroy(&call->details);
}

void door_pass_free(struct door_call *call)
{
	struct door_pass *pass = call->pass;

	grpc_metadata_array_destroy(&pass->head);
	grpc_metadata_array_destroy(&pass->trailer);
	grpc_slice_unref(pass->details);
	grpc_call_unref(pass->up);
	free(pass);
	call->pass = NULL;
	call->door->passes--;
}
