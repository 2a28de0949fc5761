#include "bench/eval/figures.h"

#include "common/error.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static void add(struct mean *mean, double value)
{
	mean->sum += value;
	mean->squares += value * value;
}

static void end(struct mean *mean, uint32_t count)
{
	mean->value = count ? mean->sum / count : 0;
	double variance = count ? mean->squares / count - mean->value * mean->value : 0;
	mean->error = count && variance > 0 ? sqrt(variance / count) : 0;
}

void figures_add(struct figures *figures, uint32_t place)
{
	figures->count++;
	bool hit = place >= 1 && place <= FIGURES_AT;
	double gain = hit ? 1 / log2(place + 1.0) : 0;
	add(&figures->hr20, hit);
	add(&figures->ndcg20, gain);
	add(&figures->ndcg10, place <= 10 ? gain : 0);
	add(&figures->mrr20, hit ? 1.0 / place : 0);
}

static int compare_counts(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* Half the mean difference of two items over the mean, from counts in ascending order. */
static double gini(const uint32_t *ascending, uint32_t count)
{
	double total = 0, ranked = 0;
	for (uint32_t i = 0; i < count; i++) {
		total += ascending[i];
		ranked += (i + 1.0) * ascending[i];
	}
	return total > 0 ? 2 * ranked / (count * total) - (count + 1.0) / count : 0;
}

int figures_end(struct figures *figures, const uint32_t *shown, const uint32_t *users_of, uint32_t items)
{
	end(&figures->hr20, figures->count);
	end(&figures->ndcg20, figures->count);
	end(&figures->ndcg10, figures->count);
	end(&figures->mrr20, figures->count);
	uint32_t *known = malloc(((size_t)items + 1) * sizeof *known), count = 0, covered = 0;
	if (!known)
		return E_EXHAUSTED;
	double all_shown = 0, users = 0;
	for (uint32_t item = 0; item < items; item++) {
		all_shown += shown[item];
		users += (double)shown[item] * users_of[item];
		if (users_of[item] == 0)
			continue;
		known[count++] = shown[item];
		covered += shown[item] > 0;
	}
	qsort(known, count, sizeof *known, compare_counts);
	figures->coverage = count ? (double)covered / count : 0;
	figures->popularity = all_shown > 0 ? users / all_shown : 0;
	figures->gini = gini(known, count);
	free(known);
	return 0;
}
