/*
 * What the server itself must know of a model generation: which catalogs it was built from, at which version,
 * and which relations it has. Read from the head and the JSON of the file; the server never maps the rest.
 * Reading blocks: on a lane.
 */
#ifndef KINDRED_SERVER_GENERATION_H
#define KINDRED_SERVER_GENERATION_H

#include "common/error.h"
#include "kindred/v1/models.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct generation_catalog {
	char *name;
	uint64_t version;
};

struct generation_relation {
	char *catalog, *key;
};

struct generation {
	uint64_t number;
	/* events the shards had ever accepted when its build began; 0: not known, so all count as new */
	uint64_t accepted;
	uint64_t refreshed; /* the generation that it is a refresh of; 0: it was built */
	int64_t create_ms;
	struct generation_catalog *catalogs;
	size_t catalog_count;
	struct generation_relation *relations;
	size_t relation_count;
	unsigned references; /* loop thread */
};

/* Starts with one reference. Errors as model_open's. */
int generation_read(struct generation **generation, const char *models_directory, uint64_t number, struct error *err);
struct generation *generation_reference(struct generation *generation);
void generation_release(struct generation *generation); /* NULL is fine */
/* context: a struct generation; NULL has nothing. For registry_lacks. */
bool generation_has(const void *context, const char *catalog, uint64_t first_version, const char *relation);

/* The API's message, malloc'ed. */
int generation_message(Kindred__V1__Generation **message, const char *models_directory, uint64_t number, bool active,
		       struct error *err);

/*
 * How many events had been accepted when a generation's build began is kept beside it, in
 * "00000007.accepted": after a restart the server still knows how many are new. Losing it costs an early
 * build, nothing more.
 */
int generation_accepted_write(const char *models_directory, uint64_t number, uint64_t accepted, struct error *err);
uint64_t generation_accepted_read(const char *models_directory, uint64_t number); /* 0: not known */
/*
 * The mark of one that is held back (server/kept.h), "00000007.held": set, asked for (why: the reason,
 * may be NULL), taken away (which is fine when there is none).
 */
int generation_held_write(const char *models_directory, uint64_t number, const char *why, struct error *err);
bool generation_held_read(const char *models_directory, uint64_t number, char *why, size_t bytes);
void generation_held_remove(const char *models_directory, uint64_t number);
/* Unlinks the generation's files. Not being there is fine. */
int generation_unlink(const char *models_directory, uint64_t number, struct error *err);
/* At start: removes notes of generations that are gone. */
void generation_sweep(const char *models_directory);

#endif
