#include "builder/cold.h"

#include "builder/parallel.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PORTION 64u /* cold items a thread takes at once */
#define JOIN_ROWS 1024u /* lists that are joined at once */
#define ROOM (1000u + COLD_NEIGHBOURS + COLD_PLACES) /* of a list while it is put together */

/* --- who is cold --- */

static bool is_cold(const struct cold *cold, uint32_t row)
{
	return model_bit(cold->bits, row);
}

struct newcomer {
	uint64_t version;
	uint32_t row;
};

static int compare_newcomers(const void *a, const void *b)
{
	const struct newcomer *x = a, *y = b;
	if (x->version != y->version)
		return x->version > y->version ? -1 : 1;
	return (x->row > y->row) - (x->row < y->row);
}

int cold_newest(struct cold *cold, const uint64_t *bits, const uint64_t *versions, uint32_t items, struct error *err)
{
	struct newcomer *newcomers = malloc(((size_t)items + 1) * sizeof *newcomers);
	cold->items = 0;
	for (uint32_t row = 0; newcomers && row < items; row++)
		if (model_bit(bits, row))
			newcomers[cold->items++] = (struct newcomer){ versions[row], row };
	cold->count = cold->items < MODEL_COLD_MAX ? cold->items : MODEL_COLD_MAX;
	cold->rows = malloc(((size_t)cold->count + 1) * sizeof *cold->rows);
	if (!newcomers || !cold->rows) {
		free(newcomers);
		return error_set(err, E_EXHAUSTED, "no memory to tell new ones among %u items", items);
	}
	qsort(newcomers, cold->items, sizeof *newcomers, compare_newcomers);
	for (uint32_t n = 0; n < cold->count; n++)
		cold->rows[n] = newcomers[n].row;
	free(newcomers);
	return 0;
}

int cold_find(struct cold *cold, const struct cold_input *input, struct error *err)
{
	uint32_t items = input->lists->items;
	*cold = (struct cold){ 0 };
	if (input->params->attribute_events <= 0)
		return 0;
	cold->bits = calloc((size_t)items / 64 + 1, sizeof *cold->bits);
	if (!cold->bits)
		return error_set(err, E_EXHAUSTED, "no memory to tell new ones among %u items", items);
	for (uint32_t row = 0; row < items; row++)
		if ((double)lists_users(input->lists, row) < input->params->attribute_events)
			cold->bits[row / 64] |= UINT64_C(1) << row % 64;
	return cold_newest(cold, cold->bits, input->versions, items, err);
}

void cold_free(struct space *space, struct cold *cold)
{
	free(cold->bits);
	free(cold->rows);
	region_free(space, &cold->by_attributes);
	*cold = (struct cold){ 0 };
}

/* --- what they are like --- */

/* Of cold item number n, in order of rows: alike[n x COLD_NEIGHBOURS ..]. */
struct asking {
	const struct cold *cold;
	const struct cold_input *input;
	uint32_t *rows; /* [cold->items] */
	struct region alike; /* struct alike[cold->items x COLD_NEIGHBOURS] */
	uint8_t *counts; /* [cold->items] */
	_Atomic uint32_t next;
};

static int ask_portions(void *context, uint32_t thread)
{
	struct asking *asking = context;
	struct attributes_asker asker;
	int code = attributes_asker_init(&asker, asking->input->attributes);
	struct alike *alike = asking->alike.data;
	uint32_t first;
	(void)thread;
	while (!code && (first = atomic_fetch_add(&asking->next, PORTION)) < asking->cold->items)
		for (uint32_t n = first; n < first + PORTION && n < asking->cold->items; n++)
			asking->counts[n] =
				(uint8_t)attributes_ask(asking->input->attributes, &asker, asking->rows[n],
							alike + (size_t)n * COLD_NEIGHBOURS, COLD_NEIGHBOURS);
	attributes_asker_fini(&asker);
	return code;
}

