#include "common/error.h"
#include "common/ids.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* By gRPC status number. Exit codes follow sysexits.h where one fits. */
static const struct {
	const char *name;
	int exit_code;
} statuses[] = {
	[0] = { "OK", 0 },
	[1] = { "CANCELLED", 130 }, /* as a shell reports an interrupted command */
	[2] = { "UNKNOWN", 70 },
	[3] = { "INVALID_ARGUMENT", 64 }, /* EX_USAGE */
	[4] = { "DEADLINE_EXCEEDED", 75 }, /* EX_TEMPFAIL */
	[5] = { "NOT_FOUND", 66 }, /* EX_NOINPUT */
	[6] = { "ALREADY_EXISTS", 73 }, /* EX_CANTCREAT */
	[7] = { "PERMISSION_DENIED", 77 }, /* EX_NOPERM */
	[8] = { "RESOURCE_EXHAUSTED", 71 }, /* EX_OSERR */
	[9] = { "FAILED_PRECONDITION", 78 }, /* EX_CONFIG */
	[10] = { "ABORTED", 75 },
	[11] = { "OUT_OF_RANGE", 64 },
	[12] = { "UNIMPLEMENTED", 76 }, /* EX_PROTOCOL */
	[13] = { "INTERNAL", 70 }, /* EX_SOFTWARE */
	[14] = { "UNAVAILABLE", 69 }, /* EX_UNAVAILABLE */
	[15] = { "DATA_LOSS", 65 }, /* EX_DATAERR */
	[16] = { "UNAUTHENTICATED", 77 },
};

#define STATUS_COUNT ((int)(sizeof statuses / sizeof statuses[0]))
#define STATUS_UNKNOWN 2

/*
 * Texts may quote what a caller sent, and travel in gRPC trailers and log lines: so no control characters, no
 * broken UTF-8, and no character cut in two by the buffer's end.
 */
static void clean(char *text)
{
	size_t bytes = strlen(text);
	size_t at = 0;
	while (at < bytes) {
		size_t step = utf8_step(text + at, bytes - at);
		if (step == 0 && bytes - at < 4 && bytes == sizeof((struct error *)0)->text - 1) {
			text[at] = '\0';
			return;
		}
		if (step == 0) {
			text[at++] = '?';
		} else {
			if ((unsigned char)text[at] < 0x20 || text[at] == 0x7f)
				text[at] = ' ';
			at += step;
		}
	}
}

int error_set(struct error *err, int code, const char *format, ...)
{
	if (err) {
		va_list args;
		va_start(args, format);
		err->code = code;
		vsnprintf(err->text, sizeof err->text, format, args);
		va_end(args);
		clean(err->text);
	}
	return code;
}

int error_prefix(struct error *err, const char *format, ...)
{
	if (!err)
		return E_UNKNOWN;
	char where[sizeof err->text];
	va_list args;
	va_start(args, format);
	vsnprintf(where, sizeof where, format, args);
	va_end(args);
	/* The reason matters more than the place: a very long place is cut first. */
	int length = (int)strnlen(where, sizeof where / 2);
	char reason[sizeof err->text];
	memcpy(reason, err->text, sizeof reason);
	int at = snprintf(err->text, sizeof err->text, "%.*s: ", length, where);
	size_t room = sizeof err->text - (size_t)at;
	size_t kept = strnlen(reason, room - 1);
	memcpy(err->text + at, reason, kept);
	err->text[(size_t)at + kept] = '\0';
	clean(err->text);
	return err->code;
}

static int code_of_errno(int errnum)
{
	switch (errnum) {
	case 0:
		return E_OK;
	case ENOSPC:
	case EDQUOT:
	case ENOMEM:
	case EMFILE:
	case ENFILE:
	case EFBIG:
		return E_EXHAUSTED;
	case ENOENT:
		return E_NOT_FOUND;
	case EEXIST:
	case ENOTEMPTY:
		return E_EXISTS;
	case EINVAL:
	case ENAMETOOLONG:
		return E_INVALID;
	case EACCES:
	case EPERM:
	case EROFS:
	case EISDIR:
	case ENOTDIR:
	case ELOOP:
		return E_PRECONDITION;
	case EAGAIN:
	case EINTR:
	case EBUSY:
	case EPIPE:
	case ENOTCONN:
	case ECONNREFUSED:
	case ECONNRESET:
	case ECONNABORTED:
	case EADDRINUSE:
	case EADDRNOTAVAIL:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
		return E_UNAVAILABLE;
	case ETIMEDOUT:
		return E_DEADLINE;
	case ECANCELED:
		return E_CANCELLED;
	case ENOSYS:
	case EOPNOTSUPP:
		return E_UNIMPLEMENTED;
	case EIO:
		return E_DATA_LOSS;
	default:
		return E_UNKNOWN;
	}
}

int error_errno(struct error *err, int errnum, const char *format, ...)
{
	/* whoever says this has failed, whether the system says why or not */
	int code = errnum ? code_of_errno(errnum) : E_UNKNOWN;
	if (err) {
		char what[sizeof err->text];
		char reason[128];
		va_list args;
		va_start(args, format);
		vsnprintf(what, sizeof what, format, args);
		va_end(args);
		error_set(err, code, "%.*s: %s", (int)(sizeof err->text - sizeof reason), what,
			  strerror_r(errnum, reason, sizeof reason));
	}
	return code;
}

int error_grpc_status(int code)
{
	return code > 0 || code <= -STATUS_COUNT ? STATUS_UNKNOWN : -code;
}

int error_from_grpc_status(int status)
{
	return status < 0 || status >= STATUS_COUNT ? E_UNKNOWN : -status;
}

const char *error_name(int code)
{
	return statuses[error_grpc_status(code)].name;
}

int error_exit_code(int code)
{
	return statuses[error_grpc_status(code)].exit_code;
}
