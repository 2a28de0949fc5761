/*
 * Memory for the builder's large arrays, within the memory flag: a region lives in anonymous memory
 * while the sum of all regions stays below the limit, else in a file of <data>/tmp that is unlinked at
 * once and mapped shared, so that the kernel can write it out and take its pages back. Users of a
 * region see no difference but speed.
 *
 * Memory of large regions is kept when they are freed, and taken again for others: memory that is new
 * to a process costs ten times as much as the first writing to it, and on some virtual machines far
 * more. What is kept never makes the peak higher.
 *
 * What is a hundred bytes or so an item, and small things, come from malloc and are not counted. Files
 * show in the process's resident size while there is memory to spare, as any mapped file does. Any
 * thread; one region belongs to one thread at a time.
 */
#ifndef KINDRED_BUILDER_SPACE_H
#define KINDRED_BUILDER_SPACE_H

#include "common/datadir.h"
#include "common/error.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct region {
	void *data; /* page aligned; NULL: not made */
	size_t bytes;
	int fd; /* of the file; -1: in memory */
};

#define SPACE_KEPT 32u

struct space {
	char folder[DATADIR_PATH_MAX];
	uint64_t limit; /* bytes in memory */
	_Atomic uint64_t in_memory, in_files; /* now, in regions */
	_Atomic uint64_t peak_memory, peak_files;
	pthread_mutex_t mutex; /* of what follows */
	struct region kept[SPACE_KEPT]; /* freed ones, the oldest first */
	uint32_t kept_count;
	uint64_t kept_bytes; /* with in_memory at most peak_memory */
};

/* A region that grows at its end. All zero is an empty one. */
struct pile {
	struct region region;
	size_t used; /* bytes */
};

void space_init(struct space *space, const char *folder, uint64_t limit_bytes);
/* All regions have been freed. */
void space_fini(struct space *space);

/* All zero. E_EXHAUSTED: address space, memory or disk. bytes may be 0. */
int region_make(struct space *space, struct region *region, size_t bytes, struct error *err);
/* As region_make, but with anything in it, for what is written to before it is read. It may be somewhat larger. */
int region_take(struct space *space, struct region *region, size_t bytes, struct error *err);
/*
 * Keeps the contents, with anything behind them; the data may move, and may move to a file. A region
 * that is all zero is made.
 */
int region_grow(struct space *space, struct region *region, size_t bytes, struct error *err);
/* A region that is all zero is fine; it is all zero afterwards. */
void region_free(struct space *space, struct region *region);

/*
 * Room for `bytes` more at the end, which become used, with anything in them; NULL: no memory (err is
 * set). The pointer lives until the next call.
 */
void *pile_extend(struct space *space, struct pile *pile, size_t bytes, struct error *err);
void pile_free(struct space *space, struct pile *pile);

#endif
