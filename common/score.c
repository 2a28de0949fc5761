#include "common/score.h"
#include "common/score_parts.h"

#include <stdlib.h>
#include <string.h>

#define AHEAD 24u /* lists asked for before they are added */

struct scorer {
	uint32_t rows;
	uint32_t touched_count;
	uint32_t *sums; /* [rows], all 0 between calls */
	uint32_t *touched; /* [rows] */
	/* lists of the profile that is scored next; only asked for, so they may have gone meanwhile */
	struct {
		const uint32_t *entries;
		uint32_t count;
	} next[AHEAD];
	uint32_t next_count;
};

uint32_t multiplier_max(const uint16_t *multipliers, uint32_t items)
{
	uint32_t greatest = multipliers ? 0 : SCORE_ONE;
	for (uint32_t row = 0; multipliers && row < items; row++)
		greatest = multipliers[row] > greatest ? multipliers[row] : greatest;
	return greatest;
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

/* --- the lists of the profile's items --- */

/* A profile item's neighbours. */
struct list {
	const uint32_t *entries;
	uint32_t count;
	uint32_t weight; /* the item's, in the profile */
	uint32_t row; /* the item */
	uint32_t self; /* what it counts for itself */
	uint32_t bound; /* no row gets more from all of it */
	bool newest; /* the item is the profile's newest */
};

#define LINE 64u
#define LIST_PREFETCH 128u /* neighbours: what follows in a longer list, the processor foresees */

static inline void prefetch_entries(const uint32_t *entries, uint32_t count)
{
	if (count > LIST_PREFETCH)
		count = LIST_PREFETCH;
	for (size_t at = 0; at < count * sizeof *entries; at += LINE)
		__builtin_prefetch((const char *)entries + at);
}

void scorer_next(struct scorer *scorer, const struct model_relation *relation, const struct profile_item *profile,
		 uint32_t count)
{
	scorer->next_count = count < AHEAD ? count : AHEAD;
	for (uint32_t p = 0; p < scorer->next_count; p++) {
		const uint64_t *offsets = relation->offsets + profile[p].row;
		scorer->next[p].entries = relation->entries + offsets[0];
		scorer->next[p].count = (uint32_t)(offsets[1] - offsets[0]);
	}
}

/* The numbers of the profile's items, those that are not cold first. Returns how many these are. */
static uint32_t cold_last(const uint64_t *cold, const struct profile_item *profile, uint32_t count, uint16_t *order)
{
	uint16_t last[PROFILE_MAX];
	uint32_t warm = 0;
	for (uint32_t p = 0; p < count; p++) {
		bool is_cold = model_bit(cold, profile[p].row);
		order[warm] = last[p - warm] = (uint16_t)p; /* without a branch: which it is cannot be foreseen */
		warm += !is_cold;
	}
	memcpy(order + warm, last, (count - warm) * sizeof *order);
	return warm;
}

/*
 * Where the lists are, in the profile's order; those of cold items last when it is told which are (cold
 * is not NULL). Returns how many are of others. In steps, each of which asks for the memory that the
 * next one reads: hardly any of it is in a cache, and asked for together it comes together.
 */
static uint32_t find_lists(const struct model_relation *relation, const struct profile_item *profile, uint32_t count,
			   const uint64_t *cold, struct list *lists)
{
	uint16_t order[PROFILE_MAX];
	uint32_t warm = count;
	for (uint32_t p = 0; p < count; p++) {
		__builtin_prefetch(relation->offsets + profile[p].row);
		order[p] = (uint16_t)p;
	}
	if (cold)
		warm = cold_last(cold, profile, count, order);
	for (uint32_t l = 0; l < count; l++) {
		const struct profile_item *item = &profile[order[l]];
		uint64_t first = relation->offsets[item->row];
		lists[l] = (struct list){ .entries = relation->entries + first,
					  .count = (uint32_t)(relation->offsets[item->row + 1] - first),
					  .weight = item->weight,
					  .row = item->row,
					  .newest = order[l] == 0 };
		if (l < AHEAD)
			prefetch_entries(lists[l].entries, lists[l].count);
	}
	return warm;
}

/* What the list can add at most. Reads its first neighbour, so not before it is time. */
static void weigh_list(const struct model_relation *relation, struct list *list)
{
	uint32_t best = list->count ? model_entry_weight(list->entries[0], relation->row_mask) : 0;
	if (relation->serving.self_q12)
		list->self = score_self_part(relation, list->weight, best, list->newest);
	list->bound = (list->weight * best >> 12) + list->self;
}

static void add_list(struct scorer *scorer, const struct list *list, uint32_t row_mask)
{
	const uint32_t *restrict entries = list->entries;
	uint32_t *restrict sums = scorer->sums, *restrict touched = scorer->touched;
	size_t touched_count = scorer->touched_count;
	uint32_t weight = list->weight, count = list->count;
	/* the weights do not rise: parts of 0 are at the end */
	while (count && score_part(entries[count - 1], row_mask, weight) == 0)
		count--;
#pragma GCC unroll 4
	for (uint32_t at = 0; at < count; at++) {
		uint32_t row = entries[at] & row_mask, sum = sums[row];
		touched[touched_count] = row; /* without a branch: a good third of the rows are new, in no order */
		touched_count += sum < 1;
		sums[row] = sum + score_part(entries[at], row_mask, weight);
	}
	scorer->touched_count = (uint32_t)touched_count;
	add_part(scorer, list->row, list->self);
}

/* --- the best n --- */

static bool better(struct scored a, struct scored b)
{
	/* one comparison instead of two: which of them decides cannot be foreseen */
	return ((uint64_t)a.score << 32 | ~a.row) > ((uint64_t)b.score << 32 | ~b.row);
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
	enum score_verdict verdict = judge(context, row);
	counts->judged[verdict]++;
	return verdict == SCORE_SHOW;
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

/* The best rows of those offered; once there are n, a heap with the worst on top. */
struct best {
	const struct model_relation *relation;
	score_judge judge;
	void *context;
	struct score_counts *counts;
	struct scored *top;
	uint32_t n, found;
	uint64_t multiplier_max; /* of any row */
	uint64_t least; /* no row of a smaller sum has a place, whatever its multiplier */
	uint32_t by_warm; /* the first so many rows touched: a list of an item that is not cold led to them */
	uint32_t personal; /* the first so many: a list led to them; the others are popular ones */
};

static void best_begin(struct best *best)
{
	best->found = 0;
	best->least = best->n ? 0 : UINT64_MAX;
}

/* Takes in touched row number t, which has a sum of at least best->least. */
static void offer(struct best *best, uint32_t row, uint32_t sum, uint32_t t)
{
	struct scored one = { .row = row,
			      .score = score_multiplied(best->relation, row, sum),
			      .popular = t >= best->personal,
			      .by_warm = t < best->by_warm };
	bool full = best->found == best->n;
	if (full && !better(one, best->top[0]))
		return;
	if (!judged_shown(best->judge, best->context, row, best->counts))
		return;
	if (full) {
		best->top[0] = one;
		sift_down(best->top, 0, best->n);
	} else {
		best->top[best->found] = one;
		sift_up(best->top, best->found++);
		if (best->found < best->n)
			return;
	}
	best->least = ((uint64_t)best->top[0].score << 12) / best->multiplier_max;
}

/* From a heap to best first. */
static uint32_t best_in_order(struct best *best)
{
	struct scored *top = best->top;
	for (uint32_t left = best->found; left > 1; left--) {
		struct scored worst = top[0];
		top[0] = top[left - 1];
		top[left - 1] = worst;
		sift_down(top, 0, left - 1);
	}
	return best->found;
}

/* --- leaving early --- */

/*
 * A profile's items weigh less and less. Before the last lists it is often clear that only a few rows
 * can still have a place: those whose sum, with all that the other lists could add (`rest`), reaches
 * what the n-th best has now, which can only grow. Then the other lists are only looked through for
 * these few, by a filter of some bits that stays in the nearest cache. Their sums, and so the answer,
 * are what they would have been. This saves waiting for the sums of all other rows: it pays when there
 * are more of them than a cache holds.
 */
#define EARLY_ROWS (1u << 18)
#define FEW 64u
#define FILTER_WORDS 64u

static inline uint64_t filter_bit(uint32_t row)
{
	return UINT64_C(1) << row % 64;
}

static void add_to_few(uint32_t *sums, const uint64_t *filter, const struct list *list, uint32_t row_mask)
{
	for (uint32_t at = 0; at < list->count; at++) {
		uint32_t row = list->entries[at] & row_mask;
		/* it may be another row with the same bit: that has no place anyway, but a sum of 0 has to stay 0 */
		if ((filter[row / 64 % FILTER_WORDS] & filter_bit(row)) && sums[row])
			sums[row] += score_part(list->entries[at], row_mask, list->weight);
	}
	if (sums[list->row])
		sums[list->row] += list->self;
}

static void offer_touched(const struct scorer *scorer, struct best *best)
{
	for (uint32_t t = 0; t < scorer->touched_count; t++) {
		uint32_t row = scorer->touched[t], sum = scorer->sums[row];
		if (sum >= best->least)
			offer(best, row, sum, t);
	}
}

/*
 * The rows that can still have a place, when `best` holds the best of now. More than FEW: too many, or
 * one that nothing led to yet.
 */
static uint32_t find_few(const struct scorer *scorer, const struct best *best, uint64_t rest, uint32_t *few)
{
	uint32_t count = 0;
	if (best->found < best->n || rest >= best->least)
		return FEW + 1;
	for (uint32_t t = 0; t < scorer->touched_count && count <= FEW; t++) {
		few[count] = scorer->touched[t];
		count += scorer->sums[few[count]] + rest >= best->least;
	}
	return count;
}

/* Tries to do with the few rows from lists[next] on. True: `best` is found, and the sums are clean. */
static bool end_early(struct scorer *scorer, struct best *best, const struct list *lists, uint32_t next, uint32_t count,
		      uint64_t rest)
{
	uint32_t few[FEW + 1];
	uint64_t filter[FILTER_WORDS] = { 0 };
	best_begin(best);
	offer_touched(scorer, best);
	uint32_t few_count = find_few(scorer, best, rest, few);
	if (few_count > FEW)
		return false;
	for (uint32_t f = 0; f < few_count; f++)
		filter[few[f] / 64 % FILTER_WORDS] |= filter_bit(few[f]);
	for (uint32_t p = next; p < count; p++)
		add_to_few(scorer->sums, filter, &lists[p], best->relation->row_mask);
	best_begin(best);
	for (uint32_t f = 0; f < few_count; f++)
		offer(best, few[f], scorer->sums[few[f]], f);
	for (uint32_t t = 0; t < scorer->touched_count; t++)
		scorer->sums[scorer->touched[t]] = 0;
	return true;
}

static bool may_end_early(const struct scorer *scorer, const struct best *best)
{
	/* what is blended in depends on all sums */
	return scorer->rows >= EARLY_ROWS && best->n && !best->relation->serving.blend_q12;
}

/* Adds all lists, of which the first `warm` are not of cold items; true: `best` is found already. */
static bool add_lists(struct scorer *scorer, struct best *best, struct list *lists, uint32_t count, uint32_t warm)
{
	bool may_end = may_end_early(scorer, best);
	uint32_t row_mask = best->relation->row_mask;
	uint64_t rest = 0, guess = 0; /* guess: the n-th best score; no less than what an n-th neighbour gets */
	for (uint32_t p = 0; may_end && p < count; p++) {
		weigh_list(best->relation, &lists[p]);
		rest += lists[p].bound;
	}
	for (uint32_t p = 0; p < count; p++) {
		struct list *list = &lists[p];
		/* one by one: so many at once would fill what waits for memory, and hold us up */
		if (p < scorer->next_count)
			prefetch_entries(scorer->next[p].entries, scorer->next[p].count);
		if (p + AHEAD < count)
			prefetch_entries(lists[p + AHEAD].entries, lists[p + AHEAD].count);
		if (!may_end)
			weigh_list(best->relation, list);
		add_list(scorer, list, row_mask);
		if (p + 1 == warm)
			best->by_warm = scorer->touched_count;
		if (!may_end || p + 1 == count)
			continue;
		rest -= list->bound;
		uint32_t nth =
			best->n <= list->count ? score_part(list->entries[best->n - 1], row_mask, list->weight) : 0;
		guess = nth > guess ? nth : guess;
		if (rest > guess)
			continue;
		if (end_early(scorer, best, lists, p + 1, count, rest))
			return true;
		guess /= 2; /* not so soon again */
	}
	for (uint32_t p = count; p < scorer->next_count; p++)
		prefetch_entries(scorer->next[p].entries, scorer->next[p].count);
	return false;
}

/* Offers all rows that were touched, and leaves the sums clean. */
static void offer_all(struct scorer *scorer, struct best *best)
{
	uint32_t *restrict sums = scorer->sums;
	const uint32_t *restrict touched = scorer->touched;
	uint32_t count = scorer->touched_count;
	uint64_t least = best->least;
	for (uint32_t t = 0; t < count; t++) {
		uint32_t row = touched[t], sum = sums[row];
		sums[row] = 0;
		if (sum < least)
			continue;
		offer(best, row, sum, t);
		least = best->least;
	}
}

uint32_t scorer_top(struct scorer *scorer, const struct model_relation *relation, const struct profile_item *profile,
		    uint32_t profile_count, uint32_t n, score_judge judge, void *context, struct scored *top,
		    struct score_counts *counts)
{
	struct list lists[PROFILE_MAX];
	struct best best = { .relation = relation,
			     .judge = judge,
			     .context = context,
			     .counts = counts,
			     .top = top,
			     .n = n,
			     .personal = UINT32_MAX,
			     .multiplier_max = relation->multiplier_max };
	if (!relation->multipliers)
		best.multiplier_max = SCORE_ONE;
	else if (best.multiplier_max == 0)
		best.multiplier_max = UINT16_MAX;
	*counts = (struct score_counts){ 0 };
	scorer->touched_count = 0;
	/* the heaviest lists first when the last may be left out */
	const uint64_t *cold = may_end_early(scorer, &best) ? NULL : relation->cold;
	uint32_t warm = find_lists(relation, profile, profile_count, cold, lists);
	bool found = add_lists(scorer, &best, lists, profile_count, cold ? warm : 0);
	scorer->next_count = 0;
	if (found) {
		counts->candidates = scorer->touched_count;
		return best_in_order(&best);
	}
	best.personal = scorer->touched_count;
	if (relation->serving.blend_q12)
		add_popular(scorer, relation, best_shown(scorer, judge, context));

	*counts = (struct score_counts){ .candidates = scorer->touched_count };
	best_begin(&best);
	offer_all(scorer, &best);
	return best_in_order(&best);
}
