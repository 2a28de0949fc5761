#include "bench/eval/dataset.h"

#include "bench/eval/datafile.h"
#include "builder/dictionary.h"
#include "common/clock.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_COLUMN (-1)

/* Where the map's columns are in the lines of a file. */
struct columns {
	int user, item, time, order, type;
	int least; /* fields that a line must have */
};

struct loader {
	struct dataset *dataset;
	const struct map *map;
	struct space *space;
	struct dictionary users, items;
	uint64_t room;
	struct error *err;
};

static int find_column(const struct map *map, const char *name, const struct text_view *header, int fields, int *column,
		       struct error *err)
{
	*column = NO_COLUMN;
	if (!name[0])
		return 0;
	if (!map->header) {
		char *end;
		long number = strtol(name, &end, 10);
		if (*end || number < 1 || number > DATAFILE_FIELDS_MAX)
			return error_set(err, E_INVALID, "column \"%s\": without a header it is a number from 1 to %d",
					 name, DATAFILE_FIELDS_MAX);
		*column = (int)number - 1;
		return 0;
	}
	for (int f = 0; f < fields; f++)
		if (header[f].bytes == strlen(name) && memcmp(header[f].data, name, header[f].bytes) == 0)
			*column = f;
	return *column == NO_COLUMN ? error_set(err, E_NOT_FOUND, "the header has no column \"%s\"", name) : 0;
}

static int find_columns(const struct map *map, struct datafile_lines *lines, struct columns *columns, struct error *err)
{
	struct text_view header[DATAFILE_FIELDS_MAX];
	int fields = map->header ? datafile_next(lines, header) : 0;
	struct {
		const char *name;
		int *column;
	} wanted[] = { { map->user, &columns->user },
		       { map->item, &columns->item },
		       { map->time, &columns->time },
		       { map->order, &columns->order },
		       { map->type, &columns->type } };
	columns->least = 0;
	for (size_t w = 0; w < sizeof wanted / sizeof *wanted; w++) {
		int code = find_column(map, wanted[w].name, header, fields, wanted[w].column, err);
		if (code)
			return code;
		if (*wanted[w].column >= columns->least)
			columns->least = *wanted[w].column + 1;
	}
	return 0;
}

static bool read_time(struct text_view text, uint32_t *time_s)
{
	int64_t time_ms;
	if (!time_parse(text.data, text.bytes, &time_ms) || time_ms / 1000 > UINT32_MAX)
		return false;
	*time_s = (uint32_t)(time_ms / 1000);
	return true;
}

static double read_number(struct text_view text)
{
	char digits[32];
	snprintf(digits, sizeof digits, "%.*s", (int)text.bytes, text.data);
	return strtod(digits, NULL);
}

/* The type's number in the map, or -1. */
static int find_type(const struct map *map, struct text_view text)
{
	for (uint32_t t = 0; t < map->type_count; t++)
		if (strlen(map->types[t]) == text.bytes && memcmp(map->types[t], text.data, text.bytes) == 0)
			return (int)t;
	return -1;
}

static struct dataset_event *new_event(struct loader *loader)
{
	struct dataset *dataset = loader->dataset;
	if (dataset->count == loader->room) {
		uint64_t room = loader->room ? 2 * loader->room : 1u << 16;
		struct dataset_event *grown = realloc(dataset->events, room * sizeof *grown);
		if (!grown) {
			error_set(loader->err, E_EXHAUSTED, "no memory for %llu events", (unsigned long long)room);
			return NULL;
		}
		dataset->events = grown;
		loader->room = room;
	}
	return &dataset->events[dataset->count];
}

