/*
 * A bump arena: memory for one request, freed as a whole. Its owner resets it between requests; after warm-up a request
 * allocates nothing from the heap. Under address sanitizer every allocation is a heap block of its own, so that
 * overruns are seen (same API).
 *
 * One thread at a time.
 */
#ifndef KINDRED_ARENA_H
#define KINDRED_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *first; /* stays over a reset */
	struct arena_block *now;
	size_t used; /* bytes handed out since the reset */
	size_t cap; /* arena_alloc answers NULL past this many; 0: no cap */
	ProtobufCAllocator protobuf; /* allocates from this arena; hand it to *_unpack */
};

/*
 * block_bytes: smallest size of the blocks taken from malloc. Returns 0 or E_EXHAUSTED. The struct
 * stays where it is: `protobuf` points to it.
 */
int arena_init(struct arena *arena, size_t block_bytes, size_t cap);
void arena_fini(struct arena *arena);

/* 16-byte aligned, not zeroed. NULL when the cap or the heap is exhausted. */
void *arena_alloc(struct arena *arena, size_t bytes);
void *arena_zalloc(struct arena *arena, size_t bytes);
char *arena_strndup(struct arena *arena, const char *text, size_t bytes);

/*
 * Everything handed out is gone; a block as large as the largest request so far (so at most about the
 * cap) stays for the next one.
 */
void arena_reset(struct arena *arena);

#endif
