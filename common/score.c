#include "common/score.h"

#include "common/clock.h"

#include <stdlib.h>
#include <string.h>

struct scorer {
	uint32_t rows;
	uint32_t touched_count;
	uint32_t *sums; /* [rows], all 0 between calls */
	uint32_t *touched; /* [rows] */
};

void serving_prepare(struct model_serving *params)
{
	/* Repeated products, not pow(): the same bits on every machine. */
	double power = 1.0;
	for (uint32_t rank = 0; rank < PROFILE_MAX; rank++) {
		params->decay[rank] = (uint32_t)(power * SCORE_ONE / (1.0 + params->rank_slope * rank) + 0.5);
		power *= params->rank_decay;
	}
	params->self_q12 = (uint32_t)(params->self_weight * SCORE_ONE + 0.5);
	params->self_newest_q12 = (uint32_t)(params->self_weight * params->self_newest * SCORE_ONE + 0.5);
	params->blend_q12 = (uint32_t)(params->blend * SCORE_ONE + 0.5);
}

/* 2^-(age / half_life) in Q16, by integers alone; off by less than 0.0001. */
static uint32_t age_decay(uint64_t age_ms, uint64_t half_life_ms)
{
	uint64_t halvings = age_ms / half_life_ms;
	if (halvings >= 16)
		return 0;
	/* f in Q16; 2^-f = 1 - f ln 2 + f^2 (ln 2)^2/2 - f^3 (ln 2)^3/6 + .., its coefficients fitted so that f = 1 gives a half. */
	uint64_t f = ((age_ms % half_life_ms) << 16) / half_life_ms;
	uint64_t f2 = f * f >> 16, f3 = f2 * f >> 16;
	uint64_t value = 65536 - (45318 * f >> 16) + (15139 * f2 >> 16) - (2589 * f3 >> 16);
	return (uint32_t)(value >> halvings);
}

uint32_t profile_make(const struct model_serving *params, const struct profile_event *events, uint32_t count,
		      struct profile_item *profile)
{
	uint32_t room = params->profile_items < PROFILE_MAX ? params->profile_items : PROFILE_MAX;
	uint32_t look = count < 4 * room ? count : 4 * room;
	int64_t times[PROFILE_MAX];
	uint32_t made = 0;
	for (uint32_t e = 0; e < look; e++) {
		uint32_t at = 0;
		while (at < made && profile[at].row != events[e].row)
			at++;
		if (at < made) {
			if (events[e].weight > profile[at].weight)
				profile[at].weight = events[e].weight;
		} else if (made < room) {
			profile[made].row = events[e].row;
			profile[made].weight = events[e].weight;
			times[made++] = events[e].time_ms;
		}
	}

	double half_life_ms = params->half_life_days * (double)DAY_MS;
	uint64_t half_life = half_life_ms >= 1 ? (uint64_t)half_life_ms : 0;
	uint32_t kept = 0;
	for (uint32_t rank = 0; rank < made; rank++) {
		uint64_t weight = (uint64_t)profile[rank].weight * params->decay[rank];
		if (half_life && times[rank] < events[0].time_ms) {
			uint64_t age_ms = (uint64_t)events[0].time_ms - (uint64_t)times[rank];
			weight = weight * age_decay(age_ms, half_life) >> 16;
		}
		weight >>= 12;
		if (weight == 0)
			continue;
		profile[kept].row = profile[rank].row;
		profile[kept++].weight = (uint32_t)weight;
	}
	return kept;
}

struct scorer *scorer_new(uint32_t rows)
{
	struct scorer *scorer = calloc(1, sizeof *scorer);
	if (scorer && scorer_resize(scorer, rows)) {
		scorer_free(scorer);
		scorer = NULL;
	}
	return scorer;
}

void scorer_free(struct scorer *scorer)
{
	if (!scorer)
		return;
	free(scorer->sums);
	free(scorer->touched);
	free(scorer);
}

int scorer_resize(struct scorer *scorer, uint32_t rows)
{
	if (scorer->sums && rows <= scorer->rows)
		return 0;
	uint32_t *sums = calloc((size_t)rows + 1, sizeof *sums);
	uint32_t *touched = malloc(((size_t)rows + 1) * sizeof *touched);
	if (!sums || !touched) {
		free(sums);
		free(touched);
		return E_EXHAUSTED;
	}
	free(scorer->sums);
	free(scorer->touched);
	*scorer = (struct scorer){ .rows = rows, .sums = sums, .touched = touched };
	return 0;
}

static inline void add_part(struct scorer *scorer, uint32_t row, uint32_t part)
{
	if (part == 0)
		return;
	if (scorer->sums[row] == 0)
		scorer->touched[scorer->touched_count++] = row;
	scorer->sums[row] += part;
}

/* What a profile item counts for itself. One without neighbours counts the least there is. */
static void add_self(struct scorer *scorer, const struct model_relation *relation, struct profile_item item,
		     uint32_t self_q12)
{
	uint64_t first = relation->offsets[item.row];
	uint32_t best = first < relation->offsets[item.row + 1] ? relation->weights[first] : 1;
	uint64_t part = (uint64_t)(item.weight * best >> 12) * self_q12 >> 12;
	add_part(scorer, item.row, part < UINT16_MAX ? (uint32_t)part : UINT16_MAX);
}

