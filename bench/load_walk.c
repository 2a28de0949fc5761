/*
 * Server streams: one message begins a walk, answers come until it ends, and then it begins again. When
 * the time is over, what is under way is cancelled. Closed loop only: how fast answers come is the
 * server's business.
 */
#include "bench/load_private.h"
#include "common/clock.h"

#include <grpc/byte_buffer.h>
#include <grpc/support/time.h>
#include <stdlib.h>
#include <string.h>

struct walk_tag {
	struct load_tag tag; /* first */
	struct load_walk *walk;
};

struct load_walk {
	struct walk_tag begun, received, ended;
	unsigned index, pending; /* pending: batches of the call whose tags are still to come */
	grpc_call *call;
	grpc_byte_buffer *answer;
	struct load_ending ending;
	uint64_t begin_ns;
	struct load_units units; /* that came */
	bool cancelled;
};

static void batch(struct load_walk *walk, const grpc_op *ops, size_t count, struct walk_tag *tag)
{
	walk->pending++;
	load_batch(walk->call, ops, count, tag);
}

static void receive(struct load_walk *walk)
{
	grpc_op op;
	memset(&op, 0, sizeof op);
	op.op = GRPC_OP_RECV_MESSAGE;
	op.data.recv_message.recv_message = &walk->answer;
	batch(walk, &op, 1, &walk->received);
}

static void begin(struct load *load, struct load_walk *walk)
{
	grpc_op ops[4];
	unsigned kind;
	grpc_byte_buffer *message = load_message(load, &kind);
	memset(ops, 0, sizeof ops);
	load_ending_init(&walk->ending);
	walk->begin_ns = clock_monotonic_ns();
	/* a server that says nothing any more is not waited for */
	gpr_timespec deadline =
		gpr_time_add(gpr_now(GPR_CLOCK_REALTIME),
			     gpr_time_from_nanos((int64_t)(load->cancel_ns - walk->begin_ns), GPR_TIMESPAN));
	walk->call = load_call(load, walk->index, 0, deadline);
	walk->cancelled = false;
	walk->units = (struct load_units){ 0 };
	load->running++;
	ops[0] = load_ending_op(&walk->ending);
	batch(walk, ops, 1, &walk->ended);
	ops[0] = (grpc_op){ .op = GRPC_OP_SEND_INITIAL_METADATA };
	ops[1] = (grpc_op){ .op = GRPC_OP_SEND_MESSAGE };
	ops[1].data.send_message.send_message = message;
	ops[2] = (grpc_op){ .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT };
	ops[3] = (grpc_op){ .op = GRPC_OP_RECV_INITIAL_METADATA };
	ops[3].data.recv_initial_metadata.recv_initial_metadata = &walk->ending.initial;
	batch(walk, ops, 4, &walk->begun);
	receive(walk);
	grpc_byte_buffer_destroy(message);
}

static void drop(struct load_walk *walk)
{
	if (!walk->call)
		return;
	grpc_call_unref(walk->call);
	load_ending_fini(&walk->ending);
	walk->call = NULL;
}

/* One of the call's batches is done. After the last the walk is over; one that went well, in time, begins again. */
static void batch_done(struct load *load, struct load_walk *walk)
{
	if (--walk->pending)
		return;
	uint64_t now_ns = clock_monotonic_ns();
	bool good = walk->ending.status == GRPC_STATUS_OK;
	if (good && !load_units_failed(walk->units))
		load_count_latency(load, 0, walk->begin_ns, now_ns);
	else if (!good && !walk->cancelled)
		load_stream_broke(load, &walk->ending);
	load->running--;
	drop(walk);
	if (good && now_ns < load->stop_ns)
		begin(load, walk);
}

static void on_begun_or_ended(struct load *load, void *self, bool ok)
{
	(void)ok;
	batch_done(load, ((struct walk_tag *)self)->walk);
}

static void cancel(struct load_walk *walk)
{
	walk->cancelled = true;
	grpc_call_cancel(walk->call, NULL);
}

static void on_received(struct load *load, void *self, bool ok)
{
	struct load_walk *walk = ((struct walk_tag *)self)->walk;
	(void)ok;
	if (walk->answer) {
		uint64_t now_ns = clock_monotonic_ns();
		struct load_units units = load_count_answer(load, 0, walk->answer, load_measured(load, now_ns));
		walk->units.answered += units.answered;
		walk->units.good += units.good;
		grpc_byte_buffer_destroy(walk->answer);
		walk->answer = NULL;
		receive(walk);
		if (now_ns >= load->stop_ns && !walk->cancelled)
			cancel(walk);
	}
	batch_done(load, walk);
}

bool load_walk_start(struct load *load)
{
	load->walks = calloc(load->options->streams, sizeof *load->walks);
	for (unsigned i = 0; load->walks && i < load->options->streams; i++) {
		struct load_walk *walk = &load->walks[i];
		walk->index = i;
		walk->begun = (struct walk_tag){ { on_begun_or_ended }, walk };
		walk->received = (struct walk_tag){ { on_received }, walk };
		walk->ended = (struct walk_tag){ { on_begun_or_ended }, walk };
		begin(load, walk);
	}
	return load->walks != NULL;
}

void load_walk_cancel(struct load *load)
{
	for (unsigned i = 0; i < load->options->streams; i++)
		if (load->walks[i].call && !load->walks[i].cancelled)
			cancel(&load->walks[i]);
}

void load_walk_fini(struct load *load)
{
	for (unsigned i = 0; load->walks && i < load->options->streams; i++)
		drop(&load->walks[i]);
	free(load->walks);
}
