#include "builder/cooccur.h"

#include "builder/parallel.h"
#include "common/clock.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_ROWS 64u
#define PAIR_STEPS 64u /* of the pair decay's table, a tau */
#define PAIR_TAUS 16u /* beyond them a pair counts nothing */
#define DAY_S 86400.0

struct sum {
	float value;
	uint32_t users;
};

struct scored_row {
	float score;
	uint32_t row;
};

/* Where the neighbours of a block of rows are, until all blocks are there. */
struct block {
	uint32_t thread; /* whose pile */
	uint64_t first; /* in that pile */
	uint32_t counts[BLOCK_ROWS];
};

struct product {
	const struct list_entry *entries;
	const uint64_t *offsets;
	const struct list_place *places;
	const uint64_t *item_offsets;
	uint32_t items, window, keep;
	float back, shrink, sharpness;
	float type_from; /* exponent of what is weight^type_to */
	uint32_t min_count;
	float *gap; /* [longest list]: by places apart */
	float *length; /* [longest list + 1]: by length */
	float *pair; /* [PAIR_STEPS x PAIR_TAUS], by time apart; NULL: no pair decay */
	float pair_scale; /* seconds to steps */
	float *from, *to; /* [items]: n^norm_from, n^norm_to */
	struct block *blocks;
	uint32_t block_count, block_rows;
	struct space *space;
	struct pile found[PARALLEL_MAX]; /* struct scored_row, of each thread */
	_Atomic uint32_t next_block;
	_Atomic bool failed;
	struct error error; /* of the thread that failed first */
	struct report *report;
};

/* One thread's own. */
struct row_sums {
	struct sum *sums; /* [items], zero between rows */
	uint32_t *touched; /* [items] */
	uint32_t touched_count;
	struct scored_row *heap; /* [keep], the worst on top */
};

/* --- preparation --- */

/* Ordered pairs of places at most `window` apart in a list of this length. */
static uint64_t pairs_in(uint64_t length, uint64_t window)
{
	return window + 1 >= length ? length * (length - 1) : window * (2 * length - window - 1);
}

static uint64_t pairs_in_all(const uint64_t *users_of_length, uint32_t longest, uint64_t window)
{
	uint64_t pairs = 0;
	for (uint32_t length = 2; length <= longest; length++)
		pairs += users_of_length[length] * pairs_in(length, window);
	return pairs;
}

/* The widest window whose pairs stay within the bound, at least 1 and at most what was asked for. */
static int choose_window(struct neighbours *out, const struct lists *lists, const struct params *params,
			 uint32_t longest, struct error *err)
{
	uint64_t *users_of_length = calloc((size_t)longest + 1, sizeof *users_of_length);
	if (!users_of_length)
		return error_set(err, E_EXHAUSTED, "no memory for lists of %u items", longest);
	const uint64_t *offsets = lists_offsets(lists);
	for (uint32_t user = 0; user < lists->users; user++)
		users_of_length[offsets[user + 1] - offsets[user]]++;
	uint32_t asked = params->list_window >= 1 ? (uint32_t)params->list_window : longest;
	if (asked > longest)
		asked = longest ? longest : 1;
	double bound = params->pairs_per_item * (double)lists->count;
	uint32_t low = 1, high = asked;
	while (low < high) {
		uint32_t middle = low + (high - low + 1) / 2;
		if ((double)pairs_in_all(users_of_length, longest, middle) <= bound)
			low = middle;
		else
			high = middle - 1;
	}
	out->window = low + 1 >= longest ? UINT32_MAX : low;
	out->pairs = pairs_in_all(users_of_length, longest, low);
	out->pairs_skipped = pairs_in_all(users_of_length, longest, asked) - out->pairs;
	free(users_of_length);
	return 0;
}

static uint32_t longest_list(const struct lists *lists)
{
	const uint64_t *offsets = lists_offsets(lists);
	uint64_t longest = 0;
	for (uint32_t user = 0; user < lists->users; user++)
		if (offsets[user + 1] - offsets[user] > longest)
			longest = offsets[user + 1] - offsets[user];
	return (uint32_t)longest;
}

