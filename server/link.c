#include "server/link.h"

#include "common/log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IN_BYTES (256u << 10)
#define KEEP_BYTES (4u << 20) /* a larger buffer, grown for a large frame, is given back */
#define NO_SLOT UINT32_MAX
#define NONSENSE "it broke the memory of the link"

int link_init(struct link *link, uv_loop_t *loop)
{
	link->open = link->writing = link->closing = false;
	link->free_slot = NO_SLOT;
	link->slot_count = link->asked = 0;
	link->in_used = link->flight_sent = 0;
	rings_drop(&link->rings);
	buffer_clear(&link->out, KEEP_BYTES);
	buffer_clear(&link->flight, KEEP_BYTES);
	if (uv_pipe_init(loop, &link->pipe, 0))
		return E_INTERNAL;
	link->pipe.data = link;
	return 0;
}

static int slot_take(struct link *link, struct ask *ask)
{
	uint32_t slot = link->free_slot;

	if (slot != NO_SLOT) {
		link->free_slot = link->slots[slot].next_free;
	} else {
		if (link->slot_count == link->slot_room) {
			uint32_t room = link->slot_room ? link->slot_room * 2 : 256;
			struct link_slot *slots = realloc(link->slots, room * sizeof *slots);

			if (!slots)
				return E_EXHAUSTED;
			memset(slots + link->slot_room, 0, (room - link->slot_room) * sizeof *slots);
			link->slots = slots;
			link->slot_room = room;
		}
		slot = link->slot_count++;
	}
	link->slots[slot].ask = ask;
	link->slots[slot].turn++;
	link->asked++;
	ask->link = link;
	ask->slot = slot;
	return 0;
}

static uint64_t slot_number(const struct link *link, uint32_t slot)
{
	return (uint64_t)link->slots[slot].turn << 32 | (slot + 1u);
}

static struct ask *slot_find(const struct link *link, uint64_t number)
{
	uint32_t slot = (uint32_t)number - 1u;

	if ((uint32_t)number == 0 || slot >= link->slot_count || link->slots[slot].turn != number >> 32)
		return NULL;
	return link->slots[slot].ask;
}

static void slot_give(struct ask *ask)
{
	struct link *link = ask->link;

	link->slots[ask->slot].ask = NULL;
	link->slots[ask->slot].next_free = link->free_slot;
	link->free_slot = ask->slot;
	link->asked--;
	ask->link = NULL;
}

static void fail_asks(struct link *link)
{
	size_t bytes = strlen(link->down_text);

	for (uint32_t i = 0; i < link->slot_count; i++) {
		struct ask *ask = link->slots[i].ask;

		if (!ask)
			continue;
		slot_give(ask);
		ask->answered(ask, E_UNAVAILABLE, (const uint8_t *)link->down_text, bytes);
	}
}

static void link_break(struct link *link, const char *why)
{
	if (!link->open)
		return;
	link->open = false;
	uv_read_stop((uv_stream_t *)&link->pipe);
	fail_asks(link);
	link->on_broken(link, why);
}

static bool is_answer(const struct frame_head *head)
{
	return head->kind == FRAME_REPLY || head->kind == FRAME_GENERATION_LOADED ||
	       head->kind == FRAME_GENERATION_ACTIVATED || (head->kind == FRAME_STATS && head->call);
}

static void dispatch(struct link *link, const struct frame_head *head, const uint8_t *data)
{
	struct ask *ask;

	if (!is_answer(head)) {
		if (!link->on_frame(link, head, data))
			link_break(link, "it sent a frame that is not its to send");
		return;
	}
	ask = slot_find(link, head->call);
	if (!ask)
		return; /* forgotten meanwhile */
	slot_give(ask);
	ask->failed_users = head->failed_users;
	ask->answered(ask, head->status ? error_from_grpc_status(head->status) : 0, data, head->bytes);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *room)
{
	struct link *link = handle->data;
	size_t want = IN_BYTES;
	struct frame_head head;

	(void)suggested;
	/* A frame longer than the buffer: make room for the whole of it at once. */
	if (link->in_used >= sizeof head && frame_next(link->in.data, link->in_used, &head) == 0) {
		size_t whole = sizeof head + head.bytes;

		if (whole - link->in_used > want)
			want = whole - link->in_used;
	}
	if (link->in.bytes - link->in_used < want / 2 &&
	    !buffer_extend(&link->in, want - (link->in.bytes - link->in_used))) {
		*room = uv_buf_init(NULL, 0);
		return;
	}
	*room = uv_buf_init((char *)link->in.data + link->in_used, (unsigned)(link->in.bytes - link->in_used));
}

