#include "common/rpc/client_private.h"

#include <grpc/byte_buffer_reader.h>
#include <stdlib.h>

/* What a stream's completion queue can hand back; at most one of each is under way. */
enum step { STEP_OPEN = 1, STEP_GREETED, STEP_SEND, STEP_RECEIVE, STEP_HALF_CLOSE, STEP_STATUS };

/* An answer that came while the caller was busy sending. */
struct waiting {
	struct waiting *next;
	grpc_byte_buffer *payload;
};

struct rpc_stream {
	struct rpc_client *client;
	const ProtobufCMessageDescriptor *type;
	grpc_completion_queue *queue;
	grpc_call *call;
	unsigned under_way; /* steps whose completion has not come */
	bool sending; /* STEP_SEND is under way */
	bool send_failed;
	bool half_closed;
	bool receiving;
	bool ended; /* no further message will come */
	bool status_known;
	grpc_byte_buffer *incoming;
	struct waiting *first, **last;
	grpc_slice packed; /* what rpc_stream_receive_packed gave */
	grpc_metadata_array greeting, trailer;
	grpc_status_code status;
	grpc_slice details;
};

/* Starts one operation; a refusal by C core is a bug of this file. */
static int step_start(struct rpc_stream *stream, enum step step, const grpc_op *op, struct error *err)
{
	grpc_call_error started = grpc_call_start_batch(stream->call, op, 1, (void *)(intptr_t)step, NULL);
	if (started != GRPC_CALL_OK)
		return error_set(err, E_INTERNAL, "gRPC step %d: %s", (int)step, grpc_call_error_to_string(started));
	stream->under_way++;
	return 0;
}

static int receive_start(struct rpc_stream *stream, struct error *err)
{
	grpc_op op = { .op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &stream->incoming };
	int code = step_start(stream, STEP_RECEIVE, &op, err);
	stream->receiving = code == 0;
	return code;
}

int rpc_stream_open(struct rpc_stream **stream, struct rpc_client *client, const char *method,
		    const ProtobufCMessageDescriptor *type, int64_t timeout_ms, struct error *err)
{
	struct rpc_stream *made = calloc(1, sizeof *made);
	if (made == NULL)
		return error_set(err, E_EXHAUSTED, "no memory for a stream");
	made->client = client;
	made->type = type;
	made->last = &made->first;
	made->status = GRPC_STATUS_UNKNOWN;
	made->details = grpc_empty_slice();
	made->packed = grpc_empty_slice();
	grpc_metadata_array_init(&made->greeting);
	grpc_metadata_array_init(&made->trailer);
	gpr_timespec deadline = rpc_deadline(timeout_ms);
	rpc_await_connection(client, deadline);
	made->queue = grpc_completion_queue_create_for_next(NULL);
	made->call = rpc_call_new(client, made->queue, method, deadline);
	grpc_op open = { .op = GRPC_OP_SEND_INITIAL_METADATA };
	grpc_op greeted = { .op = GRPC_OP_RECV_INITIAL_METADATA,
			    .data.recv_initial_metadata.recv_initial_metadata = &made->greeting };
	grpc_op status = { .op = GRPC_OP_RECV_STATUS_ON_CLIENT,
			   .data.recv_status_on_client = { .trailing_metadata = &made->trailer,
							   .status = &made->status,
							   .status_details = &made->details } };
	int code = step_start(made, STEP_OPEN, &open, err);
	if (code == 0)
		code = step_start(made, STEP_GREETED, &greeted, err);
	if (code == 0)
		code = step_start(made, STEP_STATUS, &status, err);
	if (code == 0)
		code = receive_start(made, err);
	if (code != 0) {
		rpc_stream_free(made);
		return code;
	}
	*stream = made;
	return 0;
}

static void on_message(struct rpc_stream *stream)
{
	stream->receiving = false;
	if (stream->incoming == NULL) {
		stream->ended = true;
		return;
	}
	struct waiting *waiting = malloc(sizeof *waiting);
	if (waiting == NULL) {
		grpc_byte_buffer_destroy(stream->incoming);
		grpc_call_cancel_with_status(stream->call, GRPC_STATUS_RESOURCE_EXHAUSTED, "no memory for an answer",
					     NULL);
	} else {
		*waiting = (struct waiting){ .payload = stream->incoming };
		*stream->last = waiting;
		stream->last = &waiting->next;
	}
	stream->incoming = NULL;
	if (receive_start(stream, NULL) != 0)
		stream->ended = true;
}

/* Takes one completion. False: none within the time. */
static bool turn(struct rpc_stream *stream, gpr_timespec deadline)
{
	grpc_event event = grpc_completion_queue_next(stream->queue, deadline, NULL);
	if (event.type != GRPC_OP_COMPLETE)
		return false;
	stream->under_way--;
	switch ((enum step)(intptr_t)event.tag) {
	case STEP_OPEN:
	case STEP_GREETED:
	case STEP_HALF_CLOSE:
		break;
	case STEP_SEND:
		stream->sending = false;
		stream->send_failed |= !event.success;
		break;
	case STEP_RECEIVE:
		on_message(stream);
		break;
	case STEP_STATUS:
		stream->status_known = true;
		break;
	}
	return true;
}

static int stream_status(struct rpc_stream *stream, struct error *err)
{
	while (!stream->status_known && turn(stream, gpr_inf_future(GPR_CLOCK_MONOTONIC)))
		;
	return rpc_status_error(stream->client, stream->status, stream->details, err);
}