static int ask_all(struct asking *asking, struct error *err)
{
	uint32_t items = asking->input->lists->items, count = 0;
	int code = region_make(asking->input->space, &asking->alike,
			       (size_t)asking->cold->items * COLD_NEIGHBOURS * sizeof(struct alike), err);
	asking->rows = malloc(((size_t)asking->cold->items + 1) * sizeof *asking->rows);
	asking->counts = calloc((size_t)asking->cold->items + 1, 1);
	if (code || !asking->rows || !asking->counts)
		return E_EXHAUSTED;
	for (uint32_t row = 0; row < items; row++)
		if (is_cold(asking->cold, row))
			asking->rows[count++] = row;
	return parallel_run(asking->input->threads, ask_portions, asking);
}

/* --- whose lists they come into --- */

struct hosts {
	/* struct alike[items x COLD_PLACES], best first: cold ones for an established item's list */
	struct region alike;
	uint8_t *counts; /* [items] */
};

static void offer(struct hosts *hosts, uint32_t host, struct alike cold)
{
	struct alike *best = (struct alike *)hosts->alike.data + (size_t)host * COLD_PLACES;
	uint32_t at = hosts->counts[host];
	if (at == COLD_PLACES) {
		if (cold.likeness <= best[--at].likeness)
			return; /* of equal ones the lower row, which came first */
	} else {
		hosts->counts[host]++;
	}
	for (; at > 0 && cold.likeness > best[at - 1].likeness; at--)
		best[at] = best[at - 1];
	best[at] = cold;
}

static int find_hosts(struct hosts *hosts, const struct asking *asking, struct error *err)
{
	uint32_t items = asking->input->lists->items;
	hosts->counts = calloc((size_t)items + 1, 1);
	int code = region_make(asking->input->space, &hosts->alike, (size_t)items * COLD_PLACES * sizeof(struct alike),
			       err);
	if (code || !hosts->counts)
		return E_EXHAUSTED;
	for (uint32_t n = 0; n < asking->cold->items; n++) {
		const struct alike *alike = (struct alike *)asking->alike.data + (size_t)n * COLD_NEIGHBOURS;
		uint32_t offered = 0;
		for (uint32_t a = 0; a < asking->counts[n] && offered < COLD_HOSTS; a++) {
			if (is_cold(asking->cold, alike[a].row))
				continue;
			offer(hosts, alike[a].row, (struct alike){ asking->rows[n], alike[a].likeness });
			offered++;
		}
	}
	return 0;
}

/* --- joining --- */

struct entry {
	uint32_t row;
	uint32_t weight;
	bool by_attributes;
};

/* Of the threads that put lists together: at first only to know their lengths, then into their places. */
struct joining {
	struct cold *cold;
	const struct cold_input *input;
	const struct asking *asking;
	const struct hosts *hosts;
	const struct neighbours *learnt;
	const uint16_t *learnt_weights;
	double usual; /* x attribute_weight */
	struct region offsets, rows, weights; /* as struct neighbours and the weights */
	_Atomic uint64_t added;
};

/* One while it is put together. */
struct list {
	struct entry entries[ROOM];
	uint32_t count;
};

/* The median of established items' best weights. */
static uint32_t usual_weight(const struct cold *cold, const struct neighbours *learnt, const uint16_t *weights)
{
	const uint64_t *offsets = learnt->offsets.data;
	uint32_t *counts = calloc(UINT16_MAX + 1, sizeof *counts), total = 0, weight = 0;
	if (!counts)
		return 0;
	for (uint32_t row = 0; row < learnt->items; row++)
		if (!is_cold(cold, row) && offsets[row + 1] > offsets[row]) {
			counts[weights[offsets[row]]]++;
			total++;
		}
	for (uint32_t below = 0; weight < UINT16_MAX && below + counts[weight] <= total / 2; weight++)
		below += counts[weight];
	free(counts);
	return total ? weight : UINT16_MAX / 2;
}

static uint32_t rounded(double weight)
{
	return weight < 1 ? 1 : weight > UINT16_MAX ? UINT16_MAX : (uint32_t)weight;
}

