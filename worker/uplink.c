#include "worker/uplink.h"

#include <sched.h>
#include <string.h>

#define READ_BYTES ((size_t)64 << 10)
#define FRAMES_A_WRITE 64 /* in one batch: the first callers do not wait for the last */
#define KEEP_BYTES ((size_t)4 << 20) /* a buffer that grew beyond it is given back once it is empty */

static void end(struct uplink *link, const struct error *err)
{
	if (link->ended)
		return;
	link->ended = true;
	uv_read_stop((uv_stream_t *)&link->pipe);
	link->handler->end(link->context, err);
}

static void end_no_memory(struct uplink *link)
{
	struct error err;
	error_set(&err, E_EXHAUSTED, "link: no memory for %zu bytes of replies", link->out.used);
	end(link, &err);
}

static void end_nonsense(struct uplink *link)
{
	struct error err;
	error_set(&err, E_INTERNAL, "link: the other end broke its memory");
	end(link, &err);
}

static void trim(struct blob *buffer)
{
	buffer->used = 0;
	if (buffer->room > KEEP_BYTES)
		blob_fini(buffer);
}

/* --- in --- */

/* Moves what is left of an unfinished frame to the front of the buffer. */
static void compact(struct uplink *link)
{
	size_t left = link->in.used - link->taken;
	if (link->taken && left)
		memmove(link->in.data, link->in.data + link->taken, left);
	link->in.used = left;
	link->taken = 0;
	if (left == 0)
		trim(&link->in);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	(void)suggested;
	struct uplink *link = handle->data;
	struct frame_head head;
	size_t want = READ_BYTES;
	compact(link);
	if (link->in.used >= sizeof head) {
		memcpy(&head, link->in.data, sizeof head);
		size_t whole = sizeof head + head.bytes;
		if (whole > link->in.used && whole - link->in.used > want)
			want = whole - link->in.used;
	}
	*buf = blob_reserve(&link->in, want) ? uv_buf_init((char *)link->in.data + link->in.used, (unsigned)want)
					     : uv_buf_init(NULL, 0);
}

/*
 * When there is a crowd, whoever else wants this core goes first: what the front-end has for us next is
 * then here before we would sleep, and sleeping and being waked costs more than a call does, most of
 * all in a virtual machine.
 */
static void rest(uint32_t frames)
{
	if (frames > 1)
		sched_yield();
}

/* Gives whole frames to the handler; true: there may be more, but there is no room to reply. */
static bool give_frames(struct uplink *link, uint32_t *count)
{
	struct frame_head head;
	int64_t whole = 0;
	link->taking = true;
	while (!link->ended && link->taken < link->in.used && !uplink_full(link)) {
		const uint8_t *at = link->in.data + link->taken;
		whole = frame_next(at, link->in.used - link->taken, &head);
		if (whole <= 0)
			break;
		link->taken += (size_t)whole;
		link->handler->frame(link->context, &head, at + sizeof head);
		if (++*count % FRAMES_A_WRITE == 0)
			uplink_flush(link);
	}
	bool stopped = uplink_full(link);
	link->taking = false;
	if (whole < 0) {
		struct error err;
		error_set(&err, E_INTERNAL, "link: a broken frame from the server (kind %u, %u bytes)",
			  (unsigned)head.kind, (unsigned)head.bytes);
		end(link, &err);
	}
	return stopped;
}

/*
 * Until none is left or replies wait for room. A server that reads from the ring meanwhile may make
 * room while they are written; what is left is taken at once then, as nothing would come to say so.
 */
static void take_frames(struct uplink *link)
{
	uint32_t count = 0;
	bool stopped;
	if (link->taking)
		return;
	do {
		stopped = give_frames(link, &count);
		link->handler->batch(link->context);
		uplink_flush(link);
	} while (stopped && !link->ended && !uplink_full(link));
	rest(count);
}

static void on_read(uv_stream_t *stream, ssize_t bytes, const uv_buf_t *buf);

/* With rings the socket is always read, for its bells. */
static void read_or_pause(struct uplink *link)
{
	bool want = !link->ended && !uplink_full(link);
	if (link->rings.in)
		;
	else if (want && !link->reading)
		uv_read_start((uv_stream_t *)&link->pipe, on_alloc, on_read);
	else if (!want && link->reading)
		uv_read_stop((uv_stream_t *)&link->pipe);
	link->reading = want;
}

/* Takes from the ring what has come; whether there was anything. */
static bool receive(struct uplink *link)
{
	struct error err;
	uv_buf_t room;
	on_alloc((uv_handle_t *)&link->pipe, 0, &room);
	if (!room.base) {
		error_set(&err, E_EXHAUSTED, "link: no memory for a frame");
		end(link, &err);
		return false;
	}
	int64_t got = ring_get(link->rings.in, room.base, room.len);
	if (got < 0)
		end_nonsense(link);
	if (got <= 0)
		return false;
	link->in.used += (size_t)got;
	take_frames(link);
	read_or_pause(link);
	return true;
}

