#include "bench/load.h"

#include "common/clock.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND_NS UINT64_C(1000000000)

struct load {
	const struct load_options *options;
	const struct load_work *work;
	struct load_result *result;
	grpc_completion_queue *queue;
	grpc_channel **channels;
	grpc_slice method;
	uint8_t *buffer;
	uint64_t number; /* of the next message */
	uint64_t measure_from_ns, stop_ns, next_due_ns, gap_ns;
	unsigned running;
	unsigned idle_count;
	struct unary **idle; /* open loop: slots that wait for the next due time */
};

/* What the metadata and status of one call are received into. */
struct ending {
	grpc_metadata_array initial, trailing;
	grpc_status_code status;
	grpc_slice details;
};

static void ending_init(struct ending *ending)
{
	grpc_metadata_array_init(&ending->initial);
	grpc_metadata_array_init(&ending->trailing);
	ending->details = grpc_empty_slice();
}

static void ending_fini(struct ending *ending)
{
	grpc_metadata_array_destroy(&ending->initial);
	grpc_metadata_array_destroy(&ending->trailing);
	grpc_slice_unref(ending->details);
}

static grpc_byte_buffer *make_message(struct load *load)
{
	size_t bytes = load->work->make(load->work->context, load->number++, load->buffer);
	grpc_slice slice = grpc_slice_from_copied_buffer((const char *)load->buffer, bytes);
	grpc_byte_buffer *message = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_slice_unref(slice);
	return message;
}

/* Returns the units of the answer. */
static uint64_t count_answer(struct load *load, grpc_byte_buffer *answer, bool measured)
{
	grpc_byte_buffer_reader reader;
	if (!answer || !grpc_byte_buffer_reader_init(&reader, answer))
		return 0;
	grpc_slice all = grpc_byte_buffer_reader_readall(&reader);
	uint64_t units = load->work->count(load->work->context, GRPC_SLICE_START_PTR(all), GRPC_SLICE_LENGTH(all));
	grpc_slice_unref(all);
	grpc_byte_buffer_reader_destroy(&reader);
	load->result->all_units += units;
	if (measured) {
		load->result->units += units;
		load->result->calls++;
	}
	return units;
}

static void count_error(struct load *load, grpc_status_code status, const grpc_slice *details)
{
	if (load->result->errors[status < 16 ? status : 16]++ == 0)
		fprintf(stderr, "kindred-bench: first error with status %d: %.*s\n", (int)status,
			(int)GRPC_SLICE_LENGTH(*details), (const char *)GRPC_SLICE_START_PTR(*details));
}

