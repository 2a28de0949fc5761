#include "lib/events_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *need(void *memory)
{
	if (!memory) {
		fputs("events fixture: no memory\n", stderr);
		abort();
	}
	return memory;
}

void events_fixture_init(struct events_fixture *f)
{
	memset(f, 0, sizeof *f);
	if (temp_dir_make(&f->home))
		abort();
	space_init(&f->space, f->home.path, 1u << 30);
	f->weights[0] = 1;
	f->weights[1] = 4;
	f->relation =
		(struct plan_relation){ .key = (char *)"test", .learn = true, .weights = f->weights, .largest = 4 };
	uint64_t *first = need(pile_extend(&f->space, &f->offsets, sizeof *first, NULL));
	*first = 0;
	need(pile_extend(&f->space, &f->all, 0, NULL));
}

void events_fixture_fini(struct events_fixture *f)
{
	pile_free(&f->space, &f->all);
	pile_free(&f->space, &f->offsets);
	temp_dir_remove(&f->home);
}

void events_fixture_user(struct events_fixture *f)
{
	uint64_t *offset = need(pile_extend(&f->space, &f->offsets, sizeof *offset, NULL));
	*offset = f->events.count;
	f->events.users++;
}

void events_fixture_weigh(struct events_fixture *f, float weight)
{
	((struct event *)f->all.region.data)[f->events.count - 1].weight = event_weight_pack(weight);
}

void events_fixture_add(struct events_fixture *f, uint32_t item, uint32_t time_s, uint16_t type)
{
	struct event *event = need(pile_extend(&f->space, &f->all, sizeof *event, NULL));
	*event = (struct event){ .item = item, .time_s = time_s, .type = type };
	if (f->events.count == 0 || time_s < f->events.oldest_s)
		f->events.oldest_s = time_s;
	if (time_s > f->events.newest_s)
		f->events.newest_s = time_s;
	f->events.count++;
	((uint64_t *)f->offsets.region.data)[f->events.users] = f->events.count;
}

const struct events *events_fixture_get(struct events_fixture *f)
{
	f->events.all = f->all.region;
	f->events.offsets = f->offsets.region;
	return &f->events;
}

void events_fixture_lists(struct events_fixture *f, struct lists *lists, uint32_t items)
{
	struct lists_window window = { .to_s = (uint64_t)UINT32_MAX + 1 };
	if (lists_make(lists, &f->space, events_fixture_get(f), items, &f->relation, window, 1000, 2, NULL))
		abort();
}

struct learn_input events_fixture_input(struct events_fixture *f, const struct params *params, uint32_t items)
{
	return (struct learn_input){ .space = &f->space,
				     .events = events_fixture_get(f),
				     .items = items,
				     .relation = &f->relation,
				     .params = params,
				     .threads = 2 };
}

uint32_t events_fixture_random(uint64_t *state, uint32_t below)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((*state >> 33) % below);
}
