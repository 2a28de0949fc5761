#include "worker/front_ends.h"
#include "common/frame.h"
#include "common/log.h"
#include "worker/dispatch.h"
#include "worker/worker.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct front_end {
	struct uplink link; /* first: what is told of it is the front-end's */
	struct front_ends *of;
	struct front_end *next, *previous;
};

/* --- one of them --- */

static void on_link_closed(struct uplink *link)
{
	free(link);
}

static void let_go(struct front_end *front_end)
{
	struct front_ends *all = front_end->of;
	if (front_end->previous)
		front_end->previous->next = front_end->next;
	else
		all->first = front_end->next;
	if (front_end->next)
		front_end->next->previous = front_end->previous;
	uplink_close(&front_end->link, on_link_closed);
}

static void on_end(void *context, const struct error *err)
{
	struct front_end *front_end = context;
	struct worker *worker = front_end->of->worker;
	if (err->code)
		log_warning("a further front-end: %s", err->text);
	many_forget(&worker->many, &front_end->link);
	writer_forget(worker->writer, &front_end->link);
	let_go(front_end);
	worker_settle(worker);
}

/* Everything else is the server's to say. */
static bool may_send(uint16_t kind)
{
	return kind == FRAME_CALL_RECOMMEND || kind == FRAME_CALL_RECOMMEND_MANY || kind == FRAME_CALL_INGEST ||
	       kind == FRAME_CANCEL;
}

static void on_frame(void *context, const struct frame_head *head, const uint8_t *payload)
{
	struct front_end *front_end = context;
	struct error err;
	if (may_send(head->kind)) {
		worker_frame(front_end->of->worker, &front_end->link, head, payload);
		return;
	}
	error_set(&err, E_INTERNAL, "it sent a frame of kind %u, which only the server may", (unsigned)head->kind);
	front_end->link.ended = true;
	on_end(front_end, &err);
}

static void on_batch(void *context)
{
	struct front_end *front_end = context;
	worker_batch(front_end->of->worker);
}

static void on_room(void *context)
{
	struct front_end *front_end = context;
	many_resume(&front_end->of->worker->many);
}

static const struct uplink_handler handler = { .frame = on_frame, .batch = on_batch, .room = on_room, .end = on_end };

/* --- coming in --- */

static void take(struct front_ends *all, int fd)
{
	struct front_end *front_end = calloc(1, sizeof *front_end);
	struct error err;
	if (!front_end) {
		log_warning("a further front-end: no memory for it");
		close(fd);
		return;
	}
	front_end->of = all;
	front_end->next = all->first;
	if (front_end->next)
		front_end->next->previous = front_end;
	all->first = front_end;
	if (uplink_open(&front_end->link, &all->worker->loop, fd, &handler, front_end, &err)) {
		log_warning("a further front-end: %s", err.text);
		close(fd);
		let_go(front_end);
		return;
	}
	uplink_send(&front_end->link, FRAME_READY, 0, NULL, NULL, 0);
	uplink_flush(&front_end->link);
}

static void on_came(uv_poll_t *socket, int status, int events)
{
	struct front_ends *all = socket->data;
	int fd;
	(void)status;
	(void)events;
	while ((fd = accept4(FRONT_END_FD, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		take(all, fd);
}

int front_ends_open(struct front_ends *front_ends, struct worker *worker, struct error *err)
{
	front_ends->worker = worker;
	int status = uv_poll_init(&worker->loop, &front_ends->socket, FRONT_END_FD);
	if (status)
		return error_set(err, E_INTERNAL, "the socket for further front-ends, file descriptor %d: %s",
				 FRONT_END_FD, uv_strerror(status));
	front_ends->socket.data = front_ends;
	front_ends->open = true;
	return 0;
}

void front_ends_admit(struct front_ends *front_ends)
{
	if (front_ends->open)
		uv_poll_start(&front_ends->socket, UV_READABLE, on_came);
}

void front_ends_flush(struct front_ends *front_ends)
{
	struct front_end *next;
	for (struct front_end *front_end = front_ends->first; front_end; front_end = next) {
		next = front_end->next; /* a write that fails ends it */
		uplink_flush(&front_end->link);
	}
}

void front_ends_close(struct front_ends *front_ends)
{
	if (!front_ends->open)
		return;
	while (front_ends->first)
		let_go(front_ends->first);
	uv_close((uv_handle_t *)&front_ends->socket, NULL);
	front_ends->open = false;
}
