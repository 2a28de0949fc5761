/*
 * What door.c (polling, standing requests, start and end), door_port.c (the server on its port),
 * door_call.c (the life of one call), door_stream.c (messages and replies of a stream) and door_pass.c
 * (calls passed on) share. Nobody else includes this.
 *
 * A call's states:
 *
 *     STANDING   posted to gRPC, waiting for a client
 *     OPEN       a client's call; messages come in, replies go out
 *     ENDING     its status is decided (stream); queued replies are being written, then the status
 *     ENDED      the status is on its way or the client is gone; waits for gRPC's completions and the handler's work
 *     FREE       on the free list
 */
#ifndef KINDRED_SERVER_DOOR_PRIVATE_H
#define KINDRED_SERVER_DOOR_PRIVATE_H

#include "server/door.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/compression.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>

enum door_state { CALL_FREE, CALL_STANDING, CALL_OPEN, CALL_ENDING, CALL_ENDED };

/* What a completion of gRPC is about; the tag is a pointer to one of these within the call. */
enum door_event {
	EVENT_NEW,
	EVENT_CLOSE,
	EVENT_READ,
	EVENT_WRITE,
	EVENT_STATUS,
	/* of a call passed on; UP: the server's side of it */
	EVENT_HEAD,
	EVENT_UP_HEAD,
	EVENT_UP_SENT,
	EVENT_UP_READ,
	EVENT_UP_STATUS,
	EVENT_COUNT
};

#define DOOR_STREAMS_MAX 1024 /* open calls of one connection */
/* the same of one on which a further front-end passes on the calls of many clients */
#define DOOR_PASSED_MAX 16384
#define DOOR_FULL "the requests in work fill the memory set aside for them; send more slowly"
/*
 * Streams are not read beyond work_max_bytes, but each may have asked for one message more before; what comes then
 * is taken up to so many times that.
 */
#define DOOR_WORK_TIMES 2
#define DOOR_STOPPING "the server is stopping"
#define DOOR_COMPRESSED "compressed messages are not taken; send them with the encoding \"identity\""

struct door_call;
struct door_pass;
struct door_tag {
	enum door_event event;
	struct door_call *call;
};

struct door_reply {
	struct door_reply *next;
	grpc_byte_buffer *bytes;
	size_t size;
};

struct door_calls {
	struct door_call *first, *last;
};

struct door_method {
	const struct method *method; /* NULL: the catch-all for methods we do not have */
	struct door *door;
	void *handle; /* gRPC's registration */
};

struct door_call {
	struct call call; /* first: handlers hold pointers to it */
	struct door *door;
	struct door_method *method;
	/* the free list (next); or, both ways, open streams, or unary calls that are not watched */
	struct door_call *next, *previous;
	enum door_state state;
	struct door_tag tags[EVENT_COUNT];

	grpc_call *grpc;
	gpr_timespec deadline;
	grpc_metadata_array metadata;
	grpc_call_details details; /* catch-all only */
	grpc_byte_buffer *in, *out;
	int client_gone; /* filled by gRPC when the close event comes */

	uint32_t posted; /* batches at gRPC, not completed */
	uint32_t in_work; /* messages the handler has not ended */
	size_t bytes; /* of those, and of unsent replies: counted in door->work_bytes */
	bool counted, reading, writing, head_written, half_closed, paused;
	bool watched; /* gRPC was asked to tell when the client goes */
	struct door_calls *on_list; /* NULL: on none */
	uint32_t tick; /* when it came */
	uint64_t last_message_ms; /* loop time */
	struct door_reply *first, *last; /* replies to write; first is being written when `writing` */
	uint32_t unsent;
	size_t unsent_bytes;
	size_t expected_bytes; /* of replies on their way: counted in door->expected_bytes */
	int code; /* how it ends */
	char text[480];
	struct door_call *paused_next;
	struct door_pass *pass; /* NULL: served here */
};