/* So many bytes more are in `in`. */
static void take(struct link *link, size_t bytes)
{
	struct frame_head head;
	size_t at = 0;
	int64_t whole = 0;

	link->in_used += bytes;
	while (link->open && (whole = frame_next(link->in.data + at, link->in_used - at, &head)) > 0) {
		dispatch(link, &head, link->in.data + at + sizeof head);
		at += (size_t)whole;
	}
	if (!link->open)
		return;
	if (whole < 0) {
		link_break(link, "it sent bytes that are no frame");
		return;
	}
	link->in_used -= at;
	if (link->in_used && at)
		memmove(link->in.data, link->in.data + at, link->in_used);
	if (!link->in_used && link->in.room > KEEP_BYTES)
		buffer_fini(&link->in);
}

/* Up to a ring full, so that a worker that writes all the time does not hold up the loop. */
void link_receive(struct link *link)
{
	size_t taken = 0;
	int64_t got;
	uv_buf_t room;

	if (!link->open || !link->rings.in)
		return;
	rings_awake(&link->rings);
	do {
		on_room((uv_handle_t *)&link->pipe, 0, &room);
		if (!room.base) {
			link_break(link, "there was no memory for what it sent");
			return;
		}
		got = ring_get(link->rings.in, room.base, room.len);
		if (got < 0) {
			link_break(link, NONSENSE);
			return;
		}
		take(link, (size_t)got);
		taken += (size_t)got;
	} while (link->open && got && taken < RING_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *room)
{
	struct link *link = stream->data;

	(void)room;
	if (nread < 0)
		link_receive(link); /* what it said before */
	if (nread < 0)
		link_break(link, nread == UV_EOF ? "its end of the link was closed" : uv_strerror((int)nread));
	else if (!link->rings.in) /* else it was bells */
		take(link, (size_t)nread);
}

int link_memory(struct link *link)
{
	struct error err;
	int fd;

	if (rings_make(&link->rings, &fd, &err))
		log_warning("link: %s; its frames go through the socket", err.text);
	return fd;
}

int link_open(struct link *link, struct error *err)
{
	int rc = uv_read_start((uv_stream_t *)&link->pipe, on_room, on_read);

	if (rc)
		return error_set(err, E_INTERNAL, "link: %s", uv_strerror(rc));
	link->open = true;
	return 0;
}

int link_take(struct link *link, int fd, struct error *err)
{
	int rc = uv_pipe_open(&link->pipe, fd);

	if (rc) {
		close(fd);
		return error_set(err, E_INTERNAL, "link: %s", uv_strerror(rc));
	}
	return link_open(link, err);
}

static void on_close(uv_handle_t *handle)
{
	struct link *link = handle->data;

	link->closing = false;
	link->on_closed(link);
}

void link_close(struct link *link)
{
	if (link->closing)
		return;
	link->closing = true;
	if (link->open) {
		link->open = false;
		fail_asks(link);
	}
	uv_close((uv_handle_t *)&link->pipe, on_close);
}

void link_fini(struct link *link)
{
	buffer_fini(&link->in);
	buffer_fini(&link->out);
	buffer_fini(&link->flight);
	rings_drop(&link->rings);
	free(link->slots);
	link->slots = NULL;
	link->slot_room = link->slot_count = 0;
}

int link_ask(struct link *link, struct ask *ask, enum frame_kind kind, uint32_t timeout_ms, uint32_t limit,
	     const void *data, size_t bytes, struct error *err)
{
	struct frame_head head = { .bytes = (uint32_t)bytes, .kind = (uint16_t)kind, .timeout_ms = timeout_ms };
	uint8_t *to;

	assert(!ask->link);
	if (!link->open)
		return error_set(err, E_UNAVAILABLE, "%s", link->down_text);
	if (limit && link->asked >= limit)
		return error_set(err, E_EXHAUSTED,
				 "%" PRIu32
				 " calls are waiting for the same worker, which is its share of calls_limit; "
				 "send more slowly",
				 link->asked);
	if (bytes > FRAME_PAYLOAD_MAX)
		return error_set(err, E_EXHAUSTED, "the request has %zu bytes; at most %u are taken", bytes,
				 FRAME_PAYLOAD_MAX);
	to = buffer_extend(&link->out, sizeof head + bytes);
	if (!to)
		return error_set(err, E_EXHAUSTED, "out of memory");
	if (slot_take(link, ask)) {
		link->out.bytes -= sizeof head + bytes;
		return error_set(err, E_EXHAUSTED, "out of memory");
	}
	head.call = slot_number(link, ask->slot);
	memcpy(to, &head, sizeof head);
	if (bytes)
		memcpy(to + sizeof head, data, bytes);
	return 0;
}

void ask_forget(struct ask *ask)
{
	struct link *link = ask->link;
	struct frame_head head = { .kind = FRAME_CANCEL, .timeout_ms = UINT32_MAX };

	if (!link)
		return;
	head.call = slot_number(link, ask->slot);
	slot_give(ask);
	if (link->open)
		link_send(link, &head, sizeof head);
}

void link_send(struct link *link, const void *frames, size_t bytes)
{
	if (link->open && buffer_add(&link->out, frames, bytes))
		link_break(link, "there was no memory for a change it must hear of");
}

void link_send_message(struct link *link, enum frame_kind kind, const ProtobufCMessage *message)
{
	if (link->open && buffer_frame(&link->out, kind, message))
		link_break(link, "there was no memory for a change it must hear of");
}

void link_reply(struct link *link, uint64_t call, int code, const char *text)
{
	struct frame_head head = { .kind = FRAME_REPLY, .call = call, .timeout_ms = UINT32_MAX };

	if (code) {
		head.status = (uint16_t)error_grpc_status(code);
		head.bytes = (uint32_t)strlen(text);
	}
	link_send(link, &head, sizeof head);
	link_send(link, text, head.bytes);
}

static void on_written(uv_write_t *request, int status)
{
	struct link *link = request->data;

	link->writing = false;
	buffer_clear(&link->flight, KEEP_BYTES);
	if (status && status != UV_ECANCELED)
		link_break(link, uv_strerror(status));
}

static void flush_to_ring(struct link *link)
{
	struct buffer empty;
	uv_buf_t bell = uv_buf_init("", 1);
	int64_t put;

	for (;;) {
		size_t rest = link->flight.bytes - link->flight_sent;

		if (!rest) {
			empty = link->flight;
			buffer_clear(&empty, KEEP_BYTES);
			link->flight = link->out;
			link->out = empty;
			link->flight_sent = 0;
			rest = link->flight.bytes;
		}
		if (!rest)
			break;
		put = ring_put(link->rings.out, link->flight.data + link->flight_sent, rest);
		if (put < 0) {
			link_break(link, NONSENSE);
			return;
		}
		link->flight_sent += (size_t)put;
		if (link->flight_sent < link->flight.bytes)
			break;
	}
	/* A bell that finds no room has others before it; what is wrong with the socket is found by reading. */
	if (rings_bell(&link->rings))
		(void)uv_try_write((uv_stream_t *)&link->pipe, &bell, 1);
}

bool link_wait(struct link *link)
{
	return !link->open || !link->rings.in || rings_wait(&link->rings, true, link_unsent(link) > 0);
}

void link_flush(struct link *link)
{
	struct buffer all = link->out;
	uv_buf_t rest;
	int done, rc;

	if (link->open && link->rings.out) {
		flush_to_ring(link);
		return;
	}
	if (!link->open || link->writing || all.bytes == 0)
		return;
	rest = uv_buf_init((char *)all.data, (unsigned)all.bytes);
	done = uv_try_write((uv_stream_t *)&link->pipe, &rest, 1);
	if (done == (int)all.bytes) {
		buffer_clear(&link->out, KEEP_BYTES);
		return;
	}
	if (done < 0 && done != UV_EAGAIN) {
		link_break(link, uv_strerror(done));
		return;
	}
	if (done < 0)
		done = 0;
	link->out = link->flight;
	link->out.bytes = 0;
	link->flight = all;
	rest = uv_buf_init((char *)all.data + done, (unsigned)(all.bytes - (size_t)done));
	link->write.data = link;
	rc = uv_write(&link->write, (uv_stream_t *)&link->pipe, &rest, 1, on_written);
	if (rc)
		link_break(link, uv_strerror(rc));
	else
		link->writing = true;
}
