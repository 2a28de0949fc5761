#include "builder/rank.h"

#include <string.h>

void rank_init(struct rank *rank)
{
	memset(rank, 0, sizeof *rank);
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
