#include "builder/quantise.h"

#include "builder/parallel.h"
#include "builder/rank.h"

#include <stdlib.h>
#include <string.h>

#define PART_SCORES 65536u

/* Positive floats are in the order of their bits. */
static uint32_t bits_of(float value)
{
	uint32_t bits;
	memcpy(&bits, &value, sizeof bits);
	return bits;
}

static void count_scores(const void *context, struct rank *rank, uint64_t first, uint64_t end)
{
	const float *scores = context;
	for (uint64_t n = first; n < end; n++)
		rank_count(rank, bits_of(scores[n]));
}

static int score_at(const struct neighbours *neighbours, uint64_t position, uint32_t threads, float *score)
{
	struct rank_values values = { neighbours->count, count_scores, neighbours->scores.data };
	struct rank *rank = malloc(sizeof *rank);
	if (!rank)
		return E_EXHAUSTED;
	rank_init(rank);
	int code = rank_count_all(rank, &values, threads);
	if (!code) {
		rank_narrow(rank, position);
		code = rank_count_all(rank, &values, threads);
	}
	uint32_t bits = code ? 0 : rank_value(rank);
	memcpy(score, &bits, sizeof *score);
	free(rank);
	return code;
}

struct scaling {
	const float *scores;
	double scale;
	uint16_t *weights;
};

static int scale_part(void *context, uint32_t thread, uint64_t first, uint64_t end)
{
	const struct scaling *scaling = context;
	(void)thread;
	for (uint64_t n = first; n < end; n++) {
		double weight = scaling->scores[n] * scaling->scale + 0.5;
		scaling->weights[n] = weight < 1 ? 1 : weight > UINT16_MAX ? UINT16_MAX : (uint16_t)weight;
	}
	return 0;
}

int quantise(const struct neighbours *neighbours, double above, uint32_t threads, struct region *weights,
	     struct error *err)
{
	int code = region_take(neighbours->space, weights, neighbours->count * sizeof(uint16_t), err);
	if (code || neighbours->count == 0)
		return code;
	uint64_t over = (uint64_t)((double)neighbours->count * above);
	float top;
	if (score_at(neighbours, neighbours->count - 1 - over, threads, &top))
		return error_set(err, E_EXHAUSTED, "no memory to find the scale of the weights");
	struct scaling scaling = { neighbours->scores.data, UINT16_MAX / (double)top, weights->data };
	return parallel_parts(threads, neighbours->count, PART_SCORES, scale_part, &scaling);
}