static int take_line(struct loader *loader, const struct columns *columns, const struct text_view *fields, int count,
		     uint16_t file)
{
	struct dataset *dataset = loader->dataset;
	const struct map *map = loader->map;
	struct dataset_event *event = new_event(loader);
	if (!event)
		return E_EXHAUSTED;
	if (count < columns->least || fields[columns->user].bytes == 0 || fields[columns->item].bytes == 0 ||
	    !read_time(fields[columns->time], &event->time_s)) {
		dataset->left_out++;
		return 0;
	}
	int type = columns->type == NO_COLUMN ? 0 : find_type(map, fields[columns->type]);
	if (type < 0 || (map->item_digit && !isdigit((unsigned char)fields[columns->item].data[0]))) {
		dataset->unweighted++;
		return 0;
	}
	struct text_view user = fields[columns->user], item = fields[columns->item];
	event->user = dictionary_add(loader->space, &loader->users, user.data, user.bytes, loader->err);
	event->item = dictionary_add(loader->space, &loader->items, item.data, item.bytes, loader->err);
	if (event->user == DICTIONARY_NO_CODE || event->item == DICTIONARY_NO_CODE)
		return E_EXHAUSTED;
	event->type = (uint16_t)type;
	event->file = file;
	event->order = columns->order == NO_COLUMN ? 0 : read_number(fields[columns->order]);
	dataset->count++;
	return 0;
}

static int load_file(struct loader *loader, const char *folder, uint16_t file)
{
	char path[PATH_MAX], *text;
	size_t bytes;
	snprintf(path, sizeof path, "%s/%s", folder, loader->map->files[file]);
	int code = datafile_read(path, &text, &bytes, loader->err);
	if (code)
		return code;
	struct datafile_lines lines = { text, text + bytes, loader->map->delimiter, loader->map->quotes };
	struct columns columns;
	struct text_view fields[DATAFILE_FIELDS_MAX];
	code = find_columns(loader->map, &lines, &columns, loader->err);
	int count;
	while (!code && (count = datafile_next(&lines, fields)) >= 0)
		code = take_line(loader, &columns, fields, count, file);
	free(text);
	return code ? error_prefix(loader->err, "%s", path) : 0;
}

/* By time, then order; the rest is left to the stable sort. */
static bool later(const struct dataset_event *a, const struct dataset_event *b)
{
	return a->time_s != b->time_s ? a->time_s > b->time_s : a->order > b->order;
}

void dataset_sort(struct dataset *dataset)
{
	/* merge sort from the bottom: stable, and files are mostly in order already */
	struct dataset_event *from = dataset->events, *to = malloc((dataset->count + 1) * sizeof *to);
	if (!to)
		abort(); /* a tool for a machine with memory to spare */
	for (uint64_t run = 1; run < dataset->count; run *= 2) {
		for (uint64_t left = 0; left < dataset->count; left += 2 * run) {
			uint64_t middle = left + run < dataset->count ? left + run : dataset->count;
			uint64_t end = middle + run < dataset->count ? middle + run : dataset->count;
			uint64_t a = left, b = middle;
			for (uint64_t at = left; at < end; at++)
				to[at] = b == end || (a < middle && !later(&from[a], &from[b])) ? from[a++] : from[b++];
		}
		struct dataset_event *swap = from;
		from = to;
		to = swap;
	}
	dataset->events = from;
	free(to);
}

int dataset_load(struct dataset *dataset, const struct map *map, const char *folder, struct space *space,
		 struct error *err)
{
	*dataset = (struct dataset){ 0 };
	struct loader loader = { .dataset = dataset, .map = map, .space = space, .err = err };
	int code = dictionary_init(space, &loader.users, err);
	if (!code)
		code = dictionary_init(space, &loader.items, err);
	for (uint32_t f = 0; f < map->file_count && !code; f++)
		code = load_file(&loader, folder, (uint16_t)f);
	dataset->users = loader.users.count;
	dataset->items = loader.items.count;
	dictionary_fini(space, &loader.users);
	dictionary_fini(space, &loader.items);
	if (!code && dataset->count == 0)
		code = error_set(err, E_PRECONDITION, "%s has no events that could be read", folder);
	if (!code)
		dataset_sort(dataset);
	return code;
}

void dataset_free(struct dataset *dataset)
{
	free(dataset->events);
	*dataset = (struct dataset){ 0 };
}
