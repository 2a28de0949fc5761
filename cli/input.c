#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* The program that unpacks what starts like this; NULL: it is not packed. */
static const char *unpack_program(int fd)
{
	unsigned char magic[4] = { 0 };
	if (pread(fd, magic, sizeof magic, 0) < 2)
		return NULL;
	if (magic[0] == 0x1f && magic[1] == 0x8b)
		return "gzip";
	if (memcmp(magic, "\x28\xb5\x2f\xfd", 4) == 0)
		return "zstd";
	return NULL;
}

/* Starts `zstd -dcq <file` with its output in read_fd. No shell: the path never becomes a command. */
static int unpack_start(struct input *input, struct error *err)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) != 0)
		return error_errno(err, errno, "%s: pipe", input->name);
	char *argv[] = { (char *)input->unpack, "-dcq", NULL };
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, input->file_fd, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	int failed = posix_spawnp(&input->child, input->unpack, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	if (failed != 0) {
		close(ends[0]);
		input->child = 0;
		if (failed == ENOENT)
			return error_set(err, E_UNAVAILABLE,
					 "%s is packed with %s, which is not installed: `apt-get install %s`, or "
					 "unpack it first",
					 input->name, input->unpack, input->unpack);
		return error_errno(err, failed, "%s: starting %s", input->name, input->unpack);
	}
	input->read_fd = ends[0];
	return 0;
}

static void unpack_stop(struct input *input)
{
	if (input->child == 0)
		return;
	close(input->read_fd);
	kill(input->child, SIGTERM);
	while (waitpid(input->child, NULL, 0) < 0 && errno == EINTR)
		;
	input->child = 0;
}

/* At the end of the pipe: did the program think so too? */
static int unpack_finish(struct input *input, struct error *err)
{
	int status;
	while (waitpid(input->child, &status, 0) < 0) {
		if (errno != EINTR)
			return error_errno(err, errno, "%s: waiting for %s", input->name, input->unpack);
	}
	close(input->read_fd);
	input->child = 0;
	input->read_fd = -1;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return error_set(err, E_DATA_LOSS, "%s: %s could not unpack it; the file is damaged or cut off",
				 input->name, input->unpack);
	return 0;
}

static int write_all(int fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t done = write(fd, bytes, size);
		if (done < 0) {
			if (errno == EINTR)
				continue;
			return errno;
		}
		bytes += done;
		size -= (size_t)done;
	}
	return 0;
}

static int temporary_file(struct error *err)
{
	const char *folder = getenv("TMPDIR");
	if (folder == NULL || folder[0] == '\0')
		folder = "/var/tmp";
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/kindred-import-XXXXXX", folder);
	int fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, errno, "temporary file in %s (set TMPDIR to use another folder)", folder);
	unlink(path);
	return fd;
}

/* Replaces a file_fd that can be read once by a temporary file with the same bytes. */
static int spool(struct input *input, struct error *err)
{
	enum { PORTION = 1 << 18 };
	char *portion = malloc(PORTION);
	int fd = portion == NULL ? error_set(err, E_EXHAUSTED, "no memory") : temporary_file(err);
	int code = fd < 0 ? err->code : 0;
	while (code == 0) {
		ssize_t bytes = read(input->file_fd, portion, PORTION);
		if (bytes < 0 && errno == EINTR)
			continue;
		if (bytes < 0)
			code = error_errno(err, errno, "reading %s", input->name);
		if (bytes <= 0)
			break;
		int failed = write_all(fd, portion, (size_t)bytes);
		if (failed != 0)
			code = error_errno(err, failed, "copying %s to a temporary file", input->name);
	}
	free(portion);
	if (code != 0) {
		if (fd >= 0)
			close(fd);
		return code;
	}
	lseek(fd, 0, SEEK_SET);
	close(input->file_fd);
	input->file_fd = fd;
	return 0;
}

int input_cannot_open(const char *name, int errnum, struct error *err)
{
	if (errnum == EISDIR)
		return error_set(err, E_INVALID, "%s is a folder; give a file", name);
	error_errno(err, errnum, "%s", name);
	if (err->code == E_PRECONDITION)
		err->code = E_NOT_FOUND;
	return err->code;
}

static int file_open(struct input *input, const char *path, struct error *err)
{
	bool is_stdin = strcmp(path, "-") == 0;
	input->name = is_stdin ? "stdin" : path;
	input->file_fd =
		is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (input->file_fd < 0)
		return input_cannot_open(input->name, errno, err);
	struct stat status;
	if (fstat(input->file_fd, &status) != 0)
		return error_errno(err, errno, "%s", input->name);
	if (S_ISDIR(status.st_mode))
		return input_cannot_open(input->name, EISDIR, err);
	input->seekable = S_ISREG(status.st_mode);
	return 0;
}

int input_open(struct input *input, const char *path, bool twice, struct error *err)
{
	struct error ignored;
	if (err == NULL)
		err = &ignored;
	*input = (struct input){ .file_fd = -1, .read_fd = -1 };
	int code = file_open(input, path, err);
	if (code == 0 && twice && !input->seekable) {
		code = spool(input, err);
		input->seekable = true;
	}
	if (code == 0 && input->seekable) {
		struct stat status;
		if (fstat(input->file_fd, &status) == 0)
			input->file_bytes = (uint64_t)status.st_size;
		input->unpack = unpack_program(input->file_fd);
	}
	if (code == 0) {
		input->read_fd = input->file_fd;
		if (input->unpack != NULL)
			code = unpack_start(input, err);
	}
	if (code != 0)
		input_close(input);
	return code;
}

void input_close(struct input *input)
{
	unpack_stop(input);
	if (input->file_fd >= 0)
		close(input->file_fd);
	input->file_fd = input->read_fd = -1;
}

int64_t input_read(void *context, void *buffer, size_t bytes, struct error *err)
{
	struct input *input = context;
	if (input->read_fd < 0)
		return 0;
	for (;;) {
		ssize_t done = read(input->read_fd, buffer, bytes);
		if (done > 0)
			return done;
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return error_errno(err, errno, "reading %s", input->name);
		return input->child != 0 ? unpack_finish(input, err) : 0;
	}
}

int input_rewind(struct input *input, struct error *err)
{
	unpack_stop(input);
	if (lseek(input->file_fd, 0, SEEK_SET) < 0)
		return error_errno(err, errno, "%s: going back to its start", input->name);
	input->read_fd = input->file_fd;
	return input->unpack != NULL ? unpack_start(input, err) : 0;
}

double input_share(const struct input *input)
{
	if (input->file_bytes == 0)
		return -1;
	/* The unpacking program shares our file offset, so this is right for packed files as well. */
	off_t at = lseek(input->file_fd, 0, SEEK_CUR);
	return at < 0 ? -1 : (double)at / (double)input->file_bytes;
}