static void on_read(uv_stream_t *stream, ssize_t bytes, const uv_buf_t *buf)
{
	(void)buf;
	struct uplink *link = stream->data;
	struct error err = { 0 };
	if (bytes > 0 && link->rings.in)
		return; /* a bell: on_prepare sees what it is for */
	if (bytes < 0 && link->rings.in)
		while (!link->ended && receive(link)) /* what was said before */
			;
	if (bytes > 0) {
		link->in.used += (size_t)bytes;
		take_frames(link);
		read_or_pause(link);
	} else if (bytes == UV_EOF || bytes == UV_ECONNRESET) {
		end(link, &err);
	} else if (bytes < 0) {
		error_set(&err, bytes == UV_ENOBUFS ? E_EXHAUSTED : E_UNAVAILABLE, "link: read: %s",
			  uv_strerror((int)bytes));
		end(link, &err);
	}
}

/* --- out --- */

bool uplink_full(const struct uplink *link)
{
	size_t waiting = link->out.used + link->sending.used;
	return waiting > (link->reading || link->taking ? UPLINK_OUT_HIGH : UPLINK_OUT_LOW);
}

static void write_failed(struct uplink *link, int status)
{
	struct error err = { 0 };
	if (status != UV_EPIPE && status != UV_ECONNRESET)
		error_set(&err, E_UNAVAILABLE, "link: write: %s", uv_strerror(status));
	end(link, &err);
}

/* Replies that had waited for the server were written. */
static void go_on(struct uplink *link)
{
	bool waited = !link->reading;
	uplink_flush(link);
	if (link->ended || uplink_full(link))
		return;
	if (waited)
		take_frames(link);
	read_or_pause(link);
	/* Also when nothing was held up here: replies to what had been taken before may have filled it. */
	if (link->reading)
		link->handler->room(link->context);
}

static void on_written(uv_write_t *write, int status)
{
	struct uplink *link = write->data;
	link->writing = false;
	trim(&link->sending);
	if (status < 0)
		write_failed(link, status);
	else
		go_on(link);
}

static void swap_out(struct uplink *link)
{
	struct blob empty = link->sending;
	link->sending = link->out;
	link->out = empty;
}

static void put_in_ring(struct uplink *link)
{
	bool all;
	do {
		if (link->sending.used == 0)
			swap_out(link);
		int64_t put =
			ring_put(link->rings.out, link->sending.data + link->sent, link->sending.used - link->sent);
		if (put < 0) {
			end_nonsense(link);
			return;
		}
		link->sent += (size_t)put;
		all = link->sent == link->sending.used;
		if (all) {
			trim(&link->sending);
			link->sent = 0;
		}
	} while (all && link->out.used);
}

static void flush_to_ring(struct uplink *link)
{
	if (link->sending.used + link->out.used)
		put_in_ring(link);
	if (link->ended)
		return;
	link->held_up |= link->sending.used > 0;
	if (link->quiet && !link->sending.used)
		return;
	/* A bell that finds no room has others before it; what is wrong with the socket is found by reading. */
	uv_buf_t bell = uv_buf_init("", 1);
	if (rings_bell(&link->rings))
		(void)uv_try_write((uv_stream_t *)&link->pipe, &bell, 1);
}

static void write_out(struct uplink *link)
{
	if (link->writing || link->ended)
		return;
	if (link->rings.out) {
		flush_to_ring(link);
		if (link->sending.used)
			return;
	} else if (link->out.used) {
		uv_buf_t buf = uv_buf_init((char *)link->out.data, (unsigned)link->out.used);
		int sent = uv_try_write((uv_stream_t *)&link->pipe, &buf, 1);
		if (sent < 0 && sent != UV_EAGAIN) {
			write_failed(link, sent);
			return;
		}
		size_t done = sent > 0 ? (size_t)sent : 0;
		if (done < link->out.used) {
			swap_out(link);
			buf = uv_buf_init((char *)link->sending.data + done, (unsigned)(link->sending.used - done));
			link->write.data = link;
			link->writing = true;
			int status = uv_write(&link->write, (uv_stream_t *)&link->pipe, &buf, 1, on_written);
			if (status)
				write_failed(link, status);
			return;
		}
		trim(&link->out);
	}
	if (link->finishing) {
		struct error none = { 0 };
		end(link, &none);
	}
}

static void on_more(uv_idle_t *idle)
{
	(void)idle; /* its being active keeps the loop from waiting */
}

#define ROUNDS 8u /* of taking and answering, before the loop's other handles have their turn */

