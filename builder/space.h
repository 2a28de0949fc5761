/*
 * Memory for the builder's large arrays, within the memory flag: a region lives in anonymous memory while the sum of all regions
 * stays below the limit, else in a file of <data>/tmp that is unlinked at once and mapped shared, so that the kernel can write it out and take its
 * pages back. Users of a region see no difference but speed.
 *
 * What is a hundred bytes or so an item, and small things, come from malloc and are not counted. Files show in the process's resident size
 * while there is memory to spare, as any mapped file does. Any thread; one region belongs to one thread at a time.
 */
#ifndef KINDRED_BUILDER_SPACE_H
#define KINDRED_BUILDER_SPACE_H

#include "common/datadir.h"
#include "common/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct space {
	char folder[DATADIR_PATH_MAX];
	uint64_t limit; /* bytes in memory */
	_Atomic uint64_t in_memory, in_files; /* now */
	_Atomic uint64_t peak_memory, peak_files;
};

struct region {
	void *data; /* page aligned, zeroed when made; NULL: not made */
	size_t bytes;
	int fd; /* of the file; -1: in memory */
};

/* A region that grows at its end. All zero is an empty one. */
struct pile {
	struct region region;
	size_t used; /* bytes */
};

void space_init(struct space *space, const char *folder, uint64_t limit_bytes);

/* E_EXHAUSTED: address space, memory or disk. bytes may be 0. */
int region_make(struct space *space, struct region *region, size_t bytes, struct error *err);
/* Keeps the contents; the data may move, and may move to a file. A region that is all zero is made. */
int region_grow(struct space *space, struct region *region, size_t bytes, struct error *err);
/* A region that is all zero is fine; it is all zero afterwards. */
void region_free(struct space *space, struct region *region);

/* Room for `bytes` more at the end, which become used; NULL: no memory (err is set). The pointer lives until the next call. */
void *pile_extend(struct space *space, struct pile *pile, size_t bytes, struct error *err);
void pile_free(struct space *space, struct pile *pile);

#endif
