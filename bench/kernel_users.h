/*
 * What kindred-kernel scores: a model generation, and the users of its data directory as scoring sees
 * them: the events that the relation counts, as rows and weights, newest first. All of it is in memory
 * before anything is measured.
 */
#ifndef KINDRED_KERNEL_USERS_H
#define KINDRED_KERNEL_USERS_H

#include "common/error.h"
#include "common/model.h"
#include "common/score.h"

#include <stdint.h>

struct kernel_wanted {
	const char *data; /* the data directory */
	uint64_t generation; /* 0: the active one */
	const char *catalog; /* NULL: the first; its first relation is taken */
	uint64_t users; /* most; as many of each shard */
};

struct kernel_users {
	struct model *model; /* NULL: made up */
	const struct model_catalog *catalog;
	const struct model_relation *relation;
	uint64_t count; /* > 0; users without an event of the relation are not among them */
	uint64_t *offsets; /* count + 1, into events; users in an order that has nothing to do with their ids */
	struct profile_event *events; /* a user's: newest first, at most those that profile_make looks at */
};

/*
 * Reads all of it. Errors: of the data directory, its shards and the model; E_NOT_FOUND: no active generation, no such
 * catalog, no relation; E_PRECONDITION: no user has events of it. kernel_users_free in any case.
 */
int kernel_users_read(struct kernel_users *users, const struct kernel_wanted *wanted, struct error *err);
/*
 * Made up instead, the same on every run and every machine: 20,000 items, 50 neighbours, and 1,000
 * users with 30 events each. E_EXHAUSTED.
 */
int kernel_users_make(struct kernel_users *users, struct error *err);
void kernel_users_free(struct kernel_users *users);

#endif