struct door {
	struct door_options options;
	grpc_server *grpc;
	grpc_completion_queue *queue;
	grpc_server_credentials *plain; /* the port's: nobody is asked who he is */
	uint16_t port;
	struct door_method *methods; /* the last one is the catch-all */
	size_t method_count;
	struct door_call *free_calls;
	struct door_calls streams;
	struct door_calls fresh; /* unary calls that are not watched, by age */
	struct door_call *paused_first, *paused_last; /* streams not read because work_bytes was reached */
	grpc_channel *upstream; /* NULL: none */
	uint32_t calls; /* in work */
	uint32_t passes; /* of them, passed on */
	size_t work_bytes, expected_bytes;
	bool started, stopping, may_shut, shut, stop_all, stopped;
	bool dirty; /* completions may wait */
	bool readable; /* and bytes at its sockets */
	uint64_t stop_ms;
	unsigned quiet_sweeps; /* while stopping, with no call in work */
	struct door_tag stopped_tag;
	uv_timer_t tick, sweep;
	uint32_t ticks;
	/* shared polling */
	uv_poll_t poll;
	uv_idle_t more;
	int epoll_fd;
	/* polling by a thread */
	bool threaded;
	uv_thread_t thread;
	uv_mutex_t mutex;
	uv_async_t wake;
	struct door_done {
		struct door_tag *tag;
		bool ok;
	} * done, *taken;
	size_t done_count, done_room, taken_room;
};

/* door_port.c */
/* gRPC's server on the port of the options, with a queue of its own; also after an error door_close is due. */
int door_port_open(struct door *door, struct error *err);
/* From now on C core answers new calls of the port with UNAVAILABLE by itself. */
void door_port_turn_away(struct door *door);
void door_await_stopped(struct door *door); /* takes and drops what comes before */
void door_await_queue_end(struct door *door);

/* door.c */
void door_post(struct door_method *method); /* one more standing request */
void door_call_give(struct door_call *call);
void door_call_counted(struct door *door); /* one more call in work */

/* door_call.c */
void door_call_event(struct door_call *call, enum door_event event, bool ok);
void door_call_drop_standing(struct door_call *call);
/* A call that takes longer than a tick is one whose client may go meanwhile: from now on it is heard of. */
void door_watch_slow(struct door *door);
void door_call_watch(struct door_call *call);
void door_call_move(struct door_call *call, enum door_state to);
void door_call_batch(struct door_call *call, const grpc_op *ops, size_t count, enum door_event event);
/* Bytes of a message in work or of a reply unsent. */
void door_call_count(struct door_call *call, size_t bytes);
void door_call_uncount(struct door_call *call, size_t bytes);
/* Gives the message in call->in to the handler. */
void door_call_message(struct door_call *call);
/* Frees the call when it is over; else nothing. */
void door_call_release(struct door_call *call);
/* What the status carries; the slice is the caller's to unref. */
grpc_slice door_status_op(grpc_op *op, int code, const char *text);
void door_calls_add(struct door_calls *list, struct door_call *call);
void door_calls_leave(struct door_call *call);

/*
 * Whether there is room for one more call, which then counts; else it is refused. always: calls_limit
 * does not matter.
 */
bool door_call_admit(struct door_call *call, bool always);
/* A call that is not to be served at all. */
void door_call_refuse(struct door_call *call, int code, const char *text);

/* door_pass.c */
int door_pass_open(struct door *door, struct error *err);
void door_pass_close(struct door *door);
/* A call of the catch-all. */
void door_pass_begin(struct door_call *call);
void door_pass_event(struct door_call *call, enum door_event event, bool ok);
void door_pass_free(struct door_call *call);

/* door_stream.c */
void door_stream_open(struct door_call *call);
void door_stream_on_read(struct door_call *call, bool ok);
void door_stream_on_write(struct door_call *call, bool ok);
/* The status, once it is decided and every reply before it is written. */
void door_stream_end(struct door_call *call);
void door_stream_drop_replies(struct door_call *call, bool keep_first);
/* While stopping: ends the stream if it has nothing in work. */
void door_stream_turn_away(struct door_call *call);
/* Streams that waited for work_bytes to fall go on. */
void door_resume(struct door *door);

#endif
