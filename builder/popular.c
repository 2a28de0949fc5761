#include "builder/popular.h"

#include "common/model.h"

#include <math.h>
#include <stdlib.h>

#define DAY_S 86400.0

struct popular_row {
	double score;
	uint32_t row;
};

static int compare_rows(const void *a, const void *b)
{
	const struct popular_row *x = a, *y = b;
	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	return (x->row > y->row) - (x->row < y->row);
}

static void add_up(struct popular_row *rows, const struct lists *lists, uint32_t now_s, double half_life_days)
{
	const struct list_entry *entries = lists_entries(lists);
	const uint32_t *times = lists_times(lists);
	for (uint64_t e = 0; e < lists->count; e++) {
		double factor = 1;
		if (half_life_days > 0 && times[e] < now_s)
			factor = exp2(-(double)(now_s - times[e]) / (half_life_days * DAY_S));
		rows[entries[e].item].score += entries[e].weight * factor;
	}
}

int popular_make(struct popular *popular, const struct lists *lists, uint32_t now_s, double half_life_days,
		 struct error *err)
{
	*popular = (struct popular){ 0 };
	struct popular_row *rows = malloc(((size_t)lists->items + 1) * sizeof *rows);
	uint32_t room = lists->known < MODEL_POPULAR_MAX ? lists->known : MODEL_POPULAR_MAX;
	popular->rows = malloc(((size_t)room + 1) * sizeof *popular->rows);
	popular->scores = malloc(((size_t)room + 1) * sizeof *popular->scores);
	if (!rows || !popular->rows || !popular->scores) {
		free(rows);
		return error_set(err, E_EXHAUSTED, "no memory for the popular ones of %u items", lists->items);
	}
	for (uint32_t row = 0; row < lists->items; row++)
		rows[row] = (struct popular_row){ 0, row };
	add_up(rows, lists, now_s, half_life_days);
	qsort(rows, lists->items, sizeof *rows, compare_rows);
	for (uint32_t r = 0; r < room && rows[r].score > 0; r++) {
		double score = rows[r].score / rows[0].score * POPULAR_TOP;
		popular->rows[r] = rows[r].row;
		popular->scores[r] = score < 1 ? 1 : (uint32_t)score;
		popular->count++;
	}
	free(rows);
	return 0;
}

void popular_free(struct popular *popular)
{
	free(popular->rows);
	free(popular->scores);
	*popular = (struct popular){ 0 };
}
