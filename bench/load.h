/*
 * The load engine: keeps gRPC calls in flight on C core and measures them. One thread, one completion queue.
 *
 * Closed loop: `in_flight` calls at any time; the next starts when one ends. Open loop (rate > 0): calls are due at fixed
 * times; a call is measured from when it was due, not from when a free slot let it start, so that a server that stalls
 * cannot hide it (no coordinated omission).
 */
#ifndef KINDRED_LOAD_H
#define KINDRED_LOAD_H

#include "bench/histogram.h"
#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

/* What is sent. A message is written into buffer (of LOAD_MESSAGE_MAX bytes); number counts messages from 0. */
#define LOAD_MESSAGE_MAX (4u << 20)
struct load_work {
	const char *method; /* "/kindred.v1.RecommendationService/Recommend" */
	size_t (*make)(void *context, uint64_t number, uint8_t *buffer);
	/* Units of work (users, events) in an answer; called for every answer. */
	uint64_t (*count)(void *context, const uint8_t *answer, size_t bytes);
	void *context;
	uint64_t units_per_message; /* streams: a message is answered when as many units are */
};

struct load_options {
	const char *target; /* host:port */
	unsigned connections; /* channels; each its own TCP connection */
	unsigned in_flight; /* unary: calls at once in all; stream: messages at once a stream */
	unsigned streams; /* 0: unary; else this many bidi streams */
	double rate; /* unary calls a second; 0: closed loop */
	double warmup_s, seconds;
	uint64_t messages; /* stream: stop after this many messages; 0: by time */
};

struct load_result {
	struct histogram latency; /* unary: per call; stream: per message, from send until all its units are answered */
	uint64_t calls; /* answered OK after the warm-up; stream: answers */
	uint64_t units;
	uint64_t all_units; /* with the warm-up: what CPU time over the whole run is divided by */
	uint64_t errors[17]; /* by gRPC status, 16 and above in the last */
	double seconds; /* measured part */
};

/* Runs it. *result is filled (large: keep it off the stack). E_UNAVAILABLE when the target cannot be reached. */
int load_run(const struct load_options *options, const struct load_work *work, struct load_result *result,
	     struct error *err);

#endif
