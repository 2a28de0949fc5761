/*
 * The load engine: keeps gRPC calls in flight on C core and measures them. One thread, one completion queue.
 *
 * Closed loop: `in_flight` calls (of a stream: messages) at any time; the next starts when one ends. It
 * says how fast things can go. Open loop (rate > 0): calls or messages are due at fixed times
 * (bench/schedule.h) and are measured from when they were due, not from when a free slot let them
 * start, so that a server that stalls cannot hide it. It says what latency is at that rate.
 *
 * What is due before the measured part is the warm-up; it is sent, and counts only as work that CPU time was spent on.
 *
 * Errors are counted, and the load goes on: how a server refuses is what some look for. Where nothing but one error
 * that repeating does not heal has come back from a hundred calls of a kind (no such definition, no model yet), it is
 * given up. A stream that ended with an error is not begun again.
 *
 * Deep queues, and a server that hangs, would keep it for long after its time. So what is not answered LOAD_GRACE_S
 * later is cancelled. It is neither answered nor an error: it is counted apart, in no rate and no percentile. Of an
 * open loop, what was due and could not even be sent is counted there too.
 *
 * A signal (bench/interrupt.h) is as if the time were over: in an open loop nothing that is due later was missed.
 *
 * Modules: load.c (channels, the loop), load_unary.c, load_stream.c, load_walk.c.
 */
#ifndef KINDRED_LOAD_H
#define KINDRED_LOAD_H

#include "bench/histogram.h"
#include "bench/series.h"
#include "bench/unit_errors.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOAD_MESSAGE_MAX (4u << 20)
#define LOAD_GRACE_S 5 /* for answers after the time is over; of calls with a deadline, behind it */
#define LOAD_KINDS 2

/* What an answer holds: units of work (users, events) that it speaks of, and those of them that went well. */
struct load_units {
	uint64_t answered, good;
};
/* Nothing of it went well: how soon it came says as little as of a call that failed. */
static inline bool load_units_failed(struct load_units units)
{
	return units.answered > 0 && units.good == 0;
}

/* What is sent. */
struct load_work {
	/* "/kindred.v1.RecommendationService/Recommend"; NULL: no such kind. Streams have the first only */
	const char *methods[LOAD_KINDS];
	/*
	 * Writes message `number` (from 0) into buffer, of LOAD_MESSAGE_MAX bytes, and says which kind
	 * it is. Returns its bytes.
	 */
	size_t (*make)(void *context, uint64_t number, unsigned *kind, uint8_t *buffer);
	struct load_units (*count)(void *context, unsigned kind, const uint8_t *answer, size_t bytes,
				   struct unit_errors *errors);
	void *context;
	uint64_t units_per_message; /* streams: a message is answered when as many units are */
	/*
	 * the streams are the server's: a message each, which is answered until the stream ends, again
	 * and again
	 */
	bool walks;
};

struct load_options {
	const char *target; /* host:port */
	unsigned connections; /* channels; each its own TCP connection */
	unsigned in_flight; /* unary: calls at once in all; bidi stream: messages at once a stream */
	unsigned streams; /* 0: unary; else this many streams */
	double rate; /* calls, or messages of all streams, a second; 0: closed loop */
	double warmup_s, seconds;
	unsigned deadline_ms; /* of a unary call; 0: none */
	/* Called when the measured part is about to begin and when its end is known; may be NULL. */
	void (*on_start)(void *context, uint64_t measure_from_ns, uint64_t stop_ns);
	void *context;
};

struct load_result {
	/*
	 * unary: a call; stream: a message, until as many units as it has are answered; a whole walk. Not those of
	 * whose units none was good
	 */
	struct histogram latency[LOAD_KINDS];
	struct series series; /* the first kind's, over time */
	uint64_t calls[LOAD_KINDS]; /* in latency */
	uint64_t units; /* good ones */
	uint64_t all_units; /* good ones, with the warm-up: what CPU time over the whole run is divided by */
	uint64_t errors[17]; /* calls by gRPC status, 16 and above in the last; in the warm-up too */
	uint64_t unanswered; /* calls, of streams messages, that were cancelled at last; in the warm-up too */
	uint64_t bad_units; /* answered, but not good: refused events, users with an error */
	struct unit_errors unit_errors; /* what was said of these */
	bool interrupted; /* before the time was over */
	double seconds; /* of the measured part, until its last answer, or until it was not waited for */
};

/*
 * Runs it. *result is filled (large: keep it off the stack; load_result_fini in any case).
 * E_UNAVAILABLE when the target cannot be reached. An error that repeating does not heal, when it is all that came
 * back; *result is of no use then. The first error of each status, of calls and of units, is shown on stderr.
 */
int load_run(const struct load_options *options, const struct load_work *work, struct load_result *result,
	     struct error *err);
void load_result_fini(struct load_result *result);

#endif