/* Consumes the buffer. */
static int stream_send(struct rpc_stream *stream, grpc_byte_buffer *buffer, struct error *err)
{
	while (stream->sending && !stream->send_failed)
		turn(stream, gpr_inf_future(GPR_CLOCK_MONOTONIC));
	int code;
	if (stream->send_failed || stream->status_known) {
		code = stream_status(stream, err);
		if (code == 0)
			code = error_set(err, E_ABORTED, "the server ended the stream before it was through");
	} else {
		grpc_op op = { .op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = buffer };
		code = step_start(stream, STEP_SEND, &op, err);
		stream->sending = code == 0;
	}
	grpc_byte_buffer_destroy(buffer);
	return code;
}

int rpc_stream_send(struct rpc_stream *stream, const ProtobufCMessage *request, struct error *err)
{
	return stream_send(stream, rpc_pack(request), err);
}

int rpc_stream_send_packed(struct rpc_stream *stream, const void *bytes, size_t size, struct error *err)
{
	grpc_slice slice = grpc_slice_from_copied_buffer(bytes, size);
	grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_slice_unref(slice);
	return stream_send(stream, buffer, err);
}

static grpc_byte_buffer *waiting_take(struct rpc_stream *stream)
{
	struct waiting *waiting = stream->first;
	if (waiting == NULL)
		return NULL;
	stream->first = waiting->next;
	if (stream->first == NULL)
		stream->last = &stream->first;
	grpc_byte_buffer *payload = waiting->payload;
	free(waiting);
	return payload;
}

/* The next message's payload: 1, 0 at the end, or an error. */
static int next_payload(struct rpc_stream *stream, int64_t timeout_ms, grpc_byte_buffer **payload, bool *waiting,
			struct error *err)
{
	gpr_timespec deadline = rpc_deadline(timeout_ms);
	if (waiting != NULL)
		*waiting = false;
	while (stream->first == NULL && !stream->ended) {
		if (!turn(stream, deadline)) {
			if (waiting != NULL)
				*waiting = true;
			return error_set(err, E_DEADLINE, "no answer from %s within %.1f seconds",
					 stream->client->target, (double)timeout_ms / 1000);
		}
	}
	*payload = waiting_take(stream);
	return *payload == NULL ? stream_status(stream, err) : 1;
}

int rpc_stream_receive_packed(struct rpc_stream *stream, int64_t timeout_ms, const uint8_t **bytes, size_t *size,
			      bool *waiting, struct error *err)
{
	grpc_byte_buffer *payload;
	grpc_byte_buffer_reader reader;
	grpc_slice_unref(stream->packed);
	stream->packed = grpc_empty_slice();
	int code = next_payload(stream, timeout_ms, &payload, waiting, err);
	if (code != 1)
		return code;
	if (grpc_byte_buffer_reader_init(&reader, payload)) {
		stream->packed = grpc_byte_buffer_reader_readall(&reader);
		grpc_byte_buffer_reader_destroy(&reader);
	}
	grpc_byte_buffer_destroy(payload);
	*bytes = GRPC_SLICE_START_PTR(stream->packed);
	*size = GRPC_SLICE_LENGTH(stream->packed);
	return 1;
}

int rpc_stream_receive(struct rpc_stream *stream, int64_t timeout_ms, ProtobufCAllocator *allocator, void *response,
		       bool *waiting, struct error *err)
{
	grpc_byte_buffer *payload;
	int code = next_payload(stream, timeout_ms, &payload, waiting, err);
	if (code != 1)
		return code;
	code = rpc_unpack(payload, stream->type, allocator, response, err);
	return code == 0 ? 1 : code;
}

int rpc_stream_half_close(struct rpc_stream *stream, struct error *err)
{
	if (stream->half_closed)
		return 0;
	grpc_op op = { .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT };
	while (stream->sending)
		turn(stream, gpr_inf_future(GPR_CLOCK_MONOTONIC));
	stream->half_closed = true;
	return step_start(stream, STEP_HALF_CLOSE, &op, err);
}

int rpc_stream_finish(struct rpc_stream *stream, struct error *err)
{
	int code = rpc_stream_half_close(stream, err);
	if (code != 0)
		return code;
	for (;;) {
		while (stream->first != NULL)
			grpc_byte_buffer_destroy(waiting_take(stream));
		if (stream->ended)
			return stream_status(stream, err);
		turn(stream, gpr_inf_future(GPR_CLOCK_MONOTONIC));
	}
}

void rpc_stream_free(struct rpc_stream *stream)
{
	if (stream == NULL)
		return;
	if (!stream->status_known)
		grpc_call_cancel(stream->call, NULL);
	while (stream->under_way > 0)
		turn(stream, gpr_inf_future(GPR_CLOCK_MONOTONIC));
	while (stream->first != NULL)
		grpc_byte_buffer_destroy(waiting_take(stream));
	grpc_slice_unref(stream->packed);
	grpc_slice_unref(stream->details);
	grpc_metadata_array_destroy(&stream->greeting);
	grpc_metadata_array_destroy(&stream->trailer);
	grpc_call_unref(stream->call);
	grpc_completion_queue_shutdown(stream->queue);
	while (grpc_completion_queue_next(stream->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
	       GRPC_QUEUE_SHUTDOWN)
		;
	grpc_completion_queue_destroy(stream->queue);
	free(stream);
}
