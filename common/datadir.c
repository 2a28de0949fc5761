#include "common/datadir.h"

#include "common/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define IDENTITY "kindred.json"

static const char *const folders[] = { "control", "shards", "models", "tmp" };
#define FOLDERS (sizeof folders / sizeof folders[0])

static const char *join(const struct datadir *dir, const char *name, char *path)
{
	if (dir->entered)
		snprintf(path, DATADIR_PATH_MAX, "%s", name);
	else
		snprintf(path, DATADIR_PATH_MAX, "%s/%s", dir->path, name);
	return path;
}

const char *datadir_control(const struct datadir *dir, char *path)
{
	return join(dir, "control", path);
}

const char *datadir_models(const struct datadir *dir, char *path)
{
	return join(dir, "models", path);
}

const char *datadir_tmp(const struct datadir *dir, char *path)
{
	return join(dir, "tmp", path);
}

const char *datadir_shard(const struct datadir *dir, uint32_t shard, char *path)
{
	char name[32];

	snprintf(name, sizeof name, "shards/%03" PRIu32, shard);
	return join(dir, name, path);
}

static int sync_folder(const char *path, struct error *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = 0;

	if (fd < 0)
		return error_errno(err, errno, "%s", path);
	if (fsync(fd) != 0)
		rc = error_errno(err, errno, "%s: fsync", path);
	close(fd);
	return rc;
}

/* The name of a file or folder is durable once its parent is synced. */
static int sync_parent(const char *path, struct error *err)
{
	char parent[DATADIR_PATH_MAX];
	char *slash;

	snprintf(parent, sizeof parent, "%s", path);
	slash = strrchr(parent, '/');
	if (!slash)
		return sync_folder(".", err);
	slash[slash == parent] = '\0';
	return sync_folder(parent, err);
}

static int make_folder(const char *path, struct error *err)
{
	struct stat st;

	if (mkdir(path, 0700) == 0)
		return sync_parent(path, err);
	if (errno != EEXIST)
		return error_errno(err, errno, "cannot make the folder %s", path);
	if (stat(path, &st) != 0)
		return error_errno(err, errno, "%s", path);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, E_PRECONDITION, "%s is there but is not a folder: choose another path", path);
	return 0;
}

/* path is a scratch copy without a trailing slash; it is as it was when this returns. */
static int make_folders(char *path, struct error *err)
{
	int rc;

	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		rc = make_folder(path, err);
		*p = '/';
		if (rc != 0)
			return rc;
	}
	return make_folder(path, err);
}

static int write_all(int fd, const char *text, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = write(fd, text, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		text += n;
		bytes -= (size_t)n;
	}
	return 0;
}

/*
 * Under a temporary name that starts with a dot, synced, renamed, folder synced: readers see the old
 * text or the new one.
 */
static int write_file(const char *folder, const char *name, const char *text, struct error *err)
{
	char path[DATADIR_PATH_MAX + 32];
	char temporary[DATADIR_PATH_MAX + 32];
	int fd, rc;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	snprintf(temporary, sizeof temporary, "%s/.%s.new", folder, name);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return error_errno(err, errno, "cannot write %s", temporary);
	if (write_all(fd, text, strlen(text)) != 0 || fsync(fd) != 0)
		goto fail;
	if (close(fd) != 0) {
		fd = -1;
		goto fail;
	}
	fd = -1;
	if (rename(temporary, path) != 0)
		goto fail;
	return sync_folder(folder, err);
fail:
	rc = error_errno(err, errno, "cannot write %s", path);
	if (fd >= 0)
		close(fd);
	unlink(temporary);
	return rc;
}

/* Takes the flock on <path>/lock. E_UNAVAILABLE: another process has it. */
static int lock_take(const char *path, int *lock_fd, struct error *err)
{
	char file[DATADIR_PATH_MAX];
	char text[32] = "";
	int fd, length, rc;

	snprintf(file, sizeof file, "%s/lock", path);
	fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return error_errno(err, errno, "cannot open %s", file);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		int errnum = errno;
		long pid = 0;

		if (pread(fd, text, sizeof text - 1, 0) > 0)
			pid = strtol(text, NULL, 10);
		close(fd);
		if (errnum != EWOULDBLOCK)
			return error_errno(err, errnum, "cannot lock %s", file);
		return error_set(err, E_UNAVAILABLE,
				 "%s is in use by another Kindred server (pid %ld): stop that one first, or give "
				 "another data directory",
				 path, pid);
	}
	length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)length, 0) != length) {
		rc = error_errno(err, errno, "cannot write %s", file);
		close(fd);
		return rc;
	}
	*lock_fd = fd;
	return 0;
}

static bool folder_empty(const char *folder, const char *name)
{
	char path[DATADIR_PATH_MAX + 256];
	struct dirent *entry;
	bool empty = true;
	DIR *listing;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	listing = opendir(path);
	if (!listing)
		return false;
	while (empty && (entry = readdir(listing)))
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	closedir(listing);
	return empty;
}

