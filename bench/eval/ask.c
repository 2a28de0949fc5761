#include "bench/eval/method.h"

#include "common/score.h"

#include <stdlib.h>
#include <time.h>

#define PORTION 256u /* questions between two looks at the clock: what is measured is answering, not counting */

/* Of this thread only: a busy machine does not make scoring look slow. */
static uint64_t busy_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct asker {
	const struct method *method;
	const struct questions *questions;
	struct scorer *scorer;
	uint32_t *marks; /* [items]: number of the last question (+ 1) that must not show the row (again) */
	uint32_t mark;
	uint32_t type_weights[MAP_TYPES_MAX]; /* Q12 */
	uint32_t *shown; /* [items]: how often */
	struct scored lists[PORTION][FIGURES_AT];
	uint32_t lengths[PORTION];
};

static enum score_verdict judge(void *context, uint32_t row)
{
	const struct asker *asker = context;
	return asker->marks[row] == asker->mark ? SCORE_EXCLUDED : SCORE_SHOW;
}

/* As the worker does it: newest first, no more than the profile looks at. */
static uint32_t make_profile(const struct asker *asker, const struct question *question, struct profile_item *profile)
{
	const struct model_serving *serving = &asker->method->learned.relation.serving;
	struct profile_event events[4 * PROFILE_MAX];
	uint32_t looked = 0;
	for (uint64_t x = question->end; x-- > question->first && looked < 4 * serving->profile_items;) {
		const struct event *event = &asker->questions->sequence[x];
		events[looked++] = (struct profile_event){ event->item, asker->type_weights[event->type],
							   (int64_t)event->time_s * 1000 };
	}
	return profile_make(serving, events, looked, profile);
}

static uint32_t answer(struct asker *asker, const struct question *question, struct scored *list)
{
	const struct method *method = asker->method;
	uint32_t found = 0;
	if (asker->questions->exclude)
		for (uint64_t x = question->first; x < question->end; x++)
			asker->marks[asker->questions->sequence[x].item] = asker->mark;
	if (method->personal) {
		struct profile_item profile[PROFILE_MAX];
		struct score_counts counts;
		uint32_t items = make_profile(asker, question, profile);
		found = scorer_top(asker->scorer, &method->learned.relation, profile, items, FIGURES_AT, judge, asker,
				   list, &counts);
	}
	for (uint32_t i = 0; i < found; i++)
		asker->marks[list[i].row] = asker->mark;
	for (uint32_t l = 0; l < method->list_count && found < FIGURES_AT; l++)
		if (asker->marks[method->list[l]] != asker->mark)
			list[found++].row = method->list[l];
	return found;
}

static void count(struct asker *asker, struct figures *figures, const struct scored *list, uint32_t length,
		  uint32_t target)
{
	uint32_t place = 0;
	for (uint32_t i = 0; i < length; i++) {
		asker->shown[list[i].row]++;
		if (list[i].row == target)
			place = i + 1;
	}
	figures_add(figures, place);
}

static int ask_all(struct asker *asker, struct figures *figures)
{
	const struct questions *q = asker->questions;
	uint64_t busy_ns = 0;
	for (uint32_t first = 0; first < q->count; first += PORTION) {
		uint32_t n = q->count - first < PORTION ? q->count - first : PORTION;
		uint64_t start_ns = busy_now_ns();
		for (uint32_t k = 0; k < n; k++) {
			asker->mark = first + k + 1;
			asker->lengths[k] = answer(asker, &q->all[first + k], asker->lists[k]);
		}
		busy_ns += busy_now_ns() - start_ns;
		for (uint32_t k = 0; k < n; k++)
			count(asker, figures, asker->lists[k], asker->lengths[k], q->all[first + k].target);
	}
	figures->microseconds = (double)busy_ns / 1000 / q->count;
	return figures_end(figures, asker->shown, q->users_of, q->items);
}

static void set_weights(struct asker *asker, const struct map *map)
{
	float largest = 0;
	for (uint32_t t = 0; t < map->type_count; t++)
		if (map->weights[t] > largest)
			largest = map->weights[t];
	asker->type_weights[0] = SCORE_ONE;
	for (uint32_t t = 0; t < map->type_count; t++) {
		uint32_t weight = (uint32_t)((double)map->weights[t] / (double)largest * SCORE_ONE + 0.5);
		asker->type_weights[t] = weight ? weight : 1;
	}
}

int method_ask(struct method *method, const struct questions *questions, const struct map *map, struct error *err)
{
	struct asker *asker = calloc(1, sizeof *asker);
	int code = E_EXHAUSTED;
	if (asker) {
		asker->method = method;
		asker->questions = questions;
		asker->scorer = scorer_new(questions->items);
		asker->marks = calloc((size_t)questions->items + 1, sizeof *asker->marks);
		asker->shown = calloc((size_t)questions->items + 1, sizeof *asker->shown);
		set_weights(asker, map);
		if (asker->scorer && asker->marks && asker->shown)
			code = ask_all(asker, &method->figures);
		scorer_free(asker->scorer);
		free(asker->marks);
		free(asker->shown);
	}
	free(asker);
	return code ? error_set(err, code, "no memory to ask about %u items", questions->items) : 0;
}
