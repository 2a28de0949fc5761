#include "cli/export_file.h"

#include "cli/export_packer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUT_BYTES ((size_t)512 << 10)

/* --- bytes to the file --- */

static const char *name_of(const struct export_file *file)
{
	return file->part != NULL ? file->part : "standard output";
}

static int write_all(int fd, const char *name, const char *bytes, size_t size, struct error *err)
{
	while (size > 0) {
		ssize_t done = write(fd, bytes, size);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return error_errno(err, errno, "%s", name);
		bytes += done;
		size -= (size_t)done;
	}
	return 0;
}

static int write_out(struct export_file *file, const char *bytes, size_t size, struct error *err)
{
	return write_all(file->fd, name_of(file), bytes, size, err);
}

static int flush_out(struct export_file *file, struct error *err)
{
	size_t size = file->out_used;
	file->out_used = 0;
	return write_out(file, file->out, size, err);
}

static int gather(void *context, const char *bytes, size_t size, struct error *err)
{
	struct export_file *file = context;
	int code = 0;
	file->bytes += size;
	if (file->out_used + size > OUT_BYTES)
		code = flush_out(file, err);
	if (code == 0 && size >= OUT_BYTES)
		return write_out(file, bytes, size, err);
	if (code == 0 && size > 0) {
		memcpy(file->out + file->out_used, bytes, size);
		file->out_used += size;
	}
	return code;
}

int export_file_write(struct export_file *file, const char *bytes, size_t size, struct error *err)
{
	file->fresh = false;
	if (file->packer != NULL)
		return export_pack(file->packer, bytes, size, false, gather, file, err);
	return gather(file, bytes, size, err);
}

/* --- opening --- */

static char *with_suffix(const char *path, const char *suffix)
{
	char *made = NULL;
	return asprintf(&made, "%s%s", path, suffix) < 0 ? NULL : made;
}

