/*
 * Physical lines from a stream of bytes, with the lines of the current row kept, so that a row that
 * turns out to be none (a quote that is opened and never closed) can be given up and its second line
 * read again as the start of another.
 *
 *     line_next.. (more lines while the row is open) -> line_row_done, or line_row_retry
 */
#ifndef KINDRED_CLI_LINE_BUFFER_H
#define KINDRED_CLI_LINE_BUFFER_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes read, 0 at the end, negative: an error. */
typedef int64_t (*line_read)(void *context, void *buffer, size_t bytes, struct error *err);

struct line_buffer {
	line_read read;
	void *context;
	char *bytes;
	size_t capacity, row_max;
	size_t start, at, end; /* the row's first byte, the next line's, the end of what was read */
	size_t first_bytes; /* of the row's first line */
	uint64_t row_line; /* number of the row's first line, from 1 */
	uint32_t row_lines; /* lines of the row so far */
	bool eof;
};

/* row_max: bytes of the longest row. */
int line_buffer_init(struct line_buffer *lines, line_read read, void *context, size_t row_max, struct error *err);
void line_buffer_fini(struct line_buffer *lines);

/*
 * What is in the buffer, nothing consumed: at least the first line and `least` bytes, unless the file
 * or the buffer ends before. For guessing a format.
 */
int line_peek(struct line_buffer *lines, size_t least, const char **text, size_t *bytes, struct error *err);
/* Drops bytes at the very start (a byte order mark). */
void line_drop(struct line_buffer *lines, size_t bytes);

/*
 * The next line, with its '\n' when it has one; the text is valid until the next call. 1, 0 at the end,
 * E_EXHAUSTED: the row would be longer than row_max (line_row_retry goes on behind its first line, or
 * behind this line when it is the first), or a reading error.
 */
int line_next(struct line_buffer *lines, const char **text, size_t *bytes, struct error *err);
void line_row_done(struct line_buffer *lines);
int line_row_retry(struct line_buffer *lines, struct error *err);

#endif