static void weigh_entries(struct lists *lists, const struct params *params, uint32_t now_s)
{
	struct list_entry *entries = lists->entries.region.data;
	double tau_s = params->age_days * DAY_S;
	for (uint64_t e = 0; e < lists->count; e++) {
		double age_s = entries[e].time_s < now_s ? (double)(now_s - entries[e].time_s) : 0;
		double factor = tau_s > 0 ? fmax(exp(-age_s / tau_s), params->age_floor) : 1;
		if (entries[e].weight < 1)
			entries[e].weight = powf(entries[e].weight, (float)params->type_to);
		entries[e].aged = (float)(entries[e].weight * factor);
	}
}

static int make_tables(struct product *product, const struct lists *lists, const struct params *params,
		       uint32_t longest)
{
	product->gap = malloc(((size_t)longest + 1) * sizeof *product->gap);
	product->length = malloc(((size_t)longest + 1) * sizeof *product->length);
	product->from = malloc(((size_t)lists->items + 1) * sizeof *product->from);
	product->to = malloc(((size_t)lists->items + 1) * sizeof *product->to);
	if (!product->gap || !product->length || !product->from || !product->to)
		return E_EXHAUSTED;
	product->gap[0] = product->length[0] = 1;
	for (uint32_t n = 1; n <= longest; n++) {
		product->gap[n] = (float)pow(n, -params->gap);
		product->length[n] = (float)pow(n, -params->length_discount);
	}
	for (uint32_t item = 0; item < lists->items; item++) {
		double users = (double)lists_users(lists, item);
		product->from[item] = (float)pow(users, params->norm_from);
		product->to[item] = (float)pow(users, params->norm_to);
	}
	if (params->pair_days > 0) {
		product->pair = malloc(PAIR_STEPS * PAIR_TAUS * sizeof *product->pair);
		if (!product->pair)
			return E_EXHAUSTED;
		for (uint32_t step = 0; step < PAIR_STEPS * PAIR_TAUS; step++)
			product->pair[step] = (float)exp(-(double)step / PAIR_STEPS);
		product->pair_scale = (float)(PAIR_STEPS / (params->pair_days * DAY_S));
	}
	return 0;
}

/* --- the product --- */

static inline float pair_factor(const struct product *product, uint32_t older_s, uint32_t newer_s)
{
	if (!product->pair)
		return 1;
	/* Lists are in order of time, but that is not worth a crash if they are not. */
	float step = newer_s > older_s ? (float)(newer_s - older_s) * product->pair_scale : 0;
	return step < (float)(PAIR_STEPS * PAIR_TAUS) ? product->pair[(uint32_t)step] : 0;
}

static inline void add_pair(struct row_sums *row, uint32_t item, float value)
{
	struct sum *sum = &row->sums[item];
	if (sum->users == 0)
		row->touched[row->touched_count++] = item;
	sum->value += value;
	sum->users++;
}

static inline float own_weight(const struct product *product, const struct list_entry *own)
{
	bool as_is = own->weight >= 1 || (product->type_from >= 1 && product->type_from <= 1);
	return as_is ? own->weight : powf(own->weight, product->type_from);
}

/* What one user's list gives to the row of its item at place x. */
static void add_list(const struct product *product, struct row_sums *row, const struct list_entry *list,
		     uint32_t length, uint32_t x)
{
	const struct list_entry *own = &list[x];
	float factor = product->length[length] * own_weight(product, own);
	uint32_t first = x > product->window ? x - product->window : 0;
	uint32_t end = length - x > product->window ? x + product->window + 1 : length;
	if (product->back > 0) {
		/* the newer one of the pair, which gives its age, is the own item */
		float own_factor = factor * product->back * (own->aged / own->weight);
		for (uint32_t y = first; y < x; y++)
			add_pair(row, list[y].item,
				 own_factor * product->gap[x - y] * list[y].weight *
					 pair_factor(product, list[y].time_s, own->time_s));
	}
	for (uint32_t y = x + 1; y < end; y++)
		add_pair(row, list[y].item,
			 factor * product->gap[y - x] * list[y].aged *
				 pair_factor(product, own->time_s, list[y].time_s));
}

static bool better(struct scored_row a, struct scored_row b)
{
	return a.score != b.score ? a.score > b.score : a.row < b.row;
}

