/*
 * The writer: a thread that puts calls on disk, many in one commit (worker/group.h), beside the loop thread
 * that goes on answering from what is committed.
 *
 * It takes all that is waiting, up to the bounds of a group, so a lone event is committed at once and a
 * flood together. What waits is bounded; beyond it a call is refused at once.
 *
 * Everything here is called by the loop thread. A call that writes:
 *     writer_call -> fill it in -> writer_submit -> ... on_done (loop thread), after which the writer has it back
 *
 * Failure: no memory or a full queue (E_EXHAUSTED from writer_submit); a call whose deadline passed or that
 * was cancelled while it waited is not worked on; a disk that fails or is full gives each call of that
 * shard its error and the writer goes on.
 */
#ifndef KINDRED_WORKER_WRITER_H
#define KINDRED_WORKER_WRITER_H

#include "worker/group.h"

#include <uv.h>

#define WRITER_QUEUE_EVENTS 100000u
#define WRITER_QUEUE_BYTES ((size_t)64 << 20)

struct writer;

struct writer_handler {
	/*
	 * On the loop thread. call->err and call->reply are the answer; call lives during this call. Not called for a
	 * cancelled one.
	 */
	void (*done)(void *context, const struct write_call *call);
	/* All that were done have been given. */
	void (*batch)(void *context);
};

/* turns: lives longer than the writer. */
int writer_start(struct writer **writer, uv_loop_t *loop, struct shards *shards, const struct history_rules *rules,
		 struct turns *turns, const struct writer_handler *handler, void *context, struct error *err);
/*
 * Everything submitted is put on disk, then the thread ends; done is not called any more. Frees (the loop
 * must run once more for its handle).
 */
void writer_stop(struct writer *writer);

/* An empty call: kind, call, deadline, arrived and payload are to be filled in. NULL: no memory. */
struct write_call *writer_call(struct writer *writer);
/* One that is not submitted after all. */
void writer_give_back(struct writer *writer, struct write_call *call);
/* The writer has it from here, also after an error. */
int writer_submit(struct writer *writer, struct write_call *call, struct error *err);
/* Not worked on if it still waits; not answered in any case. Unknown numbers are nothing. */
void writer_cancel(struct writer *writer, const struct uplink *from, uint64_t call);
/* The same for all of an uplink that is gone. */
void writer_forget(struct writer *writer, const struct uplink *from);
/* Submitted and not done. */
uint32_t writer_pending(const struct writer *writer);

#endif
