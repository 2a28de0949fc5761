/* Unary calls: a slot is one call after the other. */
#include "bench/load_private.h"
#include "common/clock.h"

#include <grpc/byte_buffer.h>
#include <grpc/support/time.h>
#include <stdlib.h>
#include <string.h>

struct load_unary {
	struct load_tag tag; /* first */
	unsigned index, kind;
	uint64_t due_ns;
	grpc_call *call;
	grpc_byte_buffer *answer;
	struct load_ending ending;
};

static void start(struct load *load, struct load_unary *unary, uint64_t due_ns)
{
	gpr_timespec deadline = gpr_inf_future(GPR_CLOCK_REALTIME);
	grpc_byte_buffer *message = load_message(load, &unary->kind);
	grpc_op ops[6];
	memset(ops, 0, sizeof ops);
	if (load->options->deadline_ms)
		deadline = gpr_time_add(gpr_now(GPR_CLOCK_REALTIME),
					gpr_time_from_millis(load->options->deadline_ms, GPR_TIMESPAN));
	unary->due_ns = due_ns;
	unary->answer = NULL;
	load_ending_init(&unary->ending);
	unary->call = load_call(load, unary->index, unary->kind, deadline);
	ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[1].op = GRPC_OP_SEND_MESSAGE;
	ops[1].data.send_message.send_message = message;
	ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
	ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
	ops[3].data.recv_initial_metadata.recv_initial_metadata = &unary->ending.initial;
	ops[4].op = GRPC_OP_RECV_MESSAGE;
	ops[4].data.recv_message.recv_message = &unary->answer;
	ops[5] = load_ending_op(&unary->ending);
	load_batch(unary->call, ops, 6, unary);
	grpc_byte_buffer_destroy(message);
	load->running++;
}

static void on_done(struct load *load, void *self, bool ok)
{
	struct load_unary *unary = self;
	uint64_t now_ns = clock_monotonic_ns();
	(void)ok; /* the status tells */
	load->running--;
	if (load_was_cancelled(load, &unary->ending)) {
		load->result->unanswered++;
	} else if (unary->ending.status != GRPC_STATUS_OK) {
		load_count_error(load, unary->kind, &unary->ending);
	} else {
		struct load_units units =
			load_count_answer(load, unary->kind, unary->answer, load_measured(load, unary->due_ns));
		if (!load_units_failed(units))
			load_count_latency(load, unary->kind, unary->due_ns, now_ns);
	}
	grpc_call_unref(unary->call);
	unary->call = NULL;
	load_ending_fini(&unary->ending);
	if (unary->answer)
		grpc_byte_buffer_destroy(unary->answer);
	if (load_is_open(load))
		load->idle[load->idle_count++] = unary;
	else if (now_ns < load->stop_ns)
		start(load, unary, now_ns);
}

bool load_unary_start(struct load *load)
{
	unsigned count = load->options->in_flight;
	load->unary = calloc(count, sizeof *load->unary);
	load->idle = calloc(count, sizeof(struct load_unary *));
	if (!load->unary || !load->idle)
		return false;
	for (unsigned i = 0; i < count; i++) {
		struct load_unary *unary = &load->unary[i];
		unary->tag.done = on_done;
		unary->index = i;
		if (load_is_open(load))
			load->idle[load->idle_count++] = unary;
		else
			start(load, unary, clock_monotonic_ns());
	}
	return true;
}

bool load_unary_more(const struct load *load)
{
	return !load->cancelled && schedule_due_ns(&load->schedule, load->number) < load->stop_ns;
}

uint64_t load_unary_due_ns(const struct load *load)
{
	return load->idle_count && load_unary_more(load) ? schedule_due_ns(&load->schedule, load->number) : UINT64_MAX;
}

void load_unary_turn(struct load *load)
{
	uint64_t now_ns = clock_monotonic_ns(), due_ns;
	while ((due_ns = load_unary_due_ns(load)) <= now_ns)
		start(load, load->idle[--load->idle_count], due_ns);
}

void load_unary_cancel(struct load *load)
{
	for (unsigned i = 0; i < load->options->in_flight; i++)
		if (load->unary[i].call)
			grpc_call_cancel(load->unary[i].call, NULL);
}

void load_unary_fini(struct load *load)
{
	free(load->unary);
	free(load->idle);
}
