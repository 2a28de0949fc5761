/*
 * What FILE.progress holds (cli/export_file.h): how far an export is, and the command it was begun
 * with. Going on wants the same command: a file is of one definition, one format, one moment. Pure.
 */
#ifndef KINDRED_CLI_EXPORT_STATE_H
#define KINDRED_CLI_EXPORT_STATE_H

#include "cli/export_file.h"
#include "cli/export_lines.h"
#include "common/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPORT_CURSOR_MAX 65536 /* bytes */

/* What decides about the lines of the file. */
struct export_command {
	const char *definition, *filter; /* filter NULL: none */
	enum export_format format;
	enum export_packing packing;
	int64_t active_s, inactive_s; /* 0: not given */
	int64_t as_of_ms; /* negative: not given */
	uint32_t count; /* 0: the definition's */
	uint64_t generation; /* 0: the one served */
	bool names;
};

struct export_state {
	uint8_t cursor[EXPORT_CURSOR_MAX]; /* behind everything that is in the file */
	size_t cursor_bytes; /* 0: nothing came yet */
	uint64_t users, failed; /* in the file; failed: whose line is an error */
};

/* The caller's; NULL: no memory. Not by two threads at a time. */
json_t *export_state_json(const struct export_state *state, const struct export_command *command);
/*
 * The other way. progress: the path of FILE.progress, for errors. E_INVALID: it is of another command;
 * the text says what differs. E_DATA_LOSS: the cursor is not what export_state_json writes.
 */
int export_state_read(struct export_state *state, const json_t *saved, const struct export_command *command,
		      const char *progress, struct error *err);

#endif