/* Most lists stay as they were learnt. */
static bool changes(const struct joining *j, uint32_t row)
{
	return is_cold(j->cold, row) || j->hosts->counts[row] > 0;
}

static void take_learnt(const struct joining *j, struct list *list, uint32_t row)
{
	const uint64_t *offsets = j->learnt->offsets.data;
	const uint32_t *rows = j->learnt->rows.data;
	list->count = 0;
	for (uint64_t n = offsets[row]; n < offsets[row + 1]; n++)
		list->entries[list->count++] = (struct entry){ rows[n], j->learnt_weights[n], false };
}

static int compare_numbers(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	if (x->weight != y->weight)
		return x->weight > y->weight ? -1 : 1;
	return (x->row > y->row) - (x->row < y->row);
}

static void add_alike(const struct joining *j, struct list *list, uint32_t row, const struct alike *alike,
		      uint32_t count)
{
	double users = (double)lists_users(j->input->lists, row);
	double scale = j->usual * (1 - users / j->input->params->attribute_events);
	uint32_t learnt = list->count, most = (uint32_t)j->input->params->neighbours;
	struct entry *entries = list->entries;
	for (uint32_t a = 0; a < count; a++) {
		uint32_t weight = rounded(scale * (double)alike[a].likeness), at = 0;
		while (at < learnt && entries[at].row != alike[a].row)
			at++;
		if (at < learnt)
			entries[at].weight = rounded((double)entries[at].weight + weight);
		else
			entries[list->count++] = (struct entry){ alike[a].row, weight, true };
	}
	qsort(entries, list->count, sizeof *entries, compare_entries);
	list->count = list->count < most ? list->count : most;
}

static void add_guests(const struct joining *j, struct list *list, const struct alike *guests, uint32_t count)
{
	struct entry *entries = list->entries;
	uint32_t learnt = list->count, most = learnt ? entries[learnt - 1].weight / 2 : UINT16_MAX;
	for (uint32_t g = 0; g < count; g++) {
		uint32_t weight = rounded(j->usual * (double)guests[g].likeness), at = 0;
		weight = weight < most ? weight : most;
		while (at < learnt && entries[at].row != guests[g].row)
			at++;
		if (at == learnt)
			entries[list->count++] = (struct entry){ guests[g].row, weight ? weight : 1, true };
	}
	qsort(entries + learnt, list->count - learnt, sizeof *entries, compare_entries);
}

static void make_list(const struct joining *j, struct list *list, uint32_t row)
{
	take_learnt(j, list, row);
	if (is_cold(j->cold, row)) {
		const uint32_t *rows = j->asking->rows;
		const uint32_t *place = bsearch(&row, rows, j->cold->items, sizeof row, compare_numbers);
		size_t n = (size_t)(place - rows);
		add_alike(j, list, row, (struct alike *)j->asking->alike.data + n * COLD_NEIGHBOURS,
			  j->asking->counts[n]);
	} else {
		add_guests(j, list, (struct alike *)j->hosts->alike.data + (size_t)row * COLD_PLACES,
			   j->hosts->counts[row]);
	}
}

static int measure_part(void *context, uint32_t thread, uint64_t first, uint64_t end)
{
	struct joining *j = context;
	const uint64_t *learnt = j->learnt->offsets.data;
	uint64_t *lengths = (uint64_t *)j->offsets.data + 1;
	struct list list;
	(void)thread;
	for (uint64_t row = first; row < end; row++) {
		lengths[row] = learnt[row + 1] - learnt[row];
		if (!changes(j, (uint32_t)row))
			continue;
		make_list(j, &list, (uint32_t)row);
		lengths[row] = list.count;
		for (uint32_t n = 0; n < list.count; n++)
			j->added += list.entries[n].by_attributes;
	}
	return 0;
}