/* *state NULL: there is no FILE.progress. */
static int read_progress(const struct export_file *file, json_t **state, struct error *err)
{
	json_error_t error;
	*state = NULL;
	if (access(file->progress, F_OK) != 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : error_errno(err, errno, "%s", file->progress);
	*state = json_load_file(file->progress, 0, &error);
	if (*state == NULL || !json_is_integer(json_object_get(*state, "bytes")))
		return error_set(err, E_DATA_LOSS,
				 "%s does not say how far the export is; remove it and %s, and export anew",
				 file->progress, file->part);
	return 0;
}

static int taken_error(const struct export_file *file, struct error *err)
{
	return error_set(err, E_EXISTS,
			 "another export is writing to %s; wait until it has ended, or give another --out", file->part);
}

/*
 * FILE.part is this export's alone until it is closed, or the process is gone: of two that write to it, a user is
 * there twice and another not at all. Where the file system knows no locks, it goes without.
 */
static bool is_taken(int fd)
{
	return flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

static int take_alone(const struct export_file *file, struct error *err)
{
	struct stat ours, named;
	bool taken = is_taken(file->fd);
	/* it may have got its name, or have been removed, since it was opened */
	if (!taken)
		taken = fstat(file->fd, &ours) != 0 || stat(file->part, &named) != 0 || ours.st_ino != named.st_ino;
	return taken ? taken_error(file, err) : 0;
}

/* FILE.progress is there, and going on is not asked for: of one that broke off, or of one that is running? */
static int refuse_anew(const struct export_file *file, struct error *err)
{
	int fd = open(file->part, O_WRONLY | O_CLOEXEC);
	bool running = fd >= 0 && is_taken(fd);
	if (fd >= 0)
		close(fd);
	if (running)
		return taken_error(file, err);
	return error_set(err, E_EXISTS,
			 "%s is of an interrupted export: say --continue to go on with it, or remove it to begin anew",
			 file->progress);
}

/* Cuts FILE.part to what is good of it. */
static int go_on(struct export_file *file, const json_t *state, struct error *err)
{
	struct stat info;
	file->bytes = (uint64_t)json_integer_value(json_object_get(state, "bytes"));
	/* The last step of an export is to rename FILE.part, and then to remove FILE.progress. */
	if (json_is_true(json_object_get(state, "done")) && access(file->part, F_OK) != 0 &&
	    access(file->path, F_OK) == 0)
		return 0;
	file->fd = open(file->part, O_WRONLY | O_CLOEXEC);
	if (file->fd < 0 && errno == ENOENT)
		return error_set(err, E_DATA_LOSS, "%s is gone, which %s is about; remove that too, and export anew",
				 file->part, file->progress);
	if (file->fd < 0)
		return error_errno(err, errno, "%s", file->part);
	int code = take_alone(file, err);
	if (code != 0)
		return code;
	if (fstat(file->fd, &info) != 0)
		return error_errno(err, errno, "%s", file->part);
	if ((uint64_t)info.st_size < file->bytes)
		return error_set(err, E_DATA_LOSS, "%s is shorter than %s says; remove both, and export anew",
				 file->part, file->progress);
	if (ftruncate(file->fd, (off_t)file->bytes) != 0 || lseek(file->fd, 0, SEEK_END) < 0)
		return error_errno(err, errno, "%s", file->part);
	return 0;
}

static int begin(struct export_file *file, struct error *err)
{
	file->fd = open(file->part, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (file->fd >= 0) {
		int code = take_alone(file, err);
		if (code == 0 && ftruncate(file->fd, 0) != 0)
			code = error_errno(err, errno, "%s", file->part);
		file->fresh = code == 0;
		return code;
	}
	if (errno == ENOENT || errno == ENOTDIR)
		return error_set(err, E_NOT_FOUND, "--out %s: there is no such directory; make it first", file->path);
	return error_errno(err, errno, "--out %s: cannot make %s", file->path, file->part);
}

/* FILE.part takes its place at the end: better to know now that it cannot, or must not. */
static int check_path(const char *path, struct error *err)
{
	struct stat info;
	if (*path == '\0')
		return error_set(err, E_INVALID, "--out is empty; give a file");
	if (stat(path, &info) != 0 || S_ISREG(info.st_mode))
		return 0;
	if (S_ISDIR(info.st_mode))
		return error_set(err, E_INVALID, "--out %s is a directory; give a file, for example %s/next.ndjson",
				 path, path);
	return error_set(err, E_INVALID, "--out %s is no file; write to standard output (--out -) and send that there",
			 path);
}

static int open_path(struct export_file *file, const char *path, bool resume, json_t **state, struct error *err)
{
	int code = check_path(path, err);
	if (code != 0)
		return code;
	file->path = with_suffix(path, "");
	file->part = with_suffix(path, ".part");
	file->progress = with_suffix(path, ".progress");
	if (file->path == NULL || file->part == NULL || file->progress == NULL)
		return error_set(err, E_EXHAUSTED, "no memory");
	code = read_progress(file, state, err);
	if (code != 0)
		return code;
	if (*state != NULL && !resume)
		return refuse_anew(file, err);
	return *state != NULL ? go_on(file, *state, err) : begin(file, err);
}

int export_file_open(struct export_file *file, const char *path, bool resume, enum export_packing packing,
		     json_t **state, struct error *err)
{
	*file = (struct export_file){ .fd = path == NULL ? STDOUT_FILENO : -1 };
	*state = NULL;
	file->out = malloc(OUT_BYTES);
	int code = file->out != NULL ? 0 : error_set(err, E_EXHAUSTED, "no memory");
	if (code == 0 && packing != EXPORT_PLAIN)
		code = export_packer_new(&file->packer, packing, err);
	if (code == 0 && path != NULL)
		code = open_path(file, path, resume, state, err);
	return code;
}

/* --- checkpoints, the end --- */

static int replace_progress(const struct export_file *file, const json_t *state, struct error *err)
{
	char *text = json_dumps(state, JSON_INDENT(1)), *temporary = with_suffix(file->progress, ".new");
	int code = 0, fd = -1;
	if (text == NULL || temporary == NULL)
		code = error_set(err, E_EXHAUSTED, "no memory");
	if (code == 0) {
		fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		code = fd < 0 ? error_errno(err, errno, "%s", temporary)
			      : write_all(fd, temporary, text, strlen(text), err);
	}
	if (code == 0 && (fdatasync(fd) != 0 || rename(temporary, file->progress) != 0))
		code = error_errno(err, errno, "%s", file->progress);
	if (fd >= 0)
		close(fd);
	free(temporary);
	free(text);
	return code;
}

int export_file_checkpoint(struct export_file *file, json_t *state, struct error *err)
{
	int code = 0;
	file->fresh = false;
	if (file->packer != NULL)
		code = export_pack(file->packer, NULL, 0, true, gather, file, err);
	if (code == 0)
		code = flush_out(file, err);
	if (code != 0 || file->part == NULL)
		return code;
	if (fdatasync(file->fd) != 0)
		return error_errno(err, errno, "%s", file->part);
	json_object_set_new(state, "bytes", json_integer((json_int_t)file->bytes));
	return replace_progress(file, state, err);
}

int export_file_finish(struct export_file *file, json_t *state, struct error *err)
{
	json_object_set_new(state, "done", json_true());
	if (file->packer != NULL && file->bytes == 0)
		export_packer_begin(file->packer); /* nothing at all is no packed file */
	int code = file->fd >= 0 ? export_file_checkpoint(file, state, err) : 0;
	if (code != 0 || file->part == NULL)
		return code;
	if (file->fd >= 0 && rename(file->part, file->path) != 0)
		return error_errno(err, errno, "%s", file->path);
	if (unlink(file->progress) != 0)
		return error_errno(err, errno, "%s", file->progress);
	return 0;
}

void export_file_discard(struct export_file *file)
{
	if (file->part == NULL || file->fd < 0)
		return;
	unlink(file->progress);
	file->fresh = true;
}

void export_file_close(struct export_file *file)
{
	if (file->fd >= 0 && file->part != NULL)
		close(file->fd);
	if (file->fresh)
		unlink(file->part);
	export_packer_free(file->packer);
	free(file->out);
	free(file->path);
	free(file->part);
	free(file->progress);
}
