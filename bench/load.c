#include "bench/interrupt.h"
#include "bench/load_private.h"
#include "bench/wait.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/rpc/client.h"
#include "common/slice.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define SECOND_NS UINT64_C(1000000000)

void load_ending_init(struct load_ending *ending)
{
	grpc_metadata_array_init(&ending->initial);
	grpc_metadata_array_init(&ending->trailing);
	ending->details = grpc_empty_slice();
}

void load_ending_fini(struct load_ending *ending)
{
	grpc_metadata_array_destroy(&ending->initial);
	grpc_metadata_array_destroy(&ending->trailing);
	grpc_slice_unref(ending->details);
}

grpc_op load_ending_op(struct load_ending *ending)
{
	grpc_op op = { .op = GRPC_OP_RECV_STATUS_ON_CLIENT };
	op.data.recv_status_on_client.trailing_metadata = &ending->trailing;
	op.data.recv_status_on_client.status = &ending->status;
	op.data.recv_status_on_client.status_details = &ending->details;
	return op;
}

grpc_byte_buffer *load_message(struct load *load, unsigned *kind)
{
	*kind = 0;
	size_t bytes = load->work->make(load->work->context, load->number++, kind, load->buffer);
	grpc_slice slice = grpc_slice_from_copied_buffer((const char *)load->buffer, bytes);
	grpc_byte_buffer *message = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_slice_unref(slice);
	return message;
}

static void tell_unit_errors(struct load *load)
{
	const struct unit_errors *errors = &load->result->unit_errors;
	for (unsigned i = 0; i < UNIT_ERRORS; i++) {
		if (!errors->counts[i] || load->unit_error_told[i])
			continue;
		load->unit_error_told[i] = true;
		fprintf(stderr, "kindred-bench: first %s %s: %s\n",
			unit_error_is_event(i) ? "event" : "error of a user", unit_error_name(i),
			errors->first[i].text);
	}
}

struct load_units load_count_answer(struct load *load, unsigned kind, grpc_byte_buffer *answer, bool measured)
{
	grpc_byte_buffer_reader reader;
	load->kinds[kind].answered = true;
	if (!answer || !grpc_byte_buffer_reader_init(&reader, answer))
		return (struct load_units){ 0 };
	grpc_slice all = grpc_byte_buffer_reader_readall(&reader);
	struct load_units units = load->work->count(load->work->context, kind, GRPC_SLICE_START_PTR(all),
						    GRPC_SLICE_LENGTH(all), &load->result->unit_errors);
	grpc_slice_unref(all);
	grpc_byte_buffer_reader_destroy(&reader);
	load->result->all_units += units.good;
	load->result->bad_units += units.answered - units.good;
	if (units.good < units.answered)
		tell_unit_errors(load);
	if (measured)
		load->result->units += units.good;
	return units;
}

void load_count_latency(struct load *load, unsigned kind, uint64_t due_ns, uint64_t now_ns)
{
	if (!load_measured(load, due_ns))
		return;
	histogram_add(&load->result->latency[kind], now_ns - due_ns);
	load->result->calls[kind]++;
	if (kind == 0)
		series_add(&load->result->series, due_ns, now_ns - due_ns);
}

/* Fewer may be bad luck: a user's id that is not valid, a worker that has only begun. */
#define GIVE_UP_ERRORS 100

/* Whether nothing came back but one error, and one that any further call ends with too. */
static bool in_vain(const struct load_kind *kind)
{
	if (kind->answered || kind->mixed)
		return false;
	switch (kind->status) {
	case GRPC_STATUS_INVALID_ARGUMENT:
	case GRPC_STATUS_NOT_FOUND:
	case GRPC_STATUS_PERMISSION_DENIED:
	case GRPC_STATUS_FAILED_PRECONDITION:
	case GRPC_STATUS_OUT_OF_RANGE:
	case GRPC_STATUS_UNIMPLEMENTED:
	case GRPC_STATUS_UNAUTHENTICATED:
		return true;
	default: /* a full or stopped server is what a load is for */
		return false;
	}
}

