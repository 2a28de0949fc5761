/*
 * Whom to ask for: the choice of users by number of the request. Made-up users are u0..uN-1, as
 * kindred-synthetic makes them; or they are the lines of a file. Evenly, by Zipf's law with the first ones most
 * often, or one after another, each once a round, as a campaign's list has them. The same seed gives the same choices.
 * One thread.
 */
#ifndef KINDRED_BENCH_USERS_H
#define KINDRED_BENCH_USERS_H

#include "common/error.h"
#include "common/ids.h"

#include <stdbool.h>
#include <stdint.h>

struct users {
	uint64_t count; /* > 0 */
	bool in_order; /* one after another */
	double zipf; /* else: exponent; 0: evenly */
	uint64_t seed;
	char *text; /* of the file; NULL: made up */
	char **lines; /* [count], into text */
};

/*
 * One id a line; empty lines are skipped. E_NOT_FOUND, E_INVALID (no ids, or one too long),
 * E_EXHAUSTED. users_free in any case.
 */
int users_read(struct users *users, const char *path, struct error *err);
void users_free(struct users *users);
/* The user of choice `number`: in `room` (USER_ID_MAX + 1 bytes), or where the file's line is. NUL-terminated. */
char *users_pick(const struct users *users, uint64_t number, char *room);
/*
 * "u17": a made-up id, NUL-terminated; text: 22 bytes. Returns its end (the NUL). Not printf: hundreds
 * of thousands are made a second.
 */
char *users_id(char *text, char prefix, uint64_t number);

#endif
