#include "bench/eval/datafile.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#define FIRST_ROOM (1u << 20)

/* Grows so that there is room for `more` and a NUL. */
static int make_room(char **text, size_t *room, size_t used, size_t more, struct error *err)
{
	if (*text && used + more < *room)
		return 0;
	size_t larger = *room ? 2 * *room : FIRST_ROOM;
	while (larger <= used + more)
		larger *= 2;
	char *grown = realloc(*text, larger);
	if (!grown)
		return error_set(err, E_EXHAUSTED, "no memory for %zu bytes", larger);
	*text = grown;
	*room = larger;
	return 0;
}

static int read_plain(FILE *file, char **text, size_t *bytes, struct error *err)
{
	size_t room = 0, got;
	do {
		int code = make_room(text, &room, *bytes, FIRST_ROOM, err);
		if (code)
			return code;
		got = fread(*text + *bytes, 1, FIRST_ROOM, file);
		*bytes += got;
	} while (got > 0);
	return ferror(file) ? error_errno(err, errno, "reading") : 0;
}

static int unpack(const char *packed, size_t packed_bytes, char **text, size_t *bytes, struct error *err)
{
	ZSTD_DStream *stream = ZSTD_createDStream();
	if (!stream)
		return error_set(err, E_EXHAUSTED, "no memory to unpack");
	ZSTD_inBuffer in = { packed, packed_bytes, 0 };
	size_t room = 0, left = 1;
	int code = 0;
	while (!code && (in.pos < in.size || left > 0)) {
		code = make_room(text, &room, *bytes, FIRST_ROOM, err);
		if (code)
			break;
		size_t in_before = in.pos;
		ZSTD_outBuffer out = { *text, room - 1, *bytes };
		left = ZSTD_decompressStream(stream, &out, &in);
		if (ZSTD_isError(left))
			code = error_set(err, E_DATA_LOSS, "cannot be unpacked: %s", ZSTD_getErrorName(left));
		else if (left > 0 && in.pos == in_before && out.pos == *bytes)
			code = error_set(err, E_DATA_LOSS, "ends too early");
		*bytes = out.pos;
	}
	ZSTD_freeDStream(stream);
	return code;
}

static int read_packed(FILE *file, char **text, size_t *bytes, struct error *err)
{
	char *packed = NULL;
	size_t packed_bytes = 0;
	int code = read_plain(file, &packed, &packed_bytes, err);
	if (!code)
		code = unpack(packed, packed_bytes, text, bytes, err);
	free(packed);
	return code;
}

int datafile_read(const char *path, char **text, size_t *bytes, struct error *err)
{
	*text = NULL;
	*bytes = 0;
	char name[PATH_MAX];
	bool packed = false;
	snprintf(name, sizeof name, "%s", path);
	FILE *file = fopen(name, "rb");
	if (!file && errno == ENOENT) {
		packed = true;
		snprintf(name, sizeof name, "%s.zst", path);
		file = fopen(name, "rb");
	}
	if (!file && errno == ENOENT)
		return error_set(err, E_NOT_FOUND, "there is neither %s nor %s", path, name);
	if (!file)
		return error_errno(err, errno, "%s", name);
	int code = packed ? read_packed(file, text, bytes, err) : read_plain(file, text, bytes, err);
	fclose(file);
	if (code) {
		free(*text);
		*text = NULL;
		return error_prefix(err, "%s", name);
	}
	(*text)[*bytes] = '\0';
	return 0;
}

/* Where the field that begins at `at` ends: at a delimiter or at the line's end. */
static const char *field_end(const struct datafile_lines *lines, const char *at, const char *line_end)
{
	size_t bytes = strlen(lines->delimiter);
	if (lines->quotes && at < line_end && *at == '"') {
		at++;
		while (at < line_end && !(*at == '"' && (at + 1 == line_end || at[1] != '"')))
			at += *at == '"' ? 2 : 1;
	}
	const char *found = at < line_end ? memmem(at, (size_t)(line_end - at), lines->delimiter, bytes) : NULL;
	return found ? found : line_end;
}

int datafile_next(struct datafile_lines *lines, struct text_view fields[DATAFILE_FIELDS_MAX])
{
	if (lines->at >= lines->end)
		return -1;
	const char *newline = memchr(lines->at, '\n', (size_t)(lines->end - lines->at));
	const char *end = newline ? newline : lines->end, *at = lines->at;
	lines->at = newline ? newline + 1 : lines->end;
	if (end > at && end[-1] == '\r')
		end--;
	int count = 0;
	for (;;) {
		const char *stop = field_end(lines, at, end);
		struct text_view field = { at, (uint32_t)(stop - at) };
		if (lines->quotes && field.bytes >= 2 && field.data[0] == '"' && field.data[field.bytes - 1] == '"')
			field = (struct text_view){ field.data + 1, field.bytes - 2 };
		fields[count++] = field;
		if (stop == end || count == DATAFILE_FIELDS_MAX)
			return count;
		at = stop + strlen(lines->delimiter);
	}
}