static grpc_call *new_call(struct load *load, unsigned index)
{
	grpc_channel *channel = load->channels[index % load->options->connections];
	return grpc_channel_create_call(channel, NULL, GRPC_PROPAGATE_DEFAULTS, load->queue, load->method, NULL,
					gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
}

/* --- unary --- */

struct unary {
	void (*done)(struct load *load, void *self, bool ok); /* first: tags are told apart by it */
	unsigned index;
	uint64_t due_ns;
	grpc_call *call;
	grpc_byte_buffer *answer;
	struct ending ending;
};

static void unary_start(struct load *load, struct unary *unary, uint64_t due_ns)
{
	grpc_byte_buffer *message = make_message(load);
	grpc_op ops[6];
	memset(ops, 0, sizeof ops);
	unary->due_ns = due_ns;
	unary->answer = NULL;
	ending_init(&unary->ending);
	unary->call = new_call(load, unary->index);
	ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[1].op = GRPC_OP_SEND_MESSAGE;
	ops[1].data.send_message.send_message = message;
	ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
	ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
	ops[3].data.recv_initial_metadata.recv_initial_metadata = &unary->ending.initial;
	ops[4].op = GRPC_OP_RECV_MESSAGE;
	ops[4].data.recv_message.recv_message = &unary->answer;
	ops[5].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
	ops[5].data.recv_status_on_client.trailing_metadata = &unary->ending.trailing;
	ops[5].data.recv_status_on_client.status = &unary->ending.status;
	ops[5].data.recv_status_on_client.status_details = &unary->ending.details;
	if (grpc_call_start_batch(unary->call, ops, 6, unary, NULL) != GRPC_CALL_OK)
		abort(); /* our own bug: the batch is the same every time */
	grpc_byte_buffer_destroy(message);
	load->running++;
}

static void unary_done(struct load *load, void *self, bool ok)
{
	(void)ok;
	struct unary *unary = self;
	uint64_t now = clock_monotonic_ns();
	bool measured = unary->due_ns >= load->measure_from_ns && unary->due_ns < load->stop_ns;
	load->running--;
	if (unary->ending.status != GRPC_STATUS_OK) {
		count_error(load, unary->ending.status, &unary->ending.details);
	} else {
		if (measured)
			histogram_add(&load->result->latency, now - unary->due_ns);
		count_answer(load, unary->answer, measured);
	}
	grpc_call_unref(unary->call);
	ending_fini(&unary->ending);
	if (unary->answer)
		grpc_byte_buffer_destroy(unary->answer);
	if (load->options->rate > 0)
		load->idle[load->idle_count++] = unary;
	else if (now < load->stop_ns)
		unary_start(load, unary, now);
}

/* Starts every call that is due and finds a free slot. */
static void start_due(struct load *load)
{
	uint64_t now = clock_monotonic_ns();
	while (load->idle_count > 0 && load->next_due_ns <= now && load->next_due_ns < load->stop_ns) {
		unary_start(load, load->idle[--load->idle_count], load->next_due_ns);
		load->next_due_ns += load->gap_ns;
	}
}

static struct unary *unary_all(struct load *load)
{
	struct unary *all = calloc(load->options->in_flight, sizeof *all);
	load->idle = calloc(load->options->in_flight, sizeof(struct unary *));
	if (!all || !load->idle) {
		free(all);
		return NULL;
	}
	for (unsigned i = 0; i < load->options->in_flight; i++) {
		all[i].done = unary_done;
		all[i].index = i;
		if (load->options->rate > 0)
			load->idle[load->idle_count++] = &all[i];
		else
			unary_start(load, &all[i], clock_monotonic_ns());
	}
	return all;
}

/* --- streams: a window of messages in flight, answers counted as they come --- */

struct stream;
struct stream_tag {
	void (*done)(struct load *load, void *self, bool ok);
	struct stream *stream;
};

struct stream {
	struct stream_tag sent, received, ended;
	grpc_call *call;
	grpc_byte_buffer *answer;
	struct ending ending;
	uint64_t *sent_ns; /* ring of in_flight send times */
	uint64_t sent_count, done_count; /* messages */
	uint64_t answered_units;
	bool sending, closed;
};

static void stream_send(struct load *load, struct stream *stream)
{
	grpc_op op;
	bool over = clock_monotonic_ns() >= load->stop_ns ||
		    (load->options->messages && load->number >= load->options->messages);
	if (stream->sending || stream->closed ||
	    (!over && stream->sent_count - stream->done_count >= load->options->in_flight))
		return;
	memset(&op, 0, sizeof op);
	grpc_byte_buffer *message = NULL;
	if (over) {
		op.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
		stream->closed = true;
	} else {
		op.op = GRPC_OP_SEND_MESSAGE;
		message = make_message(load);
		op.data.send_message.send_message = message;
		stream->sent_ns[stream->sent_count++ % load->options->in_flight] = clock_monotonic_ns();
	}
	stream->sending = true;
	if (grpc_call_start_batch(stream->call, &op, 1, &stream->sent, NULL) != GRPC_CALL_OK)
		abort();
	if (message)
		grpc_byte_buffer_destroy(message);
}

static void stream_receive(struct stream *stream)
{
	grpc_op op;
	memset(&op, 0, sizeof op);
	op.op = GRPC_OP_RECV_MESSAGE;
	op.data.recv_message.recv_message = &stream->answer;
	if (grpc_call_start_batch(stream->call, &op, 1, &stream->received, NULL) != GRPC_CALL_OK)
		abort();
}

static void stream_sent(struct load *load, void *self, bool ok)
{
	struct stream *stream = ((struct stream_tag *)self)->stream;
	stream->sending = false;
	if (ok)
		stream_send(load, stream);
}

static void stream_received(struct load *load, void *self, bool ok)
{
	struct stream *stream = ((struct stream_tag *)self)->stream;
	(void)ok;
	if (!stream->answer)
		return; /* the end; the status tells why */
	uint64_t now = clock_monotonic_ns();
	bool measured = now >= load->measure_from_ns;
	stream->answered_units += count_answer(load, stream->answer, measured);
	/* An answer to one message may come in several: a message is done when as many units are. */
	while (stream->done_count < stream->sent_count &&
	       stream->answered_units >= (stream->done_count + 1) * load->work->units_per_message) {
		uint64_t sent_ns = stream->sent_ns[stream->done_count++ % load->options->in_flight];
		if (measured)
			histogram_add(&load->result->latency, now - sent_ns);
	}
	grpc_byte_buffer_destroy(stream->answer);
	stream->answer = NULL;
	stream_receive(stream);
	stream_send(load, stream);
}

static void stream_ended(struct load *load, void *self, bool ok)
{
	struct stream *stream = ((struct stream_tag *)self)->stream;
	(void)ok;
	load->running--;
	stream->closed = true;
	if (stream->ending.status != GRPC_STATUS_OK)
		count_error(load, stream->ending.status, &stream->ending.details);
}

static void stream_start(struct load *load, struct stream *stream, unsigned index)
{
	grpc_op ops[3];
	memset(ops, 0, sizeof ops);
	stream->sent = (struct stream_tag){ stream_sent, stream };
	stream->received = (struct stream_tag){ stream_received, stream };
	stream->ended = (struct stream_tag){ stream_ended, stream };
	ending_init(&stream->ending);
	stream->call = new_call(load, index);
	load->running++;
	ops[0].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
	ops[0].data.recv_status_on_client.trailing_metadata = &stream->ending.trailing;
	ops[0].data.recv_status_on_client.status = &stream->ending.status;
	ops[0].data.recv_status_on_client.status_details = &stream->ending.details;
	if (grpc_call_start_batch(stream->call, ops, 1, &stream->ended, NULL) != GRPC_CALL_OK)
		abort();
	ops[0] = (grpc_op){ .op = GRPC_OP_SEND_INITIAL_METADATA };
	ops[1] = (grpc_op){ .op = GRPC_OP_RECV_INITIAL_METADATA };
	ops[1].data.recv_initial_metadata.recv_initial_metadata = &stream->ending.initial;
	stream->sending = true;
	if (grpc_call_start_batch(stream->call, ops, 2, &stream->sent, NULL) != GRPC_CALL_OK)
		abort();
	stream_receive(stream);
}

static struct stream *stream_all(struct load *load)
{
	struct stream *all = calloc(load->options->streams, sizeof *all);
	if (!all)
		return NULL;
	for (unsigned i = 0; i < load->options->streams; i++) {
		all[i].sent_ns = calloc(load->options->in_flight, sizeof(uint64_t));
		if (!all[i].sent_ns)
			abort(); /* a load generator without memory has nothing to say */
		stream_start(load, &all[i], i);
	}
	return all;
}

static void stream_all_free(struct load *load, struct stream *all)
{
	for (unsigned i = 0; all && i < load->options->streams; i++) {
		grpc_call_unref(all[i].call);
		ending_fini(&all[i].ending);
		free(all[i].sent_ns);
	}
	free(all);
}

/* --- */

static int connect_all(struct load *load, struct error *err)
{
	grpc_channel_credentials *insecure = grpc_insecure_credentials_create();
	grpc_arg args[] = {
		/* without it C core shares one TCP connection among channels of equal arguments */
		{ .type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, .value.integer = 1 },
		{ .type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, .value.integer = -1 },
		{ .type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_ENABLE_RETRIES, .value.integer = 0 },
	};
	grpc_channel_args channel_args = { sizeof args / sizeof args[0], args };
	int code = 0;
	for (unsigned i = 0; i < load->options->connections; i++) {
		load->channels[i] = grpc_channel_create(load->options->target, insecure, &channel_args);
		gpr_timespec until = gpr_time_add(gpr_now(GPR_CLOCK_REALTIME), gpr_time_from_seconds(5, GPR_TIMESPAN));
		grpc_connectivity_state state;
		while ((state = grpc_channel_check_connectivity_state(load->channels[i], 1)) != GRPC_CHANNEL_READY) {
			grpc_channel_watch_connectivity_state(load->channels[i], state, until, load->queue, NULL);
			grpc_event event =
				grpc_completion_queue_next(load->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
			if (!event.success || state == GRPC_CHANNEL_TRANSIENT_FAILURE) {
				code = error_set(err, E_UNAVAILABLE, "cannot reach %s: is the server running?",
						 load->options->target);
				break;
			}
		}
		if (code)
			break;
	}
	grpc_channel_credentials_release(insecure);
	return code;
}

/* Open loop: C core rounds a wait up to whole milliseconds, which would start calls late; so it is asked without waiting, and short naps come between. */
#define NAP_NS UINT64_C(50000)

static void nap_until_due(const struct load *load)
{
	uint64_t now = clock_monotonic_ns();
	uint64_t wait_ns = load->idle_count > 0 && load->next_due_ns > now ? load->next_due_ns - now : NAP_NS;
	struct timespec nap = { .tv_nsec = (long)(wait_ns < NAP_NS ? wait_ns : NAP_NS) };
	nanosleep(&nap, NULL);
}

/* Until every call that was started has ended. */
static void drive(struct load *load)
{
	bool open_loop = load->options->rate > 0;
	while (load->running > 0 || (open_loop && load->next_due_ns < load->stop_ns)) {
		if (open_loop)
			start_due(load);
		grpc_event event = grpc_completion_queue_next(
			load->queue, open_loop ? gpr_time_0(GPR_CLOCK_MONOTONIC) : gpr_inf_future(GPR_CLOCK_MONOTONIC),
			NULL);
		if (event.type == GRPC_OP_COMPLETE)
			((struct stream_tag *)event.tag)->done(load, event.tag, event.success != 0);
		else if (open_loop)
			nap_until_due(load);
	}
}

static void close_all(struct load *load)
{
	for (unsigned i = 0; i < load->options->connections; i++)
		if (load->channels[i])
			grpc_channel_destroy(load->channels[i]);
	grpc_completion_queue_shutdown(load->queue);
	while (grpc_completion_queue_next(load->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).type !=
	       GRPC_QUEUE_SHUTDOWN)
		continue;
	grpc_completion_queue_destroy(load->queue);
	grpc_slice_unref(load->method);
}

int load_run(const struct load_options *options, const struct load_work *work, struct load_result *result,
	     struct error *err)
{
	struct load load = { .options = options, .work = work, .result = result };
	memset(result, 0, sizeof *result);
	grpc_init();
	load.queue = grpc_completion_queue_create_for_next(NULL);
	load.method = grpc_slice_from_copied_string(work->method);
	load.channels = calloc(options->connections, sizeof *load.channels);
	load.buffer = malloc(LOAD_MESSAGE_MAX);
	int code = load.channels && load.buffer ? connect_all(&load, err)
						: error_set(err, E_EXHAUSTED, "no memory for the load generator");
	if (code == 0) {
		uint64_t now = clock_monotonic_ns();
		load.measure_from_ns = now + (uint64_t)(options->warmup_s * (double)SECOND_NS);
		load.stop_ns = load.measure_from_ns + (uint64_t)(options->seconds * (double)SECOND_NS);
		if (options->rate > 0) {
			load.gap_ns = (uint64_t)((double)SECOND_NS / options->rate);
			load.next_due_ns = now;
		}
		struct unary *unary = options->streams ? NULL : unary_all(&load);
		struct stream *streams = options->streams ? stream_all(&load) : NULL;
		drive(&load);
		uint64_t end = clock_monotonic_ns();
		result->seconds = (double)(end - load.measure_from_ns) / (double)SECOND_NS;
		stream_all_free(&load, streams);
		free(unary);
	}
	close_all(&load);
	free(load.idle);
	free(load.channels);
	free(load.buffer);
	grpc_shutdown();
	return code;
}
