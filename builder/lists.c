#include "builder/lists.h"

#include "builder/parallel.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_USERS 4096u
#define SHARES_A_THREAD 4u /* of the users, see make_places: more than one, so that the threads end together */
#define SHARES_MAX 16u /* each with a counter an item */

/* An entry on its way, before it is known where in all lists it will be. */
struct found {
	uint32_t item, time_s;
	float weight, type; /* as in struct list_entry */
};

/* One thread's own: which items of the catalog are in the list at work already, and where. */
struct maker {
	/* [items]: the last list with it in the upper half; its place there, counted from the newest, in the lower */
	uint64_t *marks;
	uint32_t list; /* number of the list at work, from 1 */
	uint32_t capped;
	uint64_t events;
	struct found *newest_first; /* [list_items], of the list at work */
	struct pile found; /* struct found, lists one after the other */
	struct pile lengths; /* uint32_t: of each list that is not empty */
	struct error error;
};

/* Where the lists of a block of users are, until all blocks are there. */
struct block {
	uint32_t thread; /* whose piles */
	uint32_t users; /* lists */
	uint32_t people;
	uint64_t found, lengths; /* first ones in them */
	uint64_t count; /* entries */
	uint64_t first_entry, first_user; /* in the lists */
};

struct making {
	struct lists *lists;
	const struct events *events;
	const struct plan_relation *relation;
	struct lists_window window;
	uint32_t list_items, step;
	struct maker *makers; /* [threads] */
	struct block *blocks;
	uint64_t block_count;
};

/* --- a user's events to lists --- */

/*
 * Takes events from the newest of `count` on to a list, up to the end of its session; the rest is left
 * in *count. Returns the list's length.
 */
static uint32_t collect(struct making *making, struct maker *maker, const struct event *events, uint64_t *count)
{
	const struct lists_window *window = &making->window;
	uint64_t list = (uint64_t)++maker->list << 32;
	uint32_t length = 0, newer_s = 0;
	bool capped = false;
	for (; *count > 0; --*count) {
		const struct event *event = &events[*count - 1];
		float type = making->relation->weights[event->type] / making->relation->largest;
		if (!(type > 0) || event->time_s < window->from_s || event->time_s >= window->to_s)
			continue;
		/* however little it weighs, it is one */
		float weight = fminf(fmaxf(type * event_weight(event), FLT_MIN), 1);
		if (window->session_s && newer_s > event->time_s && newer_s - event->time_s > window->session_s)
			break;
		newer_s = event->time_s;
		maker->events++;
		uint64_t *mark = &maker->marks[event->item];
		if ((*mark ^ list) >> 32 == 0) {
			struct found *found = &maker->newest_first[*mark & UINT32_MAX];
			if (weight > found->weight)
				found->weight = weight;
			if (type > found->type)
				found->type = type;
		} else if (length < making->list_items) {
			*mark = list | length;
			maker->newest_first[length++] = (struct found){ event->item, event->time_s, weight, type };
		} else {
			capped = true;
		}
	}
	maker->capped += capped;
	return length;
}

static int add_list(struct space *space, struct maker *maker, uint32_t length)
{
	struct found *to = pile_extend(space, &maker->found, length * sizeof *to, &maker->error);
	uint32_t *to_length = to ? pile_extend(space, &maker->lengths, sizeof *to_length, &maker->error) : NULL;
	if (!to_length)
		return E_EXHAUSTED;
	for (uint32_t i = 0; i < length; i++)
		to[i] = maker->newest_first[length - 1 - i];
	*to_length = length;
	return 0;
}

static int ready_maker(const struct making *making, struct maker *maker)
{
	if (!maker->marks)
		maker->marks = calloc((size_t)making->lists->items + 1, sizeof *maker->marks);
	if (!maker->newest_first)
		maker->newest_first = malloc(making->list_items * sizeof *maker->newest_first);
	if (maker->marks && maker->newest_first)
		return 0;
	return error_set(&maker->error, E_EXHAUSTED, "no memory for %u items", making->lists->items);
}