static const char *hint(grpc_status_code status)
{
	return status == GRPC_STATUS_NOT_FOUND       ? " (what is asked for: --definition, --catalog)"
	       : status == GRPC_STATUS_UNIMPLEMENTED ? " (--server is no Kindred, or an older one)"
						     : "";
}

void load_count_error(struct load *load, unsigned kind, const struct load_ending *ending)
{
	struct load_kind *calls = &load->kinds[kind];
	unsigned status = (unsigned)ending->status < 16 ? (unsigned)ending->status : 16;
	if (load->result->errors[status]++ == 0)
		fprintf(stderr, "kindred-bench: first error %s: %.*s%s\n",
			error_name(error_from_grpc_status((int)ending->status)),
			(int)GRPC_SLICE_LENGTH(ending->details), (const char *)GRPC_SLICE_START_PTR(ending->details),
			hint(ending->status));
	if (calls->errors++ == 0)
		calls->status = ending->status;
	calls->mixed |= calls->status != ending->status;
	if (calls->errors == GIVE_UP_ERRORS && in_vain(calls)) {
		calls->given_up = true;
		load->stop_ns = load->cancel_ns = 0;
	}
}

void load_stream_broke(struct load *load, const struct load_ending *ending)
{
	load->broken++;
	load_count_error(load, 0, ending);
}

/* Streams that fail end by themselves, and a slow load may end before it is given up: then no call was answered. */
static int verdict(const struct load *load, struct error *err)
{
	bool answered = load->kinds[0].answered || load->kinds[1].answered;
	for (unsigned i = 0; i < LOAD_KINDS; i++) {
		const struct load_kind *calls = &load->kinds[i];
		int code = error_from_grpc_status((int)calls->status);
		if (calls->given_up || (!answered && in_vain(calls)))
			return error_set(err, code,
					 "given up: no call of %s was answered; %" PRIu64
					 " ended with %s, as others would; the first %s above says why",
					 load->work->methods[i], calls->errors, error_name(code), error_name(code));
	}
	return 0;
}

grpc_call *load_call(struct load *load, unsigned connection, unsigned kind, gpr_timespec deadline)
{
	unsigned at = connection % load->options->connections;
	return grpc_channel_create_registered_call(load->connections[at].channel, NULL, GRPC_PROPAGATE_DEFAULTS,
						   load->queue, load->connections[at].methods[kind], deadline, NULL);
}

void load_batch(grpc_call *call, const grpc_op *ops, size_t count, void *tag)
{
	if (grpc_call_start_batch(call, ops, count, tag, NULL) != GRPC_CALL_OK)
		abort(); /* our own bug: the batches are the same every time */
}

static grpc_channel *make_channel(const char *target)
{
	grpc_arg args[] = {
		/* without it C core shares one TCP connection among channels of equal arguments */
		{ .type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, .value.integer = 1 },
		{ .type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, .value.integer = -1 },
		/* a retry would hide an error */
		{ .type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_ENABLE_RETRIES, .value.integer = 0 },
	};
	grpc_channel_args channel_args = { sizeof args / sizeof args[0], args };
	grpc_channel_credentials *insecure = grpc_insecure_credentials_create();
	grpc_channel *channel = grpc_channel_create(target, insecure, &channel_args);
	grpc_channel_credentials_release(insecure);
	return channel;
}

#define CONNECT_TRIES 2 /* a second apart: one that fails may be chance, or a server that is about to listen */