static void keep_best(struct scored_row *heap, uint32_t *count, uint32_t keep, struct scored_row one)
{
	uint32_t at;
	if (*count < keep) {
		for (at = (*count)++; at > 0 && better(heap[(at - 1) / 2], one); at = (at - 1) / 2)
			heap[at] = heap[(at - 1) / 2];
	} else {
		if (!better(one, heap[0]))
			return;
		at = 0;
		for (uint32_t child; (child = 2 * at + 1) < keep; at = child) {
			if (child + 1 < keep && better(heap[child], heap[child + 1]))
				child++;
			if (!better(one, heap[child]))
				break;
			heap[at] = heap[child];
		}
	}
	heap[at] = one;
}

static int compare_scored_rows(const void *a, const void *b)
{
	const struct scored_row *x = a, *y = b;
	return better(*x, *y) ? -1 : better(*y, *x) ? 1 : 0;
}

/* Leaves the best in row->heap, best first, and the sums at zero. Returns how many. */
static uint32_t pick_best(const struct product *product, struct row_sums *row, uint32_t item)
{
	uint32_t count = 0;
	for (uint32_t t = 0; t < row->touched_count; t++) {
		uint32_t other = row->touched[t];
		struct sum sum = row->sums[other];
		row->sums[other] = (struct sum){ 0 };
		float score = sum.value / (product->from[item] * product->to[other] + product->shrink);
		if (sum.users >= product->min_count && score > 0)
			keep_best(row->heap, &count, product->keep, (struct scored_row){ score, other });
	}
	row->touched_count = 0;
	qsort(row->heap, count, sizeof *row->heap, compare_scored_rows);
	if (product->sharpness < 1 || product->sharpness > 1)
		for (uint32_t n = 0; n < count; n++)
			row->heap[n].score = powf(row->heap[n].score, product->sharpness);
	return count;
}

static uint32_t make_row(const struct product *product, struct row_sums *row, uint32_t item)
{
	uint64_t end = product->item_offsets[item + 1];
	for (uint64_t p = product->item_offsets[item]; p < end; p++) {
		if (p + 4 < end) {
			const struct list_place *ahead = &product->places[p + 4];
			__builtin_prefetch(&product->offsets[ahead->user]);
		}
		if (p + 2 < end) {
			const struct list_place *ahead = &product->places[p + 2];
			__builtin_prefetch(&product->entries[product->offsets[ahead->user]]);
		}
		const struct list_place *place = &product->places[p];
		uint64_t first = product->offsets[place->user];
		uint32_t length = (uint32_t)(product->offsets[place->user + 1] - first);
		if (length > 1)
			add_list(product, row, product->entries + first, length, place->place);
	}
	return pick_best(product, row, item);
}

static int make_block(struct product *product, struct row_sums *row, uint32_t number, uint32_t thread,
		      struct error *err)
{
	struct block *block = &product->blocks[number];
	uint32_t first = number * product->block_rows;
	block->thread = thread;
	block->first = product->found[thread].used / sizeof(struct scored_row);
	for (uint32_t r = 0; r < product->block_rows && first + r < product->items; r++) {
		uint32_t count = make_row(product, row, first + r);
		size_t bytes = count * sizeof(struct scored_row);
		struct scored_row *to = pile_extend(product->space, &product->found[thread], bytes, err);
		if (!to)
			return E_EXHAUSTED;
		if (count)
			memcpy(to, row->heap, bytes);
		block->counts[r] = count;
	}
	return 0;
}

static int make_blocks(void *context, uint32_t thread)
{
	struct product *product = context;
	struct row_sums row = { .sums = calloc((size_t)product->items + 1, sizeof *row.sums),
				.touched = malloc(((size_t)product->items + 1) * sizeof *row.touched),
				.heap = malloc(product->keep * sizeof *row.heap) };
	struct error error = { 0 };
	int code = 0;
	if (!row.sums || !row.touched || !row.heap)
		code = error_set(&error, E_EXHAUSTED, "no memory to learn the neighbours of %u items", product->items);
	uint64_t total = product->item_offsets[product->items];
	uint32_t number;
	while (!code && !atomic_load(&product->failed) &&
	       (number = atomic_fetch_add(&product->next_block, 1)) < product->block_count) {
		code = make_block(product, &row, number, thread, &error);
		if (thread == 0 && product->report && total)
			report_step(product->report,
				    (double)product->item_offsets[number * product->block_rows] / (double)total);
	}
	if (code && !atomic_exchange(&product->failed, true))
		product->error = error;
	free(row.sums);
	free(row.touched);
	free(row.heap);
	return code;
}

