/*
 * kindred-ceiling: the same C core with an empty handler. It takes Recommend calls and answers each
 * with the same bytes, from one thread on one completion queue: what a call costs when nothing is done
 * for it. Kindred's figures are held against it, in the same run. It serves until it is killed.
 */
#include "bench/argument.h"
#include "common/slice.h"
#include "version.h"

#include <argp.h>
#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_BYTES_MAX ((size_t)4 << 20) /* what clients take */
#define STANDING 32 /* requests that wait for a call; Debian's build scans them linearly */

struct options {
	const char *listen;
	size_t answer_bytes;
};

struct ceiling {
	grpc_server *server;
	grpc_completion_queue *queue;
	void *method;
	grpc_byte_buffer *answer;
};

/* One standing request and then its call; `answering` tells which of the two events comes next. */
struct slot {
	int answering;
	int cancelled;
	grpc_call *call;
	gpr_timespec deadline;
	grpc_metadata_array metadata;
	grpc_byte_buffer *request;
};

static void stand(struct ceiling *ceiling, struct slot *slot)
{
	slot->answering = 0;
	slot->request = NULL;
	if (grpc_server_request_registered_call(ceiling->server, ceiling->method, &slot->call, &slot->deadline,
						&slot->metadata, &slot->request, ceiling->queue, ceiling->queue,
						slot) != GRPC_CALL_OK)
		abort(); /* our own bug: the arguments never change */
}

static void answer(struct ceiling *ceiling, struct slot *slot)
{
	grpc_op ops[4];
	memset(ops, 0, sizeof ops);
	ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[1].op = GRPC_OP_SEND_MESSAGE;
	ops[1].data.send_message.send_message = ceiling->answer;
	ops[2].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
	ops[3].op = GRPC_OP_RECV_CLOSE_ON_SERVER;
	ops[3].data.recv_close_on_server.cancelled = &slot->cancelled;
	slot->answering = 1;
	if (grpc_call_start_batch(slot->call, ops, 4, slot, NULL) != GRPC_CALL_OK)
		abort();
}

static void done(struct ceiling *ceiling, struct slot *slot)
{
	grpc_call_unref(slot->call);
	if (slot->request)
		grpc_byte_buffer_destroy(slot->request);
	slot->metadata.count = 0;
	stand(ceiling, slot);
}

static int serve(const struct options *options)
{
	static struct slot slots[STANDING];
	struct ceiling ceiling = { 0 };
	grpc_init();
	ceiling.server = grpc_server_create(NULL, NULL);
	ceiling.queue = grpc_completion_queue_create_for_next(NULL);
	grpc_server_register_completion_queue(ceiling.server, ceiling.queue, NULL);
	ceiling.method = grpc_server_register_method(ceiling.server, "/kindred.v1.RecommendationService/Recommend",
						     NULL, GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
	grpc_server_credentials *insecure = grpc_insecure_server_credentials_create();
	int port = grpc_server_add_http2_port(ceiling.server, options->listen, insecure);
	if (port == 0) {
		fprintf(stderr, "kindred-ceiling: cannot listen on %s\n", options->listen);
		return 69; /* EX_UNAVAILABLE */
	}
	grpc_slice bytes = grpc_slice_malloc(options->answer_bytes);
	memset(GRPC_SLICE_START_PTR(bytes), 0, options->answer_bytes);
	ceiling.answer = grpc_raw_byte_buffer_create(&bytes, 1);
	grpc_server_start(ceiling.server);
	printf("grpc %d\n", port);
	fflush(stdout);
	for (unsigned i = 0; i < STANDING; i++) {
		grpc_metadata_array_init(&slots[i].metadata);
		stand(&ceiling, &slots[i]);
	}
	for (;;) {
		grpc_event event = grpc_completion_queue_next(ceiling.queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
		struct slot *slot = event.tag;
		if (event.type != GRPC_OP_COMPLETE)
			continue;
		(slot->answering ? done : answer)(&ceiling, slot);
	}
}

static const struct argp_option option_table[] = {
	{ "listen", 'l', "HOST:PORT", 0, "Where to serve; port 0 takes a free one and prints it (127.0.0.1:0)", 0 },
	{ "answer-bytes", 'b', "N", 0, "Bytes of every answer (300)", 0 },
	{ 0 },
};

static error_t on_option(int key, char *text, struct argp_state *state)
{
	struct options *options = state->input;
	if (key == 'l')
		options->listen = text;
	else if (key == 'b')
		options->answer_bytes = argument_number(option_table, key, text, 0, ANSWER_BYTES_MAX, state);
	else
		return ARGP_ERR_UNKNOWN;
	return 0;
}

const char *argp_program_version = "kindred-ceiling " KINDRED_VERSION " (" KINDRED_REVISION ")";

int main(int argc, char **argv)
{
	struct options options = { "127.0.0.1:0", 300 };
	struct argp argp = { option_table,
			     on_option,
			     NULL,
			     "An empty gRPC handler to hold Kindred's figures against, until it is killed."
			     "\v"
			     "Whatever it is asked, it answers so many bytes at once.\n"
			     "\n"
			     "Examples:\n"
			     "  kindred-ceiling --listen 127.0.0.1:7999 --answer-bytes 330 &\n"
			     "  kindred-bench recommend --server 127.0.0.1:7999 --pid $!\n",
			     NULL,
			     NULL,
			     NULL };
	argp_err_exit_status = 64; /* EX_USAGE */
	argp_parse(&argp, argc, argv, 0, NULL, &options);
	(void)slice_take(SLICE_SHORT); /* as kindred-server */
	return serve(&options);
}
