#include "worker/front_ends.h"
#include "common/frame.h"
#include "common/log.h"
#include "worker/dispatch.h"
#include "worker/worker.h"

#include <errno.h>
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

/* Who has connected and not sent its first byte yet, with which the link's memory comes. */
struct arrival {
	struct front_ends *of;
	struct arrival *next, *previous;
	uv_poll_t poll;
	int fd; /* -1: not ours any more */
	int memory; /* -1: none came */
};

/* memory: -1, or closed also after an error. */
static int open_link(struct front_end *front_end, int fd, int memory, struct error *err)
{
	int code = uplink_open(&front_end->link, &front_end->of->worker->loop, fd, &handler, front_end, err);
	if (code) {
		close(fd);
		if (memory >= 0)
			close(memory);
		return code;
	}
	return memory < 0 ? 0 : uplink_memory(&front_end->link, memory, err);
}

static void take(struct front_ends *all, int fd, int memory)
{
	struct front_end *front_end = calloc(1, sizeof *front_end);
	struct error err;
	if (!front_end) {
		log_warning("a further front-end: no memory for it");
		close(fd);
		if (memory >= 0)
			close(memory);
		return;
	}
	front_end->of = all;
	front_end->next = all->first;
	if (front_end->next)
		front_end->next->previous = front_end;
	all->first = front_end;
	if (open_link(front_end, fd, memory, &err)) {
		log_warning("a further front-end: %s", err.text);
		let_go(front_end);
		return;
	}
	uplink_send(&front_end->link, FRAME_READY, 0, NULL, NULL, 0);
	uplink_flush(&front_end->link);
}

static void on_arrival_closed(uv_handle_t *poll)
{
	struct arrival *arrival = poll->data;
	if (arrival->fd >= 0)
		take(arrival->of, arrival->fd, arrival->memory);
	free(arrival);
}

/* The descriptor is watched by nobody when the link takes it. */
static void arrival_over(struct arrival *arrival, bool welcome)
{
	if (arrival->previous)
		arrival->previous->next = arrival->next;
	else
		arrival->of->arrivals = arrival->next;
	if (arrival->next)
		arrival->next->previous = arrival->previous;
	uv_poll_stop(&arrival->poll);
	if (!welcome) {
		close(arrival->fd);
		arrival->fd = -1;
	}
	uv_close((uv_handle_t *)&arrival->poll, on_arrival_closed);
}

/*
 * The descriptors that came with a message; *memory: the one, when there is one. False: others, or not
 * all could be taken: all are closed.
 */
static bool take_descriptors(struct msghdr *message, int *memory)
{
	uint32_t count = 0;
	*memory = -1;
	for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head; head = CMSG_NXTHDR(message, head)) {
		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
			continue;
		size_t bytes = head->cmsg_len - CMSG_LEN(0);
		for (size_t at = 0; at + sizeof *memory <= bytes; at += sizeof *memory) {
			if (*memory >= 0)
				close(*memory);
			memcpy(memory, CMSG_DATA(head) + at, sizeof *memory);
			count++;
		}
	}
	bool good = count <= 1 && !(message->msg_flags & MSG_CTRUNC);
	if (!good && *memory >= 0)
		close(*memory);
	return good;
}

/*
 * 1: the first byte has come, *memory: -1 when nothing came with it; 0: it has not come yet; -1: who
 * comes is not let in.
 */
static int receive_memory(int fd, int *memory)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof *memory)];
	char byte;
	struct iovec room = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &room, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
	};
	ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	if (got < 0 && errno == EAGAIN)
		return 0;
	return got == 1 && take_descriptors(&message, memory) ? 1 : -1;
}

static void on_first_byte(uv_poll_t *poll, int status, int events)
{
	struct arrival *arrival = poll->data;
	(void)events;
	int came = status ? -1 : receive_memory(arrival->fd, &arrival->memory);
	if (came)
		arrival_over(arrival, came > 0);
}

static void arrive(struct front_ends *all, int fd)
{
	struct arrival *arrival = calloc(1, sizeof *arrival);
	int status = arrival ? uv_poll_init(&all->worker->loop, &arrival->poll, fd) : UV_ENOMEM;
	if (status) {
		log_warning("a further front-end: %s", uv_strerror(status));
		free(arrival);
		close(fd);
		return;
	}
	arrival->of = all;
	arrival->fd = fd;
	arrival->memory = -1;
	arrival->next = all->arrivals;
	if (arrival->next)
		arrival->next->previous = arrival;
	all->arrivals = arrival;
	arrival->poll.data = arrival;
	uv_poll_start(&arrival->poll, UV_READABLE, on_first_byte);
}

static void on_came(uv_poll_t *socket, int status, int events)
{
	struct front_ends *all = socket->data;
	int fd;
	(void)status;
	(void)events;
	while ((fd = accept4(FRONT_END_FD, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		arrive(all, fd);
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
		/* it stays in the queue, and would be told of at once and for ever: front_ends_try_again() */
		log_warning("a further front-end cannot be taken in: %s", strerror(errno));
		uv_poll_stop(socket);
	}
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
	front_ends->admitted = true;
	front_ends_try_again(front_ends);
}

void front_ends_try_again(struct front_ends *front_ends)
{
	if (front_ends->open && front_ends->admitted && !uv_is_active((uv_handle_t *)&front_ends->socket))
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
	while (front_ends->arrivals)
		arrival_over(front_ends->arrivals, false);
	while (front_ends->first)
		let_go(front_ends->first);
	uv_close((uv_handle_t *)&front_ends->socket, NULL);
	front_ends->open = false;
}