/* --- the result --- */

static int join_blocks(struct neighbours *out, struct product *product, struct error *err)
{
	uint64_t count = 0;
	for (uint32_t row = 0; row < product->items; row++)
		count += product->blocks[row / product->block_rows].counts[row % product->block_rows];
	int code = region_make(out->space, &out->offsets, ((size_t)product->items + 1) * sizeof(uint64_t), err);
	if (!code)
		code = region_make(out->space, &out->rows, count * sizeof(uint32_t), err);
	if (!code)
		code = region_make(out->space, &out->scores, count * sizeof(float), err);
	if (code)
		return code;
	uint64_t *offsets = out->offsets.data;
	uint32_t *rows = out->rows.data;
	float *scores = out->scores.data;
	for (uint32_t b = 0; b < product->block_count; b++) {
		const struct block *block = &product->blocks[b];
		const struct scored_row *found = product->found[block->thread].region.data;
		found += block->first;
		for (uint32_t r = 0; r < product->block_rows && b * product->block_rows + r < product->items; r++) {
			for (uint32_t n = 0; n < block->counts[r]; n++, found++) {
				rows[out->count] = found->row;
				scores[out->count++] = found->score;
			}
			offsets[b * product->block_rows + r + 1] = out->count;
		}
	}
	return 0;
}

static uint32_t choose_block_rows(uint32_t items, uint32_t threads)
{
	/* small enough that the threads end together, also when there are few items */
	uint32_t rows = items / (threads * 32);
	return rows < 1 ? 1 : rows > BLOCK_ROWS ? BLOCK_ROWS : rows;
}

int cooccur_make(struct neighbours *out, struct lists *lists, const struct params *params, uint32_t now_s,
		 uint32_t threads, struct report *report, struct error *err)
{
	*out = (struct neighbours){ .space = lists->space, .items = lists->items };
	uint32_t longest = longest_list(lists);
	int code = choose_window(out, lists, params, longest, err);
	if (code)
		return code;
	weigh_entries(lists, params, now_s);
	struct product product = { .entries = lists_entries(lists),
				   .offsets = lists_offsets(lists),
				   .places = lists->places.data,
				   .item_offsets = lists->item_offsets.data,
				   .items = lists->items,
				   .window = out->window,
				   .keep = (uint32_t)params->neighbours,
				   .back = (float)params->back,
				   .shrink = (float)params->shrink,
				   .sharpness = (float)params->sharpness,
				   .type_from = (float)(params->type_from / params->type_to),
				   .min_count = (uint32_t)params->min_count,
				   .block_rows = choose_block_rows(lists->items, threads),
				   .space = lists->space,
				   .report = report };
	product.block_count = (lists->items + product.block_rows - 1) / product.block_rows;
	product.blocks = calloc((size_t)product.block_count + 1, sizeof *product.blocks);
	if (!product.blocks || make_tables(&product, lists, params, longest))
		code = error_set(err, E_EXHAUSTED, "no memory to learn the neighbours of %u items", lists->items);
	if (!code && parallel_run(threads, make_blocks, &product))
		code = error_set(err, product.error.code, "%s", product.error.text);
	if (!code)
		code = join_blocks(out, &product, err);
	for (uint32_t t = 0; t < PARALLEL_MAX; t++)
		pile_free(out->space, &product.found[t]);
	free(product.blocks);
	free(product.gap);
	free(product.length);
	free(product.pair);
	free(product.from);
	free(product.to);
	return code;
}

int cooccur_none(struct neighbours *out, struct space *space, uint32_t items, struct error *err)
{
	*out = (struct neighbours){ .space = space, .items = items };
	int code = region_make(space, &out->offsets, ((size_t)items + 1) * sizeof(uint64_t), err);
	if (!code)
		code = region_make(space, &out->rows, 0, err);
	return code ? code : region_make(space, &out->scores, 0, err);
}

void neighbours_free(struct neighbours *neighbours)
{
	if (!neighbours->space)
		return;
	region_free(neighbours->space, &neighbours->offsets);
	region_free(neighbours->space, &neighbours->rows);
	region_free(neighbours->space, &neighbours->scores);
	*neighbours = (struct neighbours){ 0 };
}
