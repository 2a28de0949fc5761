#include "bench/eval/map.h"

#include "bench/eval/datafile.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Settings that are a text. */
static const struct text_setting {
	const char *name;
	size_t offset;
} texts[] = {
	{ "user", offsetof(struct map, user) },           { "item", offsetof(struct map, item) },
	{ "time", offsetof(struct map, time) },           { "order", offsetof(struct map, order) },
	{ "type", offsetof(struct map, type) },           { "own_mode", offsetof(struct map, own_mode) },
	{ "own_train", offsetof(struct map, own_train) }, { "own_tune", offsetof(struct map, own_tune) },
	{ "own_test", offsetof(struct map, own_test) },
};

/* Settings that are yes or no. */
static const struct text_setting switches[] = {
	{ "quotes", offsetof(struct map, quotes) },
	{ "header", offsetof(struct map, header) },
	{ "item_digit", offsetof(struct map, item_digit) },
};

static int copy(char *to, size_t room, const char *value, struct error *err)
{
	if (strlen(value) >= room)
		return error_set(err, E_INVALID, "\"%.40s..\" is longer than %zu characters", value, room - 1);
	strcpy(to, value);
	return 0;
}

static int set_delimiter(struct map *map, const char *value, struct error *err)
{
	static const char *const names[][2] = { { "comma", "," }, { "tab", "\t" }, { "space", " " } };
	for (size_t n = 0; n < sizeof names / sizeof *names; n++)
		if (strcmp(value, names[n][0]) == 0)
			value = names[n][1];
	return copy(map->delimiter, sizeof map->delimiter, value, err);
}

static int add_weight(struct map *map, char *value, struct error *err)
{
	char *space = strrchr(value, ' '), *end = NULL;
	float weight = space ? strtof(space + 1, &end) : 0;
	if (!space || end == space + 1 || *end || !(weight > 0) || !isfinite(weight))
		return error_set(err, E_INVALID, "\"%s\": a type and its weight, above 0, are wanted", value);
	if (map->type_count == MAP_TYPES_MAX)
		return error_set(err, E_INVALID, "more than %d types", MAP_TYPES_MAX);
	*space = '\0';
	map->weights[map->type_count] = weight;
	return copy(map->types[map->type_count++], MAP_TEXT_MAX, value, err);
}

static int set(struct map *map, const char *name, char *value, struct error *err)
{
	for (size_t s = 0; s < sizeof texts / sizeof *texts; s++)
		if (strcmp(name, texts[s].name) == 0)
			return copy((char *)map + texts[s].offset, MAP_TEXT_MAX, value, err);
	for (size_t s = 0; s < sizeof switches / sizeof *switches; s++) {
		if (strcmp(name, switches[s].name) != 0)
			continue;
		if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
			return error_set(err, E_INVALID, "%s %s: yes or no is wanted", name, value);
		*((bool *)((char *)map + switches[s].offset)) = value[0] == 'y';
		return 0;
	}
	if (strcmp(name, "file") == 0) {
		if (map->file_count == MAP_FILES_MAX)
			return error_set(err, E_INVALID, "more than %d files", MAP_FILES_MAX);
		return copy(map->files[map->file_count++], MAP_TEXT_MAX, value, err);
	}
	if (strcmp(name, "delimiter") == 0)
		return set_delimiter(map, value, err);
	if (strcmp(name, "weight") == 0)
		return add_weight(map, value, err);
	if (strcmp(name, "recent_days") == 0) {
		char *end;
		map->recent_days = strtod(value, &end);
		if (*end || !(map->recent_days > 0) || !isfinite(map->recent_days))
			return error_set(err, E_INVALID, "recent_days %s: days are wanted", value);
		return 0;
	}
	return error_set(err, E_INVALID, "there is no setting \"%s\"", name);
}

static int check(const struct map *map, struct error *err)
{
	if (map->file_count == 0)
		return error_set(err, E_INVALID, "no file is named");
	if (!map->user[0] || !map->item[0] || !map->time[0] || !map->delimiter[0])
		return error_set(err, E_INVALID, "delimiter, user, item and time are needed");
	if (map->type[0] && map->type_count == 0)
		return error_set(err, E_INVALID, "a column of types, but no weight of a type");
	if (map->own_mode[0] && (!map->own_train[0] || !map->own_test[0]))
		return error_set(err, E_INVALID, "own_mode needs own_train and own_test");
	return 0;
}

int map_parse(struct map *map, const char *text, struct error *err)
{
	*map = (struct map){ .recent_days = 7 };
	char line[512];
	for (int number = 1; *text; number++) {
		size_t bytes = strcspn(text, "\n");
		int written = snprintf(line, sizeof line, "%.*s", (int)bytes, text);
		text += bytes + (text[bytes] == '\n');
		if (written < 0 || (size_t)written >= sizeof line)
			return error_set(err, E_INVALID, "line %d is too long", number);
		while (written > 0 && strchr(" \t\r", line[written - 1]))
			line[--written] = '\0';
		if (line[0] == '\0' || line[0] == '#')
			continue;
		char *value = line + strcspn(line, " \t");
		if (*value)
			*value++ = '\0';
		value += strspn(value, " \t");
		if (!*value)
			return error_set(err, E_INVALID, "line %d: %s: a value is wanted", number, line);
		int code = set(map, line, value, err);
		if (code)
			return error_prefix(err, "line %d", number);
	}
	return check(map, err);
}

int map_load(struct map *map, const char *path, struct error *err)
{
	char *text = NULL;
	size_t bytes;
	int code = datafile_read(path, &text, &bytes, err);
	if (!code && map_parse(map, text, err))
		code = error_prefix(err, "%s", path);
	free(text);
	return code;
}
