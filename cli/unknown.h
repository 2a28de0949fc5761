/*
 * Warnings, on stderr unless --quiet, about what a command names and the server has not met: a slip, perhaps, that
 * else shows only in recommendations that stay empty. Each asks the server; where that fails, nothing is said.
 */
#ifndef KINDRED_CLI_UNKNOWN_H
#define KINDRED_CLI_UNKNOWN_H

#include "cli/cli.h"
#include "kindred/v1/definitions.pb-c.h"

#include <stddef.h>
#include <stdint.h>

/* Event types of the definition, and those that it excludes by, that were never sent, once any were. */
void unknown_types_warn(struct cli *cli, const Kindred__V1__Definition *definition);

/*
 * Items of events: when most of them are not in the catalog. A catalog that is empty is on its way, and some that are
 * missing are of the past.
 */
void unknown_items_warn(struct cli *cli, const char *catalog, const char *const *items, size_t count);

/* Relations of a new generation that learnt nothing: by them only what is popular is recommended, or nothing at all. */
void unlearnt_warn(struct cli *cli, uint64_t generation);

#endif
