/*
 * What an import found in its file, for whoever defines recommendations over it next: the event types with their
 * counts, and some users and items from all over the file. Pure.
 */
#ifndef KINDRED_CLI_FOUND_H
#define KINDRED_CLI_FOUND_H

#include "common/ids.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define FOUND_TYPES_MAX 32 /* more are counted together */
#define FOUND_USERS_MAX 10

/* Some different ids from all over a file; the same for the same file. */
struct found_sample {
	char ids[FOUND_USERS_MAX][USER_ID_MAX + 1];
	size_t count;
	uint64_t state;
};

/* Starts as all zero. */
struct found {
	struct found_type {
		char name[EVENT_TYPE_MAX + 1];
		uint64_t count;
	} types[FOUND_TYPES_MAX];
	size_t type_count;
	uint64_t others; /* events of types beyond FOUND_TYPES_MAX */
	struct found_sample users, items;
	uint64_t events;
};

/* One event. Texts that are too long for an event are left out. */
void found_event(struct found *found, const char *type, const char *user, const char *item);
/* {"Viewed": 1203, ..}, the most frequent first; and a list of users. NULL: no memory. */
json_t *found_types_json(struct found *found);
json_t *found_users_json(const struct found *found);
/*
 * "Viewed 1,203, Purchased 40, and 12 events of other types": of those that are not told one by one, or
 * have no room. Returns text.
 */
const char *found_types_text(struct found *found, char *text, size_t room);

#endif