/* Names that a datadir_init that was killed may have left, and the one that mkfs leaves in a fresh volume. */
static bool may_be_there(const char *path, const char *name)
{
	static const char *const files[] = { ".", "..", "lock", "." IDENTITY ".new", "lost+found" };

	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		if (strcmp(name, files[i]) == 0)
			return true;
	for (size_t i = 0; i < FOLDERS; i++)
		if (strcmp(name, folders[i]) == 0)
			return folder_empty(path, name);
	return false;
}

static int check_free(const char *path, struct error *err)
{
	struct dirent *entry;
	DIR *listing;
	int rc = 0;

	listing = opendir(path);
	if (!listing)
		return error_errno(err, errno, "%s", path);
	/* Entries come in any order: the identity says what the others are, wherever it stands. */
	while (rc != E_EXISTS && (entry = readdir(listing))) {
		if (strcmp(entry->d_name, IDENTITY) == 0)
			rc = error_set(err, E_EXISTS,
				       "%s is a Kindred data directory already: start a server on it with `kindred "
				       "serve --data %s`",
				       path, path);
		else if (rc == 0 && !may_be_there(path, entry->d_name))
			rc = error_set(err, E_PRECONDITION,
				       "%s is not empty (it holds \"%s\"): choose an empty folder or a new path", path,
				       entry->d_name);
	}
	closedir(listing);
	return rc;
}

static int write_layout(const char *path, uint32_t shards, struct error *err)
{
	char folder[DATADIR_PATH_MAX + 16];
	char now[32];
	char text[256];
	int rc;

	for (size_t i = 0; i < FOLDERS; i++) {
		snprintf(folder, sizeof folder, "%s/%s", path, folders[i]);
		rc = make_folder(folder, err);
		if (rc != 0)
			return rc;
	}
	time_format(clock_wall_ms(), now);
	snprintf(text, sizeof text, "{\n  \"format\": %d,\n  \"shards\": %" PRIu32 ",\n  \"created\": \"%s\"\n}\n",
		 DATADIR_FORMAT, shards, now);
	return write_file(path, IDENTITY, text, err);
}

int datadir_init(const char *given, uint32_t shards, struct error *err)
{
	char path[sizeof((struct datadir *)0)->path];
	size_t bytes = strlen(given);
	int lock_fd = -1;
	int rc;

	if (shards < 1 || shards > SHARDS_MAX)
		return error_set(err, E_INVALID, "shards: %" PRIu32 "; 1 to %d are allowed", shards, SHARDS_MAX);
	while (bytes > 1 && given[bytes - 1] == '/')
		bytes--;
	if (bytes == 0 || bytes >= sizeof path)
		return error_set(err, E_INVALID, "data directory: a path of %zu bytes; 1 to %zu are allowed", bytes,
				 sizeof path - 1);
	memcpy(path, given, bytes);
	path[bytes] = '\0';

	/* Looked at before anything is made, so that a refusal leaves no trace; and again under the lock. */
	if (access(path, F_OK) == 0) {
		rc = check_free(path, err);
		if (rc != 0)
			return rc;
	}
	rc = make_folders(path, err);
	if (rc != 0)
		return rc;
	rc = lock_take(path, &lock_fd, err);
	if (rc != 0)
		return rc;
	rc = check_free(path, err);
	if (rc == 0)
		rc = write_layout(path, shards, err);
	close(lock_fd);
	return rc;
}

static int read_identity(struct datadir *dir, struct error *err)
{
	char path[DATADIR_PATH_MAX];
	json_t *root;
	json_error_t wrong;
	json_int_t format = 0, shards = 0;
	int rc = 0;

	join(dir, IDENTITY, path);
	if (access(path, R_OK) != 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			return error_errno(err, errno, "cannot read %s, as user %u", path, (unsigned)geteuid());
		return error_set(err, E_NOT_FOUND, "no Kindred data directory at %s: make one with `kindred init %s`",
				 dir->path, dir->path);
	}
	root = json_load_file(path, JSON_REJECT_DUPLICATES, &wrong);
	if (!root && json_error_code(&wrong) == json_error_cannot_open_file)
		return error_set(err, E_UNAVAILABLE, "cannot read %s: %s", path, wrong.text);
	if (!root)
		return error_set(err, E_DATA_LOSS, "%s is damaged, line %d: %s; restore it from a backup", path,
				 wrong.line, wrong.text);
	if (json_unpack(root, "{s:I}", "format", &format) != 0 || format < 1)
		rc = error_set(err, E_DATA_LOSS, "%s is damaged: it has no valid \"format\"; restore it from a backup",
			       path);
	else if (format > DATADIR_FORMAT)
		rc = error_set(err, E_UNIMPLEMENTED,
			       "%s has format %" JSON_INTEGER_FORMAT
			       ", this program knows up to %d: use a newer Kindred",
			       dir->path, format, DATADIR_FORMAT);
	else if (json_unpack(root, "{s:I}", "shards", &shards) != 0 || shards < 1 || shards > SHARDS_MAX)
		rc = error_set(err, E_DATA_LOSS,
			       "%s is damaged: \"shards\" must be a number from 1 to %d; restore it from a backup",
			       path, SHARDS_MAX);
	json_decref(root);
	dir->shards = (uint32_t)shards;
	return rc;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	if (ftw->level > 0 && remove(path) != 0 && errno != ENOENT)
		return errno;
	return 0;
}

