#include "cli/found.h"

#include "cli/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ", and 18,446,744,073,709,551,615 events of other types" */
#define OTHERS_BYTES 64

static void count_type(struct found *found, const char *type)
{
	for (size_t i = 0; i < found->type_count; i++)
		if (strcmp(found->types[i].name, type) == 0) {
			found->types[i].count++;
			return;
		}
	if (found->type_count == FOUND_TYPES_MAX) {
		found->others++;
		return;
	}
	strcpy(found->types[found->type_count].name, type);
	found->types[found->type_count++].count = 1;
}

/* Reservoir sampling (Vitter's algorithm R, https://en.wikipedia.org/wiki/Reservoir_sampling), over events. */
static void sample(struct found_sample *sample, uint64_t events, const char *id)
{
	size_t slot = sample->count;
	if (strlen(id) > USER_ID_MAX)
		return;
	if (slot == FOUND_USERS_MAX) {
		sample->state = sample->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		uint64_t place = (sample->state >> 11) % events;
		if (place >= FOUND_USERS_MAX)
			return;
		slot = (size_t)place;
	}
	for (size_t i = 0; i < sample->count; i++)
		if (strcmp(sample->ids[i], id) == 0)
			return;
	strcpy(sample->ids[slot], id);
	if (slot == sample->count)
		sample->count++;
}

void found_event(struct found *found, const char *type, const char *user, const char *item)
{
	found->events++;
	if (strlen(type) <= EVENT_TYPE_MAX)
		count_type(found, type);
	sample(&found->users, found->events, user);
	sample(&found->items, found->events, item);
}

static int by_count(const void *a, const void *b)
{
	const struct found_type *x = a, *y = b;
	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return strcmp(x->name, y->name);
}

static void sort(struct found *found)
{
	qsort(found->types, found->type_count, sizeof found->types[0], by_count);
}

json_t *found_types_json(struct found *found)
{
	json_t *types = json_object();
	sort(found);
	for (size_t i = 0; i < found->type_count; i++)
		json_object_set_new(types, found->types[i].name, json_integer((json_int_t)found->types[i].count));
	return types;
}

json_t *found_users_json(const struct found *found)
{
	json_t *users = json_array();
	for (size_t i = 0; i < found->users.count; i++)
		json_array_append_new(users, json_string(found->users.ids[i]));
	return users;
}

const char *found_types_text(struct found *found, char *text, size_t room)
{
	char one[EVENT_TYPE_MAX + TEXT_MAX + 4], count[TEXT_MAX];
	size_t used = 0, shown = 0;
	uint64_t others = found->others;
	*text = '\0';
	sort(found);
	for (; shown < found->type_count; shown++) {
		int bytes = snprintf(one, sizeof one, "%s%s %s", shown ? ", " : "", found->types[shown].name,
				     text_count(found->types[shown].count, count));
		if (used + (size_t)bytes + OTHERS_BYTES >= room)
			break;
		memcpy(text + used, one, (size_t)bytes + 1);
		used += (size_t)bytes;
	}
	for (size_t i = shown; i < found->type_count; i++)
		others += found->types[i].count;
	if (others > 0)
		snprintf(text + used, room - used, "%s%s events of other types", shown ? ", and " : "",
			 text_count(others, count));
	return text;
}
