#include "common/arena.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_SEPARATE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_SEPARATE 1
#endif
#endif
#ifndef ARENA_SEPARATE
#define ARENA_SEPARATE 0
#endif

#define ALIGNMENT ((size_t)16)

struct arena_block {
	struct arena_block *next;
	size_t bytes; /* of room */
	size_t taken;
	size_t spare; /* keeps data aligned */
	unsigned char data[];
};
_Static_assert(offsetof(struct arena_block, data) % 16 == 0, "data is aligned as malloc's memory is");

static struct arena_block *block_new(size_t bytes)
{
	if (bytes > SIZE_MAX - sizeof(struct arena_block))
		return NULL;
	struct arena_block *block = malloc(sizeof *block + bytes);
	if (!block)
		return NULL;
	block->next = NULL;
	block->bytes = bytes;
	block->taken = 0;
	return block;
}

static void *on_protobuf_alloc(void *data, size_t bytes)
{
	return arena_alloc(data, bytes);
}

static void on_protobuf_free(void *data, void *pointer)
{
	(void)data;
	(void)pointer;
}

int arena_init(struct arena *arena, size_t block_bytes, size_t cap)
{
	memset(arena, 0, sizeof *arena);
	arena->cap = cap;
	arena->protobuf.alloc = on_protobuf_alloc;
	arena->protobuf.free = on_protobuf_free;
	arena->protobuf.allocator_data = arena;
	arena->first = block_new(block_bytes < ALIGNMENT ? ALIGNMENT : block_bytes);
	arena->now = arena->first;
	return arena->first ? 0 : E_EXHAUSTED;
}

static void free_from(struct arena_block *block)
{
	while (block) {
		struct arena_block *next = block->next;
		free(block);
		block = next;
	}
}

void arena_fini(struct arena *arena)
{
	free_from(arena->first);
	memset(arena, 0, sizeof *arena);
}

static bool next_block(struct arena *arena, size_t bytes)
{
	size_t room = arena->first->bytes;
	if (ARENA_SEPARATE || room < bytes)
		room = bytes;
	struct arena_block *block = block_new(room);
	if (!block)
		return false;
	arena->now->next = block;
	arena->now = block;
	return true;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
	if (bytes > SIZE_MAX - ALIGNMENT)
		return NULL;
	size_t rounded = (bytes + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
	if (rounded == 0)
		rounded = ALIGNMENT;
	if (arena->cap && (arena->used > arena->cap || rounded > arena->cap - arena->used))
		return NULL;
	struct arena_block *block = arena->now;
	if (ARENA_SEPARATE) {
		/* exactly as long as asked for: one byte too far is seen */
		if (!next_block(arena, bytes))
			return NULL;
		arena->used += rounded;
		return arena->now->data;
	}
	if (rounded > block->bytes - block->taken) {
		if (!next_block(arena, rounded))
			return NULL;
		block = arena->now;
	}
	void *memory = block->data + block->taken;
	block->taken += rounded;
	arena->used += rounded;
	return memory;
}

void *arena_zalloc(struct arena *arena, size_t bytes)
{
	void *memory = arena_alloc(arena, bytes);
	if (memory)
		memset(memory, 0, bytes);
	return memory;
}

char *arena_strndup(struct arena *arena, const char *text, size_t bytes)
{
	char *copy = bytes == SIZE_MAX ? NULL : arena_alloc(arena, bytes + 1);
	if (copy) {
		memcpy(copy, text, bytes);
		copy[bytes] = '\0';
	}
	return copy;
}

/*
 * A request that needed several blocks leaves one behind that would have held it all: after warm-up there is one block
 * and no heap call, whatever the order of large and small allocations. The cap bounds what stays.
 */
void arena_reset(struct arena *arena)
{
	if (arena->first->next) {
		free_from(arena->first->next);
		arena->first->next = NULL;
		struct arena_block *larger = ARENA_SEPARATE ? NULL : block_new(arena->used + arena->used / 4);
		if (larger) {
			free(arena->first);
			arena->first = larger;
		}
	}
	arena->now = arena->first;
	arena->now->taken = 0;
	arena->used = 0;
}
