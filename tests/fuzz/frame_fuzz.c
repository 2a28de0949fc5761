/*
 * Any bytes as what comes over the link, in whatever pieces: the frames found are the same, whole ones,
 * and cover the bytes up to the first bad head. And any bytes as an event's packed properties
 * (common/properties.h): what is found lies within them.
 */
#include "common/error.h"
#include "common/frame.h"
#include "common/properties.h"

#include <stdlib.h>
#include <string.h>

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* Bytes of whole frames at the start, and what stopped: 0 or E_INVALID. */
static size_t frames(const uint8_t *data, size_t bytes, uint32_t *count, int64_t *stopped)
{
	size_t at = 0;
	struct frame_head head;
	*count = 0;
	while ((*stopped = frame_next(data + at, bytes - at, &head)) > 0) {
		check((size_t)*stopped == sizeof head + head.bytes && (size_t)*stopped <= bytes - at);
		check(head.bytes <= FRAME_PAYLOAD_MAX && head.kind != 0);
		at += (size_t)*stopped;
		++*count;
	}
	check(*stopped == 0 || *stopped == E_INVALID);
	return at;
}

static void fuzz_properties(const uint8_t *data, size_t bytes)
{
	struct shard_property properties[PROPERTIES_MAX + 8];
	char *packed = malloc(PROPERTIES_BYTES_MAX);
	size_t count = properties_unpack((const char *)data, bytes, properties, sizeof properties / sizeof *properties);
	for (size_t i = 0; i < count; i++) {
		const char *end = (const char *)data + bytes;
		check(properties[i].name >= (const char *)data && properties[i].name <= end);
		check(properties[i].name + properties[i].name_bytes <= end);
		check(properties[i].value + properties[i].value_bytes <= end);
	}
	/* what can be packed is read back as it was; all fields together are as long as the bytes were */
	size_t packed_bytes = properties_pack(properties, count, packed);
	if (packed_bytes) {
		check(packed_bytes <= PROPERTIES_BYTES_MAX && (count == 0 || packed_bytes <= bytes));
		check(count == 0 || memcmp(packed + 2, data + 2, packed_bytes - 2) == 0);
	}
	free(packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	uint32_t all, some;
	int64_t stopped, stopped_early;
	size_t covered = frames(data, bytes, &all, &stopped);
	for (size_t cut = 0; cut < bytes; cut += 1 + bytes / 16) {
		size_t first = frames(data, cut, &some, &stopped_early);
		check(first <= covered && some <= all);
		/* the rest, together with what was left over, gives the others */
		uint32_t others;
		check(first + frames(data + first, bytes - first, &others, &stopped_early) == covered);
		check(some + others == all && stopped_early == stopped);
	}
	fuzz_properties(data, bytes);
	return 0;
}
