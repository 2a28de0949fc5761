/*
 * A growing run of bytes: frames on their way out, packed messages. Owned by one thread at a time.
 */
#ifndef KINDRED_SERVER_BUFFER_H
#define KINDRED_SERVER_BUFFER_H

#include "common/frame.h"

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
	uint8_t *data;
	size_t bytes;
	size_t room;
};

/* Room for `bytes` more, which count as written: the caller fills them. NULL: no memory, nothing changed. */
uint8_t *buffer_extend(struct buffer *buffer, size_t bytes);
/* All three return 0 or E_EXHAUSTED, and then nothing changed. */
int buffer_add(struct buffer *buffer, const void *data, size_t bytes);
int buffer_pack(struct buffer *buffer, const ProtobufCMessage *message);
/* A whole frame of common/frame.h that answers no call. message NULL: no payload. */
int buffer_frame(struct buffer *buffer, enum frame_kind kind, const ProtobufCMessage *message);
/* A length-delimited protobuf field, and a varint one. */
int buffer_field(struct buffer *buffer, uint32_t field, const void *data, size_t bytes);
int buffer_number(struct buffer *buffer, uint32_t field, uint64_t value);

/* Empty; keeps its memory, unless that is more than `keep` bytes. */
void buffer_clear(struct buffer *buffer, size_t keep);
void buffer_fini(struct buffer *buffer);

#endif
