#include "builder/dictionary.h"

#include <string.h>
#include <xxhash.h>

#define FIRST_SLOTS 256u

int dictionary_init(struct space *space, struct dictionary *d, struct error *err)
{
	memset(d, 0, sizeof *d);
	int code = region_make(space, &d->slots, FIRST_SLOTS * sizeof(uint32_t), err);
	d->mask = FIRST_SLOTS - 1;
	uint64_t *first = code ? NULL : pile_extend(space, &d->offsets, sizeof *first, err);
	if (!first || !pile_extend(space, &d->bytes, 0, err)) {
		dictionary_fini(space, d);
		return E_EXHAUSTED;
	}
	*first = 0;
	return 0;
}

void dictionary_fini(struct space *space, struct dictionary *d)
{
	pile_free(space, &d->offsets);
	pile_free(space, &d->bytes);
	region_free(space, &d->slots);
	memset(d, 0, sizeof *d);
}

/* The slot of the text, or the free one where it belongs. */
static uint32_t *find_slot(const struct dictionary *d, const char *text, size_t bytes)
{
	uint32_t *slots = d->slots.data;
	const uint64_t *offsets = d->offsets.region.data;
	const char *all = d->bytes.region.data;
	uint32_t at = (uint32_t)XXH3_64bits(text, bytes) & d->mask;
	for (; slots[at]; at = (at + 1) & d->mask) {
		uint32_t code = slots[at] - 1;
		if (offsets[code + 1] - offsets[code] == bytes && memcmp(all + offsets[code], text, bytes) == 0)
			break;
	}
	return &slots[at];
}

static int double_slots(struct space *space, struct dictionary *d, struct error *err)
{
	struct region larger;
	int code = region_make(space, &larger, 2 * ((size_t)d->mask + 1) * sizeof(uint32_t), err);
	if (code)
		return code;
	region_free(space, &d->slots);
	d->slots = larger;
	d->mask = 2 * d->mask + 1;
	const uint64_t *offsets = d->offsets.region.data;
	const char *all = d->bytes.region.data;
	for (uint32_t c = 0; c < d->count; c++)
		*find_slot(d, all + offsets[c], offsets[c + 1] - offsets[c]) = c + 1;
	return 0;
}

uint32_t dictionary_add(struct space *space, struct dictionary *d, const char *text, size_t bytes, struct error *err)
{
	uint32_t *slot = find_slot(d, text, bytes);
	if (*slot)
		return *slot - 1;
	if (d->count >= d->mask / 2) {
		if (double_slots(space, d, err))
			return DICTIONARY_NO_CODE;
		slot = find_slot(d, text, bytes);
	}
	char *place = pile_extend(space, &d->bytes, bytes, err);
	uint64_t *offset = place ? pile_extend(space, &d->offsets, sizeof *offset, err) : NULL;
	if (!offset)
		return DICTIONARY_NO_CODE;
	if (bytes)
		memcpy(place, text, bytes);
	*offset = d->bytes.used;
	*slot = ++d->count;
	return d->count - 1;
}
