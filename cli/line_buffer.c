#include "cli/line_buffer.h"

#include <stdlib.h>
#include <string.h>

#define READ_BYTES ((size_t)256 << 10)

int line_buffer_init(struct line_buffer *lines, line_read read, void *context, size_t row_max, struct error *err)
{
	*lines = (struct line_buffer){ .read = read, .context = context, .row_max = row_max, .row_line = 1 };
	lines->capacity = row_max + READ_BYTES;
	lines->bytes = malloc(lines->capacity);
	if (lines->bytes == NULL)
		return error_set(err, E_EXHAUSTED, "no memory for reading");
	return 0;
}

void line_buffer_fini(struct line_buffer *lines)
{
	free(lines->bytes);
	lines->bytes = NULL;
}

/* Reads once more; moves the row to the front when the room behind it is short. */
static int fill(struct line_buffer *lines, struct error *err)
{
	if (lines->capacity - lines->end < READ_BYTES / 2 && lines->start > 0) {
		memmove(lines->bytes, lines->bytes + lines->start, lines->end - lines->start);
		lines->at -= lines->start;
		lines->end -= lines->start;
		lines->start = 0;
	}
	if (lines->end == lines->capacity)
		return 0;
	int64_t bytes = lines->read(lines->context, lines->bytes + lines->end, lines->capacity - lines->end, err);
	if (bytes < 0)
		return (int)bytes;
	lines->eof = bytes == 0;
	lines->end += (size_t)bytes;
	return 0;
}

int line_peek(struct line_buffer *lines, size_t least, const char **text, size_t *bytes, struct error *err)
{
	for (;;) {
		size_t there = lines->end - lines->at;
		bool enough = there > 0 && there >= least && memchr(lines->bytes + lines->at, '\n', there) != NULL;
		if (enough || lines->eof || lines->end == lines->capacity)
			break;
		int code = fill(lines, err);
		if (code != 0)
			return code;
	}
	*text = lines->bytes + lines->at;
	*bytes = lines->end - lines->at;
	return 0;
}

void line_drop(struct line_buffer *lines, size_t bytes)
{
	lines->at += bytes;
	lines->start = lines->at;
}

int line_next(struct line_buffer *lines, const char **text, size_t *bytes, struct error *err)
{
	size_t looked = lines->at;
	for (;;) {
		char *found = NULL;
		if (lines->end > looked)
			found = memchr(lines->bytes + looked, '\n', lines->end - looked);
		size_t length = found != NULL ? (size_t)(found - lines->bytes) + 1 - lines->at : lines->end - lines->at;
		if (lines->at - lines->start + length > lines->row_max)
			return error_set(err, E_EXHAUSTED, "longer than %zu bytes", lines->row_max);
		if (found == NULL && !lines->eof) {
			size_t before = lines->start;
			looked = lines->end;
			int code = fill(lines, err);
			if (code != 0)
				return code;
			looked -= before - lines->start;
			continue;
		}
		if (length == 0)
			return 0;
		*text = lines->bytes + lines->at;
		*bytes = length;
		lines->at += length;
		if (lines->row_lines++ == 0)
			lines->first_bytes = length;
		return 1;
	}
}

void line_row_done(struct line_buffer *lines)
{
	lines->start = lines->at;
	lines->row_line += lines->row_lines;
	lines->row_lines = 0;
}

int line_row_retry(struct line_buffer *lines, struct error *err)
{
	if (lines->row_lines > 0) {
		lines->at = lines->start = lines->start + lines->first_bytes;
	} else { /* the first line alone is too long: find its end */
		for (;;) {
			char *found = memchr(lines->bytes + lines->at, '\n', lines->end - lines->at);
			if (found != NULL) {
				lines->at = lines->start = (size_t)(found - lines->bytes) + 1;
				break;
			}
			lines->at = lines->start = lines->end = 0;
			int code = lines->eof ? 0 : fill(lines, err);
			if (code != 0)
				return code;
			if (lines->eof && lines->end == 0)
				break;
		}
	}
	lines->row_line++;
	lines->row_lines = 0;
	return 0;
}
