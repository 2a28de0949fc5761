/* What client.c (single calls) and stream.c have in common. Private to them, and with it C core's headers. */
#ifndef KINDRED_RPC_CLIENT_PRIVATE_H
#define KINDRED_RPC_CLIENT_PRIVATE_H

#include "common/rpc/client.h"

#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>

struct rpc_client {
	grpc_channel *channel;
	char target[256];
};

/* RPC_FOREVER: never. */
gpr_timespec rpc_deadline(int64_t timeout_ms);
void rpc_await_connection(struct rpc_client *client, gpr_timespec deadline);
grpc_call *rpc_call_new(struct rpc_client *client, grpc_completion_queue *queue, const char *method,
			gpr_timespec deadline);
grpc_byte_buffer *rpc_pack(const ProtobufCMessage *message);
/* Consumes the buffer. E_DATA_LOSS: it is no message of that type. */
int rpc_unpack(grpc_byte_buffer *buffer, const ProtobufCMessageDescriptor *type, ProtobufCAllocator *allocator,
	       void *response, struct error *err);
/* A call's end as an error: 0 for OK. */
int rpc_status_error(struct rpc_client *client, grpc_status_code status, grpc_slice details, struct error *err);

#endif
