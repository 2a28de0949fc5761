#include "worker/encode.h"

#include <stdlib.h>

bool blob_grow(struct blob *buffer, size_t extra)
{
	if (extra > SIZE_MAX / 4 - buffer->used)
		return false;
	size_t room = buffer->room ? buffer->room : 4096;
	while (room - buffer->used < extra)
		room *= 2;
	uint8_t *data = realloc(buffer->data, room);
	if (!data)
		return false;
	buffer->data = data;
	buffer->room = room;
	return true;
}

void blob_fini(struct blob *buffer)
{
	free(buffer->data);
	memset(buffer, 0, sizeof *buffer);
}
