#include "bench/made.h"

#include "common/score.h"

#include <stdlib.h>

/* xorshift64, https://www.jstatsoft.org/article/view/v008i14 */
uint64_t made_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

uint32_t made_skewed(uint64_t *state, uint32_t n)
{
	double u = (double)(made_random(state) >> 11) / 9007199254740992.0;
	uint32_t row = (uint32_t)((double)n * u * u * u);
	return row < n ? row : n - 1;
}

int made_relation(struct model_relation *relation, const char *key, uint32_t items, uint32_t neighbours,
		  uint64_t *state)
{
	uint64_t *offsets = calloc((size_t)items + 1, sizeof *offsets);
	uint32_t *entries = calloc((size_t)items * neighbours, sizeof *entries), row_mask = model_row_mask(items);
	uint32_t count = items < MODEL_POPULAR_MAX ? items : MODEL_POPULAR_MAX;
	uint32_t *popular = calloc(count, sizeof *popular), *scores = calloc(count, sizeof *scores);
	uint32_t *owner = calloc(items, sizeof *owner);
	if (!offsets || !entries || !popular || !scores || !owner)
		return -1;
	for (uint32_t i = 0; i < items; i++) {
		for (uint32_t n = 0; n < neighbours; n++) {
			/* the next one that item i does not have yet */
			uint32_t row = made_skewed(state, items);
			while (row == i || owner[row] == i + 1)
				row = (row + 1) % items;
			owner[row] = i + 1;
			entries[offsets[i] + n] = model_entry(row, 60000 / (n + 1) + 1, row_mask);
		}
		offsets[i + 1] = offsets[i] + neighbours;
	}
	for (uint32_t i = 0; i < count; i++) {
		popular[i] = i;
		scores[i] = count - i;
	}
	free(owner);
	*relation = (struct model_relation){ .key = (char *)key,
					     .items = items,
					     .neighbours = offsets[items],
					     .offsets = offsets,
					     .entries = entries,
					     .row_mask = row_mask,
					     .popular_rows = popular,
					     .popular_scores = scores,
					     .popular_count = count,
					     .recent_rows = popular,
					     .recent_scores = scores,
					     .recent_count = count };
	relation->serving = (struct model_serving){ .profile_items = 20, .rank_decay = 0.9 };
	serving_prepare(&relation->serving);
	return 0;
}
