/*
 * Which gRPC methods there are, and who handles each.
 */
#ifndef KINDRED_SERVER_METHODS_H
#define KINDRED_SERVER_METHODS_H

#include "server/call.h"

#include <stddef.h>

extern const struct method methods[];
extern const size_t method_count;

#endif
