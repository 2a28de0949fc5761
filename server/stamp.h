/*
 * Times in answers. Pure.
 */
#ifndef KINDRED_SERVER_STAMP_H
#define KINDRED_SERVER_STAMP_H

#include "google/protobuf/timestamp.pb-c.h"

#include <stdint.h>
#include <stdlib.h>

/* malloc'ed, freed with the message it is put into. NULL: no memory. time_ms >= 0 */
static inline Google__Protobuf__Timestamp *stamp_new(int64_t time_ms)
{
	Google__Protobuf__Timestamp *stamp = malloc(sizeof *stamp);

	if (!stamp)
		return NULL;
	google__protobuf__timestamp__init(stamp);
	stamp->seconds = time_ms / 1000;
	stamp->nanos = (int32_t)(time_ms % 1000) * 1000000;
	return stamp;
}

#endif
