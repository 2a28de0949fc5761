#include "server/buffer.h"

#include "common/error.h"

#include <stdlib.h>
#include <string.h>

uint8_t *buffer_extend(struct buffer *buffer, size_t bytes)
{
	size_t need, room = buffer->room ? buffer->room : 256;
	uint8_t *data;

	if (__builtin_add_overflow(buffer->bytes, bytes, &need))
		return NULL;
	if (need > buffer->room || !buffer->data) {
		while (room < need)
			if (__builtin_mul_overflow(room, 2, &room))
				return NULL;
		data = realloc(buffer->data, room);
		if (!data)
			return NULL;
		buffer->data = data;
		buffer->room = room;
	}
	data = buffer->data + buffer->bytes;
	buffer->bytes = need;
	return data;
}

int buffer_add(struct buffer *buffer, const void *data, size_t bytes)
{
	uint8_t *to = buffer_extend(buffer, bytes);

	if (!to)
		return E_EXHAUSTED;
	if (bytes)
		memcpy(to, data, bytes);
	return 0;
}

int buffer_pack(struct buffer *buffer, const ProtobufCMessage *message)
{
	uint8_t *to = buffer_extend(buffer, protobuf_c_message_get_packed_size(message));

	if (!to)
		return E_EXHAUSTED;
	protobuf_c_message_pack(message, to);
	return 0;
}

int buffer_frame(struct buffer *buffer, enum frame_kind kind, const ProtobufCMessage *message)
{
	size_t bytes = message ? protobuf_c_message_get_packed_size(message) : 0;
	struct frame_head head = { .bytes = (uint32_t)bytes, .kind = (uint16_t)kind, .timeout_ms = UINT32_MAX };
	uint8_t *to;

	if (bytes > FRAME_PAYLOAD_MAX)
		return E_EXHAUSTED;
	to = buffer_extend(buffer, sizeof head + bytes);
	if (!to)
		return E_EXHAUSTED;
	memcpy(to, &head, sizeof head);
	if (message)
		protobuf_c_message_pack(message, to + sizeof head);
	return 0;
}

static size_t varint(uint8_t *to, uint64_t value)
{
	size_t n = 0;

	for (; value >= 0x80; value >>= 7)
		to[n++] = (uint8_t)(value | 0x80);
	to[n++] = (uint8_t)value;
	return n;
}

int buffer_field(struct buffer *buffer, uint32_t field, const void *data, size_t bytes)
{
	uint8_t head[20];
	size_t n = varint(head, (uint64_t)field << 3 | 2), before = buffer->bytes;

	n += varint(head + n, bytes);
	if (buffer_add(buffer, head, n) || buffer_add(buffer, data, bytes)) {
		buffer->bytes = before;
		return E_EXHAUSTED;
	}
	return 0;
}

int buffer_number(struct buffer *buffer, uint32_t field, uint64_t value)
{
	uint8_t bytes[20];
	size_t n = varint(bytes, (uint64_t)field << 3);

	n += varint(bytes + n, value);
	return buffer_add(buffer, bytes, n);
}

void buffer_clear(struct buffer *buffer, size_t keep)
{
	if (buffer->room > keep)
		buffer_fini(buffer);
	buffer->bytes = 0;
}

void buffer_fini(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer){ 0 };
}