/* What a builder that died left: its spill files, and generations that were never renamed into place. */
static int clear_leftovers(const struct datadir *dir, struct error *err)
{
	char path[DATADIR_PATH_MAX];
	struct dirent *entry;
	DIR *listing;
	int rc;

	rc = nftw(datadir_tmp(dir, path), remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (rc != 0 && !(rc < 0 && errno == ENOENT))
		return error_errno(err, rc > 0 ? rc : errno, "cannot empty %s", path);
	listing = opendir(datadir_models(dir, path));
	if (!listing)
		return error_errno(err, errno, "%s", path);
	while ((entry = readdir(listing)))
		if (entry->d_name[0] == '.' && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(listing), entry->d_name, 0);
	closedir(listing);
	return 0;
}

int datadir_open(struct datadir *dir, const char *path, bool lock, struct error *err)
{
	char *absolute;
	int rc;

	memset(dir, 0, sizeof *dir);
	dir->lock_fd = -1;
	absolute = realpath(path, NULL);
	if (!absolute && (errno == ENOENT || errno == ENOTDIR))
		return error_set(err, E_NOT_FOUND, "no Kindred data directory at %s: make one with `kindred init %s`",
				 path, path);
	if (!absolute)
		return error_errno(err, errno, "data directory %s", path);
	if (strlen(absolute) >= sizeof dir->path) {
		rc = error_set(err, E_INVALID, "data directory: a path of %zu bytes; up to %zu are allowed",
			       strlen(absolute), sizeof dir->path - 1);
		free(absolute);
		return rc;
	}
	strcpy(dir->path, absolute);
	free(absolute);

	rc = read_identity(dir, err);
	if (rc == 0 && lock) {
		rc = lock_take(dir->path, &dir->lock_fd, err);
		if (rc == 0)
			rc = clear_leftovers(dir, err);
	}
	if (rc != 0)
		datadir_close(dir);
	return rc;
}

void datadir_close(struct datadir *dir)
{
	if (dir->lock_fd >= 0)
		close(dir->lock_fd);
	dir->lock_fd = -1;
}

int datadir_enter(struct datadir *dir, struct error *err)
{
	if (chdir(dir->path) != 0)
		return error_errno(err, errno, "cannot enter the data directory %s", dir->path);
	dir->entered = true;
	return 0;
}

/* Of an LMDB environment in this folder. */
static bool has_data(const char *folder, char *path)
{
	snprintf(path, DATADIR_PATH_MAX + 16, "%s/data.mdb", folder);
	return access(path, F_OK) == 0 || errno != ENOENT;
}

int datadir_check_whole(const struct datadir *dir, bool used, struct error *err)
{
	char folder[DATADIR_PATH_MAX], path[DATADIR_PATH_MAX + 16], gone[DATADIR_PATH_MAX + 16];
	bool control = has_data(datadir_control(dir, folder), gone);

	for (uint32_t i = 0; i < dir->shards; i++) {
		bool shard = has_data(datadir_shard(dir, i, folder), path);

		if (shard && !control)
			return error_set(err, E_DATA_LOSS,
					 "%s is gone, and with it the catalogs and definitions, but there are "
					 "histories: restore it from a backup, or make an empty file to begin anew",
					 gone);
		if (!shard && used)
			return error_set(err, E_DATA_LOSS,
					 "%s is gone, and with it the histories in it: restore it from a backup, or "
					 "make an empty file to go on without them",
					 path);
	}
	return 0;
}

int datadir_active_read(const struct datadir *dir, uint64_t *generation, struct error *err)
{
	char path[DATADIR_PATH_MAX];
	char text[32];
	char *end;
	ssize_t bytes;
	int fd;

	*generation = 0;
	fd = open(join(dir, "models/active", path), O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return error_errno(err, errno, "%s", path);
	bytes = read(fd, text, sizeof text - 1);
	close(fd);
	if (bytes < 0)
		return error_errno(err, errno, "%s", path);
	text[bytes] = '\0';
	*generation = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || strcmp(end, "\n") != 0) {
		*generation = 0;
		return error_set(err, E_DATA_LOSS,
				 "%s does not hold a generation's number: remove it and activate a generation again",
				 path);
	}
	return 0;
}

int datadir_active_write(const struct datadir *dir, uint64_t generation, struct error *err)
{
	char models[DATADIR_PATH_MAX];
	char active[DATADIR_PATH_MAX];
	char text[32];

	datadir_models(dir, models);
	if (generation != 0) {
		snprintf(text, sizeof text, "%" PRIu64 "\n", generation);
		return write_file(models, "active", text, err);
	}
	if (unlink(join(dir, "models/active", active)) != 0 && errno != ENOENT)
		return error_errno(err, errno, "cannot remove %s", active);
	return sync_folder(models, err);
}
