#include "builder/cooccur.h"

#include "builder/decay.h"
#include "builder/parallel.h"
#include "builder/row.h"
#include "common/clock.h"

#include <float.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#define BLOCK_ROWS 64u
#define WEIGH_ENTRIES 65536u /* weighed at once */
#define NORM_ITEMS 4096u
#define DAY_S 86400.0

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

struct rows {
	struct product product; /* builder/row.h */
	struct block *blocks;
	uint32_t block_count, block_rows;
	struct space *space;
	struct pile found[PARALLEL_MAX]; /* struct scored_row, of each thread */
	_Atomic uint32_t next_block;
	_Atomic bool failed;
	struct error error; /* of the thread that failed first */
	float sharpness;
	struct report *report;
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

struct weighing {
	struct lists *lists;
	const struct params *params;
	struct decay decay;
	uint32_t now_s;
};

static int weigh_entries(void *context, uint32_t thread, uint64_t first, uint64_t end)
{
	const struct weighing *weighing = context;
	(void)thread;
	struct list_entry *entries = weighing->lists->entries.data;
	const uint32_t *times = lists_times(weighing->lists);
	double floor = weighing->params->age_floor;
	for (uint64_t e = first; e < end; e++) {
		double factor = fmax(decay_since(&weighing->decay, times[e], weighing->now_s), floor);
		if (entries[e].weight < 1)
			entries[e].weight =
				fmaxf(powf(entries[e].weight, (float)weighing->params->type_to), ROW_WEIGHT_MIN);
		entries[e].aged = (float)(entries[e].weight * factor);
	}
	return 0;
}

struct norming {
	struct product *product;
	const struct lists *lists;
	const struct params *params;
};

static int norm_items(void *context, uint32_t thread, uint64_t first, uint64_t end)
{
	const struct norming *norming = context;
	(void)thread;
	for (uint64_t item = first; item < end; item++) {
		double users = (double)lists_users(norming->lists, (uint32_t)item);
		norming->product->from[item] = (float)pow(users, norming->params->norm_from);
		norming->product->to[item] = (float)pow(users, norming->params->norm_to);
	}
	return 0;
}

static int make_tables(struct product *product, const struct lists *lists, const struct params *params,
		       uint32_t longest, uint32_t threads)
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
	struct norming norming = { product, lists, params };
	parallel_parts(threads, lists->items, NORM_ITEMS, norm_items, &norming);
	if (params->pair_days > 0) {
		product->pair = malloc(ROW_PAIR_STEPS * ROW_PAIR_TAUS * sizeof *product->pair);
		if (!product->pair)
			return E_EXHAUSTED;
		for (uint32_t step = 0; step < ROW_PAIR_STEPS * ROW_PAIR_TAUS; step++)
			product->pair[step] = (float)exp(-(double)step / ROW_PAIR_STEPS);
		product->pair_scale = (float)(ROW_PAIR_STEPS / (params->pair_days * DAY_S));
	}
	return 0;
}

/* --- the product --- */

static inline float sharpened(const struct rows *rows, float score)
{
	return rows->sharpness < 1 || rows->sharpness > 1 ? fmaxf(powf(score, rows->sharpness), FLT_MIN) : score;
}

static int make_block(struct rows *rows, struct row *row, uint32_t number, uint32_t thread, struct error *err)
{
	struct block *block = &rows->blocks[number];
	uint32_t first = number * rows->block_rows;
	block->thread = thread;
	block->first = rows->found[thread].used / sizeof(struct scored_row);
	for (uint32_t r = 0; r < rows->block_rows && first + r < rows->product.items; r++) {
		uint32_t count = row_make(row, first + r);
		struct scored_row *to =
			pile_extend(rows->space, &rows->found[thread], count * sizeof(struct scored_row), err);
		if (!to)
			return E_EXHAUSTED;
		for (uint32_t n = 0; n < count; n++)
			to[n] = (struct scored_row){ sharpened(rows, best_score(&row->best, n)),
						     best_row(&row->best, n) };
		block->counts[r] = count;
	}
	return 0;
}

