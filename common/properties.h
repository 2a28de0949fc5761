/*
 * How the properties of one event are packed on disk: the number of them (uint16), then for each the
 * lengths of name and value (uint16 each), the name and the value; little endian. And which key they
 * are found by. Pure.
 */
#ifndef KINDRED_PROPERTIES_H
#define KINDRED_PROPERTIES_H

#include "common/shard.h"

#include <stddef.h>

#define PROPERTIES_MAX 32
#define PROPERTY_BYTES_MAX 256 /* of a name, and of a value */
#define PROPERTIES_BYTES_MAX (2 + PROPERTIES_MAX * (4 + 2 * PROPERTY_BYTES_MAX))
#define PROPERTIES_KEY_BYTES 24

/* packed: room for PROPERTIES_BYTES_MAX. Returns the bytes; 0 when there are too many or one is too long. */
size_t properties_pack(const struct shard_property *properties, size_t count, char *packed);
/* At most room of them; they point into packed. Stops at damage. Returns how many. */
size_t properties_unpack(const char *packed, size_t bytes, struct shard_property *properties, size_t room);

/*
 * The user's 128-bit key, then the event's: its event key, or for an event without id a hash of all it
 * has, its twin number (HISTORY_TWIN_SHIFT) too. All of a user's follow each other.
 */
void properties_key(const char *user, size_t user_bytes, const struct history_entry *entry,
		    unsigned char key[PROPERTIES_KEY_BYTES]);

#endif
