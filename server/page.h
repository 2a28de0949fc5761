/*
 * Pages of lists: how many entries and how many bytes one answer may have. Pure.
 */
#ifndef KINDRED_SERVER_PAGE_H
#define KINDRED_SERVER_PAGE_H

#include "common/error.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Clients refuse answers of more than 4 MiB unless told otherwise. */
#define PAGE_BYTES ((size_t)3 << 20)

/* asked 0 means 100. E_INVALID: more than most. */
int page_size(uint32_t asked, uint32_t most, size_t *size, struct error *err);

/*
 * How many of the messages fit into `bytes` when packed, at least one of those there are. The others are
 * freed, and *more is set. *used (may be NULL): bytes of those that stay.
 */
size_t page_cut(ProtobufCMessage **messages, size_t count, size_t bytes, bool *more, size_t *used);

#endif
