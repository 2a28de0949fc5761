#include "builder/popular.h"

#include "builder/decay.h"
#include "builder/parallel.h"
#include "builder/rank.h"
#include "common/model.h"

#include <stdlib.h>
#include <string.h>

#define DAY_S 86400.0

#define PART_ENTRIES 65536u
/*
 * Sums are whole numbers, which come out the same in whatever order they are added: weight 1 is this,
 * and no entry is less than 1.
 */
#define SUM_ONE 0x1p32

struct popular_row {
	uint64_t sum;
	uint32_t row;
};

struct summing {
	const struct lists *lists;
	struct decay decay;
	uint32_t now_s;
	uint64_t *sums[PARALLEL_SUMS]; /* [items], of each thread */
};

static int compare_rows(const void *a, const void *b)
{
	const struct popular_row *x = a, *y = b;
	if (x->sum != y->sum)
		return x->sum > y->sum ? -1 : 1;
	return (x->row > y->row) - (x->row < y->row);
}

static int sum_part(void *context, uint32_t thread, uint64_t first, uint64_t end)
{
	struct summing *summing = context;
	const struct list_entry *entries = lists_entries(summing->lists);
	const uint32_t *times = lists_times(summing->lists);
	if (!summing->sums[thread])
		summing->sums[thread] = calloc((size_t)summing->lists->items + 1, sizeof(uint64_t));
	uint64_t *sums = summing->sums[thread];
	if (!sums)
		return E_EXHAUSTED;
	for (uint64_t e = first; e < end; e++) {
		double sum = entries[e].type * decay_since(&summing->decay, times[e], summing->now_s) * SUM_ONE;
		sums[entries[e].item] += sum < 1 ? 1 : (uint64_t)sum;
	}
	return 0;
}

/* A number of 32 bits that is in the order of the sums: positive floats are in the order of their bits. */
static uint32_t step_of(uint64_t sum)
{
	float value = (float)sum;
	uint32_t bits;
	memcpy(&bits, &value, sizeof bits);
	return bits;
}

static void count_steps(struct rank *rank, const struct popular_row *rows, uint32_t count)
{
	for (uint32_t r = 0; r < count; r++)
		rank_count(rank, step_of(rows[r].sum));
}

/*
 * Of more rows than are wanted only those that can be among the best, so that few have to be sorted.
 * Returns how many.
 */
static uint32_t choose_rows(struct popular_row *rows, uint32_t count, uint32_t wanted)
{
	struct rank *rank = count > wanted ? malloc(sizeof *rank) : NULL;
	uint32_t kept = 0;
	if (!rank)
		return count;
	rank_init(rank);
	count_steps(rank, rows, count);
	rank_narrow(rank, count - wanted);
	count_steps(rank, rows, count);
	uint32_t least = rank_value(rank);
	for (uint32_t r = 0; r < count; r++)
		if (step_of(rows[r].sum) >= least)
			rows[kept++] = rows[r];
	free(rank);
	return kept;
}

/* The rows with a sum, as many as are wanted, best first. Returns how many. */
static uint32_t order_rows(const struct summing *summing, struct popular_row *rows, uint32_t wanted)
{
	uint32_t count = 0;
	for (uint32_t row = 0; row < summing->lists->items; row++) {
		uint64_t sum = 0;
		for (uint32_t t = 0; t < PARALLEL_SUMS; t++)
			sum += summing->sums[t] ? summing->sums[t][row] : 0;
		if (sum)
			rows[count++] = (struct popular_row){ sum, row };
	}
	count = choose_rows(rows, count, wanted);
	qsort(rows, count, sizeof *rows, compare_rows);
	return count < wanted ? count : wanted;
}

int popular_make(struct popular *popular, const struct lists *lists, uint32_t now_s, double half_life_days,
		 uint32_t threads, struct error *err)
{
	*popular = (struct popular){ 0 };
	struct summing summing = { .lists = lists, .now_s = now_s };
	struct popular_row *rows = malloc(((size_t)lists->known + 1) * sizeof *rows);
	uint32_t room = lists->known < MODEL_POPULAR_MAX ? lists->known : MODEL_POPULAR_MAX;
	popular->rows = malloc(((size_t)room + 1) * sizeof *popular->rows);
	popular->scores = malloc(((size_t)room + 1) * sizeof *popular->scores);
	decay_init(&summing.decay, half_life_days * DAY_S);
	int code = !rows || !popular->rows || !popular->scores ? E_EXHAUSTED : 0;
	if (!code)
		code = parallel_parts(parallel_sums(threads), lists->count, PART_ENTRIES, sum_part, &summing);
	if (code)
		error_set(err, code, "no memory for the popular ones of %u items", lists->items);
	else
		popular->count = order_rows(&summing, rows, room);
	for (uint32_t r = 0; r < popular->count; r++) {
		double score = (double)rows[r].sum / (double)rows[0].sum * POPULAR_TOP;
		popular->rows[r] = rows[r].row;
		popular->scores[r] = score < 1 ? 1 : (uint32_t)score;
	}
	for (uint32_t t = 0; t < PARALLEL_SUMS; t++)
		free(summing.sums[t]);
	free(rows);
	return code;
}

void popular_free(struct popular *popular)
{
	free(popular->rows);
	free(popular->scores);
	*popular = (struct popular){ 0 };
}
