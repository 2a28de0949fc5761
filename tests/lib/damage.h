/* A disk that turned some bytes, as a test wants them: of a cluster that does not run. */
#ifndef KINDRED_TEST_DAMAGE_H
#define KINDRED_TEST_DAMAGE_H

#include "lib/cluster.h"

#include <stdint.h>

/* The user, who may be new, has a history that cannot be read. Returns the number of the shard. */
uint32_t damage_history(const struct cluster *cluster, const char *user);

#endif
