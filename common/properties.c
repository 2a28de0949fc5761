#include "common/properties.h"

#include <endian.h>
#include <string.h>
#include <xxhash.h>

_Static_assert(__BYTE_ORDER == __LITTLE_ENDIAN, "rows and properties are written as they are in memory");

static char *put16(char *at, size_t number)
{
	uint16_t value = (uint16_t)number;
	memcpy(at, &value, sizeof value);
	return at + sizeof value;
}

size_t properties_pack(const struct shard_property *properties, size_t count, char *packed)
{
	if (count > PROPERTIES_MAX)
		return 0;
	char *at = put16(packed, count);
	for (size_t i = 0; i < count; i++) {
		const struct shard_property *property = &properties[i];
		if (property->name_bytes > PROPERTY_BYTES_MAX || property->value_bytes > PROPERTY_BYTES_MAX)
			return 0;
		at = put16(put16(at, property->name_bytes), property->value_bytes);
		at = mempcpy(at, property->name, property->name_bytes);
		at = mempcpy(at, property->value, property->value_bytes);
	}
	return (size_t)(at - packed);
}

size_t properties_unpack(const char *packed, size_t bytes, struct shard_property *properties, size_t room)
{
	uint16_t count;
	if (bytes < sizeof count)
		return 0;
	memcpy(&count, packed, sizeof count);
	const char *at = packed + sizeof count, *end = packed + bytes;
	size_t read = 0;
	while (read < count && read < room) {
		uint16_t lengths[2];
		if ((size_t)(end - at) < sizeof lengths)
			break;
		memcpy(lengths, at, sizeof lengths);
		at += sizeof lengths;
		if ((size_t)(end - at) < (size_t)lengths[0] + lengths[1])
			break;
		properties[read++] = (struct shard_property){
			.name = at, .name_bytes = lengths[0], .value = at + lengths[0], .value_bytes = lengths[1]
		};
		at += (size_t)lengths[0] + lengths[1];
	}
	return read;
}

/* Big endian, so that LMDB's order by bytes is order by user. */
void properties_key(const char *user, size_t user_bytes, const struct history_entry *entry,
		    unsigned char key[PROPERTIES_KEY_BYTES])
{
	uint64_t event = entry->event.value;
	if (event == 0)
		event = XXH3_64bits(entry, sizeof *entry);
	struct user_key hash = user_key(user, user_bytes);
	uint64_t parts[3] = { htobe64(hash.high), htobe64(hash.low), htobe64(event) };
	memcpy(key, parts, PROPERTIES_KEY_BYTES);
}
