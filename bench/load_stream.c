/*
 * Streams: a window of messages in flight on each, answers counted as they come. In an open loop
 * message n of all is the (n / streams)th of stream n mod streams, so that each stream has a schedule
 * of its own.
 */
#include "bench/load_private.h"
#include "common/clock.h"

#include <grpc/byte_buffer.h>
#include <grpc/support/time.h>
#include <stdlib.h>
#include <string.h>

struct stream_tag {
	struct load_tag tag; /* first */
	struct load_stream *stream;
};

struct load_stream {
	struct stream_tag sent, received, ended;
	unsigned index;
	grpc_call *call;
	grpc_byte_buffer *answer;
	struct load_ending ending;
	uint64_t *due_ns; /* ring of in_flight times */
	uint64_t sent_count, done_count; /* messages */
	uint64_t answered_units;
	bool good; /* of the message that is next to be done, some units that came were */
	bool sending, closed;
};

/* When its next message is due; a closed loop's at once. */
static uint64_t next_due_ns(const struct load *load, const struct load_stream *stream)
{
	return load_is_open(load)
		       ? schedule_due_ns(&load->schedule, stream->sent_count * load->options->streams + stream->index)
		       : 0;
}

static bool window_full(const struct load *load, const struct load_stream *stream)
{
	return stream->sent_count - stream->done_count >= load->options->in_flight;
}

static void send_next(struct load *load, struct load_stream *stream)
{
	uint64_t now_ns = clock_monotonic_ns(), due_ns = next_due_ns(load, stream);
	grpc_byte_buffer *message = NULL;
	grpc_op op;
	unsigned kind;
	bool last = (load_is_open(load) ? due_ns : now_ns) >= load->stop_ns;
	if (stream->sending || stream->closed || (!last && (due_ns > now_ns || window_full(load, stream))))
		return;
	memset(&op, 0, sizeof op);
	if (last) {
		op.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
		stream->closed = true;
	} else {
		op.op = GRPC_OP_SEND_MESSAGE;
		message = load_message(load, &kind);
		op.data.send_message.send_message = message;
		stream->due_ns[stream->sent_count++ % load->options->in_flight] = load_is_open(load) ? due_ns : now_ns;
	}
	stream->sending = true;
	load_batch(stream->call, &op, 1, &stream->sent);
	if (message)
		grpc_byte_buffer_destroy(message);
}

static void receive(struct load_stream *stream)
{
	grpc_op op;
	memset(&op, 0, sizeof op);
	op.op = GRPC_OP_RECV_MESSAGE;
	op.data.recv_message.recv_message = &stream->answer;
	load_batch(stream->call, &op, 1, &stream->received);
}

static void on_sent(struct load *load, void *self, bool ok)
{
	struct load_stream *stream = ((struct stream_tag *)self)->stream;
	stream->sending = false;
	if (ok)
		send_next(load, stream);
}

static void on_received(struct load *load, void *self, bool ok)
{
	struct load_stream *stream = ((struct stream_tag *)self)->stream;
	uint64_t now_ns = clock_monotonic_ns();
	(void)ok;
	if (!stream->answer)
		return; /* the end; the status tells why */
	bool measured = stream->done_count < stream->sent_count &&
			load_measured(load, stream->due_ns[stream->done_count % load->options->in_flight]);
	struct load_units units = load_count_answer(load, 0, stream->answer, measured);
	stream->answered_units += units.answered;
	stream->good |= units.good > 0;
	/*
	 * An answer to one message may come in several, and to several in one: a message is done when
	 * as many units are.
	 */
	while (stream->done_count < stream->sent_count &&
	       stream->answered_units >= (stream->done_count + 1) * load->work->units_per_message) {
		uint64_t due_ns = stream->due_ns[stream->done_count++ % load->options->in_flight];
		if (stream->good)
			load_count_latency(load, 0, due_ns, now_ns);
		/* what is left of the answer is the next one's */
		stream->good =
			units.good > 0 && stream->answered_units > stream->done_count * load->work->units_per_message;
	}
	grpc_byte_buffer_destroy(stream->answer);
	stream->answer = NULL;
	receive(stream);
	send_next(load, stream);
}

static void on_ended(struct load *load, void *self, bool ok)
{
	struct load_stream *stream = ((struct stream_tag *)self)->stream;
	(void)ok;
	load->running--;
	stream->closed = true;
	if (load_was_cancelled(load, &stream->ending))
		load->result->unanswered += stream->sent_count - stream->done_count;
	else if (stream->ending.status != GRPC_STATUS_OK)
		load_stream_broke(load, &stream->ending);
}

static void start(struct load *load, struct load_stream *stream)
{
	grpc_op ops[2];
	memset(ops, 0, sizeof ops);
	stream->sent = (struct stream_tag){ { on_sent }, stream };
	stream->received = (struct stream_tag){ { on_received }, stream };
	stream->ended = (struct stream_tag){ { on_ended }, stream };
	load_ending_init(&stream->ending);
	stream->call = load_call(load, stream->index, 0, gpr_inf_future(GPR_CLOCK_REALTIME));
	load->running++;
	ops[0] = load_ending_op(&stream->ending);
	load_batch(stream->call, ops, 1, &stream->ended);
	ops[0] = (grpc_op){ .op = GRPC_OP_SEND_INITIAL_METADATA };
	ops[1] = (grpc_op){ .op = GRPC_OP_RECV_INITIAL_METADATA };
	ops[1].data.recv_initial_metadata.recv_initial_metadata = &stream->ending.initial;
	stream->sending = true;
	load_batch(stream->call, ops, 2, &stream->sent);
	receive(stream);
}

bool load_stream_start(struct load *load)
{
	unsigned count = load->options->streams;
	load->streams = calloc(count, sizeof *load->streams);
	for (unsigned i = 0; load->streams && i < count; i++) {
		load->streams[i].index = i;
		load->streams[i].due_ns = calloc(load->options->in_flight, sizeof(uint64_t));
		if (!load->streams[i].due_ns)
			return false;
	}
	for (unsigned i = 0; load->streams && i < count; i++)
		start(load, &load->streams[i]);
	return load->streams != NULL;
}

void load_stream_turn(struct load *load)
{
	for (unsigned i = 0; i < load->options->streams; i++)
		send_next(load, &load->streams[i]);
}

uint64_t load_stream_due_ns(const struct load *load)
{
	uint64_t first_ns = UINT64_MAX;
	for (unsigned i = 0; i < load->options->streams; i++) {
		const struct load_stream *stream = &load->streams[i];
		uint64_t due_ns = next_due_ns(load, stream);
		if (!stream->sending && !stream->closed && !window_full(load, stream) && due_ns < first_ns)
			first_ns = due_ns;
	}
	return first_ns;
}

void load_stream_cancel(struct load *load)
{
	for (unsigned i = 0; i < load->options->streams; i++) {
		load->streams[i].closed = true;
		grpc_call_cancel(load->streams[i].call, NULL);
	}
}

void load_stream_fini(struct load *load)
{
	for (unsigned i = 0; load->streams && i < load->options->streams; i++) {
		if (load->streams[i].call) {
			grpc_call_unref(load->streams[i].call);
			grpc_byte_buffer_destroy(load->streams[i].answer);
			load_ending_fini(&load->streams[i].ending);
		}
		free(load->streams[i].due_ns);
	}
	free(load->streams);
}
