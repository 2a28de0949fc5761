#include "worker/places.h"

#include <string.h>

bool places_make(struct places *places, struct arena *arena, struct recommended *items, uint32_t count)
{
	uint32_t size = 16;
	while (size < 4 * count)
		size *= 2;
	memset(places->filter, 0, sizeof places->filter);
	places->mask = size - 1;
	places->slots = arena_zalloc(arena, size * sizeof *places->slots);
	if (!places->slots)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t slot = places_slot(places, items[i].row);
		while (places->slots[slot])
			slot = (slot + 1) & places->mask;
		places->slots[slot] = &items[i];
		places->filter[items[i].row / 64 % (PLACES_FILTER_BITS / 64)] |= UINT64_C(1) << items[i].row % 64;
	}
	return true;
}
