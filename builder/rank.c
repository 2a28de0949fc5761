#include "builder/rank.h"

#include "builder/parallel.h"
#include "common/error.h"

#include <stdlib.h>
#include <string.h>

#define PART_PLACES 65536u

void rank_init(struct rank *rank)
{
	memset(rank, 0, sizeof *rank);
	rank->least = UINT32_MAX;
}

/* The slot that holds the position; *position becomes that within the slot. */
static uint32_t slot_at(const struct rank *rank, uint64_t *position)
{
	uint32_t slot = 0;
	while (slot < 65535 && rank->counts[slot] <= *position)
		*position -= rank->counts[slot++];
	return slot;
}

void rank_narrow(struct rank *rank, uint64_t position)
{
	rank->high = slot_at(rank, &position);
	rank->position = position;
	rank->narrowed = true;
	memset(rank->counts, 0, sizeof rank->counts);
}

uint32_t rank_value(const struct rank *rank)
{
	uint64_t position = rank->position;
	return rank->high << 16 | slot_at(rank, &position);
}

struct counting {
	const struct rank_values *values;
	struct rank *ranks[PARALLEL_SUMS]; /* of each thread; thread 0 counts into the caller's */
};

static struct rank *rank_beside(const struct rank *rank)
{
	struct rank *beside = malloc(sizeof *beside);
	if (!beside)
		return NULL;
	rank_init(beside);
	beside->narrowed = rank->narrowed;
	beside->high = rank->high;
	return beside;
}

static int count_part(void *context, uint32_t thread, uint64_t first, uint64_t end)
{
	struct counting *counting = context;
	if (!counting->ranks[thread])
		counting->ranks[thread] = rank_beside(counting->ranks[0]);
	if (!counting->ranks[thread])
		return E_EXHAUSTED;
	counting->values->count(counting->values->context, counting->ranks[thread], first, end);
	return 0;
}

static void add_counts(struct rank *to, const struct rank *more)
{
	for (uint32_t slot = 0; slot < 65536; slot++)
		to->counts[slot] += more->counts[slot];
	to->total += more->total;
	to->least = more->least < to->least ? more->least : to->least;
}

int rank_count_all(struct rank *rank, const struct rank_values *values, uint32_t threads)
{
	struct counting counting = { .values = values, .ranks[0] = rank };
	int code = parallel_parts(parallel_sums(threads), values->places, PART_PLACES, count_part, &counting);
	for (uint32_t t = 1; t < PARALLEL_SUMS; t++) {
		if (counting.ranks[t])
			add_counts(rank, counting.ranks[t]);
		free(counting.ranks[t]);
	}
	return code;
}
