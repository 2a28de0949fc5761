#include "builder/best.h"

#include "common/error.h"

#include <stdlib.h>

#define RUN 8u /* sorted by insertion; longer ones by merging */
#define ROOM_MIN 64u

int best_init(struct best *best, uint32_t keep)
{
	uint32_t room = keep < ROOM_MIN / 4 ? ROOM_MIN : 4 * keep;
	*best = (struct best){ .keys = malloc(2 * (size_t)room * sizeof *best->keys), .room = room, .keep = keep };
	return best->keys ? 0 : E_EXHAUSTED;
}

void best_fini(struct best *best)
{
	free(best->keys);
	*best = (struct best){ 0 };
}

static void sort_run(uint64_t *keys, uint32_t count)
{
	for (uint32_t i = 1; i < count; i++) {
		uint64_t key = keys[i];
		uint32_t at = i;
		for (; at > 0 && keys[at - 1] < key; at--)
			keys[at] = keys[at - 1];
		keys[at] = key;
	}
}

/* Two neighbouring runs, the first at least as long as the second, without a branch on what is compared. */
static void merge(const uint64_t *from, uint32_t middle, uint32_t end, uint64_t *to)
{
	uint32_t a = 0, b = middle;
	while (a < middle && b < end) {
		uint64_t x = from[a], y = from[b];
		uint32_t second = y > x;
		*to++ = second ? y : x;
		b += second;
		a += 1 - second;
	}
	memcpy(to, from + a, (middle - a) * sizeof *to);
	memcpy(to + (middle - a), from + b, (end - b) * sizeof *to);
}

static uint64_t median(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t low = a < b ? a : b, high = a < b ? b : a;
	return c < low ? low : c > high ? high : c;
}

/*
 * The `keep` largest to the front, in any order. No two keys are the same: so one at least is larger
 * than the median of three and one at least smaller, and each turn leaves less to look at.
 */
static void select_largest(uint64_t *keys, uint32_t count, uint32_t keep)
{
	uint32_t from = 0, to = count;
	while (to - from > RUN) {
		uint64_t pivot = median(keys[from], keys[from + (to - from) / 2], keys[to - 1]);
		uint32_t larger = from;
		for (uint32_t i = from; i < to; i++) {
			uint64_t key = keys[i];
			keys[i] = keys[larger];
			keys[larger] = key;
			larger += key > pivot;
		}
		if (larger > keep)
			to = larger;
		else
			from = larger;
	}
	sort_run(keys + from, to - from);
}

void best_trim(struct best *best)
{
	if (best->count < best->keep)
		return;
	if (best->count > best->keep)
		select_largest(best->keys, best->count, best->keep);
	best->count = best->keep;
	best->floor = UINT64_MAX;
	for (uint32_t k = 0; k < best->keep; k++)
		best->floor = best->keys[k] < best->floor ? best->keys[k] : best->floor;
}

uint32_t best_sort(struct best *best)
{
	best_trim(best);
	uint32_t count = best->count;
	uint64_t *from = best->keys, *to = best->keys + best->room;
	for (uint32_t run = 0; run < count; run += RUN)
		sort_run(from + run, count - run < RUN ? count - run : RUN);
	for (uint32_t width = RUN; width < count; width *= 2) {
		for (uint32_t run = 0; run < count; run += 2 * width) {
			uint32_t left = count - run;
			merge(from + run, left < width ? left : width, left < 2 * width ? left : 2 * width, to + run);
		}
		uint64_t *swap = from;
		from = to;
		to = swap;
	}
	if (from != best->keys)
		memcpy(best->keys, from, count * sizeof *from);
	return count;
}
