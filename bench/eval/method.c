#include "bench/eval/method.h"

#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define DAY_S 86400.0

struct counted_row {
	uint32_t events, row;
};

static int compare_counted(const void *a, const void *b)
{
	const struct counted_row *x = a, *y = b;
	if (x->events != y->events)
		return x->events > y->events ? -1 : 1;
	return (x->row > y->row) - (x->row < y->row);
}

/* Rows with events since from_s, most first. */
static int list_popular(struct method *method, const struct questions *questions, double from_s)
{
	struct counted_row *rows = calloc((size_t)questions->items + 1, sizeof *rows);
	method->list = malloc(((size_t)questions->items + 1) * sizeof *method->list);
	if (!rows || !method->list) {
		free(rows);
		return E_EXHAUSTED;
	}
	for (uint32_t row = 0; row < questions->items; row++)
		rows[row].row = row;
	const struct event *events = events_all(&questions->train);
	for (uint64_t e = 0; e < questions->train.count; e++)
		rows[events[e].item].events += events[e].time_s >= from_s;
	qsort(rows, questions->items, sizeof *rows, compare_counted);
	for (uint32_t row = 0; row < questions->items && rows[row].events > 0; row++)
		method->list[method->list_count++] = rows[row].row;
	free(rows);
	return 0;
}

int method_popular(struct method *method, const struct questions *questions, double days, struct error *err)
{
	*method = (struct method){ .space = questions->space };
	if (days > 0)
		snprintf(method->name, sizeof method->name, "popular in %g days", days);
	else
		snprintf(method->name, sizeof method->name, "popular");
	uint64_t start_ns = clock_monotonic_ns();
	if (list_popular(method, questions, days > 0 ? questions->now_s - days * DAY_S : 0))
		return error_set(err, E_EXHAUSTED, "no memory to count %u items", questions->items);
	method->figures.build_seconds = (double)(clock_monotonic_ns() - start_ns) * 1e-9;
	return 0;
}

struct plan_relation method_relation(const struct map *map)
{
	static float one[] = { 1 };
	struct plan_relation relation = { .key = (char *)"eval", .learn = true, .weights = one, .largest = 1 };
	if (map->type_count == 0)
		return relation;
	relation.weights = (float *)map->weights;
	relation.largest = map->weights[0];
	for (uint32_t t = 1; t < map->type_count; t++)
		if (map->weights[t] > relation.largest)
			relation.largest = map->weights[t];
	return relation;
}

static int learn_all(struct method *method, const struct method_input *input, struct error *err)
{
	struct plan_relation relation = method_relation(input->map);
	struct learn_input learning = { .space = method->space,
					.events = &input->questions->train,
					.items = input->questions->items,
					.relation = &relation,
					.params = input->params,
					.threads = input->threads };
	uint64_t start_ns = clock_monotonic_ns();
	method->personal = true;
	/* all of the training part counts: llo learns from events that are not older than the questions */
	int code = learn(&method->learned, &learning, (uint64_t)UINT32_MAX + 1, input->questions->now_s, err);
	method->learned.relation.key = NULL;
	method->figures.build_seconds = (double)(clock_monotonic_ns() - start_ns) * 1e-9;
	return code;
}

int method_kindred(struct method *method, const struct method_input *input, struct error *err)
{
	*method = (struct method){ .name = "Kindred", .space = input->questions->space };
	int code = learn_all(method, input, err);
	if (code)
		return code;
	const struct model_relation *relation = &method->learned.relation;
	method->list = malloc(((size_t)relation->recent_count + 1) * sizeof *method->list);
	if (!method->list)
		return error_set(err, E_EXHAUSTED, "no memory for popular items");
	for (uint32_t r = 0; r < relation->recent_count; r++)
		method->list[method->list_count++] = relation->recent_rows[r];
	return 0;
}

int method_cosine(struct method *method, const struct method_input *input, struct error *err)
{
	*method = (struct method){ .name = "cosine item kNN", .space = input->questions->space };
	struct params params = params_default();
	static const char *const settings[] = {
		"list_items=10000",
		"list_window=0",
		"pairs_per_item=1000000",
		"length_discount=0",
		"gap=0",
		"back=1",
		"pair_days=0",
		"age_days=0",
		"norm_from=0.5",
		"norm_to=0.5",
		"shrink=0",
		"min_count=1",
		"neighbours=100",
		"profile_items=256",
		"rank_decay=1",
		"half_life_days=0",
		"self_weight=0",
		"blend=0",
		"trend_exponent=0",
		"season_exponent=0",
	};
	for (size_t s = 0; s < sizeof settings / sizeof *settings; s++)
		if (params_set(&params, settings[s], err))
			return E_INTERNAL;
	struct method_input own = *input;
	own.params = &params;
	int code = learn_all(method, &own, err);
	if (!code && list_popular(method, input->questions, 0))
		code = error_set(err, E_EXHAUSTED, "no memory for popular items");
	return code;
}

void method_free(struct method *method)
{
	if (method->personal)
		learned_free(method->space, &method->learned);
	free(method->list);
	*method = (struct method){ 0 };
}