static int make_blocks(void *context, uint32_t thread)
{
	struct rows *rows = context;
	const struct product *product = &rows->product;
	struct row row;
	struct error error = { 0 };
	int code = 0;
	if (row_init(&row, product))
		code = error_set(&error, E_EXHAUSTED, "no memory to learn the neighbours of %u items", product->items);
	uint64_t total = product->item_offsets[product->items];
	uint32_t number;
	while (!code && !atomic_load(&rows->failed) &&
	       (number = atomic_fetch_add(&rows->next_block, 1)) < rows->block_count) {
		code = make_block(rows, &row, number, thread, &error);
		if (thread == 0 && rows->report && total)
			report_step(rows->report,
				    (double)product->item_offsets[number * rows->block_rows] / (double)total);
	}
	if (code && !atomic_exchange(&rows->failed, true))
		rows->error = error;
	row_fini(&row);
	return code;
}

/* --- the result --- */

struct joining {
	const struct rows *rows;
	uint32_t *to_rows;
	float *to_scores;
	const uint64_t *offsets;
};

static int join_block(void *context, uint32_t thread, uint64_t number, uint64_t end)
{
	const struct joining *joining = context;
	const struct block *block = &joining->rows->blocks[number];
	(void)thread;
	(void)end;
	const struct scored_row *found = joining->rows->found[block->thread].region.data;
	found += block->first;
	uint64_t first = number * joining->rows->block_rows, last = first + joining->rows->block_rows;
	if (last > joining->rows->product.items)
		last = joining->rows->product.items;
	for (uint64_t at = joining->offsets[first]; at < joining->offsets[last]; at++, found++) {
		joining->to_rows[at] = found->row;
		joining->to_scores[at] = found->score;
	}
	return 0;
}

static int join_blocks(struct neighbours *out, struct rows *rows, uint32_t threads, struct error *err)
{
	uint32_t items = rows->product.items;
	int code = region_make(out->space, &out->offsets, ((size_t)items + 1) * sizeof(uint64_t), err);
	if (code)
		return code;
	uint64_t *offsets = out->offsets.data;
	for (uint32_t row = 0; row < items; row++) {
		out->count += rows->blocks[row / rows->block_rows].counts[row % rows->block_rows];
		offsets[row + 1] = out->count;
	}
	code = region_take(out->space, &out->rows, out->count * sizeof(uint32_t), err);
	if (!code)
		code = region_take(out->space, &out->scores, out->count * sizeof(float), err);
	if (code)
		return code;
	struct joining joining = { rows, out->rows.data, out->scores.data, offsets };
	return parallel_parts(threads, rows->block_count, 1, join_block, &joining);
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
	if (report)
		report_amount(report, (double)lists->events, "events");
	struct weighing weighing = { .lists = lists, .params = params, .now_s = now_s };
	decay_init(&weighing.decay, params->age_days * DAY_S * M_LN2);
	parallel_parts(threads, lists->count, WEIGH_ENTRIES, weigh_entries, &weighing);
	struct rows rows = { .block_rows = choose_block_rows(lists->items, threads),
			     .space = lists->space,
			     .sharpness = (float)params->sharpness,
			     .report = report };
	rows.product = (struct product){ .entries = lists_entries(lists),
					 .times = lists_times(lists),
					 .places = lists->places.data,
					 .item_offsets = lists->item_offsets.data,
					 .items = lists->items,
					 .window = out->window,
					 .keep = (uint32_t)params->neighbours,
					 .back = (float)params->back,
					 .shrink = (float)params->shrink,
					 .type_from = (float)(params->type_from / params->type_to),
					 .min_count = (uint32_t)params->min_count };
	rows.block_count = (lists->items + rows.block_rows - 1) / rows.block_rows;
	rows.blocks = calloc((size_t)rows.block_count + 1, sizeof *rows.blocks);
	if (!rows.blocks || make_tables(&rows.product, lists, params, longest, threads))
		code = error_set(err, E_EXHAUSTED, "no memory to learn the neighbours of %u items", lists->items);
	if (!code && parallel_run(threads, make_blocks, &rows))
		code = error_set(err, rows.error.code, "%s", rows.error.text);
	lists_forget(lists);
	if (!code)
		code = join_blocks(out, &rows, threads, err);
	for (uint32_t t = 0; t < PARALLEL_MAX; t++)
		pile_free(out->space, &rows.found[t]);
	free(rows.blocks);
	free(rows.product.gap);
	free(rows.product.length);
	free(rows.product.pair);
	free(rows.product.from);
	free(rows.product.to);
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