static void add_neighbours(struct scorer *scorer, const struct model_relation *relation, struct profile_item item)
{
	uint32_t *sums = scorer->sums, *touched = scorer->touched;
	uint32_t count = scorer->touched_count;
	uint64_t end = relation->offsets[item.row + 1];
	for (uint64_t at = relation->offsets[item.row]; at < end; at++) {
		uint32_t part = item.weight * relation->weights[at] >> 12;
		uint32_t row = relation->rows[at];
		if (part == 0)
			continue;
		if (sums[row] == 0)
			touched[count++] = row;
		sums[row] += part;
	}
	scorer->touched_count = count;
}

static bool better(struct scored a, struct scored b)
{
	return a.score != b.score ? a.score > b.score : a.row < b.row;
}

/* Heap with the worst on top: moves heap[at] down to its place among count. */
static void sift_down(struct scored *heap, uint32_t at, uint32_t count)
{
	struct scored moved = heap[at];
	for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
		if (child + 1 < count && better(heap[child], heap[child + 1]))
			child++;
		if (!better(moved, heap[child]))
			break;
		heap[at] = heap[child];
	}
	heap[at] = moved;
}

static void sift_up(struct scored *heap, uint32_t at)
{
	struct scored moved = heap[at];
	while (at > 0 && better(heap[(at - 1) / 2], moved)) {
		heap[at] = heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	heap[at] = moved;
}

static bool judged_shown(score_judge judge, void *context, uint32_t row, struct score_counts *counts)
{
	if (!judge)
		return true;
	switch (judge(context, row)) {
	case SCORE_SHOW:
		return true;
	case SCORE_EXCLUDED:
		counts->excluded++;
		return false;
	case SCORE_FILTERED:
		counts->filtered++;
		return false;
	case SCORE_UNAVAILABLE:
		counts->unavailable++;
		return false;
	}
	return false;
}

/* The greatest sum of a row that may be shown. Few rows are judged: only those greater than all before. */
static uint32_t best_shown(const struct scorer *scorer, score_judge judge, void *context)
{
	struct score_counts uncounted = { 0 };
	uint32_t best = 0;
	for (uint32_t t = 0; t < scorer->touched_count; t++) {
		uint32_t row = scorer->touched[t];
		if (scorer->sums[row] > best && judged_shown(judge, context, row, &uncounted))
			best = scorer->sums[row];
	}
	return best;
}

/* Popular rows join the candidates, behind the touched_count that the profile led to. */
static void add_popular(struct scorer *scorer, const struct model_relation *relation, uint32_t best)
{
	uint32_t count = relation->recent_count < BLEND_ROWS ? relation->recent_count : BLEND_ROWS;
	uint32_t at = count / 2 < BLEND_AT ? count / 2 : BLEND_AT;
	uint64_t share = (uint64_t)best * relation->serving.blend_q12 >> 12, most = best * (uint64_t)SERVING_BLEND_MAX;
	if (share == 0 || count == 0 || relation->recent_scores[at] == 0)
		return;
	uint64_t factor = (share << 30) / relation->recent_scores[at],
		 highest = UINT64_C(64) * relation->recent_scores[at];
	for (uint32_t r = 0; r < count; r++) {
		uint64_t score = relation->recent_scores[r] < highest ? relation->recent_scores[r] : highest;
		uint64_t part = factor * score >> 30;
		add_part(scorer, relation->recent_rows[r], (uint32_t)(part < most ? part : most));
	}
}

uint32_t scorer_top(struct scorer *scorer, const struct model_relation *relation, const struct profile_item *profile,
		    uint32_t profile_count, uint32_t n, score_judge judge, void *context, struct scored *top,
		    struct score_counts *counts)
{
	scorer->touched_count = 0;
	for (uint32_t p = 0; p < profile_count; p++) {
		if (p + 1 < profile_count)
			__builtin_prefetch(relation->rows + relation->offsets[profile[p + 1].row]);
		add_neighbours(scorer, relation, profile[p]);
		if (relation->serving.self_q12)
			add_self(scorer, relation, profile[p],
				 p ? relation->serving.self_q12 : relation->serving.self_newest_q12);
	}
	uint32_t personal = scorer->touched_count;
	if (relation->serving.blend_q12)
		add_popular(scorer, relation, best_shown(scorer, judge, context));

	*counts = (struct score_counts){ .candidates = scorer->touched_count };
	uint32_t found = 0;
	for (uint32_t t = 0; t < scorer->touched_count; t++) {
		struct scored one = { .row = scorer->touched[t], .popular = t >= personal };
		uint64_t sum = scorer->sums[one.row];
		scorer->sums[one.row] = 0;
		one.score =
			relation->multipliers ? (uint32_t)(sum * relation->multipliers[one.row] >> 12) : (uint32_t)sum;
		if (n == 0 || (found == n && !better(one, top[0])))
			continue;
		if (!judged_shown(judge, context, one.row, counts))
			continue;
		if (found < n) {
			top[found] = one;
			sift_up(top, found++);
		} else {
			top[0] = one;
			sift_down(top, 0, n);
		}
	}

	for (uint32_t left = found; left > 1; left--) {
		struct scored worst = top[0];
		top[0] = top[left - 1];
		top[left - 1] = worst;
		sift_down(top, 0, left - 1);
	}
	return found;
}