static bool wait_connected(struct load *load, grpc_channel *channel)
{
	gpr_timespec until = gpr_time_add(gpr_now(GPR_CLOCK_REALTIME), gpr_time_from_seconds(5, GPR_TIMESPAN));
	grpc_connectivity_state state;
	unsigned failed = 0;
	while ((state = grpc_channel_check_connectivity_state(channel, 1)) != GRPC_CHANNEL_READY) {
		if (state == GRPC_CHANNEL_TRANSIENT_FAILURE && ++failed == CONNECT_TRIES)
			return false;
		grpc_channel_watch_connectivity_state(channel, state, until, load->queue, NULL);
		grpc_event event = grpc_completion_queue_next(load->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
		if (!event.success)
			return false;
	}
	return true;
}

static int connect_all(struct load *load, struct error *err)
{
	for (unsigned i = 0; i < load->options->connections; i++) {
		load->connections[i].channel = make_channel(load->options->target);
		for (unsigned kind = 0; kind < LOAD_KINDS; kind++)
			if (load->work->methods[kind])
				load->connections[i].methods[kind] = grpc_channel_register_call(
					load->connections[i].channel, load->work->methods[kind], NULL, NULL);
		if (!wait_connected(load, load->connections[i].channel))
			return error_set(err, E_UNAVAILABLE, "cannot reach %s: is the server running?%s",
					 load->options->target,
					 strchr(load->options->target, ':') ? "" : " The address is HOST:PORT");
	}
	return 0;
}

#define NAP_NS UINT64_C(50000)

/* Short, as answers may come meanwhile. */
static void nap_until(uint64_t due_ns)
{
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t nap_ns = due_ns > now_ns ? due_ns - now_ns : 0;
	struct timespec nap = { .tv_nsec = (long)(nap_ns < NAP_NS ? nap_ns : NAP_NS) };
	nanosleep(&nap, NULL);
}

/* The time is over with the signal, and nothing is waited for much longer; a walk, whose end may be far, not at all. */
static void heed_signal(struct load *load)
{
	if (load->signalled || !interrupt_signal())
		return;
	uint64_t now_ns = clock_monotonic_ns(), cancel_ns = now_ns + LOAD_GRACE_S * SECOND_NS;
	load->signalled = true;
	if (cancel_ns < load->cancel_ns)
		load->cancel_ns = cancel_ns;
	if (now_ns < load->stop_ns) {
		load->result->interrupted = true;
		load->stop_ns = now_ns;
		series_cut(&load->result->series, now_ns);
	}
	if (load->work->walks)
		load_walk_cancel(load);
}

/* Cancels what is under way, once its answers are not waited for any more. A walk has a deadline instead. */
static void cancel_late(struct load *load)
{
	if (load->cancelled || load->work->walks || clock_monotonic_ns() < load->cancel_ns)
		return;
	load->cancelled = true;
	(load->options->streams ? load_stream_cancel : load_unary_cancel)(load);
	if (load_is_open(load) && load->stop_ns)
		load->result->unanswered += schedule_count(&load->schedule, load->stop_ns) - load->number;
}

static gpr_timespec in_ns(uint64_t ns)
{
	return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos((int64_t)ns, GPR_TIMESPAN));
}

#define LOOK_UP_NS UINT64_C(100000000) /* for a signal, and for the end, on a server that says nothing */

static void drive_closed(struct load *load)
{
	gpr_timespec until = in_ns(LOOK_UP_NS);
	while (load->running > 0) {
		grpc_event event = grpc_completion_queue_next(load->queue, until, NULL);
		if (event.type == GRPC_OP_COMPLETE)
			((struct load_tag *)event.tag)->done(load, event.tag, event.success != 0);
		else
			until = in_ns(LOOK_UP_NS);
		heed_signal(load);
		cancel_late(load);
	}
}

/*
 * C core works on one connection's news a look, and asks epoll again once it has been through all that
 * epoll had. So to find nothing without having asked epoll mostly means that more is at hand; after so
 * many looks, that another thread waits in C core.
 */
#define LOOKS 32u

static void drive_open(struct load *load)
{
	bool streams = load->options->streams > 0;
	unsigned looks = 0;
	/* a wait is to end when it should, not up to 50 us later, and a call to start although others want the core */
	prctl(PR_SET_TIMERSLACK, 1ul);
	if (!streams)
		(void)slice_take(SLICE_SHORT);
	while (load->running > 0 || (!streams && load_unary_more(load))) {
		(streams ? load_stream_turn : load_unary_turn)(load);
		uint64_t due_ns = (streams ? load_stream_due_ns : load_unary_due_ns)(load);
		wait_begin(due_ns);
		grpc_event event = grpc_completion_queue_next(load->queue, gpr_time_0(GPR_CLOCK_MONOTONIC), NULL);
		bool waited = wait_end();
		looks = waited ? 0 : looks + 1;
		if (event.type == GRPC_OP_COMPLETE)
			((struct load_tag *)event.tag)->done(load, event.tag, event.success != 0);
		else if (looks > LOOKS)
			nap_until(due_ns);
		heed_signal(load);
		cancel_late(load);
	}
}

