#include "builder/quantise.h"

#include "builder/rank.h"

#include <stdlib.h>
#include <string.h>

/* Positive floats are in the order of their bits. */
static uint32_t bits_of(float value)
{
	uint32_t bits;
	memcpy(&bits, &value, sizeof bits);
	return bits;
}

static float score_at(const struct neighbours *neighbours, struct rank *rank, uint64_t position)
{
	const float *scores = neighbours->scores.data;
	rank_init(rank);
	for (uint64_t n = 0; n < neighbours->count; n++)
		rank_count(rank, bits_of(scores[n]));
	rank_narrow(rank, position);
	for (uint64_t n = 0; n < neighbours->count; n++)
		rank_count(rank, bits_of(scores[n]));
	uint32_t bits = rank_value(rank);
	float score;
	memcpy(&score, &bits, sizeof score);
	return score;
}

int quantise(const struct neighbours *neighbours, double above, struct region *weights, struct error *err)
{
	int code = region_make(neighbours->space, weights, neighbours->count * sizeof(uint16_t), err);
	if (code || neighbours->count == 0)
		return code;
	struct rank *rank = malloc(sizeof *rank);
	if (!rank)
		return error_set(err, E_EXHAUSTED, "no memory to find the scale of the weights");
	uint64_t over = (uint64_t)((double)neighbours->count * above);
	double scale = UINT16_MAX / (double)score_at(neighbours, rank, neighbours->count - 1 - over);
	free(rank);
	const float *scores = neighbours->scores.data;
	uint16_t *to = weights->data;
	for (uint64_t n = 0; n < neighbours->count; n++) {
		double weight = scores[n] * scale + 0.5;
		to[n] = weight < 1 ? 1 : weight > UINT16_MAX ? UINT16_MAX : (uint16_t)weight;
	}
	return 0;
}
