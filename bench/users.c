#include "bench/users.h"

#include "bench/chance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_text(struct users *users, const char *path, size_t *bytes, struct error *err)
{
	size_t room = 1 << 16;
	int code = 0;
	FILE *file = fopen(path, "re");
	if (!file)
		return error_errno(err, errno, "cannot open %s", path);
	*bytes = 0;
	do {
		char *larger = *bytes + 1 < room && users->text ? users->text : realloc(users->text, room *= 2);
		if (!larger) {
			code = error_set(err, E_EXHAUSTED, "no memory for the users of %s", path);
			break;
		}
		users->text = larger;
		*bytes += fread(users->text + *bytes, 1, room - *bytes - 1, file);
	} while (!feof(file) && !ferror(file));
	if (code == 0 && ferror(file))
		code = error_errno(err, errno, "cannot read %s", path);
	fclose(file);
	if (code == 0)
		users->text[*bytes] = '\0';
	return code;
}

int users_read(struct users *users, const char *path, struct error *err)
{
	size_t bytes = 0, lines = 1;
	char *rest = NULL;
	users->count = 0;
	int code = read_text(users, path, &bytes, err);
	if (code)
		return code;
	for (size_t i = 0; i < bytes; i++)
		lines += users->text[i] == '\n';
	users->lines = malloc(lines * sizeof(char *));
	if (!users->lines)
		return error_set(err, E_EXHAUSTED, "no memory for the users of %s", path);
	for (char *line = strtok_r(users->text, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
		if (strlen(line) > USER_ID_MAX)
			return error_set(err, E_INVALID, "%s: an id of %zu bytes; %d are allowed", path, strlen(line),
					 USER_ID_MAX);
		users->lines[users->count++] = line;
	}
	return users->count ? 0 : error_set(err, E_INVALID, "%s: no user ids in it, one a line", path);
}

void users_free(struct users *users)
{
	free(users->text);
	free(users->lines);
	users->text = NULL;
	users->lines = NULL;
}

static uint64_t choice(const struct users *users, uint64_t number)
{
	if (users->in_order)
		return number % users->count;
	uint64_t mixed = chance_mix(number ^ chance_mix(users->seed));
	return users->zipf > 0 ? chance_zipf(chance_share(mixed), users->count, users->zipf) : mixed % users->count;
}

char *users_pick(const struct users *users, uint64_t number, char *room)
{
	uint64_t user = choice(users, number);
	if (users->lines)
		return users->lines[user];
	users_id(room, 'u', user);
	return room;
}

char *users_id(char *text, char prefix, uint64_t number)
{
	char digits[20];
	unsigned count = 0;
	do {
		digits[count++] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	*text++ = prefix;
	while (count)
		*text++ = digits[--count];
	*text = '\0';
	return text;
}