/* Users are numbered by what is taken of them: 0, step, 2 step .. */
static int collect_block(void *context, uint32_t thread, uint64_t first, uint64_t end)
{
	struct making *making = context;
	struct maker *maker = &making->makers[thread];
	struct block *block = &making->blocks[first / BLOCK_USERS];
	const uint64_t *offsets = events_offsets(making->events);
	int code = ready_maker(making, maker);
	block->thread = thread;
	block->found = maker->found.used / sizeof(struct found);
	block->lengths = maker->lengths.used / sizeof(uint32_t);
	for (uint64_t number = first; number < end && !code; number++) {
		const uint64_t *offset = &offsets[number * making->step];
		/* sessions come newest first; nothing depends on the order of lists */
		uint64_t left = offset[1] - offset[0];
		uint32_t before = block->users;
		while (left > 0 && !code) {
			uint32_t length = collect(making, maker, events_all(making->events) + offset[0], &left);
			if (!length)
				continue;
			code = add_list(making->lists->space, maker, length);
			block->users++;
			block->count += length;
		}
		block->people += block->users > before;
	}
	return code;
}

/* --- all lists --- */

static int join_block(void *context, uint32_t thread, uint64_t first, uint64_t end)
{
	struct making *making = context;
	(void)thread;
	(void)end;
	const struct block *block = &making->blocks[first];
	const struct maker *maker = &making->makers[block->thread];
	if (block->users == 0)
		return 0; /* its maker may have found nothing at all: there is no array to point into */
	const struct found *found = (const struct found *)maker->found.region.data + block->found;
	const uint32_t *lengths = (const uint32_t *)maker->lengths.region.data + block->lengths;
	struct list_entry *entries = (struct list_entry *)making->lists->entries.data + block->first_entry;
	uint32_t *times = (uint32_t *)making->lists->times.data + block->first_entry;
	uint64_t *offsets = (uint64_t *)making->lists->offsets.data + block->first_user;
	for (uint64_t e = 0; e < block->count; e++) {
		entries[e] = (struct list_entry){ found[e].item, found[e].weight, { found[e].type } };
		times[e] = found[e].time_s;
	}
	uint64_t at = block->first_entry;
	for (uint32_t user = 0; user < block->users; user++) {
		offsets[user] = at;
		at += lengths[user];
	}
	return 0;
}

static int join_blocks(struct making *making, uint32_t threads, struct error *err)
{
	struct lists *lists = making->lists;
	for (uint64_t b = 0; b < making->block_count; b++) {
		struct block *block = &making->blocks[b];
		block->first_entry = lists->count;
		block->first_user = lists->users;
		lists->count += block->count;
		lists->users += block->users;
		lists->people += block->people;
	}
	if (lists->count >= LISTS_ENTRIES_MAX)
		return error_set(err, E_EXHAUSTED, "%llu list entries: more than this builder can number",
				 (unsigned long long)lists->count);
	int code = region_take(lists->space, &lists->entries, lists->count * sizeof(struct list_entry), err);
	if (!code)
		code = region_take(lists->space, &lists->times, lists->count * sizeof(uint32_t), err);
	if (!code)
		code = region_take(lists->space, &lists->offsets, ((size_t)lists->users + 1) * sizeof(uint64_t), err);
	if (!code)
		code = parallel_parts(threads, making->block_count, 1, join_block, making);
	if (!code)
		((uint64_t *)lists->offsets.data)[lists->users] = lists->count;
	return code;
}

static int make_lists(struct making *making, uint32_t threads, struct error *err)
{
	uint64_t users = ((uint64_t)making->events->users + making->step - 1) / making->step;
	making->block_count = (users + BLOCK_USERS - 1) / BLOCK_USERS;
	making->makers = calloc(threads, sizeof *making->makers);
	making->blocks = calloc(making->block_count + 1, sizeof *making->blocks);
	int code = 0;
	if (!making->makers || !making->blocks)
		code = error_set(err, E_EXHAUSTED, "no memory for the lists of %llu users", (unsigned long long)users);
	if (!code)
		code = parallel_parts(threads, users, BLOCK_USERS, collect_block, making);
	for (uint32_t t = 0; making->makers && t < threads; t++) {
		struct maker *maker = &making->makers[t];
		if (code && maker->error.code && err && !err->code)
			*err = maker->error;
		making->lists->events += maker->events;
		making->lists->capped += maker->capped;
		free(maker->marks);
		free(maker->newest_first);
	}
	if (!code)
		code = join_blocks(making, threads, err);
	for (uint32_t t = 0; making->makers && t < threads; t++) {
		pile_free(making->lists->space, &making->makers[t].found);
		pile_free(making->lists->space, &making->makers[t].lengths);
	}
	free(making->makers);
	free(making->blocks);
	return code;
}

/* --- the other way round --- */

/*
 * A counting sort by item: the users are cut into shares, each counts its own, and each then knows
 * where among an item's places its own begin. In the order of users whatever the number of shares is.
 */
