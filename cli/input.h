/*
 * Where a file to import comes from: a path, "-" for stdin, plain or compressed by zstd or gzip (told
 * by its first bytes; read through the program of that name, which has to be installed). Bytes come
 * out; rows are made by cli/csv_source.h.
 */
#ifndef KINDRED_CLI_INPUT_H
#define KINDRED_CLI_INPUT_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct input {
	const char *name; /* for messages: the path, or "stdin" */
	int file_fd; /* what was opened */
	int read_fd; /* where bytes are read: file_fd, or the unpacking program's pipe */
	pid_t child; /* the unpacking program; 0: none */
	const char *unpack; /* its name; NULL: none */
	uint64_t file_bytes; /* 0: not known (a pipe) */
	bool seekable;
};

/*
 * "NAME: why" of a file that cannot be opened. Whatever the reason, it is E_NOT_FOUND (EX_NOINPUT), but a folder,
 * which is E_INVALID.
 */
int input_cannot_open(const char *name, int errnum, struct error *err);

/*
 * path must outlive the input. twice: it will be rewound; what cannot be (stdin, a pipe) is first copied to a
 * temporary file in $TMPDIR or /var/tmp, which is gone when the program ends. E_NOT_FOUND (not there, or not
 * readable), E_UNAVAILABLE (zstd or gzip is missing).
 */
int input_open(struct input *input, const char *path, bool twice, struct error *err);
void input_close(struct input *input);

/*
 * Bytes read, 0 at the end, or a negative error (E_DATA_LOSS: it does not unpack). Fits line_read of
 * cli/line_buffer.h.
 */
int64_t input_read(void *input, void *buffer, size_t bytes, struct error *err);

/* Back to the start; only when it was opened with `twice`. */
int input_rewind(struct input *input, struct error *err);

/* Share of the file that was read, 0 to 1; negative: not known. */
double input_share(const struct input *input);

#endif
