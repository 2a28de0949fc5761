/*
 * Pages of lists: what page_size may be. Pure.
 */
#ifndef KINDRED_SERVER_PAGE_H
#define KINDRED_SERVER_PAGE_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

/* 0 means 100. E_INVALID: more than most. */
static inline int page_size(uint32_t asked, uint32_t most, size_t *size, struct error *err)
{
	*size = asked ? asked : 100;
	if (asked > most)
		return error_set(err, E_INVALID, "page_size: %u; 1 to %u are allowed, 0 is 100", asked, most);
	return 0;
}

#endif
