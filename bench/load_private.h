/* What the modules of the load engine share: one run. */
#ifndef KINDRED_LOAD_PRIVATE_H
#define KINDRED_LOAD_PRIVATE_H

#include "bench/load.h"
#include "bench/schedule.h"

#include <grpc/grpc.h>
#include <stdbool.h>

struct load_unary;
struct load_stream;
struct load_walk;

/* What came of the calls of a kind, in the warm-up too. */
struct load_kind {
	bool answered; /* if only a part of a stream */
	bool mixed; /* errors of more than one status */
	bool given_up;
	grpc_status_code status; /* of the first error */
	uint64_t errors;
};

struct load {
	const struct load_options *options;
	const struct load_work *work;
	struct load_result *result;
	grpc_completion_queue *queue;
	struct {
		grpc_channel *channel;
		void *methods[LOAD_KINDS]; /* registered */
	} * connections;
	uint8_t *buffer; /* a message being made */
	uint64_t number; /* of the next message */
	uint64_t measure_from_ns, stop_ns; /* stop_ns 0: given up, nothing is sent any more */
	uint64_t cancel_ns; /* what is unanswered then is not waited for */
	bool cancelled, signalled;
	struct load_kind kinds[LOAD_KINDS];
	bool unit_error_told[UNIT_ERRORS];
	struct schedule schedule; /* open loop */
	unsigned running; /* calls */
	unsigned broken; /* streams that ended with an error */
	struct load_unary *unary;
	struct load_stream *streams;
	struct load_walk *walks;
	unsigned idle_count;
	struct load_unary **idle; /* open loop: slots without a call */
};

/* What every tag on the queue begins with; done() gets the tag. */
struct load_tag {
	void (*done)(struct load *load, void *self, bool ok);
};

/* What the metadata and status of one call are received into. */
struct load_ending {
	grpc_metadata_array initial, trailing;
	grpc_status_code status;
	grpc_slice details;
};
void load_ending_init(struct load_ending *ending);
void load_ending_fini(struct load_ending *ending);
/* The operation that receives it. */
grpc_op load_ending_op(struct load_ending *ending);

static inline bool load_is_open(const struct load *load)
{
	return load->options->rate > 0;
}
/* Whether what was due, or sent, at that time counts. */
static inline bool load_measured(const struct load *load, uint64_t due_ns)
{
	return due_ns >= load->measure_from_ns && due_ns < load->stop_ns;
}

/* The next message, for grpc_byte_buffer_destroy. */
grpc_byte_buffer *load_message(struct load *load, unsigned *kind);
/* Counts the units of an answer. */
struct load_units load_count_answer(struct load *load, unsigned kind, grpc_byte_buffer *answer, bool measured);
void load_count_latency(struct load *load, unsigned kind, uint64_t due_ns, uint64_t now_ns);
void load_count_error(struct load *load, unsigned kind, const struct load_ending *ending);
void load_stream_broke(struct load *load, const struct load_ending *ending);
/* Whether it ended because it was not waited for any more: that is no error. */
static inline bool load_was_cancelled(const struct load *load, const struct load_ending *ending)
{
	return load->cancelled && ending->status == GRPC_STATUS_CANCELLED;
}
grpc_call *load_call(struct load *load, unsigned connection, unsigned kind, gpr_timespec deadline);
void load_batch(grpc_call *call, const grpc_op *ops, size_t count, void *tag);

/*
 * All three start all that a closed loop has in flight; false: no memory. The open loop's turn starts
 * all that is due.
 */
bool load_unary_start(struct load *load);
void load_unary_turn(struct load *load);
/* When the next call is due that could start now; UINT64_MAX: none before an answer comes. */
uint64_t load_unary_due_ns(const struct load *load);
bool load_unary_more(const struct load *load);
void load_unary_cancel(struct load *load);
void load_unary_fini(struct load *load);

bool load_stream_start(struct load *load);
void load_stream_turn(struct load *load);
uint64_t load_stream_due_ns(const struct load *load);
void load_stream_cancel(struct load *load);
void load_stream_fini(struct load *load);

bool load_walk_start(struct load *load);
/* Those under way; that is no error of theirs. */
void load_walk_cancel(struct load *load);
void load_walk_fini(struct load *load);

#endif
