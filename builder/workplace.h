/*
 * Where a builder works: the data directory, for one builder at a time, and memory. build.c and
 * refresh.c begin and end with it.
 */
#ifndef KINDRED_BUILDER_WORKPLACE_H
#define KINDRED_BUILDER_WORKPLACE_H

#include "builder/space.h"
#include "common/datadir.h"
#include "common/error.h"

#include <stdint.h>

struct workplace {
	struct datadir dir;
	int lock_fd;
	struct space space;
};

/*
 * Opens the data directory, enters it (common/datadir.h) when it is to, takes the builders' lock, and takes away what
 * builders that died have left. E_UNAVAILABLE: another builder works on it. Close after an error too.
 */
int workplace_open(struct workplace *place, const char *data, bool enter, uint64_t memory_mb, struct error *err);
void workplace_close(struct workplace *place);
/* *generation 0: becomes one more than the highest there is. */
int workplace_number(const struct workplace *place, uint64_t *generation, struct error *err);

#endif