/* Before the loop waits. */
static void on_prepare(uv_prepare_t *prepare)
{
	struct uplink *link = prepare->data;
	rings_awake(&link->rings);
	write_out(link);
	if (link->held_up && !link->sending.used && !link->ended) {
		link->held_up = false;
		go_on(link);
	}
	for (unsigned round = 0; round < ROUNDS && !link->ended && link->reading; round++)
		if (!receive(link))
			break;
	if (link->ended || rings_wait(&link->rings, link->reading, link->sending.used > 0))
		uv_idle_stop(&link->more);
	else
		uv_idle_start(&link->more, on_more);
}

void uplink_flush(struct uplink *link)
{
	link->quiet = false;
	write_out(link);
}

void uplink_put(struct uplink *link)
{
	link->quiet = true;
	write_out(link);
}

void uplink_finish(struct uplink *link)
{
	link->finishing = true;
	uplink_flush(link);
}

static struct blob *begin(struct uplink *link, const struct frame_head *head)
{
	if (!blob_reserve(&link->out, sizeof *head)) {
		end_no_memory(link);
		return NULL;
	}
	link->frame_start = link->out.used;
	memcpy(link->out.data + link->out.used, head, sizeof *head);
	link->out.used += sizeof *head;
	return &link->out;
}

struct blob *uplink_begin(struct uplink *link, enum frame_kind kind, uint64_t call)
{
	struct frame_head head = { .kind = (uint16_t)kind, .call = call };
	return begin(link, &head);
}

size_t uplink_frame_bytes(const struct uplink *link)
{
	return link->out.used - link->frame_start - sizeof(struct frame_head);
}

void uplink_end(struct uplink *link)
{
	uint32_t bytes = (uint32_t)uplink_frame_bytes(link);
	memcpy(link->out.data + link->frame_start + offsetof(struct frame_head, bytes), &bytes, sizeof bytes);
	if (link->ended)
		link->out.used = 0;
}

void uplink_cancel(struct uplink *link)
{
	link->out.used = link->frame_start;
}

/* uplink_end fills in head->bytes. */
static void send_frame(struct uplink *link, const struct frame_head *head, const void *payload, size_t bytes)
{
	struct blob *out = begin(link, head);
	if (!out)
		return;
	if (!blob_reserve(out, bytes)) {
		uplink_cancel(link);
		end_no_memory(link);
		return;
	}
	if (bytes)
		memcpy(out->data + out->used, payload, bytes);
	out->used += bytes;
	uplink_end(link);
}

void uplink_send(struct uplink *link, enum frame_kind kind, uint64_t call, const struct error *err, const void *payload,
		 size_t bytes)
{
	struct frame_head head = { .kind = (uint16_t)kind, .call = call };
	if (err && err->code) {
		head.status = (uint16_t)error_grpc_status(err->code);
		payload = err->text;
		bytes = strlen(err->text);
	}
	send_frame(link, &head, payload, bytes);
}

void uplink_send_users(struct uplink *link, uint64_t call, const void *payload, size_t bytes, uint32_t failed_users)
{
	struct frame_head head = { .kind = FRAME_REPLY, .call = call, .failed_users = failed_users };
	send_frame(link, &head, payload, bytes);
}

int uplink_open(struct uplink *link, uv_loop_t *loop, int fd, const struct uplink_handler *handler, void *context,
		struct error *err)
{
	memset(link, 0, sizeof *link);
	link->handler = handler;
	link->context = context;
	link->handles = 1;
	int status = uv_pipe_init(loop, &link->pipe, 0);
	if (!status)
		status = uv_pipe_open(&link->pipe, fd);
	if (status)
		return error_set(err, E_INVALID, "file descriptor %d: %s", fd, uv_strerror(status));
	link->pipe.data = link;
	read_or_pause(link);
	return 0;
}

int uplink_memory(struct uplink *link, int fd, struct error *err)
{
	int code = rings_take(&link->rings, fd, err);
	if (code)
		return code;
	uv_prepare_init(link->pipe.loop, &link->prepare);
	uv_idle_init(link->pipe.loop, &link->more);
	link->handles = 3;
	link->prepare.data = link->more.data = link;
	uv_prepare_start(&link->prepare, on_prepare);
	return 0;
}

/* Not before: the handler that found the end may still be reading from a frame. */
static void on_closed(uv_handle_t *handle)
{
	struct uplink *link = handle->data;
	if (--link->handles)
		return;
	rings_drop(&link->rings);
	blob_fini(&link->in);
	blob_fini(&link->out);
	blob_fini(&link->sending);
	if (link->closed)
		link->closed(link);
}

void uplink_close(struct uplink *link, void (*closed)(struct uplink *link))
{
	link->ended = true;
	link->closed = closed;
	link->pipe.data = link;
	if (link->rings.in) {
		uv_close((uv_handle_t *)&link->prepare, on_closed);
		uv_close((uv_handle_t *)&link->more, on_closed);
	}
	uv_close((uv_handle_t *)&link->pipe, on_closed);
}
