/*
 * A gRPC call as the server's handlers see it: request bytes in, answer bytes out. gRPC itself stays behind
 * server/door.h. Everything here runs on the loop thread.
 *
 * A method is a line of the table in methods.c. The door calls
 *
 *     message(call, bytes)   for the one request of a unary call, for each message of a stream. The bytes are
 *                            gone when it returns.
 *     stop(call)             at most once: nobody waits for the answer any more (cancelled, deadline passed),
 *                            while messages are in work. The handler forgets what it asked for. NULL: there is
 *                            nothing to forget, the work just ends by itself.
 *     room(call)             a reply was written, so that call_unsent has fallen, while messages are in work.
 *                            NULL: does not matter.
 *     release(call)          at the end of a call's life, when call->state is to be freed. NULL: nothing is to be.
 *
 * and the handler owes, for every message() it got, exactly one end of it, now or later, also after stop():
 *
 *     unary    call_reply or call_fail
 *     stream   call_message_done, after any number of call_send; call_fail may come beside it, once, and then ends
 *              the whole call
 *
 * so a call lives until everything that was begun for it is over, and none of these need check whether the
 * client is still there.
 *
 * A stream is read no faster than its messages are done: at most stream_window in work or unsent at once.
 * When the client has half-closed and the last message is done, the door ends the stream with OK.
 */
#ifndef KINDRED_SERVER_CALL_H
#define KINDRED_SERVER_CALL_H

#include "common/error.h"
#include "server/link.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct server;
struct call;

enum method_kind { METHOD_UNARY, METHOD_STREAM };

struct method {
	const char *name; /* "/package.Service/Method" */
	enum method_kind kind;
	void (*message)(struct call *call, const uint8_t *data, size_t bytes);
	void (*stop)(struct call *call);
	void (*release)(struct call *call);
	unsigned standing; /* requests kept posted, so that a burst of calls finds them */
	bool always; /* served also when calls_limit is reached: health and status */
	void (*room)(struct call *call);
	bool everywhere; /* every front-end serves it; what is not, a further one passes on to the server */
};

struct call {
	struct server *server;
	const struct method *method;
	uint64_t deadline_ns; /* clock_monotonic_ns; UINT64_MAX: none */
	void *state; /* the handler's own */
	struct ask ask; /* for a handler that asks one worker */
};

/* Unary: the answer. The bytes are copied. */
void call_reply(struct call *call, const void *data, size_t bytes);
/*
 * Ends the call with an error. Unary: the answer. Stream: after the replies already sent; no further
 * message() comes.
 */
void call_fail(struct call *call, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
void call_fail_error(struct call *call, const struct error *err);
/* Stream: one more reply, copied and queued. */
void call_send(struct call *call, const void *data, size_t bytes);
/* The same in two pieces, which need not be put together for it. */
void call_send_two(struct call *call, const void *data, size_t bytes, const void *rest, size_t rest_bytes);
/* Stream: bytes of replies queued, the one being written among them. */
size_t call_unsent(const struct call *call);
/*
 * Stream: how many bytes of replies may be unsent, or on their way, before more work is begun for it: a
 * share of what all requests and replies leave of half of the memory set aside for them, what is
 * expected counted. So clients that do not read hold up themselves, and leave room for others; but each
 * stream is answered one part at least, which some two thousand of them make all of it.
 */
size_t call_unsent_max(const struct call *call);
/* Stream: so many bytes of replies are on their way to it, as far as can be told; counted as if they were there. */
void call_expect(struct call *call, size_t bytes);
/* Stream: one message is over. bytes: as message() gave it. */
void call_message_done(struct call *call, size_t bytes);
/* Nobody waits any more: the client is gone, or the call has failed. Work for it not begun need not be. */
bool call_is_over(const struct call *call);
/* At release(): the call ended with OK, and its client did not go before it had that. */
bool call_went_through(const struct call *call);

#endif
