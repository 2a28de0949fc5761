#include "builder/lists.h"

#include <stdlib.h>
#include <string.h>

/* Marks of the list at work: which items of the catalog are in it already, and where. */
struct marks {
	uint32_t *list; /* [items]: the last list (+ 1) that had the item */
	uint32_t *place; /* [items]: counted from the newest */
};

struct list_maker {
	struct lists *lists;
	const struct plan_relation *relation;
	struct lists_window window;
	uint32_t list_items;
	struct marks marks;
	struct list_entry *newest_first; /* [list_items], of the user at work */
	struct error *err;
};

/*
 * Takes events from the newest of `count` on to a list, up to the end of its session; the rest is left in *count. list: its number (+ 1), for
 * the marks. Returns the list's length.
 */
static uint32_t collect(struct list_maker *maker, const struct event *events, uint64_t *count, uint32_t list)
{
	uint32_t length = 0, session_s = maker->window.session_s, newer_s = 0;
	bool capped = false;
	for (; *count > 0; --*count) {
		const struct event *event = &events[*count - 1];
		float weight = maker->relation->weights[event->type] / maker->relation->largest;
		if (!(weight > 0) || event->time_s < maker->window.from_s || event->time_s >= maker->window.to_s)
			continue;
		if (session_s && newer_s > event->time_s && newer_s - event->time_s > session_s)
			break;
		newer_s = event->time_s;
		maker->lists->events++;
		if (maker->marks.list[event->item] == list) {
			struct list_entry *entry = &maker->newest_first[maker->marks.place[event->item]];
			if (weight > entry->weight)
				entry->weight = weight;
		} else if (length < maker->list_items) {
			maker->marks.list[event->item] = list;
			maker->marks.place[event->item] = length;
			maker->newest_first[length++] =
				(struct list_entry){ event->item, event->time_s, weight, weight };
		} else {
			capped = true;
		}
	}
	maker->lists->capped += capped;
	return length;
}

static int add_list(struct list_maker *maker, uint32_t length)
{
	struct lists *lists = maker->lists;
	struct list_entry *to = pile_extend(lists->space, &lists->entries, length * sizeof *to, maker->err);
	uint64_t *offset = to ? pile_extend(lists->space, &lists->offsets, sizeof *offset, maker->err) : NULL;
	if (!offset)
		return E_EXHAUSTED;
	for (uint32_t i = 0; i < length; i++)
		to[i] = maker->newest_first[length - 1 - i];
	lists->count += length;
	lists->users++;
	*offset = lists->count;
	return 0;
}

static int make_users(struct list_maker *maker, const struct events *events)
{
	uint64_t *first = pile_extend(maker->lists->space, &maker->lists->offsets, sizeof *first, maker->err);
	if (!first || !pile_extend(maker->lists->space, &maker->lists->entries, 0, maker->err))
		return E_EXHAUSTED;
	*first = 0;
	const uint64_t *offsets = events_offsets(events);
	uint32_t step = maker->window.user_step ? maker->window.user_step : 1;
	for (uint64_t number = 0; number < events->users; number += step) {
		/* sessions come newest first; nothing depends on the order of lists */
		uint64_t left = offsets[number + 1] - offsets[number];
		while (left > 0) {
			uint32_t length =
				collect(maker, events_all(events) + offsets[number], &left, maker->lists->users + 1);
			if (length && add_list(maker, length))
				return E_EXHAUSTED;
		}
	}
	return 0;
}

static int make_places(struct lists *lists, struct error *err)
{
	int code = region_make(lists->space, &lists->places, lists->count * sizeof(struct list_place), err);
	if (!code)
		code = region_make(lists->space, &lists->item_offsets, ((size_t)lists->items + 1) * sizeof(uint64_t),
				   err);
	if (code)
		return code;
	uint64_t *next = calloc((size_t)lists->items + 1, sizeof *next);
	if (!next)
		return error_set(err, E_EXHAUSTED, "no memory for %u items", lists->items);
	const struct list_entry *entries = lists_entries(lists);
	uint64_t *offsets = lists->item_offsets.data;
	for (uint64_t e = 0; e < lists->count; e++)
		offsets[entries[e].item + 1]++;
	for (uint32_t item = 0; item < lists->items; item++) {
		lists->known += offsets[item + 1] > 0;
		offsets[item + 1] += offsets[item];
		next[item] = offsets[item];
	}
	struct list_place *places = lists->places.data;
	const uint64_t *of_user = lists_offsets(lists);
	for (uint32_t user = 0; user < lists->users; user++)
		for (uint64_t e = of_user[user]; e < of_user[user + 1]; e++)
			places[next[entries[e].item]++] = (struct list_place){ user, (uint32_t)(e - of_user[user]) };
	free(next);
	return 0;
}

int lists_make(struct lists *lists, struct space *space, const struct events *events, uint32_t items,
	       const struct plan_relation *relation, struct lists_window window, uint32_t list_items, struct error *err)
{
	*lists = (struct lists){ .space = space, .items = items };
	struct list_maker maker = { .lists = lists, .relation = relation, .window = window, .list_items = list_items };
	maker.err = err;
	maker.marks.list = calloc((size_t)items + 1, sizeof *maker.marks.list);
	maker.marks.place = malloc(((size_t)items + 1) * sizeof *maker.marks.place);
	maker.newest_first = malloc(list_items * sizeof *maker.newest_first);
	int code = 0;
	if (!maker.marks.list || !maker.marks.place || !maker.newest_first)
		code = error_set(err, E_EXHAUSTED, "no memory for %u items", items);
	if (!code)
		code = make_users(&maker, events);
	free(maker.marks.list);
	free(maker.marks.place);
	free(maker.newest_first);
	return code ? code : make_places(lists, err);
}

void lists_free(struct lists *lists)
{
	if (!lists->space)
		return;
	pile_free(lists->space, &lists->entries);
	pile_free(lists->space, &lists->offsets);
	region_free(lists->space, &lists->places);
	region_free(lists->space, &lists->item_offsets);
	*lists = (struct lists){ 0 };
}