struct placing {
	struct lists *lists;
	uint64_t share_users;
	uint32_t *next
		/*
		 * [items]: of each share, at first its count, then where among the item's its next
		 * place goes
		 */
		[SHARES_MAX];
};

static int count_share(void *context, uint32_t thread, uint64_t first, uint64_t end)
{
	struct placing *placing = context;
	(void)thread;
	const uint64_t *offsets = lists_offsets(placing->lists);
	const struct list_entry *entries = lists_entries(placing->lists);
	uint32_t *counts = placing->next[first / placing->share_users];
	for (uint64_t e = offsets[first]; e < offsets[end]; e++)
		counts[entries[e].item]++;
	return 0;
}

static int place_share(void *context, uint32_t thread, uint64_t first, uint64_t end)
{
	struct placing *placing = context;
	(void)thread;
	const uint64_t *offsets = lists_offsets(placing->lists);
	const struct list_entry *entries = lists_entries(placing->lists);
	const uint64_t *item_offsets = placing->lists->item_offsets.data;
	uint32_t *next = placing->next[first / placing->share_users];
	struct list_place *places = placing->lists->places.data;
	for (uint64_t user = first; user < end; user++) {
		struct list_place place = { .list = offsets[user] & (LISTS_ENTRIES_MAX - 1),
					    .length = (uint16_t)(offsets[user + 1] - offsets[user]) & LISTS_ITEMS_MAX };
		for (; offsets[user] + place.place < offsets[user + 1]; place.place++) {
			uint32_t item = entries[offsets[user] + place.place].item;
			places[item_offsets[item] + next[item]++] = place;
		}
	}
	return 0;
}

static void sum_shares(struct placing *placing, uint32_t shares)
{
	struct lists *lists = placing->lists;
	uint64_t *offsets = lists->item_offsets.data;
	for (uint32_t item = 0; item < lists->items; item++) {
		uint32_t at = 0; /* a list has an item once, so there are no more than users */
		for (uint32_t s = 0; s < shares; s++) {
			uint32_t count = placing->next[s][item];
			placing->next[s][item] = at;
			at += count;
		}
		lists->known += at > 0;
		offsets[item + 1] = offsets[item] + at;
	}
}

static int make_places(struct lists *lists, uint32_t threads, struct error *err)
{
	uint32_t shares = threads > 1 ? threads * SHARES_A_THREAD : 1;
	shares = shares < SHARES_MAX ? shares : SHARES_MAX;
	struct placing placing = { .lists = lists, .share_users = lists->users / shares + 1 };
	int code = region_take(lists->space, &lists->places, lists->count * sizeof(struct list_place), err);
	if (!code)
		code = region_make(lists->space, &lists->item_offsets, ((size_t)lists->items + 1) * sizeof(uint64_t),
				   err);
	for (uint32_t s = 0; s < shares && !code; s++) {
		placing.next[s] = calloc((size_t)lists->items + 1, sizeof *placing.next[s]);
		if (!placing.next[s])
			code = error_set(err, E_EXHAUSTED, "no memory for %u items", lists->items);
	}
	if (!code) {
		parallel_parts(threads, lists->users, placing.share_users, count_share, &placing);
		sum_shares(&placing, shares);
		parallel_parts(threads, lists->users, placing.share_users, place_share, &placing);
	}
	for (uint32_t s = 0; s < shares; s++)
		free(placing.next[s]);
	return code;
}

int lists_make(struct lists *lists, struct space *space, const struct events *events, uint32_t items,
	       const struct plan_relation *relation, struct lists_window window, uint32_t list_items, uint32_t threads,
	       struct error *err)
{
	*lists = (struct lists){ .space = space, .items = items };
	if (threads > PARALLEL_MAX)
		threads = PARALLEL_MAX;
	struct making making = { .lists = lists,
				 .events = events,
				 .relation = relation,
				 .window = window,
				 .list_items = list_items < LISTS_ITEMS_MAX ? list_items : LISTS_ITEMS_MAX,
				 .step = window.user_step ? window.user_step : 1 };
	int code = make_lists(&making, threads, err);
	return code ? code : make_places(lists, threads, err);
}

void lists_forget(struct lists *lists)
{
	region_free(lists->space, &lists->entries);
	region_free(lists->space, &lists->times);
	region_free(lists->space, &lists->places);
}

void lists_free(struct lists *lists)
{
	if (!lists->space)
		return;
	lists_forget(lists);
	region_free(lists->space, &lists->offsets);
	region_free(lists->space, &lists->item_offsets);
	*lists = (struct lists){ 0 };
}
