#include "common/rpc/client_private.h"

#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <grpc/support/log.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define AHEAD_BYTES (1 << 20) /* of a stream's answers, taken before they are asked for */

/* C core tells stderr about every connection that fails; the caller gets it as an error instead. */
static void say_nothing(gpr_log_func_args *args)
{
	(void)args;
}

/*
 * HOST:PORT, [V6]:PORT, or a target of C core by its scheme. C core itself asks the resolver about
 * whatever it is given, and takes a port's digits up to what is none.
 */
static bool is_target(const char *target)
{
	static const char *const schemes[] = { "unix:", "dns:", "ipv4:", "ipv6:" };
	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
		if (strncmp(target, schemes[i], strlen(schemes[i])) == 0 && target[strlen(schemes[i])] != '\0')
			return true;
	const char *colon = strrchr(target, ':');
	if (colon == NULL || colon == target || strlen(colon + 1) > 5 ||
	    colon[1 + strspn(colon + 1, "0123456789")] != '\0')
		return false;
	long port = strtol(colon + 1, NULL, 10);
	size_t host = strcspn(target, "/:[] \t\r\n");
	if (target[0] == '[')
		host = strcspn(target, "]") + 1;
	return port >= 1 && port <= 65535 && target + host == colon;
}

void rpc_keep_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

int rpc_open(struct rpc_client **client, const char *target, struct error *err)
{
	struct rpc_client *made = calloc(1, sizeof *made);
	if (made == NULL)
		return error_set(err, E_EXHAUSTED, "no memory for a connection");
	size_t bytes = strlen(target);
	if (bytes >= sizeof made->target || !is_target(target)) {
		free(made);
		return error_set(err, E_INVALID,
				 "server address '%.100s': give it as HOST:PORT, for example 127.0.0.1:7600 or "
				 "[::1]:7600",
				 target);
	}
	memcpy(made->target, target, bytes + 1);
	if (getenv("GRPC_VERBOSITY") == NULL)
		gpr_set_log_function(say_nothing);
	rpc_keep_memory();
	grpc_init();
	/* A proxy from the environment is for the web, not for a database next door. Reconnecting is quick, because the
	 * server's supervisor is. */
	grpc_arg list[] = {
		{ GRPC_ARG_INTEGER, GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, { .integer = RPC_ANSWER_MAX } },
		{ GRPC_ARG_INTEGER, GRPC_ARG_ENABLE_HTTP_PROXY, { .integer = 0 } },
		/* a connection of its own: two clients may find two front-ends */
		{ GRPC_ARG_INTEGER, GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, { .integer = 1 } },
		/*
		 * Else C core takes the more ahead of who reads slowly, or was kept from the processor, the faster the
		 * connection once was: tens of megabytes.
		 */
		{ GRPC_ARG_INTEGER, GRPC_ARG_HTTP2_BDP_PROBE, { .integer = 0 } },
		{ GRPC_ARG_INTEGER, GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, { .integer = AHEAD_BYTES } },
		{ GRPC_ARG_INTEGER, GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, { .integer = 100 } },
		{ GRPC_ARG_INTEGER, GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, { .integer = 1000 } },
	};
	grpc_channel_args args = { sizeof list / sizeof *list, list };
	grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
	made->channel = grpc_channel_create(target, credentials, &args);
	grpc_channel_credentials_release(credentials);
	*client = made;
	return 0;
}

void rpc_close(struct rpc_client *client)
{
	if (client == NULL)
		return;
	grpc_channel_destroy(client->channel);
	grpc_shutdown();
	free(client);
}

static gpr_timespec in_ms(int64_t ms)
{
	return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(ms, GPR_TIMESPAN));
}

gpr_timespec rpc_deadline(int64_t timeout_ms)
{
	return timeout_ms < 0 ? gpr_inf_future(GPR_CLOCK_MONOTONIC) : in_ms(timeout_ms);
}

grpc_call *rpc_call_new(struct rpc_client *client, grpc_completion_queue *queue, const char *method,
			gpr_timespec deadline)
{
	grpc_slice name = grpc_slice_from_copied_string(method);
	grpc_call *call = grpc_channel_create_call(client->channel, NULL, GRPC_PROPAGATE_DEFAULTS, queue, name, NULL,
						   deadline, NULL);
	grpc_slice_unref(name); /* the call has its own reference */
	return call;
}

grpc_byte_buffer *rpc_pack(const ProtobufCMessage *message)
{
	grpc_slice slice = grpc_slice_malloc(protobuf_c_message_get_packed_size(message));
	protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
	grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_slice_unref(slice);
	return buffer;
}

/* Consumes the buffer. */
int rpc_unpack(grpc_byte_buffer *buffer, const ProtobufCMessageDescriptor *type, ProtobufCAllocator *allocator,
	       void *response, struct error *err)
{
	grpc_byte_buffer_reader reader;
	ProtobufCMessage *message = NULL;
	if (grpc_byte_buffer_reader_init(&reader, buffer)) {
		grpc_slice all = grpc_byte_buffer_reader_readall(&reader);
		message = protobuf_c_message_unpack(type, allocator, GRPC_SLICE_LENGTH(all), GRPC_SLICE_START_PTR(all));
		grpc_slice_unref(all);
		grpc_byte_buffer_reader_destroy(&reader);
	}
	grpc_byte_buffer_destroy(buffer);
	if (message == NULL)
		return error_set(err, E_DATA_LOSS, "the server's answer is not a %s", type->name);
	*(ProtobufCMessage **)response = message;
	return 0;
}