static void put_list(const struct joining *j, const struct list *list, uint64_t at)
{
	/* words of bits are shared with the lists before and after, which may be other threads' */
	_Atomic uint64_t *bits = j->cold->by_attributes.data;
	for (uint32_t n = 0; n < list->count; n++, at++) {
		((uint32_t *)j->rows.data)[at] = list->entries[n].row;
		((uint16_t *)j->weights.data)[at] = (uint16_t)list->entries[n].weight;
		if (list->entries[n].by_attributes)
			atomic_fetch_or(&bits[at / 64], UINT64_C(1) << at % 64);
	}
}

static int join_part(void *context, uint32_t thread, uint64_t first, uint64_t end)
{
	struct joining *j = context;
	const uint64_t *learnt = j->learnt->offsets.data, *offsets = j->offsets.data;
	const uint32_t *rows = j->learnt->rows.data;
	struct list list;
	(void)thread;
	for (uint64_t row = first; row < end; row++) {
		uint64_t at = offsets[row], count = offsets[row + 1] - at;
		if (changes(j, (uint32_t)row)) {
			make_list(j, &list, (uint32_t)row);
			put_list(j, &list, at);
			continue;
		}
		memcpy((uint32_t *)j->rows.data + at, rows + learnt[row], count * sizeof *rows);
		memcpy((uint16_t *)j->weights.data + at, j->learnt_weights + learnt[row],
		       count * sizeof *j->learnt_weights);
	}
	return 0;
}

static int join_all(struct joining *j, struct error *err)
{
	struct space *space = j->input->space;
	uint32_t items = j->learnt->items, threads = j->input->threads;
	int code = region_make(space, &j->offsets, ((size_t)items + 1) * sizeof(uint64_t), err);
	if (code)
		return code;
	parallel_parts(threads, items, JOIN_ROWS, measure_part, j);
	j->cold->added = j->added;
	if (j->cold->added == 0)
		return 0;
	uint64_t *offsets = j->offsets.data;
	offsets[0] = 0;
	for (uint32_t row = 0; row < items; row++)
		offsets[row + 1] += offsets[row];
	uint64_t count = offsets[items];
	code = region_make(space, &j->cold->by_attributes, (count / 64 + 1) * sizeof(uint64_t), err);
	if (!code)
		code = region_take(space, &j->rows, count * sizeof(uint32_t), err);
	if (!code)
		code = region_take(space, &j->weights, count * sizeof(uint16_t), err);
	return code ? code : parallel_parts(threads, items, JOIN_ROWS, join_part, j);
}

static void exchange(struct region *a, struct region *b)
{
	struct region was = *a;
	*a = *b;
	*b = was;
}

/* What was joined takes the place of what was learnt. */
static void replace(struct joining *j, struct neighbours *neighbours, struct region *weights)
{
	neighbours->count = ((const uint64_t *)j->offsets.data)[neighbours->items];
	exchange(&neighbours->offsets, &j->offsets);
	exchange(&neighbours->rows, &j->rows);
	exchange(weights, &j->weights);
}

int cold_join(struct cold *cold, const struct cold_input *input, struct neighbours *neighbours, struct region *weights,
	      struct error *err)
{
	if (cold->items == 0 || !input->attributes)
		return 0;
	struct asking asking = { .cold = cold, .input = input };
	struct hosts hosts = { 0 };
	struct joining j = { .cold = cold,
			     .input = input,
			     .asking = &asking,
			     .hosts = &hosts,
			     .learnt = neighbours,
			     .learnt_weights = weights->data };
	int code = ask_all(&asking, err);
	if (!code)
		code = find_hosts(&hosts, &asking, err);
	if (!code) {
		j.usual = usual_weight(cold, neighbours, weights->data) * input->params->attribute_weight;
		code = join_all(&j, err);
	}
	if (!code && cold->added > 0)
		replace(&j, neighbours, weights);
	region_free(input->space, &j.offsets);
	region_free(input->space, &j.rows);
	region_free(input->space, &j.weights);
	free(asking.rows);
	free(asking.counts);
	free(hosts.counts);
	region_free(input->space, &asking.alike);
	region_free(input->space, &hosts.alike);
	return code ? error_set(err, E_EXHAUSTED, "no memory or disk for the neighbours of %u new items", cold->items)
		    : 0;
}
