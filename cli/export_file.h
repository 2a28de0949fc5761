/*
 * The file of `kindred export`, which a kill at any moment leaves in a state to go on from. While it is written it is
 * called FILE.part, and beside it FILE.progress says how far it is good: so many bytes, and the cursor behind them.
 * FILE itself appears at the end, whole.
 *
 *     export_file_open -> { export_file_write.. -> export_file_checkpoint }..
 *     -> export_file_finish, or export_file_discard, or neither -> export_file_close
 *
 * A checkpoint ends the gzip member or zstd frame, so that the file up to there unpacks by itself, writes all out, has
 * it flushed to the disk, and only then replaces FILE.progress. Going on means: cut FILE.part to the bytes that
 * FILE.progress tells, and append. Both formats allow members and frames to be concatenated.
 *
 * To stdout there are no checkpoints, and no going on.
 */
#ifndef KINDRED_CLI_EXPORT_FILE_H
#define KINDRED_CLI_EXPORT_FILE_H

#include "common/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum export_packing { EXPORT_PLAIN, EXPORT_GZIP, EXPORT_ZSTD };

struct export_packer;

struct export_file {
	char *path, *part, *progress; /* NULL: stdout */
	int fd;
	bool fresh; /* FILE.part is new, and nothing is in it */
	struct export_packer *packer; /* NULL: plain */
	char *out; /* gathered for one write */
	size_t out_used;
	uint64_t bytes; /* of the file, written or gathered */
};

/*
 * *state: NULL, or what FILE.progress holds, when resume and there is something to go on with; the
 * caller's to decref, also when it is not taken over. path NULL: stdout. Without `resume` an
 * interrupted export at the path is an error, E_EXISTS, and so is one that is still running. E_DATA_LOSS:
 * FILE.progress cannot be read, or FILE.part is gone or shorter than it says. E_INVALID: the path is a directory, or a
 * device.
 */
int export_file_open(struct export_file *file, const char *path, bool resume, enum export_packing packing,
		     json_t **state, struct error *err);
int export_file_write(struct export_file *file, const char *bytes, size_t size, struct error *err);
/* state: an object, whose "bytes" is set here. */
int export_file_checkpoint(struct export_file *file, json_t *state, struct error *err);
/* All is written: a last checkpoint, then FILE.part becomes FILE. */
int export_file_finish(struct export_file *file, json_t *state, struct error *err);
/* There is nothing to go on with: export_file_close will leave neither FILE.part nor FILE.progress. */
void export_file_discard(struct export_file *file);
/* Lets go of it as it is; a FILE.part that nothing was written to is removed. */
void export_file_close(struct export_file *file);

#endif
