/*
 * The worker's end of the link to the server, or to a further front-end: whole frames in, in order;
 * replies out, all of a loop iteration in one write. Loop thread only.
 *
 * Bounded both ways. In: the buffer grows to one frame (FRAME_PAYLOAD_MAX) at most. Out: while more than
 * UPLINK_OUT_HIGH bytes wait for the server to read them, no frame is taken and nothing is read
 * (uplink_full); it goes on below UPLINK_OUT_LOW. So a server that does not read is not served, and its own
 * bounds tell its clients.
 *
 * With the link's memory (uplink_memory) all bytes go through it, and the socket is for bells and for the end.
 *
 * Happy path: uplink_open -> handler->frame ... handler->batch -> ... -> uplink_finish -> handler->end(0).
 * Failures: the server closes its end (handler->end with 0); a broken frame or a failed write (handler->end
 * with a negative code). end is called once; what is replied after it is thrown away.
 */
#ifndef KINDRED_WORKER_UPLINK_H
#define KINDRED_WORKER_UPLINK_H

#include "common/error.h"
#include "common/frame.h"
#include "common/ring.h"
#include "worker/encode.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define UPLINK_OUT_HIGH ((size_t)64 << 20)
#define UPLINK_OUT_LOW ((size_t)16 << 20)

struct uplink_handler {
	/* One frame; payload lives during the call. */
	void (*frame)(void *context, const struct frame_head *head, const uint8_t *payload);
	/* All frames that had come were given: the place to let go of what is kept for a batch. */
	void (*batch)(void *context);
	/* What had waited for room to reply (uplink_full) may go on. */
	void (*room)(void *context);
	/* 0: the server has closed the link, or uplink_finish is done. Else an error, with a text. */
	void (*end)(void *context, const struct error *err);
};

struct uplink {
	uv_pipe_t pipe;
	const struct uplink_handler *handler;
	void *context;
	struct blob in; /* used: up to where bytes were read */
	size_t taken; /* bytes of in that were frames already */
	struct blob out; /* replies being gathered */
	struct blob sending; /* what uv_write holds, or the ring has taken `sent` bytes of */
	size_t sent;
	bool held_up; /* with rings: since go_on, replies had to wait for room */
	uv_write_t write;
	struct rings rings;
	uv_prepare_t prepare; /* with rings */
	uv_idle_t more; /* with rings; active: there is more, the loop must not wait */
	uint32_t handles; /* open ones */
	size_t frame_start; /* of the frame between uplink_begin and uplink_end */
	bool writing, reading, finishing, ended, taking;
	bool quiet; /* with rings: no bell, see uplink_put */
	void (*closed)(struct uplink *link);
};

/* fd: a connected stream socket. E_INVALID when it is none. */
int uplink_open(struct uplink *link, uv_loop_t *loop, int fd, const struct uplink_handler *handler, void *context,
		struct error *err);
/* Right after uplink_open. fd: of rings_make; closed also after an error. */
int uplink_memory(struct uplink *link, int fd, struct error *err);
/*
 * Closes and frees; the loop must run once more, and then calls closed (NULL: nobody), after which the
 * memory of *link may go.
 */
void uplink_close(struct uplink *link, void (*closed)(struct uplink *link));

/*
 * Begins a frame; its payload is then appended to the buffer returned (through blob_reserve), up to
 * uplink_end or uplink_cancel. NULL: no memory; the link has ended.
 */
struct blob *uplink_begin(struct uplink *link, enum frame_kind kind, uint64_t call);
void uplink_end(struct uplink *link);
void uplink_cancel(struct uplink *link);
/* Bytes of payload since uplink_begin. */
size_t uplink_frame_bytes(const struct uplink *link);

/* A whole frame. err NULL or with code 0: status 0 and the payload; else its gRPC status and its text. */
void uplink_send(struct uplink *link, enum frame_kind kind, uint64_t call, const struct error *err, const void *payload,
		 size_t bytes);
/* A whole RecommendManyResponse, and how many of its users have an error. */
void uplink_send_users(struct uplink *link, uint64_t call, const void *payload, size_t bytes, uint32_t failed_users);

/* Whether replies should wait: see above. */
bool uplink_full(const struct uplink *link);
/* Writes what was gathered. To be called at the end of every callback that replied, outside of handler->frame. */
void uplink_flush(struct uplink *link);
/*
 * The same, but a server that sleeps is not waked for it: by the next uplink_flush, which must follow, or when its
 * memory is full. For replies that others will soon follow.
 */
void uplink_put(struct uplink *link);
/* Ends the link once everything is written. */
void uplink_finish(struct uplink *link);

#endif
