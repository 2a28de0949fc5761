/*
 * The gRPC client of our own programs (command line, bench, tests): synchronous calls and bidirectional streams on gRPC
 * C core, with protobuf-c messages. grpc.h stays behind this header.
 *
 *     struct rpc_client *client;
 *     rpc_open(&client, "127.0.0.1:7600", &err);
 *     Kindred__V1__GetStatusResponse *status;
 *     rpc_call(client, "/kindred.v1.StatusService/GetStatus", &request.base,
 *              &kindred__v1__get_status_response__descriptor, 10000, NULL, &status, &err);
 *     ... kindred__v1__get_status_response__free_unpacked(status, NULL);
 *     rpc_close(client);
 *
 * A stream: rpc_stream_open -> { rpc_stream_send | rpc_stream_receive }.. -> rpc_stream_half_close ->
 * rpc_stream_receive until it answers 0 -> rpc_stream_free. Several messages may be under way: send
 * some, then receive one for one. While a send waits for the other side to take it, answers that come
 * in are kept for rpc_stream_receive, so that two sides that both send never wait for each other; the
 * caller bounds that memory by bounding what it asks for.
 *
 * Errors are the server's status and text. A server that cannot be reached is E_UNAVAILABLE with a text
 * that says how to start one. A client may be used by several threads at a time, a stream by one.
 * Nothing may fork without exec after rpc_open.
 */
#ifndef KINDRED_RPC_CLIENT_H
#define KINDRED_RPC_CLIENT_H

#include "common/error.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As a timeout: wait as long as it takes. */
#define RPC_FOREVER INT64_C(-1)
/* Answers larger than this are refused (RESOURCE_EXHAUSTED). */
#define RPC_ANSWER_MAX (64 << 20)

struct rpc_client;
struct rpc_stream;

/*
 * For a process that receives much: memory that is freed stays with it, up to 64 MB. Else each message of some hundred
 * kilobytes gets new pages, which the kernel clears, and gives them back. rpc_open does it.
 */
void rpc_keep_memory(void);

/*
 * target: HOST:PORT, [V6]:PORT, or unix:PATH and such. Does not connect: the first call does.
 * E_INVALID: not a target.
 */
int rpc_open(struct rpc_client **client, const char *target, struct error *err);
/* All its streams are freed before. */
void rpc_close(struct rpc_client *client);

/*
 * One call. *response is of type `type`, unpacked from `allocator` (NULL: malloc; free with the
 * message's *__free_unpacked). Returns 0, the status of the call, or E_DATA_LOSS for an answer that is
 * not such a message.
 */
int rpc_call(struct rpc_client *client, const char *method, const ProtobufCMessage *request,
	     const ProtobufCMessageDescriptor *type, int64_t timeout_ms, ProtobufCAllocator *allocator, void *response,
	     struct error *err);

/* type: of the messages that come back. timeout_ms: of the whole stream. */
int rpc_stream_open(struct rpc_stream **stream, struct rpc_client *client, const char *method,
		    const ProtobufCMessageDescriptor *type, int64_t timeout_ms, struct error *err);
/* Cancels what is not over. NULL is fine. */
void rpc_stream_free(struct rpc_stream *stream);

/*
 * Waits until the message before was taken (flow control), then hands over this one. An error means
 * that the stream is over.
 */
int rpc_stream_send(struct rpc_stream *stream, const ProtobufCMessage *request, struct error *err);
/* The same for a message that is packed already. */
int rpc_stream_send_packed(struct rpc_stream *stream, const void *bytes, size_t size, struct error *err);

/*
 * The next message: 1. The stream ended with OK: 0. Nothing within timeout_ms: E_DEADLINE with *waiting
 * = true, and the stream goes on. Any other error is the stream's status (*waiting = false): it is
 * over. waiting may be NULL with RPC_FOREVER.
 */
int rpc_stream_receive(struct rpc_stream *stream, int64_t timeout_ms, ProtobufCAllocator *allocator, void *response,
		       bool *waiting, struct error *err);

/* The same for a caller that reads the bytes itself: they are good until the next call with this stream. */
int rpc_stream_receive_packed(struct rpc_stream *stream, int64_t timeout_ms, const uint8_t **bytes, size_t *size,
			      bool *waiting, struct error *err);

/* No more will be sent. */
int rpc_stream_half_close(struct rpc_stream *stream, struct error *err);
/* Half closes when that was not done, throws away what still comes, and returns the stream's status. */
int rpc_stream_finish(struct rpc_stream *stream, struct error *err);

#endif
