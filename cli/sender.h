/*
 * Sends batches over a stream whose answers carry the batch's number (ImportItems, IngestEventStream),
 * several in flight, and lives through a server or a worker that restarts: a batch is kept, packed,
 * until its answer is here; when the stream breaks with UNAVAILABLE, it is opened again and everything
 * without an answer is sent again. What is sent must be safe to send twice.
 *
 *     sender_open -> sender_send.. -> sender_finish -> sender_close
 */
#ifndef KINDRED_CLI_SENDER_H
#define KINDRED_CLI_SENDER_H

#include "common/rpc/client.h"

#include <stdbool.h>
#include <stdint.h>

#define SENDER_WINDOW_MAX 64

struct sender_options {
	const char *method;
	const ProtobufCMessageDescriptor *answer;
	unsigned window; /* batches in flight, 1..SENDER_WINDOW_MAX */
	int64_t patience_ms; /* how long it tries again without any answer coming */
	uint64_t (*answer_batch)(const ProtobufCMessage *answer);
	/* Once a batch; an error ends the sending. `batch` as given to sender_send; on_answer frees it. */
	int (*on_answer)(void *context, const ProtobufCMessage *answer, void *batch, struct error *err);
	/* A batch whose answer never came, at sender_close. */
	void (*on_lost)(void *context, void *batch);
	/* A line for a person: the connection was lost, it is tried again. */
	void (*on_remark)(void *context, const char *text);
	void *context;
};

struct sender;

int sender_open(struct sender **sender, struct rpc_client *client, const struct sender_options *options,
		struct error *err);
/*
 * Waits while the window is full. number: unique, and the one in the message. On an error the batch is
 * the caller's still when *taken is false.
 */
int sender_send(struct sender *sender, uint64_t number, const ProtobufCMessage *message, void *batch, bool *taken,
		struct error *err);
/* Waits for all answers. */
int sender_finish(struct sender *sender, struct error *err);
void sender_close(struct sender *sender);

/* Batches that were sent more than once. */
uint64_t sender_resent(const struct sender *sender);

#endif
