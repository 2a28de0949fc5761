/*
 * Errors: one table of codes for the whole project, and a message for a person.
 *
 * A function that can fail returns 0 or one of these negative codes. Where a person will read the reason it also takes
 * a `struct error *` (may be NULL) and fills in what, where and what to do. Codes are the negated gRPC status codes
 * (https://github.com/grpc/grpc/blob/master/doc/statuscodes.md), so that no second table maps one to the other.
 * Foreign errors (errno, LMDB, libuv) are translated once, at their door.
 *
 * Pure; any process, any thread.
 */
#ifndef KINDRED_ERROR_H
#define KINDRED_ERROR_H

enum error_code {
	E_OK = 0,
	E_CANCELLED = -1,
	E_UNKNOWN = -2,
	E_INVALID = -3, /* bad input: INVALID_ARGUMENT */
	E_DEADLINE = -4, /* DEADLINE_EXCEEDED */
	E_NOT_FOUND = -5,
	E_EXISTS = -6, /* ALREADY_EXISTS */
	E_EXHAUSTED = -8, /* a bound was reached, memory and disk among them: RESOURCE_EXHAUSTED */
	E_PRECONDITION = -9, /* FAILED_PRECONDITION */
	E_ABORTED = -10,
	E_UNIMPLEMENTED = -12,
	E_INTERNAL = -13, /* our own bug */
	E_UNAVAILABLE = -14, /* try again */
	E_DATA_LOSS = -15, /* a file is damaged, or holds what it cannot be used for */
};

struct error {
	int code; /* enum error_code */
	char text[480]; /* UTF-8 (other bytes become '?'), NUL-terminated, one line, no final full stop */
};

/* Fills *err (when not NULL) and returns code. */
int error_set(struct error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/*
 * Puts "where: " before a text already set, for callers that know more about the place. Returns
 * err->code; E_UNKNOWN when err is NULL.
 */
int error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Translates errno (ENOSPC and ENOMEM to E_EXHAUSTED, ENOENT to E_NOT_FOUND ...); text: "<what>: <strerror>". */
int error_errno(struct error *err, int errnum, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* "INVALID_ARGUMENT" for E_INVALID, and so on: the gRPC name of the status. */
const char *error_name(int code);

/*
 * The gRPC status number, 0..16, of a code; an unknown code is 2 (UNKNOWN). And back (statuses without
 * an E_ name too, as their negated number).
 */
int error_grpc_status(int code);
int error_from_grpc_status(int status);

/*
 * A process's exit code for it: 0 for E_OK, 64 (EX_USAGE) for E_INVALID, 69 for E_UNAVAILABLE, 70 for
 * E_INTERNAL; the table is in error.c.
 */
int error_exit_code(int code);

#endif