/* The text of a status, on one line. */
static void details_text(grpc_slice details, char *text, size_t room)
{
	size_t bytes = GRPC_SLICE_LENGTH(details);
	if (bytes >= room)
		bytes = room - 1;
	memcpy(text, GRPC_SLICE_START_PTR(details), bytes);
	text[bytes] = '\0';
	for (char *c = text; *c != '\0'; c++) {
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = ' ';
	}
}

int rpc_status_error(struct rpc_client *client, grpc_status_code status, grpc_slice details, struct error *err)
{
	if (status == GRPC_STATUS_OK)
		return 0;
	char text[400];
	details_text(details, text, sizeof text);
	int code = error_from_grpc_status((int)status);
	if (code == E_UNAVAILABLE) {
		/* Who says so, the server or our own side of a broken connection? While connected, the server does. */
		switch (grpc_channel_check_connectivity_state(client->channel, 0)) {
		case GRPC_CHANNEL_READY:
			break;
		case GRPC_CHANNEL_CONNECTING:
		case GRPC_CHANNEL_TRANSIENT_FAILURE:
			/* what C core says is long, and of use only when it is not that nobody listens */
			if (strstr(text, "Connection refused"))
				text[0] = '\0';
			return error_set(
				err, code,
				"cannot reach %s: is the server running? `kindred serve --data DIR` starts one%s%s%s",
				client->target, text[0] ? " (" : "", text, text[0] ? ")" : "");
		case GRPC_CHANNEL_IDLE:
		case GRPC_CHANNEL_SHUTDOWN:
			return error_set(err, code, "lost the connection to %s (%s)", client->target, text);
		}
	}
	if (code == E_DEADLINE)
		return error_set(err, code, "no answer from %s in time (%s)", client->target, text);
	return error_set(err, code, "%s", text[0] != '\0' ? text : error_name(code));
}

#define CONNECT_MS INT64_C(5000)
#define AGAIN_MS INT64_C(300) /* some attempts of C core's own */

/*
 * Until there is a connection, or an attempt to make it and some more have failed. C core 1.51 looks at
 * the errno of connect() after others may have changed it (https://github.com/grpc/grpc/pull/35064),
 * and now and then takes a connection that is being made for one that failed. It tries again a moment
 * later, but who calls at once would be told that nobody is there.
 */
void rpc_await_connection(struct rpc_client *client, gpr_timespec deadline)
{
	grpc_connectivity_state state = grpc_channel_check_connectivity_state(client->channel, 1);
	if (state == GRPC_CHANNEL_READY)
		return;
	grpc_completion_queue *queue = grpc_completion_queue_create_for_next(NULL);
	gpr_timespec until = gpr_time_min(deadline, in_ms(CONNECT_MS));
	bool failed = false;
	while (state != GRPC_CHANNEL_READY && state != GRPC_CHANNEL_SHUTDOWN &&
	       gpr_time_cmp(gpr_now(GPR_CLOCK_MONOTONIC), until) < 0) {
		if (state == GRPC_CHANNEL_TRANSIENT_FAILURE && !failed) {
			failed = true;
			until = gpr_time_min(until, in_ms(AGAIN_MS));
		}
		grpc_channel_watch_connectivity_state(client->channel, state, until, queue, NULL);
		grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
		state = grpc_channel_check_connectivity_state(client->channel, 1);
	}
	grpc_completion_queue_shutdown(queue);
	grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
	grpc_completion_queue_destroy(queue);
}

int rpc_call(struct rpc_client *client, const char *method, const ProtobufCMessage *request,
	     const ProtobufCMessageDescriptor *type, int64_t timeout_ms, ProtobufCAllocator *allocator, void *response,
	     struct error *err)
{
	gpr_timespec deadline = rpc_deadline(timeout_ms);
	rpc_await_connection(client, deadline);
	grpc_completion_queue *queue = grpc_completion_queue_create_for_pluck(NULL);
	grpc_call *call = rpc_call_new(client, queue, method, deadline);
	grpc_byte_buffer *question = rpc_pack(request), *answer = NULL;
	grpc_metadata_array greeting, trailer;
	grpc_metadata_array_init(&greeting);
	grpc_metadata_array_init(&trailer);
	grpc_status_code status = GRPC_STATUS_UNKNOWN;
	grpc_slice details = grpc_empty_slice();
	grpc_op ops[6] = {
		{ .op = GRPC_OP_SEND_INITIAL_METADATA },
		{ .op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = question },
		{ .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT },
		{ .op = GRPC_OP_RECV_INITIAL_METADATA, .data.recv_initial_metadata.recv_initial_metadata = &greeting },
		{ .op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &answer },
		{ .op = GRPC_OP_RECV_STATUS_ON_CLIENT,
		  .data.recv_status_on_client = { .trailing_metadata = &trailer,
						  .status = &status,
						  .status_details = &details } },
	};
	int code;
	grpc_call_error started = grpc_call_start_batch(call, ops, 6, call, NULL);
	if (started == GRPC_CALL_OK) {
		/* Always completes: the deadline, when there is one, is the call's own. */
		grpc_completion_queue_pluck(queue, call, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
		code = rpc_status_error(client, status, details, err);
		if (code == 0 && answer == NULL)
			code = error_set(err, E_INTERNAL, "%s answered OK without an answer", method);
	} else {
		code = error_set(err, E_INTERNAL, "%s: %s", method, grpc_call_error_to_string(started));
	}
	if (code == 0)
		code = rpc_unpack(answer, type, allocator, response, err);
	else if (answer != NULL)
		grpc_byte_buffer_destroy(answer);
	grpc_slice_unref(details);
	grpc_metadata_array_destroy(&greeting);
	grpc_metadata_array_destroy(&trailer);
	grpc_byte_buffer_destroy(question);
	grpc_call_unref(call);
	grpc_completion_queue_shutdown(queue);
	grpc_completion_queue_destroy(queue);
	return code;
}