static bool start(struct load *load)
{
	if (load->work->walks)
		return load_walk_start(load);
	return load->options->streams ? load_stream_start(load) : load_unary_start(load);
}

static bool broke_off(const struct load *load)
{
	return load->options->streams && load->broken == load->options->streams;
}

/* All streams may have ended with errors before, even before the warm-up was over. */
static double measured_s(const struct load *load)
{
	uint64_t now_ns = clock_monotonic_ns();
	if (now_ns < load->stop_ns && !broke_off(load))
		now_ns = load->stop_ns; /* the last of an open loop is due, and answered, before */
	return (double)(now_ns > load->measure_from_ns ? now_ns - load->measure_from_ns : 1) / (double)SECOND_NS;
}

static int run(struct load *load, struct error *err)
{
	uint64_t now_ns = clock_monotonic_ns();
	load->measure_from_ns = now_ns + (uint64_t)(load->options->warmup_s * (double)SECOND_NS);
	load->stop_ns = load->measure_from_ns + (uint64_t)(load->options->seconds * (double)SECOND_NS);
	load->cancel_ns = load->stop_ns + LOAD_GRACE_S * SECOND_NS +
			  (load->options->streams ? 0 : load->options->deadline_ms * UINT64_C(1000000));
	load->schedule = (struct schedule){ .start_ns = now_ns, .rate = load->options->rate };
	if (series_init(&load->result->series, load->measure_from_ns, load->stop_ns))
		return error_set(err, E_EXHAUSTED, "no memory for the load generator");
	interrupt_watch();
	if (load->options->on_start)
		load->options->on_start(load->options->context, load->measure_from_ns, load->stop_ns);
	if (!start(load))
		return error_set(err, E_EXHAUSTED, "no memory for the load generator");
	(load_is_open(load) ? drive_open : drive_closed)(load);
	load->result->seconds = measured_s(load);
	int code = verdict(load, err);
	if (code == 0 && broke_off(load) && load->result->seconds < load->options->seconds)
		fprintf(stderr,
			"kindred-bench: all streams had ended with errors after %.1f s, and none is begun again\n",
			load->result->seconds);
	return code;
}

/* What came behind the end of a call, such as that no further message did: it is written where the call said. */
static void drain(struct load *load)
{
	grpc_completion_queue_shutdown(load->queue);
	while (grpc_completion_queue_next(load->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).type !=
	       GRPC_QUEUE_SHUTDOWN)
		continue;
}

static void close_all(struct load *load)
{
	for (unsigned i = 0; i < load->options->connections; i++)
		if (load->connections && load->connections[i].channel)
			grpc_channel_destroy(load->connections[i].channel);
	grpc_completion_queue_destroy(load->queue);
}

int load_run(const struct load_options *options, const struct load_work *work, struct load_result *result,
	     struct error *err)
{
	struct load load = { .options = options, .work = work, .result = result };
	memset(result, 0, sizeof *result);
	rpc_keep_memory();
	grpc_init();
	load.queue = grpc_completion_queue_create_for_next(NULL);
	load.connections = calloc(options->connections, sizeof *load.connections);
	load.buffer = malloc(LOAD_MESSAGE_MAX);
	int code = load.connections && load.buffer ? connect_all(&load, err)
						   : error_set(err, E_EXHAUSTED, "no memory for the load generator");
	if (code == 0)
		code = run(&load, err);
	drain(&load);
	load_walk_fini(&load);
	load_stream_fini(&load);
	load_unary_fini(&load);
	close_all(&load);
	free(load.connections);
	free(load.buffer);
	grpc_shutdown();
	return code;
}

void load_result_fini(struct load_result *result)
{
	series_fini(&result->series);
}
