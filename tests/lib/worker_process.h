/*
 * A real kindred-worker for a test, on a data directory of its own, driven with frames over a socket
 * pair as the server would, or through shared memory (KINDRED_TEST_LINK=memory). Replies may come in
 * any order; worker_reply waits for one and keeps the others.
 *
 *     worker_process_init -> worker_start -> { worker_send / worker_reply, or lib/worker_calls.h }..
 *     -> worker_end or worker_kill -> worker_process_fini
 *
 * What does not go as a test needs fails the test (cmocka's fail_msg); nothing is awaited longer than two
 * minutes.
 */
#ifndef KINDRED_TEST_WORKER_PROCESS_H
#define KINDRED_TEST_WORKER_PROCESS_H

#include "common/frame.h"
#include "common/ring.h"
#include "kindred/internal/link.pb-c.h"
#include "lib/temp_dir.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct worker_frame {
	struct worker_frame *next;
	struct frame_head head;
	uint8_t payload[]; /* NUL after it */
};

struct worker_process {
	struct temp_dir home; /* the data directory */
	pid_t pid; /* 0: not running */
	int fd;
	int listen_fd; /* of worker_listen; -1: there is none */
	/* with KINDRED_TEST_LINK=memory: frames go through memory, as between a server and its workers */
	struct rings rings;
	uint64_t calls; /* numbers given so far */
	struct worker_frame *kept; /* came while another was waited for */
	uint8_t *in;
	size_t in_used, in_room;
	/* of the setup; may be changed before worker_start */
	uint32_t shard_total, first_shard, shard_count, history_cap, retention_days, durability;
	uint64_t shard_map_bytes;
};

/* Defaults: 4 shards, all of them the worker's; history_cap 1,000; no retention; sync; 1 GiB of map. */
void worker_process_init(struct worker_process *process);
void worker_process_fini(struct worker_process *process);

/* The same as cmocka wants it; *state is the process. */
int worker_process_setup(void **state);
int worker_process_teardown(void **state);

/* Before it is started: it gets a socket for further front-ends. */
void worker_listen(struct worker_process *process);
/*
 * Connects as a further front-end does; memory: with memory of its own for the link. Calls go over *further then, as
 * over the process's own link; it is ended by worker_further_end.
 */
void worker_further_start(struct worker_process *further, struct worker_process *process, bool memory);
void worker_further_end(struct worker_process *further);

/* Starts the process and does no more. */
void worker_spawn(struct worker_process *process);
/* Starts it, sends the setup and waits until it is ready. */
void worker_start(struct worker_process *process);
/* Waits for it to end by itself. Its exit code, or 128 + signal. */
int worker_wait(struct worker_process *process);
/* Closes the link, or kills it with SIGKILL; then waits. */
int worker_end(struct worker_process *process);
void worker_kill(struct worker_process *process);

/*
 * Holds it: what is sent meanwhile fits into the link, and is all there before the worker goes on, so that it meets
 * it at once.
 */
void worker_hold(struct worker_process *process);
void worker_go_on(struct worker_process *process);

/*
 * Through memory, once the worker is held: lets it go on, and sleeps until it rings; how many replies have come by
 * then, the last one perhaps in part.
 */
uint32_t worker_wake_replies(struct worker_process *process);

/* A call with a new number, without deadline; returns the number. */
uint64_t worker_send(struct worker_process *process, enum frame_kind kind, const void *payload, size_t bytes);
void worker_send_head(struct worker_process *process, struct frame_head head, const void *payload);
uint64_t worker_send_message(struct worker_process *process, enum frame_kind kind, const ProtobufCMessage *message);
/* Bytes as they are: all of them; or as many as there is room for, 0 when there is none for patience_ms. */
void worker_send_bytes(struct worker_process *process, const void *bytes, size_t count);
size_t worker_send_some(struct worker_process *process, const void *bytes, size_t count, int patience_ms);
/* Waits for a frame of that kind and call; free() it. NULL: the link was closed instead. */
struct worker_frame *worker_await(struct worker_process *process, enum frame_kind kind, uint64_t call);
/* The reply to a call; not NULL. */
struct worker_frame *worker_reply(struct worker_process *process, uint64_t call);
/* The next frame, whatever it is; NULL: the link was closed. */
struct worker_frame *worker_next(struct worker_process *process);
/* Fails unless the reply has this gRPC status and its text contains `text`. */
void worker_expect_error(struct worker_process *process, uint64_t call, int status, const char *text);

#endif
