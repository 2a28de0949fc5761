/*
 * The link: the socket between the server, or a further front-end, and one worker, and the table of what the
 * worker was asked and has not answered; also the one between the server and a further front-end, where either may ask.
 * Nothing else knows how bytes travel.
 *
 * Frames out are gathered and written once per turn of the loop (link_flush); many answers are read at
 * once. To and from workers bytes go through shared memory, and the socket is only for bells and for
 * the end. Runs on the loop thread.
 *
 * Failure: when the socket ends or breaks, or the other side speaks nonsense, every ask is answered with
 * E_UNAVAILABLE and the text given to link_open, then on_broken is called, once. link_ask then fails until
 * the link is opened anew.
 */
#ifndef KINDRED_SERVER_LINK_H
#define KINDRED_SERVER_LINK_H

#include "common/error.h"
#include "common/frame.h"
#include "common/ring.h"
#include "server/buffer.h"

#include <stdbool.h>
#include <uv.h>

struct link;

/* One question to one worker. It lives in the asker's memory, which must stay until it is answered or forgotten. */
struct ask {
	struct link *link; /* NULL: not in flight */
	uint32_t slot;
	uint32_t failed_users; /* in the answer, see struct frame_head; set before answered */
	/*
	 * code 0: the answer's bytes; else an error and its text (not NUL-terminated). Gone when it returns.
	 * May ask anew.
	 */
	void (*answered)(struct ask *ask, int code, const uint8_t *data, size_t bytes);
};

struct link_slot {
	struct ask *ask;
	uint32_t turn; /* counts uses, so that a late answer finds nobody */
	uint32_t next_free;
};

struct link {
	void *owner;
	/* What answers no ask. False: the other side may not send that, and the link breaks. */
	bool (*on_frame)(struct link *link, const struct frame_head *head, const uint8_t *data);
	void (*on_broken)(struct link *link, const char *why);
	void (*on_closed)(struct link *link); /* after link_close: the handle is free again */
	char down_text[96]; /* what callers are told while it is down */
	/* private */
	uv_pipe_t pipe;
	uv_write_t write;
	bool open, writing, closing;
	struct rings rings; /* with them, all that the socket carries is bells */
	struct buffer out, flight, in;
	size_t in_used; /* bytes of `in` that were read */
	size_t flight_sent; /* bytes of `flight` that the ring took */
	struct link_slot *slots;
	uint32_t slot_count, slot_room, free_slot, asked;
};

/* The handle for uv_spawn's stdio, before link_open. */
int link_init(struct link *link, uv_loop_t *loop);
/*
 * Before link_open: frames go through memory. The descriptor is for the other end, which gets it as
 * LINK_MEMORY_FD or over the socket, and the caller's to close; -1: there is no memory, so all goes
 * through the socket.
 */
int link_memory(struct link *link);
/* Starts reading; the socket is connected. */
int link_open(struct link *link, struct error *err);
/* The same for a connected socket of one's own, after link_init. The link closes it, also after an error. */
int link_take(struct link *link, int fd, struct error *err);
/* Fails what is in flight, without on_broken, and closes the handle; on_closed follows. */
void link_close(struct link *link);
/* After on_closed and no further use. */
void link_fini(struct link *link);

/*
 * Sends a frame that is answered by one of the same head.call. Returns 0, E_UNAVAILABLE (down, with text) or
 * E_EXHAUSTED (memory; limit asks are in flight already: 0 means no limit).
 */
int link_ask(struct link *link, struct ask *ask, enum frame_kind kind, uint32_t timeout_ms, uint32_t limit,
	     const void *data, size_t bytes, struct error *err);
/* The answer is not wanted any more: tells the worker. No-op when the ask is not in flight. */
void ask_forget(struct ask *ask);
/*
 * Whole frames, as buffer_frame makes them. When there is no memory for them the link breaks: the worker
 * would miss a change.
 */
void link_send(struct link *link, const void *frames, size_t bytes);
void link_send_message(struct link *link, enum frame_kind kind, const ProtobufCMessage *message);
/* Answers an ask of the other side: its head.call; code 0, or an error and its text. */
void link_reply(struct link *link, uint64_t call, int code, const char *text);
/* Writes what was gathered. Called once per turn of the loop, before it waits. */
void link_flush(struct link *link);
/* With memory: takes what has come. Called once per turn of the loop, before what is to be flushed is made. */
void link_receive(struct link *link);
/* Called last, before the loop waits. False: more has come meanwhile, the loop must not wait. */
bool link_wait(struct link *link);

/* Asks in flight; bytes not yet taken by the socket or the memory. */
static inline uint32_t link_asked(const struct link *link)
{
	return link->asked;
}
static inline size_t link_unsent(const struct link *link)
{
	return link->out.bytes + link->flight.bytes - link->flight_sent;
}

#endif
